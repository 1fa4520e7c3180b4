"""The batch over several tries: nothing is paid twice, whatever ended the try before, and nothing is lost."""

import gc
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.execution_time.timeout import TimeoutPosix
from airflow.sdk.io import attach

import airflow_aluo
from airflow_aluo.airflow_names import AirflowFailException, AirflowTaskTimeout
from airflow_aluo.operators.photo_download import PhotoDownloadOperator
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.operators.photo_edit_batch import PhotoEditBatchOperator
from airflow_aluo.protocol.calls import Upload
from airflow_aluo.protocol.errors import (
    AluoEditFailed,
    AluoEditTimedOut,
    AluoError,
    AluoOutOfCredits,
    AluoRequestInvalid,
    AluoRequestRejected,
    AluoServerError,
    AluoUnauthorized,
    AluoUnknownOutcome,
)
from airflow_aluo.protocol.schemas import validator
from airflow_aluo.task_store import TaskStoreError
from tests.which_airflow import TaskDeferred

PHOTO = Path(airflow_aluo.__file__).parent / "sandbox" / "photos" / "coffee.jpg"
WAYS = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])


@pytest.fixture
def batch(sandbox: Any) -> Callable[..., PhotoEditBatchOperator]:
    """Makes a batch of the edits "number 0", "number 1", …"""

    def make(count: int = 4, **more: Any) -> PhotoEditBatchOperator:
        edits = [{"prompt": f"number {number}.", "image_urls": [sandbox.photo]} for number in range(count)]
        kwargs = {"task_id": "batch", "edits": edits, "poll_interval": 0.1} | more
        return PhotoEditBatchOperator(**kwargs)

    return make


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be stored is tried again soon."""
    monkeypatch.setattr("airflow_aluo.batch.memory.PAUSE", 0.02)


def fails(
    tasks: Any, task: Any, error: type[BaseException] = Exception, match: str | None = None
) -> BaseException:
    """Run a task that fails, then go on to its next try."""
    with pytest.raises(error, match=match) as caught:
        tasks.run(task)
    tasks.next_try()
    return caught.value


def entries(tasks: Any) -> dict[str, Any]:
    """What the store holds of the edits, in places; all of it is what the schema says."""
    found: dict[str, Any] = {}
    for key in tasks.store.values:
        value = tasks.store.get(key.partition("/")[2])
        validator("stored_batch").validate(value)
        found |= value.get("entries", {})
    return found


def ids(found: Any) -> list[str]:
    return [one["aluo_task_id"] for one in found]


def twice(sandbox: Any) -> Any:
    """The edits that were paid twice: those of the ledger's charges with the same prompt."""
    paid = [one["prompt"] for one in sandbox.ledger["charges"]]
    return sorted({prompt for prompt in paid if paid.count(prompt) > 1})


# --- what fails is tried again, and nothing else ---------------------------------------------------------

FAULTS: dict[str, tuple[dict[str, Any], type[AluoError]]] = {
    "the edit fails": ({"kind": "edit_fails"}, AluoEditFailed),
    "400": ({"kind": "http_status", "status": 400}, AluoRequestRejected),
    "a definite 500": ({"kind": "http_status", "status": 500}, AluoServerError),
}


@WAYS
@pytest.mark.parametrize("name", FAULTS)
def test_a_retry_submits_only_what_failed(
    sandbox: Any, tasks: Any, batch: Any, name: str, *, deferrable: bool
) -> None:
    fault, error = FAULTS[name]
    sandbox.fault(**fault, prompt="number 1.")
    task = batch(deferrable=deferrable)
    raised = fails(tasks, task, match=r"1 of 4 edits failed: \[1\] .* 3 are accepted by Aluo: a retry, ")
    assert isinstance(raised.__cause__, error)
    assert isinstance(raised, AirflowFailException) == error.final
    before = ids(entries(tasks)[place] for place in "023")
    found = tasks.run(task)
    assert [one["status"] for one in found] == ["SUCCESS"] * 4
    assert ids(found[place] for place in (0, 2, 3)) == before
    assert twice(sandbox) == []
    assert sandbox.calls.count("POST generate") == 5


@WAYS
def test_failures_are_returned_in_order_where_that_is_asked(
    sandbox: Any, tasks: Any, batch: Any, *, deferrable: bool
) -> None:
    sandbox.fault("edit_fails", prompt="number 0.", message="too dark")
    sandbox.fault("http_status", status=400, prompt="number 2.")
    found = tasks.run(batch(on_partial_failure="return", deferrable=deferrable))
    assert [one["status"] for one in found] == ["FAILED", "SUCCESS", "NOT_ACCEPTED", "SUCCESS"]
    assert [one.get("error", {}).get("type") for one in found] == [
        *("AluoEditFailed", None, "AluoRequestRejected", None)
    ]
    assert "too dark" in found[0]["error"]["message"]
    summary = tasks.ti.xcoms["batch", "summary"]
    assert (summary["succeeded"], summary["failed"]) == (2, 2)
    for one in found:
        validator("edit_record").validate(one)


def test_a_batch_of_which_nothing_succeeded_fails_in_any_case(sandbox: Any, tasks: Any, batch: Any) -> None:
    sandbox.fault("edit_fails", times=2)
    fails(tasks, batch(2, on_partial_failure="return"), match="2 of 2 edits failed")


