"""What was asked, what became of it and what it cost: the life of an edit, and the ledger.

The ledger tells charges apart: ``charges`` has one line for each, ``twice`` counts the edits that
had been accepted before, as their ``fingerprint`` shows.

No clock here: every moment (epoch seconds) is passed in.
"""

import hashlib
import json
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_aluo.protocol.vocabulary import STATUS_FAILED, STATUS_SUCCESS
from airflow_aluo.sandbox.accounts import Account
from airflow_aluo.sandbox.asked import Asked


@dataclass(slots=True)
class Input:
    """One reference image: its address, and its digest once it was read, for an upload at once.

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
    A ``failure`` of "" is one for which no reason is given.
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
    #: The same for two edits that were asked in the same words, of the same photos.
    fingerprint: str = field(init=False)

    @property
    def over_at(self) -> float:
        """When it is over (epoch seconds): never, while its outcome is not known."""
        return math.inf if self.known_at is None else max(self.due_at, self.known_at)

    def __post_init__(self) -> None:
        asked = [
            self.asked.prompt,
            self.asked.aspect_ratio,
            self.asked.output_format,
            self.asked.num_images,
            # An upload gets an address of its own each time: its content is what counts.
            [one.address if one.file is None else one.sha256 for one in self.inputs],
        ]
        self.fingerprint = hashlib.sha256(json.dumps(asked).encode()).hexdigest()

    def as_json(self, running_word: str) -> dict[str, Any]:
        """Return the edit as the ledger shows it."""
        return {
            "aluo_task_id": self.aluo_task_id,
            "account": self.account.name,
            "fingerprint": self.fingerprint,
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


@dataclass(frozen=True, slots=True)
class Charge:
    """Credits that were taken for an edit. ``at``: epoch seconds."""

    at: float
    edit: Edit
    credits: int

    def as_json(self) -> dict[str, Any]:
        """Return the charge as the ledger shows it."""
        return {
            "at": self.at,
            "account": self.edit.account.name,
            "aluo_task_id": self.edit.aluo_task_id,
            "prompt": self.edit.asked.prompt,
            "credits": self.credits,
        }


@dataclass(slots=True)
class Note:
    """One call, noted when it arrives. ``http_status`` stays None while nothing was answered.

    ``prompt``: of the POST, as far as it could be read, or of the edit that the call is about.
    ``refused``: a POST that was not accepted, whatever the reason.
    """

    at: float
    method: str
    path: str
    account: str | None = None
    http_status: int | None = None
    aluo_task_id: str | None = None
    prompt: str | None = None
    dropped: bool = False
    refused: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the call as the ledger shows it."""
        return {
            "at": self.at,
            "account": self.account,
            "method": self.method,
            "path": self.path,
            "http_status": self.http_status,
            "aluo_task_id": self.aluo_task_id,
            "prompt": self.prompt,
            "dropped": self.dropped,
        }


@dataclass(slots=True)
class Book:
    """All edits, all calls and all charges."""

    edits: dict[str, Edit] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    #: What the ledger shows; an edit that is older than the ledger still answers.
    _shown: dict[str, Edit] = field(default_factory=dict)
    _charges: list[Charge] = field(default_factory=list)
    _unfinished: list[Edit] = field(default_factory=list)

    def accept(self, edit: Edit) -> None:
        """Write an edit down and set its price aside."""
        self.edits[edit.aluo_task_id] = edit
        self._shown[edit.aluo_task_id] = edit
        self._unfinished.append(edit)
        edit.account.reserved += edit.price

    def settle(self, now: float) -> list[Edit]:
        """End what is over by now; the edits that ended. Only a success is charged.

        Source: https://aluo.ai/docs/api/photo-editor (read 2026-11-22): "If editing fails (status:
        FAILED), no credits will be deducted."
        """
        over = (edit for edit in self._unfinished if edit.over_at <= now)
        ended = sorted(over, key=lambda edit: edit.over_at)
        for edit in ended:
            edit.finished_at = edit.over_at
            edit.account.reserved -= edit.price
            if edit.failure is None:
                edit.status = STATUS_SUCCESS
                edit.charged = edit.price
                edit.account.balance -= edit.price
                if edit.aluo_task_id in self._shown:
                    self._charges.append(Charge(edit.over_at, edit, edit.price))
            else:
                edit.status = STATUS_FAILED
            self._unfinished.remove(edit)
        return ended

    def forget(self) -> None:
        """Start an empty ledger. Edits that were accepted before live on, unseen."""
        self._shown.clear()
        self.notes.clear()
        self._charges.clear()

    def as_json(self, running_word: str, text: str | None = None) -> dict[str, Any]:
        """Return the ledger. Totals count edits, ``charged`` credits, ``refused`` POSTs.

        ``text``: only what belongs to edits whose prompt holds it.
        """
        edits = [edit for edit in self._shown.values() if _holds(edit.asked.prompt, text)]
        notes = [note for note in self.notes if _holds(note.prompt, text)]
        charges = [charge for charge in self._charges if _holds(charge.edit.asked.prompt, text)]
        ends = Counter(edit.status for edit in edits)
        return {
            "entries": [edit.as_json(running_word) for edit in edits],
            "requests": [note.as_json() for note in notes],
            "charges": [charge.as_json() for charge in charges],
            "twice": len(edits) - len({edit.fingerprint for edit in edits}),
            "totals": {
                "accepted": len(edits),
                "succeeded": ends[STATUS_SUCCESS],
                "failed": ends[STATUS_FAILED],
                "charged": sum(charge.credits for charge in charges),
                "refused": sum(note.refused for note in notes),
            },
        }


def _holds(prompt: str | None, text: str | None) -> bool:
    return text is None or (prompt is not None and text in prompt)
