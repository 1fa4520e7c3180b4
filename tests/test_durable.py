"""What a try decides about what is remembered; and that whatever happens, nobody pays twice unasked."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from airflow_aluo import driving
from airflow_aluo.driving import finish
from airflow_aluo.durable import Attempt, Look, Seen, Step, decide
from airflow_aluo.protocol import record
from airflow_aluo.protocol.calls import Upload
from airflow_aluo.protocol.errors import (
    AluoConnectionError,
    AluoError,
    AluoOutOfCredits,
    AluoRequestInvalid,
    AluoRequestRejected,
    AluoUnauthorized,
    AluoUnknownOutcome,
)
from airflow_aluo.protocol.photo_edit import PhotoEdit
from airflow_aluo.protocol.remembered import Entry, Stage, changed, fingerprint
from airflow_aluo.protocol.schemas import validator

PRINT = {"prompt": "blue", "host": "aluo"}
OTHER = {"prompt": "red", "host": "aluo"}
EDIT = record.of_edit("edit_1", aluo_conn_id="aluo_default")
DONE = EDIT | {"status": "SUCCESS", "result_urls": ["https://cdn.example/a.png"]}

INTENT = Entry(stage=Stage.INTENT, max_tries=2, fingerprint=PRINT, intended_at="2026-11-22T02:00:00+00:00")
REPORTED = replace(INTENT, reported=True)
ACCEPTED = replace(INTENT, stage=Stage.ACCEPTED, record=EDIT, deadline=1_600.0)
KNOWN = replace(ACCEPTED, record=DONE)
LANDED = replace(KNOWN, record=DONE | {"files": [{"path": "/a/edit_1-0.png"}]})
RETURNED = replace(KNOWN, stage=Stage.RETURNED)
LET_GO = replace(RETURNED, record=EDIT)

RETRY = Attempt(max_tries=2, fingerprint=PRINT, timeout=600.0)
CLEARED = replace(RETRY, max_tries=4)


def asks_other(attempt: Attempt) -> Attempt:
    return replace(attempt, fingerprint=OTHER)


# --- the table -------------------------------------------------------------------------------------------

TABLE: list[tuple[str, Entry | None, Attempt, Seen | None, Step]] = [
    ("nothing is remembered", None, RETRY, None, Step.SUBMIT),
    ("nothing is remembered, cleared", None, CLEARED, None, Step.SUBMIT),
    *(
        (f"on_clear=new after {entry.stage}", entry, replace(CLEARED, on_clear="new"), None, Step.SUBMIT)
        for entry in (INTENT, REPORTED, ACCEPTED, KNOWN, RETURNED)
    ),
    *(
        (f"cleared with another request after {entry.stage}", entry, asks_other(CLEARED), None, Step.SUBMIT)
        for entry in (INTENT, REPORTED, ACCEPTED, KNOWN, RETURNED)
    ),
    ("returned, retried", RETURNED, RETRY, None, Step.RETURN),
    ("returned, retried with another request", RETURNED, asks_other(RETRY), None, Step.RETURN),
    ("returned, retried, on_clear=new", RETURNED, replace(RETRY, on_clear="new"), None, Step.RETURN),
    ("returned, cleared", RETURNED, CLEARED, None, Step.SUBMIT),
    ("returned, cleared, reuse", RETURNED, replace(CLEARED, on_clear="reuse"), None, Step.RETURN),
    ("returned without a picture, retried", LET_GO, RETRY, None, Step.RETURN),
    ("returned without a picture, cleared", LET_GO, CLEARED, None, Step.SUBMIT),
    *(
        (f"returned without a picture, reuse, {seen}", LET_GO, replace(CLEARED, on_clear="reuse"), seen, step)
        for seen, step in ((None, Step.LOOK), (Seen.RUNNING, Step.WAIT), (Seen.FAILED, Step.SUBMIT))
    ),
    ("intent, retried", INTENT, RETRY, None, Step.STOP),
    ("intent, cleared before anybody was told", INTENT, CLEARED, None, Step.STOP),
    ("intent, retried, resubmit", INTENT, replace(RETRY, on_unknown_outcome="resubmit"), None, Step.SUBMIT),
    ("reported, retried", REPORTED, RETRY, None, Step.STOP),
    ("reported, cleared", REPORTED, CLEARED, None, Step.SUBMIT),
    ("reported, cleared, reuse", REPORTED, replace(CLEARED, on_clear="reuse"), None, Step.SUBMIT),
    ("accepted, not looked at", ACCEPTED, RETRY, None, Step.LOOK),
    ("accepted, cleared, not looked at", ACCEPTED, CLEARED, None, Step.LOOK),
    *(
        (f"accepted, {attempt.max_tries}, {seen}", ACCEPTED, attempt, seen, step)
        for attempt in (RETRY, CLEARED)
        for seen, step in (
            (Seen.RUNNING, Step.WAIT),
            (Seen.SUCCEEDED, Step.RETURN),
            (Seen.FAILED, Step.SUBMIT),
        )
    ),
    ("known to have succeeded, retried", KNOWN, RETRY, None, Step.RETURN),
    (
        "known to have succeeded, retried, on_clear=new",
        KNOWN,
        replace(RETRY, on_clear="new"),
        None,
        Step.RETURN,
    ),
    ("known to have succeeded, retried with another request", KNOWN, asks_other(RETRY), None, Step.STOP),
    ("known to have succeeded, cleared: days may have passed", KNOWN, CLEARED, None, Step.LOOK),
    ("known to have succeeded, cleared, reuse", KNOWN, replace(CLEARED, on_clear="reuse"), None, Step.LOOK),
    ("landed, retried", LANDED, RETRY, None, Step.RETURN),
    ("landed, cleared: files stay", LANDED, CLEARED, None, Step.RETURN),
    ("landed, cleared, reuse", LANDED, replace(CLEARED, on_clear="reuse"), None, Step.RETURN),
    ("landed, retried with another request", LANDED, asks_other(RETRY), None, Step.STOP),
    *(
        (f"landed, cleared, {name}", LANDED, attempt, None, Step.SUBMIT)
        for name, attempt in (
            ("new", replace(CLEARED, on_clear="new")),
            ("another request", asks_other(CLEARED)),
        )
    ),
    ("known to have succeeded, cleared, missing", KNOWN, CLEARED, Seen.MISSING, Step.SUBMIT),
    ("accepted, retried, missing", ACCEPTED, RETRY, Seen.MISSING, Step.STOP),
    ("accepted, cleared, missing", ACCEPTED, CLEARED, Seen.MISSING, Step.SUBMIT),
    *(
        (f"accepted, retried with another request, {seen}", ACCEPTED, asks_other(RETRY), seen, step)
        for seen, step in (
            (Seen.RUNNING, Step.STOP),
            (Seen.SUCCEEDED, Step.STOP),
            (Seen.MISSING, Step.STOP),
            (Seen.FAILED, Step.SUBMIT),
        )
    ),
]


@pytest.mark.parametrize(
    ("entry", "attempt", "seen", "step"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_the_table_is_kept(entry: Entry | None, attempt: Attempt, seen: Seen | None, step: Step) -> None:
    verdict = decide(entry, attempt, seen)
    assert verdict.step is step
    assert (verdict.why == "") == (entry is None)


def test_a_stop_names_what_a_person_needs_to_know() -> None:
    why = decide(ACCEPTED, asks_other(RETRY), Seen.RUNNING).why
    assert why == "Aluo accepted this edit as edit_1, but this try asks with another prompt"
    assert "2026-11-22T02:00:00" in decide(INTENT, RETRY).why


# --- what is asked ---------------------------------------------------------------------------------------

URL = "https://photos.example/a.png?signature=1"
ASKED = PhotoEdit(prompt="Make it blue", image_urls=(URL,))


def printed(edit: PhotoEdit = ASKED, *photos: bytes, conn: str = "c", host: str = "h") -> dict[str, str]:
    uploads = [Upload(name=str(len(photo)), content_type="image/png", content=photo) for photo in photos]
    return fingerprint(edit, uploads, aluo_conn_id=conn, host=host)


@pytest.mark.parametrize(
    ("now", "parameters"),
    [
        (printed(replace(ASKED, prompt="Make it red")), ["prompt"]),
        (printed(replace(ASKED, image_urls=("https://photos.example/b.png",))), ["image_urls"]),
        (printed(replace(ASKED, aspect_ratio="1:1", num_images=2)), ["aspect_ratio", "num_images"]),
        (printed(replace(ASKED, output_format="webp")), ["output_format"]),
        (printed(conn="d"), ["aluo_conn_id"]),
        (printed(host="i"), ["host"]),
        (printed(replace(ASKED, image_urls=(URL.replace("1", "2"),))), []),
    ],
)
def test_another_request_is_told_by_what_differs(now: dict[str, str], parameters: list[str]) -> None:
    assert changed(replace(INTENT, fingerprint=printed()), now) == parameters


def test_files_count_by_their_content_and_not_by_their_path() -> None:
    here = PhotoEdit(prompt="Make it blue", image_files=("/a/1.png",))
    there = replace(here, image_files=("/b/2.png",))
    before = replace(INTENT, fingerprint=printed(here, b"photo"))
    assert changed(before, printed(there, b"photo")) == []
    assert changed(before, printed(here, b"another")) == ["image_files"]


def test_what_cannot_be_told_any_more_does_not_differ() -> None:
    gone = printed()
    del gone["image_files"]
    assert changed(replace(INTENT, fingerprint=printed()), gone) == []


def test_no_digest_shows_what_was_asked() -> None:
    assert "blue" not in str(printed())
    assert all(len(digest) == 16 for digest in printed().values())


# --- an entry on its way through JSON --------------------------------------------------------------------


@pytest.mark.parametrize("entry", [INTENT, REPORTED, ACCEPTED, RETURNED])
def test_an_entry_survives_json(entry: Entry) -> None:
    validator("stored_edit").validate(entry.to_json())
    assert Entry.from_json(entry.to_json()) == entry


@pytest.mark.parametrize(
    "value",
    [
        None,
        "edit_1",
        {},
        INTENT.to_json() | {"stage": "paid"},
        INTENT.to_json() | {"version": 2},
        INTENT.to_json() | {"more": 1},
        INTENT.to_json() | {"max_tries": "2"},
        ACCEPTED.to_json() | {"record": None},
        ACCEPTED.to_json() | {"record": {"aluo_task_id": "edit_1"}},
        ACCEPTED.to_json() | {"record": EDIT | {"aluo_task_id": None}},
        RETURNED.to_json() | {"deadline": None},
        INTENT.to_json() | {"stage": "returned"},
    ],
)
def test_what_is_no_entry_is_refused_and_never_taken_for_nothing(value: Any) -> None:
    with pytest.raises(AluoRequestInvalid):
        Entry.from_json(value)


def test_an_entry_that_cannot_be_read_says_what_to_do() -> None:
    with pytest.raises(AluoRequestInvalid, match="delete it in the task instance's Task State Store"):
        Entry.from_json({"version": 2})


# --- the order of things ---------------------------------------------------------------------------------


class Script:
    """A world that does what a test says and notes what it is asked."""

    def __init__(self, stored: Entry | None = None) -> None:
        self.stored = stored
        self.done: list[str] = []
        #: Outcomes that nobody knows, as they were counted.
        self.unknowns = 0
        self.submits: AluoError | None = None
        self.sees: Any = None
        self.keeps: Exception | None = None
        #: What was done without an interruption.
        self.held: list[list[str]] = []

    memory = property(lambda self: self)

    def now(self) -> float:
        return 1_000.0

    def tell(self, message: str) -> None:
        self.done.append(f"tell {message[:20]}")

    def unknown(self) -> None:
        self.unknowns += 1

    def recall(self) -> Entry | None:
        return self.stored

    def keep(self, entry: Entry) -> None:
        self.done.append(f"keep {entry.stage}")
        if self.keeps:
            raise self.keeps
        self.stored = entry

    def save(self, entry: Entry) -> None:
        self.done.append(f"save {entry.stage}{' reported' if entry.reported else ''}")
        self.stored = entry

    def forget(self) -> None:
        self.done.append("forget")
        self.stored = None

    @contextmanager
    def uninterrupted(self) -> Iterator[None]:
        before = len(self.done)
        try:
            yield
        finally:
            self.held.append(self.done[before:])

    def submit(self) -> Any:
        self.done.append("submit")
        if self.submits:
            raise self.submits
        return EDIT

    def look(self, pending: Any) -> Any:
        self.done.append(f"look {pending['aluo_task_id']}")
        if isinstance(self.sees, Exception):
            raise self.sees
        return self.sees


class InALoop:
    """The same world for an event loop, to which each of its answers gives way first."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.now, self.tell, self.unknown = script.now, script.tell, script.unknown

    def __getattr__(self, name: str) -> Any:
        async def answer(*args: Any) -> Any:
            await asyncio.sleep(0)
            return getattr(self.script, name)(*args)

        return answer


