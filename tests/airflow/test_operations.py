"""What an operator cares for, in a real Airflow: metrics, connections from everywhere, a key that changes."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_aluo.demo.local_airflow import LocalAirflow

DAGS = Path(__file__).with_name("dags")

#: In what a run of ``a_bit_of_everything`` ends.
EVERYTHING = {"edit": "success", "submit": "success", "wait": "success", "batch": "success"}


@pytest.fixture(scope="module")
def own_dags(airflow: LocalAirflow) -> LocalAirflow:
    """The Airflow, with the DAGs of this folder beside the examples."""
    shutil.copytree(DAGS, airflow.dags_folder, dirs_exist_ok=True)
    for dag_id in ("counted", "from_everywhere", "told", "rotated", "refused"):
        airflow.wait_for_dag(dag_id)
    return airflow


@contextmanager
def held(sandbox: Any, prompt: str) -> Iterator[None]:
    """Edits with this in their prompt go on, for the time of the block."""
    fault = {"kind": "word", "on": "status", "word": "PROCESSING", "prompt": prompt, "times": None}
    sandbox.control("POST", "faults", fault)
    try:
        yield
    finally:
        sandbox.control("DELETE", "faults")


def wait_for_states(airflow: LocalAirflow, dag_id: str, run_id: str, expected: dict[str, str]) -> None:
    deadline = time.monotonic() + 180
    while not expected.items() <= (found := airflow.task_states(dag_id, run_id)).items():
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def wait_for_waits(statsd_server: Any, conn_id: str, count: int) -> None:
    """Wait until so many edits are waited for in the triggerer, each looked at."""
    deadline = time.monotonic() + 120
    while (found := statsd_server.found(conn_id=conn_id)).get("aluo.in_flight") != count:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    time.sleep(2)  # the last of them has looked, too; what was read of a connection is not of "just now"


def connect(airflow: LocalAirflow, conn_id: str, url: str, key: str) -> None:
    """Store a connection, or change its key."""
    body = {"connection_id": conn_id, "conn_type": "aluo", "host": url, "password": key}
    body["extra"] = json.dumps({"plan": "pro"})
    known = airflow.rest.get("connections", limit=100)["connections"]
    if conn_id in {one["connection_id"] for one in known}:
        airflow.rest.change("PATCH", f"connections/{conn_id}", body)
    else:
        airflow.rest.change("POST", "connections", body)


def log_text(folder: Path) -> str:
    """Return all logs below a folder."""
    return "".join(file.read_text(errors="replace") for file in folder.rglob("*") if file.is_file())


def test_each_fact_is_counted_once(own_dags: LocalAirflow, sandbox: Any, statsd_server: Any) -> None:
    statsd_server.forget()
    deferred = {"edit": "deferred", "wait": "deferred", "batch": "deferred"}
    with held(sandbox, "count me"):
        run_id = own_dags.trigger("counted")
        wait_for_states(own_dags, "counted", run_id, deferred)
        wait_for_waits(statsd_server, "aluo_default", 5)
    assert own_dags.wait_for_run("counted", run_id, timeout=120) == "success"

    def of(task_id: str) -> dict[str, float]:
        found: dict[str, float] = statsd_server.found(
            dag_id="counted", task_id=task_id, conn_id="aluo_default"
        )
        assert found.pop("aluo.looks", 0) >= (task_id != "submit")
        return found

    ended = {"aluo.edits.succeeded": 1, "aluo.credits.deducted": 35, "aluo.detection_lag": 1}
    assert of("edit") == {"aluo.edits.submitted": 1} | ended
    assert of("submit") == {"aluo.edits.submitted": 1}
    assert of("wait") == ended
    batch = of("batch")
    assert batch.pop("aluo.batch.in_flight") == 0
    assert batch == {"aluo.edits.submitted": 3} | {name: 3 * number for name, number in ended.items()}
    paid = sandbox.control("GET", "ledger?prompt=count me")
    looks = sum(statsd_server.found(dag_id="counted", task_id=one)["aluo.looks"] for one in deferred)
    asked = sum(request["method"] == "GET" for request in paid["requests"])
    # The batch leaves for the triggerer in the midst of its looks: one that never left counts, too.
    assert asked <= looks <= asked + 3
    assert statsd_server.found(conn_id="aluo_default")["aluo.in_flight"] == 0


def test_a_connection_is_found_wherever_airflow_finds_connections_and_its_key_in_no_log(
    own_dags: LocalAirflow, sandbox: Any, odd_key: str
) -> None:
    connect(own_dags, "aluo_stored", sandbox.url, odd_key)
    with held(sandbox, "Find the connection"):
        run_id = own_dags.trigger("from_everywhere")
        deferred = {f"in_triggerer[{index}]": "deferred" for index in range(5)}
        wait_for_states(own_dags, "from_everywhere", run_id, deferred)
    assert own_dags.wait_for_run("from_everywhere", run_id, timeout=240) == "success"
    states = own_dags.task_states("from_everywhere", run_id)
    assert len(states) == 10
    assert set(states.values()) == {"success"}
    account = sandbox.control("GET", "ledger?prompt=Find the connection")
    assert account["totals"]["accepted"] == 10
    assert odd_key not in log_text(own_dags.logs)


def test_an_edit_in_flight_survives_a_new_key_of_its_account(
    own_dags: LocalAirflow, sandbox: Any, statsd_server: Any
) -> None:
    statsd_server.forget()
    old, new = "sk-old-0123456789abcdef", "sk-new-0123456789abcdef"
    connect(own_dags, "aluo_rotated", sandbox.url, old)
    with held(sandbox, "rotate me"):
        run_id = own_dags.trigger("rotated")
        deferred = {"edit": "deferred", "submit": "success", "wait": "deferred", "batch": "deferred"}
        wait_for_states(own_dags, "rotated", run_id, deferred)
        wait_for_waits(statsd_server, "aluo_rotated", 5)  # by the old key
        connect(own_dags, "aluo_rotated", sandbox.url, new)
        sandbox.control("POST", f"accounts/{old}/rotate", {"new_key": new})
        time.sleep(3)  # each wait is refused once and goes on with the new key
    assert own_dags.wait_for_run("rotated", run_id, timeout=120) == "success"
    assert own_dags.task_states("rotated", run_id) == EVERYTHING
    totals = sandbox.control("GET", "ledger?prompt=rotate me")["totals"]
    assert (totals["accepted"], totals["charged"]) == (5, 175)
    logs = log_text(own_dags.logs)
    assert old not in logs
    assert new not in logs


def test_where_the_connection_still_has_the_old_key_a_clear_goes_on_unpaid(
    own_dags: LocalAirflow, sandbox: Any
) -> None:
    old, new = "sk-older-0123456789abcdef", "sk-newer-0123456789abcdef"
    connect(own_dags, "aluo_refused", sandbox.url, old)
    with held(sandbox, "refuse me"):
        run_id = own_dags.trigger("refused")
        deferred = {"edit": "deferred", "submit": "success", "wait": "deferred", "batch": "deferred"}
        wait_for_states(own_dags, "refused", run_id, deferred)
        before = sandbox.control("GET", "ledger?prompt=refuse me")["totals"]
        sandbox.control("POST", f"accounts/{old}/rotate", {"new_key": new})
        refused = {"edit": "failed", "submit": "success", "wait": "failed", "batch": "failed"}
        wait_for_states(own_dags, "refused", run_id, refused)
        # Not only its tasks: cleared before the run has ended, it ends over them, and they never start.
        assert own_dags.wait_for_run("refused", run_id, timeout=120) == "failed"
    assert any("HTTP 401" in json.dumps(line) for line in own_dags.task_log("refused", run_id, "edit"))
    connect(own_dags, "aluo_refused", sandbox.url, new)
    clear = {"dry_run": False, "dag_run_id": run_id, "only_failed": True}
    own_dags.rest.change("POST", "dags/refused/clearTaskInstances", clear)
    wait_for_states(own_dags, "refused", run_id, EVERYTHING)
    after = sandbox.control("GET", "ledger?prompt=refuse me")["totals"]
    assert after["accepted"] == before["accepted"]
    assert after["charged"] == 35 * after["accepted"]  # each once


def test_a_key_that_a_task_prints_is_masked_wherever_it_came_from(
    own_dags: LocalAirflow, sandbox: Any, odd_key: str
) -> None:
    connect(own_dags, "aluo_stored", sandbox.url, odd_key)
    run_id = own_dags.trigger("told")
    assert own_dags.wait_for_run("told", run_id, timeout=120) == "success"
    sources = ("aluo_env_json", "aluo_env_uri", "aluo_worker_file", "aluo_server_file", "aluo_stored")
    deadline, said = time.monotonic() + 30, list[str]()
    while len(said) < len(sources) and time.monotonic() < deadline:  # a log may end after its task
        events = [str(line["event"]) for line in own_dags.task_log("told", run_id, "careless")]
        said = [event for event in events if " has " in event]
        time.sleep(0.2)
    assert said == [f"{source} has ***" for source in sources]
    assert odd_key not in log_text(own_dags.logs / "tasks")  # on a worker's console Airflow masks nothing
