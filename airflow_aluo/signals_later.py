"""Signals that must not strike in the middle of something."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def signals_later(*numbers: signal.Signals, meanwhile: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Let these signals' handlers wait for the block's end.

    The system calls that they would have cut short go on (PEP 475). Outside of the main thread, where no
    handler ever runs, this does nothing.

    :param meanwhile: is called when one of them arrives.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []

    def arrive(number: int, _: object) -> None:
        arrived.append(number)
        meanwhile()

    before = {
        number: signal.signal(number, arrive)
        for number in numbers
        if signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in arrived:
            signal.raise_signal(late)
