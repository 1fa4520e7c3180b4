"""The edits under review: those that a person can judge, and after the answer those that the person saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.announced import REVIEWED
from airflow_aluo.protocol import record, review
from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem

if TYPE_CHECKING:
    from airflow_aluo.protocol.record import EditRecord

_SUBJECT: Final = "review"


def given(edits: Any, log: Any) -> list[EditRecord]:
    """Return the edits that a person can judge; those that failed are left out, with a warning.

    :param edits: in whatever shape other tasks return them.
    :raises AluoRequestInvalid: there are none, too many, or one without pictures.
    """
    from airflow_aluo.batch.results import expanded, some, who, without_failed

    found = [record.parse(one) for one in expanded(edits)]
    judged = [edit for _, edit in without_failed(found, subject=_SUBJECT, log=log)]
    if waiting := [
        f"{who(one)} is {one['status']}" for one in judged if not (one["files"] or one["result_urls"])
    ]:
        expected = "finished edits; put a PhotoEditStatusSensor before this task, or wait_for_completion=True"
        raise AluoRequestInvalid(_SUBJECT, [Problem("edits", some(waiting), expected)])
    if not 1 <= len(judged) <= review.MOST_EDITS:
        expected = (
            f"1 to {review.MOST_EDITS}, for each is to be looked at; "
            "map the review over the edits, or split them among several"
        )
        raise AluoRequestInvalid(_SUBJECT, [Problem("edits", f"{len(judged)} edits", expected)])
    return judged


def asked(ti: Any) -> list[EditRecord]:
    """Return what the person has seen, whatever has become of the tasks before this one since.

    :raises AluoRequestInvalid: that is gone, and what the tasks before return by now is no substitute.
    """
    found = ti.xcom_pull(task_ids=ti.task_id, key=REVIEWED, map_indexes=ti.map_index)
    if found is None:
        expected = (
            "the edits that were asked about, for the answer holds for no others; "
            "clear this task to ask again, or start a new run"
        )
        problem = Problem(f"XCom {REVIEWED!r}", "nothing, it was deleted", expected)
        raise AluoRequestInvalid(_SUBJECT, [problem], unharmed="nothing was decided")
    return [record.parse(one) for one in found]
