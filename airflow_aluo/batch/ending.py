"""How a batch ends its task: with records, or with the error that says what to do."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.airflow_names import AirflowFailException, AirflowTaskTimeout
from airflow_aluo.batch.conversing import CONCERN_ALL
from airflow_aluo.protocol.errors import AluoError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_aluo.batch.memory import BatchMemory
    from airflow_aluo.batch.work import Outcome
    from airflow_aluo.protocol.record import EditRecord

#: Failures that an error names, each with its place in the batch.
_NAMED: Final = 5


@contextmanager
def paid_once(memory: BatchMemory) -> Iterator[None]:
    """Without a store, let no failure after a submit lead to a retry: it would submit all anew.

    :raises AirflowFailException: chained from the failure; names the edits.
    """
    try:
        yield
    except AirflowFailException:
        raise
    except (Exception, AirflowTaskTimeout) as error:
        at_aluo = [] if memory.lasts else memory.at_aluo()
        if not at_aluo:
            raise
        raise AirflowFailException(
            f"{error}. This Airflow has no task state store: a retry would submit, and pay, all edits again. "
            f"At Aluo are {', '.join(at_aluo):.2000}; PhotoEditStatusSensor waits for each"
        ) from error


def ended(
    outcomes: Sequence[Outcome], *, on_partial_failure: str, on_clear: str, log: Any
) -> list[EditRecord]:
    """Return the records of all edits, in their order, if the task may return them.

    :param on_partial_failure: ``return`` to return them although some failed.
    :param on_clear: as the operator was told.
    :raises AluoError: some failed; of the kind that concerns all edits, if one did so.
    :raises AirflowFailException: likewise, where another try cannot mend any of them.
    """
    records = [one.record for one in outcomes if one.record is not None]
    failed = [(place, one.error) for place, one in enumerate(outcomes) if one.error is not None]
    if not failed:
        return records
    said, done = _said(outcomes, failed), len(outcomes) - len(failed)
    if on_partial_failure == "return" and done:
        hint = 'clearing this task submits, and pays, all anew; with on_clear="reuse" only what failed'
        log.warning("%s. %d succeeded; %s", said, done, hint)
        return records
    free = "a retry" if on_clear == "new" else "a retry, or by a clear of this failed task"
    said = f"{said}. {done} succeeded and are not paid again by {free}"
    first = failed[0][1]
    if all(error.final for _, error in failed):
        raise AirflowFailException(said) from first
    concerns_all = (error for _, error in failed if isinstance(error, CONCERN_ALL) and not error.final)
    if (reason := next(concerns_all, None)) is not None:
        facts = {name: getattr(reason, name) for name in reason.facts}
        raise type(reason)(said, **facts) from reason
    raise AluoError(said) from first


def _said(outcomes: Sequence[Outcome], failed: Sequence[tuple[int, AluoError]]) -> str:
    """Say how many failed, and why the first did."""
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
    return ". ".join(parts)
