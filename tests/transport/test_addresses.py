"""A picture's address does not lead into a private network, however it is spelled, resolved or redirected.

All servers live on the loopback. An address of it that is listed in the connection stands for a public one;
one that is not listed, and not the connection's own, is as private as any.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

from airflow_aluo.protocol.account import ANONYMOUS
from airflow_aluo.protocol.errors import (
    AluoAddressRefused,
    AluoConnectionError,
    AluoPictureError,
    dump,
    load,
)
from airflow_aluo.transport.addresses import AddressRefused, Guard, refused
from airflow_aluo.transport.with_aiohttp import MAX_CONNECTIONS, AiohttpDriver
from tests.transport.conftest import (
    KEY,
    SUCCEEDED,
    Client,
    account,
    fetching,
    http,
    looking,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_aluo.protocol.account import Account
    from airflow_aluo.protocol.errors import AluoError
    from tests.transport.conftest import Certificates, Proxy, Server

#: Stand for a public address and for a private one.
PUBLIC, PRIVATE = "127.0.0.2", "127.0.0.1"


def connection(*hosts: str, **fields: Any) -> Account:
    """Return a connection to Aluo that lists these hosts."""
    return account("http://aluo.invalid", allow_private_hosts=hosts, **fields)


def refusal(client: Client, of: Account, url: str) -> AluoPictureError:
    """Return the error in which fetching a picture ends, at its first try."""

    def no_pause() -> None:
        pytest.fail("it was tried again")

    error = client.fails(of, fetching(f"{url}?sig=secret", lambda _: None), on_pause=no_pause)
    assert isinstance(error, AluoPictureError)
    assert error.url == f"{url}?…"
    assert "secret" not in f"{error} {dump(error)}"
    return error


def at_one_port(serve: Callable[..., Server], public: bytes, private: bytes) -> tuple[Server, Server]:
    """Start two servers that differ in their address only; another one may have the port at one of them."""
    while True:
        first = serve(public, host=PUBLIC)
        with suppress(OSError):
            return first, serve(private, host=PRIVATE, port=first.port)


class Names:
    """A name server: gives a name's answers in turn, and stays with the last one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._answers: dict[str, list[tuple[str, ...]]] = {}
        #: Names that were asked for.
        self.asked: list[str] = []
        self._system = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def say(self, name: str, *answers: tuple[str, ...]) -> None:
        self._answers[name] = list(answers)

    def _look_up(self, host: Any, *args: Any, **kwargs: Any) -> list[Any]:
        if host not in self._answers:
            return self._system(host, *args, **kwargs)
        self.asked.append(host)
        left = self._answers[host]
        answer = left.pop(0) if len(left) > 1 else left[0]
        return [info for address in answer for info in self._system(address, *args, **kwargs)]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


# --- the rule


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "0.0.0.0",
        "0.1.2.3",
        "100.64.0.1",
        "169.254.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.1.2.3",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:0:7f00:1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::808:808",
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ],
)
def test_an_address_of_no_public_host_is_refused(address: str) -> None:
    assert refused(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",  # AWS, Azure, Google and most others
        "fd00:ec2::254",  # AWS
        "fd20:ce::254",  # Google
        "169.254.170.2",  # AWS, a container's credentials
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "168.63.129.16",  # Azure
    ],
)
def test_metadata_of_a_cloud_is_refused(address: str) -> None:
    assert refused(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.1",
        "172.32.0.1",
        "2606:4700:4700::1111",
        "2a00:1450:4001:800::200e",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
    ],
)
def test_a_public_address_is_not_refused(address: str) -> None:
    assert not refused(ip_address(address))


@pytest.mark.parametrize(
    ("listed", "host", "address"),
    [
        ("minio", "minio", "10.0.0.7"),
        ("minio", "MinIO.", "10.0.0.7"),
        ("MinIO.Example.", "minio.example", "10.0.0.7"),
        ("bücher.example", "xn--bcher-kva.example", "10.0.0.7"),
        ("10.0.0.7", "10.0.0.7", "10.0.0.7"),
        ("10.0.0.7", "minio", "10.0.0.7"),
        ("10.0.0.7", "minio", "::ffff:10.0.0.7"),
        ("10.0.0.0/8", "minio", "10.9.8.7"),
        ("10.1.2.3/8", "minio", "10.9.8.7"),
        ("[fd00::7]", "fd00::7", "fd00::7"),
        ("FD00:0::7", "fd00::7", "fd00::7"),
        ("fd00::/8", "minio", "fd12::1"),
    ],
)
def test_a_listed_host_may_be_private(listed: str, host: str, address: str) -> None:
    assert Guard(connection(listed)).permits(host, address)
    assert not Guard(connection()).permits(host, address)


