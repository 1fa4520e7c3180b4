"""The edit record: what travels through XCom from submit to wait to download.

Plain JSON in, plain JSON out (schema ``edit_record``); each function returns a new record.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NotRequired, TypedDict

from airflow_aluo.protocol.chained import not_a_record
from airflow_aluo.protocol.errors import AluoEditFailed, AluoRequestInvalid, AluoUnknownOutcome, Problem
from airflow_aluo.protocol.rendered import collection, optional, without_query
from airflow_aluo.protocol.schedule import DEFAULT_TOLERATED_FAILURES, MISSING_GRACE, WaitRule
from airflow_aluo.protocol.vocabulary import STATUS_FAILED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_aluo.protocol.decision import EditReview
    from airflow_aluo.protocol.photo_edit import PhotoEdit
    from airflow_aluo.protocol.replies import Acceptance, Credits, Snapshot

#: The status of an edit at which nobody has looked yet. Ours; the vendor's words come with the first look.
SUBMITTED: Final = "SUBMITTED"

#: The status of plain addresses that never were an edit of ours, and of a submit with an unknown outcome.
UNKNOWN: Final = "UNKNOWN"

#: The status of an edit of a batch that Aluo did not accept, or that was never sent. Ours.
NOT_ACCEPTED: Final = "NOT_ACCEPTED"

#: Longest message that a record holds, in characters.
_MESSAGE: Final = 300

#: A submit that took this long, in seconds, was the slow call that returns a finished edit.
SLOW_SUBMIT: Final = 5.0


class LandedFile(TypedDict):
    """One picture that was landed."""

    path: str
    sha256: str
    bytes: int
    width: int
    height: int
    format: str


class EditCredits(TypedDict):
    """What an edit costs."""

    estimated: float | None
    deducted: float | None
    remaining: float | None


class EditTimes(TypedDict):
    """When what happened: UTC, ISO 8601."""

    submitted_at: str | None
    accepted_at: str | None
    completed_at: str | None
    landed_at: str | None


class EditError(TypedDict):
    """Why an edit of a batch has no pictures."""

    #: One of the names in :mod:`airflow_aluo.protocol.errors`, or another exception's.
    type: str
    message: str


class EditRecord(TypedDict):
    """An edit on its way from request to landed pictures; see ``schemas/edit_record.schema.json``."""

    version: int
    aluo_conn_id: str | None
    aluo_task_id: str | None
    request: dict[str, Any] | None
    status: str
    result_urls: list[str]
    files: list[LandedFile]
    credits: EditCredits
    times: EditTimes
    #: Only where an edit of a batch failed, or its pictures did not land.
    error: NotRequired[EditError]
    #: Only of an edit of edits: the photo at the start of the chain, without query and user.
    source: NotRequired[str]
    #: Only where a person was asked.
    review: NotRequired[EditReview]


def submitted(
    edit: PhotoEdit,
    acceptance: Acceptance,
    *,
    aluo_conn_id: str,
    estimated_credits: float,
    submitted_at: float,
    accepted_at: float,
) -> EditRecord:
    """Return the record of an edit that Aluo has just accepted. Times in epoch seconds."""
    record = _asked(SUBMITTED, edit, aluo_conn_id)
    record["aluo_task_id"] = acceptance.aluo_task_id
    record["credits"] = _credits(record["credits"] | {"estimated": estimated_credits}, acceptance.credits)
    record["times"]["submitted_at"] = iso(submitted_at)
    record["times"]["accepted_at"] = iso(accepted_at)
    return record


def completed(record: EditRecord, snapshot: Snapshot, *, at: float) -> EditRecord:
    """Return the record with what a look found. ``at``: epoch seconds."""
    return record | {
        "status": snapshot.status,
        "result_urls": list(snapshot.result_urls),
        "credits": _credits(record["credits"], snapshot.credits),
        "times": record["times"] | {"completed_at": iso(at)},
    }


def landed(record: EditRecord, files: Sequence[LandedFile], *, at: float) -> EditRecord:
    """Return the record with the pictures that were landed, and no error any more. ``at``: epoch seconds."""
    found = record | {"files": list(files)}
    found.pop("error", None)
    # Some stores tell only in which second a file was written.
    at = max(at, _moment(record["times"]["completed_at"]) or at)
    return found | {"times": record["times"] | {"landed_at": iso(at)}}


def failed(record: EditRecord, error: Exception, *, at: float) -> EditRecord:
    """Return the record of an accepted edit with why it gave no pictures. ``at``: epoch seconds."""
    found = record | {"error": _error(error)}
    if isinstance(error, AluoEditFailed):
        found |= {"status": STATUS_FAILED, "times": record["times"] | {"completed_at": iso(at)}}
    return found


def not_accepted(edit: PhotoEdit, error: Exception, *, aluo_conn_id: str, tried: bool = True) -> EditRecord:
    """Return the record of an edit that never got an id, with the reason.

    :param tried: it was sent, or should have been; else others' failure kept it from being sent at all.
    """
    status = UNKNOWN if tried and isinstance(error, AluoUnknownOutcome) else NOT_ACCEPTED
    return _asked(status, edit, aluo_conn_id) | {"error": _error(error, "" if tried else "not tried: ")}


def of_edit(value: Any, *, aluo_conn_id: str) -> EditRecord:
    """Return the record of an edit to wait for: the record itself, or a new one for a bare id.

    Text that a template made of a record is read back.

    :param aluo_conn_id: the connection of an edit of which only the id is known.
    :raises AluoRequestInvalid: the value names no edit.
    """
    value = collection(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and optional(value):
        return _empty(SUBMITTED) | {"aluo_task_id": value.strip(), "aluo_conn_id": aluo_conn_id}
    record = parse(value)
    task_id(record)
    return record


def task_id(record: EditRecord) -> str:
    """Return Aluo's id of the record's edit.

    :raises AluoRequestInvalid: it has none.
    """
    if record["aluo_task_id"] is None:
        expected = "the record of an edit; this one holds plain addresses"
        raise AluoRequestInvalid("edit record", [Problem("aluo_task_id", "None", expected)])
    return record["aluo_task_id"]


def first_look_at(record: EditRecord, poll_interval: float | None) -> float:
    """Return the epoch seconds from which a look can pay.

    The vendor says that an edit may be complete when the submit returns: then the submit took long, and a
    look pays at once. After a fast submit it would only spend the rate limit.

    :param poll_interval: seconds to leave the edit alone after a fast submit; ``None`` where its age tells.
    """
    submitted_at, accepted_at = _birth(record)
    if accepted_at is None or poll_interval is None or _was_slow(submitted_at, accepted_at):
        return 0.0
    return accepted_at + poll_interval


def _birth(record: EditRecord) -> tuple[float | None, float | None]:
    """Return when an edit was submitted and accepted, in epoch seconds; ``None`` where nobody knows."""
    return _moment(record["times"]["submitted_at"]), _moment(record["times"]["accepted_at"])


def _was_slow(submitted_at: float | None, accepted_at: float | None) -> bool:
    return submitted_at is None or accepted_at is None or accepted_at - submitted_at >= SLOW_SUBMIT


def wait_rule(
    record: EditRecord,
    *,
    deadline: float,
    poll_interval: float | None,
    started_at: float,
    tolerated_failures: int = DEFAULT_TOLERATED_FAILURES,
) -> WaitRule:
    """Return how a record's edit is waited for.

    :param deadline: epoch seconds.
    :param poll_interval: seconds between two looks; ``None`` to look when it is likely to pay.
    :param started_at: epoch seconds at which the wait began.
    :param tolerated_failures: failed looks in a row that the wait survives.
    """
    submitted_at, accepted_at = _birth(record)
    slow = _was_slow(submitted_at, accepted_at)
    return WaitRule(
        deadline=deadline,
        first_look_at=first_look_at(record, poll_interval),
        poll_interval=poll_interval,
        tolerated_failures=tolerated_failures,
        missing_until=(accepted_at or started_at) + MISSING_GRACE,
        started_at=started_at,
        born_at=(submitted_at if slow else accepted_at) or 0.0,
        fresh=not slow,
    )


def of_urls(urls: Sequence[str]) -> EditRecord:
    """Return a record for plain addresses of pictures."""
    return parse(_empty(UNKNOWN) | {"result_urls": list(urls)})


def parse(value: Any) -> EditRecord:
    """Return the value as a record.

    :raises AluoRequestInvalid: it is none.
    """
    if problems := not_a_record(value):
        raise AluoRequestInvalid("edit record", problems)
    record: EditRecord = value
    return record


def iso(at: float) -> str:
    """Return epoch seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat()