def test_out_of_credits_stops_submitting_and_says_how_many_were_not_tried(
    sandbox: Any, tasks: Any, batch: Any, connections: Any
) -> None:
    key = "sk-0123456789abcdef-of-who-has-little"  # nobody else's edits are under way on it
    connections.set(sandbox.api_url, password=key)
    sandbox.control("PUT", f"accounts/{key}", {"plan": "pro", "balance": 70})
    task = batch(8, max_in_flight=1)
    raised = fails(
        tasks, task, AluoOutOfCredits, match=r"5 of 8 edits were not tried.*2 are accepted by Aluo"
    )
    assert raised.http_status == 402  # type: ignore[attr-defined]
    assert sandbox.calls.count("POST generate") == 3
    sandbox.control("PUT", f"accounts/{key}", {"balance": 10_000})
    assert len(tasks.run(task)) == 8
    assert sandbox.accepted == 8


def test_a_last_edit_without_credits_is_told_as_what_it_is(sandbox: Any, tasks: Any, batch: Any) -> None:
    sandbox.fault("http_status", status=402, prompt="number 3.")
    fails(tasks, batch(), AluoOutOfCredits, match=r"\[3\] AluoOutOfCredits")


def test_a_key_that_is_refused_ends_all_that_goes_on(sandbox: Any, tasks: Any, batch: Any) -> None:
    sandbox.settings(durations=100_000)
    sandbox.fault("http_status", on="status", status=401, times=None, skip=3)
    task = batch(80, max_in_flight=2, timeout=30)
    raised = fails(tasks, task, AirflowFailException, match="of 80 edits failed")
    assert isinstance(raised.__cause__, AluoUnauthorized)
    assert sandbox.calls.count("GET status") < 50  # not one for each of them


def test_a_photo_that_is_missing_in_a_store_fails_its_edit_only(
    tasks: Any, sandbox: Any, tmp_path: Path
) -> None:
    attach("memory", fs=fsspec.filesystem("memory"))
    missing = ObjectStoragePath("memory://photos/1.jpg")
    paths = [tmp_path / "0.jpg", missing, tmp_path / "2.jpg"]
    edits = [{"prompt": f"number {n}.", "image_files": [str(path)]} for n, path in enumerate(paths)]
    for number in (0, 2):
        (tmp_path / f"{number}.jpg").write_bytes(PHOTO.read_bytes())
    task = PhotoEditBatchOperator(task_id="batch", edits=edits, poll_interval=0.1)
    raised = fails(tasks, task, AirflowFailException, match=r"1 of 3 edits failed: \[1\] AluoRequestInvalid")
    assert isinstance(raised.__cause__, AluoRequestInvalid)
    assert "AluoRequestInvalid: an edit cannot be used, nothing was sent for it: image_files[0]" in str(
        raised
    )
    assert str(raised).count("photos/1.jpg") == 1
    missing.write_bytes(PHOTO.read_bytes())
    (tmp_path / "0.jpg").unlink()  # it was sent already
    tasks.next_try(cleared=True)
    assert len(tasks.run(task)) == 3
    assert sandbox.accepted == 3


@WAYS
def test_a_picture_that_does_not_land_is_landed_by_the_next_try(
    sandbox: Any, tasks: Any, batch: Any, tmp_path: Path, *, deferrable: bool
) -> None:
    sandbox.fault("html_picture", on="picture", prompt="number 1.")
    task = batch(3, destination=tmp_path, deferrable=deferrable)
    raised = fails(tasks, task, match=r"1 of 3 edits succeeded, but did not land: \[1\] AluoPictureError")
    assert "AluoPictureError: picture http" in str(raised)
    landed = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(landed) == 2
    found = tasks.run(task)
    assert [len(one["files"]) for one in found] == [1, 1, 1]
    assert landed.items() <= {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}.items()
    assert sandbox.accepted == 3


@WAYS
def test_an_edit_that_takes_too_long_is_waited_for_anew_when_cleared(
    sandbox: Any, tasks: Any, batch: Any, *, deferrable: bool
) -> None:
    sandbox.fault("word", on="status", word="WORKING", prompt="number 1.", times=None)
    task = batch(3, timeout=3, deferrable=deferrable)
    raised = fails(tasks, task, AirflowFailException, match=r"1 of 3 edits failed: \[1\] AluoEditTimedOut")
    assert isinstance(raised.__cause__, AluoEditTimedOut)
    sandbox.control("DELETE", "faults")
    tasks.next_try(cleared=True)
    assert len(tasks.run(task)) == 3
    assert sandbox.accepted == 3


# --- unknown outcomes ------------------------------------------------------------------------------------

LOST = pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_after"},
        {"kind": "html", "when": "after"},
        {"kind": "half_json", "when": "after"},
        {"kind": "half_reply", "when": "after"},
        {"kind": "success_without_task_id"},
    ],
    ids=lambda fault: fault["kind"],
)


