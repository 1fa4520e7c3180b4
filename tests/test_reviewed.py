"""The edits under review: those that can be judged, and those that were seen."""

import logging
from typing import Any

import pytest

from airflow_aluo import reviewed
from airflow_aluo.announced import REVIEWED
from airflow_aluo.protocol import record
from airflow_aluo.protocol.errors import AluoEditFailed, AluoRequestInvalid
from airflow_aluo.protocol.schemas import schema

RECORD = schema("edit_record")["examples"][0]
FAILED = record.failed(
    RECORD | {"files": [], "result_urls": []}, AluoEditFailed("it ended", aluo_task_id="x"), at=0.0
)


def given(edits: Any) -> Any:
    return reviewed.given(edits, logging.getLogger("tests"))


def test_one_edit_or_several_can_be_judged_without_those_that_failed() -> None:
    assert given(RECORD) == [RECORD]
    assert given([RECORD, FAILED, RECORD]) == [RECORD, RECORD]


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ([RECORD] * 51, "51 edits; expected 1 to 50"),
        ([], "0 edits"),
        ([RECORD | {"files": [], "result_urls": []}], "expected finished edits"),
        (7, "the record of an edit as another Aluo task returned it"),
    ],
)
def test_what_nobody_can_judge_is_an_error(edits: Any, said: str) -> None:
    with pytest.raises(AluoRequestInvalid, match=said):
        given(edits)


def test_what_was_seen_is_found_again(tasks: Any) -> None:
    tasks.ti.task_id = "review"
    tasks.ti.xcom_push(key=REVIEWED, value=[RECORD])
    assert reviewed.asked(tasks.ti) == [RECORD]


def test_what_was_seen_and_is_gone_is_an_error(tasks: Any) -> None:
    tasks.ti.task_id = "review"
    with pytest.raises(AluoRequestInvalid, match=r"nothing was decided.*holds for no others; clear"):
        reviewed.asked(tasks.ti)