Begin: TypeAlias = Callable[[Script, Attempt], Entry]


@pytest.fixture(params=["sync", "async"])
def begin(request: pytest.FixtureRequest) -> Begin:
    """Go the steps of a try with either driver."""

    def in_a_loop(world: Script, attempt: Attempt) -> Entry:
        return asyncio.run(driving.abegin(InALoop(world), attempt, world.recall()))

    return driving.begin if request.param == "sync" else in_a_loop


def test_the_intent_is_kept_before_the_submit_and_the_id_after_it(begin: Begin) -> None:
    world = Script()
    entry = begin(world, RETRY)
    assert world.done == ["keep intent", "submit", "save accepted"]
    assert (entry.record, entry.deadline, entry.max_tries) == (EDIT, 1_600.0, 2)
    finish(world, entry, DONE)
    assert world.done[3:] == ["save returned"]
    assert world.stored == replace(entry, stage=Stage.RETURNED, record=DONE)


def test_nothing_is_submitted_whose_intent_is_not_kept(begin: Begin) -> None:
    world = Script()
    world.keeps = OSError("the API server is gone")
    with pytest.raises(OSError, match="gone"):
        begin(world, RETRY)
    assert world.done == ["keep intent", "forget"]


@pytest.mark.parametrize(
    "error",
    [
        AluoOutOfCredits("no", http_status=402),
        AluoConnectionError("no", sent=False),
        AluoUnauthorized("no", http_status=401),
    ],
)
def test_a_request_that_surely_was_not_accepted_leaves_nothing_behind(begin: Begin, error: AluoError) -> None:
    world = Script()
    world.submits = error
    with pytest.raises(type(error)):
        begin(world, RETRY)
    assert world.done == ["keep intent", "submit", "forget"]


