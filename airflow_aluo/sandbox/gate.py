"""Calls that wait: for some seconds, or until somebody lets them go. Nothing waits past the end."""

import asyncio


class Closed(Exception):  # noqa: N818 - it is the sandbox's end, not a mishap
    """The sandbox ends; whoever waited must not go on as if nothing had happened."""


class Gate:
    """Where calls are held up."""

    def __init__(self) -> None:
        self._held: set[asyncio.Event] = set()
        self._closing = asyncio.Event()

    @property
    def closing(self) -> bool:
        """Whether the sandbox ends."""
        return self._closing.is_set()

    @property
    def held(self) -> int:
        """How many calls are held at this moment."""
        return len(self._held)

    async def pause(self, seconds: float) -> None:
        """Wait so many seconds.

        :raises Closed: the sandbox ends.
        """
        if seconds > 0:
            try:
                await asyncio.wait_for(self._closing.wait(), seconds)
            except TimeoutError:
                return
        if self.closing:
            raise Closed

    async def hold(self) -> None:
        """Wait until ``release``.

        :raises Closed: the sandbox ends.
        """
        let_go = asyncio.Event()
        self._held.add(let_go)
        try:
            await let_go.wait()
        finally:
            self._held.discard(let_go)
        if self.closing:
            raise Closed

    def release(self) -> int:
        """Let all held calls go; how many there were."""
        for let_go in self._held:
            let_go.set()
        return len(self._held)

    def close(self) -> None:
        """End the sandbox: everybody stops waiting."""
        self._closing.set()
        self.release()
