"""Both drivers behind one name, and servers that misbehave: real sockets on the loopback."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import ipaddress
import itertools
import os
import re
import select
import socket
import ssl
import struct
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airflow_aluo.protocol import calls, flows
from airflow_aluo.protocol.account import Account
from airflow_aluo.protocol.errors import AluoError
from airflow_aluo.protocol.flows import Pause, Senses
from airflow_aluo.protocol.photo_edit import PhotoEdit
from airflow_aluo.protocol.schedule import RetryRule
from airflow_aluo.protocol.tally import Tally
from airflow_aluo.transport.with_aiohttp import AiohttpDriver
from airflow_aluo.transport.with_requests import RequestsDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_aluo.protocol.flows import Flow
    from airflow_aluo.protocol.replies import Acceptance, Snapshot

KEY = "sk-secret-of-the-account"

EDIT = PhotoEdit(prompt="Remove the background", image_urls=("https://photos.example/cat.jpg",))

ACCEPTED = b'{"code": 0, "success": true, "data": {"taskId": "edit-1"}}'
SUCCEEDED = (
    b'{"code": 0, "success": true, "data": '
    b'{"status": "SUCCESS", "images": [{"url": "https://pictures.example/1.png"}]}}'
)

#: Three tries: the clock of :func:`senses` goes two seconds at each look.
RULE = RetryRule(budget=5.0)

#: Seconds after which a test's server gives a connection up: no test waits so long for anything.
PATIENCE = 20.0


@dataclasses.dataclass(frozen=True)
class Received:
    """A request as it came over the wire."""

    head: bytes
    body: bytes

    @property
    def method(self) -> str:
        return self.line[0]

    @property
    def target(self) -> str:
        return self.line[1]

    @property
    def line(self) -> list[str]:
        return self.head.partition(b"\r\n")[0].decode().split(" ")

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


class Conversation:
    """One accepted connection: reads requests, sends bytes, closes, resets."""

    def __init__(self, server: Server, connection: socket.socket) -> None:
        self.server, self.socket, self._buffer = server, connection, b""

    def head(self) -> bytes | None:
        """Read a request's head without its body; ``None`` where the client left."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head

    def request(self) -> Received | None:
        """Read and note a whole request."""
        head = self.head()
        if head is None:
            return None
        received = Received(head, b"")
        length = int(received.headers.get("content-length", 0))
        while len(self._buffer) < length:
            if not self._more():
                return None
        received = Received(head, self._buffer[:length])
        self._buffer = self._buffer[length:]
        self.server.requests.append(received)
        return received

    def _more(self) -> bytes:
        chunk = self.socket.recv(1 << 16)
        self._buffer += chunk
        return chunk

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def until_gone(self) -> None:
        """Say nothing until the client leaves or the test ends."""
        with contextlib.suppress(OSError):
            while self.socket.recv(1 << 16):
                pass

    def drip(self, data: bytes, seconds: float) -> None:
        """Send byte by byte, so many seconds apart, until the client leaves."""
        for byte in data:
            readable, _, _ = select.select([self.socket], [], [], seconds)
            if readable or self.server.closing:
                return
            self.send(bytes([byte]))

    def reset(self) -> None:
        """Leave with a RST instead of a FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Server:
    """Serves a behaviour per connection; the last one holds for all that follow."""

    def __init__(
        self,
        *behaviours: Callable[[Conversation], object],
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._behaviours, self._tls = behaviours, tls
        #: Accepted TCP connections.
        self.connections = 0
        #: Whole requests.
        self.requests: list[Received] = []
        #: What went wrong in a connection, where that was not the client's leaving.
        self.errors: list[BaseException] = []
        self.closing = False
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.host = host
        self._listening = socket.create_server((host, port))
        self.port = self._listening.getsockname()[1]
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}"

    def close(self) -> None:
        self.closing = True
        # A blocked accept() does not notice close(): shutdown() wakes it.
        for opened in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.closing:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            connection.settimeout(PATIENCE)
            self._open.append(connection)
            behave = self._behaviours[min(self.connections, len(self._behaviours) - 1)]
            self.connections += 1
            self._start(self._converse, behave, connection)

    def _converse(self, behave: Callable[[Conversation], object], connection: socket.socket) -> None:
        with connection:
            try:
                if self._tls and not getattr(behave, "below_tls", False):
                    with self._tls.wrap_socket(connection, server_side=True) as wrapped:
                        behave(Conversation(self, wrapped))
                else:
                    behave(Conversation(self, connection))
            except (OSError, ValueError) as error:
                # The client may leave whenever it likes.
                self.errors.append(error)


def http(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return a whole reply. Header names are written with ``_`` for ``-``."""
    lines = [f"HTTP/1.1 {status} Whatever"]
    given = {"content_length": str(len(body))} | headers
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in given.items() if value]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answering(*replies: bytes) -> Callable[[Conversation], None]:
    """Return a behaviour that answers requests in turn, over all connections; the last reply is repeated."""
    left = itertools.chain(replies, itertools.repeat(replies[-1]))

    def behave(conversation: Conversation) -> None:
        while conversation.request() is not None:
            conversation.send(next(left))

    return behave


