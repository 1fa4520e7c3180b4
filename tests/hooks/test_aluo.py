"""The hook: from a connection to an answer, for workers and event loops alike."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import airflow_aluo
from airflow_aluo.accounts import ANOTHER_KEY, JUST_NOW
from airflow_aluo.airflow_names import AirflowNotFoundException
from airflow_aluo.hooks.aluo import AluoHook
from airflow_aluo.operators.photo_download import PhotoDownloadOperator
from airflow_aluo.protocol import record
from airflow_aluo.protocol.errors import (
    AluoEditFailed,
    AluoEditTimedOut,
    AluoOutOfCredits,
    AluoRequestInvalid,
    AluoRequestRejected,
    AluoServerError,
    AluoUnauthorized,
    AluoUnknownOutcome,
)
from airflow_aluo.protocol.flows import Pause
from airflow_aluo.protocol.schedule import WaitRule
from airflow_aluo.protocol.schemas import validator
from airflow_aluo.protocol.waiting import Progress
from airflow_aluo.sensors.photo_edit import PhotoEditStatusSensor

PHOTO = Path(airflow_aluo.__file__).parent / "sandbox" / "photos" / "coffee.jpg"
PROMPT = "Change the product color to blue"

Ask = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Call a hook's method, or its async twin."""

    def sync(hook: AluoHook, method: str, *args: Any, **kwargs: Any) -> Any:
        return getattr(hook, method)(*args, **kwargs)

    def in_a_loop(hook: AluoHook, method: str, *args: Any, **kwargs: Any) -> Any:
        return asyncio.run(getattr(hook, f"a{method}")(*args, **kwargs))

    return sync if request.param == "sync" else in_a_loop


# --- generate --------------------------------------------------------------------------------------------


def test_an_edit_of_addresses_is_submitted_and_its_record_returned(ask: Ask, sandbox: Any) -> None:
    chosen = {"aspect_ratio": "16:9", "output_format": "webp", "num_images": 2}
    found = ask(AluoHook(), "generate", PROMPT, image_urls=[sandbox.photo], **chosen)
    validator("edit_record").validate(json.loads(json.dumps(found)))
    (entry,) = sandbox.ledger["entries"]
    assert entry["aluo_task_id"] == found["aluo_task_id"]
    assert entry["parameters"] == {"aspectRatio": "16:9", "outputFormat": "webp", "numImages": 2}
    assert found["request"] == chosen | {
        "prompt": PROMPT,
        "image_urls": [sandbox.photo],
        "image_files": [],
    }
    assert (found["status"], found["aluo_conn_id"]) == ("SUBMITTED", "aluo_default")
    assert found["credits"]["estimated"] == 40
    assert found["times"]["submitted_at"] <= found["times"]["accepted_at"]


def test_an_edit_of_files_is_uploaded(ask: Ask, sandbox: Any) -> None:
    found = ask(AluoHook(), "generate", PROMPT, image_files=PHOTO, output_format="jpeg")
    (entry,) = sandbox.ledger["entries"]
    assert [one["name"] for one in entry["inputs"]] == ["coffee.jpg"]
    assert entry["parameters"]["outputFormat"] == "jpeg"
    assert found["request"]["image_files"] == [str(PHOTO)]


def test_the_estimate_is_logged_before_anything_is_sent(
    ask: Ask, played: Any, connections: Any, logs: list[str]
) -> None:
    connections.set(played.url, plan="pro")
    when_sent: list[str] = []
    accepted = {"code": 0, "success": True, "data": {"taskId": "edit_1"}}
    played.reply(200, accepted, meanwhile=lambda: when_sent.extend(logs))
    ask(AluoHook(), "generate", PROMPT, image_urls="https://x.example/a.png")
    assert "info: submitting an edit, estimated at 35 credits" in when_sent


def test_an_unknown_outcome_is_not_sent_again(ask: Ask, sandbox: Any) -> None:
    sandbox.fault("drop_after")
    with pytest.raises(AluoUnknownOutcome, match="may have been charged"):
        ask(AluoHook(), "generate", PROMPT, image_urls=[sandbox.photo])
    assert sandbox.calls == ["POST generate"]
    assert sandbox.accepted == 1