@pytest.mark.parametrize(
    ("listed", "host", "address"),
    [
        ("minio", "minio.evil.example", "10.0.0.7"),
        ("minio", "evil-minio", "10.0.0.7"),
        ("minio", "10.0.0.7", "10.0.0.7"),
        ("10.0.0.7", "minio", "10.0.0.8"),
        ("10.0.0.0/8", "minio", "172.16.0.1"),
        ("", "minio", "10.0.0.7"),
        ("*", "minio", "10.0.0.7"),
        ("example", "minio.example", "10.0.0.7"),
    ],
)
def test_what_is_listed_stands_for_itself_only(listed: str, host: str, address: str) -> None:
    assert not Guard(connection(listed)).permits(host, address)


def test_the_connections_own_host_may_be_private() -> None:
    assert Guard(account("http://aluo.corp:8080")).permits("aluo.corp", "10.0.0.7")
    assert Guard(account("http://10.0.0.7:8080")).permits("10.0.0.7", "10.0.0.7")
    assert not Guard(account("http://aluo.corp:8080")).permits("10.0.0.7", "10.0.0.7")


def test_of_many_addresses_those_that_may_be_asked_are_left_in_their_order() -> None:
    guard = Guard(connection())
    assert guard.permitted("a.example", ["1.1.1.1", "10.0.0.1", "8.8.8.8"]) == ["1.1.1.1", "8.8.8.8"]
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1 \(private\), 169\.254\.1\.1 \(link-local\)"):
        guard.permitted("a.example", ["10.0.0.1", "169.254.1.1"])


# --- both drivers keep to it


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "localhost",
        "LocalHost.",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "2130706433",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "0x7f000001",
        "127.1",
        "127.0.1",
        "somebody@127.0.0.1",
    ],
)
def test_no_spelling_of_a_private_host_is_asked(
    *,
    client: Client,
    certificates: Certificates,
    serve: Callable[..., Server],
    names: Names,
    host: str,
    tls: bool,
) -> None:
    names.say("localhost.", (PRIVATE,))  # not every system knows it by that name
    server = serve(http(200, b"picture"), tls=certificates.context if tls else None)
    url = f"{'https' if tls else 'http'}://{host}:{server.port}/1.png"
    error = client.fails(connection(), fetching(url, lambda _: None), on_pause=pytest.fail)
    assert isinstance(error, AluoPictureError)
    assert server.connections == 0


@pytest.mark.parametrize(
    "host", ["①②⑦.0.0.1", "127。0。0。1", "127%2e0.0.1", "1.2.3.4.5", "127.0.0.1%00.example"]
)
def test_what_somebody_may_read_as_a_private_host_is_not_asked(
    client: Client, serve: Callable[..., Server], host: str
) -> None:
    server = serve(http(200, b"picture"))
    client.fails(connection(), fetching(f"http://{host}:{server.port}/1.png", lambda _: None))
    assert server.connections == 0


def test_an_address_without_a_connection_leads_to_no_private_host(
    client: Client, serve: Callable[..., Server]
) -> None:
    server = serve(http(200, b"picture"))
    refusal(client, ANONYMOUS, f"{server.url}/1.png")
    assert server.connections == 0


def test_both_drivers_refuse_in_the_same_words(serve: Callable[..., Server], names: Names) -> None:
    names.say("pictures.example", (PRIVATE,))
    url = f"http://pictures.example:{serve(http(200)).port}/1.png"
    errors = [refusal(Client(kind), connection(), url) for kind in ("requests", "aiohttp")]
    assert dump(errors[0]) == dump(errors[1])
    assert str(errors[0]) == (
        f"picture {url}?… is not fetched, for it leads to host 'pictures.example', which resolves to "
        "127.0.0.1 (loopback); if pictures may come from there, set aluo_conn_id to a connection whose "
        "allow_private_hosts lists 'pictures.example'"
    )
    assert isinstance(errors[0], AluoAddressRefused)


