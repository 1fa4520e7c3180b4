"""Where a batch's entries are kept: nothing waits for ever, nothing is lost, and few writes serve many."""

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_aluo.batch import memory as module
from airflow_aluo.batch.memory import BatchMemory
from airflow_aluo.protocol.errors import AluoRequestInvalid
from airflow_aluo.protocol.schemas import validator
from airflow_aluo.task_store import TaskStore, TaskStoreError
from tests.conftest import TaskStateStore

LOG = logging.getLogger(__name__)


@pytest.fixture
def store() -> TaskStateStore:
    return TaskStateStore()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)
    monkeypatch.setattr(module, "PATIENCE", 30.0)


def memory(store: TaskStateStore, *, max_tries: int = 2) -> BatchMemory:
    return BatchMemory(TaskStore({"task_state_store": store}), LOG, max_tries)  # type: ignore[typeddict-item]


def intent(prints: str = "a", **more: Any) -> dict[str, Any]:
    known = {"stage": "intent", "max_tries": 2, "prints": prints, "intended_at": "2026-11-22T02:00:00+00:00"}
    return known | more


def accepted(prints: str, aluo_task_id: str, **more: Any) -> dict[str, Any]:
    return {
        "stage": "accepted",
        "max_tries": 2,
        "prints": prints,
        "deadline": 1.0,
        "aluo_task_id": aluo_task_id,
        "status": "SUBMITTED",
        "result_urls": [],
        "files": [],
        "credits": [35, None, None],
        "times": [1.0, 2.0, None, None],
    } | more


def failing(
    times: int, what: str = "set aluo_batch_", error: type[Exception] = OSError
) -> Callable[[str], None]:
    left = [times]

    def before(done: str) -> None:
        if done.startswith(what) and left[0]:
            left[0] -= 1
            raise error("gone")

    return before


def shards(store: TaskStateStore) -> dict[str, Any]:
    return {key.strip("/"): json.loads(value) for key, value in store.values.items() if "_batch_" in key}


# --- in the event loop -----------------------------------------------------------------------------------


async def test_who_keeps_goes_on_once_it_is_written(store: TaskStateStore) -> None:
    kept = memory(store)
    async with kept.writing():
        await kept.keep(3, intent())
        assert shards(store)["aluo_batch_0_000"]["entries"] == {"3": intent()}


async def test_what_comes_during_a_write_is_written_in_one_more(store: TaskStateStore) -> None:
    go = threading.Event()
    store.before = lambda _: go.wait(5)
    kept = memory(store)
    async with kept.writing():
        waiting = [asyncio.ensure_future(kept.keep(0, intent()))]
        await asyncio.sleep(0.05)
        waiting += [asyncio.ensure_future(kept.keep(place, intent())) for place in range(1, 90)]
        await asyncio.sleep(0.05)
        assert not any(one.done() for one in waiting)
        go.set()
        await asyncio.gather(*waiting)
    assert store.done == ["set aluo_batch_0_000"] * 2


async def test_who_keeps_hears_of_a_failure_and_who_saves_does_not(store: TaskStateStore) -> None:
    store.before = failing(3)
    kept = memory(store)
    async with kept.writing():
        saved = asyncio.ensure_future(kept.save(1, intent()))
        with pytest.raises(TaskStoreError, match="could not be written"):
            await kept.keep(2, intent())
        await saved
        assert shards(store)["aluo_batch_0_000"]["entries"].keys() == {"1", "2"}


async def test_one_key_that_cannot_be_written_does_not_hold_up_the_others(store: TaskStateStore) -> None:
    store.before = failing(99, "set aluo_batch_0_001")
    kept = memory(store)
    async with asyncio.timeout(30):
        writing = kept.writing()
        await writing.__aenter__()
        with pytest.raises(TaskStoreError):
            await kept.keep(100, intent())
        for place in range(5):
            await kept.keep(place, intent())
        store.before = lambda _: None
        await writing.__aexit__(None, None, None)
    assert shards(store).keys() == {"aluo_batch_0_000", "aluo_batch_0_001"}


