"""How an edit is waited for: the conversation that the operator, the sensor and the trigger share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from airflow_aluo.protocol import calls
from airflow_aluo.protocol.errors import (
    AluoEditFailed,
    AluoEditTimedOut,
    AluoError,
    AluoRateLimited,
    AluoRequestRejected,
)
from airflow_aluo.protocol.flows import NO_ANSWER, Pause, asked_pause, once, rest_asked
from airflow_aluo.protocol.replies import Phase, Snapshot
from airflow_aluo.protocol.schedule import MIN_PAUSE

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_aluo.protocol.flows import Flow, Senses, Watcher
    from airflow_aluo.protocol.schedule import WaitRule

#: Seconds after an edit's birth within which the wait for it begins that follows its own submit: what lies
#: between is the remembering of the acceptance, and the way to the triggerer.
_RIGHT_AFTER: Final = 30.0

#: HTTP's word for an edit that is not there, or not there yet.
_NOT_FOUND: Final = 404


@dataclass(slots=True)
class Progress:
    """How a wait has gone so far. Plain JSON by ``asdict``: it outlives a worker between two looks."""

    looks: int = 0
    #: Failed looks in a row, and the epoch seconds of the first of them.
    failures: int = 0
    first_failure_at: float = 0.0
    #: The vendor's last word, ``None`` where no look succeeded yet.
    last_status: str | None = None
    #: Epoch seconds of the last look that found the edit running, or of its birth where the wait follows that
    #: at once; 0 for neither.
    looked_at: float = 0.0
    #: The edit was watched, not found done by who came late: how long it took can be learned.
    watched: bool = False


def wait(
    aluo_task_id: str,
    rule: WaitRule,
    senses: Senses,
    tell: Watcher,
    before_look: Callable[[], object] = lambda: None,
) -> Flow[Snapshot]:
    """Wait until an edit has succeeded, taking a :func:`look` as often as the rule says.

    :param before_look: is called before each look.
    :returns: a snapshot whose phase is *succeeded*. Raises what :func:`look` raises.
    """
    progress = Progress(looks=rule.looks_by(senses.now()), looked_at=rule.looked_at)
    _begin(rule, progress, senses)
    found: Snapshot | Pause = Pause(rule.first_pause(senses.now()))
    with senses.tally.waiting(), senses.lookout.watching() as lookout:
        senses = replace(senses, lookout=lookout)
        while isinstance(found, Pause):
            yield found
            if (further := rest(rule, progress, senses)) is not None:
                found = further
                continue
            before_look()
            found = yield from look(aluo_task_id, rule, progress, senses, tell)
    return found


def stay(
    aluo_task_id: str,
    rule: WaitRule,
    progress: Progress,
    senses: Senses,
    tell: Watcher,
    *,
    shorter_than: float,
) -> Flow[Snapshot | Pause]:
    """Wait like :func:`wait`, but only as long as the pauses are short.

    :param progress: of the wait; the looks are added to it.
    :param shorter_than: seconds; a pause of this length is returned, for others to spend.
    """
    _begin(rule, progress, senses)
    found: Snapshot | Pause = Pause(rule.first_pause(senses.now()))
    while isinstance(found, Pause) and found.seconds < shorter_than:
        yield found
        if (further := rest(rule, progress, senses)) is not None:
            found = further
            continue
        found = yield from look(aluo_task_id, rule, progress, senses, tell)
    return found


def _begin(rule: WaitRule, progress: Progress, senses: Senses) -> None:
    """Note that an edit ran when it was born, if that was just now.

    Who comes later (another try, a sensor) does not know how long nobody looked, or whether somebody did.
    """
    known = progress.looked_at or rule.looked_at
    if rule.fresh and not known and senses.now() - rule.born_at <= _RIGHT_AFTER:
        progress.looked_at = rule.born_at


def rest(rule: WaitRule, progress: Progress, senses: Senses) -> Pause | None:
    """Return how long to pause before asking again whether a look can pay; ``None``: look now.

    Only where the rule names no interval. A first look at an edit that may long be done pays at once.
    """
    now = senses.now()
    looked_at = progress.looked_at or rule.looked_at
    if rule.poll_interval is not None or now >= rule.deadline or not (rule.fresh or looked_at):
        return None
    born_at = rule.born_at or rule.started_at or looked_at
    seconds = senses.lookout.rest(now - born_at, max(looked_at - born_at, 0.0))
    if seconds <= 0:
        return None
    progress.watched = True
    return Pause(min(seconds, rule.deadline - now), planned=True)


def handed_over(rule: WaitRule, progress: Progress, pause: Pause, now: float) -> WaitRule:
    """Return how somebody else goes on with a wait that pauses. ``now``: epoch seconds.

    What a lookout planned is planned anew there: that one may know more, and learns from what it watches.
    """
    looked_at = progress.looked_at or rule.looked_at
    return replace(
        rule,
        first_look_at=rule.first_look_at if pause.planned else now + pause.seconds,
        looked_at=0.0 if looked_at == rule.born_at else looked_at,  # a birth is no look
    )


def look(
    aluo_task_id: str, rule: WaitRule, progress: Progress, senses: Senses, tell: Watcher
) -> Flow[Snapshot | Pause]:
    """Look once at an edit that is waited for: one call, without retries of its own.

    :param progress: of the wait; this look is added to it.
    :returns: a snapshot whose phase is *succeeded*, or how long to pause until the next look.
    :raises AluoEditFailed: the edit ended FAILED.
    :raises AluoEditTimedOut: the deadline has passed, and this was the last look.
    :raises AluoApiError: Aluo refused to answer.
    :raises AluoConnectionError: no look succeeded for too long.
    :raises AluoReplyError: likewise.
    """
    progress.looks += 1
    trouble: AluoError | None = None
    try:
        snapshot = yield from once(calls.status(aluo_task_id, by=rule.deadline), senses)
    except (AluoRateLimited, AluoRequestRejected, *NO_ANSWER) as error:
        trouble = error
        first = not progress.failures
        if _ends_a_wait(error, rule, progress, senses.now()):
            raise
        if first and progress.failures:
            tell("look %s at edit %s failed, looking again: %s", progress.looks, aluo_task_id, error)
    else:
        if progress.failures or snapshot.status != progress.last_status:
            tell("edit %s is %s", aluo_task_id, snapshot.status)
        progress.failures, progress.last_status = 0, snapshot.status
        if snapshot.phase is not Phase.RUNNING:
            _learn(rule, progress, senses, snapshot)
            if running_at := progress.looked_at or rule.looked_at:
                senses.tally.detected(senses.now() - running_at)
            return succeeded(aluo_task_id, snapshot)
        progress.looked_at, progress.watched = senses.now(), True
    pause = rule.next_pause(progress.looks, senses.now(), None if trouble is None else asked_pause(trouble))
    if pause is None:
        failed = trouble if isinstance(trouble, NO_ANSWER) else None
        raise timed_out(aluo_task_id, progress.last_status, failed) from failed
    if rule.poll_interval is None and trouble is None:
        planned = rest(rule, progress, senses)
        return planned if planned and planned.seconds >= MIN_PAUSE else Pause(min(MIN_PAUSE, pause))
    return Pause(pause, rest_asked(trouble))


def _learn(rule: WaitRule, progress: Progress, senses: Senses, snapshot: Snapshot) -> None:
    """Let the lookout know how long an edit took, if that was seen."""
    if rule.fresh and progress.watched and snapshot.phase is Phase.SUCCEEDED:
        running_at = max((progress.looked_at or rule.looked_at) - rule.born_at, 0.0)
        senses.lookout.learn(running_at, max(senses.now() - rule.born_at, running_at))


def _ends_a_wait(error: AluoError, rule: WaitRule, progress: Progress, now: float) -> bool:
    """Tell whether a look that failed ends the wait. ``now``: epoch seconds.

    To be asked to wait (429) is no failure, nor that a fresh edit is not known yet (404). No answer is
    survived for a while. Anything else is a refusal.
    """
    if isinstance(error, AluoRateLimited):
        return False
    if isinstance(error, AluoRequestRejected):
        return not missing(error) or now >= rule.missing_until
    progress.first_failure_at = progress.first_failure_at if progress.failures else now
    progress.failures += 1
    return rule.gives_up(progress.failures, progress.first_failure_at, now)


def missing(error: BaseException) -> bool:
    """Tell whether a look's failure says that Aluo knows no such edit."""
    return isinstance(error, AluoRequestRejected) and error.http_status == _NOT_FOUND


def succeeded(aluo_task_id: str, snapshot: Snapshot) -> Snapshot:
    """Return a finished edit's snapshot if the edit succeeded.

    :raises AluoEditFailed: it did not.
    """
    if snapshot.phase is Phase.SUCCEEDED:
        return snapshot
    reason = f": {snapshot.reason}" if snapshot.reason else ", no reason given"
    raise AluoEditFailed(
        f"edit {aluo_task_id} ended {snapshot.status}{reason}; Aluo takes no credits for it",
        aluo_task_id=aluo_task_id,
    )


def timed_out(aluo_task_id: str, last_status: str | None, trouble: AluoError | None) -> AluoEditTimedOut:
    """Return the error of an edit that was not finished by its deadline. ``trouble``: of the last look."""
    seen = f"its last status was {last_status!r}" if last_status else "no look at it succeeded"
    seen = f"{seen}; the last look failed: {trouble.message}" if trouble else seen
    return AluoEditTimedOut(
        f"edit {aluo_task_id} was not finished by the deadline: {seen}. It goes on at Aluo; "
        "wait for it again, with a longer timeout if it takes long",
        aluo_task_id=aluo_task_id,
        last_status=last_status,
    )
