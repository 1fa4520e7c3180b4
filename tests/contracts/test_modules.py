"""Modules and functions stay short, and say what of them is public."""

import ast
import importlib
from pathlib import Path

import pytest

import airflow_aluo

PACKAGE = Path(airflow_aluo.__file__).parent
EXAMPLES = PACKAGE.parent / "dags_examples"
MODULES = sorted([*PACKAGE.rglob("*.py"), *EXAMPLES.glob("*.py")])

#: What users import.
PUBLIC = [
    PACKAGE / "protocol" / "errors.py",
    PACKAGE / "retry_policy.py",
    *(
        path
        for folder in ("hooks", "operators", "sensors", "triggers")
        for path in sorted((PACKAGE / folder).glob("*.py"))
        if path.stem != "__init__"
    ),
]

EVERY = pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}.{path.stem}")


@EVERY
def test_a_module_can_be_read_at_once(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 300


IMPORTED = [path for path in sorted(PACKAGE.rglob("*.py")) if path.stem not in {"__init__", "__main__"}]


@pytest.mark.parametrize("path", IMPORTED, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_a_module_can_be_imported_by_every_airflow(path: Path) -> None:
    name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    assert importlib.import_module(name).__name__ == name


@EVERY
def test_a_function_can_be_read_at_once(path: Path) -> None:
    long = {
        node.name: length
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > 50
    }
    assert not long


@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_a_public_module_says_what_of_it_is_public(path: Path) -> None:
    name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    module = importlib.import_module(name)
    defined = {
        node.name
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
    }
    assert set(module.__all__) == defined
    assert list(module.__all__) == sorted(module.__all__)
    for one in module.__all__:
        assert getattr(module, one).__doc__