def test_an_unknown_outcome_is_noted_as_reported(begin: Begin) -> None:
    world = Script()
    world.submits = AluoUnknownOutcome("?")
    with pytest.raises(AluoUnknownOutcome):
        begin(world, RETRY)
    assert world.done == ["keep intent", "submit", "save intent reported"]
    assert world.unknowns == 1


def test_an_unknown_outcome_that_is_to_be_resubmitted_is_left_to_the_retries(begin: Begin) -> None:
    world = Script()
    world.submits = AluoUnknownOutcome("?")
    with pytest.raises(AluoError, match="the next try submits once more") as caught:
        begin(world, replace(RETRY, on_unknown_outcome="resubmit"))
    assert not caught.value.final
    assert caught.value.__cause__ is world.submits
    assert world.done == ["keep intent", "submit"]
    assert world.stored is not None
    assert world.unknowns == 1


def test_an_unheard_submit_stops_the_next_try_and_is_noted_as_reported(begin: Begin) -> None:
    world = Script(INTENT)
    with pytest.raises(AluoUnknownOutcome, match=r"nobody knows .*a submit began at 2026-11-22T02:00"):
        begin(world, RETRY)
    assert world.stored == REPORTED
    assert world.unknowns == 1  # the try that submitted it died before it could tell


def test_a_stop_after_a_clear_is_no_leave_to_submit_for_the_retry_that_follows_a_death(begin: Begin) -> None:
    world = Script(INTENT)
    with pytest.raises(AluoUnknownOutcome):
        begin(world, CLEARED)
    with pytest.raises(AluoUnknownOutcome):
        begin(world, CLEARED)
    assert "submit" not in world.done
    assert world.unknowns == 1


