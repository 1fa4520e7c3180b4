"""Protocol and pace are values and arithmetic: what they import, and what importing them loads."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_aluo import pace, protocol

FOLDERS = {folder: Path(str(folder.__file__)).parent for folder in (protocol, pace)}
MODULES = [path for folder in FOLDERS.values() for path in sorted(folder.glob("*.py"))]

#: May ask a clock that is passed in.
CONVERSATIONS = {"flows", "waiting"}
#: Move bytes, know the time, throw dice or belong to a layer above.
FORBIDDEN = {
    "PIL",
    "aiohttp",
    "airflow",
    "asyncio",
    "concurrent",
    "fastapi",
    "http",
    "httpx",
    "logging",
    "random",
    "requests",
    "secrets",
    "selectors",
    "socket",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib3",
    "uuid",
}

#: What no module may have loaded: all of it opens sockets, or takes long to import on each DAG parse.
#: (``socket`` itself is loaded by the standard library's ``email.utils``, which reads HTTP dates.)
HEAVY = {
    "PIL",
    "aiohttp",
    "airflow",
    "asyncio",
    "fastapi",
    "http.client",
    "httpx",
    "jsonschema",
    "requests",
    "ssl",
    "urllib.request",
    "urllib3",
}

#: By folder: what it may import of ours.
ALLOWED_OF_OURS = {
    "protocol": ("airflow_aluo.protocol",),
    "pace": ("airflow_aluo.pace", "airflow_aluo.protocol"),
}


def named(path: Path) -> str:
    return f"{path.parent.name}.{path.stem}"


def imports(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_imports_nothing_that_moves_bytes_or_knows_the_time(path: Path) -> None:
    names = imports(ast.parse(path.read_text("utf-8")))
    assert not {name for name in names if name.split(".")[0] in FORBIDDEN}
    assert not {name for name in names if name.startswith("urllib.") and not name.startswith("urllib.parse.")}
    ours = {name for name in names if name.startswith("airflow_aluo")}
    assert not {name for name in ours if not name.startswith(ALLOWED_OF_OURS[path.parent.name])}


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_asks_no_clock_no_environment_and_no_console(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    given = {"now"} if path.stem in CONVERSATIONS else set()  # a clock that is passed in: see the next claim
    assert not (attributes & {"now", "utcnow", "today", "environ", "getenv"}) - given
    calls = {
        node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and hasattr(node.func, "id")
    }
    assert not calls & {"open", "print", "input"}


@pytest.mark.parametrize("name", sorted(CONVERSATIONS))
def test_the_flows_ask_only_the_clock_that_they_are_given(name: str) -> None:
    (path,) = (path for path in MODULES if path.stem == name)
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in {"now", "dice"}:
            assert ast.unparse(node.value) == "senses"


def test_importing_them_loads_neither_airflow_nor_a_network_library() -> None:
    names = [f"airflow_aluo.{named(path)}" for path in MODULES if path.stem != "__init__"]
    code = (
        "import importlib, json, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert set(names) <= loaded
    # A tool that measures coverage may have loaded some of it before our first line ran.
    bare = subprocess.run(
        [sys.executable, "-c", "import json, sys; print(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not (loaded - set(json.loads(bare.stdout.splitlines()[-1]))) & HEAVY


def test_modules_stay_short_enough_to_read_at_once() -> None:
    long = {
        path.name: count for path in MODULES if (count := len(path.read_text("utf-8").splitlines())) > 300
    }
    assert not long
