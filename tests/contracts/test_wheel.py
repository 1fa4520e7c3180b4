"""The wheel, built from a clean copy and installed where nothing of ours is."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

import airflow_aluo

ROOT = Path(airflow_aluo.__file__).parents[1]

LOOK = """
import json
from pathlib import Path

import airflow_aluo
from airflow.dag_processing.bundles import manager
from airflow.providers_manager import ProvidersManager
from airflow_aluo.protocol import schemas

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag

examples = Path(airflow_aluo.__file__).with_name("example_dags")
ours = lambda file: (examples / file).is_relative_to(examples)
bag = DagBag(dag_folder=examples)
bundles = {one.name: str(one.path) for one in manager.DagBundlesManager().get_all_dag_bundles()}
schemas.validator("edit_record")
print(json.dumps({
    "file": airflow_aluo.__file__,
    "version": ProvidersManager().providers["airflow-aluo"].version,
    "schemas": [str(schemas.folder()), schemas.names()],
    # An older Airflow adds its own examples to any folder.
    "examples": [str(examples), sorted(one.dag_id for one in bag.dags.values() if ours(one.fileloc)),
                 {file: error for file, error in bag.import_errors.items() if ours(file)}],
    "bundles": bundles,
    "providers_have_bundles": hasattr(manager, "_add_provider_example_dags_to_bundle"),
}))
"""


def run(*command: str | Path, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def not_checked_in(_: str, names: list[str]) -> set[str]:
    made = {"__pycache__", "dist", "htmlcov"}
    return {name for name in names if name in made or (name.startswith(".") and name != ".gitignore")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clean = tmp_path_factory.mktemp("clean") / "airflow-aluo"
    shutil.copytree(ROOT, clean, ignore=not_checked_in)
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, clean)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def contents(wheel: Path) -> dict[str, bytes]:
    with ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_is_for_every_platform(wheel: Path) -> None:
    assert wheel.name == f"airflow_aluo-{airflow_aluo.__version__}-py3-none-any.whl"


def test_the_wheel_carries_the_package_and_nothing_else(contents: dict[str, bytes]) -> None:
    assert {name.split("/")[0].removesuffix(".dist-info") for name in contents} == {
        "airflow_aluo",
        f"airflow_aluo-{airflow_aluo.__version__}",
    }
    assert not [name for name in contents if "__pycache__" in name or "/tests/" in name]
    package = {
        f"airflow_aluo/{path.relative_to(ROOT / 'airflow_aluo').as_posix()}"
        for path in (ROOT / "airflow_aluo").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert package <= contents.keys()
    assert "airflow_aluo/py.typed" in contents
    assert [name for name in contents if name.endswith("sandbox/photos/coffee.jpg")]


@pytest.mark.parametrize(
    ("source", "inside", "ending"),
    [("schemas", "schemas", ".schema.json"), ("dags_examples", "example_dags", ".py")],
)
def test_the_wheel_carries_schemas_and_examples_unchanged(
    contents: dict[str, bytes], source: str, inside: str, ending: str
) -> None:
    here = {path.name: path.read_bytes() for path in (ROOT / source).glob(f"*{ending}")}
    there = {
        name.rpartition("/")[2]: content
        for name, content in contents.items()
        if name.startswith(f"airflow_aluo/{inside}/")
    }
    assert here
    assert there == here


def test_the_wheel_says_who_may_use_it_and_how_airflow_finds_it(contents: dict[str, bytes]) -> None:
    about = f"airflow_aluo-{airflow_aluo.__version__}.dist-info"
    assert contents[f"{about}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    points = contents[f"{about}/entry_points.txt"].decode()
    assert "[apache_airflow_provider]" in points
    assert "airflow_aluo.get_provider_info:get_provider_info" in points
    metadata = contents[f"{about}/METADATA"].decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert "Requires-Dist: apache-airflow>=3.1" in metadata


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment that holds the wheel; all else is borrowed from this one."""
    home = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", home)
    python = home / "bin" / "python"
    (site,) = home.glob("lib/python3.*/site-packages")
    with ZipFile(wheel) as archive:  # what pip does with a pure wheel
        archive.extractall(site)
    borrowed = home / "borrowed"
    borrowed.mkdir()
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(folder).iterdir():
            if "airflow_aluo" not in entry.name and entry.suffix != ".pth":
                (borrowed / entry.name).symlink_to(entry)
    (site / "borrowed.pth").write_text(f"{borrowed}\n")
    return python


@pytest.fixture(scope="module")
def seen(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    home = tmp_path_factory.mktemp("airflow")
    settings = {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "True"}
    return json.loads(run(installed, "-c", LOOK, **settings).splitlines()[-1])


def test_what_is_tested_is_the_wheel(seen: Any, installed: Path) -> None:
    assert Path(seen["file"]).is_relative_to(installed.parents[1])


def test_airflow_lists_the_installed_provider(seen: Any, installed: Path, tmp_path: Path) -> None:
    assert seen["version"] == airflow_aluo.__version__
    listed = run(installed, "-m", "airflow", "providers", "list", "-o", "json", AIRFLOW_HOME=str(tmp_path))
    (ours,) = (
        one for one in json.loads(listed[listed.index("[{") :]) if one["package_name"] == "airflow-aluo"
    )
    assert ours["version"] == airflow_aluo.__version__


def test_the_installed_package_finds_its_schemas(seen: Any, installed: Path) -> None:
    folder, names = seen["schemas"]
    assert Path(folder).is_relative_to(installed.parents[1])
    assert names == sorted(path.name.removesuffix(".schema.json") for path in (ROOT / "schemas").iterdir())


def test_airflow_parses_the_installed_examples(seen: Any, installed: Path) -> None:
    folder, dag_ids, errors = seen["examples"]
    assert Path(folder).is_relative_to(installed.parents[1])
    assert dag_ids == sorted(path.stem for path in (ROOT / "dags_examples").glob("*.py"))
    assert errors == {}


def test_airflow_shows_the_installed_examples_by_itself(seen: Any) -> None:
    if not seen["providers_have_bundles"]:
        pytest.skip("this Airflow shows no examples of providers")
    assert seen["bundles"]["airflow-aluo-example-dags"] == seen["examples"][0]
