"""The Airflow that the other tests of this folder use: it can be asked, killed and started again."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from airflow_aluo.demo.local_airflow import LocalAirflow
from airflow_aluo.demo.processes import ProcessError
from airflow_aluo.demo.rest import RestError

BROKEN = "from airflow.sdk import DAG\n\nraise RuntimeError('this DAG file is broken')\n"


def wait_until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.2)


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_every_example_is_imported_without_an_error(airflow: LocalAirflow) -> None:
    examples = {file.stem for file in (Path(__file__).parents[2] / "dags_examples").glob("*.py")}
    assert len(examples) > 8
    wait_until(
        lambda: examples <= {one["dag_id"] for one in airflow.rest.get("dags", limit=100)["dags"]}, 180
    )
    assert airflow.import_errors() == {}


def test_a_killed_part_leaves_no_child_and_runs_again(airflow: LocalAirflow) -> None:
    starts = airflow.logs / "triggerer.log"
    before = starts.read_text().count("Starting the triggerer")
    killed = psutil.Process(airflow.pid("triggerer"))
    family = [killed, *killed.children(recursive=True)]
    assert len(family) > 1
    airflow.kill("triggerer", signal.SIGKILL)
    wait_until(lambda: gone(killed))
    with pytest.raises(ProcessError, match="triggerer ended with exit code -9"):
        airflow.raise_if_one_ended()
    airflow.restart("triggerer")
    assert all(map(gone, family))
    airflow.raise_if_one_ended()
    wait_until(lambda: starts.read_text().count("Starting the triggerer") > before >= 1)
    wait_until(lambda: airflow.rest.healthy().get("triggerer") is True)


def test_a_dag_file_that_cannot_be_imported_is_named(airflow: LocalAirflow) -> None:
    broken = airflow.dags_folder / "broken.py"
    broken.write_text(BROKEN)
    try:
        with pytest.raises(
            ProcessError, match=r"broken\.py cannot be imported: RuntimeError: this DAG file is broken"
        ):
            airflow.wait_for_dag("broken")
    finally:
        broken.unlink()
        wait_until(lambda: airflow.import_errors() == {})


def test_a_wait_in_vain_names_what_was_awaited_and_a_log(airflow: LocalAirflow) -> None:
    with pytest.raises(ProcessError, match="waited 0 s in vain for DAG 'no_such_dag'") as caught:
        airflow.wait_for_dag("no_such_dag", timeout=0)
    assert caught.value.log_file == airflow.logs / "dag-processor.log"


def test_a_refusal_carries_its_status(airflow: LocalAirflow) -> None:
    with pytest.raises(RestError, match="answered 404") as caught:
        airflow.trigger("no_such_dag")
    assert caught.value.status == 404
