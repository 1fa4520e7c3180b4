import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_aluo.protocol import photo_edit, record
from airflow_aluo.protocol.errors import (
    AluoEditFailed,
    AluoEditTimedOut,
    AluoOutOfCredits,
    AluoPictureError,
    AluoRequestInvalid,
    AluoUnknownOutcome,
)
from airflow_aluo.protocol.record import EditRecord
from airflow_aluo.protocol.replies import Acceptance, Credits, Snapshot
from airflow_aluo.protocol.schedule import WaitRule
from airflow_aluo.protocol.schemas import schema, validator

EXAMPLE: EditRecord = schema("edit_record")["examples"][0]
SUBMITTED_AT = 1_795_312_800.12
EDIT = photo_edit.read({"prompt": "Center the product", "image_urls": ["https://example.com/a.jpg"]})
FILE = record.LandedFile(path="/d/1.png", sha256="0" * 64, bytes=9, width=3, height=2, format="png")


def submitted(*, took: float = 1.0, credits_: Credits | None = None) -> EditRecord:
    return record.submitted(
        EDIT,
        Acceptance("edit_1", credits_ or Credits()),
        aluo_conn_id="aluo_default",
        estimated_credits=40,
        submitted_at=SUBMITTED_AT,
        accepted_at=SUBMITTED_AT + took,
    )


def problems(value: Any) -> dict[str, str]:
    with pytest.raises(AluoRequestInvalid) as caught:
        record.parse(value)
    return {problem.parameter: problem.value for problem in caught.value.problems}


def test_the_schemas_example_is_a_record() -> None:
    assert record.parse(EXAMPLE) is EXAMPLE


def test_a_submitted_edit_is_recorded_as_it_was_asked_with_both_times() -> None:
    assert submitted(credits_=Credits(deducted=None, remaining=960)) == {
        "version": 1,
        "aluo_conn_id": "aluo_default",
        "aluo_task_id": "edit_1",
        "request": EDIT.to_json(),
        "status": "SUBMITTED",
        "result_urls": [],
        "files": [],
        "credits": {"estimated": 40, "deducted": None, "remaining": 960},
        "times": {
            "submitted_at": "2026-11-22T02:00:00.120000+00:00",
            "accepted_at": "2026-11-22T02:00:01.120000+00:00",
            "completed_at": None,
            "landed_at": None,
        },
    }


def test_a_record_grows_from_submit_to_landing_and_stays_one_at_each_step() -> None:
    first = submitted()
    snapshot = Snapshot("SUCCESS", ("https://cdn.aluo.ai/1.png",), None, Credits(40, 960))
    second = record.completed(first, snapshot, at=SUBMITTED_AT + 20)
    third = record.landed(second, [FILE], at=SUBMITTED_AT + 25)
    for step in (first, second, third):
        assert record.parse(json.loads(json.dumps(step))) == step
    assert (third["status"], third["result_urls"]) == ("SUCCESS", ["https://cdn.aluo.ai/1.png"])
    assert third["credits"] == {"estimated": 40, "deducted": 40, "remaining": 960}
    assert third["files"] == [FILE]
    assert third["times"] == {
        "submitted_at": "2026-11-22T02:00:00.120000+00:00",
        "accepted_at": "2026-11-22T02:00:01.120000+00:00",
        "completed_at": "2026-11-22T02:00:20.120000+00:00",
        "landed_at": "2026-11-22T02:00:25.120000+00:00",
    }


def test_no_step_changes_the_record_that_it_was_given() -> None:
    first = submitted()
    before = copy.deepcopy(first)
    second = record.completed(first, Snapshot("SUCCESS", ("https://a.b/c",), None, Credits(1, 2)), at=0.0)
    record.landed(second, [FILE], at=0.0)
    assert first == before
    assert second["files"] == []


def test_an_edit_that_failed_keeps_its_id_and_says_why() -> None:
    first = submitted()
    error = AluoEditFailed("edit edit_1 ended FAILED, no reason given", aluo_task_id="edit_1")
    found = record.parse(json.loads(json.dumps(record.failed(first, error, at=SUBMITTED_AT + 20))))
    assert (found["aluo_task_id"], found["status"]) == ("edit_1", "FAILED")
    assert found["error"] == {
        "type": "AluoEditFailed",
        "message": "edit edit_1 ended FAILED, no reason given",
    }
    assert found["times"]["completed_at"] == "2026-11-22T02:00:20.120000+00:00"
    assert "error" not in first


