"""One edit across the tries of its task: what is remembered of it, and what that means for a new try.

Pure: what is remembered, what is asked of Aluo and what time it is comes through :class:`World`.

What :func:`decide` decides:

========================  ===================================  ============  ============================
remembered                since then                           Aluo says     so
========================  ===================================  ============  ============================
nothing                                                                      submit
anything                  cleared, ``on_clear="new"``                        submit
anything                  cleared, another request                           submit: it is another edit
returned                  retried, or cleared with ``reuse``                 return it once more
returned without a        cleared with ``reuse``                             as if accepted
picture
returned                  cleared                                            submit: a new one is wanted
intent, reported          cleared                                            submit: a person has decided
intent                    ``on_unknown_outcome="resubmit"``                  submit
intent                    otherwise                                          stop: unknown outcome
accepted                                                       (not asked)   look
accepted                                                       FAILED        submit: it cost nothing
accepted                  cleared                              no such edit  submit
accepted                  retried                              no such edit  stop: Aluo's refusal
accepted                  retried, another request             else          stop: unknown outcome
accepted                  otherwise                            SUCCESS       return it
accepted                  otherwise                            else          go on waiting for it
========================  ===================================  ============  ============================

*Cleared* is told from *retried* by the task instance's ``max_tries``: Airflow raises it when a person clears
a task that has ended, and leaves it alone for its own retries (and when a running task is cleared).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from airflow_aluo.protocol import record as records
from airflow_aluo.protocol.errors import AluoError, AluoRequestRejected, AluoUnknownOutcome
from airflow_aluo.protocol.flows import unknown_outcome
from airflow_aluo.protocol.remembered import Entry, Stage, changed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from airflow_aluo.arguments import OnClear, OnUnknownOutcome
    from airflow_aluo.protocol.record import EditRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What a new try of the task knows of itself."""

    max_tries: int
    fingerprint: Mapping[str, str]
    on_clear: OnClear = "auto"
    on_unknown_outcome: OnUnknownOutcome = "fail"
    #: Seconds to wait for an edit from its acceptance, or from a clear.
    timeout: float


class Seen(StrEnum):
    """What a look at a remembered edit found."""

    #: Still running, or no answer: the wait will tell.
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    #: Aluo knows no such edit.
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a remembered edit."""

    seen: Seen
    #: The edit as it was seen.
    record: EditRecord
    #: What Aluo answered where it knows no such edit.
    refusal: AluoRequestRejected | None = None


class Step(StrEnum):
    """What a try does about what is remembered."""

    SUBMIT = "submit"
    LOOK = "look"
    WAIT = "wait"
    RETURN = "return"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A step, and why: for the log, or for the error."""

    step: Step
    why: str = ""


def decide(entry: Entry | None, attempt: Attempt, seen: Seen | None = None) -> Verdict:
    """Return what to do: the table at the top of this module. ``seen``: ``None`` before a look."""
    if entry is None:
        return Verdict(Step.SUBMIT)
    cleared = entry.max_tries != attempt.max_tries
    other, before = changed(entry, attempt.fingerprint), _before(entry)
    if cleared and attempt.on_clear == "new":
        return Verdict(Step.SUBMIT, f'{before}; cleared with on_clear="new": submitting a new edit')
    if cleared and other:
        return Verdict(
            Step.SUBMIT, f"{before}; cleared, {_asks(other)}: submitting that, too; both may be paid"
        )
    match entry.stage:
        case Stage.RETURNED:
            return _of_returned(entry, attempt, seen, cleared=cleared)
        case Stage.INTENT:
            return _of_intent(entry, attempt, other, cleared=cleared)
        case Stage.ACCEPTED:
            return _of_accepted(before, other, seen, cleared=cleared)


def _of_returned(entry: Entry, attempt: Attempt, seen: Seen | None, *, cleared: bool) -> Verdict:
    before = _before(entry)
    if cleared and attempt.on_clear == "auto":
        return Verdict(
            Step.SUBMIT, f"{before} and it was returned; the task was cleared: submitting a new edit"
        )
    if cleared and not entry.edit["result_urls"]:
        return _of_accepted(before, (), seen, cleared=cleared)
    return Verdict(Step.RETURN, f"{before} and it was returned: returning it once more")


def _of_intent(entry: Entry, attempt: Attempt, other: Sequence[str], *, cleared: bool) -> Verdict:
    before = _before(entry)
    if cleared and entry.reported:
        return Verdict(Step.SUBMIT, f"{before}; reported, and cleared since: submitting, which may pay twice")
    if attempt.on_unknown_outcome == "resubmit":
        return Verdict(Step.SUBMIT, f'{before}; on_unknown_outcome="resubmit": submitting once more')
    return Verdict(Step.STOP, f"{before}; {_asks(other)}" if other else before)


def _of_accepted(before: str, other: Sequence[str], seen: Seen | None, *, cleared: bool) -> Verdict:
    if seen is None:
        return Verdict(Step.LOOK, before)
    if seen is Seen.FAILED:
        return Verdict(Step.SUBMIT, f"{before}, but it ended FAILED and cost nothing: submitting anew")
    if seen is Seen.MISSING:
        step = Step.SUBMIT if cleared else Step.STOP
        return Verdict(step, f"{before}, but knows it no more")
    if other:
        return Verdict(Step.STOP, f"{before}, but {_asks(other)}")
    if seen is Seen.SUCCEEDED:
        return Verdict(Step.RETURN, f"{before} and it has succeeded: returning it")
    return Verdict(Step.WAIT, f"{before}: going on to wait for it")


