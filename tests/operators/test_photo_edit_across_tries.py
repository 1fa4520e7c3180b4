"""The operator over several tries: what is remembered is gone on with, whatever ended the try before."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import airflow_aluo
from airflow_aluo.airflow_names import AirflowFailException, AirflowTaskTimeout
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.protocol import record
from airflow_aluo.protocol.errors import (
    AluoConnectionError,
    AluoEditFailed,
    AluoEditTimedOut,
    AluoError,
    AluoOutOfCredits,
    AluoRequestInvalid,
    AluoRequestRejected,
    AluoServerError,
    AluoUnknownOutcome,
)
from airflow_aluo.task_store import TaskStoreError
from tests.which_airflow import TaskDeferred

PHOTO = Path(airflow_aluo.__file__).parent / "sandbox" / "photos" / "coffee.jpg"
PICTURE = "https://cdn.example/a.png"
URL = "https://photos.example/a.png"
ACCEPTED = {"code": 0, "success": True, "data": {"taskId": "edit_1"}}
AGAIN = {"code": 0, "success": True, "data": {"taskId": "edit_2"}}
POST = "POST /photo-editor/generate"

WAYS = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])


def edit(**kwargs: Any) -> PhotoEditOperator:
    more = {"task_id": "edit", "prompt": "Make it blue", "image_urls": URL, "poll_interval": 0.1}
    return PhotoEditOperator(**more | kwargs)


def posts(played: Any) -> int:
    return [what for what, _ in played.requests].count(POST)


def stored(tasks: Any) -> Any:
    return tasks.store.get("aluo_edit")


def kill(*_: object) -> None:
    """End the worker as kill -9 does: nothing of ours sees it."""
    raise SystemExit(9)


def arrived(played: Any) -> None:
    """Wait until the server has read the submit."""
    while not posts(played):
        time.sleep(0.01)


def dies_waiting(tasks: Any, task: PhotoEditOperator) -> None:
    """Run a task until its worker dies in the wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.sleep", kill)
        with pytest.raises(SystemExit):
            tasks.run(task)
    tasks.next_try()


# --- the order of what is stored -------------------------------------------------------------------------


@WAYS
def test_the_store_is_asked_and_told_in_the_order_that_loses_nothing(
    played: Any, tasks: Any, *, deferrable: bool
) -> None:
    played.reply(200, ACCEPTED, meanwhile=lambda: tasks.store.done.append("POST"))
    played.status("SUCCESS", PICTURE)
    tasks.run(edit(deferrable=deferrable))
    stages = [what for what in tasks.store.done if what != "get aluo_edit"]
    assert stages == ["set aluo_edit", "POST", "set aluo_edit", "set aluo_edit"]
    assert stored(tasks)["stage"] == "returned"
    assert stored(tasks)["record"]["result_urls"] == [PICTURE]


def test_what_is_stored_holds_no_key_and_no_signature(played: Any, connections: Any, tasks: Any) -> None:
    played.reply(200, ACCEPTED)
    tasks.start(edit(image_urls=URL, wait_for_completion=False))
    assert connections.key not in str(tasks.store.values)


# --- the worker dies -------------------------------------------------------------------------------------


@WAYS
def test_an_accepted_edit_is_waited_for_by_the_next_try(played: Any, tasks: Any, *, deferrable: bool) -> None:
    played.reply(200, ACCEPTED)
    dies_waiting(tasks, edit())
    task = edit(deferrable=deferrable)
    deadline = stored(tasks)["deadline"]
    played.anew()
    played.status("WORKING")
    played.status("SUCCESS", PICTURE)
    found = tasks.run(task)
    assert (found["aluo_task_id"], found["result_urls"]) == ("edit_1", [PICTURE])
    assert found["request"]["prompt"] == "Make it blue"
    assert posts(played) == 1
    assert stored(tasks)["deadline"] == deadline


