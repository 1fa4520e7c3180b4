"""The sensor's modes, mapping and errors as Airflow's own scheduler and UI show them."""

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_aluo.demo.local_airflow import LocalAirflow
from tests.which_airflow import needs_typed_connection_fields

DAGS = Path(__file__).with_name("dags")

WRONG_RATIO = """
from airflow.sdk import DAG
from airflow_aluo.operators.photo_edit import PhotoEditOperator

with DAG("wrong_ratio", schedule=None):
    PhotoEditOperator(
        task_id="edit",
        prompt="Center the product",
        image_urls=["ftp://example.com/a.jpg"],
        aspect_ratio="2:1",
    )
"""


@pytest.fixture(scope="module")
def own_dags(airflow: LocalAirflow) -> LocalAirflow:
    """The Airflow, with the DAGs of this folder beside the examples."""
    shutil.copytree(DAGS, airflow.dags_folder, dirs_exist_ok=True)
    airflow.wait_for_dag("every_mode")
    airflow.wait_for_dag("mapped_over_photos")
    return airflow


def test_every_mode_ends_with_the_same_record(own_dags: LocalAirflow, tmp_path: Path) -> None:
    run_id = own_dags.trigger("every_mode", {"destination": str(tmp_path), "n": 2})
    assert own_dags.wait_for_run("every_mode", run_id, timeout=180) == "success"
    records = [
        own_dags.xcom("every_mode", run_id, mode) for mode in ("poke", "reschedule", "deferrable", "by_id")
    ]
    assert len({tuple(one["result_urls"]) for one in records}) == 1
    assert [one["status"] for one in records] == ["SUCCESS"] * 4
    assert records[0]["request"]["prompt"] == "Change the product color to blue"
    assert records[0]["request"]["num_images"] == 2
    assert own_dags.xcom("every_mode", run_id, "land_urls")["aluo_task_id"] is None


def test_a_mapped_edit_is_named_after_its_photo(own_dags: LocalAirflow) -> None:
    run_id = own_dags.trigger("mapped_over_photos")
    assert own_dags.wait_for_run("mapped_over_photos", run_id, timeout=120) == "success"
    instances = own_dags.task_instances("mapped_over_photos", run_id)
    assert {one["rendered_map_index"] for one in instances} == {"rocket.jpg", "coffee.jpg"}


def test_a_wrong_argument_shows_as_an_import_error_and_names_all_that_is_wrong(airflow: LocalAirflow) -> None:
    file = airflow.dags_folder / "wrong_ratio.py"
    file.write_text(WRONG_RATIO)
    try:
        deadline = time.monotonic() + 60
        while not (errors := airflow.import_errors()):
            assert time.monotonic() < deadline
            time.sleep(0.3)
    finally:
        file.unlink()
    deadline = time.monotonic() + 60
    while airflow.import_errors():
        assert time.monotonic() < deadline
        time.sleep(0.3)
    (trace,) = errors.values()
    assert "aspect_ratio: '2:1'; expected one of 1:1, 3:2" in trace
    assert "image_urls[0]: 'ftp://example.com/a.jpg'; expected an address that begins with http" in trace


@needs_typed_connection_fields
def test_the_connection_form_has_typed_fields(airflow: LocalAirflow) -> None:
    hooks: list[dict[str, Any]] = airflow.rest.get("../../ui/connections/hook_meta")
    (form,) = [hook for hook in hooks if hook["connection_type"] == "aluo"]
    assert form["extra_fields"]["plan"]["schema"]["enum"] == ["free", "pro", "max"]
    assert form["standard_fields"]["password"]["title"] == "API key"