def _before(entry: Entry) -> str:
    if entry.record is None:
        return f"a submit began at {entry.intended_at}, and what became of it was never heard"
    return f"Aluo accepted this edit as {entry.record['aluo_task_id']}"


def _asks(other: Sequence[str]) -> str:
    return f"this try asks with another {', '.join(other)}"


class Memory(Protocol):
    """What is remembered of the task's edit."""

    def recall(self) -> Entry | None:
        """Return it. Raises where it cannot be known."""

    def keep(self, entry: Entry) -> None:
        """Remember. Raises where that failed, or may have."""

    def save(self, entry: Entry) -> None:
        """Remember as well as can be: never raises, tries again later."""

    def forget(self) -> None:
        """Remember nothing any more, as well as can be: never raises."""


class World(Protocol):
    """What :func:`begin` and :func:`finish` need of the outside."""

    @property
    def memory(self) -> Memory:
        """What is remembered."""

    def now(self) -> float:
        """Epoch seconds."""

    def submit(self) -> EditRecord:
        """Send the request once. Raises :class:`AluoUnknownOutcome` where it may have been accepted."""

    def look(self, pending: EditRecord) -> Look:
        """Look once at an edit. Raises where Aluo refuses to answer."""

    def tell(self, message: str) -> None:
        """Log."""

    def uninterrupted(self) -> AbstractContextManager[None]:
        """Let no ``execution_timeout`` strike within."""


def begin(world: World, attempt: Attempt) -> Entry:
    """Return the edit that this try is about: to be waited for, or (stage *returned*) to be returned.

    It is submitted unless an earlier try has. No intent remembered, no submit; between the acceptance and
    the remembering of the id nothing raises.

    :raises AluoUnknownOutcome: an earlier try may have submitted it.
    :raises AluoError: likewise what ``World.submit`` and ``World.look`` raise.
    """
    entry, look = world.memory.recall(), None
    verdict = decide(entry, attempt)
    if verdict.step is Step.LOOK and entry and entry.record:
        world.tell(
            f"remembered from an earlier try: {verdict.why}. Looking at it before anything is submitted"
        )
        look = world.look(entry.record)
        verdict = decide(entry, attempt, look.seen)
    if entry is None or verdict.step is Step.SUBMIT:
        if verdict.why:
            world.tell(verdict.why)
        with world.uninterrupted():
            return _submit(world, attempt)
    if verdict.step is Step.STOP:
        raise _stop(world, replace(entry, max_tries=attempt.max_tries), verdict.why, look)
    world.tell(verdict.why)
    goes_on = replace(entry, max_tries=attempt.max_tries)
    if look:
        goes_on = replace(goes_on, record=look.record)
    if goes_on.max_tries != entry.max_tries:
        goes_on = replace(goes_on, deadline=world.now() + attempt.timeout)
    if goes_on != entry:
        world.memory.save(goes_on)
    return goes_on


def _submit(world: World, attempt: Attempt) -> Entry:
    intent = Entry(
        stage=Stage.INTENT,
        max_tries=attempt.max_tries,
        fingerprint=attempt.fingerprint,
        intended_at=records.iso(world.now()),
    )
    try:
        # Also the proof that this try is still the task's: one that Airflow has replaced meanwhile finds
        # nothing remembered (its store answers 404), but cannot write either.
        world.memory.keep(intent)
    except Exception:
        world.memory.forget()  # it may be there all the same, and nothing was sent
        raise
    try:
        accepted = world.submit()
    except AluoUnknownOutcome as error:
        if attempt.on_unknown_outcome == "resubmit":  # not final any more
            raise AluoError(
                f"nobody knows whether Aluo accepted this edit: {error.seen}. "
                'on_unknown_outcome="resubmit": the next try submits once more, and may pay twice'
            ) from error
        world.memory.save(replace(intent, reported=True))
        raise
    except AluoError:
        world.memory.forget()
        raise
    entry = replace(
        intent,
        stage=Stage.ACCEPTED,
        record=accepted,
        deadline=world.now() + attempt.timeout,
    )
    world.memory.save(entry)
    return entry


def _stop(world: World, entry: Entry, why: str, look: Look | None) -> AluoError:
    """Return the error of an edit that only a person can go on with."""
    if look is None:
        world.memory.save(replace(entry, reported=True))
        return unknown_outcome(why)
    if (refusal := look.refusal) is not None:
        message = f"{why}: {refusal.message}. Clear this task to submit, and pay, anew"
        return AluoRequestRejected(message, http_status=refusal.http_status, code=refusal.code)
    return AluoUnknownOutcome(
        f"{why}. Nothing was submitted, for both would be paid. Clear this task to submit what it asks now; "
        f"PhotoEditStatusSensor(aluo_task_id={look.record['aluo_task_id']!r}) waits for the other"
    )


def finish(world: World, entry: Entry, finished: EditRecord) -> EditRecord:
    """Remember that the task returns this edit, and return it."""
    returned = replace(entry, stage=Stage.RETURNED, record=finished)
    if returned != entry:
        world.memory.save(returned)
    return finished
