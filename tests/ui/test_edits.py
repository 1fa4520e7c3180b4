"""What many tasks tell of one edit becomes one edit, in the right state."""

import json
from typing import Any

import pytest

from airflow_aluo.decorators.photo_edit import _PhotoEditDecoratedOperator
from airflow_aluo.operators.photo_download import PhotoDownloadOperator
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.operators.photo_edit_batch import PhotoEditBatchOperator
from airflow_aluo.operators.photo_review import PhotoReviewOperator
from airflow_aluo.sensors.photo_edit import PhotoEditStatusSensor
from airflow_aluo.ui import edits
from airflow_aluo.ui.edits import Edit
from airflow_aluo.ui.pieces import Pieces
from airflow_aluo.ui.told import Instance
from tests.ui.book import START, edit_record, submitted_record

FILE = {"path": "/landed/a.png", "sha256": "0" * 64, "bytes": 9, "width": 8, "height": 6, "format": "png"}


def instance(task_id: str = "edit", operator: str = "PhotoEditOperator", **more: Any) -> Instance:
    known = {
        "dag_id": "a_dag",
        "run_id": "a_run",
        "run_at": START,
        "run_state": "running",
        "map_index": -1,
        "label": None,
        "state": "success",
        "attempt": 1,
        "started_at": START,
        "ended_at": None,
    }
    return Instance(**known | {"task_id": task_id, "operator": operator} | more)


def of(*instances: Instance) -> list[Edit]:
    return edits.of(instances, Pieces().reader()).edits


def the_edit(*instances: Instance) -> Edit:
    (found,) = of(*instances)
    return found


def test_the_operators_are_known_by_their_names() -> None:
    assert set(edits.SUBMITTING) == {
        PhotoEditOperator.__name__,
        _PhotoEditDecoratedOperator.__name__,
        PhotoEditBatchOperator.__name__,
    }
    others = {PhotoEditStatusSensor.__name__, PhotoDownloadOperator.__name__, PhotoReviewOperator.__name__}
    assert set(edits.OPERATORS) == {*edits.SUBMITTING, *others}
    assert PhotoEditStatusSensor.__name__ == edits.WAITING


def test_submit_wait_and_download_are_one_edit_of_the_task_that_submitted_it() -> None:
    found = the_edit(
        instance("download", "PhotoDownloadOperator", returned=edit_record(files=[FILE])),
        instance("edit", returned=submitted_record()),
        instance("wait", "PhotoEditStatusSensor", returned=edit_record()),
    )
    assert (found.instance.task_id, found.state, found.aluo_task_id) == ("edit", "succeeded", "edit_1")
    assert found.newest is not None
    assert found.newest.instance.task_id == "download"
    assert found.newest.record["files"] == [FILE]


def test_an_edit_of_a_subclass_is_its_own_though_others_go_on_with_it() -> None:
    found = the_edit(
        instance("a_download", "PhotoDownloadOperator", returned=edit_record(files=[FILE])),
        instance("z_edit", "BlueCups", returned=edit_record()),
    )
    assert found.instance.task_id == "z_edit"


def test_runs_do_not_share_an_edit_although_they_name_the_same_id() -> None:
    assert len(of(instance(returned=edit_record()), instance(run_id="b", returned=edit_record()))) == 2


STATES = {
    "succeeded": (edit_record(), "success"),
    "failed, as its record says": (edit_record(status="FAILED", result_urls=[]), "success"),
    "failed, as its error says": (
        submitted_record(error={"type": "AluoEditTimedOut", "message": "x"}),
        "success",
    ),
    "unknown, as its record says": (
        edit_record(None, status="UNKNOWN", result_urls=[], error={"type": "X", "message": "x"}),
        "success",
    ),
    "unknown, as its error says": (
        edit_record(None, status="NOT_ACCEPTED", result_urls=[], error={"type": "AluoUnknownOutcome"}),
        "success",
    ),
    "running": (submitted_record(), "deferred"),
    "running, in another try": (submitted_record(), "up_for_retry"),
    "failed with its task": (submitted_record(), "failed"),
    "running, with nobody who waits for it yet": (submitted_record(), "success"),
}


@pytest.mark.parametrize("what", STATES)
def test_the_state_of_an_edit(what: str) -> None:
    record, state = STATES[what]
    assert the_edit(instance(state=state, submitted=record)).state == what.partition(",")[0].split()[0]


@pytest.mark.parametrize("state", ["failed", "skipped", "upstream_failed"])
def test_an_edit_has_failed_when_who_waited_for_it_has_given_up(state: str) -> None:
    wait = instance("wait", "PhotoEditStatusSensor", state=state)
    assert the_edit(instance(returned=submitted_record()), wait).state == "failed"