@LOST
def test_an_unknown_outcome_is_not_sent_again_until_a_person_clears(
    sandbox: Any, tasks: Any, batch: Any, fault: Any
) -> None:
    sandbox.fault(**fault, prompt="number 1.")
    raised = fails(tasks, batch(), AirflowFailException, match=r"\[1\] AluoUnknownOutcome: nobody knows")
    assert isinstance(raised.__cause__, AluoUnknownOutcome)
    assert entries(tasks)["1"]["reported"]
    fails(tasks, batch(), AirflowFailException, match=r"1 of 4 edits failed: \[1\] AluoUnknownOutcome")
    assert sandbox.accepted == 4
    tasks.next_try(cleared=True)
    assert len(tasks.run(batch())) == 4
    assert sandbox.accepted == 5


def test_three_unknown_outcomes_in_a_row_stop_the_batch(sandbox: Any, tasks: Any, batch: Any) -> None:
    sandbox.fault("drop_after", skip=2, times=None)
    task = batch(12, max_in_flight=1)
    fails(tasks, task, AirflowFailException, match=r"3 of 12 edits failed.*7 of 12 edits were not tried")
    assert sandbox.accepted == 5
    sandbox.control("DELETE", "faults")
    tasks.next_try(cleared=True)
    assert len(tasks.run(task)) == 12
    assert sandbox.accepted == 15


def test_unknown_outcomes_of_a_try_before_do_not_stop_the_next_one(
    sandbox: Any, tasks: Any, batch: Any
) -> None:
    sandbox.fault("drop_after", times=4)
    fails(tasks, batch(10, max_in_flight=4), AirflowFailException, match="not tried")
    raised = fails(tasks, batch(10), AirflowFailException, match="edits failed")
    assert "not tried" not in str(raised)
    assert len([one for one in entries(tasks).values() if one.get("result_urls")]) >= 6


@WAYS
def test_an_unknown_outcome_that_is_to_be_resubmitted_is_left_to_the_next_try(
    sandbox: Any, tasks: Any, batch: Any, *, deferrable: bool
) -> None:
    sandbox.fault("drop_after", prompt="number 1.")
    task = batch(on_unknown_outcome="resubmit", deferrable=deferrable)
    raised = fails(tasks, task, AluoError, match="the next try submits once more")
    assert not isinstance(raised, AirflowFailException)
    assert sandbox.accepted == 4  # the resumed try did not send it again
    assert len(tasks.run(task)) == 4
    assert sandbox.accepted == 5


# --- clears ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("choice", "accepted"), [("auto", 6), ("new", 6), ("reuse", 3)])
def test_a_cleared_success_is_a_new_batch_unless_it_is_to_be_reused(
    sandbox: Any, tasks: Any, batch: Any, choice: str, accepted: int
) -> None:
    task = batch(3, on_clear=choice)
    first = tasks.run(task)
    tasks.next_try(cleared=True)
    again = tasks.run(task)
    assert (ids(again) == ids(first)) == (choice == "reuse")
    tasks.next_try()  # the retry that follows the clear is no other clear
    assert ids(tasks.run(task)) == ids(again)
    assert sandbox.accepted == accepted
    entries(tasks)


@pytest.mark.parametrize(("choice", "accepted"), [("auto", 4), ("new", 6), ("reuse", 4)])
def test_a_cleared_partial_failure_goes_on_unless_all_are_wanted_anew(
    sandbox: Any, tasks: Any, batch: Any, choice: str, accepted: int
) -> None:
    sandbox.fault("edit_fails", prompt="number 1.")
    task = batch(3, on_clear=choice)
    fails(tasks, task)
    tasks.next_try(cleared=True)
    assert len(tasks.run(task)) == 3
    assert sandbox.accepted == accepted


def test_what_was_returned_is_returned_once_more_without_a_call(tasks: Any, sandbox: Any, batch: Any) -> None:
    first = tasks.run(batch())
    calls = len(sandbox.calls)
    tasks.next_try()
    assert tasks.run(batch()) == first
    assert len(sandbox.calls) == calls


def test_landed_pictures_are_not_asked_for_after_a_clear(
    tasks: Any, sandbox: Any, batch: Any, tmp_path: Path
) -> None:
    sandbox.fault("edit_fails", prompt="number 1.")
    task = batch(3, destination=tmp_path)
    fails(tasks, task)
    tasks.next_try(cleared=True)
    before = len(sandbox.ledger["requests"])
    found = tasks.run(task)
    asked = [one for one in sandbox.ledger["requests"][before:] if one["path"].endswith("/status")]
    assert {one["aluo_task_id"] for one in asked} == {found[1]["aluo_task_id"]}


# --- another list ----------------------------------------------------------------------------------------


def prompts(*names: str, photo: str) -> list[dict[str, Any]]:
    return [{"prompt": name, "image_urls": [photo]} for name in names]


@pytest.mark.parametrize(
    ("now", "accepted"),
    [("dcba", 4), ("abxcd", 5), ("acd", 4), ("ad", 4), ("xabcd", 5), ("ddcba", 5)],
)
def test_another_order_of_edits_pays_only_new_ones(sandbox: Any, tasks: Any, now: str, accepted: int) -> None:
    sandbox.fault("http_status", status=400, prompt="z")

    def task(names: str) -> Any:
        edits = prompts(*names, photo=sandbox.photo)
        return PhotoEditBatchOperator(task_id="batch", edits=edits, poll_interval=0.1)

    fails(tasks, task("abcdz"), AirflowFailException)
    found = tasks.run(task(now))
    assert [one["request"]["prompt"] for one in found] == list(now)
    assert len(set(ids(found))) == len(now)
    assert sandbox.accepted == accepted
    tasks.next_try()
    assert tasks.run(task(now)) == found