def test_a_limited_submit_is_sent_again_and_paid_once(ask: Ask, sandbox: Any) -> None:
    sandbox.fault("http_status", status=429, retry_after="0")
    ask(AluoHook(), "generate", PROMPT, image_urls=[sandbox.photo])
    assert sandbox.calls == ["POST generate", "POST generate"]
    assert sandbox.accepted == 1


def test_a_refused_submit_says_why(ask: Ask, sandbox: Any, connections: Any) -> None:
    sandbox.control("PUT", f"accounts/{connections.key}", {"balance": 0})
    with pytest.raises(AluoOutOfCredits, match="top up"):
        ask(AluoHook(), "generate", PROMPT, image_urls=[sandbox.photo])
    assert sandbox.accepted == 0


@pytest.mark.parametrize(
    ("asked", "parameter"),
    [
        ({}, "no image given"),
        ({"image_urls": ["https://x.example/a.png"], "image_files": [PHOTO]}, "both given"),
        ({"image_urls": [f"https://x.example/{n}.png" for n in range(6)]}, "6 given"),
        ({"image_files": PHOTO, "num_images": 2}, "num_images"),
        ({"image_files": "/no/such/photo.png"}, r"image_files\[0\]"),
        ({"image_files": __file__}, "not a picture"),
        ({"image_urls": "https://x.example/a.png", "aspect_ratio": "7:3"}, "aspect_ratio"),
        ({"image_urls": "https://x.example/a.png", "output_format": "gif"}, "output_format"),
    ],
)
def test_nothing_is_sent_of_what_cannot_be_asked(
    ask: Ask, sandbox: Any, asked: dict[str, Any], parameter: str
) -> None:
    with pytest.raises(AluoRequestInvalid, match=parameter):
        ask(AluoHook(), "generate", PROMPT, **asked)
    assert sandbox.calls == []


# --- looking and waiting ---------------------------------------------------------------------------------


def test_a_look_says_how_an_edit_stands(ask: Ask, sandbox: Any) -> None:
    sandbox.settings(durations=60_000, running_word="PAINTING")
    found = AluoHook().generate(PROMPT, image_urls=[sandbox.photo])
    assert ask(AluoHook(), "get_status", found["aluo_task_id"]).status == "PAINTING"


def test_a_look_at_an_unknown_edit_is_refused(ask: Ask, sandbox: Any) -> None:
    with pytest.raises(AluoRequestRejected):
        ask(AluoHook(), "get_status", "edit_1")
    assert sandbox.calls == ["GET status"]


def test_a_look_is_tried_again_where_no_answer_came(ask: Ask, played: Any) -> None:
    played.reply(502, b"<html>")
    played.status("WORKING")
    assert ask(AluoHook(), "get_status", "edit_1").status == "WORKING"
    assert [what for what, _ in played.requests] == ["GET /photo-editor/status?taskId=edit_1"] * 2


@pytest.mark.parametrize("by", ["record", "id"])
def test_a_wait_ends_with_the_completed_record(ask: Ask, sandbox: Any, by: str) -> None:
    hook = AluoHook()
    pending = hook.generate(PROMPT, image_urls=[sandbox.photo])
    edit = pending if by == "record" else pending["aluo_task_id"]
    found = ask(hook, "wait_for_completion", edit, poll_interval=0.1)
    validator("edit_record").validate(json.loads(json.dumps(found)))
    assert (found["status"], len(found["result_urls"])) == ("SUCCESS", 1)
    assert found["credits"]["deducted"] == 35
    assert found["times"]["completed_at"]


def test_a_wait_ends_with_an_edit_that_failed(ask: Ask, played: Any) -> None:
    played.reply(200, {"code": 0, "success": True, "data": {"status": "FAILED", "message": "no subject"}})
    with pytest.raises(AluoEditFailed, match="no subject") as caught:
        ask(AluoHook(), "wait_for_completion", "edit_1")
    assert caught.value.aluo_task_id == "edit_1"


def test_a_wait_ends_at_its_deadline_after_a_last_look(ask: Ask, played: Any) -> None:
    played.status("WORKING")
    with pytest.raises(AluoEditTimedOut) as caught:
        ask(AluoHook(), "wait_for_completion", "edit_1", timeout=2.5, poll_interval=1.7)
    assert (caught.value.aluo_task_id, caught.value.last_status) == ("edit_1", "WORKING")
    assert len(played.requests) in {2, 3}  # one at once, one in between if the machine is quick, the last one


