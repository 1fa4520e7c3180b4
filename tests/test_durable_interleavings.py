"""Whatever happens in whatever order, no edit is paid twice unasked: tries are played over ``durable.py``.

The outside is a model: an Aluo that counts what it accepts, a store that may fail, a worker that may die
between any two steps.
"""

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from airflow_aluo.driving import abegin, begin, finish
from airflow_aluo.durable import Attempt, Look, Seen
from airflow_aluo.protocol import record
from airflow_aluo.protocol.errors import (
    AluoConnectionError,
    AluoError,
    AluoOutOfCredits,
    AluoRequestRejected,
    AluoUnauthorized,
    AluoUnknownOutcome,
)
from airflow_aluo.protocol.remembered import Entry, Stage

RETRIES = 2


class Death(BaseException):
    """The worker was killed."""


class Worker:
    """One process of a try: what it asks of the outside, until it dies."""

    def __init__(self, machine: "Tries", trouble: dict[str, Any]) -> None:
        self.machine = machine
        self.trouble = trouble
        self.steps = 0

    memory = property(lambda self: self)

    def now(self) -> float:
        return float(self.machine.steps)

    def tell(self, message: str) -> None:
        assert message

    def unknown(self) -> None:
        pass

    def _step(self) -> bool:
        """Die before this step, or return whether to die after it."""
        self.steps += 1
        self.machine.steps += 1
        if self.trouble["dies_before"] == self.steps:
            raise Death
        return bool(self.trouble["dies_after"] == self.steps)

    def recall(self) -> Entry | None:
        dies = self._step()
        if self.trouble["store"] == "unreadable":
            raise AluoError("the store cannot be read")
        if dies:
            raise Death
        stored = self.machine.stored
        return None if stored is None else Entry.from_json(stored)

    def keep(self, entry: Entry) -> None:
        dies = self._step()
        if self.trouble["store"] != "lost":
            self.machine.stored = entry.to_json()
        if dies:
            raise Death
        if self.trouble["store"] in {"lost", "unsure"}:
            raise AluoError("the store did not answer")

    def save(self, entry: Entry) -> None:
        dies = self._step()
        if self.trouble["save"] != "lost":
            self.machine.stored = entry.to_json()
        if dies:
            raise Death

    def forget(self) -> None:
        dies = self._step()
        if self.trouble["save"] != "lost":
            self.machine.stored = None
        if dies:
            raise Death

    def uninterrupted(self) -> Any:
        return nullcontext()

    def submit(self) -> Any:
        dies = self._step()
        match self.trouble["submit"]:
            case "not sent":
                raise AluoConnectionError("nobody listens", sent=False)
            case "refused":
                raise AluoOutOfCredits("Insufficient credits", http_status=402)
            case "lost before":
                raise AluoUnknownOutcome("no reply")
        edit = self.machine.accept()
        if dies:
            raise Death
        if self.trouble["submit"] == "lost after":
            raise AluoUnknownOutcome("no reply")
        return edit

    def look(self, pending: Any) -> Look:
        if self._step():
            raise Death
        if self.trouble["look"] == "key refused":
            raise AluoUnauthorized("no", http_status=401)
        state = self.machine.edits[pending["aluo_task_id"]]
        if self.trouble["look"] == "no answer":
            state = Seen.RUNNING
        if state is Seen.MISSING:
            return Look(state, pending, AluoRequestRejected("no such task", http_status=404))
        return Look(state, seen(pending) if state is Seen.SUCCEEDED else pending)


def seen(pending: Any) -> Any:
    return pending | {"status": "SUCCESS", "result_urls": ["https://cdn.example/a.png"]}


WELL: dict[str, Any] = {
    "dies_before": None,
    "dies_after": None,
    "store": "well",
    "save": "well",
    "submit": "well",
    "look": "well",
}
ONE_TROUBLE = st.one_of(
    st.fixed_dictionaries({"dies_before": st.integers(1, 6)}),
    st.fixed_dictionaries({"dies_after": st.integers(1, 6)}),
    st.fixed_dictionaries({"store": st.sampled_from(["unreadable", "lost", "unsure"])}),
    st.fixed_dictionaries({"save": st.just("lost")}),
    st.fixed_dictionaries({"submit": st.sampled_from(["not sent", "refused", "lost before", "lost after"])}),
    st.fixed_dictionaries({"look": st.sampled_from(["no answer", "key refused"])}),
)
#: Few troubles at a time: else nothing ever gets far enough to go wrong late.
TROUBLE = st.lists(ONE_TROUBLE, max_size=2).map(
    lambda found: WELL | {k: v for one in found for k, v in one.items()}
)
ENDS = st.sampled_from([Seen.RUNNING, Seen.RUNNING, Seen.SUCCEEDED, Seen.FAILED])


