"""An event loop whose clock jumps: minutes of waiting take no longer than the work between them."""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from unittest import mock

T = TypeVar("T")

#: Epoch seconds at which virtual time begins: any will do.
BEGINNING = 1_800_000_000.0

#: Seconds that a round of the event loop takes: as on a machine, time never stands still.
TICK = 1e-6


class Clock:
    """Seconds since the beginning of virtual time."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return BEGINNING + self.now


class JumpingSelector(selectors.DefaultSelector):
    """Does not wait for a timeout: it is over at once, and the clock says so."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        self._clock.now += TICK
        if events or timeout == 0:
            return events
        if timeout is None:
            raise RuntimeError("nothing will ever happen in virtual time: all wait for each other")
        self._clock.now += max(timeout, 0.0)
        return events


class JumpingLoop(asyncio.SelectorEventLoop):
    """Does at once what was to be done in a thread: virtual time would not wait for it."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(JumpingSelector(clock))

    def run_in_executor(
        self,
        executor: Any,  # noqa: ARG002  # there is none
        func: Callable[..., Any],
        *args: Any,
    ) -> asyncio.Future[Any]:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  # whoever waits for it is told
            future.set_exception(error)
        return future


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in virtual time and return its result.

    Meanwhile ``time.time`` and ``time.monotonic`` are virtual for the whole process. Nothing may wait for a
    socket.
    """
    clock = Clock()
    with (
        mock.patch.object(time, "time", clock.time),
        mock.patch.object(time, "monotonic", clock.monotonic),
        asyncio.Runner(loop_factory=lambda: JumpingLoop(clock)) as runner,
    ):
        return runner.run(main())