def test_a_prompt_that_names_the_try_is_not_paid_each_try(sandbox: Any, tasks: Any) -> None:
    edits = prompts(*(f"{{{{ ti.try_number }}}} times {name}" for name in "abc"), photo=sandbox.photo)
    task = PhotoEditBatchOperator(task_id="batch", edits=edits, poll_interval=0.1)
    sandbox.fault("edit_fails", prompt="times b")
    fails(tasks, task)
    raised = fails(tasks, task, AirflowFailException, match="2 of 3 edits failed")
    assert "this try asks with another prompt" in str(raised)
    assert sandbox.accepted == 4  # the failed one is free
    tasks.next_try(cleared=True)
    assert len(tasks.run(task)) == 3


def test_the_same_edit_twice_in_a_list_is_two_edits_in_every_try(sandbox: Any, tasks: Any) -> None:
    edits = prompts("same", "same", "other", "same", photo=sandbox.photo)
    task = PhotoEditBatchOperator(task_id="batch", edits=edits, poll_interval=0.1)
    sandbox.fault("edit_fails", prompt="other")
    fails(tasks, task)
    found = tasks.run(task)
    assert len(set(ids(found))) == 4
    assert sandbox.accepted == 5


# --- the store -------------------------------------------------------------------------------------------


def failing(what: str, times: int = 99, skip: int = 0) -> Callable[[str], object]:
    """Let some calls of a store fail."""
    left = [skip, times]

    def before(done: str) -> None:
        if done.startswith(what):
            if left[0]:
                left[0] -= 1
            elif left[1]:
                left[1] -= 1
                raise OSError("the API server is gone")

    return before


def test_a_store_that_cannot_be_read_fails_the_try_before_anything_is_sent(
    sandbox: Any, tasks: Any, batch: Any
) -> None:
    tasks.store.before = failing("get")
    fails(tasks, batch(), TaskStoreError, match="does not know what earlier ones have done")
    assert sandbox.calls == []