def test_a_refusal_names_the_connection_in_use(client: Client) -> None:
    error = refusal(client, connection(conn_id="aluo_shop"), f"http://{PRIVATE}/1.png")
    assert f"list '{PRIVATE}' in allow_private_hosts of connection 'aluo_shop'" in str(error)


def test_a_refusal_of_a_number_says_what_was_expected(client: Client) -> None:
    error = refusal(client, connection(PRIVATE), "http://2130706433/1.png")
    assert "'2130706433'" in str(error)
    assert "expected: a name, or an address as usual" in str(error)


def test_a_refusal_travels_through_json_and_keeps_a_password(client: Client) -> None:
    error: AluoError = client.fails(
        connection(), fetching("http://me:hunter2@10.0.0.7/1.png?sig=secret", lambda _: None)
    )
    assert isinstance(error, AluoPictureError)
    assert "'10.0.0.7'" in str(error)
    assert "hunter2" not in f"{error} {dump(error)}"
    assert str(load(dump(error))) == str(error)


@pytest.mark.parametrize("host", [PRIVATE, "localhost", "127.0.0.0/8"])
def test_a_listed_host_is_asked(client: Client, serve: Callable[..., Server], host: str) -> None:
    server = serve(http(200, b"picture"))
    named = PRIVATE if "/" in host else host
    got = bytearray()
    client.run(connection(host), fetching(f"http://{named}:{server.port}/1.png", got.extend))
    assert got == b"picture"


def test_of_a_name_with_both_kinds_of_addresses_the_public_one_is_asked(
    client: Client, serve: Callable[..., Server], names: Names
) -> None:
    public, private = at_one_port(serve, http(200, b"picture"), http(200, b"secret"))
    names.say("pictures.example", (PRIVATE, PUBLIC, PRIVATE))
    got = bytearray()
    client.run(connection(PUBLIC), fetching(f"http://pictures.example:{public.port}/1.png", got.extend))
    assert got == b"picture"
    assert (public.connections, private.connections) == (1, 0)


def test_a_name_that_resolves_otherwise_a_moment_later_leads_to_what_was_checked(
    client: Client, serve: Callable[..., Server], names: Names
) -> None:
    public, private = at_one_port(serve, http(200, b"picture", connection="close"), http(200, b"secret"))
    names.say("pictures.example", (PUBLIC,), (PRIVATE,))
    got = bytearray()
    url = f"http://pictures.example:{public.port}/1.png"
    client.run(connection(PUBLIC), fetching(url, got.extend))
    assert got == b"picture"
    assert names.asked == ["pictures.example"]
    refusal(client, connection(PUBLIC), url)
    assert (public.connections, private.connections) == (1, 0)


def test_a_name_that_resolves_otherwise_at_the_next_picture_is_refused_or_stays_where_it_was(
    client: Client, serve: Callable[..., Server], names: Names
) -> None:
    public, private = at_one_port(serve, http(200, b"picture", connection="close"), http(200, b"secret"))
    names.say("pictures.example", (PUBLIC,), (PRIVATE,))
    got: list[bytes] = []
    url = f"http://pictures.example:{public.port}/1.png"
    flows = [fetching(url, got.append), fetching(url, got.append)]
    if client.kind == "requests":  # it asks for the name at each connection, aiohttp for some seconds not
        with pytest.raises(AluoPictureError):
            client.run(connection(PUBLIC), *flows)
    else:
        client.run(connection(PUBLIC), *flows)
    assert set(got) == {b"picture"}
    assert private.connections == 0


def test_an_address_that_does_not_answer_gives_way_to_the_next(
    client: Client, serve: Callable[..., Server], names: Names
) -> None:
    server = serve(http(200, b"picture"), host=PUBLIC)
    names.say("pictures.example", ("127.0.0.3", PUBLIC))
    got = bytearray()
    of = connection("127.0.0.3", PUBLIC)
    client.run(of, fetching(f"http://pictures.example:{server.port}/1.png", got.extend))
    assert got == b"picture"


def test_a_permitted_host_that_does_not_answer_is_a_lost_connection(
    client: Client, free_port: int, names: Names
) -> None:
    names.say("pictures.example", (PRIVATE,))
    url = f"http://pictures.example:{free_port}/1.png"
    assert isinstance(client.fails(connection(PRIVATE), fetching(url, lambda _: None)), AluoConnectionError)


