"""What is remembered of a batch's edits: little, the same in every try, and in the right places."""

import json
from dataclasses import replace
from typing import Any

import pytest

from airflow_aluo.batch import remembered
from airflow_aluo.batch.remembered import (
    after_failure,
    before_a_try,
    failure_from_json,
    failure_to_json,
    from_json,
    places,
    prints,
    shortened,
    to_json,
)
from airflow_aluo.protocol import photo_edit, record
from airflow_aluo.protocol.errors import (
    AluoEditFailed,
    AluoEditTimedOut,
    AluoError,
    AluoOutOfCredits,
    AluoPictureError,
    AluoRequestInvalid,
    AluoUnknownOutcome,
    Problem,
)
from airflow_aluo.protocol.record import EditRecord
from airflow_aluo.protocol.remembered import Entry, Stage
from airflow_aluo.protocol.replies import Acceptance, Credits
from airflow_aluo.protocol.schemas import validator
from airflow_aluo.task_store import TaskStoreError

EDIT = photo_edit.read({"prompt": "Blau 青い", "image_urls": "https://x.example/a.png?signed=1"})
PRINTS = prints(EDIT, aluo_conn_id="aluo_default", host="https://api.aluo.ai/api")
AT = 1_795_312_800.123456
#: Airflow's API refuses a longer value.
AIRFLOWS_LIMIT = 65_535


def accepted(aluo_task_id: str = "edit_123456789") -> EditRecord:
    acceptance = Acceptance(aluo_task_id, Credits(deducted=None, remaining=99_965))
    return record.submitted(
        EDIT,
        acceptance,
        aluo_conn_id="aluo_default",
        estimated_credits=35,
        submitted_at=AT,
        accepted_at=AT + 1,
    )


def landed(
    url: str = "https://cdn.aluo.ai/results/0123456789abcdef/edited1.png", pictures: int = 1
) -> EditRecord:
    done = accepted() | {"status": "SUCCESS", "result_urls": [url] * pictures}
    file = {
        "path": "/opt/airflow/data/edits/edit_123456789-0.png",
        "sha256": "0123456789abcdef" * 4,
        "bytes": 1_234_567,
        "width": 1_024,
        "height": 1_536,
        "format": "png",
    }
    return record.landed(done, [file] * pictures, at=AT + 9)  # type: ignore[list-item]


def entry(of: EditRecord | None) -> Entry:
    stage = Stage.INTENT if of is None else Stage.ACCEPTED
    known = Entry(stage=stage, max_tries=2, fingerprint=PRINTS, intended_at=record.iso(AT), record=of)
    return known if of is None else replace(known, deadline=AT + 600)


def shard(*stored: Any) -> dict[str, Any]:
    return {"version": 1, "entries": {str(place): one for place, one in enumerate(stored)}}


@pytest.mark.parametrize("of", [None, accepted(), landed(), landed(pictures=4)])
def test_an_entry_survives_json(of: EditRecord | None) -> None:
    stored = json.loads(json.dumps(to_json(entry(of))))
    validator("stored_batch").validate(shard(stored))
    assert from_json(stored, EDIT, list(PRINTS), "aluo_default") == entry(of)
    if of is not None:
        again = record.parse(from_json(stored, EDIT, list(PRINTS), "aluo_default").edit)
        assert json.dumps(again) == json.dumps(of)  # the same file again, byte by byte


def test_that_it_was_returned_is_the_heads_to_say() -> None:
    returned = replace(entry(landed()), stage=Stage.RETURNED)
    assert to_json(returned) == to_json(entry(landed()))


def test_a_signature_is_no_part_of_what_is_asked() -> None:
    again = photo_edit.read({"prompt": "Blau 青い", "image_urls": "https://x.example/a.png?signed=2"})
    assert prints(again, aluo_conn_id="aluo_default", host="https://api.aluo.ai/api") == PRINTS


# --- a hundred a key -------------------------------------------------------------------------------------


def test_a_hundred_landed_edits_need_no_shortening() -> None:
    full = shard(*[to_json(entry(landed()))] * 100)
    assert shortened(full) is full
    assert len(json.dumps(full)) < AIRFLOWS_LIMIT


def test_long_addresses_are_left_out_and_the_files_stay() -> None:
    long = to_json(entry(landed("https://cdn.example/" + "x" * 2_000, pictures=4)))
    short = to_json(entry(landed()))
    small = shortened(shard(*[short] * 50, *[long] * 20))
    assert len(json.dumps(small)) < AIRFLOWS_LIMIT
    assert all(
        one["files"] and one["aluo_task_id"] and one["status"] == "SUCCESS"
        for one in small["entries"].values()
    )
    assert all(small["entries"][str(place)] == short for place in range(50))
    validator("stored_batch").validate(small)