def test_an_edit_that_was_not_waited_for_to_its_end_is_not_said_to_have_ended() -> None:
    late = AluoEditTimedOut("late", aluo_task_id="edit_1", last_status="WORKING")
    found = record.parse(record.failed(submitted(), late, at=SUBMITTED_AT + 20))
    assert (found["status"], found["times"]["completed_at"]) == ("SUBMITTED", None)
    assert found["error"]["type"] == "AluoEditTimedOut"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (AluoOutOfCredits("no credits", http_status=402), "NOT_ACCEPTED"),
        (OSError("no such photo"), "NOT_ACCEPTED"),
        (AluoUnknownOutcome("nobody knows"), "UNKNOWN"),
    ],
)
def test_an_edit_without_an_id_keeps_its_request_and_says_why(error: Exception, status: str) -> None:
    found = record.parse(record.not_accepted(EDIT, error, aluo_conn_id="aluo_pro"))
    assert (found["aluo_task_id"], found["aluo_conn_id"], found["status"]) == (None, "aluo_pro", status)
    assert found["request"] == EDIT.to_json()
    assert found["error"] == {"type": type(error).__name__, "message": str(error)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "OSError"),
        ("one\n  - two", "one - two"),
        (
            "got s3://b/a.png?sig=SECRET&x=1 and 'https://a.b/?k=SECRET' today?",
            "got s3://b/a.png?… and 'https://a.b/?… today?",
        ),
        ("x" * 301, f"{'x' * 299}…"),
        ("x" * 300, "x" * 300),
    ],
)
def test_an_error_in_a_record_is_one_short_line_without_secrets(text: str, message: str) -> None:
    found = record.parse(record.not_accepted(EDIT, OSError(text), aluo_conn_id="aluo_pro"))
    assert found["error"]["message"] == message


def test_a_reply_that_says_nothing_of_credits_leaves_what_is_known() -> None:
    first = submitted(credits_=Credits(40, 960))
    assert record.completed(first, Snapshot("FAILED"), at=0.0)["credits"] == first["credits"]
    assert record.completed(first, Snapshot("FAILED", credits=Credits(0, 1000)), at=0.0)["credits"] == {
        "estimated": 40,
        "deducted": 0,
        "remaining": 1000,
    }


def test_plain_addresses_make_a_record_of_no_edit() -> None:
    found = record.of_urls(("https://a.b/c.png", "http://a.b/d.png"))
    assert found["result_urls"] == ["https://a.b/c.png", "http://a.b/d.png"]
    assert (found["aluo_task_id"], found["aluo_conn_id"], found["request"]) == (None, None, None)
    assert found["status"] == "UNKNOWN"
    with pytest.raises(AluoRequestInvalid, match="this one holds plain addresses"):
        record.task_id(found)


def test_addresses_that_nobody_can_fetch_make_no_record() -> None:
    with pytest.raises(AluoRequestInvalid) as caught:
        record.of_urls(["https://a.b/c.png", "ftp://a.b/c.png?X-Signature=SECRET"])
    (problem,) = caught.value.problems
    assert problem.parameter == "$.result_urls[1]"
    assert "SECRET" not in caught.value.message


@pytest.mark.parametrize(
    ("value", "aluo_task_id"),
    [("edit_1", "edit_1"), (" edit_1\n", "edit_1"), (123456789, "123456789"), ("123456789", "123456789")],
)
def test_a_bare_id_becomes_a_record_of_the_given_connection(value: Any, aluo_task_id: str) -> None:
    found = record.parse(record.of_edit(value, aluo_conn_id="aluo_pro"))
    assert record.task_id(found) == aluo_task_id
    assert (found["aluo_conn_id"], found["status"]) == ("aluo_pro", "SUBMITTED")