def test_a_wait_tells_each_change_once(ask: Ask, played: Any, logs: list[str]) -> None:
    for word in ("QUEUED", "QUEUED", "WORKING"):
        played.status(word)
    played.status("SUCCESS", "https://cdn.example/a.png?signature=of-the-picture")
    ask(AluoHook(), "wait_for_completion", "edit_1", poll_interval=0.1)
    told = [line for line in logs if "edit_1" in line]
    assert told == [f"info: edit edit_1 is {word}" for word in ("QUEUED", "WORKING", "SUCCESS")]
    assert "signature" not in str(logs)


@pytest.mark.parametrize(
    ("status", "retry_after"), [(429, "300"), (502, None), (200, None)], ids=["limited", "gateway", "garbage"]
)
def test_a_look_in_passing_survives_that_no_answer_comes(
    played: Any, logs: list[str], clock: Any, status: int, retry_after: str | None
) -> None:
    headers = {"Retry-After": retry_after} if retry_after else None
    played.reply(status, b"", headers=headers, meanwhile=lambda: clock.shift(61))
    pending = record.of_edit("edit_1", aluo_conn_id="aluo_default")
    rule = WaitRule(deadline=time.time() + 600, poll_interval=10)
    assert isinstance(AluoHook().stay(pending, rule, Progress()), Pause)
    assert ("info: look 1 at edit edit_1 failed, looking again" in str(logs)) == (status != 429)
    assert len(played.requests) == 1


def test_a_look_in_passing_tells_an_end_from_a_running_edit(played: Any) -> None:
    pending = record.of_edit("edit_1", aluo_conn_id="aluo_default")
    played.status("WORKING")
    played.status("SUCCESS", "https://cdn.example/a.png")
    played.status("FAILED")
    rule, progress = WaitRule(deadline=time.time() + 600, poll_interval=10), Progress()
    assert isinstance(AluoHook().stay(pending, rule, progress), Pause)
    found = AluoHook().stay(pending, rule, progress)
    assert not isinstance(found, Pause)
    assert found["result_urls"] == ["https://cdn.example/a.png"]
    with pytest.raises(AluoEditFailed):
        AluoHook().stay(pending, rule, progress)
    assert (progress.looks, progress.last_status) == (3, "FAILED")


def test_the_record_of_a_task_function_is_taken_by_sensor_and_download(
    sandbox: Any, tasks: Any, tmp_path: Path
) -> None:
    returned = json.loads(json.dumps(AluoHook().generate(PROMPT, image_urls=[sandbox.photo])))
    waited = tasks.run(PhotoEditStatusSensor(task_id="wait", aluo_task_id=returned, poke_interval=0.1))
    download = PhotoDownloadOperator(task_id="land", edits=waited, destination=str(tmp_path))
    (file,) = tasks.run(download)["files"]
    assert Path(file["path"]).stat().st_size == file["bytes"]


# --- the connection --------------------------------------------------------------------------------------


def test_a_connection_is_read_once(ask: Ask, sandbox: Any, connections: Any) -> None:
    hook = AluoHook()
    with pytest.raises(AluoRequestRejected):
        ask(hook, "get_status", "edit_1")
    connections.set("http://127.0.0.1:9/elsewhere")
    with pytest.raises(AluoRequestRejected):
        ask(hook, "get_status", "edit_1")
    assert len(sandbox.calls) == 2


def test_an_extra_reaches_the_account(connections: Any) -> None:
    connections.set("https://aluo.example/api/", plan="pro", read_timeout="7", verify="false")
    account = AluoHook().account
    assert (account.base_url, account.plan) == ("https://aluo.example/api", "pro")
    assert (account.credits_per_edit, account.read_timeout, account.verify) == (35, 7.0, False)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"extra": {"headers": {"x": "y"}}}, "extra 'headers': not known; expected one of plan, "),
        ({"password": ""}, "password: empty"),
        ({"host": "ftp://aluo.example"}, "host: 'ftp://aluo.example'"),
        ({"extra": {"plan": "gold"}, "password": ""}, "(?s)password: empty.*extra 'plan': 'gold'"),
    ],
)
def test_a_connection_that_cannot_be_used_says_all_that_is_wrong(
    ask: Ask, connections: Any, fields: dict[str, Any], said: str
) -> None:
    connections.set_raw(**{"password": connections.key, "host": "http://127.0.0.1:9"} | fields)
    with pytest.raises(AluoRequestInvalid, match=said) as caught:
        ask(AluoHook(), "get_status", "edit_1")
    assert "connection 'aluo_default'" in str(caught.value)
    assert connections.key not in str(caught.value)


