"""One record of an edit, at the place where a task told of it, in brief.

A run may have ten thousand. What lists and totals need is taken from each once; the record itself is read
again for the few that are shown, so that it need not be held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow_aluo.protocol.errors import AluoUnknownOutcome
from airflow_aluo.protocol.record import UNKNOWN
from airflow_aluo.protocol.vocabulary import STATUS_FAILED
from airflow_aluo.ui.told import files, number, object_of, record_at, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_aluo.ui.told import Instance, Part, Record

State = Literal["succeeded", "running", "failed", "unknown"]


@dataclass(frozen=True, slots=True)
class Place:
    """What a record tells, and where it was told."""

    instance: Instance
    position: int
    #: The record, where reading it again would take long.
    kept: Record | None
    aluo_task_id: str | None
    #: ``None`` where the record does not tell of an end.
    state: State | None
    #: It tells what was asked for.
    asked: bool
    prompt: str | None
    #: ISO 8601, as it stands there.
    submitted_at: Any
    completed_at: Any
    #: Credits.
    deducted: float | None
    estimated: float | None
    #: How many pictures it has, and whether they were landed.
    pictures: int
    landed: bool

    @property
    def record(self) -> Record:
        """The record."""
        return self.kept or record_at(self.instance, self.position, _nothing) or _NO_RECORD


#: Never met: what was read once is in memory, and reads the same again.
_NO_RECORD: Final[Record] = {"status": UNKNOWN, "result_urls": []}


def place(instance: Instance, position: int, record: Record, *, keep: bool) -> Place | None:
    """Return what a record tells, ``None`` where it is of no edit: plain addresses that were downloaded."""
    request, aluo_task_id = object_of(record, "request"), text(record.get("aluo_task_id"))
    if not request and aluo_task_id is None and not object_of(record, "error"):
        return None
    times, credits_, landed = object_of(record, "times"), object_of(record, "credits"), files(record)
    return Place(
        instance=instance,
        position=position,
        kept=record if keep else None,
        aluo_task_id=aluo_task_id,
        state=_state_of(record),
        asked=bool(request),
        prompt=text(request.get("prompt")),
        submitted_at=times.get("submitted_at") or times.get("accepted_at"),
        completed_at=times.get("completed_at"),
        deducted=number(credits_.get("deducted")),
        # An edit that failed, or was not accepted, costs nothing.
        estimated=number(credits_.get("estimated"))
        if aluo_task_id is not None and record["status"] != STATUS_FAILED
        else None,
        pictures=len(landed) or len(record["result_urls"]),
        landed=bool(landed),
    )


def _state_of(record: Record) -> State | None:
    """Return what a record itself tells, ``None`` where the edit has not ended."""
    if record["status"] == UNKNOWN:
        return "unknown"
    if error := object_of(record, "error"):
        return "unknown" if error.get("type") == AluoUnknownOutcome.__name__ else "failed"
    if record["status"] == STATUS_FAILED:
        return "failed"
    return "succeeded" if record["result_urls"] or files(record) else None


def _nothing(parts: Sequence[Part]) -> list[list[Record] | None]:
    """Read no pieces of results: records of these are kept."""
    return [None for _ in parts]
