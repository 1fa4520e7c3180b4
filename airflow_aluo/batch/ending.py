"""How a batch ends its task: with records, or with the error that says what to do."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.airflow_names import AirflowFailException, AirflowTaskTimeout
from airflow_aluo.batch.conversing import CONCERN_ALL
from airflow_aluo.protocol.chained import did_not_land
from airflow_aluo.protocol.errors import AluoError, AluoUnknownOutcome
from airflow_aluo.protocol.vocabulary import STATUS_FAILED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_aluo.batch.memory import BatchMemory
    from airflow_aluo.batch.work import Outcome
    from airflow_aluo.protocol.record import EditRecord

#: Failures of a kind that an error names, each with its place in the batch.
_NAMED: Final = 5

#: What a clear of a batch that was returned does.
_CLEARED_ANEW: Final = (
    'clearing this task submits, and pays, all anew; on_clear="reuse" would submit only what failed'
)
_CLEARED: Final = {"reuse": "clearing this task submits only what failed, and gets what is missing"}


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
    said = _said(outcomes, failed)
    done = len(outcomes) - len(failed) + sum(map(did_not_land, records))
    if on_partial_failure == "return" and done:
        log.warning("%s. %d gave pictures; %s", said, done, _CLEARED.get(on_clear, _CLEARED_ANEW))
        return records
    if paid := [one for one in outcomes if _is_paid(one)]:
        free = "a retry" if on_clear == "new" else "a retry, or a clear of this failed task,"
        verb, them = ("is", "it") if len(paid) == 1 else ("are", "them")
        missing = f", and gets what is missing of {them}" * any(map(_is_open, paid))
        said = f"{said}. {len(paid)} {verb} accepted by Aluo: {free} does not pay {them} again{missing}"
    first = failed[0][1]
    if all(error.final for _, error in failed):
        raise AirflowFailException(said) from first
    concerns_all = (error for _, error in failed if isinstance(error, CONCERN_ALL) and not error.final)
    if (reason := next(concerns_all, None)) is not None:
        facts = {name: getattr(reason, name) for name in reason.facts}
        raise type(reason)(said, **facts) from reason
    raise AluoError(said) from first


def _is_paid(one: Outcome) -> bool:
    """Tell whether Aluo has accepted an edit, and has not failed it."""
    edit = one.record
    return edit is not None and edit["aluo_task_id"] is not None and edit["status"] != STATUS_FAILED


def _is_open(one: Outcome) -> bool:
    """Tell whether a retry gets something that is missing of an edit that is paid."""
    return one.error is not None and not isinstance(one.error, AluoUnknownOutcome)


def _said(outcomes: Sequence[Outcome], failed: Sequence[tuple[int, AluoError]]) -> str:
    """Say how many failed, and why the first did."""
    of = f"of {len(outcomes)} edit{'s' * (len(outcomes) != 1)}"
    kinds: dict[str, list[str]] = {"failed": [], "succeeded, but did not land": []}
    for place, error in failed:
        if (one := outcomes[place]).tried:
            lost = one.record is not None and did_not_land(one.record)
            why = f"[{place}] {type(error).__name__}: {error}"
            kinds["succeeded, but did not land" if lost else "failed"].append(why)
    parts = []
    for kind, named in kinds.items():
        if named:
            more = f"; and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
            parts.append(f"{len(named)} {of} {kind}: {'; '.join(named[:_NAMED])}{more}")
    if untried := sum(not outcomes[place].tried for place, _ in failed):
        reason = next(one.error for one in outcomes if not one.tried)
        were = "was" if untried == 1 else "were"
        parts.append(f"{untried} {of} {were} not tried, nothing was sent for them: {reason}")
    return ". ".join(parts)