@pytest.mark.parametrize(
    "error",
    [
        AluoEditTimedOut("青い" * 900, aluo_task_id="edit_123456789", last_status="W" * 500),
        AluoRequestInvalid("x" * 900, [Problem("image_files[0]", "y" * 900, "z" * 900)] * 9),
        AluoPictureError("no", url="https://cdn.example/" + "x" * 3_000),
        AluoUnknownOutcome("?" * 900, seen="!" * 900),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_worst_hundred_edits_fit_into_a_key(error: AluoError) -> None:
    worst = to_json(entry(landed("https://cdn.example/" + "x" * 4_000, pictures=4)))
    for stored in (None,) if isinstance(error, AluoRequestInvalid) else (None, worst):
        marks = {"max_tries": 2, "prints": worst["prints"], **failure_to_json(error, tried=True)}
        failed = after_failure(stored, error, marks=marks, landing=False)
        small = shortened(shard(*[failed] * 100))
        assert len(json.dumps(small)) < AIRFLOWS_LIMIT
        validator("stored_batch").validate(small)
        assert isinstance(failure_from_json(small["entries"]["7"])[0], type(error))


# --- failures --------------------------------------------------------------------------------------------

UNHEARD = to_json(entry(None))
RUNNING = to_json(entry(accepted()))
FAILED = AluoEditFailed("no", aluo_task_id="edit_123456789")
NO_CREDITS = AluoOutOfCredits("no", http_status=402)


@pytest.mark.parametrize(
    ("stored", "error", "next_try"),
    [
        (None, NO_CREDITS, None),
        (UNHEARD, AluoUnknownOutcome("?"), UNHEARD),
        (RUNNING, FAILED, None),
        (RUNNING, NO_CREDITS, RUNNING),
        (RUNNING | {"result_urls": ["https://a.example/b"]}, AluoPictureError("no", url="u"), RUNNING),
    ],
)
@pytest.mark.parametrize("resumable", [False, True])
def test_a_failure_is_remembered_until_the_next_try(
    stored: Any, error: AluoError, next_try: Any, *, resumable: bool
) -> None:
    marks = {"max_tries": 2, "prints": UNHEARD["prints"], **failure_to_json(error, tried=True)}
    landing = isinstance(error, AluoPictureError)
    after = after_failure(stored, error, marks=marks if resumable else None, landing=landing)
    if resumable:
        assert after is not None
        validator("stored_batch").validate(shard(after))
        told, tried = failure_from_json(after)
        assert (type(told), told.message, tried) == (type(error), error.message, True)
        assert after_failure(after, error, marks=marks, landing=landing) == after
        assert before_a_try(after) == next_try
    else:
        assert after == next_try


def test_a_failure_that_is_none_of_the_protocols_is_told_in_its_words() -> None:
    told, tried = failure_from_json(failure_to_json(TaskStoreError("gone"), tried=False))
    assert (type(told), told.message, tried) == (AluoError, "gone", False)


def test_a_text_that_is_cut_says_so() -> None:
    found = failure_to_json(AluoError("青" * 1_000), tried=True)["error"]["message"]
    assert found.endswith("青…")
    assert len(json.dumps(found)) <= remembered._TEXT


# --- places ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "asked", "found"),
    [
        ("abc", "abc", {0: 0, 1: 1, 2: 2}),
        ("abc", "cba", {0: 2, 1: 1, 2: 0}),
        ("abc", "axbc", {0: 0, 2: 1, 3: 2}),
        ("abc", "ac", {0: 0, 1: 2}),
        ("abc", "xyz", {0: 0, 1: 1, 2: 2}),  # a prompt that names the try
        ("abc", "ayc", {0: 0, 1: 1, 2: 2}),
        ("aab", "baa", {0: 2, 1: 1, 2: 0}),
        ("aa", "aaa", {0: 0, 1: 1}),
        ("", "ab", {}),
    ],
)
def test_edits_are_found_where_they_stood_or_wherever_they_are_now(
    before: str, asked: str, found: dict[int, int]
) -> None:
    stored = {place: {"prints": name, "max_tries": 2} for place, name in enumerate(before)}
    assert places(stored, list(asked), max_tries=2) == found


def test_after_a_clear_another_edit_in_a_place_is_another_edit() -> None:
    stored = {0: {"prints": "a", "max_tries": 2}}
    assert places(stored, ["b"], max_tries=4) == {}