class Tries(RuleBasedStateMachine):
    """The tries of one task instance, and the person in front of it."""

    def __init__(self) -> None:
        super().__init__()
        self.edits: dict[str, Seen] = {}
        self.stored: Any = None
        self.steps = 0
        self.try_number, self.max_tries = 0, RETRIES
        self.request = 0
        #: The task: not started, ended by itself or by a death, or a success.
        self.state = "new"
        #: How many submits may have been accepted by now.
        self.allowed = 1
        #: What was stored at the last clear, until what it allows is in it.
        self.cleared: Entry | None = None

    @initialize(
        on_clear=st.sampled_from(["auto", "auto", "reuse", "new"]), waits=st.sampled_from([True, True, False])
    )
    def written(self, on_clear: Any, *, waits: bool) -> None:
        self.on_clear, self.waits = on_clear, waits

    def accept(self) -> Any:
        aluo_task_id = f"edit_{len(self.edits) + 1}"
        self.edits[aluo_task_id] = Seen.RUNNING
        return record.of_edit(aluo_task_id, aluo_conn_id="aluo_default")

    def begin(self, worker: Worker, attempt: Attempt) -> Entry:
        return begin(worker, attempt)

    # --- the worker -----------------------------------------------------------------------------------------

    @precondition(
        lambda self: self.state == "new" or (self.state == "failed" and self.try_number <= self.max_tries)
    )
    @rule(trouble=TROUBLE, ends=ENDS)
    def a_try(self, trouble: dict[str, Any], ends: Seen) -> None:
        self._count_what_a_clear_allows()
        self.try_number += 1
        self.state = "failed"
        worker = Worker(self, trouble)
        attempt = Attempt(
            max_tries=self.max_tries,
            fingerprint={"prompt": str(self.request)},
            on_clear=self.on_clear,
            timeout=600.0,
        )
        try:
            entry = self.begin(worker, attempt)
            self._go_on(worker, entry, ends)
        except (Death, AluoError):
            return

    def _go_on(self, worker: Worker, entry: Entry, ends: Seen) -> None:
        if self.waits and not entry.edit["result_urls"]:
            aluo_task_id = str(entry.edit["aluo_task_id"])
            if self.edits[aluo_task_id] is Seen.RUNNING:
                self.edits[aluo_task_id] = ends
                self.allowed += ends is Seen.FAILED
            if self.edits[aluo_task_id] is Seen.FAILED:
                worker.forget()
            if self.edits[aluo_task_id] is not Seen.SUCCEEDED:
                return
            finish(worker, entry, seen(entry.edit))
        else:
            returned = finish(worker, entry, entry.edit)
            assert returned["result_urls"] or not self.waits
        self.state = "success"

    # --- Aluo -----------------------------------------------------------------------------------------------

    @rule(ends=ENDS)
    def what_runs_at_aluo_ends(self, ends: Seen) -> None:
        for aluo_task_id, state in self.edits.items():
            if state is Seen.RUNNING:
                self.edits[aluo_task_id] = ends
                self.allowed += ends is Seen.FAILED

    @precondition(lambda self: any(state is not Seen.MISSING for state in self.edits.values()))
    @rule()
    def aluo_forgets(self) -> None:
        """What it once accepted was paid all the same."""
        self.edits = dict.fromkeys(self.edits, Seen.MISSING)

    @rule()
    def the_key_is_rotated_or_a_sibling_is_cleared(self) -> None:
        """Neither changes what a try knows: no digest of the key is kept, ``clear_number`` is never asked."""

    # --- people ---------------------------------------------------------------------------------------------

    @rule(rarely=st.integers(0, 3))
    def the_request_is_changed(self, rarely: int) -> None:
        self.request += rarely == 0

    @precondition(lambda self: self.state in {"failed", "success"})
    @rule()
    def a_person_clears_the_task(self) -> None:
        self.cleared = None if self.stored is None else Entry.from_json(self.stored)
        self.max_tries = self.try_number + RETRIES
        self.state = "new"

    def _count_what_a_clear_allows(self) -> None:
        """Each clear allows one more submit at the most."""
        if self.cleared is not None and self._asks_for_another(self.cleared):
            self.allowed, self.cleared = self.allowed + 1, None

    def _asks_for_another(self, stored: Entry) -> bool:
        """Tell whether the clear asks for a new edit, or releases one of which nobody knows."""
        other = stored.fingerprint != {"prompt": str(self.request)}
        missing = stored.record is not None and self.edits[str(stored.edit["aluo_task_id"])] is Seen.MISSING
        returned = stored.stage is Stage.RETURNED and self.on_clear == "auto"
        return other or stored.reported or returned or missing or self.on_clear == "new"

    # --- what must hold -------------------------------------------------------------------------------------

    @invariant()
    def nobody_pays_twice_unasked(self) -> None:
        assert len(self.edits) <= self.allowed

    @invariant()
    def what_is_stored_can_be_read(self) -> None:
        assert self.stored is None or replace(Entry.from_json(self.stored))


Tries.TestCase.settings = settings(max_examples=1000, stateful_step_count=25, deadline=None)
TestTries = Tries.TestCase


class InALoop:
    """The same worker for an event loop."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.now, self.tell, self.unknown = worker.now, worker.tell, worker.unknown

    def __getattr__(self, name: str) -> Any:
        async def answer(*args: Any) -> Any:
            return getattr(self.worker, name)(*args)

        return answer


class TriesInALoop(Tries):
    """The same, as the edits of a batch are begun."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()

    def begin(self, worker: Worker, attempt: Attempt) -> Entry:
        return self.loop.run(abegin(InALoop(worker), attempt, worker.recall()))

    def teardown(self) -> None:
        self.loop.close()


TriesInALoop.TestCase.settings = settings(max_examples=200, stateful_step_count=25, deadline=None)
TestTriesInALoop = TriesInALoop.TestCase
