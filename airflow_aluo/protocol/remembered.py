"""What is remembered of an edit across the tries of its task: plain JSON in, plain JSON out."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.protocol import record as records
from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.rendered import without_query
from airflow_aluo.protocol.schemas import validator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_aluo.protocol.calls import Upload
    from airflow_aluo.protocol.photo_edit import PhotoEdit
    from airflow_aluo.protocol.record import EditRecord

#: The key under which the task state store keeps an entry.
KEY: Final = "aluo_edit"


class Stage(StrEnum):
    """How far an edit got."""

    #: It is about to be submitted, or was: nobody knows until the answer is remembered, too.
    INTENT = "intent"
    #: Aluo accepted it.
    ACCEPTED = "accepted"
    #: The task has returned it.
    RETURNED = "returned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is remembered of an edit: schema ``stored_edit``."""

    stage: Stage
    #: The task instance's ``max_tries`` when this was written: another one now tells of a clear.
    max_tries: int
    #: Digests of what was asked, by parameter: see :func:`fingerprint`.
    fingerprint: Mapping[str, str]
    #: When the intent was written: UTC, ISO 8601.
    intended_at: str
    #: A person was told that nobody knows the outcome.
    reported: bool = False
    #: Once accepted.
    record: EditRecord | None = None
    #: Epoch seconds until which the edit is waited for, once accepted.
    deadline: float | None = None

    @property
    def edit(self) -> EditRecord:
        """The record of an edit that was accepted."""
        assert self.record is not None  # noqa: S101  # the stage tells
        return self.record

    def to_json(self) -> dict[str, Any]:
        """Return the entry as plain JSON."""
        return {"version": 1, **asdict(self)}

    @classmethod
    def from_json(cls, value: Any) -> Entry:
        """Read what :meth:`to_json` gave.

        :raises AluoRequestInvalid: it is something else.
        """
        errors = sorted(validator("stored_edit").iter_errors(value), key=lambda error: error.json_path)
        if errors:
            expected = (
                f"an entry of this package ({without_query(errors[0].message)[:120]}); delete it in the task "
                "instance's Task State Store to submit, and pay, anew"
            )
            raise AluoRequestInvalid("task state store", [Problem(KEY, errors[0].json_path, expected)])
        known = {name: item for name, item in value.items() if name != "version"}
        stored = None if value["record"] is None else records.parse(value["record"])
        return cls(**known | {"stage": Stage(value["stage"]), "record": stored})


def fingerprint(
    edit: PhotoEdit, uploads: Sequence[Upload], *, aluo_conn_id: str, host: str
) -> dict[str, str]:
    """Return a digest of each part of a request, by parameter: whether two tries ask for the same edit.

    The key is no part of it: keys are rotated. Addresses count without their query, for signed ones change
    with each try; files count by their content, for paths do.
    """
    parts: dict[str, Any] = edit.to_json() | {
        "image_urls": [without_query(address) for address in edit.image_urls],
        "image_files": [hashlib.sha256(upload.content).hexdigest() for upload in uploads],
        "aluo_conn_id": aluo_conn_id,
        "host": host,
    }
    return {name: hashlib.sha256(repr(part).encode()).hexdigest()[:16] for name, part in parts.items()}


def changed(entry: Entry, now: Mapping[str, str]) -> list[str]:
    """Return the parameters in which a request differs from the remembered one."""
    return sorted(name for name in entry.fingerprint.keys() & now if entry.fingerprint[name] != now[name])
