"""Names of pictures' hosts, for aiohttp: it connects to what it is told here, and to nothing else."""

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