@pytest.mark.parametrize("extra", ["{broken", "[1]"])
def test_an_extra_that_is_no_json_object_is_refused(ask: Ask, connections: Any, extra: str) -> None:
    connections.set_raw(password=connections.key, extra=extra)
    # An older Airflow does not take such a connection for one.
    with pytest.raises((AluoRequestInvalid, AirflowNotFoundException), match="aluo_default") as caught:
        ask(AluoHook(), "get_status", "edit_1")
    assert connections.key not in str(caught.value)
    if isinstance(caught.value, AluoRequestInvalid):
        assert "extra: no JSON object" in str(caught.value)


@pytest.mark.usefixtures("connections")
def test_a_connection_that_is_not_there_is_named(ask: Ask) -> None:
    with pytest.raises(AirflowNotFoundException, match="aluo_elsewhere"):
        ask(AluoHook("aluo_elsewhere"), "get_status", "edit_1")


def test_what_looks_wrong_but_works_is_warned_of_once(connections: Any, logs: list[str]) -> None:
    connections.set("http://aluo.example/api", password="a-key-of-somebody-elses")
    hook = AluoHook()
    assert asyncio.run(hook.aaccount()) is hook.account is asyncio.run(hook.aaccount())
    warnings = [line for line in logs if line.startswith("warning")]
    assert len(warnings) == 2
    assert "does not begin with 'sk-'" in warnings[0]
    assert "unencrypted" in warnings[1]


def test_the_key_is_in_no_log_error_or_repr(ask: Ask, sandbox: Any, connections: Any, logs: Any) -> None:
    hook = AluoHook()
    found = ask(hook, "generate", PROMPT, image_urls=[sandbox.photo])
    done = ask(hook, "wait_for_completion", found, poll_interval=0.1)
    sandbox.control("DELETE", f"accounts/{connections.key}")
    with pytest.raises(AluoUnauthorized) as caught:
        ask(AluoHook(), "generate", PROMPT, image_urls=[sandbox.photo])
    seen = [logs, repr(hook), repr(hook.account), found, done, repr(caught.value), str(caught.value)]
    assert connections.key not in str(seen)


def test_a_wait_goes_on_with_the_new_key_that_its_connection_has_by_then(
    ask: Ask, played: Any, connections: Any, logs: list[str]
) -> None:
    new = "sk-new-0123456789abcdef-of-a-test"
    played.status("PROCESSING", meanwhile=lambda: connections.set(played.url, password=new))
    played.refuse(401, -2)
    played.status("SUCCESS", "https://cdn.example/1.png")
    found = ask(AluoHook(), "wait_for_completion", "edit_1", poll_interval=JUST_NOW + 0.1)
    assert found["status"] == "SUCCESS"
    keys = [headers["authorization"].removeprefix("Bearer ") for _, headers in played.requests]
    assert keys == [connections.key, connections.key, new]
    (warning,) = (line for line in logs if line.startswith("warning"))
    assert warning == f"warning: {ANOTHER_KEY % 'aluo_default'}"
    assert "connection 'aluo_default' has another one" in warning


def test_a_wait_whose_key_is_refused_does_not_go_on_at_another_host(
    ask: Ask, played: Any, sandbox: Any, connections: Any
) -> None:
    new = "sk-new-0123456789abcdef-of-a-test"
    connections.set(played.url)
    played.status("PROCESSING", meanwhile=lambda: connections.set(sandbox.api_url, password=new))
    played.refuse(401, -2)
    with pytest.raises(AluoUnauthorized):
        ask(AluoHook(), "wait_for_completion", "edit_1", poll_interval=JUST_NOW + 0.1)
    assert len(played.requests) == 2
    assert sandbox.calls == []


