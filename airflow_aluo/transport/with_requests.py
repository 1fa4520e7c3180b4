"""The worker's driver: ``requests``, one exchange at a time."""

from __future__ import annotations

import socket
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    LocationParseError,
    NameResolutionError,
    NewConnectionError,
)

from airflow_aluo.protocol.errors import AluoError, AluoRateLimited
from airflow_aluo.protocol.flows import Pause, rest_asked
from airflow_aluo.transport.addresses import AddressRefused, Guard, look_up
from airflow_aluo.transport.wire import (
    CHUNK,
    Writer,
    authorities,
    encode,
    no_reply,
    not_fetched,
    plain,
    proxies_for,
    redirected,
    time_limits,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from urllib3.connection import HTTPConnection

    from airflow_aluo.pace.account_pace import AccountPace
    from airflow_aluo.protocol.account import Account
    from airflow_aluo.protocol.calls import Call
    from airflow_aluo.protocol.envelope import Reply
    from airflow_aluo.protocol.flows import Flow
    from airflow_aluo.transport.wire import TimeLimits

T = TypeVar("T")


class RequestsDriver:
    """Drives flows in a worker, one request at a time.

    :param pace: of the account: what goes to Aluo keeps to it.
    """

    def __init__(self, account: Account, pace: AccountPace | None = None) -> None:
        self._account = account
        self._pace = pace
        #: Looks share one, pictures another: only a picture's connections are guarded.
        self._adapter: MarkingAdapter | None = None
        self._pictures: MarkingAdapter | None = None
        self._guard = Guard(account)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for adapter in (self._adapter, self._pictures):
            if adapter is not None:
                adapter.close()

    def run(self, flow: Flow[T]) -> T:
        """Return what the flow returns, or raise what it raises."""
        step: Callable[[Any], Any] = flow.send
        value: Any = None
        try:
            while True:
                wanted, step, value = step(value), flow.send, None
                if isinstance(wanted, Pause):
                    if self._pace and wanted.account_rests is not None:
                        self._pace.refused(wanted.account_rests)
                    time.sleep(wanted.seconds)
                    continue
                if self._pace and wanted.with_key:
                    while (delay := min(self._pace.delay(), wanted.by - time.time())) > 0:
                        time.sleep(delay)
                    self._pace.take()
                try:
                    value = self.exchange(wanted)
                except BaseException as error:  # noqa: BLE001  # what breaks a call off, too: it was sent
                    step, value = flow.throw, error
        except StopIteration as end:
            result: T = end.value
            return result
        except AluoRateLimited as error:  # the flow gave up; the account rests all the same
            if self._pace:
                self._pace.refused(rest_asked(error) or 0.0)
            raise
        finally:
            flow.close()

    def exchange(self, call: Call[Any]) -> Reply:
        """Send one call and return its reply.

        :raises AluoConnectionError: no reply.
        :raises AluoPictureError: a picture lies where this connection may not ask; see :class:`Guard`.
        """
        outer = sys.exception()
        limits = time_limits(self._account, call)
        fresh = call.with_key and not call.repeatable
        adapter = self._open(call, limits)
        failure: AluoError
        try:
            return self._exchange(adapter, call, limits)
        except AddressRefused as refused:
            failure = not_fetched(call, refused)
        except (OSError, urllib3.exceptions.HTTPError) as error:
            sent = not fresh or adapter.connected
            failure = no_reply(self._account, call, error, outer, sent=sent)
        finally:
            if fresh:
                adapter.close()
        raise failure  # out here, it does not drag along what the library raised: that quotes headers

    def _open(self, call: Call[Any], limits: TimeLimits) -> MarkingAdapter:
        if not call.with_key:
            if self._pictures is None:
                self._pictures = MarkingAdapter(limits.read, self._guard)
            return self._pictures
        if not call.repeatable:
            return MarkingAdapter(limits.read)
        if self._adapter is None:
            self._adapter = MarkingAdapter(limits.read)
        return self._adapter

    def _exchange(self, adapter: MarkingAdapter, call: Call[Any], limits: TimeLimits) -> Reply:
        request = encode(self._account, call)
        ends_at = time.monotonic() + limits.total
        while True:
            proxies = proxies_for(self._account, request.url)
            if not call.with_key:
                self._check(request.url, proxies)
            # Not through a requests.Session: it would ask .netrc, the environment and cookies, and
            # read a redirect's body whole.
            with adapter.send(
                requests.Request(request.method, request.url, request.headers, data=request.body).prepare(),
                stream=True,
                timeout=(limits.connect, limits.read),
                verify=authorities(self._account),
                proxies=proxies,
            ) as response:
                status, headers = response.status_code, plain(_utf8_headers(response))
                further = redirected(call, request, status, headers.get("location"))
                if further is None:
                    writer = Writer(self._account, call, status, headers)
                    # Not iter_content(): it waits until a chunk is full, however slowly the bytes drip.
                    while chunk := response.raw.read1(CHUNK, decode_content=True):
                        if not writer.write(chunk):
                            break
                        if time.monotonic() > ends_at:
                            raise TimeoutError(f"the reply did not end within {limits.total:g} seconds")
                    return writer.reply()
            request = further

    def _check(self, url: str, proxies: dict[str, str]) -> None:
        """Check what can be known of a picture's address before a connection is opened."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        self._guard.check(host)
        if parts.scheme in proxies and self._guard.asks_of(host):
            found: list[str] = []
            with suppress(OSError, UnicodeError):  # perhaps the proxy knows it
                found = look_up(host, parts.port)
            self._guard.passes(host, found)


def _utf8_headers(response: requests.Response) -> dict[str, str]:
    """Return headers read as UTF-8, as aiohttp does; http.client reads them as Latin-1."""
    return {
        name: value.encode("latin-1").decode("utf-8", "surrogateescape")
        for name, value in response.headers.items()
    }


class MarkingAdapter(HTTPAdapter):
    """Notes that a connection stands: after DNS, TCP, the proxy and the TLS handshake.

    An error of ``requests`` does not tell whether bytes may have left: a TLS error may come from the
    handshake or from the middle of an upload. For a paid request that is the question.

    :param write_timeout: seconds that an upload may take. Left alone, urllib3 gives it the time to connect.
    :param guard: says which addresses connections may be opened to; without one, to all.
    """

    #: A connection was established, so bytes may have been sent.
    connected = False

    def __init__(self, write_timeout: float, guard: Guard | None = None) -> None:
        self._write_timeout = write_timeout
        self._guard = guard
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools whose connections report here."""
        super().init_poolmanager(*args, **kwargs)
        self._mark(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> PoolManager:
        """Return the pools behind a proxy, whose connections report here too."""
        manager: PoolManager = super().proxy_manager_for(proxy, **kwargs)
        self._mark(manager)
        return manager

    def _mark(self, manager: PoolManager) -> None:
        manager.pool_classes_by_scheme = {
            scheme: type(pool.__name__, (pool,), {"ConnectionCls": self._marking(pool.ConnectionCls)})
            for scheme, pool in (("http", HTTPConnectionPool), ("https", HTTPSConnectionPool))
        }

    def _marking(self, connection_class: type[Any]) -> type[HTTPConnection]:
        adapter = self

        class Marking(connection_class):  # type: ignore[misc]  # urllib3 names it by instance
            def _new_conn(self) -> socket.socket:
                # Before TLS says its first word. A proxy may be anywhere: a person has named it.
                connect: Callable[[], socket.socket] = super()._new_conn
                if adapter._guard is None or self.proxy is not None:
                    return connect()
                return _connected(self, self._dns_host, connect, adapter._guard)

            def connect(self) -> None:
                super().connect()
                adapter.connected = True
                self.sock.settimeout(adapter._write_timeout)

        return Marking


def _connected(
    connection: Any, name: str, connect: Callable[[], socket.socket], guard: Guard
) -> socket.socket:
    """Return a socket that is connected to a permitted address of a connection's host.

    The name is resolved once: what was checked is what is connected to.

    :param name: the host's, with its dot at the end if it has one.
    :param connect: connects to the connection's host, as urllib3 does.
    """
    try:
        found = look_up(name, connection.port)
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    except UnicodeError:
        raise LocationParseError(f"{name!r}, label empty or too long") from None
    failure: Exception = OSError(f"{name} has no address")
    try:
        for address in guard.permitted(name, found):
            connection.host = address
            try:
                return connect()
            except (NewConnectionError, ConnectTimeoutError) as error:
                failure = error
    finally:
        connection.host = name  # TLS asks for this one's certificate
    raise failure
