"""Finds and compiles the JSON Schemas: the contract of requests, replies, records and events.

In a wheel they lie in the package; in a checkout beside it, where every language can read them.
"""

import json
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

SUFFIX: Final = ".schema.json"


def folder() -> Traversable:
    """Return the folder that holds the schemas."""
    packaged = files("airflow_aluo") / "schemas"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "schemas"


@cache
def names() -> tuple[str, ...]:
    """Return all schemas' names, sorted: ``("edit_record", …)``."""
    found = (entry.name for entry in folder().iterdir())
    return tuple(sorted(name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX)))


@cache
def schema(name: str) -> dict[str, Any]:
    """Return one schema as plain JSON. ``name``: one of :func:`names`."""
    loaded: dict[str, Any] = json.loads((folder() / f"{name}{SUFFIX}").read_text("utf-8"))
    return loaded


@cache
def validator(name: str) -> "Draft202012Validator":
    """Return a compiled validator. ``name``: one of :func:`names`."""
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema(name))