def test_an_edit_goes_on_while_one_of_two_sensors_still_waits() -> None:
    found = of(
        instance("one", returned=submitted_record("edit_1")),
        instance("two", returned=submitted_record("edit_2")),
        instance("wait_one", "PhotoEditStatusSensor", state="failed"),
        instance("wait_two", "PhotoEditStatusSensor", state="running"),
    )
    assert [one.state for one in found] == ["running", "running"]


def test_a_mapped_sensor_that_failed_is_of_the_edit_with_its_index() -> None:
    found = of(
        *(instance(map_index=n, returned=submitted_record(f"edit_{n}")) for n in range(2)),
        instance("wait", "PhotoEditStatusSensor", map_index=1, state="failed"),
    )
    assert [one.state for one in found] == ["running", "failed"]


def test_nobody_knows_of_an_edit_whose_run_is_over() -> None:
    assert the_edit(instance(run_state="success", returned=submitted_record())).state == "unknown"


@pytest.mark.parametrize(
    ("state", "expected"), [("running", "running"), ("up_for_retry", "running"), ("failed", "failed")]
)
def test_a_task_that_has_told_nothing_is_an_edit_all_the_same(state: str, expected: str) -> None:
    found = the_edit(instance(state=state))
    assert (found.state, found.prompt, found.newest) == (expected, None, None)


@pytest.mark.parametrize("state", [None, "skipped", "upstream_failed", "removed", "success"])
def test_a_task_that_did_not_begin_or_told_nothing_in_success_is_no_edit(state: str | None) -> None:
    assert of(instance(state=state)) == []


def test_edits_of_a_batch_without_an_id_are_edits_each() -> None:
    error = {"type": "AluoOutOfCredits", "message": "no credits"}
    failed = edit_record(None, status="NOT_ACCEPTED", result_urls=[], error=error)
    found = of(instance(operator="PhotoEditBatchOperator", returned=[failed, edit_record("edit_1"), failed]))
    assert [(one.position, one.state) for one in found] == [(0, "failed"), (1, "succeeded"), (2, "failed")]


def test_plain_addresses_that_were_downloaded_are_no_edits() -> None:
    plain = edit_record(None, request=None, status="UNKNOWN", aluo_conn_id=None, files=[FILE])
    assert of(instance("land", "PhotoDownloadOperator", returned=plain)) == []


def test_an_edit_costs_what_was_taken_else_what_was_estimated_and_nothing_if_it_failed() -> None:
    assert the_edit(instance(returned=edit_record())).credits == (35, False)
    assert the_edit(instance(returned=submitted_record())).credits == (40, True)
    nothing = {"estimated": 40, "deducted": None, "remaining": None}
    failed = edit_record(status="FAILED", result_urls=[], credits=nothing)
    assert the_edit(instance(returned=failed)).credits == (None, False)


def test_xcoms_in_xcoms_are_unpacked() -> None:
    assert the_edit(instance(returned=json.dumps(json.dumps([edit_record()])))).prompt == "Make it blue"


GARBAGE = [
    None,
    7,
    "no JSON {",
    "[" * 5000,
    [],
    [[edit_record()]],
    {"result_urls": 3, "version": 1},
    {"result_urls": [], "version": 1},
    {"result_urls": [], "version": 1, "status": 5},
    {"results": "/x"},
    {"results": "/x", "start": -1, "end": "9", "edits": True, "sha256": None},
    {
        "version": 1,
        "result_urls": [],
        "status": "SUCCESS",
        "request": 7,
        "times": [],
        "credits": "x",
        "files": {},
    },
]


@pytest.mark.parametrize("value", GARBAGE, ids=range(len(GARBAGE)))
def test_what_people_made_of_an_xcom_is_as_if_it_were_not_there(value: Any) -> None:
    assert of(instance(returned=value, submitted=value, reviewed=value)) == []


def test_an_edit_of_odd_parts_is_shown_without_them() -> None:
    odd = edit_record(
        request={"prompt": 5, "image_urls": {}},
        times={"submitted_at": "soon", "completed_at": 4},
        credits={"deducted": "many", "estimated": float("inf")},
        files=[3, {"path": 1}],
        result_urls=[4, "https://cdn.example/a.png"],
    )
    found = the_edit(instance(returned=odd))
    assert (found.prompt, found.seconds, found.credits) == (None, None, (None, False))


def test_edits_come_in_the_order_of_task_map_index_and_position() -> None:
    found = of(
        instance("b", map_index=10, returned=edit_record("b10")),
        instance("b", map_index=2, returned=[edit_record("b2.0"), edit_record("b2.1")]),
        instance("a", returned=edit_record("a")),
    )
    assert [one.aluo_task_id for one in found] == ["a", "b2.0", "b2.1", "b10"]