def _moment(time: str | None) -> float | None:
    """Return a time of a record as epoch seconds, ``None`` where it has none."""
    try:
        return None if time is None else datetime.fromisoformat(time).timestamp()
    except ValueError:  # no day of any calendar: the schema counts digits only
        return None


def _asked(status: str, edit: PhotoEdit, aluo_conn_id: str) -> EditRecord:
    record = _empty(status)
    record["aluo_conn_id"], record["request"] = aluo_conn_id, edit.to_json()
    if edit.source is not None:
        record["source"] = edit.source
    return record


def _empty(status: str) -> EditRecord:
    return EditRecord(
        version=1,
        aluo_conn_id=None,
        aluo_task_id=None,
        request=None,
        status=status,
        result_urls=[],
        files=[],
        credits=EditCredits(estimated=None, deducted=None, remaining=None),
        times=EditTimes(submitted_at=None, accepted_at=None, completed_at=None, landed_at=None),
    )


def _error(error: Exception, beginning: str = "") -> EditError:
    """Say on one line what went wrong; addresses in it lose their query."""
    name = type(error).__name__
    text = re.sub(r"[A-Za-z][A-Za-z0-9+.-]*://\S+", lambda found: without_query(found[0]), str(error))
    message = beginning + (" ".join(text.split()) or name)
    if len(message) > _MESSAGE:
        message = f"{message[: _MESSAGE - 1]}…"
    return EditError(type=name, message=message)


def _credits(known: EditCredits, said: Credits) -> EditCredits:
    """Return what is known of the credits, with what the newest reply says."""
    return EditCredits(
        estimated=known["estimated"],
        deducted=known["deducted"] if said.deducted is None else said.deducted,
        remaining=known["remaining"] if said.remaining is None else said.remaining,
    )
