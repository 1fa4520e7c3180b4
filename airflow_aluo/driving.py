"""Two drivers for the :func:`~airflow_aluo.paid_once.steps` of a try: the worker's and the event loop's."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_aluo.paid_once import (
    Forget,
    Keep,
    LookAt,
    Save,
    Submit,
    Tell,
    Uninterrupted,
    Unknown,
    steps,
)
from airflow_aluo.protocol.remembered import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import AbstractContextManager

    from airflow_aluo.durable import Attempt, Look
    from airflow_aluo.paid_once import Ask, Steps
    from airflow_aluo.protocol.record import EditRecord
    from airflow_aluo.protocol.remembered import Entry

T = TypeVar("T")

# --- in a worker -------------------------------------------------------------------------------------------


class Memory(Protocol):
    """What is remembered of the task's edit."""

    def recall(self) -> Entry | None:
        """Return it. Raises where it cannot be known."""

    def keep(self, entry: Entry) -> None:
        """See :class:`Keep`."""

    def save(self, entry: Entry) -> None:
        """See :class:`Save`."""

    def forget(self) -> None:
        """See :class:`Forget`."""


class World(Protocol):
    """What :func:`begin` and :func:`finish` need of the outside."""

    @property
    def memory(self) -> Memory:
        """What is remembered."""

    def now(self) -> float:
        """Epoch seconds."""

    def submit(self) -> EditRecord:
        """See :class:`Submit`."""

    def look(self, pending: EditRecord) -> Look:
        """See :class:`LookAt`."""

    def tell(self, message: str) -> None:
        """Log."""

    def unknown(self) -> None:
        """See :class:`Unknown`."""

    def uninterrupted(self) -> AbstractContextManager[None]:
        """Let no ``execution_timeout`` strike within."""


def begin(world: World, attempt: Attempt) -> Entry:
    """Go the :func:`steps`. Raises what they raise, and what recalling does."""
    return _drive(world, steps(attempt, world.memory.recall(), world.now))


def finish(world: World, entry: Entry, finished: EditRecord) -> EditRecord:
    """Remember that the task returns this edit, and return it."""
    returned = replace(entry, stage=Stage.RETURNED, record=finished)
    if returned != entry:
        world.memory.save(returned)
    return finished


def _drive(world: World, going: Steps[T]) -> T:
    step: Callable[[Any], Ask] = going.send
    answer: Any = None
    try:
        while True:
            asked, step = step(answer), going.send
            try:
                answer = _answer(world, asked)
            except Exception as error:  # noqa: BLE001  # the steps know what it means
                step, answer = going.throw, error
    except StopIteration as end:
        result: T = end.value
        return result


def _answer(world: World, asked: Ask) -> EditRecord | Look | Entry | None:
    match asked:
        case Keep(entry):
            world.memory.keep(entry)
        case Save(entry):
            world.memory.save(entry)
        case Forget():
            world.memory.forget()
        case Tell(message):
            world.tell(message)
        case Unknown():
            world.unknown()
        case LookAt(pending):
            return world.look(pending)
        case Submit():
            return world.submit()
        case Uninterrupted(further):
            with world.uninterrupted():
                return _drive(world, further)
    return None


# --- in an event loop -------------------------------------------------------------------------------------


class AsyncWorld(Protocol):
    """What :func:`abegin` needs of the outside, for one edit."""

    def now(self) -> float:
        """Epoch seconds."""

    def tell(self, message: str) -> None:
        """Log."""

    def unknown(self) -> None:
        """See :class:`Unknown`."""

    async def keep(self, entry: Entry) -> None:
        """See :class:`Keep`."""

    async def save(self, entry: Entry) -> None:
        """See :class:`Save`."""

    async def forget(self) -> None:
        """See :class:`Forget`."""

    async def submit(self) -> EditRecord:
        """See :class:`Submit`."""

    async def look(self, pending: EditRecord) -> Look:
        """See :class:`LookAt`."""


async def abegin(world: AsyncWorld, attempt: Attempt, entry: Entry | None) -> Entry:
    """Go the :func:`steps` of an edit of which ``entry`` is remembered. Raises what they raise.

    A cancellation strikes only before the intent, or once the answer to a submit is remembered: an edit that
    waits for its turn must do so before this begins, or it is submitted all the same.
    """
    return await _adrive(world, steps(attempt, entry, world.now))


async def _adrive(world: AsyncWorld, going: Steps[T]) -> T:
    step: Callable[[Any], Ask] = going.send
    answer: Any = None
    try:
        while True:
            asked, step = step(answer), going.send
            try:
                answer = await _aanswer(world, asked)
            except Exception as error:  # noqa: BLE001  # the steps know what it means
                step, answer = going.throw, error
    except StopIteration as end:
        result: T = end.value
        return result


async def _aanswer(world: AsyncWorld, asked: Ask) -> EditRecord | Look | Entry | None:
    match asked:
        case Keep(entry):
            await world.keep(entry)
        case Save(entry):
            await world.save(entry)
        case Forget():
            await world.forget()
        case Tell(message):
            world.tell(message)
        case Unknown():
            world.unknown()
        case LookAt(pending):
            return await world.look(pending)
        case Submit():
            return await world.submit()
        case Uninterrupted(further):
            return await uninterrupted(_adrive(world, further))
    return None


async def uninterrupted(going: Coroutine[Any, Any, T]) -> T:
    """Let a cancellation wait for the end, and then not hide why it failed."""
    task, cancelled = asyncio.ensure_future(going), None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result
