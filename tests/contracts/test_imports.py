"""Imports point one way, and parsing a DAG loads nothing heavy."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_aluo

PACKAGE = Path(airflow_aluo.__file__).parent
EXAMPLES = PACKAGE.parent / "dags_examples"

#: From the ground up. A module imports modules of lower layers only, none of its own layer's.
#: A name stands for a module, or for all modules of a folder.
LAYERS = (
    ("airflow_aluo", "airflow_names", "gallery", "signals_later"),
    (
        "protocol.decision",
        "protocol.errors",
        "protocol.markdown",
        "protocol.rendered",
        "protocol.schedule",
        "protocol.schemas",
        "protocol.tally",
        "protocol.vocabulary",
    ),
    ("protocol.account", "protocol.chained", "protocol.envelope", "protocol.naming"),
    ("protocol.photo_edit",),
    ("protocol.replies",),
    ("protocol.calls", "protocol.record"),
    ("protocol.flows", "protocol.picture_set", "protocol.remembered", "protocol.review"),
    ("protocol.review_page", "protocol.waiting"),
    ("pace.durations", "pace.limiter", "pace.line", "pace.slots"),
    ("pace.planner",),
    ("pace.account_pace", "transport.addresses"),
    (
        "accounts",
        "arguments",
        "batch.progress",
        "batch.remembered",
        "batch.rows",
        "branches",
        "get_provider_info",
        "links",
        "metrics",
        "pictures",
        "question",
        "retry_policy",
        "task_errors",
        "task_store",
        "transport.resolving",
        "transport.turns",
        "transport.unpacking",
        "transport.wire",
        "trigger_events",
        "upstream",
    ),
    (
        "announced",
        "batch.memory",
        "durable",
        "edit_arguments",
        "edit_memory",
        "intake",
        "remembered_answer",
        "remembered_wait",
        "storage",
        "transport.with_aiohttp",
        "transport.with_requests",
    ),
    ("batch.conversing", "batch.files", "batch.photos", "lineage", "one_picture", "transport.sharing"),
    ("batch.one", "batch.results", "hooks", "landing", "paid_once", "publishing"),
    ("batch.asked", "batch.work", "driving", "reviewed"),
    ("batch.arguments", "batch.ending", "batch.run", "paid_edit"),
    ("batch.task",),
    ("triggers",),
    ("cli", "commands.console", "commands.servers", "commands.unknown_outcomes"),
    ("commands.connected", "commands.progress", "commands.unknown"),
    ("commands.finishing",),
    ("commands.edit", "commands.status"),
    ("operators", "sensors"),
    ("decorators",),
    ("ui.fetching", "ui.permissions", "ui.shelf", "ui.sources", "ui.thumbnails", "ui.told"),
    ("ui.pieces", "ui.places", "ui.references"),
    ("ui.edits",),
    ("ui.cards", "ui.reading", "ui.remembered_edits", "ui.reviews"),
    ("ui.answer", "ui.originals"),
    ("ui.archive", "ui.gallery_data", "ui.images"),
    ("ui.asking",),
    ("ui.pages", "ui.picture_routes", "ui.routes"),
    ("ui.app",),
    ("ui.plugin",),
    ("examples",),
)

#: Islands: they import themselves, and of the rest only what stands here.
ISLANDS = {"sandbox": ("protocol",), "demo": ("airflow_aluo", "signals_later")}


def short(path: Path) -> str:
    """Return a module's name below the package: ``protocol.errors``; the package itself by its name."""
    if path.is_relative_to(EXAMPLES):
        return f"examples.{path.stem}"
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "airflow_aluo"


MODULES = {short(path): path for path in [*PACKAGE.rglob("*.py"), *EXAMPLES.glob("*.py")]}
#: Folders are made of modules; their own files hold a sentence.
FOLDERS = {name for name, path in MODULES.items() if path.name == "__init__.py" and name != "airflow_aluo"}


def imported(path: Path) -> set[str]:
    """Return the modules of ours that a module imports anywhere in it, also for types only."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by dots"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    ours = {name.removeprefix("airflow_aluo.") for name in names if name.split(".")[0] == "airflow_aluo"}
    return (ours & MODULES.keys()) - FOLDERS


def layer(name: str) -> int:
    """Return the layer of a module; an island's modules have none."""
    found = [number for number, names in enumerate(LAYERS) if any(within(name, one) for one in names)]
    assert len(found) == 1, f"{name} belongs into one of the LAYERS"
    return found[0]


