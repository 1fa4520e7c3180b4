"""How a batch ends its task: with records, or with the error that says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.airflow_names import AirflowFailException
from airflow_aluo.batch.conversing import CONCERN_ALL
from airflow_aluo.protocol.errors import AluoError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_aluo.batch.work import Outcome
    from airflow_aluo.protocol.record import EditRecord

#: Failures that an error names, each with its place in the batch.
_NAMED: Final = 5


def ended(outcomes: Sequence[Outcome], *, on_partial_failure: str, log: Any) -> list[EditRecord]:
    """Return the records of all edits, in their order, if the task may return them.

    :param on_partial_failure: ``return`` to return them although some failed.
    :raises AluoError: some failed; of the kind that concerns all edits, if one did so.
    :raises AirflowFailException: likewise, where another try cannot mend any of them.
    """
    records = [one.record for one in outcomes if one.record is not None]
    failed = [(place, one.error) for place, one in enumerate(outcomes) if one.error is not None]
    if not failed:
        return records
    said = _said(outcomes, failed)
    if on_partial_failure == "return" and len(failed) < len(outcomes):
        log.warning("%s", said)
        return records
    first = failed[0][1]
    if all(error.final for _, error in failed):
        raise AirflowFailException(said) from first
    concerns_all = (error for _, error in failed if isinstance(error, CONCERN_ALL) and not error.final)
    if (reason := next(concerns_all, None)) is not None:
        facts = {name: getattr(reason, name) for name in reason.facts}
        raise type(reason)(said, **facts) from reason
    raise AluoError(said) from first


def _said(outcomes: Sequence[Outcome], failed: Sequence[tuple[int, AluoError]]) -> str:
    """Say how many failed, why the first did, and what another try will do."""
    tried = [(place, error) for place, error in failed if outcomes[place].tried]
    parts = []
    if tried:
        named = "; ".join(f"[{place}] {type(error).__name__}: {error}" for place, error in tried[:_NAMED])
        more = f"; and {len(tried) - _NAMED} more" if len(tried) > _NAMED else ""
        parts.append(f"{len(tried)} of {len(outcomes)} edits failed: {named}{more}")
    if untried := len(failed) - len(tried):
        reason = next(one.error for one in outcomes if not one.tried)
        parts.append(
            f"{untried} of {len(outcomes)} edits were not tried, nothing was sent for them: {reason}"
        )
    done = len(outcomes) - len(failed)
    parts.append(f"{done} succeeded and are not paid again by a retry, or by a clear of this failed task")
    return ". ".join(parts)
