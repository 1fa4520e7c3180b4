"""What a template makes of a value, read back, and how a value is quoted to a person."""

from __future__ import annotations

import ast
import json
import re
from contextlib import suppress
from typing import Any, Final

#: Longest quotation of a value in a message, in characters.
_QUOTED: Final = 80


def optional(value: Any) -> Any:
    """Return ``None`` for what a template renders when there is nothing, else the value."""
    return None if isinstance(value, str) and value.strip() in {"", "None"} else value


def whole_number(value: Any) -> Any:
    """Return an ``int`` where the value is one in other clothes (``"2"``, ``2.0``), else the value."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,9}", value.strip()):
        return int(value)
    return value


def collection(value: Any) -> Any:
    """Return the list or object that a template rendered as text (JSON or Python), else the value."""
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "["}:
        for parse in (json.loads, ast.literal_eval):
            # TypeError: a list as an object's key, which Python can spell but not make
            with suppress(ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
                return parse(value.strip())
    return value


def shown(value: Any) -> str:
    """Return a value as Python writes it, shortened, an address without its query."""
    # Within a list or an object, too, an address may hold a secret: what follows the first ? is left out.
    text = repr(without_query(value)) if isinstance(value, str) else without_query(repr(value))
    return text if len(text) <= _QUOTED else f"{text[: _QUOTED - 1]}…"


def without_query(address: str) -> str:
    """Return an address without what follows ``?``: presigned addresses hold their secret there."""
    head, mark, _ = address.partition("?")
    return f"{head}?…" if mark else address