@pytest.mark.parametrize("running", [True, False], ids=["running", "no-answer"])
def test_the_next_tries_look_counts_only_if_it_found_the_edit_running(
    played: Any, tasks: Any, *, running: bool
) -> None:
    played.reply(200, ACCEPTED)
    dies_waiting(tasks, edit())
    played.anew()
    played.status("WORKING") if running else played.reply(502, b"<html>")
    played.status("SUCCESS", PICTURE)
    before = time.time()
    with pytest.raises(TaskDeferred) as caught:
        tasks.start(edit(deferrable=True, poll_interval=30))
    rule = caught.value.trigger.rule
    assert (rule.looked_at >= before) if running else rule.looked_at == 0
    assert rule.first_look_at == pytest.approx(before + 30, abs=5)


def test_a_limit_that_the_next_tries_look_meets_is_kept(played: Any, tasks: Any) -> None:
    played.reply(200, ACCEPTED)
    dies_waiting(tasks, edit())
    played.anew()
    played.refuse(429, -1, headers={"Retry-After": "200"})
    before = time.time()
    with pytest.raises(TaskDeferred) as caught:
        tasks.start(edit(deferrable=True, poll_interval=None))
    assert caught.value.trigger.rule.first_look_at == pytest.approx(before + 200, abs=5)


@pytest.mark.parametrize("step", ["set aluo_edit 1", "POST", "set aluo_edit 2", "set aluo_edit 3"])
def test_a_death_at_any_step_never_pays_twice(played: Any, tasks: Any, step: str) -> None:
    seen: dict[str, int] = {}

    def dies(what: str) -> None:
        seen[what] = seen.get(what, 0) + 1
        if f"{what} {seen[what]}" == step:
            kill()

    tasks.store.before = dies
    played.reply(200, ACCEPTED)
    played.status("SUCCESS", PICTURE)
    with pytest.MonkeyPatch.context() as patch:
        if step == "POST":
            patch.setattr("http.client.HTTPConnection.getresponse", lambda *_: kill(arrived(played)))
        with pytest.raises(SystemExit):
            tasks.run(edit())
    tasks.store.before = lambda _: None
    tasks.next_try()
    if step in {"POST", "set aluo_edit 2"}:
        with pytest.raises(AirflowFailException, match="nobody knows whether Aluo accepted this edit"):
            tasks.run(edit())
        assert stored(tasks)["reported"]
    else:
        assert tasks.run(edit())["status"] == "SUCCESS"
    assert posts(played) == 1


def test_what_was_returned_is_returned_once_more_without_a_call(played: Any, tasks: Any) -> None:
    played.reply(200, ACCEPTED)
    played.status("SUCCESS", PICTURE)
    first = tasks.run(edit())
    asked = len(played.requests)
    tasks.next_try()
    assert tasks.run(edit()) == first
    assert len(played.requests) == asked
    assert tasks.ti.xcoms["edit", "result_urls"] == [PICTURE]


def test_an_edit_that_is_not_waited_for_is_returned_once_more(played: Any, tasks: Any) -> None:
    played.reply(200, ACCEPTED)
    task = edit(wait_for_completion=False)
    first = tasks.run(task)
    tasks.next_try()
    assert tasks.run(task) == first
    assert posts(played) == 1


# --- a person clears -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("choice", "submits"), [("auto", 2), ("new", 2), ("reuse", 1)])
def test_a_cleared_success_is_a_new_edit_unless_it_is_to_be_reused(
    played: Any, tasks: Any, choice: str, submits: int
) -> None:
    played.reply(200, ACCEPTED)
    played.status("SUCCESS", PICTURE)
    task = edit(on_clear=choice)
    tasks.run(task)
    tasks.next_try(cleared=True)
    played.anew()
    if submits == 2:
        played.reply(200, AGAIN)
    played.status("SUCCESS", PICTURE)
    assert tasks.run(task)["aluo_task_id"] == f"edit_{submits}"
    assert posts(played) == submits
    tasks.next_try()  # the automatic retry after the clear is no other clear
    tasks.run(task)
    assert posts(played) == submits


def test_a_cleared_timeout_goes_on_with_the_same_edit_and_a_new_deadline(played: Any, tasks: Any) -> None:
    played.reply(200, ACCEPTED)
    played.status("WORKING")
    task = edit(timeout=0.3)
    with pytest.raises(AirflowFailException, match="clear this task to go on with it") as caught:
        tasks.run(task)
    assert isinstance(caught.value.__cause__, AluoEditTimedOut)
    tasks.next_try(cleared=True)
    played.anew()
    played.status("WORKING")
    played.status("SUCCESS", PICTURE)
    assert tasks.run(task)["status"] == "SUCCESS"
    assert posts(played) == 1


