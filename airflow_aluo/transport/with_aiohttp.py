"""The triggerer's driver: ``aiohttp``, any number of flows in one event loop."""

from __future__ import annotations

import asyncio
import io
import sys
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
from aiohttp.http_exceptions import ContentLengthError, TransferEncodingError
from yarl import URL

from airflow_aluo.pace.line import Kind
from airflow_aluo.protocol.errors import AluoError, AluoRateLimited
from airflow_aluo.protocol.flows import Pause, rest_asked
from airflow_aluo.transport.addresses import AddressRefused, Guard, look_up
from airflow_aluo.transport.resolving import GuardedResolver, Mark
from airflow_aluo.transport.unpacking import Unpacking
from airflow_aluo.transport.wire import (
    CHUNK,
    Writer,
    authorities,
    encode,
    endpoint,
    no_reply,
    not_fetched,
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

    from aiohttp.abc import AbstractResolver

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
        #: Looks share one, pictures another: only a picture's connections are guarded.
        self._session: aiohttp.ClientSession | None = None
        self._pictures: aiohttp.ClientSession | None = None
        self._guard = Guard(account)
        self._ways: dict[tuple[str, ...], Way] = {}
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections that calls share; the next call opens one."""
        self._session = self._pictures = None
        await self._opened.pop_all().aclose()

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
                    kind = Kind.LOOK if wanted.repeatable else Kind.SUBMIT
                    await self._pacing.take(kind, by=wanted.by)
                turn_taken = False
                try:
                    value = await self.exchange(wanted)
                except BaseException as error:  # noqa: BLE001  # what breaks a call off, too: it was sent
                    step, value = flow.throw, error
        except StopIteration as end:
            result: T = end.value
            return result
        except AluoRateLimited as error:  # the flow gave up; the account rests all the same
            if self._pacing:
                self._pacing.refused(rest_asked(error) or 0.0)
            raise
        finally:
            flow.close()  # now: what a cancelled one shows as waited for would last until it is collected

    async def exchange(self, call: Call[Any]) -> Reply:
        """Send one call and return its reply.

        :raises AluoConnectionError: no reply.
        :raises AluoPictureError: a picture lies where this connection may not ask; see :class:`Guard`.
        """
        outer = sys.exception()
        mark = Mark() if call.with_key and not call.repeatable else None
        failure: AluoError
        try:
            if mark is not None:
                async with _open(force_close=True, trace_configs=[mark.trace]) as fresh:
                    return await self._exchange(call, fresh)
            async with self._free if call.with_key else self._free_for_pictures:
                return await self._exchange(call)
        except AddressRefused as refused:
            failure = not_fetched(call, refused)
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: a host name too long
            sent = mark is None or mark.connected
            failure = no_reply(self._account, call, error, outer, sent=sent)
        raise failure  # out here, it does not drag along what the library raised: that quotes headers

    @cached_property
    def _free(self) -> asyncio.Semaphore:
        """The connections that are free: whoever looks waits for one before its time limits begin."""
        return asyncio.Semaphore(MAX_CONNECTIONS)

    @cached_property
    def _free_for_pictures(self) -> asyncio.Semaphore:
        """As many again: a look does not wait until a picture is there."""
        return asyncio.Semaphore(MAX_CONNECTIONS)

    @cached_property
    def _way(self) -> Way:
        """The way to Aluo, settled once: finding it costs as much as a look."""
        return Way.to(self._account, endpoint(self._account.base_url, ""))

    def _way_to(self, url: str) -> Way:
        """Return the way to a picture, settled once for all of its host."""
        origin = urlsplit(url)[:2]
        if origin not in self._ways:
            self._ways[origin] = Way.to(self._account, url)
        return self._ways[origin]

    def _shared(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = _open()
            self._opened.push_async_callback(self._session.close)
        return self._session

    async def _guarded(self, url: URL, way: Way, patience: float) -> aiohttp.ClientSession:
        """Return the session that may fetch a picture from there.

        :param patience: seconds that a name may take to resolve before it is left to the proxy.
        :raises AddressRefused: none may.
        """
        host = url.raw_host or ""
        self._guard.check(host)  # aiohttp resolves no number
        if way.proxy:
            if self._guard.asks_of(host):
                found: list[str] = []
                with suppress(OSError, UnicodeError):  # perhaps the proxy knows it
                    looking = asyncio.to_thread(look_up, host, url.port)
                    found = await asyncio.wait_for(looking, patience)
                self._guard.passes(host, found)
            return self._shared()  # the proxy connects, and may itself be anywhere: a person has named it
        if self._pictures is None:
            resolver = GuardedResolver(self._guard)
            self._pictures = _open(resolver=resolver)
            self._opened.push_async_callback(resolver.close)
            self._opened.push_async_callback(self._pictures.close)
        return self._pictures

    async def _exchange(self, call: Call[Any], fresh: aiohttp.ClientSession | None = None) -> Reply:
        request, limits = encode(self._account, call), time_limits(self._account, call)
        timeout = aiohttp.ClientTimeout(
            total=limits.total,
            connect=limits.connect,
            sock_connect=limits.connect,
            # A look's total is hardly longer. To set two more timers makes a look 5 % dearer.
            sock_read=None if call.with_key and call.repeatable else limits.read,
        )
        while True:
            if call.with_key:
                url, way, session = _with_query(request.url), self._way, fresh or self._shared()
            else:
                url, way = URL(request.url, encoded=True), self._way_to(request.url)
                session = await self._guarded(url, way, limits.connect)
            async with session.request(
                request.method,
                url,
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
                    await _read(response, writer, Unpacking.of(headers))
                    return writer.reply()
            request = further


async def _read(response: aiohttp.ClientResponse, writer: Writer, unpacking: Unpacking | None) -> None:
    """Read a reply's body.

    :raises BrokenOffError: not all of it came.
    :raises UnpackingError: it is not packed as it says.
    """
    try:
        while chunk := await response.content.readany():  # what is there, not copied again
            for piece in unpacking.pieces(chunk, CHUNK) if unpacking else (chunk,):
                if not writer.write(piece):
                    return
        if unpacking:
            writer.write(unpacking.end())
    except aiohttp.ClientPayloadError as error:
        if not isinstance(error.__cause__, ContentLengthError | TransferEncodingError):
            raise
    else:
        return
    raise writer.broken_off()  # out here, it does not drag along what says the same in other words


def _open(
    *,
    force_close: bool = False,
    resolver: AbstractResolver | None = None,
    trace_configs: Sequence[aiohttp.TraceConfig] = (),
) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        # Proxies, authorities and the key are settled here for both drivers, not by the environment.
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # see Unpacking
        connector=aiohttp.TCPConnector(limit=0, force_close=force_close, resolver=resolver),
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