def test_another_request_in_a_retry_stops_it_and_names_the_edit(begin: Begin) -> None:
    world = Script(ACCEPTED)
    world.sees = Look(Seen.RUNNING, EDIT)
    with pytest.raises(AluoUnknownOutcome, match=r"another prompt\. Nothing was submitted.*'edit_1'"):
        begin(world, asks_other(RETRY))
    assert world.stored == ACCEPTED


def test_an_edit_that_aluo_knows_no_more_stops_a_retry_with_aluos_own_words(begin: Begin) -> None:
    world = Script(ACCEPTED)
    world.sees = Look(Seen.MISSING, EDIT, AluoRequestRejected("no such task", http_status=404, code=-1))
    with pytest.raises(AluoRequestRejected, match=r"as edit_1, .*no such task\. Clear this task") as caught:
        begin(world, RETRY)
    assert (caught.value.http_status, caught.value.code) == (404, -1)
    assert "submit" not in world.done


def test_a_key_that_is_refused_stops_a_retry_and_changes_nothing(begin: Begin) -> None:
    world = Script(ACCEPTED)
    world.sees = AluoUnauthorized("no", http_status=401)
    with pytest.raises(AluoUnauthorized):
        begin(world, RETRY)
    assert world.stored == ACCEPTED


def test_a_retry_keeps_its_deadline_and_a_clear_gets_a_new_one(begin: Begin) -> None:
    late = replace(ACCEPTED, deadline=500.0)
    for attempt, deadline in ((RETRY, 500.0), (CLEARED, 1_600.0)):
        world = Script(late)
        world.sees = Look(Seen.RUNNING, EDIT)
        entry = begin(world, attempt)
        assert (entry.deadline, entry.stage) == (deadline, Stage.ACCEPTED)
        assert entry.max_tries == attempt.max_tries
        assert world.stored == entry