class Proxy(Server):
    """An HTTP proxy: tunnels CONNECT, forwards the rest."""

    def __init__(self, *, port: int = 0, refusal: bytes = b"") -> None:
        super().__init__(self._serve, port=port)
        self._refusal = refusal
        #: Heads of all requests, CONNECT among them.
        self.heads: list[bytes] = []

    def _serve(self, conversation: Conversation) -> None:
        head = conversation.head()
        if head is None:
            return
        self.heads.append(head)
        if self._refusal:
            conversation.send(self._refusal)
            return
        line, _, rest = head.partition(b"\r\n")
        method, target, version = line.decode().split(" ")
        address = urlsplit(f"//{target}" if method == "CONNECT" else target)
        with socket.create_connection((str(address.hostname), address.port or 80), PATIENCE) as upstream:
            self._open.append(upstream)
            if method == "CONNECT":
                conversation.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                path = f"{address.path}?{address.query}".rstrip("?")
                upstream.sendall(
                    f"{method} {path} {version}\r\n".encode() + rest + b"\r\n\r\n" + conversation._buffer
                )
            pump(conversation.socket, upstream)


def pump(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until either side leaves."""
    while True:
        readable, _, _ = select.select([one, other], [], [], PATIENCE)
        for source in readable:
            data = source.recv(1 << 16)
            if not data:
                return
            (other if source is one else one).sendall(data)
        if not readable:
            return


class Client:
    """Drives flows with one of the two drivers; pauses take no time."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __repr__(self) -> str:
        return self.kind

    def drive(self, account: Account, flow: Flow[Any]) -> Any:
        """Drive a flow as it is, pauses and all."""
        return self._drive(account, [flow])

    def run(
        self, account: Account, *conversations: Flow[Any], on_pause: Callable[[], object] = lambda: None
    ) -> Any:
        """Drive flows one after the other with one driver; return what the last one returns."""
        return self._drive(account, [without_pauses(flow, on_pause) for flow in conversations])

    def _drive(self, account: Account, conversations: list[Flow[Any]]) -> Any:
        if self.kind == "aiohttp":
            return asyncio.run(self._adrive(account, conversations))
        with RequestsDriver(account) as driver:
            return [driver.run(flow) for flow in conversations][-1]

    async def _adrive(self, account: Account, conversations: list[Flow[Any]]) -> Any:
        try:
            async with AiohttpDriver(account) as driver:
                return [await driver.run(flow) for flow in conversations][-1]
        finally:
            # A TLS connection takes leave of its server first. An event loop that ends before has
            # transports left over, which is a warning, and that is an error here.
            sockets = asyncio.get_running_loop()._selector.get_map()  # type: ignore[attr-defined]
            ends_at = time.monotonic() + 5.0
            while len(sockets) > 1 and time.monotonic() < ends_at:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.005)

    def fails(self, account: Account, flow: Flow[Any], **kwargs: Any) -> AluoError:
        """Return the error in which a flow ends."""
        with pytest.raises(AluoError) as caught:
            self.run(account, flow, **kwargs)
        return caught.value


def senses(tally: Tally | None = None) -> Senses:
    """Return a clock that goes two seconds at each look, and dice that always show 0."""
    return Senses(now=itertools.count(0.0, 2.0).__next__, dice=lambda: 0.0, tally=tally or Tally())


