"""What is counted, exactly, in every way that an edit can go: by a real StatsD server."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from airflow.sdk import BaseOperator
from airflow.sdk.execution_time.context import set_current_context
from airflow.utils.net import get_hostname

from airflow_aluo import metrics
from airflow_aluo.airflow_names import AirflowFailException, AirflowSensorTimeout, airflow_stats
from airflow_aluo.hooks.aluo import AluoHook
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.operators.photo_edit_batch import PhotoEditBatchOperator
from airflow_aluo.protocol.errors import (
    AluoConnectionError,
    AluoEditFailed,
    AluoError,
    AluoOutOfCredits,
    AluoUnknownOutcome,
)
from airflow_aluo.protocol.schedule import RetryRule
from airflow_aluo.protocol.tally import Tally
from airflow_aluo.sensors.photo_edit import PhotoEditStatusSensor
from tests.which_airflow import TaskDeferred, send_stats_by

WAYS = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
MODES = pytest.mark.parametrize(
    "mode",
    [
        {"mode": "poke", "poke_interval": 0.1},
        {"mode": "reschedule", "poke_interval": 5.0},
        {"deferrable": True, "poke_interval": 1.0},
    ],
    ids=["poke", "reschedule", "deferrable"],
)

ACCEPTED = {"code": 0, "success": True, "data": {"taskId": "edit_1"}}
PICTURE = "https://cdn.example/1.png"

ONE = {"aluo.edits.submitted": 1, "aluo.edits.succeeded": 1, "aluo.credits.deducted": 35}
#: Seconds between two looks, so long that a worker leaves the wait to the triggerer.
INTERVAL = 1.0
GAUGES = ("aluo.in_flight", "aluo.batch.in_flight")


def edit(sandbox: Any, **kwargs: Any) -> PhotoEditOperator:
    given = {"task_id": "edit", "prompt": "Make it blue", "image_urls": [sandbox.photo], "poll_interval": 0.1}
    return PhotoEditOperator(**given | kwargs)


def played_edit(**kwargs: Any) -> PhotoEditOperator:
    url = "https://photos.example/a.png"
    return PhotoEditOperator(task_id="edit", prompt="Blue", image_urls=[url], poll_interval=0.05, **kwargs)


def batch(sandbox: Any, count: int, **kwargs: Any) -> PhotoEditBatchOperator:
    edits = [{"prompt": f"number {number}.", "image_urls": [sandbox.photo]} for number in range(count)]
    return PhotoEditBatchOperator(task_id="batch", edits=edits, poll_interval=0.1, **kwargs)


def counted(statsd: Any, **tags: str) -> dict[str, float]:
    """Return what was counted, without gauges and looks."""
    found = statsd.found(**tags)
    return {name: n for name, n in found.items() if not name.startswith(GAUGES) and name != "aluo.looks"}


def looks(sandbox: Any) -> int:
    return sum(call == "GET status" for call in sandbox.calls)


@contextmanager
def told_to_airflow(tasks: Any, task: BaseOperator) -> Iterator[None]:
    """What runs within is a task's, as in Airflow's worker."""
    with set_current_context(tasks.context(task)):
        yield


# --- each way that an edit can go --------------------------------------------------------------------------


@WAYS
def test_an_edit_is_counted_once_however_it_is_waited_for(
    sandbox: Any, tasks: Any, statsd: Any, *, deferrable: bool
) -> None:
    sandbox.fault("word", on="status", word="PROCESSING", times=2)
    tasks.run(edit(sandbox, deferrable=deferrable, poll_interval=INTERVAL))
    assert len(tasks.left) == deferrable
    assert counted(statsd) == ONE | {"aluo.detection_lag": 1}
    assert statsd.found()["aluo.looks"] == looks(sandbox) >= 3


@MODES
def test_a_submit_and_a_sensor_count_one_edit(
    sandbox: Any, tasks: Any, statsd: Any, mode: dict[str, Any]
) -> None:
    pending = tasks.run(edit(sandbox, wait_for_completion=False))
    assert counted(statsd) == {"aluo.edits.submitted": 1}
    sandbox.fault("word", on="status", word="PROCESSING", times=1)
    tasks.run(PhotoEditStatusSensor(task_id="wait", aluo_task_id=pending, **mode))
    assert len(tasks.left) == (mode.get("mode") != "poke")
    assert counted(statsd) == ONE | {"aluo.detection_lag": 1}
    assert statsd.found()["aluo.looks"] == looks(sandbox)


def test_a_sensor_of_an_edit_that_was_counted_does_not_count_it_again(
    sandbox: Any, tasks: Any, statsd: Any
) -> None:
    done = tasks.run(edit(sandbox))
    tasks.run(PhotoEditStatusSensor(task_id="wait", aluo_task_id=done, poke_interval=0.1))
    assert statsd.found()["aluo.edits.succeeded"] == 1


def test_a_single_poke_counts_an_edit_that_it_finds_done(sandbox: Any, tasks: Any, statsd: Any) -> None:
    pending = tasks.run(edit(sandbox, wait_for_completion=False))
    sensor = PhotoEditStatusSensor(task_id="wait", aluo_task_id=pending)
    sandbox.fault("word", on="status", word="PROCESSING", times=1)
    assert not sensor.poke(tasks.context(sensor)).is_done
    assert "aluo.edits.succeeded" not in statsd.found()
    while not sensor.poke(tasks.context(sensor)).is_done:
        pass
    assert statsd.found()["aluo.edits.succeeded"] == 1


@WAYS
def test_each_edit_of_a_batch_is_counted_once(
    sandbox: Any, tasks: Any, statsd: Any, *, deferrable: bool
) -> None:
    sandbox.fault("edit_fails", prompt="number 2.")
    sandbox.fault("word", on="status", word="PROCESSING", times=6)
    operator = batch(sandbox, 4, deferrable=deferrable, on_partial_failure="return")
    tasks.run(operator)
    assert bool(tasks.left) == deferrable
    found = counted(statsd)
    assert found.pop("aluo.detection_lag") <= 4
    assert found == {
        "aluo.edits.submitted": 4,
        "aluo.edits.succeeded": 3,
        "aluo.edits.failed": 1,
        "aluo.credits.deducted": 105,
    }
    asked = looks(sandbox)  # a batch leaves in the midst of its looks: one that never left counts, too
    assert asked <= statsd.found()["aluo.looks"] <= asked + 4 * deferrable


def test_a_function_that_uses_the_hook_counts_too(sandbox: Any, statsd: Any) -> None:
    hook = AluoHook()
    pending = hook.generate("Make it blue", image_urls=sandbox.photo)
    hook.wait_for_completion(pending, poll_interval=0.1)
    found = counted(statsd)
    assert found.pop("aluo.detection_lag", 0) <= 1
    assert found == ONE

    async def again() -> None:
        other = await hook.agenerate("Make it red", image_urls=sandbox.photo)
        await hook.await_for_completion(other, poll_interval=0.1)

    asyncio.run(again())
    found = counted(statsd)
    found.pop("aluo.detection_lag", 0)
    assert found == {name: 2 * number for name, number in ONE.items()}


# --- what is not counted twice ------------------------------------------------------------------------------


def test_a_retry_that_finds_its_edit_done_counts_no_second_submit(
    sandbox: Any, tasks: Any, statsd: Any
) -> None:
    operator = edit(sandbox, timeout=0.2)
    sandbox.fault("word", on="status", word="PROCESSING", times=None)
    with pytest.raises(AirflowFailException, match="not finished"):
        tasks.run(operator)
    sandbox.control("DELETE", "faults")
    assert counted(statsd) == {"aluo.edits.submitted": 1}
    tasks.next_try(cleared=True)
    operator.timeout = 60.0
    tasks.run(operator)
    assert {name: counted(statsd)[name] for name in ONE} == ONE
    tasks.next_try()  # it returned its edit, and died
    tasks.run(operator)
    assert {name: counted(statsd)[name] for name in ONE} == ONE


def test_a_batch_that_is_tried_again_counts_what_it_knows_no_second_time(
    sandbox: Any, tasks: Any, statsd: Any
) -> None:
    sandbox.fault("edit_fails", prompt="number 1.")
    operator = batch(sandbox, 3)
    with pytest.raises(AluoError):
        tasks.run(operator)
    assert {name: counted(statsd)[f"aluo.edits.{name}"] for name in ("submitted", "succeeded", "failed")} == {
        "submitted": 3,
        "succeeded": 2,
        "failed": 1,
    }
    tasks.next_try()
    tasks.run(operator)
    assert counted(statsd)["aluo.edits.submitted"] == 4
    assert counted(statsd)["aluo.edits.succeeded"] == 3
    assert counted(statsd)["aluo.edits.failed"] == 1


@WAYS
def test_an_edit_that_failed_is_counted_once_and_so_is_the_next(
    sandbox: Any, tasks: Any, statsd: Any, *, deferrable: bool
) -> None:
    sandbox.fault("edit_fails")
    operator = edit(sandbox, deferrable=deferrable, poll_interval=INTERVAL)
    with pytest.raises(AluoEditFailed):
        tasks.run(operator)
    found = counted(statsd)
    assert (found["aluo.edits.submitted"], found["aluo.edits.failed"]) == (1, 1)
    assert not found.keys() & {"aluo.edits.succeeded", "aluo.credits.deducted"}
    tasks.next_try()
    tasks.run(operator)
    found = counted(statsd)
    assert (found["aluo.edits.submitted"], found["aluo.edits.failed"]) == (2, 1)
    assert (found["aluo.edits.succeeded"], found["aluo.credits.deducted"]) == (1, 35)


@MODES
def test_a_sensor_counts_an_edit_that_ended_failed(
    sandbox: Any, tasks: Any, statsd: Any, mode: dict[str, Any]
) -> None:
    sandbox.fault("edit_fails")
    pending = tasks.run(edit(sandbox, wait_for_completion=False))
    with pytest.raises(AirflowFailException, match="ended FAILED"):
        tasks.run(PhotoEditStatusSensor(task_id="wait", aluo_task_id=pending, **mode))
    assert statsd.found()["aluo.edits.failed"] == 1


def test_a_failure_that_is_found_by_a_later_try_is_counted(sandbox: Any, tasks: Any, statsd: Any) -> None:
    operator = edit(sandbox, timeout=0.2)
    sandbox.fault("edit_fails")
    sandbox.fault("word", on="status", word="PROCESSING", times=None)
    with pytest.raises(AirflowFailException, match="not finished"):
        tasks.run(operator)
    sandbox.control("DELETE", "faults")
    tasks.next_try(cleared=True)
    operator.timeout = 60.0
    tasks.run(operator)
    found = counted(statsd)
    assert (found["aluo.edits.submitted"], found["aluo.edits.failed"]) == (2, 1)
    assert found["aluo.edits.succeeded"] == 1


def test_a_timeout_is_no_end_of_an_edit(sandbox: Any, tasks: Any, statsd: Any) -> None:
    pending = tasks.run(edit(sandbox, wait_for_completion=False))
    sandbox.fault("word", on="status", word="PROCESSING", times=None)
    sensor = PhotoEditStatusSensor(task_id="wait", aluo_task_id=pending, poke_interval=0.1, timeout=0.2)
    with pytest.raises(AirflowSensorTimeout):
        tasks.run(sensor)
    assert counted(statsd) == {"aluo.edits.submitted": 1}


# --- submits that did not go well ---------------------------------------------------------------------------


def test_an_unknown_outcome_is_counted_once_and_not_again_by_what_stops_for_it(
    sandbox: Any, tasks: Any, statsd: Any
) -> None:
    sandbox.fault("drop_after", on="generate")
    operator = edit(sandbox)
    with pytest.raises(AirflowFailException):
        tasks.run(operator)
    assert counted(statsd) == {"aluo.edits.unknown": 1}
    tasks.next_try()
    with pytest.raises(AirflowFailException, match="never heard"):
        tasks.run(operator)
    assert counted(statsd) == {"aluo.edits.unknown": 1}


def test_a_worker_that_died_in_a_submit_leaves_an_unknown_outcome_that_the_next_try_counts(
    sandbox: Any, tasks: Any, statsd: Any
) -> None:
    operator = edit(sandbox)
    tasks.store.before = died_in("set aluo_edit", number=2)
    with pytest.raises(Died):
        tasks.run(operator)
    tasks.store.before = lambda _: None
    statsd.forget()
    tasks.next_try()
    with pytest.raises(AirflowFailException, match="never heard"):
        tasks.run(operator)
    assert counted(statsd) == {"aluo.edits.unknown": 1}


class Died(BaseException):
    """The worker is gone."""


def died_in(what: str, number: int) -> Any:
    """Return what kills the worker the ``number``-th time that the store is asked for this."""
    asked = [0]

    def die(done: str) -> None:
        asked[0] += done == what
        if asked[0] == number:
            raise Died

    return die


def test_unknown_outcomes_of_a_batch_and_of_a_function_are_counted(
    sandbox: Any, tasks: Any, statsd: Any
) -> None:
    sandbox.fault("drop_after", on="generate", prompt="number 1.")
    tasks.run(batch(sandbox, 3, on_partial_failure="return"))
    assert (counted(statsd)["aluo.edits.unknown"], counted(statsd)["aluo.edits.submitted"]) == (1, 2)
    sandbox.fault("drop_after", on="generate", times=1)
    with pytest.raises(AluoUnknownOutcome):
        AluoHook().generate("Make it blue", image_urls=sandbox.photo)
    assert counted(statsd)["aluo.edits.unknown"] == 2


@pytest.mark.parametrize(
    ("refusal", "error"),
    [((401, -2), "AluoUnauthorized"), ((402, 402), "AluoOutOfCredits")],
    ids=["key", "credits"],
)
def test_a_rejected_submit_says_which_error_it_was(
    played: Any, tasks: Any, statsd: Any, refusal: tuple[int, int], error: str
) -> None:
    played.refuse(*refusal)
    with pytest.raises((AirflowFailException, AluoOutOfCredits)):
        tasks.run(played_edit())
    assert counted(statsd, error=error) == {"aluo.edits.rejected": 1}
    assert counted(statsd) == {"aluo.edits.rejected": 1}


def test_a_submit_that_reached_nobody_is_rejected(
    connections: Any, nobody: str, statsd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_aluo.hooks.aluo.SUBMIT_RULE", RetryRule(budget=0.0))
    connections.set(nobody)
    with pytest.raises(AluoConnectionError):
        AluoHook().generate("Make it blue", image_urls="https://photos.example/a.png")
    assert statsd.found(error="AluoConnectionError") == {"aluo.edits.rejected": 1}


def test_every_429_counts_as_refused_whichever_call_it_was(played: Any, tasks: Any, statsd: Any) -> None:
    busy = {"headers": {"Retry-After": "0"}}
    played.refuse(429, 429, **busy)
    played.reply(200, ACCEPTED)
    played.refuse(429, 429, **busy)
    played.status("SUCCESS", PICTURE)
    tasks.run(played_edit())
    assert statsd.found()["aluo.refused"] == 2
    assert statsd.found()["aluo.looks"] == 2


def test_a_look_without_an_answer_is_a_look(sandbox: Any, statsd: Any) -> None:
    sandbox.fault("drop_after", on="status")
    with pytest.raises(AluoConnectionError):
        AluoHook().run(look_once)
    assert statsd.found() == {"aluo.looks": 1}


def test_a_test_of_the_connection_is_no_look(sandbox: Any, statsd: Any) -> None:
    assert AluoHook().test_connection()[0]
    assert looks(sandbox) == 1
    assert statsd.found() == {}


def look_once(senses: Any) -> Any:
    from airflow_aluo.protocol import calls, flows

    return flows.once(calls.status("edit_1"), senses)


# --- how long an edit lay there -----------------------------------------------------------------------------


def test_the_lag_is_at_most_the_time_since_the_edit_was_last_seen_running(
    played: Any, tasks: Any, statsd: Any
) -> None:
    played.reply(200, ACCEPTED)
    played.status("PROCESSING")
    played.status("SUCCESS", PICTURE)
    tasks.run(played_edit())
    (lag,) = statsd.timings("aluo.detection_lag")
    assert 50 <= lag < 60_000  # the interval between the looks, and not the time of day


def test_a_lag_is_never_negative_whatever_the_clock_does(statsd: Any) -> None:
    metrics.StatsTally({}).detected(-3.0)
    assert statsd.timings("aluo.detection_lag") == [0.0]


def test_of_an_edit_that_nobody_saw_running_no_lag_is_told(played: Any, statsd: Any) -> None:
    played.status("SUCCESS", PICTURE)
    AluoHook().wait_for_completion("edit_1", poll_interval=0.05)
    assert counted(statsd) == {"aluo.edits.succeeded": 1}  # and no credits, for Aluo named none


def test_who_comes_long_after_an_edit_ended_tells_no_lag(
    played: Any, tasks: Any, statsd: Any, clock: Any
) -> None:
    played.reply(200, ACCEPTED)
    played.status("PROCESSING", meanwhile=lambda: clock.shift(3600))
    played.status("SUCCESS", PICTURE)
    operator = played_edit()
    with pytest.raises(AirflowFailException, match="not finished"):
        tasks.run(operator)
    tasks.next_try(cleared=True)
    done = tasks.run(operator)
    tasks.run(PhotoEditStatusSensor(task_id="wait", aluo_task_id=done, poke_interval=0.1))
    assert counted(statsd) == {"aluo.edits.submitted": 1, "aluo.edits.succeeded": 1}


# --- tags ---------------------------------------------------------------------------------------------------


def test_a_worker_names_the_dag_the_task_and_the_connection(sandbox: Any, tasks: Any, statsd: Any) -> None:
    operator = edit(sandbox)
    with told_to_airflow(tasks, operator):
        tasks.run(operator)
    whole = {name: number for name, number in statsd.found().items() if name != "aluo.detection_lag"}
    tagged = statsd.found(dag_id="a_dag", task_id="edit", conn_id="aluo_default")
    assert {name: n for name, n in tagged.items() if name != "aluo.detection_lag"} == whole


def test_the_triggerer_names_them_too_and_shows_what_is_in_flight(
    sandbox: Any, tasks: Any, statsd: Any
) -> None:
    operator = edit(sandbox, deferrable=True, poll_interval=INTERVAL)
    with pytest.raises(TaskDeferred) as deferred:
        tasks.start(operator)
    statsd.forget()
    trigger = tasks.trigger(deferred.value)

    class Instance:  # what Airflow's triggerer gives to a trigger
        dag_id, task_id, stats_tags = "a_dag", "edit", {"team_name": "photos"}

    # Airflow 3.3 sets a property, which would look for a whole DAG.
    setattr(trigger, "_task_instance" if hasattr(trigger, "_task_instance") else "task_instance", Instance())

    async def first() -> None:
        async for _ in trigger.run():
            return

    asyncio.run(first())
    tags = {"dag_id": "a_dag", "task_id": "edit", "conn_id": "aluo_default", "team_name": "photos"}
    assert statsd.found(**tags)["aluo.looks"] >= 1
    assert not statsd.found().keys() & ONE.keys()  # the worker that goes on counts the end
    hostname: str = get_hostname()  # type: ignore[no-untyped-call]  # Airflow's
    here = {"hostname": hostname, "conn_id": "aluo_default"}
    sent = [line for line in statsd.lines if line.startswith("airflow.aluo.in_flight,")]
    assert [line.rpartition(":")[2] for line in sent] == ["1|g", "0|g"]
    assert statsd.found(**here)["aluo.in_flight"] == 0
    host = hostname.replace(".", "__")
    assert f"airflow.aluo.in_flight.{host}.aluo_default:1|g" in statsd.lines


def one_of_two_triggerers() -> str:
    return "triggerer-2"


@pytest.fixture
def asked_anew() -> Iterator[None]:
    """A process asks for its host's name once; these tests ask for several."""
    metrics._hostname.cache_clear()
    yield
    metrics._hostname.cache_clear()


