"""How aiohttp connects: for pictures to what it is told here and to nothing else, and not unnoticed."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import aiohttp
from aiohttp.abc import AbstractResolver

if TYPE_CHECKING:
    from aiohttp.abc import ResolveResult

    from airflow_aluo.transport.addresses import Guard


class GuardedResolver(AbstractResolver):
    """Resolves as aiohttp does, and leaves only what may be connected to."""

    def __init__(self, guard: Guard) -> None:
        self._guard, self._resolver = guard, aiohttp.DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return a host's permitted addresses.

        :raises AddressRefused: it has no other. No ``OSError``: aiohttp would take it for a lost connection.
        """
        found = await self._resolver.resolve(host, port, family)
        permitted = self._guard.permitted(host, [result["host"] for result in found])
        return [result for result in found if result["host"] in permitted]

    async def close(self) -> None:
        """Let go of the name servers."""
        await self._resolver.close()


class Mark:
    """Notes that a connection stands: after DNS, TCP, the proxy and the TLS handshake.

    What fails before was surely not sent: the same question that ``MarkingAdapter`` answers.
    """

    #: A connection was established, so bytes may have been sent.
    connected = False

    def __init__(self) -> None:
        self.trace = aiohttp.TraceConfig()
        self.trace.on_connection_create_end.append(self._note)

    async def _note(self, *_: object) -> None:
        self.connected = True
