"""The conversations with Aluo, written once.

A flow is a generator: it yields a :class:`~airflow_aluo.protocol.calls.Call` and is sent the
:class:`~airflow_aluo.protocol.replies.Reply` (or has an
:class:`~airflow_aluo.protocol.errors.AluoConnectionError` thrown in), or yields a :class:`Pause` and is
sent nothing. What it returns is the conversation's result. Who moves the bytes and who sleeps is the
driver's business (``transport.py``): the worker's is ``requests``, the triggerer's ``aiohttp``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar

from airflow_aluo.protocol import calls, record
from airflow_aluo.protocol.errors import (
    AluoApiError,
    AluoConnectionError,
    AluoEditFailed,
    AluoEditTimedOut,
    AluoError,
    AluoRateLimited,
    AluoReplyError,
    AluoRequestRejected,
    AluoServerError,
    AluoUnknownOutcome,
)
from airflow_aluo.protocol.replies import Acceptance, Phase, Snapshot
from airflow_aluo.protocol.schedule import DEFAULT_RETRY_AFTER, RetryRule, WaitRule

if TYPE_CHECKING:
    from airflow_aluo.protocol.calls import Call, Upload
    from airflow_aluo.protocol.envelope import Reply
    from airflow_aluo.protocol.photo_edit import PhotoEdit
    from airflow_aluo.protocol.record import EditRecord

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pause:
    """Go on after so many seconds."""

    seconds: float


Flow: TypeAlias = Generator["Call[Any] | Pause", "Reply | None", T]


@dataclass(frozen=True, slots=True)
class Senses:
    """What a flow may know of the world."""

    #: Epoch seconds.
    now: Callable[[], float]
    #: A random number in [0, 1).
    dice: Callable[[], float]


class Watcher(Protocol):
    """Is told what a wait sees: one call per change of state, not per look."""

    def __call__(self, message: str, /, *args: object) -> object:
        """``message`` with ``%s`` for its arguments, as loggers take them."""


#: HTTP's word for an edit that is not there, or not there yet.
_NOT_FOUND: Final = 404

#: What leaves it open where an edit stands: a wait survives it for a while.
NO_ANSWER: Final = (AluoConnectionError, AluoReplyError, AluoServerError)


def submit(call: Call[Acceptance], rule: RetryRule, senses: Senses) -> Flow[Acceptance]:
    """Submit an edit at most once.

    Only what surely did not reach Aluo, and a 429, is tried again.

    :raises AluoUnknownOutcome: the request may have been accepted; chained from what was seen.
    :raises AluoApiError: Aluo refused; nothing was accepted.
    :raises AluoConnectionError: nothing was sent, within the rule's budget.
    """
    try:
        return (yield from send(call, rule, senses))
    except AluoError as error:
        if _surely_not_accepted(error):
            raise
        raise unknown_outcome(error.message) from error


def order(
    edit: PhotoEdit,
    uploads: Sequence[Upload],
    *,
    aluo_conn_id: str,
    estimated_credits: float,
    rule: RetryRule,
    senses: Senses,
) -> Flow[EditRecord]:
    """Submit an edit at most once and return its record. Raises what :func:`submit` raises."""
    submitted_at = senses.now()
    acceptance = yield from submit(calls.generate(edit, uploads), rule, senses)
    return record.submitted(
        edit,
        acceptance,
        aluo_conn_id=aluo_conn_id,
        estimated_credits=estimated_credits,
        submitted_at=submitted_at,
        accepted_at=senses.now(),
    )


def send(call: Call[T], rule: RetryRule, senses: Senses) -> Flow[T]:
    """Send one call and read its answer, trying again for ``rule.budget`` seconds where that is safe."""
    started, tries = senses.now(), 0
    while True:
        tries += 1
        try:
            return (yield from _once(call))
        except AluoError as error:
            if not _may_repeat(call, error):
                raise
            pause = rule.pause(tries, senses.dice(), _asked(error))
            if senses.now() + pause > started + rule.budget:
                raise
        yield Pause(pause)


def _once(call: Call[T]) -> Flow[T]:
    """Send one call once and read its answer."""
    reply = yield call
    assert reply is not None  # noqa: S101  # a driver answers a Call with a Reply
    return call.read(reply)


@dataclass(slots=True)
class Progress:
    """How a wait has gone so far. Plain JSON by ``asdict``: it outlives a worker between two looks."""

    looks: int = 0
    #: Failed looks in a row, and the epoch seconds of the first of them.
    failures: int = 0
    first_failure_at: float = 0.0
    #: The vendor's last word, ``None`` where no look succeeded yet.
    last_status: str | None = None


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
    found: Snapshot | Pause = Pause(rule.first_pause(senses.now()))
    progress = Progress()
    while isinstance(found, Pause):
        yield found
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
    found: Snapshot | Pause = Pause(rule.first_pause(senses.now()))
    while isinstance(found, Pause) and found.seconds < shorter_than:
        yield found
        found = yield from look(aluo_task_id, rule, progress, senses, tell)
    return found


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
        snapshot = yield from _once(calls.status(aluo_task_id))
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
            return succeeded(aluo_task_id, snapshot)
    pause = rule.next_pause(progress.looks, senses.now(), None if trouble is None else _asked(trouble))
    if pause is None:
        failed = trouble if isinstance(trouble, NO_ANSWER) else None
        raise timed_out(aluo_task_id, progress.last_status, failed) from failed
    return Pause(pause)


def _ends_a_wait(error: AluoError, rule: WaitRule, progress: Progress, now: float) -> bool:
    """Tell whether a look that failed ends the wait. ``now``: epoch seconds.

    To be asked to wait (429) is no failure. That there is no such edit (404) is one only once a fresh edit
    must be known. No answer is survived for a while. Anything else is a refusal.
    """
    if isinstance(error, AluoRateLimited):
        return False
    if isinstance(error, AluoRequestRejected):
        return error.http_status != _NOT_FOUND or now >= rule.missing_until
    progress.first_failure_at = progress.first_failure_at if progress.failures else now
    progress.failures += 1
    return rule.gives_up(progress.failures, progress.first_failure_at, now)


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


def unknown_outcome(seen: str) -> AluoUnknownOutcome:
    """Return the error of a submit that may have been accepted. ``seen``: what came instead of an answer."""
    return AluoUnknownOutcome(
        "nobody knows whether Aluo accepted this edit, so it is not sent again: it may have been charged "
        f"({seen}). Look at the account's history at Aluo; clear the task to submit it anew"
    )


def _surely_not_accepted(error: AluoError) -> bool:
    """Tell whether a submit that failed surely left nothing at Aluo."""
    if isinstance(error, AluoConnectionError):
        return not error.sent
    if isinstance(error, AluoApiError):
        return error.definite
    return not isinstance(error, AluoReplyError)


def _may_repeat(call: Call[Any], error: AluoError) -> bool:
    """Tell whether a call may be sent again by itself."""
    if isinstance(error, AluoRateLimited):
        return call.repeatable or error.definite
    if isinstance(error, AluoConnectionError):
        return call.repeatable or not error.sent
    return call.repeatable and isinstance(error, NO_ANSWER)


def _asked(error: AluoError) -> float | None:
    """Return the seconds to wait that an error asks for; a 429 always asks."""
    if isinstance(error, AluoRateLimited) and error.retry_after is None:
        return DEFAULT_RETRY_AFTER
    return getattr(error, "retry_after", None)
