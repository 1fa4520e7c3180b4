"""What Airflow discovers about the package, held against Airflow's own schemas."""

import importlib
import inspect
import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import airflow
import pytest
from jsonschema import Draft7Validator

from airflow_aluo import __version__
from airflow_aluo.get_provider_info import get_provider_info
from airflow_aluo.protocol.account import EXTRAS
from airflow_aluo.protocol.vocabulary import PLANS

INFO = get_provider_info()
FORM = INFO["connection-types"][0]


LOOK = """
import json, sys
from airflow.providers_manager import ProvidersManager

manager = ProvidersManager()
lazily = hasattr(manager, "iter_connection_type_hook_ui_metadata")
if lazily:
    forms = [one for one in manager.iter_connection_type_hook_ui_metadata() if one.connection_type == "aluo"]
else:
    forms = [manager.hooks["aluo"]]
ours = sorted(name for name in sys.modules if name.startswith("airflow_aluo"))
print(json.dumps([[form.hook_name for form in forms], "airflow-aluo" in manager.providers, ours, lazily]))
"""


def airflows_schema(name: str) -> Any:
    return json.loads(Path(airflow.__file__).with_name(name).read_text("utf-8"))


def test_airflow_can_read_it() -> None:
    Draft7Validator(airflows_schema("provider_info.schema.json")).validate(INFO)


@pytest.mark.parametrize("name", INFO)
def test_each_part_holds_to_what_airflow_asks_of_its_own_providers(name: str) -> None:
    # As a whole it also asks for the build's bookkeeping (state, source-date-epoch) and forbids nothing else.
    schema = airflows_schema("provider.yaml.schema.json")
    if name not in schema["properties"]:
        pytest.skip(f"this Airflow knows no {name!r} of providers, and reads over it")
    part = {"definitions": schema.get("definitions", {}), **schema["properties"][name]}
    Draft7Validator(part).validate(INFO[name])


def test_it_is_plain_json_and_each_call_gives_a_new_one() -> None:
    assert json.loads(json.dumps(INFO)) == INFO
    INFO_AGAIN = get_provider_info()  # noqa: N806  # compared with the constant
    assert INFO_AGAIN == INFO
    assert INFO_AGAIN is not INFO


def test_the_entry_point_leads_to_it() -> None:
    (point,) = (
        one for one in entry_points(group="apache_airflow_provider") if one.dist.name == "airflow-aluo"
    )
    assert point.load() is get_provider_info


def test_it_names_the_version_and_the_distribution() -> None:
    assert INFO["versions"] == [__version__]
    assert INFO["package-name"] == "airflow-aluo"


def named(kind: str) -> list[str]:
    integrations = {one["integration-name"] for one in INFO["integrations"]}
    assert {one["integration-name"] for one in INFO[kind]} <= integrations
    return [module for one in INFO[kind] for module in one["python-modules"]]


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers"])
def test_every_module_that_it_names_can_be_imported_and_none_is_forgotten(kind: str) -> None:
    modules = named(kind)
    for module in modules:
        assert importlib.import_module(module).__all__
    folder = Path(inspect.getfile(get_provider_info)).with_name(kind)
    assert set(modules) == {
        f"airflow_aluo.{kind}.{path.stem}" for path in folder.glob("*.py") if path.stem != "__init__"
    }


def test_every_decorator_that_it_names_can_be_imported_and_none_is_forgotten() -> None:
    from airflow.sdk import task

    found = {}
    for one in INFO["task-decorators"]:
        module, _, name = one["class-name"].rpartition(".")
        found[module] = getattr(importlib.import_module(module), name)
        assert importlib.import_module(module).__all__ == [name]
        assert getattr(task, one["name"])
    folder = Path(inspect.getfile(get_provider_info)).with_name("decorators")
    assert set(found) == {
        f"airflow_aluo.decorators.{path.stem}" for path in folder.glob("*.py") if path.stem != "__init__"
    }


def test_every_link_that_it_names_is_one_and_none_is_forgotten() -> None:
    from airflow.sdk import BaseOperatorLink

    from airflow_aluo import links

    named = {one.rpartition(".") for one in INFO["extra-links"]}
    assert {(module, issubclass(getattr(links, name), BaseOperatorLink)) for module, _, name in named} == {
        ("airflow_aluo.links", True)
    }
    assert {name for _, _, name in named} == set(links.__all__)


def test_the_commands_that_it_names_are_there_for_airflow() -> None:
    (path,) = INFO["cli"]
    module, _, name = path.rpartition(".")
    assert [group.name for group in getattr(importlib.import_module(module), name)()] == ["aluo"]


def test_the_hook_that_it_names_is_the_hook() -> None:
    module, _, name = FORM["hook-class-name"].rpartition(".")
    hook = getattr(importlib.import_module(module), name)
    assert (hook.conn_type, hook.hook_name) == (FORM["connection-type"], FORM["hook-name"])
    assert hook.default_conn_name == inspect.signature(hook).parameters["aluo_conn_id"].default


def test_the_form_has_a_field_for_every_extra_and_no_other() -> None:
    assert tuple(FORM["conn-fields"]) == EXTRAS
    assert FORM["conn-fields"]["plan"]["schema"]["enum"] == list(PLANS)


def test_the_proxy_which_may_hold_a_password_is_masked() -> None:
    assert FORM["conn-fields"]["proxy"]["schema"]["format"] == "password"


@pytest.mark.parametrize("name", EXTRAS)
def test_what_the_form_saves_by_default_is_understood(name: str, connections: Any) -> None:
    from airflow_aluo.hooks.aluo import AluoHook

    default = FORM["conn-fields"][name]["schema"].get("default")
    connections.set("", **{name: default})
    assert AluoHook().account


def test_the_type_is_offered_without_importing_the_hook_where_airflow_can(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:airflow_aluo", "-c", LOOK],
        env=os.environ | {"AIRFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    hook_names, listed, ours, lazily = json.loads(done.stdout.splitlines()[-1])
    assert (hook_names, listed) == (["Aluo"], True)
    assert "airflow_aluo.get_provider_info" in ours
    imported = [name for name in ours if name.startswith(("airflow_aluo.hooks", "airflow_aluo.protocol"))]
    assert (
        bool(imported) is not lazily
    )  # an older Airflow offers the type, too, but imports every hook for that