def test_a_wait_whose_key_is_refused_ends_where_its_connection_names_no_other(ask: Ask, played: Any) -> None:
    played.status("PROCESSING")
    played.refuse(401, -2)
    with pytest.raises(AluoUnauthorized):
        ask(AluoHook(), "wait_for_completion", "edit_1", poll_interval=0.1)
    assert len(played.requests) == 2


# --- Test Connection -------------------------------------------------------------------------------------


def test_a_good_key_passes_the_test_and_costs_nothing(sandbox: Any) -> None:
    ok, said = AluoHook().test_connection()
    assert ok
    assert "Task not found" in said
    assert sandbox.calls == ["GET status"]
    assert sandbox.accepted == 0


def test_a_test_that_finds_an_edit_passes(played: Any) -> None:
    played.status("SUCCESS", "https://cdn.example/a.png")
    ok, said = AluoHook().test_connection()
    assert ok
    assert said.startswith("Aluo answered: {")
    assert "SUCCESS" in said


def test_any_answer_of_aluos_passes_the_test_and_is_quoted(played: Any) -> None:
    played.reply(200, {"code": 0, "success": True, "data": None})
    ok, said = AluoHook().test_connection()
    assert ok
    assert '"data": null' in said


def test_a_wrong_key_fails_the_test(sandbox: Any, connections: Any) -> None:
    sandbox.control("DELETE", f"accounts/{connections.key}")
    ok, said = AluoHook().test_connection()
    assert not ok
    assert "check the API key" in said
    assert connections.key not in said


def test_a_host_that_does_not_answer_fails_the_test(connections: Any, nobody: str) -> None:
    connections.set(nobody)
    ok, said = AluoHook().test_connection()
    assert not ok
    assert "127.0.0.1" in said


@pytest.mark.parametrize(
    ("status", "body", "headers", "said"),
    [
        (200, b"<html>log in</html>", {}, "not a JSON object"),
        (404, b"<html>nothing here</html>", {}, "check the connection's host"),
        (502, b"<html>gateway</html>", {}, "HTTP 502"),
        (302, b"", {"Location": "https://elsewhere.example/api"}, "https://elsewhere.example/api"),
        (429, b"slow down", {"Retry-After": "60"}, "HTTP 429"),
        (200, b'{"code": 0', {}, "not a JSON object"),
    ],
    ids=["html", "not-found", "gateway", "redirect", "limited-by-a-gateway", "half-json"],
)
def test_an_answer_that_is_not_aluos_fails_the_test_after_one_try(
    played: Any, status: int, body: bytes, headers: dict[str, str], said: str
) -> None:
    played.reply(status, body, headers=headers)
    ok, answer = AluoHook().test_connection()
    assert not ok
    assert said in answer
    assert len(played.requests) == 1


def test_a_connection_that_cannot_be_used_fails_the_test(connections: Any) -> None:
    connections.set("", password="")
    ok, said = AluoHook().test_connection()
    assert not ok
    assert "password: empty" in said


def test_a_look_that_never_succeeds_ends(ask: Ask, played: Any, clock: Any) -> None:
    played.reply(503, b"", meanwhile=lambda: clock.shift(31))
    with pytest.raises(AluoServerError):
        ask(AluoHook(), "get_status", "edit_1")
    assert len(played.requests) == 2


def test_a_wait_can_follow_a_rule_of_its_own(played: Any) -> None:
    played.status("SUCCESS", "https://cdn.example/a.png")
    snapshot = asyncio.run(AluoHook().await_snapshot("edit_1", WaitRule(deadline=0.0)))
    assert snapshot.result_urls == ("https://cdn.example/a.png",)


@pytest.mark.parametrize("by", ["sync", "async"])
def test_the_last_look_at_the_deadline_waits_for_no_rest_of_the_account(played: Any, by: str) -> None:
    played.refuse(429, 429, headers={"Retry-After": "86400"})
    hook, now = AluoHook(), time.time()
    rule = WaitRule(deadline=now + 3.0, first_look_at=now, poll_interval=0.2)
    pending = record.of_edit("edit_1", aluo_conn_id="aluo_default")
    waits: dict[str, Callable[[], Any]] = {
        "sync": lambda: hook.complete(pending, rule),
        "async": lambda: asyncio.run(hook.await_snapshot("edit_1", rule)),
    }
    with pytest.raises(AluoEditTimedOut):
        waits[by]()
    assert len(played.requests) == 2
