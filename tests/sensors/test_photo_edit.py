"""The sensor: three ways to wait, one outcome."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_aluo.airflow_names import (
    AirflowFailException,
    AirflowNotFoundException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.protocol import record
from airflow_aluo.protocol.errors import (
    AluoEditFailed,
    AluoEditTimedOut,
    AluoError,
    AluoRequestInvalid,
    AluoRequestRejected,
    AluoServerError,
    AluoUnauthorized,
    dump,
)
from airflow_aluo.protocol.schemas import validator
from airflow_aluo.sensors.photo_edit import PhotoEditStatusSensor
from tests.which_airflow import TaskDeferred

PICTURE = "https://cdn.example/a.png?signature=of-the-picture"

MODES = {
    "poke": {"mode": "poke"},
    "reschedule": {"mode": "reschedule"},
    "deferrable": {"deferrable": True},
    "deferrable-reschedule": {"deferrable": True, "mode": "reschedule"},
}


def wait(aluo_task_id: Any = "edit_1", **kwargs: Any) -> PhotoEditStatusSensor:
    return PhotoEditStatusSensor(
        **{"task_id": "wait", "aluo_task_id": aluo_task_id, "poke_interval": 0.1, "timeout": 60} | kwargs
    )


@pytest.fixture(params=["poke", "reschedule", "deferrable"])
def mode(request: pytest.FixtureRequest) -> dict[str, Any]:
    return MODES[request.param]


# --- one outcome in every mode ---------------------------------------------------------------------------


def at_once(played: Any) -> None:
    played.status("SUCCESS", PICTURE)


def after_unknown_words(played: Any) -> None:
    for word in ("QUEUED", "PAINTING", "success"):
        played.status(word)
    played.status("SUCCESS", PICTURE)


def after_looks_without_an_answer(played: Any) -> None:
    played.status("WORKING")
    played.reply(502, b"<html>")
    played.refuse(429, -1, headers={"Retry-After": "0"})
    played.status("SUCCESS", PICTURE)


def after_garbage(played: Any) -> None:
    played.reply(200, b'{"code": 0, "success": tr')
    played.status("SUCCESS", PICTURE)


@pytest.mark.parametrize(
    "scene", [at_once, after_unknown_words, after_looks_without_an_answer, after_garbage]
)
def test_a_wait_ends_well(
    played: Any, tasks: Any, mode: dict[str, Any], scene: Callable[[Any], None], logs: list[str]
) -> None:
    scene(played)
    found = tasks.run(wait(**mode))
    validator("edit_record").validate(json.loads(json.dumps(found)))
    assert (found["aluo_task_id"], found["status"]) == ("edit_1", "SUCCESS")
    assert found["result_urls"] == [PICTURE]
    assert tasks.ti.xcoms["wait", "result_urls"] == [PICTURE]
    assert logs[-1] == "info: edit edit_1 is SUCCESS"
    assert "signature" not in str(logs)


#: An edit that every server of Aluo's must know by now.
OLD: Any = record.of_edit("edit_1", aluo_conn_id="aluo_default")
OLD["times"]["accepted_at"] = record.iso(1_700_000_000)


def it_failed(played: Any) -> None:
    played.status("WORKING")
    played.status("FAILED")


def the_key_is_refused(played: Any) -> None:
    played.refuse(401, -2)


def the_id_is_refused(played: Any) -> None:
    played.refuse(400, -1)


def the_id_is_not_known(played: Any) -> None:
    played.refuse(404, -1)


def it_never_ends(played: Any) -> None:
    played.status("WORKING")


FAILURES = [
    (it_failed, AirflowFailException, AluoEditFailed, "clear the task that submitted it"),
    (the_key_is_refused, AirflowFailException, AluoUnauthorized, "check the API key"),
    (the_id_is_refused, AirflowFailException, AluoRequestRejected, "change the request"),
    (the_id_is_not_known, AirflowFailException, AluoRequestRejected, "HTTP 404"),
    (it_never_ends, AirflowSensorTimeout, AluoEditTimedOut, "its last status was 'WORKING'"),
]


@pytest.mark.parametrize("flag", [None, "soft_fail", "never_fail", "silent_fail"])
@pytest.mark.parametrize(
    ("scene", "error", "cause", "said"), FAILURES, ids=[one[0].__name__ for one in FAILURES]
)
def test_a_wait_ends_badly(
    played: Any,
    tasks: Any,
    mode: dict[str, Any],
    *,
    flag: str | None,
    scene: Callable[[Any], None],
    error: type[Exception],
    cause: type[AluoError],
    said: str,
) -> None:
    scene(played)
    flags = {flag: True} if flag else {}
    edit = OLD if scene is the_id_is_not_known else "edit_1"
    if flag == "never_fail" or (flag == "soft_fail" and cause is AluoEditTimedOut):
        error = AirflowSkipException
    with pytest.raises(error) as caught:
        tasks.run(wait(edit, **mode, **flags, timeout=0.4 if scene is it_never_ends else 60))
    assert type(caught.value) is error
    assert type(caught.value.__cause__) is cause
    assert said in str(caught.value) or flag == "never_fail"
    assert ("wait", "result_urls") not in tasks.ti.xcoms


def test_no_wait_looks_more_often_than_it_should(played: Any, tasks: Any, mode: dict[str, Any]) -> None:
    played.status("WORKING")
    with pytest.raises(AirflowSensorTimeout):
        tasks.run(wait(**mode, timeout=2.5, poke_interval=1.0))
    assert 2 <= len(played.requests) <= 5


def test_a_fresh_edit_that_is_not_known_yet_is_waited_for(
    played: Any, tasks: Any, mode: dict[str, Any]
) -> None:
    played.refuse(404, -1)
    played.refuse(404, -1)
    played.status("SUCCESS", PICTURE)
    assert tasks.run(wait(**mode))["status"] == "SUCCESS"


@pytest.mark.parametrize("way", ["poke", "reschedule", "deferrable"])
def test_an_aluo_that_is_gone_for_minutes_leaves_it_to_the_tasks_retries(
    played: Any, tasks: Any, clock: Any, way: str
) -> None:
    played.status("WORKING")
    played.reply(502, b"", meanwhile=lambda: clock.shift(25))
    with pytest.raises(AluoServerError):
        tasks.run(wait(**MODES[way], timeout=10_000, soft_fail=True))


@pytest.mark.parametrize("way", ["poke", "deferrable", "reschedule"])
def test_an_aluo_that_is_gone_can_be_survived_until_the_timeout(
    played: Any, tasks: Any, clock: Any, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr("time.sleep", clock.shift)
    played.status("WORKING")
    played.reply(502, b"", meanwhile=lambda: clock.shift(25))
    with pytest.raises(AirflowSensorTimeout, match="edit_1 was not finished"):
        tasks.run(wait(**MODES[way], timeout=400, silent_fail=True))


@pytest.mark.parametrize("way", ["poke", "reschedule", "deferrable"])
@pytest.mark.parametrize("flag", [None, "soft_fail", "never_fail"])
def test_a_connection_that_is_not_there_is_named(
    connections: Any, tasks: Any, way: str, flag: str | None
) -> None:
    assert connections
    error = AirflowSkipException if flag == "never_fail" else AirflowNotFoundException
    with pytest.raises(error, match="aluo_elsewhere"):
        tasks.run(wait(**MODES[way], **({flag: True} if flag else {}), aluo_conn_id="aluo_elsewhere"))


@pytest.mark.parametrize("never_fail", [False, True])
def test_an_execution_timeout_skips_only_under_never_fail(
    played: Any, tasks: Any, monkeypatch: pytest.MonkeyPatch, *, never_fail: bool
) -> None:
    def strike(_: float) -> None:
        raise AirflowTaskTimeout("Timeout, PID: 1")

    played.status("WORKING")
    monkeypatch.setattr("time.sleep", strike)
    with pytest.raises(AirflowSkipException if never_fail else AirflowTaskTimeout):
        tasks.run(wait(never_fail=never_fail))


# --- what to wait for ------------------------------------------------------------------------------------

RECORD = record.of_edit("edit_1", aluo_conn_id="aluo_default")


@pytest.mark.parametrize(
    ("given", "aluo_task_id"),
    [
        ("edit_1", "edit_1"),
        (" edit_1\n", "edit_1"),
        (123456789, "123456789"),
        ("123456789", "123456789"),
        (RECORD, "edit_1"),
        (json.dumps(RECORD), "edit_1"),
        (str(RECORD), "edit_1"),
    ],
    ids=["id", "id-with-blanks", "number", "number-as-text", "record", "json", "python"],
)
@pytest.mark.parametrize("native", [False, True])
def test_an_edit_is_named_by_id_or_record(
    played: Any, tasks: Any, given: Any, aluo_task_id: str, *, native: bool
) -> None:
    played.status("SUCCESS", PICTURE)
    with DAG("a_dag", schedule=None, render_template_as_native_obj=native):
        sensor = wait("{{ params.edit }}")
    assert tasks.run(sensor, edit=given)["aluo_task_id"] == aluo_task_id
    assert tasks.run(wait(given))["aluo_task_id"] == aluo_task_id
    assert {what for what, _ in played.requests} == {f"GET /photo-editor/status?taskId={aluo_task_id}"}


@pytest.mark.parametrize("given", ["return_value", "aluo_task_id"])
def test_what_the_submitting_task_returned_is_waited_for(sandbox: Any, tasks: Any, given: str) -> None:
    with DAG("a_dag", schedule=None):
        submit = PhotoEditOperator(
            task_id="submit", prompt="Blue", image_urls=sandbox.photo, wait_for_completion=False
        )
        sensor = wait(submit.output if given == "return_value" else submit.output["aluo_task_id"])
    assert sensor.upstream_task_ids == {"submit"}
    submitted = tasks.run(submit)
    tasks.ti.xcoms["submit", "return_value"] = submitted
    found = tasks.run(sensor)
    assert found["aluo_task_id"] == submitted["aluo_task_id"]
    assert len(found["result_urls"]) == 1
    assert (found["request"] is None) == (given == "aluo_task_id")


@pytest.mark.parametrize("flag", [None, "soft_fail"])
def test_a_task_that_sent_nothing_is_named(
    played: Any, tasks: Any, mode: dict[str, Any], flag: str | None
) -> None:
    with DAG("a_dag", schedule=None):
        submit = PhotoEditOperator(task_id="submit", prompt="Blue", image_urls=PICTURE)
        sensor = wait(submit.output, **mode, **({flag: True} if flag else {}))
    with pytest.raises(
        AirflowFailException, match="nothing came; expected an edit record from task 'submit'"
    ):
        tasks.run(sensor)
    assert played.requests == []


@pytest.mark.parametrize("given", ["", "None", None, {}, [], True, 1.5, RECORD | {"aluo_task_id": None}])
def test_what_names_no_edit_is_said_clearly(
    played: Any, tasks: Any, mode: dict[str, Any], given: Any
) -> None:
    with pytest.raises(AirflowFailException) as caught:
        tasks.run(wait(given, **mode))
    assert isinstance(caught.value.__cause__, AluoRequestInvalid)
    assert played.requests == []


@pytest.mark.parametrize(
    ("given", "own", "used"),
    [
        ("edit_1", None, "aluo_default"),
        ("edit_1", "aluo_other", "aluo_other"),
        (RECORD | {"aluo_conn_id": "aluo_other"}, None, "aluo_other"),
        (RECORD | {"aluo_conn_id": "aluo_default"}, "aluo_other", "aluo_other"),
        (RECORD | {"aluo_conn_id": None}, None, "aluo_default"),
    ],
)
def test_the_tasks_connection_wins_over_the_records(
    played: Any, connections: Any, tasks: Any, given: Any, *, own: str | None, used: str
) -> None:
    connections.set("http://127.0.0.1:9/nobody", "aluo_default")
    connections.set("http://127.0.0.1:9/nobody", "aluo_other")
    connections.set(played.url, used)
    played.status("SUCCESS", PICTURE)
    assert tasks.run(wait(given, aluo_conn_id=own))["status"] == "SUCCESS"
    found = tasks.run(wait(given, aluo_conn_id=own, deferrable=True, poke_interval=0.1))
    assert found["status"] == "SUCCESS"


def test_every_parameter_can_be_mapped_over() -> None:
    with DAG("a_dag", schedule=None):
        found = PhotoEditStatusSensor.partial(task_id="wait", deferrable=True).expand(
            aluo_task_id=["edit_1", "edit_2"]
        )
    assert found.unmap({"aluo_task_id": "edit_2"}).aluo_task_id == "edit_2"


# --- poke ------------------------------------------------------------------------------------------------


def test_a_poke_is_one_look(played: Any, tasks: Any) -> None:
    played.status("WORKING")
    played.status("SUCCESS", PICTURE)
    sensor = wait()
    first, second = (sensor.poke(tasks.context(sensor)) for _ in range(2))
    assert not first
    assert second
    assert second.xcom_value["result_urls"] == [PICTURE]
    assert len(played.requests) == 2


def test_a_poke_that_finds_a_failed_edit_fails(played: Any, tasks: Any) -> None:
    played.status("FAILED")
    with pytest.raises(AirflowFailException):
        wait().poke(tasks.context(wait()))


# --- reschedule ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waited", "flags", "pause"),
    [
        (None, {}, 10),
        (30, {}, 10),
        (None, {"exponential_backoff": True}, 10),
        (11, {"exponential_backoff": True}, 20),
        (31, {"exponential_backoff": True}, 40),
        (31, {"exponential_backoff": True, "max_wait": 25}, 25),
        (31, {"exponential_backoff": True, "max_wait": timedelta(seconds=25)}, 25),
        (595, {}, 5),
        (580, {"exponential_backoff": True}, 20),
    ],
)
def test_the_next_look_follows_from_the_time_waited(
    played: Any, tasks: Any, clock: Any, *, waited: float | None, flags: dict[str, Any], pause: float
) -> None:
    played.status("WORKING")
    now = datetime.now(UTC)
    clock.move_to(now, tick=False)
    tasks.ti.first_reschedule = None if waited is None else now - timedelta(seconds=waited)
    with pytest.raises(AirflowRescheduleException) as caught:
        tasks.start(wait(mode="reschedule", poke_interval=10, timeout=600, **flags))
    assert (caught.value.reschedule_date - now).total_seconds() == pytest.approx(pause, abs=0.01)


def test_a_limit_that_asks_for_minutes_does_not_end_a_rescheduled_wait(played: Any, tasks: Any) -> None:
    played.refuse(429, -1, headers={"Retry-After": "300"})
    with pytest.raises(AirflowRescheduleException):
        tasks.start(wait(mode="reschedule"))


@pytest.mark.parametrize("word", ["SUCCESS", "WORKING"])
def test_the_look_at_the_deadline_decides(played: Any, tasks: Any, word: str) -> None:
    tasks.ti.first_reschedule = datetime.now(UTC) - timedelta(seconds=601)
    sensor = wait(mode="reschedule", timeout=600)
    if word == "SUCCESS":
        played.status(word, PICTURE)
        assert tasks.start(sensor)["result_urls"] == [PICTURE]
    else:
        played.status(word)
        with pytest.raises(AirflowSensorTimeout, match="its last status was 'WORKING'"):
            tasks.start(sensor)
    assert len(played.requests) == 1


@pytest.mark.parametrize("way", ["reschedule", "deferrable", "deferrable-reschedule"])
def test_a_fresh_edit_is_not_looked_at_at_once(played: Any, tasks: Any, way: str) -> None:
    times = RECORD["times"] | dict.fromkeys(["submitted_at", "accepted_at"], record.iso(now()))
    with pytest.raises((AirflowRescheduleException, TaskDeferred)):
        tasks.start(wait(RECORD | {"times": times}, **MODES[way], poke_interval=30))
    assert played.requests == []


def now() -> float:
    return datetime.now(UTC).timestamp()


# --- looks that are taken when they are likely to pay ----------------------------------------------------


def accepted(seconds_ago: float, **times: float) -> Any:
    """Return the record of an edit whose submit was fast."""
    moments = dict.fromkeys(["submitted_at", "accepted_at"], now() - seconds_ago) | times
    return RECORD | {"times": RECORD["times"] | {name: record.iso(at) for name, at in moments.items()}}


def planned(edit: Any = "edit_1", **kwargs: Any) -> PhotoEditStatusSensor:
    return wait(edit, **{"poke_interval": None, "timeout": 600} | kwargs)


def test_looks_are_planned_unless_the_sensor_names_an_interval() -> None:
    assert PhotoEditStatusSensor(task_id="wait", aluo_task_id="edit_1").planned
    assert not PhotoEditStatusSensor(task_id="wait", aluo_task_id="edit_1", poke_interval=10).planned
    assert not planned(exponential_backoff=True).planned
    assert not planned(default_args={"exponential_backoff": True}).planned
    assert not PhotoEditStatusSensor(
        task_id="wait", aluo_task_id="edit_1", default_args={"poke_interval": 30}
    ).planned


def test_in_poke_mode_the_worker_plans_its_looks(
    played: Any, tasks: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", clock.shift)
    born, looked = now(), []
    played.status("WORKING", meanwhile=lambda: looked.append(now() - born))
    played.status("SUCCESS", PICTURE, meanwhile=lambda: looked.append(now() - born))
    assert tasks.run(planned(accepted(0)))["status"] == "SUCCESS"
    first, second = looked
    assert 10 < first < 20
    assert 2 < second - first < 10


def test_a_rescheduled_wait_plans_each_look(
    played: Any, tasks: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", clock.shift)
    played.status("WORKING")
    played.status("SUCCESS", PICTURE)
    assert tasks.run(planned(accepted(0), mode="reschedule"))["status"] == "SUCCESS"
    assert len(played.requests) == 2
    assert 1 <= len(tasks.left) <= 3  # pauses of less than five seconds are spent in the worker
    assert remembered(tasks)["progress"]["watched"]


def test_a_rescheduled_wait_for_a_bare_id_looks_at_once_and_then_plans(played: Any, tasks: Any) -> None:
    played.status("WORKING")
    before = now()
    with pytest.raises(AirflowRescheduleException) as caught:
        tasks.start(planned(mode="reschedule"))
    assert len(played.requests) == 1
    assert 10 < caught.value.reschedule_date.timestamp() - before < 20


def test_a_deferred_wait_leaves_the_plan_to_the_triggerer(played: Any, tasks: Any) -> None:
    edit = accepted(0)
    with pytest.raises(TaskDeferred) as caught:
        tasks.start(planned(edit, deferrable=True))
    rule = caught.value.trigger.rule
    assert played.requests == []
    assert (rule.poll_interval, rule.fresh, rule.first_look_at, rule.looked_at) == (None, True, 0.0, 0.0)
    assert record.iso(rule.born_at) == edit["times"]["accepted_at"]


def test_a_deferred_wait_tells_the_triggerer_of_its_look(played: Any, tasks: Any) -> None:
    played.status("WORKING")
    with pytest.raises(TaskDeferred) as caught:
        tasks.start(planned(accepted(20, submitted_at=now() - 40), deferrable=True))
    rule = caught.value.trigger.rule
    assert len(played.requests) == 1
    assert rule.looked_at == pytest.approx(now(), abs=5)
    assert rule.born_at == pytest.approx(now() - 40, abs=5)


def test_a_deferred_wait_whose_look_is_limited_keeps_to_what_that_asks(played: Any, tasks: Any) -> None:
    played.refuse(429, -1, headers={"Retry-After": "200"})
    with pytest.raises(TaskDeferred) as caught:
        tasks.start(planned(deferrable=True))
    rule = caught.value.trigger.rule
    assert rule.first_look_at == pytest.approx(now() + 200, abs=5)
    assert rule.looked_at == 0


def test_a_poke_is_one_look_at_a_fresh_edit_too(played: Any, tasks: Any) -> None:
    played.status("WORKING")
    sensor = planned(accepted(0))
    assert not sensor.poke(tasks.context(sensor))
    assert len(played.requests) == 1


# --- deferrable ------------------------------------------------------------------------------------------


def test_the_triggerer_waits_as_the_sensor_was_told(played: Any, connections: Any, tasks: Any) -> None:
    played.status("WORKING")
    sensor = wait(
        deferrable=True,
        poke_interval=7,
        timeout=100,
        exponential_backoff=True,
        max_wait=50,
        silent_fail=True,
    )
    with pytest.raises(TaskDeferred) as caught:
        tasks.start(sensor)
    deferred = caught.value
    trigger = tasks.trigger(deferred)
    assert trigger.serialize() == deferred.trigger.serialize()
    rule = trigger.rule
    assert rule.deadline == pytest.approx(now() + 100, abs=5)
    assert (rule.poll_interval, rule.exponential_backoff, rule.max_wait) == (7, True, 50)
    assert rule.silent_fail
    assert deferred.timeout.total_seconds() == pytest.approx(100 + 600, abs=5)
    assert connections.key not in str(deferred.trigger.serialize())


@pytest.mark.parametrize("flag", [None, "soft_fail", "never_fail"])
@pytest.mark.parametrize("word", ["SUCCESS", "WORKING"])
def test_a_triggerer_that_never_came_back_is_followed_by_a_last_look(
    played: Any, tasks: Any, flag: str | None, word: str
) -> None:
    played.status(word, *([PICTURE] if word == "SUCCESS" else []))
    sensor = wait(**({flag: True} if flag else {}))

    def resume() -> Any:
        return tasks.resume(sensor, "__fail__", {"error": "Trigger timeout"})

    if word == "SUCCESS":
        assert resume()["result_urls"] == [PICTURE]
    else:
        with pytest.raises(AirflowSkipException if flag else AirflowSensorTimeout):
            resume()
    assert len(played.requests) == 1


@pytest.mark.parametrize("flag", [None, "soft_fail", "never_fail"])
def test_a_trigger_that_broke_leaves_a_running_edit_to_the_tasks_retries(
    played: Any, tasks: Any, flag: str | None
) -> None:
    played.status("WORKING")
    sensor = wait(**({flag: True} if flag else {}))
    with pytest.raises(
        AirflowSkipException if flag == "never_fail" else AluoError, match=r"gave up \(Trigger failure\)"
    ):
        tasks.resume(sensor, "__fail__", {"error": "Trigger failure", "traceback": ["a line"]})


@pytest.mark.parametrize(
    "event",
    [
        {"error": {"type": "AluoNewerError", "message": "?", "facts": {}}},
        {"snapshot": {"status": "SUCCESS"}},
        "success",
        "failed",
        None,
    ],
    ids=str,
)
@pytest.mark.parametrize("flag", [None, "soft_fail", "never_fail"])
def test_an_event_that_cannot_be_read_leaves_a_running_edit_to_the_tasks_retries(
    played: Any, tasks: Any, event: Any, flag: str | None
) -> None:
    played.status("WORKING")
    sensor = wait(**({flag: True} if flag else {}))
    with pytest.raises(AirflowSkipException if flag == "never_fail" else AluoError):
        tasks.resume(sensor, "execute_complete", {"event": event})


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("execute_complete", {"event": "success"}), ("__fail__", {"error": "Trigger failure"})],
)
def test_an_edit_is_looked_at_once_more_when_its_wait_ended_without_a_word(
    played: Any, tasks: Any, method: str, arguments: dict[str, Any]
) -> None:
    played.status("SUCCESS", PICTURE)
    assert tasks.resume(wait(), method, arguments)["result_urls"] == [PICTURE]


def test_an_events_error_is_the_waits(tasks: Any) -> None:
    event = {"error": dump(AluoEditFailed("edit edit_1 ended FAILED", aluo_task_id="edit_1"))}
    with pytest.raises(AirflowFailException, match="ended FAILED"):
        tasks.resume(wait(soft_fail=True), "execute_complete", {"event": event})


# --- over tries and restarts -----------------------------------------------------------------------------


def remembered(tasks: Any) -> Any:
    tasks.store.task_id = "wait"
    return tasks.store.get("aluo_wait")


def gives_way(tasks: Any, sensor: PhotoEditStatusSensor) -> None:
    """Run until the worker is left, or dies in its pause."""

    def die(seconds: float) -> None:
        if seconds:
            raise SystemExit(9)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.sleep", die)
        with pytest.raises((SystemExit, TaskDeferred, AirflowRescheduleException)):
            tasks.start(sensor)


def test_a_retry_keeps_the_first_starts_deadline(
    played: Any, tasks: Any, clock: Any, mode: dict[str, Any]
) -> None:
    played.status("WORKING")
    sensor = wait(**mode, timeout=60)
    gives_way(tasks, sensor)
    clock.shift(61)
    tasks.next_try()
    tasks.ti.first_reschedule = None
    with pytest.raises(AirflowSensorTimeout, match="its last status was 'WORKING'"):
        tasks.start(sensor)


def test_a_clear_gets_a_new_deadline(played: Any, tasks: Any, clock: Any, mode: dict[str, Any]) -> None:
    played.status("WORKING")
    sensor = wait(**mode, timeout=60)
    gives_way(tasks, sensor)
    clock.shift(61)
    tasks.next_try(cleared=True)
    tasks.ti.first_reschedule = None
    gives_way(tasks, sensor)


def test_another_edit_gets_a_new_deadline(played: Any, tasks: Any, clock: Any, mode: dict[str, Any]) -> None:
    played.status("WORKING")
    gives_way(tasks, wait("edit_1", **mode, timeout=60))
    clock.shift(61)
    tasks.next_try()
    tasks.ti.first_reschedule = None
    gives_way(tasks, wait("edit_2", **mode, timeout=60))
    assert remembered(tasks)["aluo_task_id"] == "edit_2"


def test_the_last_word_is_named_when_the_last_look_fails(played: Any, tasks: Any, clock: Any) -> None:
    played.status("PAINTING")
    sensor = wait(mode="reschedule", timeout=60, poke_interval=5)
    gives_way(tasks, sensor)
    clock.shift(61)
    played.anew()
    played.reply(502, b"<html>")
    with pytest.raises(AirflowSensorTimeout, match="its last status was 'PAINTING'; the last look failed"):
        tasks.start(sensor)


@pytest.mark.parametrize("failing", ["get aluo_wait", "set aluo_wait"])
def test_a_store_that_fails_does_not_end_a_wait(
    played: Any, tasks: Any, mode: dict[str, Any], logs: list[str], failing: str
) -> None:
    def fails(what: str) -> None:
        if what == failing:
            raise OSError("the API server is away")

    tasks.store.before = fails
    played.status("WORKING")
    played.status("SUCCESS", PICTURE)
    assert tasks.run(wait(**mode))["status"] == "SUCCESS"
    assert "warning: how long this task has waited" in str(logs)


def test_a_beginning_that_cannot_be_read_is_not_overwritten(
    played: Any, tasks: Any, mode: dict[str, Any]
) -> None:
    played.status("WORKING")
    gives_way(tasks, wait(**mode))
    before = remembered(tasks)

    def fails(what: str) -> None:
        if what == "get aluo_wait":
            raise OSError("the API server is away")

    tasks.store.before = fails
    gives_way(tasks, wait(**mode))
    tasks.store.before = lambda _: None
    assert remembered(tasks)["started_at"] == before["started_at"]


@pytest.mark.parametrize("value", ["soon", {}, {"aluo_task_id": "edit_1", "max_tries": 2}, {"progress": 1}])
def test_what_nobody_can_read_is_no_wait(played: Any, tasks: Any, value: Any) -> None:
    played.status("SUCCESS", PICTURE)
    tasks.store.task_id = "wait"
    tasks.store.set("aluo_wait", value)
    assert tasks.run(wait())["status"] == "SUCCESS"


@pytest.mark.usefixtures("no_store")
def test_without_a_store_a_rescheduled_wait_goes_by_its_first_reschedule(
    played: Any, tasks: Any, clock: Any
) -> None:
    played.status("WORKING")
    sensor = wait(mode="reschedule", timeout=60)
    gives_way(tasks, sensor)
    tasks.ti.first_reschedule = datetime.now(UTC)
    clock.shift(61)
    with pytest.raises(AirflowSensorTimeout):
        tasks.start(sensor)


def test_a_killed_sensor_says_what_becomes_of_the_edit(played: Any, tasks: Any, logs: list[str]) -> None:
    sensor = wait()
    sensor.on_kill()
    assert logs == []
    played.status("WORKING", meanwhile=lambda: None)
    gives_way(tasks, sensor)
    edit = sensor.prepare_for_execution()
    edit.poke(tasks.context(edit))
    edit.on_kill()
    assert logs[-1].startswith(
        "warning: the task is told to end. edit edit_1 goes on at Aluo, where nothing can"
    )
