"""One edit across the tries of its task: what is remembered of it, and what that means for a new try.

What :func:`decide` decides; ``paid_once.py`` goes the steps:

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
accepted, its pictures    retried                              (not asked)   as if SUCCESS
known
accepted, its pictures    retried or cleared                   (not asked)   as if SUCCESS: files stay
landed
accepted                  otherwise                            (not asked)   look
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
from typing import TYPE_CHECKING

from airflow_aluo.protocol import record as records
from airflow_aluo.protocol import waiting
from airflow_aluo.protocol.errors import AluoEditFailed, AluoRequestRejected
from airflow_aluo.protocol.flows import Pause
from airflow_aluo.protocol.remembered import Entry, Stage, changed
from airflow_aluo.protocol.schedule import MIN_PAUSE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_aluo.arguments import OnClear, OnUnknownOutcome
    from airflow_aluo.protocol.flows import Flow, Senses, Watcher
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
    #: Epoch seconds at which it was found running; 0 where it was not.
    running_at: float = 0.0
    #: Before the next look at a running one.
    pause: Pause | None = None


def look(pending: EditRecord, senses: Senses, tell: Watcher) -> Flow[Look]:
    """Look once at a remembered edit.

    :raises AluoApiError: Aluo refused to answer.
    """
    now, progress = senses.now(), waiting.Progress()
    aluo_task_id = records.task_id(pending)
    rule = records.wait_rule(pending, deadline=now + 3600, poll_interval=0.0, started_at=now)
    rule = replace(rule, fresh=False)  # this try has not seen its birth
    try:
        found = yield from waiting.stay(aluo_task_id, rule, progress, senses, tell, shorter_than=MIN_PAUSE)
    except AluoEditFailed:
        return Look(Seen.FAILED, pending)
    except AluoRequestRejected as error:
        if not waiting.missing(error):
            raise
        return Look(Seen.MISSING, pending, error)
    if isinstance(found, Pause):
        return Look(Seen.RUNNING, pending, running_at=progress.looked_at, pause=found)
    return Look(Seen.SUCCEEDED, records.completed(pending, found, at=senses.now()))


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
            if seen is None and entry.edit["result_urls"] and (entry.edit["files"] or not cleared):
                seen = Seen.SUCCEEDED  # by an earlier try
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
