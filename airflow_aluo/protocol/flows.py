"""The conversations with Aluo, written once.

A flow is a generator: it yields a :class:`~airflow_aluo.protocol.calls.Call` and is sent the
:class:`~airflow_aluo.protocol.replies.Reply` (or has an
:class:`~airflow_aluo.protocol.errors.AluoConnectionError` thrown in, or whatever broke the call off), or
yields a :class:`Pause` and is sent nothing. What it returns is the conversation's result. Who moves the bytes
and who sleeps is the driver's business (``transport/``): the worker's is ``requests``, the triggerer's
``aiohttp``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar

from airflow_aluo.protocol import calls, record
from airflow_aluo.protocol.errors import (
    AluoApiError,
    AluoConnectionError,
    AluoError,
    AluoRateLimited,
    AluoReplyError,
    AluoServerError,
    AluoUnknownOutcome,
)
from airflow_aluo.protocol.schedule import DEFAULT_POLL_INTERVAL, DEFAULT_RETRY_AFTER, RetryRule
from airflow_aluo.protocol.tally import Tally

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from airflow_aluo.protocol.calls import Call, Upload
    from airflow_aluo.protocol.envelope import Reply
    from airflow_aluo.protocol.photo_edit import PhotoEdit
    from airflow_aluo.protocol.record import EditRecord
    from airflow_aluo.protocol.replies import Acceptance

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pause:
    """Go on after so many seconds."""

    seconds: float
    #: Aluo refused a call (429) and asked the whole account for so many seconds of rest.
    account_rests: float | None = None
    #: A :class:`Lookout` plans so: another one may plan otherwise.
    planned: bool = False


Flow: TypeAlias = Generator["Call[Any] | Pause", "Reply | None", T]


class Lookout(Protocol):
    """Knows when a look at an edit can pay. Ages in seconds."""

    def rest(self, age: float, looked_at: float) -> float:
        """Return the seconds to rest before asking again; 0: look now.

        :param looked_at: age at which the last look found the edit running; 0 for none.
        """

    def learn(self, running_at: float, done_at: float) -> None:
        """Learn from an edit that ended between two ages."""

    def watching(self) -> AbstractContextManager[Lookout]:
        """Give the lookout for one edit, for the time that it is waited for."""


class Regular:
    """A :class:`Lookout` that knows nothing: it looks as often as the smallest plan allows."""

    def rest(self, age: float, looked_at: float) -> float:
        """Return what is left of :data:`DEFAULT_POLL_INTERVAL`."""
        return max(looked_at + DEFAULT_POLL_INTERVAL - age, 0.0)

    def learn(self, running_at: float, done_at: float) -> None:
        """Forget it."""

    def watching(self) -> AbstractContextManager[Lookout]:
        """Return itself."""
        return nullcontext(self)


@dataclass(frozen=True, slots=True)
class Senses:
    """What a flow may know of the world."""

    #: Epoch seconds.
    now: Callable[[], float]
    #: A random number in [0, 1).
    dice: Callable[[], float]
    lookout: Lookout = field(default_factory=Regular)
    tally: Tally = field(default_factory=Tally)


class Watcher(Protocol):
    """Is told what a wait sees: one call per change of state, not per look."""

    def __call__(self, message: str, /, *args: object) -> object:
        """``message`` with ``%s`` for its arguments, as loggers take them."""


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
    try:
        acceptance = yield from submit(calls.generate(edit, uploads), rule, senses)
    except AluoUnknownOutcome:
        raise
    except AluoError as error:
        senses.tally.rejected(type(error).__name__)
        raise
    senses.tally.submitted()
    return record.submitted(
        edit,
        acceptance,
        aluo_conn_id=aluo_conn_id,
        estimated_credits=estimated_credits,
        submitted_at=submitted_at,
        accepted_at=senses.now(),
    )


def send(
    call: Call[T], rule: RetryRule, senses: Senses, *, again: Callable[[AluoError], object] | None = None
) -> Flow[T]:
    """Send one call and read its answer, trying again for ``rule.budget`` seconds where that is safe.

    :param again: is told why, once, when trying again begins.
    """
    started, tries = senses.now(), 0
    while True:
        tries += 1
        try:
            return (yield from once(call, senses))
        except AluoError as error:
            if not _may_repeat(call, error):
                raise
            pause, rests = rule.pause(tries, senses.dice(), asked_pause(error)), rest_asked(error)
            if senses.now() + pause > started + rule.budget:
                raise
            if again and tries == 1:
                again(error)
        yield Pause(pause, rests)


def once(call: Call[T], senses: Senses) -> Flow[T]:
    """Send one call once and read its answer."""
    try:
        reply = yield call
    except GeneratorExit:  # given up before its turn
        raise
    except BaseException as error:
        sent = not isinstance(error, AluoConnectionError) or error.sent
        if call.looks and sent:
            senses.tally.looked()
        raise
    if call.looks:
        senses.tally.looked()
    assert reply is not None  # noqa: S101  # a driver answers a Call with a Reply
    try:
        return call.read(reply)
    except AluoRateLimited:
        senses.tally.refused()
        raise


def unknown_outcome(seen: str) -> AluoUnknownOutcome:
    """Return the error of a submit that may have been accepted. ``seen``: what came instead of an answer."""
    return AluoUnknownOutcome(
        f"nobody knows whether Aluo accepted this edit: {seen}. It may have been charged, so it is not sent "
        "again by itself. Look at the account's history at Aluo: if the edit is there, PhotoEditStatusSensor "
        "waits for it by its id; if not, clear this task, which submits, and pays, anew",
        seen=seen,
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


def asked_pause(error: AluoError) -> float | None:
    """Return the seconds to wait that an error asks for; a 429 always asks."""
    if isinstance(error, AluoRateLimited) and error.retry_after is None:
        return DEFAULT_RETRY_AFTER
    return getattr(error, "retry_after", None)


def rest_asked(error: AluoError | None) -> float | None:
    """Return the seconds for which an error asks the whole account to rest: a 429 does."""
    return asked_pause(error) if isinstance(error, AluoRateLimited) else None