@pytest.mark.parametrize("host", ["nowhere.invalid", f"{'a' * 64}.invalid"])
def test_a_host_that_no_name_server_knows_is_a_lost_connection(client: Client, host: str) -> None:
    error = client.fails(connection(), fetching(f"http://{host}/1.png", lambda _: None))
    assert isinstance(error, AluoConnectionError)


def test_a_certificate_is_asked_of_the_host_and_not_of_its_address(
    client: Client, certificates: Certificates, serve: Callable[..., Server], names: Names
) -> None:
    server = serve(http(200, b"picture"), tls=certificates.context, host=PUBLIC)
    names.say("localhost", (PRIVATE, PUBLIC))
    names.say("pictures.example", (PUBLIC,))
    of = connection(PUBLIC, verify=certificates.authority)
    got = bytearray()
    client.run(of, fetching(f"https://localhost:{server.port}/1.png", got.extend))
    assert got == b"picture"
    url = f"https://pictures.example:{server.port}/1.png"
    assert isinstance(client.fails(of, fetching(url, got.extend)), AluoConnectionError)


@pytest.mark.parametrize(
    "address", ["ftp://127.0.0.1/1.png", "file:///etc/passwd", "file://[::1", "httpx://a"]
)
def test_what_is_no_web_address_is_no_picture(client: Client, address: str) -> None:
    error = client.fails(connection(PRIVATE), fetching(address, lambda _: None), on_pause=pytest.fail)
    assert isinstance(error, AluoPictureError)
    assert "http:// or https://" in str(error)


# --- redirects


def test_a_host_that_may_be_asked_does_not_send_us_on_to_one_that_may_not(
    client: Client, serve: Callable[..., Server]
) -> None:
    private = serve(http(200, b"secret"), host=PRIVATE)
    public = serve(http(302, location=f"{private.url}/latest/meta-data?a=secret"), host=PUBLIC)
    error = refusal(client, connection(PUBLIC), f"{public.url}/1.png")
    assert "leads to 127.0.0.1 (loopback)" in str(error)
    assert (public.connections, private.connections) == (1, 0)


def test_a_redirect_to_a_name_is_checked_where_it_leads(
    client: Client, serve: Callable[..., Server], names: Names
) -> None:
    private = serve(http(200, b"secret"), host=PRIVATE)
    names.say("pictures.example", (PRIVATE,))
    onwards = http(307, location=f"http://pictures.example:{private.port}/")
    public = serve(http(302, location="/2.png"), onwards, host=PUBLIC)
    error = refusal(client, connection(PUBLIC), f"{public.url}/1.png")
    assert "'pictures.example'" in str(error)
    assert (len(public.requests), private.connections) == (2, 0)


def test_a_redirect_to_aluo_itself_does_not_carry_the_key(
    client: Client, serve: Callable[..., Server]
) -> None:
    aluo = serve(http(200, SUCCEEDED))
    public = serve(http(302, location=f"{aluo.url}/api/photo-editor/status?taskId=1"), host=PUBLIC)
    of = account(aluo.url, allow_private_hosts=(PUBLIC,))
    # The connection of a look is open: it would be at hand.
    client.run(of, looking(), fetching(f"{public.url}/1.png", lambda _: None))
    assert [received.headers.get("authorization") for received in aluo.requests] == [f"Bearer {KEY}", None]
    assert all(KEY.encode() not in received.head for received in public.requests)


@pytest.mark.parametrize("location", ["http://[::1", "http://", "http://a:b:c/", "\\\\a", "http://a b/"])
def test_a_redirect_to_no_address_ends_in_an_error_of_ours(
    client: Client, serve: Callable[..., Server], location: str
) -> None:
    server = serve(http(302, location=location), http(404))
    error = client.fails(account(server.url), fetching(f"{server.url}/1.png", lambda _: None))
    assert isinstance(error, AluoPictureError)


# --- proxies


@pytest.mark.parametrize("how", ["connection", "environment"])
def test_a_proxy_may_be_private_and_is_asked_for_what_only_it_knows(
    client: Client, serve_proxy: Callable[..., Proxy], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    proxy = serve_proxy(refusal=http(200, b"picture"))
    if how == "environment":
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
    of = connection(proxy=proxy.url if how == "connection" else None)
    got = bytearray()
    client.run(of, fetching("http://pictures.invalid/1.png", got.extend))
    assert got == b"picture"
    assert proxy.heads[0].startswith(b"GET http://pictures.invalid/1.png ")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "pictures.example", "2130706433", "[::1]"])