def test_nothing_is_sent_without_a_stored_intent(
    sandbox: Any, tasks: Any, batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_aluo.batch.memory.PATIENCE", 0.2)
    tasks.store.before = failing("set aluo_batch_")
    fails(tasks, batch(8), TaskStoreError, match=r"not tried, nothing was sent.*store could not be written")
    assert "POST generate" not in sandbox.calls
    tasks.store.before = lambda _: None
    assert len(tasks.run(batch(8))) == 8
    assert sandbox.accepted == 8


def test_an_id_that_cannot_be_stored_is_stored_as_soon_as_it_can_be(
    sandbox: Any, tasks: Any, batch: Any, logs: list[str]
) -> None:
    tasks.store.before = failing("set aluo_batch_", times=3, skip=1)
    assert len(tasks.run(batch(5, max_in_flight=1))) == 5
    told = [line for line in logs if "could not be remembered, trying again" in line]
    assert len(told) == 1
    assert told[0].startswith("error: edit ")
    assert sandbox.accepted == 5
    assert all("aluo_task_id" in one for one in entries(tasks).values())


def test_the_slot_of_an_id_that_is_not_stored_is_held(sandbox: Any, tasks: Any, batch: Any) -> None:
    accepted: list[int] = []

    def before(what: str) -> None:
        if what.startswith("set aluo_batch_") and sandbox.accepted and len(accepted) < 5:
            accepted.append(sandbox.accepted)
            raise OSError("gone")

    tasks.store.before = before
    assert len(tasks.run(batch(5, max_in_flight=1))) == 5
    assert accepted == [1] * 5


def test_all_calls_of_the_store_in_the_event_loop_come_from_one_thread(
    sandbox: Any, tasks: Any, batch: Any
) -> None:
    threads = set()
    tasks.store.before = lambda what: threads.add(threading.current_thread().name) if "_0_" in what else None
    tasks.run(batch(20))
    assert {name.rpartition("_")[0] for name in threads - {"MainThread"}} == {"aluo-task-store"}
    assert len(threads - {"MainThread"}) == 1
    assert sandbox.accepted == 20


@pytest.mark.usefixtures("no_store")
@WAYS
def test_an_airflow_without_a_store_is_told_about_once(
    tasks: Any, batch: Any, logs: list[str], *, deferrable: bool
) -> None:
    assert len(tasks.run(batch(deferrable=deferrable))) == 4
    assert sum("this Airflow has no task state store" in line for line in logs) == 1
    assert tasks.left == []  # what cannot be remembered is not left to the triggerer


def test_that_it_was_returned_need_not_be_stored(tasks: Any, batch: Any, logs: list[str]) -> None:
    heads = failing("set aluo_batch", skip=1)
    tasks.store.before = lambda what: heads(what) if what == "set aluo_batch" else None
    assert len(tasks.run(batch(2))) == 2
    assert any("a clear of this task will return these edits once more" in line for line in logs)


def test_what_is_nothing_of_ours_is_never_taken_for_nothing(sandbox: Any, tasks: Any, batch: Any) -> None:
    tasks.store.task_id = "batch"
    tasks.store.set("aluo_batch", {"version": 2})
    fails(tasks, batch(), AirflowFailException, match="delete it there to submit, and pay, anew")
    assert sandbox.calls == []


# --- who would end the task ------------------------------------------------------------------------------


def strikes_when(number: signal.Signals, so: Callable[[], bool]) -> None:
    """Send this process a signal as soon as something is so, however slow the machine is."""

    def watch() -> None:
        ends_at = time.monotonic() + 60
        while not so():
            if time.monotonic() > ends_at:
                return
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    threading.Thread(target=watch, daemon=True).start()


def test_execution_timeout_strikes_once_all_answers_are_remembered(
    sandbox: Any, tasks: Any, batch: Any
) -> None:
    sandbox.fault("latency", seconds=3.0, times=None)
    task = batch(20, max_in_flight=6)
    strikes_when(signal.SIGALRM, lambda: sandbox.calls.count("POST generate") == 6)
    with pytest.raises(AirflowTaskTimeout), TimeoutPosix(60):
        tasks.run(task)
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert sandbox.accepted == 6
    assert sum("aluo_task_id" in one for one in entries(tasks).values()) == 6
    sandbox.control("DELETE", "faults")
    tasks.next_try()
    assert len(tasks.run(task)) == 20
    assert sandbox.accepted == 20


def test_execution_timeout_strikes_in_the_wait(sandbox: Any, tasks: Any, batch: Any) -> None:
    sandbox.settings(durations=6_000)
    strikes_when(signal.SIGALRM, lambda: sandbox.accepted == 4)
    with pytest.raises(AirflowTaskTimeout), TimeoutPosix(60):
        tasks.run(batch())
    assert sandbox.ledger["totals"]["succeeded"] == 0  # nobody waited for them
    tasks.next_try()
    assert len(tasks.run(batch())) == 4
    assert sandbox.accepted == 4


def test_execution_timeout_does_not_wait_for_a_turn(
    sandbox: Any, tasks: Any, batch: Any, connections: Any
) -> None:
    sandbox.settings(durations=100_000)
    with pytest.raises(AirflowTaskTimeout), TimeoutPosix(1):
        tasks.run(batch(12))
    connections.set(sandbox.api_url, requests_per_minute=5)
    tasks.next_try()
    began = time.monotonic()
    with pytest.raises(AirflowTaskTimeout), TimeoutPosix(1):  # most wait for a turn to be looked at
        tasks.run(batch(14))
    assert time.monotonic() - began < 10  # a turn comes every twelve
    assert sandbox.accepted < 14


@pytest.mark.parametrize("after", [0, 1])
def test_who_is_told_to_end_submits_no_more_and_is_gone_on_with(
    sandbox: Any, tasks: Any, batch: Any, after: int
) -> None:
    sandbox.fault("latency", seconds=1.0, times=None)
    running: list[PhotoEditBatchOperator] = []

    class Killed(PhotoEditBatchOperator):
        def execute(self, context: Any) -> Any:
            running.append(self)
            if not after:
                self.on_kill()
            return super().execute(context)

    task = batch(12, max_in_flight=2)
    killed = Killed(task_id="batch", edits=task.edits, poll_interval=0.1, max_in_flight=2)
    before = signal.signal(signal.SIGTERM, lambda *_: running[0].on_kill())
    try:
        if after:
            strikes_when(signal.SIGTERM, lambda: sandbox.accepted >= after)
        with pytest.raises(AluoError, match="told to end"):
            tasks.run(killed)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (sandbox.accepted == 0) if not after else (0 < sandbox.accepted < 12)
    assert sum("aluo_task_id" in one for one in entries(tasks).values()) == sandbox.accepted
    tasks.next_try()
    sandbox.control("DELETE", "faults")
    assert len(tasks.run(task)) == 12
    assert sandbox.accepted == 12


def test_a_pause_after_a_refusal_is_not_waited_out_once_the_task_is_over(
    sandbox: Any, tasks: Any, batch: Any
) -> None:
    sandbox.fault("http_status", status=429, retry_after="30", times=None)
    began = time.monotonic()
    with pytest.raises(AirflowTaskTimeout), TimeoutPosix(1):
        tasks.run(batch(6))
    assert time.monotonic() - began < 20
    assert not any(one["stage"] == "intent" for one in entries(tasks).values())


def dies_waiting(sandbox: Any, tasks: Any, task: Any) -> None:
    strikes_when(signal.SIGALRM, lambda: sandbox.accepted == len(task.edits))
    with pytest.raises(AirflowTaskTimeout), TimeoutPosix(60):
        tasks.run(task)
    tasks.next_try()


def test_an_edit_that_failed_while_nobody_looked_is_submitted_anew(
    sandbox: Any, tasks: Any, batch: Any
) -> None:
    sandbox.settings(durations=2_000)
    sandbox.fault("edit_fails", prompt="number 1.")
    dies_waiting(sandbox, tasks, batch())
    sandbox.settings(durations=10)
    while len([one for one in sandbox.ledger["entries"] if one["finished_at"]]) < 4:
        time.sleep(0.1)
    found = tasks.run(batch())
    assert [one["status"] for one in found] == ["SUCCESS"] * 4
    assert sandbox.accepted == 5


def test_an_edit_that_aluo_knows_no_more_is_submitted_anew_only_when_cleared(
    sandbox: Any, tasks: Any, batch: Any, clock: Any
) -> None:
    sandbox.settings(durations=100_000)
    dies_waiting(sandbox, tasks, batch(1))
    clock.shift(61)
    sandbox.fault("http_status", on="status", status=404, times=2)
    fails(tasks, batch(1), AirflowFailException, match="AluoRequestRejected: Aluo accepted this edit as")
    assert sandbox.accepted == 1
    sandbox.settings(durations=10)
    tasks.next_try(cleared=True)
    assert len(tasks.run(batch(1))) == 1
    assert sandbox.accepted == 2


def test_a_person_who_breaks_it_off_does_not_lose_what_is_being_submitted(
    sandbox: Any, tasks: Any, batch: Any
) -> None:
    sandbox.fault("latency", seconds=3.0, times=None)
    strikes_when(signal.SIGINT, lambda: sandbox.calls.count("POST generate") == 3)
    with pytest.raises(KeyboardInterrupt):
        tasks.run(batch(9, max_in_flight=3))
    assert sandbox.accepted == 3
    assert sum("aluo_task_id" in one for one in entries(tasks).values()) == 3


def test_whatever_goes_wrong_with_one_edit_fails_it_alone(
    sandbox: Any, tasks: Any, batch: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    troubles = iter(["a library's own trouble"])
    link = os.link

    def troubled(*given: Any, **options: Any) -> None:
        for trouble in troubles:
            raise RuntimeError(trouble)
        link(*given, **options)

    monkeypatch.setattr("os.link", troubled)
    said = (
        r"1 of 4 edits succeeded, but did not land: \[\d\] AluoPictureError: .* RuntimeError: a library's own"
    )
    fails(tasks, batch(destination=tmp_path), match=said)
    assert sandbox.accepted == 4


# --- the triggerer ---------------------------------------------------------------------------------------


def test_more_edits_than_a_trigger_takes_are_waited_for_in_pieces(
    sandbox: Any, tasks: Any, batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_aluo.batch.task.PIECE", 6)
    sandbox.settings(durations=(4000, 6000))  # so that a busy machine sees them run
    sandbox.fault("edit_fails", prompt="number 3.")
    task = batch(20, deferrable=True)
    with pytest.raises(AluoError, match=r"1 of 20 edits failed: \[3\] AluoEditFailed"):
        tasks.run(task)
    sizes = [len(one.trigger.serialize()[1]["edits"]) for one in tasks.left]
    assert sizes[0] == max(sizes) == 6
    assert len(sizes) <= 8
    assert sandbox.accepted == 20
    assert sandbox.calls.count("POST generate") == 20
    tasks.next_try()
    assert len(tasks.run(task)) == 20
    assert sandbox.accepted == 21


def test_an_event_carries_a_bounded_load_and_the_rest_comes_in_the_next_one(
    sandbox: Any, tasks: Any, batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_aluo.triggers.photo_edit.MOST_IN_EVENT", 1_000)
    sandbox.fault("word", on="status", word="WORKING", times=None)  # until all is left to the triggerer
    task = batch(12, deferrable=True)
    deferrals: list[Any] = []
    event = tasks.event

    def fired(one: Any) -> Any:
        sandbox.control("DELETE", "faults")
        deferrals.append(event(one))
        return deferrals[-1]

    monkeypatch.setattr(tasks, "event", fired)
    assert len(tasks.run(task)) == 12
    assert 0 < len(deferrals[0]["batch"]) < 12
    assert all(len(str(one)) < 1_400 for one in deferrals)
    assert sandbox.accepted == 12


def test_addresses_too_long_to_be_stored_do_not_send_it_round_in_circles(
    sandbox: Any, tasks: Any, batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_aluo.batch.task.PIECE", 5)
    monkeypatch.setattr("airflow_aluo.batch.remembered.MOST_BYTES", 9_000)
    sandbox.settings(durations=(300, 900))
    found = tasks.run(batch(20, deferrable=True))
    assert all(one["result_urls"] for one in found)
    assert len(tasks.left) <= 8
    assert sandbox.accepted == 20


def deferred(sandbox: Any, tasks: Any, task: Any) -> None:
    sandbox.fault("word", on="status", word="WORKING", times=None)
    with pytest.raises(TaskDeferred):
        tasks.start(task)
    sandbox.control("DELETE", "faults")


@pytest.mark.parametrize("event", [None, "success", {}, {"batch": {}}, {"batch": 3}])
def test_an_event_that_says_nothing_is_followed_by_a_wait_here(
    sandbox: Any, tasks: Any, batch: Any, event: Any
) -> None:
    task = batch(3, deferrable=True)
    deferred(sandbox, tasks, task)
    assert len(tasks.resume(task, "execute_complete", {"event": event})) == 3
    assert sandbox.accepted == 3


def test_what_the_triggerer_could_not_see_is_looked_at_here(sandbox: Any, tasks: Any, batch: Any) -> None:
    task = batch(3, deferrable=True)
    deferred(sandbox, tasks, task)
    error = {"error": {"type": "AluoConnectionError", "message": "no reply", "facts": {"sent": True}}}
    event = {"batch": {one["aluo_task_id"]: error for one in entries(tasks).values()}}
    assert len(tasks.resume(task, "execute_complete", {"event": event})) == 3


def test_a_deferral_that_times_out_is_gone_on_with_here(sandbox: Any, tasks: Any, batch: Any) -> None:
    sandbox.fault("http_status", status=400, prompt="number 2.")
    task = batch(deferrable=True, on_partial_failure="return")
    deferred(sandbox, tasks, task)
    found = tasks.resume(task, "__fail__", {"error": "Trigger timeout"})
    assert [one["status"] for one in found] == ["SUCCESS", "SUCCESS", "NOT_ACCEPTED", "SUCCESS"]
    assert sandbox.calls.count("POST generate") == 4  # what failed in this try is not sent again in it


def test_what_the_trigger_holds_is_small_and_holds_no_key(
    sandbox: Any, tasks: Any, batch: Any, connections: Any
) -> None:
    sandbox.settings(durations=2_000)
    with pytest.raises(TaskDeferred) as caught:
        tasks.start(batch(100, deferrable=True))
    arguments = str(caught.value.trigger.serialize())
    assert len(arguments) < 32_000
    assert connections.key not in arguments + str(tasks.store.values)
    assert sandbox.accepted == 100


@pytest.mark.usefixtures("no_store")
def test_without_a_store_a_failure_after_a_submit_is_final_and_names_the_edits(
    sandbox: Any, tasks: Any, batch: Callable[..., PhotoEditBatchOperator]
) -> None:
    sandbox.fault("edit_fails", on="generate", times=1)
    with pytest.raises(AirflowFailException, match=r"pay, all edits again.*edit_\d+, edit_\d+"):
        tasks.run(batch(3))
    assert sandbox.accepted == 3


def test_a_resumed_try_submits_nothing_that_was_not_asked_for_before(
    sandbox: Any, tasks: Any, tmp_path: Path
) -> None:
    sandbox.settings(durations=1_500)  # so that a busy machine sees them run
    file = tmp_path / "edits.jsonl"
    lines = [json.dumps({"prompt": f"Make it {n}", "image_urls": [sandbox.photo]}) for n in range(3)]
    file.write_text("\n".join(lines[:2]))
    task = PhotoEditBatchOperator(task_id="batch", edits=str(file), deferrable=True, poll_interval=0.2)
    with pytest.raises(TaskDeferred) as deferred:
        tasks.start(task)
    event = tasks.event(deferred.value)
    file.write_text("\n".join(lines))
    with pytest.raises(AirflowFailException, match="others than before"):
        tasks.resume(task, deferred.value.method_name, {"event": event})
    assert sandbox.accepted == 2
    tasks.next_try(cleared=True)
    assert len(tasks.run(task)) == 3
    assert sandbox.accepted == 3


def test_a_resumed_try_that_asks_for_fewer_forgets_nothing(sandbox: Any, tasks: Any, tmp_path: Path) -> None:
    sandbox.settings(durations=1_500)  # so that a busy machine sees them run
    file = tmp_path / "edits.jsonl"
    lines = [json.dumps({"prompt": f"Make it {n}", "image_urls": [sandbox.photo]}) for n in range(3)]
    file.write_text("\n".join(lines))
    task = PhotoEditBatchOperator(task_id="batch", edits=str(file), deferrable=True, poll_interval=0.2)
    with pytest.raises(TaskDeferred) as deferred:
        tasks.start(task)
    event = tasks.event(deferred.value)
    file.write_text("\n".join(lines[:2]))
    with pytest.raises(AirflowFailException, match="others than before"):
        tasks.resume(task, deferred.value.method_name, {"event": event})
    file.write_text("\n".join(lines))
    tasks.next_try(cleared=True)
    assert len(tasks.run(task)) == 3
    assert sandbox.accepted == 3


@WAYS
def test_a_retry_that_asks_for_fewer_forgets_nothing(
    sandbox: Any, tasks: Any, batch: Any, *, deferrable: bool
) -> None:
    sandbox.fault("edit_fails", prompt="number 0.", times=2)
    fails(tasks, batch(3, deferrable=deferrable), AluoError, "1 of 3 edits failed")
    fails(tasks, batch(2, deferrable=deferrable), AluoError, "1 of 2 edits failed")
    assert len(tasks.run(batch(3, deferrable=deferrable))) == 3
    assert sandbox.accepted == 5
    assert twice(sandbox) == []


def test_an_edit_that_was_not_tried_is_not_told_as_the_one_before_it(
    sandbox: Any, tasks: Any, batch: Any
) -> None:
    sandbox.fault("edit_fails", prompt="number 0.")
    fails(tasks, batch(3, on_clear="new"), AluoError, r"1 of 3 edits failed.* 2 are accepted by Aluo")
    tasks.next_try(cleared=True)
    sandbox.fault("http_status", status=402, code=-4, times=None)
    task = batch(3, on_clear="new", on_partial_failure="return", max_in_flight=1)
    with pytest.raises(AluoOutOfCredits, match="were not tried, nothing was sent for them") as caught:
        tasks.run(task)
    assert "accepted by Aluo" not in str(caught.value)
    summary = tasks.ti.xcoms["batch", "summary"]
    assert (summary["pictures"], summary["errors"]) == (0, {"AluoOutOfCredits": 3})


def test_photos_are_held_no_longer_than_their_submit(sandbox: Any, tasks: Any, tmp_path: Path) -> None:
    photos = [tmp_path / f"held-{number}.jpg" for number in range(6)]
    for photo in photos:
        photo.write_bytes(PHOTO.read_bytes())
    sandbox.settings(durations=5_000)
    held: list[int] = []

    def count() -> None:
        while sandbox.accepted < len(photos):
            time.sleep(0.02)
        while not held or (held[-1] > 1 and not sandbox.ledger["totals"]["succeeded"]):
            time.sleep(0.1)
            gc.collect()
            uploads = [one for one in gc.get_objects() if type(one) is Upload]
            held.append(sum(one.name.startswith("held-") for one in uploads))

    edits = [{"prompt": "Make it blue", "image_files": [str(photo)]} for photo in photos]
    task = PhotoEditBatchOperator(task_id="batch", edits=edits, poll_interval=0.5)
    counting = threading.Thread(target=count, daemon=True)
    counting.start()
    assert len(tasks.run(task)) == len(photos)
    counting.join()
    assert held[-1] <= 1  # of the loop that submits


# --- what succeeded, and did not land ---------------------------------------------------------------------


@WAYS
def test_pictures_that_did_not_land_are_paid_and_land_in_the_next_try(
    sandbox: Any, tasks: Any, batch: Any, tmp_path: Path, *, deferrable: bool
) -> None:
    said = (
        r"4 of 4 edits succeeded, but did not land: \[0\] AluoPictureError: .*. 4 are accepted by Aluo: a "
        r"retry, or a clear of this failed task, does not pay them again, and gets what is missing of them$"
    )
    options = {"destination": str(tmp_path), "deferrable": deferrable}
    fails(tasks, batch(max_bytes=10, **options), AluoError, said)
    found = tasks.run(batch(**options))
    assert [len(one["files"]) for one in found] == [1] * 4
    assert not any("error" in one for one in found)
    assert sandbox.calls.count("POST generate") == 4


@WAYS
def test_what_a_batch_could_not_land_a_download_lands(
    sandbox: Any, tasks: Any, batch: Any, tmp_path: Path, *, deferrable: bool
) -> None:
    sandbox.fault("edit_fails", prompt="number 0.")
    options = {"destination": str(tmp_path), "deferrable": deferrable, "on_partial_failure": "return"}
    found = tasks.run(batch(3, max_bytes=10, **options))
    summary = tasks.ti.xcoms["batch", "summary"]
    counts = {name: summary[name] for name in ("succeeded", "not_landed", "failed", "under_way", "pictures")}
    assert counts == {"succeeded": 2, "not_landed": 2, "failed": 1, "under_way": 0, "pictures": 2}
    assert summary["errors"] == {"AluoEditFailed": 1, "AluoPictureError": 2}
    landed = tasks.run(PhotoDownloadOperator(task_id="land", edits=found, destination=tmp_path))
    assert [len(one["files"]) for one in landed] == [1, 1]
    assert not any("error" in one for one in landed)


# --- files to upload ----------------------------------------------------------------------------------------


@WAYS
def test_only_the_files_of_what_is_to_be_submitted_must_be_there(
    sandbox: Any, tasks: Any, batch: Any, tmp_path: Path, *, deferrable: bool
) -> None:
    paths = [tmp_path / f"{number}.jpg" for number in range(3)]
    for path in paths:
        path.write_bytes(PHOTO.read_bytes())
    edits = [{"prompt": f"number {number}.", "image_files": [str(path)]} for number, path in enumerate(paths)]
    task = batch(edits=edits, deferrable=deferrable)
    sandbox.fault("edit_fails", prompt="number 1.")
    fails(tasks, task, AluoError)
    paths[0].unlink()
    paths[1].rename(tmp_path / "elsewhere.jpg")
    before = sandbox.calls
    raised = fails(
        tasks, task, AirflowFailException, r"nothing was sent: \[1\] image_files\[0\]: '/.*/1\.jpg'; "
    )
    assert str(raised).endswith("expected a file that this worker can read (there is none)")
    assert sandbox.calls == before
    (tmp_path / "elsewhere.jpg").rename(paths[1])
    assert len(tasks.run(task)) == 3
    assert sandbox.calls.count("POST generate") == 4


@WAYS
def test_the_photo_at_the_start_of_a_chain_survives_the_tries(
    sandbox: Any, tasks: Any, batch: Any, tmp_path: Path, *, deferrable: bool
) -> None:
    first = PhotoEditOperator(
        task_id="first", prompt="Cut it out", image_urls=sandbox.photo, poll_interval=0.1
    )
    landed = tasks.run(
        PhotoDownloadOperator(task_id="land", edits=tasks.run(first), destination=tmp_path / "steps")
    )
    options = {"photos": [landed], "prompts": ["number 0.", "number 1."], "edits": None}
    task = batch(destination=str(tmp_path), deferrable=deferrable, **options)
    sandbox.fault("edit_fails", prompt="number 1.")
    fails(tasks, task, AluoError)
    found = tasks.run(task)
    assert [one["source"] for one in found] == [sandbox.photo] * 2
    named = PhotoDownloadOperator(
        task_id="named", edits=found, destination=tmp_path / "named", name="{photo}-{position}.{ext}"
    )
    tasks.run(named)
    assert sorted(path.name for path in (tmp_path / "named").iterdir()) == ["coffee-0.png", "coffee-1.png"]
