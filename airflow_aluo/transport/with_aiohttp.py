"""The triggerer's driver: ``aiohttp``, any number of flows in one event loop."""

from __future__ import annotations

import asyncio
import io
import sys
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from airflow_aluo.pace.line import Kind
from airflow_aluo.protocol.errors import AluoError, AluoRateLimited
from airflow_aluo.protocol.flows import Pause, rest_asked
from airflow_aluo.transport.wire import (
    CHUNK,
    Writer,
    authorities,
    encode,
    endpoint,
    no_reply,
    plain,
    proxies_for,
    redirected,
    ssl_context,
    time_limits,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from airflow_aluo.protocol.account import Account
    from airflow_aluo.protocol.calls import Call
    from airflow_aluo.protocol.envelope import Reply
    from airflow_aluo.protocol.flows import Flow
    from airflow_aluo.transport.turns import Turns

T = TypeVar("T")

#: Connections that the looks of one driver share, however many wait: each costs a handshake and memory.
MAX_CONNECTIONS: Final = 100


class AiohttpDriver:
    """Drives flows in an event loop. Enter it once, run as many flows at a time as you like.

    :param turns: of the account, if many share it: what goes to Aluo waits there first.
    """

    def __init__(self, account: Account, turns: Turns | None = None) -> None:
        self._account = account
        self._pacing = turns
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections that looks share; the next look opens one."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def run(self, flow: Flow[T], *, turn_taken: bool = False) -> T:
        """Return what the flow returns, or raise what it raises.

        :param turn_taken: the turn for its first call was waited for already.
        """
        step: Callable[[Any], Any] = flow.send
        value: Any = None
        try:
            while True:
                wanted, step, value = step(value), flow.send, None
                if isinstance(wanted, Pause):
                    if self._pacing and wanted.account_rests is not None:
                        self._pacing.refused(wanted.account_rests)
                    await asyncio.sleep(wanted.seconds)
                    continue
                if self._pacing and wanted.with_key and not turn_taken:
                    await self._pacing.take(Kind.LOOK if wanted.repeatable else Kind.SUBMIT)
                turn_taken = False
                try:
                    value = await self.exchange(wanted)
                except AluoError as error:
                    step, value = flow.throw, error
        except StopIteration as end:
            result: T = end.value
            return result
        except AluoRateLimited as error:  # the flow gave up; the account rests all the same
            if self._pacing:
                self._pacing.refused(rest_asked(error) or 0.0)
            raise

    async def exchange(self, call: Call[Any]) -> Reply:
        """Send one call and return its reply.

        :raises AluoConnectionError: no reply.
        """
        outer = sys.exception()
        mark = None if call.repeatable else Mark()
        try:
            if mark is not None:
                async with _open(force_close=True, trace_configs=[mark.trace]) as fresh:
                    return await self._exchange(fresh, call)
            async with self._free:
                return await self._exchange(self._shared(), call)
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: a host name too long
            sent = mark is None or mark.connected
            failure = no_reply(self._account, call, error, outer, sent=sent)
        raise failure  # out here, it does not drag along what the library raised: that quotes headers

    @cached_property
    def _free(self) -> asyncio.Semaphore:
        """The connections that are free: whoever looks waits for one before its time limits begin."""
        return asyncio.Semaphore(MAX_CONNECTIONS)

    @cached_property
    def _way(self) -> Way:
        """The way to Aluo, settled once: finding it costs as much as a look."""
        return Way.to(self._account, endpoint(self._account.base_url, ""))

    def _shared(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = _open()
        return self._session

    async def _exchange(self, session: aiohttp.ClientSession, call: Call[Any]) -> Reply:
        request, limits = encode(self._account, call), time_limits(self._account, call)
        timeout = aiohttp.ClientTimeout(
            total=limits.total,
            connect=limits.connect,
            sock_connect=limits.connect,
            # A look's total is hardly longer. To set two more timers makes a look 5 % dearer.
            sock_read=None if call.with_key and call.repeatable else limits.read,
        )
        while True:
            way = self._way if call.with_key else Way.to(self._account, request.url)
            async with session.request(
                request.method,
                _with_query(request.url) if call.with_key else URL(request.url, encoded=True),
                headers=request.headers,
                data=None if request.body is None else io.BytesIO(request.body),  # written bit by bit
                timeout=timeout,
                allow_redirects=False,
                ssl=way.ssl,
                proxy=way.proxy,
            ) as response:
                headers = plain(response.headers)
                further = redirected(call, request, response.status, headers.get("location"))
                if further is None:
                    writer = Writer(self._account, call, response.status, headers)
                    while chunk := await response.content.read(CHUNK):
                        if not writer.write(chunk):
                            break
                    return writer.reply()
            request = further


def _open(
    *, force_close: bool = False, trace_configs: Sequence[aiohttp.TraceConfig] = ()
) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        # Proxies, authorities and the key are settled here for both drivers, not by the environment.
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(limit=0, force_close=force_close),
        trace_configs=list(trace_configs),
    )


def _with_query(url: str) -> URL:
    """Return ``URL(url, encoded=True)``, for an endpoint's address. Only its query is new at each look."""
    address, _, query = url.partition("?")
    known = _known(address)
    return URL.build(
        scheme=known.scheme,
        authority=known.raw_authority,
        path=known.raw_path,
        query_string=query,
        encoded=True,
    )


@lru_cache
def _known(address: str) -> URL:
    return URL(address, encoded=True)


@dataclass(frozen=True, slots=True)
class Way:
    """How a host is reached."""

    #: Whom to trust: what aiohttp takes for ``ssl``.
    ssl: ssl.SSLContext | bool
    #: It may hold a password.
    proxy: str | None = field(repr=False)

    @classmethod
    def to(cls, account: Account, url: str) -> Self:
        """Return the way to an address, by the connection and the environment.

        :raises AluoRequestInvalid: the environment names a proxy that is none for HTTP.
        """
        return cls(ssl_context(authorities(account)), proxies_for(account, url).get(urlsplit(url).scheme))


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
