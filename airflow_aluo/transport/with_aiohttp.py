"""The triggerer's driver: ``aiohttp``, any number of flows in one event loop."""

from __future__ import annotations

import asyncio
import io
import sys
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from airflow_aluo.protocol.errors import AluoError
from airflow_aluo.protocol.flows import Pause
from airflow_aluo.transport.wire import (
    CHUNK,
    Writer,
    authorities,
    encode,
    no_reply,
    plain,
    proxies_for,
    redirected,
    ssl_context,
    time_limits,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from airflow_aluo.protocol.account import Account
    from airflow_aluo.protocol.calls import Call
    from airflow_aluo.protocol.envelope import Reply
    from airflow_aluo.protocol.flows import Flow

T = TypeVar("T")


class AiohttpDriver:
    """Drives flows in an event loop. Enter it once, run as many flows at a time as you like."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def run(self, flow: Flow[T]) -> T:
        """Return what the flow returns, or raise what it raises."""
        step: Callable[[Any], Any] = flow.send
        value: Any = None
        try:
            while True:
                wanted, step, value = step(value), flow.send, None
                if isinstance(wanted, Pause):
                    await asyncio.sleep(wanted.seconds)
                    continue
                try:
                    value = await self.exchange(wanted)
                except AluoError as error:
                    step, value = flow.throw, error
        except StopIteration as end:
            result: T = end.value
            return result

    async def exchange(self, call: Call[Any]) -> Reply:
        """Send one call and return its reply.

        :raises AluoConnectionError: no reply.
        """
        outer = sys.exception()
        mark = Mark()
        session = self._open(mark, fresh=not call.repeatable)
        try:
            return await self._exchange(session, call)
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: a host name too long
            sent = call.repeatable or mark.connected
            failure = no_reply(self._account, call, error, outer, sent=sent)
        finally:
            if session is not self._session:
                await session.close()
        raise failure  # out here, it does not drag along what the library raised: that quotes headers

    def _open(self, mark: Mark, *, fresh: bool) -> aiohttp.ClientSession:
        if not fresh and self._session is not None:
            return self._session
        session = aiohttp.ClientSession(
            # Proxies, authorities and the key are settled here for both drivers, not by the environment.
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(limit=0, force_close=fresh),
            trace_configs=[mark.trace],
        )
        if not fresh:
            self._session = session
        return session

    async def _exchange(self, session: aiohttp.ClientSession, call: Call[Any]) -> Reply:
        request, limits = encode(self._account, call), time_limits(self._account, call)
        while True:
            async with session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=request.headers,
                data=None if request.body is None else io.BytesIO(request.body),  # written bit by bit
                timeout=aiohttp.ClientTimeout(
                    total=limits.total,
                    connect=limits.connect,
                    sock_connect=limits.connect,
                    sock_read=limits.read,
                ),
                allow_redirects=False,
                ssl=ssl_context(authorities(self._account)),
                proxy=proxies_for(self._account, request.url).get(urlsplit(request.url).scheme),
            ) as response:
                headers = plain(response.headers)
                further = redirected(call, request, response.status, headers.get("location"))
                if further is None:
                    writer = Writer(self._account, call, response.status, headers)
                    async for chunk in response.content.iter_chunked(CHUNK):
                        if not writer.write(chunk):
                            break
                    return writer.reply()
            request = further


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