async def test_a_writer_survives_whatever_goes_wrong(store: TaskStateStore) -> None:
    kept = memory(store)
    async with asyncio.timeout(30), kept.writing():
        with pytest.raises(TaskStoreError, match="not JSON serializable"):
            await kept.keep(0, intent(reported={1, 2}))
        await kept.keep(0, intent())
    assert shards(store)["aluo_batch_0_000"]["entries"] == {"0": intent()}


async def test_what_could_not_be_written_is_written_without_anybody_asking_again(
    store: TaskStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    store.before = failing(20)
    kept = memory(store)
    async with kept.writing():
        await kept.save(0, intent())  # gives up waiting
        assert not await kept.settle()
        monkeypatch.setattr(module, "PATIENCE", 30.0)
        assert await kept.settle()
        assert shards(store)


async def test_who_is_cancelled_while_waiting_leaves_the_others_alone(store: TaskStateStore) -> None:
    go = threading.Event()
    store.before = lambda _: go.wait(20)
    kept = memory(store)
    async with kept.writing():
        one, other = (asyncio.ensure_future(kept.keep(place, intent())) for place in range(2))
        await asyncio.sleep(0.01)
        one.cancel()
        go.set()
        await other
        assert one.cancelled()
    assert shards(store)["aluo_batch_0_000"]["entries"].keys() == {"0", "1"}


async def test_what_changed_before_the_event_loop_is_written_in_it(store: TaskStateStore) -> None:
    kept = memory(store)
    kept.later(5, intent())
    async with kept.writing():
        pass
    assert shards(store)["aluo_batch_0_000"]["entries"] == {"5": intent()}


async def test_nothing_that_changes_is_no_write(store: TaskStateStore) -> None:
    kept = memory(store)
    async with kept.writing():
        assert await kept.settle()
    assert store.done == []


def test_a_store_that_hangs_at_the_end_does_not_hide_what_aluo_has(
    store: TaskStateStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 1.0)

    def hangs(done: str) -> None:
        while done == "set aluo_batch_0_001" and "not remembered" not in caplog.text:
            time.sleep(0.01)

    store.before = hangs

    async def run() -> None:
        kept = memory(store)
        kept.begin(200)
        async with kept.writing():
            kept.later(0, accepted("a", "edit_0"))
            kept.later(123, accepted("b", "edit_123"))

    asyncio.run(run())
    assert "not remembered of this batch: edit_123" in caplog.text


# --- across tries ----------------------------------------------------------------------------------------


def stored(store: TaskStateStore, *entries: dict[str, Any] | None, asked: str = "") -> BatchMemory:
    """Remember entries, then recall them as another try does."""

    async def write() -> None:
        kept = memory(store)
        kept.begin(len(entries))
        for place, entry in enumerate(entries):
            if entry is not None:
                kept.later(place, entry)
        async with kept.writing():
            pass

    asyncio.run(write())
    return recalled(store, asked)


def recalled(store: TaskStateStore, asked: str, *, max_tries: int = 2) -> BatchMemory:
    again = memory(store, max_tries=max_tries)
    again.recall(list(asked))
    return again


def test_entries_are_found_in_their_new_places_and_stay_there(store: TaskStateStore) -> None:
    again = stored(store, accepted("a", "1"), accepted("b", "2"), None, asked="bxa")
    assert {place: one["aluo_task_id"] for place, one in again.entries.items()} == {0: "2", 2: "1"}
    assert shards(store).keys() == {"aluo_batch_1_000"}
    assert recalled(store, "bxa").entries == again.entries


def test_a_move_that_is_cut_short_changes_nothing(store: TaskStateStore) -> None:
    stored(store, accepted("a", "1"), accepted("b", "2"), asked="ab")
    store.before = failing(1, "set aluo_batch", KeyboardInterrupt)  # type: ignore[arg-type]
    for calls in ("set aluo_batch_1", "set aluo_batch"):
        store.before = failing(1, calls)
        with pytest.raises(TaskStoreError):
            recalled(store, "ba")
        store.before = lambda _: None
        assert {one["aluo_task_id"] for one in recalled(store, "ab").entries.values()} == {"1", "2"}


def test_what_a_cut_move_left_behind_is_never_read(store: TaskStateStore) -> None:
    stored(store, *(accepted(name, name) for name in "abc"), asked="abc")
    store.before = failing(1, "set aluo_batch")
    store.before = lambda what: failing(1, "set aluo_batch")(what) if what == "set aluo_batch" else None
    with pytest.raises(TaskStoreError):
        recalled(store, "cba")  # generation 1 is written, the head is not
    store.before = lambda _: None
    anew = recalled(store, "abc")
    anew.start_anew()
    anew.begin(3)
    assert recalled(store, "abc").entries == {}


def test_old_places_that_cannot_be_deleted_are_left(store: TaskStateStore) -> None:
    store.before = failing(9, "delete")
    again = stored(store, accepted("a", "1"), accepted("b", "2"), asked="ba")
    assert recalled(store, "ba").entries == again.entries


def test_edits_that_are_asked_for_no_more_are_named(
    store: TaskStateStore, caplog: pytest.LogCaptureFixture
) -> None:
    again = stored(store, accepted("a", "edit_1"), accepted("b", "edit_2"), asked="b")
    assert again.entries[0]["aluo_task_id"] == "edit_2"
    assert "asks no more for edits that Aluo has, or may have: edit_1" in caplog.text


def test_a_resumed_try_that_asks_for_fewer_changes_nothing(store: TaskStateStore) -> None:
    stored(store, accepted("a", "1"), accepted("b", "2"), asked="ab")
    before = dict(store.values)
    again = memory(store)
    again.recall(["b"], trusted=True)
    assert store.values == before
    assert {one["aluo_task_id"] for one in recalled(store, "ab").entries.values()} == {"1", "2"}


def test_what_a_retry_asks_no_more_for_is_kept_behind_the_rest(store: TaskStateStore) -> None:
    entries = [accepted(name, name) for name in "abc"]
    entries[1] = intent("b", reported=True)
    stored(store, *entries, asked="c").begin(1)
    head = json.loads(store.values["/aluo_batch"])
    assert (head["edits"], head["kept"]) == (1, 2)
    validator("stored_batch").validate(head)
    again = recalled(store, "bca")
    assert [again.entries[place]["prints"] for place in range(3)] == ["b", "c", "a"]
    again.begin(3)
    assert recalled(store, "bca").entries == again.entries


def test_what_a_person_who_clears_asks_no_more_for_is_forgotten(store: TaskStateStore) -> None:
    stored(store, accepted("a", "1"), accepted("b", "2"), asked="ab")
    recalled(store, "b", max_tries=4).begin(1)
    assert recalled(store, "b", max_tries=4).entries == {0: accepted("b", "2")}


def test_a_clear_is_told_from_a_retry(store: TaskStateStore) -> None:
    assert not stored(store, accepted("a", "1"), asked="a").cleared
    assert recalled(store, "a", max_tries=4).cleared


def test_an_airflow_without_a_store_remembers_for_the_try_alone() -> None:
    async def run() -> BatchMemory:
        kept = BatchMemory(TaskStore({}), LOG, 2)  # type: ignore[typeddict-item]
        kept.recall(["a"])
        kept.begin(1)
        async with kept.writing():
            await kept.keep(0, intent())
        kept.finish(1)
        return kept

    kept = asyncio.run(run())
    assert not kept.lasts
    assert kept.entries == {0: intent()}


@pytest.mark.parametrize("key", ["aluo_batch", "aluo_batch_0_000"])
def test_what_is_nothing_of_ours_is_refused(store: TaskStateStore, key: str) -> None:
    stored(store, accepted("a", "1"), asked="a")
    store.set(key, {"version": 3})
    with pytest.raises(AluoRequestInvalid, match="delete it there to submit, and pay, anew"):
        recalled(store, "a")