def test_a_proxy_is_not_asked_for_what_is_known_to_be_private(
    client: Client, serve_proxy: Callable[..., Proxy], names: Names, scheme: str, host: str
) -> None:
    proxy = serve_proxy(refusal=http(200, b"secret"))
    names.say("pictures.example", ("1.1.1.1", "10.0.0.7"))  # nobody knows which one the proxy takes
    refusal(client, connection(proxy=proxy.url), f"{scheme}://{host}/1.png")
    assert proxy.connections == 0


def test_a_proxy_is_asked_for_a_listed_host(
    client: Client, serve: Callable[..., Server], serve_proxy: Callable[..., Proxy]
) -> None:
    server, proxy = serve(http(200, b"picture"), host=PUBLIC), serve_proxy()
    got = bytearray()
    client.run(connection(PUBLIC, proxy=proxy.url), fetching(f"{server.url}/1.png", got.extend))
    assert got == b"picture"
    assert len(proxy.heads) == 1


def test_a_host_behind_a_proxy_is_looked_up_once(
    client: Client, serve_proxy: Callable[..., Proxy], names: Names
) -> None:
    proxy = serve_proxy(refusal=http(200, b"picture"))
    names.say("pictures.example", ("1.1.1.1",))
    pictures = [fetching(f"http://pictures.example/{index}.png", lambda _: None) for index in range(3)]
    client.run(connection(proxy=proxy.url), *pictures)
    assert names.asked == ["pictures.example"]
    assert len(proxy.heads) == 3


def test_a_redirect_out_of_the_proxys_reach_is_checked(
    client: Client,
    serve: Callable[..., Server],
    serve_proxy: Callable[..., Proxy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    private = serve(http(200, b"secret"))
    proxy = serve_proxy(refusal=http(302, location=f"{private.url}/2.png"))
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", PRIVATE)
    refusal(client, connection(), "http://pictures.invalid/1.png")
    assert private.connections == 0


# --- connections


def test_pictures_of_a_host_share_a_connection_and_one_look_at_its_name(
    client: Client, serve: Callable[..., Server], names: Names
) -> None:
    server = serve(http(200, b"picture"), host=PUBLIC)
    names.say("pictures.example", (PUBLIC,))
    url = f"http://pictures.example:{server.port}"
    pictures = [fetching(f"{url}/{index}.png", lambda _: None) for index in range(5)]
    client.run(connection(PUBLIC), *pictures)
    assert (server.connections, len(server.requests)) == (1, 5)
    assert names.asked == ["pictures.example"]


def test_a_picture_does_not_use_the_connection_of_a_look(
    client: Client, serve: Callable[..., Server]
) -> None:
    server = serve(http(200, SUCCEEDED))
    client.run(account(server.url), looking(), fetching(f"{server.url}/1.png", lambda _: None), looking())
    assert (server.connections, len(server.requests)) == (2, 3)


def test_many_pictures_share_a_limited_number_of_connections(serve: Callable[..., Server]) -> None:
    async def fetch_at_once(count: int) -> None:
        async with AiohttpDriver(account(server.url)) as driver:
            flows = [fetching(f"{server.url}/{index}.png", lambda _: None) for index in range(count)]
            await asyncio.gather(*map(driver.run, flows))

    server = serve(http(200, b"picture"))
    asyncio.run(fetch_at_once(5 * MAX_CONNECTIONS))
    assert server.connections <= MAX_CONNECTIONS
    assert len(server.requests) == 5 * MAX_CONNECTIONS


def test_pictures_of_a_refused_host_are_all_refused_when_they_are_asked_for_at_once(
    serve: Callable[..., Server], names: Names
) -> None:
    async def fetch_at_once() -> list[Any]:
        async with AiohttpDriver(connection()) as driver:
            flows = [fetching(f"{url}/{index}.png", lambda _: None) for index in range(20)]
            return await asyncio.gather(*map(driver.run, flows), return_exceptions=True)

    server = serve(http(200, b"secret"))
    names.say("pictures.example", (PRIVATE,))
    url = f"http://pictures.example:{server.port}"
    errors = asyncio.run(fetch_at_once())
    assert [error.url for error in errors] == [f"{url}/{index}.png" for index in range(20)]
    assert server.connections == 0