def test_an_unknown_outcome_is_told_once_and_submitted_anew_when_cleared(played: Any, tasks: Any) -> None:
    played.reply(503, b"<html>")
    with pytest.raises(AirflowFailException, match="nobody knows") as caught:
        tasks.run(edit())
    assert isinstance(caught.value.__cause__, AluoUnknownOutcome)
    tasks.next_try(cleared=True)
    played.anew()
    played.reply(200, ACCEPTED)
    played.status("SUCCESS", PICTURE)
    assert tasks.run(edit())["status"] == "SUCCESS"
    assert posts(played) == 2


def test_an_unknown_outcome_that_is_to_be_resubmitted_is_left_to_the_retries(played: Any, tasks: Any) -> None:
    played.reply(503, b"<html>")
    task = edit(on_unknown_outcome="resubmit")
    with pytest.raises(AluoError, match="the next try submits once more") as caught:
        tasks.run(task)
    assert not caught.value.final  # so no retry policy of ours stops it
    tasks.next_try()
    played.anew()
    played.reply(200, ACCEPTED)
    played.status("SUCCESS", PICTURE)
    assert tasks.run(task)["status"] == "SUCCESS"


def test_an_edit_that_aluo_knows_no_more_fails_a_retry_and_is_submitted_anew_when_cleared(
    played: Any, tasks: Any, clock: Any
) -> None:
    played.reply(200, ACCEPTED)
    dies_waiting(tasks, edit())
    clock.shift(61)
    played.anew()
    played.refuse(404, -1)
    with pytest.raises(AirflowFailException) as caught:
        tasks.run(edit())
    assert isinstance(caught.value.__cause__, AluoRequestRejected)
    tasks.next_try(cleared=True)
    played.anew()
    played.refuse(404, -1)
    played.reply(200, AGAIN)
    played.status("SUCCESS", PICTURE)
    assert tasks.run(edit())["aluo_task_id"] == "edit_2"


# --- a try that fails ------------------------------------------------------------------------------------


@WAYS
def test_an_edit_that_failed_is_submitted_anew_by_the_next_try(
    played: Any, tasks: Any, *, deferrable: bool
) -> None:
    played.reply(200, ACCEPTED)
    played.status("FAILED")
    task = edit(deferrable=deferrable)
    with pytest.raises(AluoEditFailed):
        tasks.run(task)
    assert stored(tasks) is None
    tasks.next_try()
    played.anew()
    played.reply(200, AGAIN)
    played.status("SUCCESS", PICTURE)
    assert tasks.run(task)["aluo_task_id"] == "edit_2"


def test_an_edit_that_failed_while_nobody_looked_is_submitted_anew(played: Any, tasks: Any) -> None:
    played.reply(200, ACCEPTED)
    dies_waiting(tasks, edit())
    played.anew()
    played.status("FAILED")
    played.reply(200, AGAIN)
    played.status("SUCCESS", PICTURE)
    assert tasks.run(edit())["aluo_task_id"] == "edit_2"


@WAYS
def test_an_aluo_that_is_gone_is_left_to_the_retries_which_go_on(
    played: Any, tasks: Any, clock: Any, logs: list[str], *, deferrable: bool
) -> None:
    played.reply(200, ACCEPTED)
    played.reply(502, b"", meanwhile=lambda: clock.shift(25))
    task = edit(deferrable=deferrable)
    with pytest.raises(AluoServerError):
        tasks.run(task)
    assert "warning: edit edit_1 goes on at Aluo" in str(logs)
    tasks.next_try()
    played.anew()
    played.status("WORKING")
    played.status("SUCCESS", PICTURE)
    assert tasks.run(task)["aluo_task_id"] == "edit_1"
    assert posts(played) == 1


