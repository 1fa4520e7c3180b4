"""What was asked, what became of it and what it cost: the life of an edit, and the ledger.

No clock here: every moment (epoch seconds) is passed in.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_aluo.protocol.vocabulary import STATUS_FAILED, STATUS_SUCCESS
from airflow_aluo.sandbox.accounts import Account
from airflow_aluo.sandbox.asked import Asked


@dataclass(slots=True)
class Input:
    """One reference image: its address, and its digest once it was read.

    An upload has its own name and the file where it was put.
    """

    address: str
    name: str | None = None
    file: Path | None = None
    sha256: str | None = None


@dataclass(slots=True, kw_only=True)
class Edit:
    """One accepted edit. It ends when its time is over *and* its outcome is known.

    ``price`` is in credits and fixed when the edit is accepted. ``status`` is empty until the end.
    """

    aluo_task_id: str
    account: Account
    asked: Asked
    inputs: list[Input]
    price: int
    submitted_at: float
    due_at: float
    #: When the pictures, or the failure, were there.
    known_at: float | None = None
    pictures: tuple[str, ...] = ()
    failure: str | None = None
    finished_at: float | None = None
    status: str = ""
    charged: int = 0

    def as_json(self, running_word: str) -> dict[str, Any]:
        """Return the edit as the ledger shows it."""
        return {
            "aluo_task_id": self.aluo_task_id,
            "account": self.account.name,
            "prompt": self.asked.prompt,
            "parameters": {
                "aspectRatio": self.asked.aspect_ratio,
                "outputFormat": self.asked.output_format,
                "numImages": self.asked.num_images,
            },
            "inputs": [{"url": one.address, "name": one.name, "sha256": one.sha256} for one in self.inputs],
            "submitted_at": self.submitted_at,
            "finished_at": self.finished_at,
            "status": self.status or running_word,
            "failure": self.failure if self.status else None,
            "charged": self.charged,
        }


@dataclass(slots=True)
class Note:
    """One call, noted when it arrives. ``http_status`` stays None while nothing was answered."""

    at: float
    method: str
    path: str
    account: str | None = None
    http_status: int | None = None
    aluo_task_id: str | None = None
    dropped: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the call as the ledger shows it."""
        return {
            "at": self.at,
            "account": self.account,
            "method": self.method,
            "path": self.path,
            "http_status": self.http_status,
            "aluo_task_id": self.aluo_task_id,
            "dropped": self.dropped,
        }


@dataclass(slots=True)
class Book:
    """All edits and all calls."""

    edits: dict[str, Edit] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    #: POSTs that were not accepted, whatever the reason.
    refused: int = 0
    #: What the ledger shows; an edit that is older than the ledger still answers.
    _shown: list[Edit] = field(default_factory=list)
    _unfinished: list[Edit] = field(default_factory=list)

    def accept(self, edit: Edit) -> None:
        """Write an edit down and set its price aside."""
        self.edits[edit.aluo_task_id] = edit
        self._shown.append(edit)
        self._unfinished.append(edit)
        edit.account.reserved += edit.price

    def settle(self, now: float) -> list[Edit]:
        """End what is over by now; the edits that ended. Only a success is charged.

        Source: https://aluo.ai/docs/api/photo-editor (read 2026-11-22): "If editing fails (status:
        FAILED), no credits will be deducted."
        """
        ended = [edit for edit in self._unfinished if edit.known_at is not None and edit.due_at <= now]
        for edit in ended:
            edit.finished_at = max(edit.due_at, edit.known_at or 0.0)
            edit.account.reserved -= edit.price
            if edit.failure is None:
                edit.status = STATUS_SUCCESS
                edit.charged = edit.price
                edit.account.balance -= edit.price
            else:
                edit.status = STATUS_FAILED
            self._unfinished.remove(edit)
        return ended

    def forget(self) -> None:
        """Start an empty ledger. Edits that were accepted before live on, unseen."""
        self._shown.clear()
        self.notes.clear()
        self.refused = 0

    def as_json(self, running_word: str) -> dict[str, Any]:
        """Return the ledger. Totals count edits, ``charged`` credits, ``refused`` POSTs."""
        ends = Counter(edit.status for edit in self._shown)
        return {
            "entries": [edit.as_json(running_word) for edit in self._shown],
            "requests": [note.as_json() for note in self.notes],
            "totals": {
                "accepted": len(self._shown),
                "succeeded": ends[STATUS_SUCCESS],
                "failed": ends[STATUS_FAILED],
                "charged": sum(edit.charged for edit in self._shown),
                "refused": self.refused,
            },
        }