def submitting(edit: PhotoEdit = EDIT, uploads: Sequence[calls.Upload] = ()) -> Flow[Acceptance]:
    """Return the conversation that pays."""
    return flows.submit(calls.generate(edit, uploads), RULE, senses())


def looking(aluo_task_id: str = "edit-1") -> Flow[Snapshot]:
    """Return one look at an edit, which may be repeated."""
    return flows.send(calls.status(aluo_task_id), RULE, senses())


def fetching(url: str, sink: Callable[[bytes], object]) -> Flow[None]:
    """Return the conversation that fetches a picture."""
    return flows.send(calls.picture(url, lambda _: sink), RULE, senses())


def account(url: str, **fields: Any) -> Account:
    """Return an account whose API lives at that address. Time limits that no test should meet."""
    given: dict[str, Any] = {"connect_timeout": 10.0, "read_timeout": 10.0, "submit_timeout": 10.0} | fields
    return Account(base_url=f"{url}/api", api_key=KEY, requests_per_minute=10, credits_per_edit=40, **given)


def patient(of: Account) -> None:
    """Give what comes next all the time that it may need, however busy the machine is."""
    for name in ("connect_timeout", "read_timeout", "submit_timeout"):
        object.__setattr__(of, name, 10.0)


def eventually(is_so: Callable[[], bool]) -> bool:
    """Wait until a server has noticed what its client did."""
    ends_at = time.monotonic() + PATIENCE
    while not is_so() and time.monotonic() < ends_at:
        time.sleep(0.01)
    return is_so()


def without_pauses(flow: Flow[Any], on_pause: Callable[[], object]) -> Flow[Any]:
    """Return the same conversation, in which something else happens where it pauses."""
    step: Callable[[Any], Any] = flow.send
    value: Any = None
    try:
        while True:
            wanted, step, value = step(value), flow.send, None
            if isinstance(wanted, Pause):
                on_pause()
                continue
            try:
                value = yield wanted
            except AluoError as error:
                step, value = flow.throw, error
    except StopIteration as end:
        return end.value


@pytest.fixture(params=["requests", "aiohttp"])
def client(request: pytest.FixtureRequest) -> Client:
    """One of the two drivers: a test with it holds for both."""
    return Client(request.param)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Return a function that starts a :class:`Server`; replies stand for behaviours that send them."""
    with contextlib.ExitStack() as servers:

        def start(*behaviours: bytes | Callable[[Conversation], object], **options: Any) -> Server:
            if all(isinstance(reply, bytes) for reply in behaviours):
                behaviours = (answering(*behaviours),)
            server = Server(*behaviours, **options)
            servers.callback(server.close)
            return server

        yield start


@pytest.fixture
def serve_proxy() -> Iterator[Callable[..., Proxy]]:
    """Return a function that starts a :class:`Proxy`."""
    with contextlib.ExitStack() as proxies:

        def start(**options: Any) -> Proxy:
            proxy = Proxy(**options)
            proxies.callback(proxy.close)
            return proxy

        yield start


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port of the loopback that refuses connections, until a server is started on it."""
    # Bound but not listening: nobody else gets it meanwhile. SO_REUSEADDR lets our server bind it, too.
    with socket.socket() as holding:
        holding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holding.bind(("127.0.0.1", 0))
        yield holding.getsockname()[1]


@dataclasses.dataclass(frozen=True)
class Certificates:
    """A server's certificate that only :attr:`authority` vouches for."""

    #: Path of the authority's certificate.
    authority: str
    #: Of a server named 127.0.0.1 and localhost.
    context: ssl.SSLContext


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority of our own and a certificate from it."""
    folder = tmp_path_factory.mktemp("certificates")
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of these tests")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    own_id = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    usage = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    authority = (
        _certificate(authority_name, authority_name, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**usage, key_cert_sign=True), critical=True)
        .add_extension(own_id, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        _certificate(name, authority_name, key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own_id), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "authority.pem").write_bytes(authority.public_bytes(pem))
    (folder / "server.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(pem)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return Certificates(str(folder / "authority.pem"), context)


def _certificate(
    name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the proxies and authorities that this machine happens to name."""
    for name in list(os.environ):
        if re.fullmatch(
            "(all|http|https|ftp|no)_proxy|requests_ca_bundle|curl_ca_bundle|ssl_cert_.*", name.lower()
        ):
            monkeypatch.delenv(name)