def test_a_submit_that_reached_nobody_leaves_nothing_behind(
    connections: Any, nobody: str, tasks: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections.set(nobody)
    monkeypatch.setattr("time.sleep", clock.shift)
    with pytest.raises(AluoConnectionError):
        tasks.run(edit())
    assert stored(tasks) is None


def test_a_prompt_that_changes_with_each_try_does_not_pay_each_try(played: Any, tasks: Any) -> None:
    task = edit(prompt="Make it {{ ti.try_number }} times as blue")
    played.reply(200, ACCEPTED)
    dies_waiting(tasks, task)
    played.anew()
    played.status("WORKING")
    with pytest.raises(AirflowFailException, match=r"edit_1, but this try asks with another prompt"):
        tasks.run(task)
    tasks.next_try(cleared=True)
    played.anew()
    played.reply(200, AGAIN)
    played.status("SUCCESS", PICTURE)
    assert tasks.run(task)["aluo_task_id"] == "edit_2"


def test_a_photo_that_is_gone_by_the_next_try_does_not_lose_the_edit(
    played: Any, tasks: Any, tmp_path: Any
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(PHOTO.read_bytes())
    task = edit(image_urls=None, image_files=[str(photo)])
    played.reply(200, ACCEPTED)
    dies_waiting(tasks, task)
    photo.unlink()
    played.anew()
    played.status("SUCCESS", PICTURE)
    assert tasks.run(task)["aluo_task_id"] == "edit_1"
    tasks.next_try(cleared=True)
    with pytest.raises(AirflowFailException, match=r"photo\.jpg"):
        tasks.run(task)
    assert posts(played) == 1


@pytest.fixture
def alarm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What Airflow does about an ``execution_timeout``, and a wait that never ends."""

    def strike(*_: object) -> None:
        raise AirflowTaskTimeout("Timeout, PID: 1")

    monkeypatch.setattr("airflow_aluo.hooks.aluo.AluoHook.complete", lambda *_: time.sleep(60))
    before = signal.signal(signal.SIGALRM, strike)
    yield
    signal.signal(signal.SIGALRM, before)


def strikes() -> None:
    """Let the timeout pass while the worker waits for this reply."""
    os.kill(os.getpid(), signal.SIGALRM)
    time.sleep(0.4)


@pytest.mark.usefixtures("alarm")
def test_an_execution_timeout_strikes_only_once_the_answer_is_stored(played: Any, tasks: Any) -> None:
    played.reply(200, ACCEPTED, meanwhile=strikes)
    with pytest.raises(AirflowTaskTimeout):
        tasks.run(edit())
    assert (stored(tasks)["stage"], stored(tasks)["record"]["aluo_task_id"]) == ("accepted", "edit_1")


@pytest.mark.usefixtures("alarm", "no_store")
def test_an_execution_timeout_without_a_store_is_final_once_the_edit_is_accepted(
    played: Any, tasks: Any
) -> None:
    played.reply(200, ACCEPTED, meanwhile=strikes)
    with pytest.raises(AirflowFailException, match="edit edit_1 goes on at Aluo"):
        tasks.run(edit())


@pytest.mark.usefixtures("alarm")
def test_an_execution_timeout_does_not_hide_an_unknown_outcome(played: Any, tasks: Any) -> None:
    played.reply(503, b"<html>", meanwhile=strikes)
    with pytest.raises(AirflowFailException, match="nobody knows"):
        tasks.run(edit())
    assert stored(tasks)["reported"]


# --- the store fails -------------------------------------------------------------------------------------


def failing(*steps: str) -> Any:
    seen: dict[str, int] = {}

    def fails(what: str) -> None:
        seen[what] = seen.get(what, 0) + 1
        if f"{what} {seen[what]}" in steps:
            raise OSError("the API server is away")

    return fails


@pytest.mark.parametrize("step", ["get aluo_edit 1", "set aluo_edit 1"])
def test_nothing_is_sent_while_the_store_cannot_be_used(played: Any, tasks: Any, step: str) -> None:
    tasks.store.before = failing(step)
    with pytest.raises(TaskStoreError, match="the API server is away"):
        tasks.run(edit())
    assert played.requests == []
    tasks.next_try()
    played.anew()
    played.reply(200, ACCEPTED)
    played.status("SUCCESS", PICTURE)
    assert tasks.run(edit())["status"] == "SUCCESS"


@WAYS
def test_an_id_that_cannot_be_stored_at_once_is_shouted_and_stored_later(
    played: Any, tasks: Any, logs: list[str], *, deferrable: bool
) -> None:
    tasks.store.before = failing("set aluo_edit 2", "set aluo_edit 3")
    played.reply(200, ACCEPTED)
    played.status("WORKING")
    played.status("WORKING")
    played.status("SUCCESS", PICTURE)
    assert tasks.run(edit(deferrable=deferrable))["status"] == "SUCCESS"
    assert tasks.left == []  # nobody would store it while the worker is left
    assert [line for line in logs if line.startswith("error: edit edit_1 could not be remembered")]
    assert tasks.store.done.count("set aluo_edit") == 3
    assert stored(tasks)["stage"] == "returned"


def test_an_edit_that_is_not_waited_for_is_stored_before_it_is_returned(
    played: Any, tasks: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", clock.shift)
    tasks.store.before = failing(*(f"set aluo_edit {n}" for n in range(2, 5)))
    played.reply(200, ACCEPTED)
    assert tasks.run(edit(wait_for_completion=False))["aluo_task_id"] == "edit_1"
    assert stored(tasks)["stage"] == "returned"


def test_an_edit_that_could_never_be_stored_is_returned_all_the_same(
    played: Any, tasks: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", clock.shift)
    tasks.store.before = failing(*(f"set aluo_edit {n}" for n in range(2, 99)))
    played.reply(200, ACCEPTED)
    assert tasks.run(edit(wait_for_completion=False))["aluo_task_id"] == "edit_1"
    assert stored(tasks)["stage"] == "intent"


def test_an_edit_that_could_never_be_stored_and_times_out_fails_at_once_and_is_named(
    played: Any, tasks: Any
) -> None:
    tasks.store.before = failing(*(f"set aluo_edit {n}" for n in range(2, 99)))
    played.reply(200, ACCEPTED)
    played.status("WORKING")
    with pytest.raises(AirflowFailException, match=r"PhotoEditStatusSensor\(aluo_task_id='edit_1'\)"):
        tasks.run(edit(timeout=0.3))


def test_what_cannot_be_forgotten_does_not_hide_the_reason(played: Any, tasks: Any, logs: list[str]) -> None:
    tasks.store.before = failing("delete aluo_edit 1", "delete aluo_edit 2")
    played.reply(200, ACCEPTED)
    played.status("FAILED")
    with pytest.raises(AluoEditFailed):
        tasks.run(edit())
    assert "could not be deleted" in str(logs)
    assert stored(tasks) is None


def test_a_refusal_that_cannot_be_noted_at_once_is_noted_later(played: Any, tasks: Any) -> None:
    tasks.store.before = failing("delete aluo_edit 1")
    played.refuse(402, 402)
    with pytest.raises(AluoOutOfCredits):
        tasks.run(edit())
    assert stored(tasks) is None


@pytest.mark.parametrize("refusal", [(400, -1), (403, -1), (401, -2)])
def test_a_look_that_is_refused_says_nothing_about_the_edit(
    played: Any, tasks: Any, refusal: tuple[int, int]
) -> None:
    played.reply(200, ACCEPTED)
    dies_waiting(tasks, edit())
    for cleared in (False, True):
        played.anew()
        played.refuse(*refusal)
        with pytest.raises(AirflowFailException):
            tasks.run(edit())
        tasks.next_try(cleared=cleared)
    assert posts(played) == 1


def test_another_photo_that_is_not_there_is_not_taken_for_the_one_that_was_edited(
    played: Any, tasks: Any, tmp_path: Path
) -> None:
    played.reply(200, ACCEPTED)
    dies_waiting(tasks, edit(image_urls=None, image_files=[str(PHOTO)]))
    tasks.next_try(cleared=True)
    played.anew()
    played.status("SUCCESS", PICTURE)
    with pytest.raises(AirflowFailException, match=r"typo\.jpg"):
        tasks.run(edit(image_urls=None, image_files=[str(tmp_path / "typo.jpg")]))


def test_an_edit_that_was_let_go_is_waited_for_where_the_task_waits_now(played: Any, tasks: Any) -> None:
    played.reply(200, ACCEPTED)
    tasks.run(edit(wait_for_completion=False))
    tasks.next_try()
    played.anew()
    played.status("SUCCESS", PICTURE)
    assert tasks.run(edit())["result_urls"] == [PICTURE]
    assert posts(played) == 1


def test_a_failure_before_the_return_of_an_edit_that_is_not_waited_for_does_not_pay_again_when_cleared(
    played: Any, tasks: Any
) -> None:
    played.reply(200, ACCEPTED)
    push, tasks.ti.xcom_push = tasks.ti.xcom_push, lambda **_: kill()
    with pytest.raises(SystemExit):
        tasks.run(edit(wait_for_completion=False))
    tasks.ti.xcom_push = push
    tasks.next_try(cleared=True)
    played.anew()
    played.status("WORKING")
    assert tasks.run(edit(wait_for_completion=False))["aluo_task_id"] == "edit_1"
    assert posts(played) == 1


def test_an_entry_that_somebody_broke_stops_the_task_before_anything_is_sent(played: Any, tasks: Any) -> None:
    tasks.store.task_id = "edit"
    tasks.store.set("aluo_edit", {"stage": "accepted"})
    with pytest.raises(
        AirflowFailException, match="delete it in the task instance's Task State Store"
    ) as caught:
        tasks.run(edit())
    assert isinstance(caught.value.__cause__, AluoRequestInvalid)
    assert played.requests == []


def test_a_resumed_task_whose_entry_is_gone_goes_on_by_what_it_told_other_tasks(
    played: Any, tasks: Any
) -> None:
    played.reply(200, ACCEPTED)
    task = edit(deferrable=True)
    with pytest.raises(TaskDeferred) as caught:
        tasks.start(task)
    tasks.store.values.clear()
    played.status("SUCCESS", PICTURE)
    found = tasks.resume(task, "execute_complete", {"event": tasks.event(caught.value)})
    assert record.parse(found)["aluo_task_id"] == "edit_1"
    assert stored(tasks)["stage"] == "returned"


def test_what_was_accepted_is_known_even_if_its_end_cannot_be_stored(
    played: Any, tasks: Any, clock: Any, logs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", clock.shift)
    tasks.store.before = failing(*(f"set aluo_edit {n}" for n in range(3, 99)))
    played.reply(200, ACCEPTED)
    played.status("SUCCESS", PICTURE)
    task = edit().prepare_for_execution()
    tasks.run(task)
    assert stored(tasks)["stage"] == "accepted"
    said = [line for line in logs if "has succeeded at Aluo and costs 40 credits" in line]
    assert said
    assert all("a retry returns it, clearing this task may submit, and pay, anew" in line for line in said)


def test_who_is_killed_while_returning_is_not_told_that_a_clear_goes_on_for_nothing(
    played: Any, tasks: Any, logs: list[str]
) -> None:
    played.reply(200, ACCEPTED)
    push = tasks.ti.xcom_push
    tasks.ti.xcom_push = lambda **told: (push(**told), running[0].on_kill())
    running: list[PhotoEditOperator] = []

    class Killed(PhotoEditOperator):
        def execute(self, context: Any) -> Any:
            running.append(self)
            return super().execute(context)

    tasks.start(Killed(task_id="edit", prompt="Blue", image_urls=URL, wait_for_completion=False))
    first, *_, last = [line for line in logs if "told to end" in line]
    assert first.endswith("clear this task to go on with it, if it still asks for the same")
    assert last.endswith("a retry returns it, clearing this task may submit, and pay, anew")


@pytest.mark.parametrize("times", [1, 3])
def test_that_it_was_returned_is_stored_as_soon_as_it_can_be(
    played: Any, tasks: Any, clock: Any, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    monkeypatch.setattr("time.sleep", clock.shift)
    tasks.store.before = failing(*(f"set aluo_edit {n}" for n in range(3, 3 + times)))
    played.reply(200, ACCEPTED)
    played.status("SUCCESS", PICTURE)
    tasks.run(edit())
    assert stored(tasks)["stage"] == "returned"


@pytest.mark.usefixtures("no_store")
def test_an_airflow_without_a_store_is_told_about_once_a_try(
    played: Any, tasks: Any, logs: list[str]
) -> None:
    played.reply(200, ACCEPTED)
    played.status("SUCCESS", PICTURE)
    assert tasks.run(edit())["status"] == "SUCCESS"
    assert len([line for line in logs if "this Airflow has no task state store" in line]) == 1
