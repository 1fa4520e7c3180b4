"""Where a batch's entries are kept: in Airflow's task state store, by one thread of their own.

What the event loop asks to be remembered while a write is under way is written together in the next one: a
submit waits for one write, not for those of all others.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.batch.remembered import HEAD, SHARD, is_open, places, shard_key, shortened
from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.schemas import validator
from airflow_aluo.task_store import TaskStoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

    from airflow_aluo.task_store import TaskStore

#: After a round of writing, so many times as long nothing is written, for Airflow's API server has other
#: things to do; but at most so many seconds. What a submit waits for meanwhile is written together.
REST: Final = 5.0
LONGEST_REST: Final = 1.0

#: Seconds between two tries to store what could not be stored.
PAUSE: Final = 2.0
#: Seconds for which an edit, or the end of the batch, waits for that: longer than Airflow's API server takes
#: to restart.
PATIENCE: Final = 60.0


class BatchMemory:
    """Remembers a batch.

    :param store: the task's.
    :param log: the task's.
    :param max_tries: the task instance's.
    """

    def __init__(self, store: TaskStore, log: Any, max_tries: int) -> None:
        self._store, self._log, self._max_tries = store, log, max_tries
        self._generation = 0
        #: A person has cleared the task since this was written.
        self.cleared = False
        #: What is to be remembered, by place.
        self.entries: dict[int, dict[str, Any]] = {}
        #: The task has returned these edits.
        self.returned = False
        #: How many edits the remembered batch has.
        self.recalled = 0
        #: How many more are stored after those.
        self._kept = 0
        #: Shards that are to be written, and who waits for that.
        self._changed: dict[int, list[asyncio.Future[None]]] = {}
        #: Shards that are being written.
        self._writing: set[int] = set()
        #: Wakes the writer, and says that it has nothing to do; of the running event loop.
        self._wanted, self._idle = asyncio.Event(), asyncio.Event()

    @property
    def lasts(self) -> bool:
        """Whether a later try finds anything here."""
        return self._store.lasts

    # --- before and after the event loop --------------------------------------------------------------------

    def recall(self, asked: Sequence[str], *, trusted: bool = False) -> None:
        """Fetch what is remembered of the edits that are asked for now, in their places.

        What a plain retry asks no more for, although Aluo has it, is kept behind them: the list may have been
        cut short by mistake. A person who clears the task knows what is in it; then it is forgotten.

        :param asked: each edit's digests.
        :param trusted: it was checked in this try already; ten thousand edits take five seconds of CPU.
        :raises TaskStoreError: nobody knows whether anything is.
        :raises AluoRequestInvalid: it is nothing of ours.
        """
        head = self._read(HEAD)
        if head is None:
            return
        self._generation, self.returned = head["generation"], head["returned"]
        self.recalled, self._kept = head["edits"], head.get("kept", 0)
        self.cleared = head["max_tries"] != self._max_tries
        stored: dict[int, dict[str, Any]] = {}
        for shard in _shards(self.recalled + self._kept):
            value = self._read(shard_key(self._generation, shard), trusted=trusted) or {"entries": {}}
            stored |= {int(place): entry for place, entry in value["entries"].items()}
        found = places(stored, asked, max_tries=self._max_tries)
        gone = [stored[place] for place in sorted(stored.keys() - set(found.values()))]
        open_ones = [one for one in gone if is_open(one)]
        if open_ones and not self.returned and not trusted:
            what = ", ".join(one.get("aluo_task_id", "one of unknown outcome") for one in open_ones)
            self._log.warning("this try asks no more for edits that Aluo has, or may have: %.1000s", what)
        kept = [] if self.cleared else open_ones
        self.entries = {place: stored[before] for place, before in found.items()}
        self.entries |= dict(enumerate(kept, start=len(asked)))
        # A resumed try may find that it asks for something else by now. It changes nothing then.
        if not trusted and self.entries != stored:
            self._move(head)

    def begin(self, edits: int) -> None:
        """Remember how many edits there are, before anything of them is.

        :raises TaskStoreError: it is not sure that this is remembered now.
        """
        self._put_head(edits, self._max_tries)

    def start_anew(self) -> None:
        """Remember nothing of the edits any more: all of them are wanted anew."""
        self.entries, self.returned = {}, False
        self._generation += 2  # a move that was cut short may have left something in the next one

    def finish(self, edits: int) -> None:
        """Remember that the task returns these edits, if that can be: they are there, and paid."""
        self.returned = True
        try:
            self._put_head(edits, self._max_tries)
        except TaskStoreError as error:
            self._log.warning("a clear of this task will return these edits once more, for: %s", error)

    def _put_head(self, edits: int, max_tries: int) -> None:
        head: dict[str, Any] = {"version": 1, "generation": self._generation, "edits": edits}
        if kept := max(self._extent() - edits, 0):
            head["kept"] = kept
        self._store.put(HEAD, head | {"max_tries": max_tries, "returned": self.returned})

    def _read(self, key: str, *, trusted: bool = False) -> Any:
        value = self._store.get(key)
        if value is not None and not trusted and not validator("stored_batch").is_valid(value):
            expected = "what this package stored; delete it there to submit, and pay, anew"
            raise AluoRequestInvalid("task state store", [Problem(key, "something else", expected)])
        return value

    def _move(self, head: Mapping[str, Any]) -> None:
        """Write the entries in their new places; the head decides which are valid, at one stroke.

        Whether the task was cleared is still to be acted on, so the head keeps telling.
        """
        old, self._generation = self._generation, self._generation + 1
        edits = max(head["edits"], self._extent())
        for shard in _shards(edits):
            self._store.put(shard_key(self._generation, shard), self._value(shard))
        self._put_head(edits, head["max_tries"])
        for shard in _shards(head["edits"] + self._kept):
            with suppress(TaskStoreError):  # nobody reads it any more
                self._store.delete(shard_key(old, shard))

    def _extent(self) -> int:
        """Return the first place behind all that is remembered."""
        return max(self.entries, default=-1) + 1

    def _value(self, shard: int) -> dict[str, Any]:
        places_of_it = range(shard * SHARD, (shard + 1) * SHARD)
        found = {str(place): self.entries[place] for place in places_of_it if place in self.entries}
        return shortened({"version": 1, "entries": found})

    def later(self, place: int, entry: Mapping[str, Any] | None) -> None:
        """Remember with the next write, or forget (``None``). The event loop need not run yet."""
        if entry is None:
            self.entries.pop(place, None)
        else:
            self.entries[place] = dict(entry)
        self._changed.setdefault(place // SHARD, [])
        self._idle.clear()
        self._wanted.set()

    # --- in the event loop ----------------------------------------------------------------------------------

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Write what changes meanwhile; at the end, all that can be written is."""
        self._wanted, self._idle = asyncio.Event(), asyncio.Event()
        self._wanted.set()
        with ThreadPoolExecutor(1, thread_name_prefix="aluo-task-store") as thread:
            writer = asyncio.ensure_future(self._write(thread))
            try:
                yield
            finally:
                if not await self.settle():
                    self._log.error(
                        "not remembered of this batch: %.4000s",
                        ", ".join(self.at_aluo(self._changed.keys() | self._writing)) or "failures",
                    )
                writer.cancel()

    async def keep(self, place: int, entry: Mapping[str, Any]) -> None:
        """Remember before going on.

        :raises TaskStoreError: it is not sure that this is remembered now.
        """
        self.later(place, entry)
        await self._written(place)

    async def save(self, place: int, entry: Mapping[str, Any] | None) -> None:
        """Remember or forget, patiently: never raises. What takes too long is tried again all the same."""
        self.later(place, entry)
        said, what = False, (entry or {}).get("aluo_task_id", f"in place {place}, without an id")
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    try:
                        return await self._written(place)
                    except TaskStoreError as error:
                        if not said:
                            self._log.error("edit %s could not be remembered, trying again: %s", what, error)
                        said = True
        except TimeoutError:
            self._log.error("edit %s is not remembered after %g s; it is tried again", what, PATIENCE)

    def at_aluo(self, shards: Collection[int] | None = None) -> list[str]:
        """Return the ids of the edits that Aluo has, or may have. ``shards``: of these only."""
        return [
            entry.get("aluo_task_id", f"the edit in place {place}, of unknown outcome")
            for place, entry in sorted(self.entries.items())
            if is_open(entry) and (shards is None or place // SHARD in shards)
        ]

    async def settle(self) -> bool:
        """Wait until all is written, but not for ever; return whether it is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._idle.wait()
        return self._idle.is_set()

    async def _written(self, place: int) -> None:
        written = asyncio.get_running_loop().create_future()
        self._changed.setdefault(place // SHARD, []).append(written)
        self._idle.clear()
        self._wanted.set()
        await written

    async def _write(self, thread: ThreadPoolExecutor) -> None:
        """Write what has changed, round after round. What fails is tried again in the next one."""
        now = asyncio.get_running_loop().time
        next_round = now()
        while True:
            if not self._changed:
                self._idle.set()
            await self._wanted.wait()
            await asyncio.sleep(max(next_round - now(), 0.0))  # whoever changes something now comes along
            began = now()
            self._wanted.clear()
            changed, self._changed = self._changed, {}
            self._writing = set(changed)
            written = [await self._put(thread, shard, waiting) for shard, waiting in changed.items()]
            next_round = now() + min(REST * (now() - began), LONGEST_REST)
            if not all(written):
                await asyncio.sleep(PAUSE)
                self._wanted.set()

    async def _put(
        self, thread: ThreadPoolExecutor, shard: int, waiting: Sequence[asyncio.Future[None]]
    ) -> bool:
        """Write a shard, tell those who wait, and return whether it is written."""
        failure: TaskStoreError | None = None
        try:
            key, value = shard_key(self._generation, shard), self._value(shard)
            await asyncio.get_running_loop().run_in_executor(thread, self._store.put, key, value)
        except Exception as error:  # noqa: BLE001  # the writer must not die: all would wait for ever
            failure = error if isinstance(error, TaskStoreError) else TaskStoreError(f"{error!r}")
            self._changed.setdefault(shard, [])
        self._writing.discard(shard)
        for one in waiting:
            if not one.done() and failure:
                one.set_exception(failure)
            elif not one.done():
                one.set_result(None)
        return failure is None


def _shards(edits: int) -> range:
    """Return the numbers of the shards that hold so many edits."""
    return range(-(-edits // SHARD))
