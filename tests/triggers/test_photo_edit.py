"""The trigger: it waits, fires once, never raises, and tells no secrets."""

import asyncio
import json
import time
from typing import Any

import pytest
from airflow.triggers.base import DiscrimatedTriggerEvent
from pydantic import TypeAdapter

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
from airflow_aluo.triggers.photo_edit import PhotoEditEvent, PhotoEditTrigger, read_event

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
        await asyncio.wait_for(waiting, 5)
    assert [str(one.message) for one in recwarn] == []


def test_many_waits_do_not_stand_in_each_others_way(played: Any) -> None:
    played.status("WORKING", meanwhile=lambda: time.sleep(0.2))
    played.status("SUCCESS", PICTURE, meanwhile=lambda: time.sleep(0.2))

    async def both() -> list[Any]:
        return list(await asyncio.gather(*(anext(trigger().run()) for _ in range(30))))

    started = time.monotonic()
    assert len(asyncio.run(both())) == 30
    assert time.monotonic() - started < 5  # one after the other they need more than 6


async def test_a_wait_that_is_ended_from_outside_says_what_becomes_of_the_edit(logs: list[str]) -> None:
    await trigger(estimated_credits=35.0).on_kill()
    await trigger().on_kill()
    known, unknown = logs
    assert known.startswith("warning: this wait was ended from outside. edit edit_1 goes on at Aluo, where")
    assert "may cost 35 credits" in known
    assert "may cost credits" in unknown


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
