import re
from typing import Any

import pytest
from pydantic import ValidationError

from airflow_aluo.sandbox import faults as module
from airflow_aluo.sandbox.accounts import digest
from airflow_aluo.sandbox.faults import PLACES, Fault, Faults


def ordered(**fault: Any) -> Faults:
    faults = Faults()
    faults.add(Fault(**fault))
    return faults


def kinds(faults: Faults, *, on: Any = "generate", prompt: str = "", calls: int = 4) -> list[str | None]:
    met = [faults.take(on, prompt) for _ in range(calls)]
    return [fault.kind if fault else None for fault in met]


def test_a_fault_meets_one_call_unless_told_otherwise() -> None:
    assert kinds(ordered(kind="empty")) == ["empty", None, None, None]


def test_a_fault_can_meet_several_calls_or_all() -> None:
    assert kinds(ordered(kind="empty", times=2)) == ["empty", "empty", None, None]
    assert kinds(ordered(kind="empty", times=None)) == ["empty"] * 4


def test_a_fault_can_let_calls_through_first() -> None:
    assert kinds(ordered(kind="empty", skip=2)) == [None, None, "empty", None]


def test_faults_meet_only_their_own_kind_of_call() -> None:
    assert kinds(ordered(kind="empty", on="status")) == [None] * 4
    assert kinds(ordered(kind="empty", on="picture"), on="picture")[0] == "empty"


def test_a_fault_can_pick_calls_by_their_prompt() -> None:
    faults = ordered(kind="empty", prompt="number 7")
    assert kinds(faults, prompt="Edit number 6") == [None] * 4
    assert kinds(faults, prompt="Edit number 7")[0] == "empty"


def test_a_fault_can_pick_calls_by_their_key() -> None:
    faults = ordered(kind="empty", key="sk-mine", prompt="7")
    assert faults.take("generate", "Edit 7") is None
    assert faults.take("generate", "Edit 7", "sk-other") is None
    assert faults.take("generate", "Edit 8", "sk-mine") is None
    assert faults.take("generate", "Edit 7", "sk-mine") is not None


def test_only_an_upload_is_cut_off_before_the_prompt_can_be_read() -> None:
    faults = ordered(kind="empty", times=None)
    faults.add(Fault(kind="drop_upload", skip=1, key="sk-mine"))
    assert [faults.take("generate", None, "sk-mine") is None for _ in range(3)] == [True, False, True]
    assert kinds(faults) == ["empty"] * 4
    assert kinds(ordered(kind="drop_upload")) == [None] * 4


def test_a_faults_key_cannot_be_read_where_it_is_shown() -> None:
    faults = ordered(kind="empty", key="sk-secret")
    assert faults.as_json()[0]["key"] == digest("sk-secret")
    assert "secret" not in f"{faults.take('generate', '', 'sk-secret')!r}"


def test_the_first_fault_ordered_strikes_first() -> None:
    faults = ordered(kind="empty")
    faults.add(Fault(kind="html"))
    assert kinds(faults) == ["empty", "html", None, None]


def test_cleared_faults_do_not_strike() -> None:
    faults = ordered(kind="empty", times=None)
    faults.clear()
    assert kinds(faults) == [None] * 4


def test_what_still_waits_can_be_seen() -> None:
    faults = ordered(kind="http_status", status=503, times=3, skip=1)
    kinds(faults, calls=2)
    (waiting,) = faults.as_json()
    assert waiting["number"] == 1
    assert (waiting["kind"], waiting["status"], waiting["times"], waiting["skip"]) == (
        "http_status",
        503,
        2,
        0,
    )


@pytest.mark.parametrize(
    ("fault", "after"),
    [
        ({"kind": "html"}, False),
        ({"kind": "html", "when": "after"}, True),
        ({"kind": "drop_after"}, True),
        ({"kind": "drop_before", "when": "after"}, False),
        ({"kind": "drop_upload", "when": "after"}, False),
        ({"kind": "half_reply"}, False),
        ({"kind": "half_reply", "when": "after"}, True),
        ({"kind": "half_reply", "on": "status"}, True),
    ],
    ids=str,
)
def test_a_fault_strikes_before_or_after_the_edit_is_accepted(fault: Any, after: bool) -> None:
    assert Fault(**fault).comes_after is after


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "edit_fails", "on": "status"},
        {"kind": "half_json", "on": "picture"},
        {"kind": "unheard_of"},
        {"kind": "empty", "times": 0},
        {"kind": "empty", "skip": -1},
        {"kind": "http_status", "status": 99},
        {"kind": "http_status", "status": 204},
        {"kind": "empty", "second": 3},
        {"kind": "html", "code": -1},
        {"kind": "word", "on": "status"},
        {"kind": "word", "on": "status", "word": ""},
        {"kind": "empty", "word": "PENDING"},
        {"kind": "drop_upload", "prompt": "x"},
        {"kind": "empty", "on": "picture", "key": "sk-x"},
    ],
    ids=str,
)
def test_a_fault_that_makes_no_sense_is_refused(fault: Any) -> None:
    with pytest.raises(ValidationError):
        Fault(**fault)


@pytest.mark.parametrize(("kind", "places"), PLACES.items(), ids=str)
def test_every_kind_can_be_ordered_where_it_makes_sense(kind: Any, places: Any) -> None:
    needed = {"word": "PENDING"} if kind == "word" else {}
    assert [Fault(kind=kind, on=place, **needed).on for place in places] == list(places)


def test_every_kind_is_explained() -> None:
    _, _, table, _ = re.split("^===.*$", str(module.__doc__), flags=re.MULTILINE)
    assert {line.split()[0] for line in table.strip().splitlines()} == set(PLACES)
