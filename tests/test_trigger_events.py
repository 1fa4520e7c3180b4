"""What crosses from the triggerer to the worker fails closed on what it does not understand."""

import json
from dataclasses import asdict
from typing import Any

import pytest

from airflow_aluo.protocol.errors import AluoEditFailed, AluoError, AluoUnauthorized, dump
from airflow_aluo.protocol.replies import Credits, Snapshot
from airflow_aluo.trigger_events import read_event

SEEN = Snapshot(status="SUCCESS", result_urls=("https://cdn.example/a.png",), credits=Credits(35, 965))


def sent(**changes: Any) -> Any:
    return {"snapshot": json.loads(json.dumps(asdict(SEEN))) | changes}


def test_an_edit_that_succeeded_arrives_as_it_was_seen() -> None:
    assert read_event(sent()) == SEEN


@pytest.mark.parametrize(
    "error",
    [AluoEditFailed("it failed", aluo_task_id="edit_1"), AluoUnauthorized("no", http_status=401, code=-2)],
)
def test_what_ended_the_wait_instead_is_raised_as_it_was(error: AluoError) -> None:
    with pytest.raises(type(error)) as caught:
        read_event(json.loads(json.dumps({"error": dump(error)})))
    assert dump(caught.value) == dump(error)


@pytest.mark.parametrize("changes", [{"status": "FAILED"}, {"status": "PAINTING"}, {"result_urls": []}])
def test_an_edit_that_is_not_done_is_not_taken_for_one_that_is(changes: dict[str, Any]) -> None:
    with pytest.raises(AluoError, match="the triggerer ended the wait for an edit that is"):
        read_event(sent(**changes))


@pytest.mark.parametrize("event", [None, "success", {}, {"batch": {}}, sent(more=1), {"error": "no"}])
def test_what_is_no_event_is_quoted_but_not_at_length(event: Any) -> None:
    with pytest.raises(AluoError, match="no event of PhotoEditTrigger") as caught:
        read_event(event)
    assert len(str(caught.value)) < 300