def within(name: str, folder: str) -> bool:
    return name == folder or name.startswith(f"{folder}.")


def island(name: str) -> str | None:
    return next((one for one in ISLANDS if within(name, one)), None)


@pytest.mark.parametrize("name", sorted(MODULES.keys() - FOLDERS))
def test_imports_point_one_way(name: str) -> None:
    found = imported(MODULES[name])
    if home := island(name):
        allowed = (home, *ISLANDS[home])
        strangers = {one for one in found if not any(within(one, folder) for folder in allowed)}
    else:
        strangers = {one for one in found if island(one) or layer(one) >= layer(name)}
    assert not strangers


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_a_folder_is_no_module(name: str) -> None:
    body = ast.parse(MODULES[name].read_text("utf-8")).body
    assert all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


#: What a worker or the triggerer loads once it works; parsing a DAG a hundred times an hour does not.
HEAVY = {"PIL", "aiohttp", "fastapi", "jsonschema", "requests", "urllib3", "uvicorn"}

LOOK = """
import json, sys
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator, Param

seen = [sorted(sys.modules)]
from airflow_aluo.decorators.photo_edit import photo_edit_task
from airflow_aluo.operators.photo_download import PhotoDownloadOperator
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.operators.photo_edit_batch import PhotoEditBatchOperator
from airflow_aluo.operators.photo_publish import PhotoPublishOperator
from airflow_aluo.operators.photo_review import PhotoReviewOperator
from airflow_aluo.sensors.photo_edit import PhotoEditStatusSensor

seen.append(sorted(sys.modules))
with DAG("a_dag", schedule=None):
    edit = PhotoEditOperator(task_id="edit", prompt="Blue", image_urls=["https://x.example/a.png"])
    wait = PhotoEditStatusSensor(task_id="wait", aluo_task_id=edit.output)
    land = PhotoDownloadOperator(task_id="land", edits=wait.output, destination="/tmp")
    review = PhotoReviewOperator(task_id="review", edits=land.output, branches={"approve": "publish"})
    PhotoPublishOperator(task_id="publish", edits=review.output, destination="/tmp")
    PhotoEditBatchOperator(task_id="batch", edits=[{"prompt": "Blue", "image_urls": ["https://x.example/a.png"]}])
seen.append(sorted(sys.modules))
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def loaded() -> tuple[set[str], set[str]]:
    """Beside Airflow's own modules, those that importing the operators loads, and then writing a DAG."""
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    before, imported, written = (set(names) for names in json.loads(done.stdout.splitlines()[-1]))
    return imported - before, written - before


def of_libraries(modules: set[str]) -> set[str]:
    return {name.split(".")[0] for name in modules}


#: What only a running task needs of ours.
LATER = {
    "airflow_aluo.accounts",
    "airflow_aluo.batch.conversing",
    "airflow_aluo.batch.ending",
    "airflow_aluo.batch.files",
    "airflow_aluo.batch.memory",
    "airflow_aluo.batch.one",
    "airflow_aluo.batch.results",
    "airflow_aluo.batch.run",
    "airflow_aluo.batch.task",
    "airflow_aluo.batch.work",
    "airflow_aluo.driving",
    "airflow_aluo.durable",
    "airflow_aluo.hooks.aluo",
    "airflow_aluo.lineage",
    "airflow_aluo.metrics",
    "airflow_aluo.paid_edit",
    "airflow_aluo.paid_once",
    "airflow_aluo.protocol.flows",
    "airflow_aluo.protocol.tally",
    "airflow_aluo.publishing",
    "airflow_aluo.remembered_answer",
    "airflow_aluo.remembered_wait",
    "airflow_aluo.storage",
    "airflow_aluo.trigger_events",
    "airflow_aluo.triggers.photo_edit",
    *(f"airflow_aluo.{name}" for name in MODULES if name.split(".")[0] in {"pace", "transport"}),
}


def test_importing_the_operators_loads_nothing_heavy(loaded: tuple[set[str], set[str]]) -> None:
    modules, _ = loaded
    assert "airflow_aluo.operators.photo_edit" in modules
    assert not of_libraries(modules) & HEAVY
    assert not modules & LATER


def test_writing_a_dag_loads_no_network_library_and_no_pillow(loaded: tuple[set[str], set[str]]) -> None:
    _, modules = loaded
    # The schemas that check the parameters need jsonschema, which Airflow loads for a DAG's params, too.
    assert not of_libraries(modules) & (HEAVY - {"jsonschema"})
    assert not modules & LATER
