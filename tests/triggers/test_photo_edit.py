"""The trigger: it waits, fires once, never raises, and tells no secrets."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from airflow.sdk import BaseHook
from airflow.triggers.base import DiscrimatedTriggerEvent
from pydantic import TypeAdapter

from airflow_aluo.hooks.aluo import AluoHook
from airflow_aluo.metrics import _WAITS
from airflow_aluo.protocol import schedule
from airflow_aluo.protocol.errors import (
    AluoConnectionError,
    AluoEditFailed,
    AluoEditTimedOut,
    AluoError,
    AluoReplyError,
    AluoRequestInvalid,
    AluoUnauthorized,
    dump,
)
from airflow_aluo.protocol.schemas import schema, validator
from airflow_aluo.transport.sharing import shared
from airflow_aluo.trigger_events import read_event
from airflow_aluo.triggers.photo_edit import (
    MOST_IN_EVENT,
    PhotoEditBatchTrigger,
    PhotoEditEvent,
    PhotoEditTrigger,
)

PICTURE = "https://cdn.example/a.png?signature=of-the-picture"


def trigger(**kwargs: Any) -> PhotoEditTrigger:
    names = {"aluo_task_id": "edit_1", "aluo_conn_id": "aluo_default"}
    return PhotoEditTrigger(**names | {"deadline": time.time() + 60, "poll_interval": 0.1} | kwargs)


def fired(one: PhotoEditTrigger) -> Any:
    """Run a trigger; return the payload of its only event as plain JSON."""

    async def events() -> list[Any]:
        return [event async for event in one.run()]

    (event,) = asyncio.run(events())
    payload = json.loads(json.dumps(event.payload))
    validator("trigger_event").validate(payload)
    return payload


def test_a_trigger_is_made_again_from_what_it_says_of_itself() -> None:
    one = trigger(exponential_backoff=True, max_wait=30.0, silent_fail=True, first_look_at=17.5)
    path, arguments = one.serialize()
    assert path == "airflow_aluo.triggers.photo_edit.PhotoEditTrigger"
    again = PhotoEditTrigger(**json.loads(json.dumps(arguments)))
    assert again.serialize() == one.serialize()
    assert again.rule == one.rule


def test_an_argument_that_is_not_known_is_refused() -> None:
    with pytest.raises(TypeError, match="key"):
        trigger(key="sk-1")


@pytest.mark.parametrize("make", [trigger, lambda: batch(("edit_1", {}))], ids=["edit", "batch"])
async def test_it_fires_only_once_airflow_has_surely_heard_that_the_task_left_its_worker(
    played: Any, monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any]
) -> None:
    assert schedule.SHORTEST_ABSENCE == 5.0
    monkeypatch.setattr("airflow_aluo.triggers.photo_edit.SHORTEST_ABSENCE", 0.7)
    played.status("SUCCESS", PICTURE)
    began = time.monotonic()
    assert "SUCCESS" in json.dumps((await anext(make().run())).payload)
    assert time.monotonic() - began >= 0.7


def test_the_deadline_is_wall_clock_and_survives_a_restart(played: Any, clock: Any) -> None:
    played.status("WORKING")
    _, arguments = trigger(deadline=time.time() + 60).serialize()
    clock.shift(61)
    payload = fired(PhotoEditTrigger(**arguments))
    assert payload["error"]["type"] == "AluoEditTimedOut"
    assert len(played.requests) == 1


def test_a_success_travels_whole(played: Any) -> None:
    played.status("WORKING")
    body = {"status": "SUCCESS", "images": [{"url": PICTURE}]}
    played.reply(200, {"code": 0, "success": True, "data": body, "credits_deducted": 35})
    snapshot = read_event(fired(trigger()))
    assert (snapshot.status, snapshot.result_urls) == ("SUCCESS", (PICTURE,))
    assert (snapshot.credits.deducted, snapshot.credits.remaining) == (35, None)


@pytest.mark.parametrize(
    ("play", "error"),
    [
        (lambda played: played.status("FAILED"), AluoEditFailed),
        (lambda played: played.refuse(401, -2), AluoUnauthorized),
        (lambda played: played.status("WORKING"), AluoEditTimedOut),
    ],
)
def test_an_error_travels_whole(played: Any, play: Any, error: type[AluoError]) -> None:
    play(played)
    with pytest.raises(error) as caught:
        read_event(fired(trigger(deadline=time.time() + 0.3)))
    assert "edit_1" in str(caught.value) or error is AluoUnauthorized


def test_a_wait_without_answers_ends_with_the_last_error(played: Any, clock: Any) -> None:
    played.reply(200, b"<html>", meanwhile=lambda: clock.shift(25))
    with pytest.raises(AluoReplyError):
        read_event(fired(trigger(deadline=time.time() + 10_000)))


def test_a_connection_that_is_not_there_is_an_event(connections: Any, logs: list[str]) -> None:
    assert connections
    with pytest.raises(AluoError, match="aluo_default"):
        read_event(fired(trigger()))
    assert "Traceback" not in str(logs)


def test_a_connection_that_cannot_be_used_is_an_event(connections: Any) -> None:
    connections.set("https://aluo.example", headers={"x": "y"})
    with pytest.raises(AluoRequestInvalid, match="extra 'headers': not known"):
        read_event(fired(trigger()))


def test_what_nobody_expected_is_an_event_that_holds_no_key(
    played: Any, connections: Any, logs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError(f"a library that shows {connections.key}")

    played.status("WORKING")
    monkeypatch.setattr("aiohttp.ClientSession.request", broken)
    payload = fired(trigger())
    assert payload["error"]["message"] == (
        "the wait for edit edit_1 failed in the triggerer: RuntimeError; its log has the details"
    )
    assert connections.key not in json.dumps(payload)
    assert "error: the wait for edit edit_1 failed" in logs


@pytest.fixture
def no_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """No hook can be made."""

    def broken(*_: Any) -> Any:
        raise RuntimeError("no hook today")

    monkeypatch.setattr("airflow_aluo.hooks.aluo.AluoHook.__init__", broken)


@pytest.mark.usefixtures("no_hook")
def test_a_hook_that_cannot_be_made_is_an_event() -> None:
    assert "RuntimeError; its log has the details" in fired(trigger())["error"]["message"]


def test_a_task_that_airflow_cannot_name_costs_no_wait_its_end(
    played: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Any) -> Any:
        raise RuntimeError("no task today")

    played.status("SUCCESS", PICTURE)
    one = trigger()
    monkeypatch.setattr(PhotoEditTrigger, "task_instance", property(broken), raising=False)
    assert read_event(fired(one)).result_urls == (PICTURE,)


def test_no_event_holds_the_key(connections: Any, nobody: str, clock: Any) -> None:
    connections.set(nobody, proxy=f"http://user:{connections.key}@{nobody.removeprefix('http://')}")
    payload = fired(trigger(deadline=time.time() + 0.3, tolerated_failures=1, tolerated_seconds=0.0))
    assert payload["error"]["type"] == "AluoConnectionError"
    assert connections.key not in json.dumps(payload)
    assert clock


@pytest.mark.parametrize("moment", ["while-asking", "while-pausing"])
async def test_a_cancelled_wait_ends_at_once_and_leaves_nothing_open(
    sandbox: Any, recwarn: pytest.WarningsRecorder, moment: str
) -> None:
    if moment == "while-asking":
        sandbox.fault("hold", on="status", times=None)
    rule = {"first_look_at": 0.0 if moment == "while-asking" else time.time() + 60}
    waiting = asyncio.ensure_future(anext(trigger(**rule).run()))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 20)
    assert [str(one.message) for one in recwarn] == []


def test_many_waits_do_not_stand_in_each_others_way(played: Any) -> None:
    played.status("WORKING", meanwhile=lambda: time.sleep(0.5))
    played.status("SUCCESS", PICTURE, meanwhile=lambda: time.sleep(0.5))

    async def both() -> list[Any]:
        return list(await asyncio.gather(*(anext(trigger().run()) for _ in range(30))))

    started = time.monotonic()
    assert len(asyncio.run(both())) == 30
    assert time.monotonic() - started < 12  # one after the other they need more than 15


async def test_a_wait_that_is_ended_from_outside_says_what_becomes_of_the_edit(logs: list[str]) -> None:
    await trigger(estimated_credits=35.0).on_kill()
    await trigger().on_kill()
    known, unknown = logs
    assert known.startswith("warning: this wait was ended from outside. edit edit_1 goes on at Aluo, where")
    assert "may cost 35 credits" in known
    assert "may cost credits" in unknown


# --- many edits in one trigger ---------------------------------------------------------------------------


def batch(*edits: tuple[str, dict[str, Any]], **rule: Any) -> PhotoEditBatchTrigger:
    common = {"deadline": time.time() + 60, "poll_interval": 0.1}
    return PhotoEditBatchTrigger(
        aluo_conn_id="aluo_default", edits=[list(one) for one in edits], rule=common | rule
    )


def seen(one: PhotoEditBatchTrigger) -> dict[str, Any]:
    """Run a trigger; return how each edit ended, as its only event says in plain JSON."""

    async def events() -> list[Any]:
        found = [event async for event in one.run()]
        assert len(asyncio.all_tasks()) == 1  # none of its own is left
        return found

    (event,) = asyncio.run(events())
    assert repr(event) == "PhotoEditEvent<batch>"
    found: dict[str, Any] = json.loads(json.dumps(event.payload))["batch"]
    for end in found.values():
        validator("trigger_event").validate(end)
    return found


def test_a_batchs_trigger_is_made_again_from_what_it_says_of_itself() -> None:
    one = batch(("edit_1", {"born_at": 1.5, "fresh": True}), ("edit_2", {}), poll_interval=None)
    path, arguments = one.serialize()
    assert path == "airflow_aluo.triggers.photo_edit.PhotoEditBatchTrigger"
    again = PhotoEditBatchTrigger(**json.loads(json.dumps(arguments)))
    assert again.serialize() == one.serialize()


@pytest.mark.parametrize("where", ["common", "own"])
def test_a_batchs_rule_that_is_not_known_is_refused_before_anything_is_waited_for(where: str) -> None:
    with pytest.raises(TypeError, match="key"):
        batch(("edit_1", {"key": 1} if where == "own" else {}), **({"key": 1} if where == "common" else {}))


def test_all_edits_of_a_batch_have_ended_when_it_fires(played: Any) -> None:
    for word in ("WORKING", "WORKING", "WORKING"):
        played.status(word)
    played.status("SUCCESS", PICTURE)
    found = seen(batch(*((f"edit_{number}", {}) for number in range(10))))
    assert found.keys() == {f"edit_{number}" for number in range(10)}
    assert {read_event(end).result_urls for end in found.values()} == {(PICTURE,)}
    asked = {what for what, _ in played.requests}
    assert asked == {f"GET /photo-editor/status?taskId=edit_{number}" for number in range(10)}


def test_each_edit_of_a_batch_ends_in_its_own_way(played: Any) -> None:
    played.status("FAILED")
    played.refuse(401, -2)
    played.status("SUCCESS", PICTURE)
    rules = [
        ("a", {}),
        ("b", {"first_look_at": time.time() + 2}),
        ("c", {"first_look_at": time.time() + 4}),
    ]
    found = seen(batch(*rules))
    assert found["a"]["error"]["type"] == "AluoEditFailed"
    assert found["b"]["error"]["type"] == "AluoUnauthorized"
    assert read_event(found["c"]).status == "SUCCESS"


def test_an_edits_own_rule_goes_before_the_common_one(played: Any) -> None:
    played.status("WORKING")
    found = seen(batch(("a", {"deadline": time.time() - 1}), ("b", {}), deadline=time.time() + 0.5))
    assert {end["error"]["type"] for end in found.values()} == {"AluoEditTimedOut"}


def test_a_batch_fires_when_it_has_seen_as_much_as_an_event_should_carry(played: Any) -> None:
    long = [f"https://cdn.example/{'x' * 4000}{number}.png" for number in range(2)]
    played.status("SUCCESS", *long)
    now = time.time()
    rules = [(f"edit_{number}", {"first_look_at": now + number * 0.1}) for number in range(30)]
    found = seen(batch(*rules))
    assert 4 <= len(found) < 30
    size = len(json.dumps(found))
    assert MOST_IN_EVENT <= size < 3 * MOST_IN_EVENT


@pytest.mark.parametrize("lands_within", [None, 0.0, 0.5])
def test_edits_that_have_ended_wait_for_others_no_longer_than_they_may(
    sandbox: Any, lands_within: float | None
) -> None:
    hook = AluoHook()
    quick, slow = (
        hook.generate(prompt, image_urls=sandbox.photo)["aluo_task_id"] for prompt in ("quick", "slow")
    )
    sandbox.fault("word", on="status", word="PROCESSING", prompt="slow", times=None)
    deadline = time.time() + (5 if lands_within is None else 30)
    one = PhotoEditBatchTrigger(
        aluo_conn_id="aluo_default",
        edits=[[quick, {}], [slow, {}]],
        rule={"deadline": deadline, "poll_interval": 0.1},
        lands_within=lands_within,
    )
    found = seen(PhotoEditBatchTrigger(**one.serialize()[1]))
    assert read_event(found[quick]).status == "SUCCESS"
    assert (slow in found) == (lands_within is None)
    assert (time.time() < deadline) == (lands_within is not None)


def test_a_batch_without_edits_fires_at_once() -> None:
    assert seen(batch()) == {}


async def test_a_cancelled_batch_leaves_no_task_and_no_session_behind(
    sandbox: Any, recwarn: pytest.WarningsRecorder
) -> None:
    sandbox.fault("hold", on="status", times=None)
    one = batch(*((f"edit_{number}", {}) for number in range(20)))
    waiting = asyncio.ensure_future(anext(one.run()))
    while sum(_WAITS.values()) < 20:  # noqa: ASYNC110  # nobody tells
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    assert len(asyncio.all_tasks()) > 20
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 20)
    assert sum(_WAITS.values()) == 0  # at once, though nothing was collected
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not shared()._drivers
    assert [str(one.message) for one in recwarn] == []


def test_a_batch_without_a_connection_says_so_for_each_edit(connections: Any) -> None:
    assert connections
    found = seen(batch(("a", {}), ("b", {})))
    assert {end["error"]["type"] for end in found.values()} == {"AluoError"}
    assert "aluo_default" in found["a"]["error"]["message"]


def test_what_nobody_expected_ends_an_edit_of_a_batch_without_its_key(
    played: Any, connections: Any, logs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError(f"a library that shows {connections.key}")

    played.status("WORKING")
    monkeypatch.setattr("aiohttp.ClientSession.request", broken)
    found = seen(batch(("a", {}), ("b", {})))
    assert "its log has the details" in found["a"]["error"]["message"]
    assert connections.key not in json.dumps(found)
    assert "error: the wait for edit b failed" in logs


@pytest.mark.usefixtures("no_hook")
def test_a_hook_that_cannot_be_made_ends_each_edit_of_a_batch() -> None:
    found = seen(batch(("a", {}), ("b", {})))
    assert ["its log has the details" in end["error"]["message"] for end in found.values()] == [True, True]


def test_a_batch_shares_one_session_and_one_reading_of_the_connection(
    played: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []

    def counted(name: str, original: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            happened.append(name)
            return original(*args, **kwargs)

        return call

    opened = counted("a session", aiohttp.ClientSession.__init__)
    monkeypatch.setattr(aiohttp.ClientSession, "__init__", opened)
    monkeypatch.setattr(
        BaseHook, "aget_connection", staticmethod(counted("a read", BaseHook.aget_connection))
    )
    played.status("SUCCESS", PICTURE)
    assert len(seen(batch(*((f"edit_{number}", {}) for number in range(50))))) == 50
    assert sorted(happened) == ["a read", "a session"]


async def test_a_batch_that_is_ended_from_outside_says_what_becomes_of_its_edits(logs: list[str]) -> None:
    await batch(("a", {}), ("b", {})).on_kill()
    assert logs[0].startswith("warning: the wait for 2 edits was ended from outside. They go on at Aluo")


# --- what is seen of an event ----------------------------------------------------------------------------

EVENT = {
    "snapshot": {
        "status": "SUCCESS",
        "result_urls": [PICTURE],
        "reason": None,
        "credits": {"deducted": None, "remaining": None},
    }
}


def test_an_event_shows_what_it_is_and_not_what_it_carries() -> None:
    event = PhotoEditEvent(EVENT)
    assert repr(event) == str(event) == f"{event}" == "PhotoEditEvent<snapshot>"
    assert "signature" not in f"%s {event!r:>60} {[event]} { ({'result': event}) }" % event


def test_an_error_event_shows_only_that_it_is_one() -> None:
    assert repr(PhotoEditEvent({"error": dump(AluoConnectionError("at x", sent=True))})) == (
        "PhotoEditEvent<error>"
    )


@pytest.mark.parametrize("json_output", [False, True])
def test_airflows_log_line_does_not_show_what_an_event_carries(*, json_output: bool) -> None:
    import structlog
    from airflow.sdk.log import logging_processors

    line: Any = {"event": "Trigger fired event", "name": "a trigger", "result": PhotoEditEvent(EVENT)}
    for processor in logging_processors(json_output=json_output, sending_to_supervisor=True):
        line = processor(structlog.get_logger("airflow.task"), "info", line)
    shown = line.decode() if isinstance(line, bytes) else str(line)
    assert "PhotoEditEvent<snapshot>" in shown
    assert "signature" not in shown


def test_airflow_carries_the_whole_event_to_the_worker() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(DiscrimatedTriggerEvent)
    arrived = adapter.validate_json(adapter.dump_json(PhotoEditEvent(EVENT)))
    assert arrived.payload == EVENT
    assert read_event(arrived.payload).result_urls == (PICTURE,)


@pytest.mark.parametrize("example", schema("trigger_event")["examples"], ids=lambda one: next(iter(one)))
def test_the_schemas_examples_can_be_read(example: dict[str, Any]) -> None:
    if "error" in example:
        with pytest.raises(AluoEditFailed):
            read_event(example)
    else:
        assert read_event(example).status == "SUCCESS"


@pytest.mark.parametrize(
    "event",
    [
        None,
        "success",
        [],
        {},
        EVENT | {"error": {}},
        {"snapshot": EVENT["snapshot"] | {"status": "FAILED"}},
        {"snapshot": EVENT["snapshot"] | {"result_urls": []}},
        {"snapshot": EVENT["snapshot"] | {"more": 1}},
        {"error": {"type": "KeyError", "message": "x", "facts": {}}},
    ],
)
def test_an_event_that_says_something_else_is_an_error(event: Any) -> None:
    with pytest.raises(AluoError):
        read_event(event)
