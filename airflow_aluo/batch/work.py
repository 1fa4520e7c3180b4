"""What a try of a batch has to do, and what became of each of its edits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from airflow_aluo.durable import Attempt
    from airflow_aluo.landing import How as Landing
    from airflow_aluo.protocol.errors import AluoError
    from airflow_aluo.protocol.photo_edit import PhotoEdit
    from airflow_aluo.protocol.record import EditRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How a batch is to be worked off; see the operator's parameters."""

    poll_interval: float | None
    tolerated_failures: int
    max_in_flight: int | None
    #: How pictures are landed; ``None`` where that is not asked.
    land: Landing | None
    #: Leave the wait to the triggerer once everything is submitted.
    leave: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a try has to do."""

    edits: Sequence[PhotoEdit]
    #: Each edit's digests by parameter.
    prints: Sequence[Mapping[str, str]]
    #: What the try knows of itself, but for the fingerprint.
    attempt: Attempt
    how: How
    #: Places of edits that the triggerer could not see: they are waited for here.
    here: AbstractSet[int]
    #: The try goes on after the triggerer has waited: what failed in it has failed.
    resumed: bool


@dataclass(slots=True)
class Outcome:
    """What became of one edit."""

    record: EditRecord | None = None
    error: AluoError | None = None
    #: A submit was tried, in this try or an earlier one.
    tried: bool = True
