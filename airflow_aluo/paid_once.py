"""The steps of a try, in the one order in which no edit is paid twice: written once.

:func:`steps` is a generator: it yields what it asks of the outside (an :data:`Ask`) and is sent the answer,
or has thrown in what that raised. What it returns is the edit that the try is about. Who keeps, looks and
submits is the driver's business (``driving.py``): the worker's goes them one after the other, the batch's in
an event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from airflow_aluo.durable import Step, decide
from airflow_aluo.protocol import record as records
from airflow_aluo.protocol.errors import AluoError, AluoRequestRejected, AluoUnknownOutcome
from airflow_aluo.protocol.flows import unknown_outcome
from airflow_aluo.protocol.remembered import Entry, Stage

if TYPE_CHECKING:
    from airflow_aluo.durable import Attempt, Look
    from airflow_aluo.protocol.record import EditRecord

T = TypeVar("T")

# --- what is asked of the outside -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Keep:
    """Remember. Raises where that failed, or may have."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Save:
    """Remember as well as can be: never raises, tries again later."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Forget:
    """Remember nothing any more, as well as can be: never raises."""


@dataclass(frozen=True, slots=True)
class LookAt:
    """Look once at an edit: a :class:`Look`. Raises where Aluo refuses to answer."""

    pending: EditRecord


@dataclass(frozen=True, slots=True)
class Submit:
    """Send the request once: an :class:`EditRecord`.

    Raises :class:`AluoUnknownOutcome` where it may have been accepted, another :class:`AluoError` only where
    it surely was not.
    """


@dataclass(frozen=True, slots=True)
class Tell:
    """Log."""

    message: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Note that nobody knows what became of a submit; told once of each. Never raises."""


@dataclass(frozen=True, slots=True)
class Uninterrupted:
    """Go these steps to their end, and answer with what they return, whoever would end the task meanwhile."""

    steps: Steps[Entry]


Ask: TypeAlias = Keep | Save | Forget | LookAt | Submit | Tell | Unknown | Uninterrupted
Steps: TypeAlias = Generator[Ask, Any, T]

# --- the order --------------------------------------------------------------------------------------------


def steps(attempt: Attempt, entry: Entry | None, now: Callable[[], float]) -> Steps[Entry]:
    """Return the edit that this try is about: to be waited for, or (with its pictures) to be returned.

    It is submitted unless an earlier try has. No intent remembered, no submit; between the acceptance and
    the remembering of the id nothing raises.

    :param entry: what is remembered.
    :param now: epoch seconds.
    :raises AluoUnknownOutcome: an earlier try may have submitted it.
    :raises AluoError: likewise what looking and submitting raise.
    """
    look: Look | None = None
    verdict = decide(entry, attempt)
    if verdict.step is Step.LOOK and entry and entry.record:
        yield Tell(
            f"remembered from an earlier try: {verdict.why}. Looking at it before anything is submitted"
        )
        look = yield LookAt(entry.record)
        verdict = decide(entry, attempt, look.seen)
    if entry is None or verdict.step is Step.SUBMIT:
        if verdict.why:
            yield Tell(verdict.why)
        submitted: Entry = yield Uninterrupted(_submit(attempt, now))
        return submitted
    goes_on = replace(entry, max_tries=attempt.max_tries)
    if verdict.step is Step.STOP:
        if entry.record is None:
            if not entry.reported:  # else it was told, and said to a person, before
                yield Unknown()
            yield Save(replace(goes_on, reported=True))
        raise _stopped(entry, verdict.why, look)
    yield Tell(verdict.why)
    if look:
        goes_on = replace(goes_on, record=look.record)
    if goes_on.max_tries != entry.max_tries:
        goes_on = replace(goes_on, deadline=now() + attempt.timeout)
    if goes_on != entry:
        yield Save(goes_on)
    return goes_on


def _submit(attempt: Attempt, now: Callable[[], float]) -> Steps[Entry]:
    intent = Entry(
        stage=Stage.INTENT,
        max_tries=attempt.max_tries,
        fingerprint=attempt.fingerprint,
        intended_at=records.iso(now()),
    )
    try:
        # Also the proof that this try is still the task's: one that Airflow has replaced meanwhile finds
        # nothing remembered (its store answers 404), but cannot write either.
        yield Keep(intent)
    except Exception:
        yield Forget()  # it may be there all the same, and nothing was sent
        raise
    try:
        accepted: EditRecord = yield Submit()
    except AluoUnknownOutcome as error:
        yield Unknown()
        if attempt.on_unknown_outcome == "resubmit":  # not final any more
            raise AluoError(
                f"nobody knows whether Aluo accepted this edit: {error.seen}. "
                'on_unknown_outcome="resubmit": the next try submits once more, and may pay twice'
            ) from error
        yield Save(replace(intent, reported=True))
        raise
    except AluoError:
        yield Forget()
        raise
    entry = replace(intent, stage=Stage.ACCEPTED, record=accepted, deadline=now() + attempt.timeout)
    yield Save(entry)
    return entry


def _stopped(entry: Entry, why: str, look: Look | None) -> AluoError:
    """Return the error of an edit that only a person can go on with."""
    if entry.record is None:
        return unknown_outcome(why)
    if look and (refusal := look.refusal) is not None:
        message = f"{why}: {refusal.message}. Clear this task to submit, and pay, anew"
        return AluoRequestRejected(message, http_status=refusal.http_status, code=refusal.code)
    return AluoUnknownOutcome(
        f"{why}. Nothing was submitted, for both would be paid. Clear this task to submit what it asks now; "
        f"PhotoEditStatusSensor(aluo_task_id={entry.record['aluo_task_id']!r}) waits for the other"
    )