@pytest.mark.parametrize("render", [lambda value: value, json.dumps, str], ids=["object", "json", "python"])
def test_a_record_is_an_edit_to_wait_for_as_it_is_or_rendered(render: Any) -> None:
    first = submitted()
    assert record.of_edit(render(first), aluo_conn_id="other") == first


@pytest.mark.parametrize("value", [None, "", " ", "None", True, 1.5, [], {}, "[]", "{}", ["edit_1"]])
def test_what_names_no_edit_is_refused(value: Any) -> None:
    with pytest.raises(AluoRequestInvalid):
        record.of_edit(value, aluo_conn_id="aluo_default")


def test_plain_addresses_are_no_edit_to_wait_for() -> None:
    with pytest.raises(AluoRequestInvalid, match="aluo_task_id"):
        record.of_edit(record.of_urls(["https://a.b/c.png"]), aluo_conn_id="aluo_default")


def test_after_a_fast_submit_the_first_look_comes_an_interval_later() -> None:
    assert record.first_look_at(submitted(took=4.9), 10.0) == pytest.approx(SUBMITTED_AT + 14.9)


def test_after_a_slow_submit_a_look_pays_at_once() -> None:
    assert record.first_look_at(submitted(took=5.1), 10.0) == 0.0


def test_an_edit_of_unknown_age_is_looked_at_at_once() -> None:
    assert record.first_look_at(record.of_edit("edit_1", aluo_conn_id="c"), 10.0) == 0.0


@pytest.mark.parametrize(
    "time",
    ["2026-99-99T99:99:99Z", "0000-01-01T00:00:00Z", "2026-02-30T00:00:00+00:00", "2026-01-01T24:00:01Z"],
)
def test_a_time_of_no_calendar_is_an_unknown_age(time: str) -> None:
    for name in ("submitted_at", "accepted_at"):
        found = submitted()
        found["times"][name] = time  # type: ignore[literal-required]  # one of the two above
        assert record.first_look_at(record.parse(found), 10.0) == 0.0


@given(at=st.floats(0, 7e9))
def test_every_time_is_written_as_the_schema_has_it_and_read_back(at: float) -> None:
    found = submitted()
    found["times"]["landed_at"] = record.iso(at)
    record.parse(found)
    assert record._moment(record.iso(at)) == pytest.approx(at, abs=1e-5)


def test_a_wait_begins_when_a_look_can_pay_and_ends_after_the_timeout() -> None:
    found = submitted(took=1.0)
    rule = record.wait_rule(
        found,
        deadline=SUBMITTED_AT + 62,
        poll_interval=7.0,
        started_at=SUBMITTED_AT + 30,
        tolerated_failures=3,
    )
    assert rule == WaitRule(
        deadline=SUBMITTED_AT + 62,
        first_look_at=record.first_look_at(found, 7.0),
        poll_interval=7.0,
        tolerated_failures=3,
        missing_until=SUBMITTED_AT + 61,
        started_at=SUBMITTED_AT + 30,
        born_at=SUBMITTED_AT + 1,
        fresh=True,
    )


def planned(found: EditRecord) -> WaitRule:
    return record.wait_rule(
        found, deadline=SUBMITTED_AT + 600, poll_interval=None, started_at=SUBMITTED_AT + 30
    )


def test_an_edit_that_was_accepted_fast_was_not_done_then_and_is_as_old_as_its_acceptance() -> None:
    rule = planned(submitted(took=1.0))
    assert (rule.fresh, rule.born_at, rule.first_look_at) == (True, SUBMITTED_AT + 1, 0.0)


def test_an_edit_that_was_accepted_slowly_may_be_done_and_is_as_old_as_its_submit() -> None:
    rule = planned(submitted(took=6.0))
    assert (rule.fresh, rule.born_at, rule.first_look_at) == (False, SUBMITTED_AT, 0.0)


def test_of_a_bare_id_nobody_knows_how_old_it_is() -> None:
    rule = planned(record.of_edit("edit_1", aluo_conn_id="c"))
    assert (rule.fresh, rule.born_at, rule.first_look_at) == (False, 0.0, 0.0)