def test_an_edit_that_has_succeeded_meanwhile_is_returned_as_it_was_seen(begin: Begin) -> None:
    world = Script(ACCEPTED)
    world.sees = Look(Seen.SUCCEEDED, DONE)
    entry = begin(world, RETRY)
    assert (entry.stage, entry.record) == (Stage.ACCEPTED, DONE)
    assert finish(world, entry, DONE) == DONE
    assert world.done[-1] == "save returned"


def test_pictures_that_are_known_are_returned_to_a_retry_without_a_look(begin: Begin) -> None:
    world = Script(KNOWN)
    assert begin(world, RETRY) == KNOWN
    assert world.done == ["tell Aluo accepted this e"]


def test_pictures_that_are_known_are_looked_at_again_after_a_clear(begin: Begin) -> None:
    world = Script(KNOWN)
    fresh = DONE | {"result_urls": ["https://cdn.example/a.png?signed=again"]}
    world.sees = Look(Seen.SUCCEEDED, fresh)
    assert begin(world, CLEARED).record == fresh
    assert world.done[1:] == ["look edit_1", "tell Aluo accepted this e", "save accepted"]


def test_another_request_in_a_retry_does_not_get_the_pictures_of_the_first(begin: Begin) -> None:
    world = Script(KNOWN)
    with pytest.raises(AluoUnknownOutcome, match=r"another prompt\. Nothing was submitted.*'edit_1'"):
        begin(world, asks_other(RETRY))
    assert (world.stored, world.done) == (KNOWN, [])


