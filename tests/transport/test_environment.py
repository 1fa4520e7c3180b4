"""What the machine's environment and the connection's extra say about proxies, authorities and names."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from airflow_aluo.protocol.errors import AluoConnectionError, AluoRequestInvalid, AluoUnknownOutcome
from tests.transport.conftest import (
    ACCEPTED,
    KEY,
    SUCCEEDED,
    account,
    eventually,
    fetching,
    http,
    looking,
    submitting,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.transport.conftest import Certificates, Client, Proxy, Server

REFUSALS = {
    "wants a password": http(407, b"who are you?", proxy_authenticate="Basic"),
    "cannot reach the host": http(502, b"<html>bad gateway"),
    "hangs up": b" ",
}


def set_proxy(monkeypatch: pytest.MonkeyPatch, how: str, value: str) -> dict[str, Any]:
    """Name a proxy by environment or by connection; return the account's fields."""
    if how == "connection":
        return {"proxy": value}
    monkeypatch.setenv(how, value)
    return {}


def test_a_netrc_never_takes_the_keys_place(
    client: Client, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\ndefault login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    server = serve(http(200, b'{"data": {"taskId": "1", "status": "PROCESSING"}}'))
    client.run(account(server.url), submitting(), looking(), fetching(f"{server.url}/1.png", lambda _: None))
    seen = [received.headers.get("authorization") for received in server.requests]
    assert seen == [f"Bearer {KEY}", f"Bearer {KEY}", None]


# --- proxies


@pytest.mark.parametrize("how", ["connection", "http_proxy", "ALL_PROXY"])
def test_a_plain_call_goes_through_the_proxy(
    client: Client,
    serve: Callable[..., Server],
    serve_proxy: Callable[..., Proxy],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    server, proxy = serve(http(200, ACCEPTED)), serve_proxy()
    fields = set_proxy(monkeypatch, how, proxy.url)
    assert client.run(account(server.url, **fields), submitting()).aluo_task_id == "edit-1"
    assert [head.partition(b"\r\n")[0] for head in proxy.heads] == [
        f"POST {server.url}/api/photo-editor/generate HTTP/1.1".encode()
    ]
    assert len(server.requests) == 1


@pytest.mark.parametrize("how", ["connection", "https_proxy", "ALL_PROXY"])
def test_a_tls_call_goes_through_the_proxy_unread(
    *,
    client: Client,
    certificates: Certificates,
    serve: Callable[..., Server],
    serve_proxy: Callable[..., Proxy],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    server, proxy = serve(http(200, ACCEPTED), tls=certificates.context), serve_proxy()
    fields = set_proxy(monkeypatch, how, proxy.url)
    of = account(server.url, verify=certificates.authority, **fields)
    assert client.run(of, submitting()).aluo_task_id == "edit-1"
    (head,) = proxy.heads
    assert head.startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.".encode())
    assert KEY.encode() not in head
    assert len(server.requests) == 1


def test_a_proxy_in_the_environment_needs_no_scheme(
    client: Client,
    serve: Callable[..., Server],
    serve_proxy: Callable[..., Proxy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, proxy = serve(http(200, ACCEPTED)), serve_proxy()
    monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{proxy.port}")
    client.run(account(server.url), submitting())
    assert len(proxy.heads) == len(server.requests) == 1


@pytest.mark.parametrize("no_proxy", ["127.0.0.1", "*", "localhost,127.0.0.0/8"])
def test_the_environments_proxy_is_left_out_where_it_says_so(
    client: Client,
    serve: Callable[..., Server],
    serve_proxy: Callable[..., Proxy],
    monkeypatch: pytest.MonkeyPatch,
    no_proxy: str,
) -> None:
    server, proxy = serve(http(200, ACCEPTED)), serve_proxy()
    monkeypatch.setenv("ALL_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    client.run(account(server.url), submitting())
    assert (proxy.connections, len(server.requests)) == (0, 1)


def test_the_connections_proxy_goes_before_the_environments(
    client: Client,
    serve: Callable[..., Server],
    serve_proxy: Callable[..., Proxy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, proxy, other = serve(http(200, ACCEPTED)), serve_proxy(), serve_proxy()
    monkeypatch.setenv("ALL_PROXY", other.url)
    client.run(account(server.url, proxy=proxy.url), submitting())
    assert (proxy.connections, other.connections) == (1, 0)


@pytest.mark.parametrize("tls", [False, True])
def test_the_proxy_is_told_its_password_and_nobody_else(
    client: Client,
    certificates: Certificates,
    serve: Callable[..., Server],
    serve_proxy: Callable[..., Proxy],
    *,
    tls: bool,
) -> None:
    server = serve(http(200, ACCEPTED), tls=certificates.context if tls else None)
    proxy = serve_proxy()
    named = proxy.url.replace("//", "//somebody:p%40ss%2Fword@")
    client.run(account(server.url, proxy=named, verify=certificates.authority), submitting())
    expected = b"Basic " + b64encode(b"somebody:p@ss/word")
    (head,) = proxy.heads
    assert b"Proxy-Authorization: " + expected in head
    if tls:
        assert "proxy-authorization" not in server.requests[0].headers


@pytest.mark.parametrize("tls", [False, True])
def test_an_edit_is_submitted_once_the_proxy_is_up(
    client: Client,
    certificates: Certificates,
    serve: Callable[..., Server],
    serve_proxy: Callable[..., Proxy],
    free_port: int,
    *,
    tls: bool,
) -> None:
    server = serve(http(200, ACCEPTED), tls=certificates.context if tls else None)
    of = account(server.url, proxy=f"http://127.0.0.1:{free_port}", verify=certificates.authority)
    pauses: list[Proxy] = []

    def bring_up() -> None:
        pauses.append(serve_proxy(port=free_port))

    assert client.run(of, submitting(), on_pause=bring_up).aluo_task_id == "edit-1"
    assert (len(pauses), len(server.requests)) == (1, 1)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_nothing_is_sent_where_the_proxy_makes_no_tunnel(
    client: Client,
    certificates: Certificates,
    serve: Callable[..., Server],
    serve_proxy: Callable[..., Proxy],
    refusal: str,
) -> None:
    server = serve(http(200, ACCEPTED), tls=certificates.context)
    proxy = serve_proxy(refusal=REFUSALS[refusal])
    error = client.fails(account(server.url, proxy=proxy.url), submitting())
    assert isinstance(error, AluoConnectionError)
    assert error.sent is False
    assert (proxy.connections, server.connections) == (3, 0)


def test_nothing_is_sent_where_the_proxy_never_answers(
    client: Client, certificates: Certificates, serve: Callable[..., Server]
) -> None:
    server = serve(http(200, ACCEPTED), tls=certificates.context)
    silent = serve(lambda conversation: conversation.until_gone())
    of = account(server.url, proxy=silent.url, connect_timeout=0.2)
    error = client.fails(of, submitting())
    assert isinstance(error, AluoConnectionError)
    assert error.sent is False
    assert eventually(lambda: silent.connections == 3)
    assert server.connections == 0


def test_a_plain_call_that_a_proxy_refused_may_have_been_sent(
    client: Client, serve: Callable[..., Server], serve_proxy: Callable[..., Proxy]
) -> None:
    """The proxy has the whole request: what it did with it, nobody knows."""
    server, proxy = serve(http(200, ACCEPTED)), serve_proxy(refusal=REFUSALS["cannot reach the host"])
    error = client.fails(account(server.url, proxy=proxy.url), submitting())
    assert isinstance(error, AluoUnknownOutcome)
    assert proxy.connections == 1


@pytest.mark.parametrize("name", ["http_proxy", "ALL_PROXY"])
def test_a_proxy_that_is_no_http_proxy_is_refused_without_being_asked(
    client: Client, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    server = serve(http(200, ACCEPTED))
    monkeypatch.setenv(name, f"socks5://me:hunter2@127.0.0.1:{server.port}")
    error = client.fails(account(server.url), submitting())
    assert isinstance(error, AluoRequestInvalid)
    assert error.problems[0].parameter == "http_proxy"
    assert "hunter2" not in str(error)
    assert server.connections == 0


# --- authorities


@pytest.mark.parametrize("how", ["connection", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_file_of_authorities_is_trusted(
    client: Client,
    certificates: Certificates,
    serve: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    server = serve(http(200, ACCEPTED), tls=certificates.context)
    fields: dict[str, Any] = {}
    if how == "connection":
        fields["verify"] = certificates.authority
    else:
        monkeypatch.setenv(how, certificates.authority)
    client.run(account(server.url, **fields), submitting())
    assert len(server.requests) == 1


def test_a_folder_of_authorities_is_trusted(
    client: Client, certificates: Certificates, serve: Callable[..., Server], tmp_path: Path
) -> None:
    import subprocess

    asked = ["openssl", "x509", "-noout", "-hash", "-in", certificates.authority]
    name = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    (tmp_path / f"{name}.0").symlink_to(certificates.authority)
    server = serve(http(200, ACCEPTED), tls=certificates.context)
    client.run(account(server.url, verify=str(tmp_path)), submitting())
    assert len(server.requests) == 1


# urllib3 warns at each call: whoever turned the check off was told already.
@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_anybody_is_trusted_where_the_connection_says_so(
    client: Client, certificates: Certificates, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    server = serve(http(200, b'{"data": {"taskId": "1", "status": "P"}}'), tls=certificates.context)
    client.run(account(server.url, verify=False), submitting(), looking())
    assert len(server.requests) == 2


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_nothing_is_sent_where_the_authorities_cannot_be_read(
    client: Client,
    certificates: Certificates,
    serve: Callable[..., Server],
    tmp_path: Path,
    content: str | None,
) -> None:
    path = tmp_path / "authorities.pem"
    if content:
        path.write_text(content)
    server = serve(http(200, ACCEPTED), tls=certificates.context)
    error = client.fails(account(server.url, verify=str(path)), submitting())
    assert isinstance(error, AluoConnectionError)
    assert error.sent is False
    assert server.requests == []


def test_an_umlaut_in_a_hosts_name_is_spelled_for_name_servers(
    client: Client, serve_proxy: Callable[..., Proxy]
) -> None:
    proxy = serve_proxy(refusal=http(200, SUCCEEDED))
    client.run(account("http://bücher.invalid", proxy=proxy.url), looking())
    assert proxy.heads[0].startswith(b"GET http://xn--bcher-kva.invalid/api/photo-editor/status?")