def test_an_edit_of_unknown_age_may_be_missing_for_a_while_after_the_wait_began() -> None:
    found = record.of_edit("edit_1", aluo_conn_id="c")
    rule = record.wait_rule(found, deadline=2000.0, poll_interval=7.0, started_at=1000.0)
    assert rule.missing_until == 1060.0


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (("version",), 2, "$.version"),
        (("aluo_task_id",), " ", "$.aluo_task_id"),
        (("aluo_task_id",), 7, "$.aluo_task_id"),
        (("status",), None, "$.status"),
        (("result_urls",), ["https://a.b/c", "/d.png"], "$.result_urls[1]"),
        (("result_urls",), "https://a.b/c", "$.result_urls"),
        (("files", 0, "sha256"), "abc", "$.files[0].sha256"),
        (("files", 0, "bytes"), 0, "$.files[0].bytes"),
        (("files", 0, "format"), "gif", "$.files[0].format"),
        (("credits", "deducted"), "40", "$.credits.deducted"),
        (("times", "landed_at"), "yesterday", "$.times.landed_at"),
        (("request",), "blue", "$.request"),
    ],
)
def test_a_value_that_a_record_cannot_hold_is_named_by_its_path(
    path: tuple[Any, ...], value: Any, where: str
) -> None:
    broken: Any = copy.deepcopy(EXAMPLE)
    holder = broken
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    assert list(problems(broken)) == [where]


def test_all_that_is_wrong_with_a_record_is_told_at_once() -> None:
    assert set(problems(EXAMPLE | {"version": 2, "status": "", "result_urls": None})) == {
        "$.version",
        "$.status",
        "$.result_urls",
    }


@pytest.mark.parametrize("name", sorted(EXAMPLE))
def test_no_field_may_be_missing(name: str) -> None:
    assert list(problems({key: value for key, value in EXAMPLE.items() if key != name})) == ["$"]


@pytest.mark.parametrize("name", ["api_key", "password", "headers", "content"])
def test_a_record_has_no_place_for_a_key_or_a_photo(name: str) -> None:
    assert list(problems(EXAMPLE | {name: "sk-0123456789"})) == ["$"]
    for part in ("credits", "times", "request"):
        assert problems(EXAMPLE | {part: EXAMPLE[part] | {name: "sk-0123456789"}})  # type: ignore[literal-required]


def test_a_records_steps_take_nothing_that_knows_the_key() -> None:
    steps = (record.submitted, record.completed, record.landed, record.of_edit, record.of_urls)
    names = {name for step in steps for name in step.__annotations__}
    assert not {name for name in names if "key" in name or "account" in name or "password" in name}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(changes=st.dictionaries(st.sampled_from(sorted(EXAMPLE)) | st.text(max_size=5), JSON) | JSON)
def test_any_json_is_a_record_or_is_refused_with_paths(changes: Any) -> None:
    value = EXAMPLE | changes if isinstance(changes, dict) else changes
    if validator("edit_record").is_valid(value):
        assert record.parse(value) is value
    else:
        assert all(path.startswith("$") for path in problems(value))


def test_what_is_no_record_is_quoted_once_with_all_that_it_lacks() -> None:
    with pytest.raises(AluoRequestInvalid) as caught:
        record.parse({"version": 1})
    (problem,) = caught.value.problems
    assert "this one has no aluo_conn_id, aluo_task_id, request, status, result_urls" in problem.expected
    with pytest.raises(AluoRequestInvalid) as caught:
        record.parse({"version": 2, "times": {}})
    assert [one.parameter for one in caught.value.problems] == ["$.version", "$", "$.times"]


def test_a_picture_that_landed_at_last_leaves_no_error_and_no_time_before_the_edits_end() -> None:
    done = record.of_edit("edit_1", aluo_conn_id="aluo_default")
    done = done | {"times": done["times"] | {"completed_at": record.iso(100.7)}}
    done = record.failed(done, AluoPictureError("too large", url="https://x.example/a.png"), at=101.0)
    landed = record.parse(record.landed(done, [], at=100.0))  # of a store that knows whole seconds
    assert "error" not in landed
    assert landed["times"]["landed_at"] == landed["times"]["completed_at"]
    assert record.landed(landed, [], at=103.0)["times"]["landed_at"] == record.iso(103.0)