# --- who would end the task meanwhile --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("submits", "held"),
    [
        (None, ["keep intent", "submit", "save accepted"]),
        (AluoOutOfCredits("no", http_status=402), ["keep intent", "submit", "forget"]),
        (AluoUnknownOutcome("?"), ["keep intent", "submit", "save intent reported"]),
    ],
)
def test_a_worker_is_not_interrupted_from_the_intent_until_the_answer_is_remembered(
    submits: AluoError | None, held: list[str]
) -> None:
    world = Script(ACCEPTED)
    world.sees, world.submits = Look(Seen.FAILED, EDIT), submits
    try:
        driving.begin(world, RETRY)
    except AluoError as error:
        assert error is submits  # noqa: PT017  # both ways end here
    assert world.held == [held]
    assert world.done[1:3] == ["look edit_1", "tell Aluo accepted this e"]


def test_a_look_may_be_interrupted() -> None:
    world = Script(ACCEPTED)
    world.sees = Look(Seen.RUNNING, EDIT)
    driving.begin(world, RETRY)
    assert world.held == []


class Slow(InALoop):
    """A world that stands still in one of its answers, until it is let go."""

    def __init__(self, script: Script, where: str) -> None:
        super().__init__(script)
        self.where = where
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        answer = super().__getattr__(name)

        async def slowly(*args: Any) -> Any:
            if name == self.where:
                self.reached.set()
                await self.go.wait()
            return await answer(*args)

        return slowly


async def cancelled_in(where: str, script: Script, *, times: int = 1) -> asyncio.Task[Entry]:
    """Begin, cancel while the world stands still, then let it go on to the end."""
    world = Slow(script, where)
    task = asyncio.create_task(driving.abegin(world, RETRY, script.stored))
    await world.reached.wait()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    world.go.set()
    await asyncio.wait([task])
    return task


@pytest.mark.parametrize("where", ["keep", "submit", "save"])
@pytest.mark.parametrize("times", [1, 3])
async def test_a_cancellation_waits_until_the_answer_to_a_submit_is_remembered(
    where: str, times: int
) -> None:
    script = Script()
    task = await cancelled_in(where, script, times=times)
    assert task.cancelled()
    assert script.done == ["keep intent", "submit", "save accepted"]


async def test_a_cancellation_does_not_hide_an_unknown_outcome() -> None:
    script = Script()
    script.submits = AluoUnknownOutcome("?")
    task = await cancelled_in("submit", script)
    assert task.exception() is script.submits
    assert script.done == ["keep intent", "submit", "save intent reported"]


async def test_a_cancelled_look_is_given_up_and_nothing_is_submitted() -> None:
    script = Script(ACCEPTED)
    task = await cancelled_in("look", script)
    assert task.cancelled()
    assert script.done == ["tell remembered from an e"]


async def test_one_edit_that_is_refused_leaves_the_others_of_its_batch_alone() -> None:
    scripts = [Script() for _ in range(3)]
    scripts[1].submits = AluoOutOfCredits("no", http_status=402)
    found = await asyncio.gather(
        *(driving.abegin(InALoop(script), RETRY, None) for script in scripts), return_exceptions=True
    )
    assert found[1] is scripts[1].submits
    assert [script.done[-1] for script in scripts] == ["save accepted", "forget", "save accepted"]