@pytest.mark.usefixtures("asked_anew")
def test_a_host_is_called_what_airflow_is_told_to_call_it(
    statsd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__HOSTNAME_CALLABLE", f"{__name__}.one_of_two_triggerers")
    with metrics.StatsTally.of_trigger(None, "aluo_default").waiting():
        pass
    assert statsd.found(hostname="triggerer-2") == {"aluo.in_flight": 0}


@pytest.mark.usefixtures("asked_anew")
def test_a_host_that_airflow_cannot_name_has_its_own_name(
    statsd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__HOSTNAME_CALLABLE", "no_such_module.name")
    with metrics.StatsTally.of_trigger(None, "aluo_default").waiting():
        pass
    assert statsd.found(hostname=socket.gethostname()) == {"aluo.in_flight": 0}


def test_a_batch_shows_what_is_in_flight_under_its_own_name(sandbox: Any, tasks: Any, statsd: Any) -> None:
    operator = batch(sandbox, 5)
    with told_to_airflow(tasks, operator):
        tasks.run(operator)
    name = "airflow.aluo.batch.in_flight,dag_id=a_dag,task_id=batch,conn_id=aluo_default:"
    shown = [int(line.removeprefix(name).removesuffix("|g")) for line in statsd.lines if name in line]
    assert 1 <= max(shown) <= 5
    assert shown[-1] == 0
    assert "airflow.aluo.batch.in_flight.a_dag.batch.aluo_default:0|g" in statsd.lines


def test_names_are_left_alone_where_airflow_is_told_to_send_no_long_ones(
    sandbox: Any, tasks: Any, statsd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__METRICS__LEGACY_NAMES_ON", "False")
    tasks.run(batch(sandbox, 2))
    assert {name for name in statsd.found() if "in_flight" in name} == {"aluo.batch.in_flight"}


def test_no_tag_and_no_name_tells_an_edit_a_prompt_or_a_key(sandbox: Any, tasks: Any, statsd: Any) -> None:
    operator = edit(sandbox, deferrable=True, poll_interval=INTERVAL)
    with told_to_airflow(tasks, operator):
        done = tasks.run(operator)
    text = "\n".join(statsd.lines)
    assert "dag_id=a_dag" in text  # else nothing of the task was told
    for secret in (done["aluo_task_id"], "blue", "sk-", "a_run"):
        assert secret not in text


def test_a_long_name_holds_only_what_airflow_takes() -> None:
    gauge = metrics.Gauge("aluo.in_flight", (("hostname", "a.b/c"), ("conn_id", "my conn" + "x" * 300)))
    assert gauge.long_name.startswith("aluo.in_flight.a__b_c.my_connxxx")
    assert len(gauge.long_name) == 200


def test_opentelemetry_gets_the_same(statsd: Any) -> None:
    otel = pytest.importorskip(
        "airflow.sdk._shared.observability.metrics.otel_logger",
        reason="this Airflow's OpenTelemetry client is another one",
    )
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    send_stats_by(lambda: otel.SafeOtelLogger(provider))
    counts = metrics.StatsTally.of_trigger(None, "aluo_default")
    counts.looked()
    counts.detected(1.5)
    done: Any = {"status": "SUCCESS", "credits": {"deducted": 35.5}}
    counts.succeeded(done)
    with counts.waiting():
        data: Any = reader.get_metrics_data()
    (scope,) = data.resource_metrics[0].scope_metrics
    points = {one.name: one.data.data_points[0] for one in scope.metrics}
    assert points["airflow.aluo.looks"].value == 1
    assert points["airflow.aluo.credits.deducted"].value == 35.5
    lag = points["airflow.aluo.detection_lag"]  # a histogram; before Airflow 3.3 the newest value
    assert (lag.sum if hasattr(lag, "sum") else lag.value) == 1500.0
    assert points["airflow.aluo.in_flight"].value == 1
    assert dict(points["airflow.aluo.in_flight"].attributes)["conn_id"] == "aluo_default"
    provider.shutdown()
    assert statsd.found() == {}


# --- a metric never breaks a paid task ----------------------------------------------------------------------


class Broken:
    """A backend that fails whatever it is asked."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("the backend is broken")


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_a_broken_backend_is_said_once_and_the_edit_goes_its_way(
    sandbox: Any, tasks: Any, statsd: Any, caplog: pytest.LogCaptureFixture, *, deferrable: bool
) -> None:
    metrics._SAID.clear()
    send_stats_by(Broken)
    with caplog.at_level(logging.WARNING, "airflow_aluo.metrics"):
        done = tasks.run(edit(sandbox, deferrable=deferrable, poll_interval=INTERVAL))
    assert done["status"] == "SUCCESS"
    assert sandbox.accepted == 1
    said = [one.getMessage() for one in caplog.records if one.name == "airflow_aluo.metrics"]
    assert said == ["metrics cannot be sent, which harms nothing else: RuntimeError: the backend is broken"]
    assert statsd.found() == {}


def test_a_task_that_cannot_be_named_or_a_setting_that_cannot_be_read_costs_only_tags(
    statsd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics._SAID.clear()
    monkeypatch.setenv("AIRFLOW__METRICS__LEGACY_NAMES_ON", "perhaps")
    nameless = metrics.StatsTally.of_trigger(object(), "aluo_default")
    with nameless.waiting():
        nameless.submitted()
    assert statsd.found(conn_id="aluo_default") == {"aluo.edits.submitted": 1, "aluo.in_flight": 0}


def test_a_task_that_airflow_does_not_tell_costs_only_tags(
    sandbox: Any, statsd: Any, caplog: pytest.LogCaptureFixture
) -> None:
    metrics._SAID.clear()
    with set_current_context({}), caplog.at_level(logging.WARNING, "airflow_aluo.metrics"):  # type: ignore[typeddict-item]
        for _ in range(2):
            AluoHook().generate("Make it blue", image_urls=sandbox.photo)
    assert sandbox.accepted == 2
    assert statsd.found(conn_id="aluo_default") == {"aluo.edits.submitted": 2}
    said = [one.getMessage() for one in caplog.records if one.name == "airflow_aluo.metrics"]
    assert said == ["metrics lack the tags of their task, which harms nothing else: KeyError: 'ti'"]


def test_where_nobody_counts_nothing_is_kept() -> None:
    tally = Tally()
    told = [tally.submitted(), tally.rejected("x"), tally.looked(), tally.refused(), tally.detected(1.0)]
    assert told == [None] * 5
    with tally.waiting() as waited:
        assert waited is None


def test_airflows_own_stats_are_found() -> None:
    assert all(callable(getattr(airflow_stats(), name)) for name in ("incr", "gauge", "timing"))
