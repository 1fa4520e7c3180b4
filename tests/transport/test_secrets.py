"""No key, no proxy password and no signed address in an error, however it is written down."""

from __future__ import annotations

import json
import traceback
from typing import TYPE_CHECKING

import pytest

from airflow_aluo.protocol.errors import AluoError, dump
from tests.transport.conftest import KEY, account, fetching, http, looking, submitting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.transport.conftest import Certificates, Client, Conversation, Proxy, Server

PASSWORD, SIGNATURE = "hunter2 & more", "signature-of-an-address"
QUOTED_PASSWORD = "hunter2%20%26%20more"


def spellings(error: BaseException) -> Iterator[str]:
    """Yield all that anybody could write down of an error and of what it hides."""
    yield from traceback.format_exception(error)
    known: set[int] = set()
    left = [error]
    while left:
        found = left.pop()
        if id(found) in known:
            continue
        known.add(id(found))
        yield from (str(found), repr(found))
        if isinstance(found, AluoError):
            yield json.dumps(dump(found))
            # A traceback with the values of variables, as some loggers write it.
            for frame, _ in traceback.walk_tb(found.__traceback__):
                if "airflow_aluo" in frame.f_code.co_filename:
                    yield from map(repr, frame.f_locals.values())
        left += filter(None, (found.__cause__, found.__context__))


def told_nobody(error: BaseException) -> None:
    text = "\n".join(spellings(error))
    for secret in (KEY, PASSWORD, QUOTED_PASSWORD, "c29tZWJvZHk6"):  # "somebody:" in Base64
        assert secret not in text


def told_nobody_of_the_address(error: AluoError) -> None:
    assert SIGNATURE not in "".join(traceback.format_exception(error)) + json.dumps(dump(error))


def says_nothing(conversation: Conversation) -> None:
    conversation.until_gone()


def closes(conversation: Conversation) -> None:
    conversation.request()


def sends_garbage(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(f"HTTP/9 {KEY}\r\n\r\n".encode())


def stops_short(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(http(200, f'{{"{KEY}'.encode(), content_length="9999"))


MISHAPS = {
    "silence": says_nothing,
    "closed": closes,
    "garbage": sends_garbage,
    "echo": http(200, f"<html>Bearer {KEY}".encode()),
    "refusal": http(401, json.dumps({"success": False, "code": -2, "message": f"bad key {KEY}"}).encode()),
    "gateway": http(503, f"key={KEY}".encode()),
    "redirect": http(302, location=f"https://login.example/{KEY}?key={KEY}"),
    "short": stops_short,
}


@pytest.mark.parametrize("name", MISHAPS)
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("proxied", [False, True])
def test_no_error_tells_a_key_or_a_password(
    *,
    client: Client,
    certificates: Certificates,
    serve: Callable[..., Server],
    serve_proxy: Callable[..., Proxy],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    tls: bool,
    proxied: bool,
) -> None:
    server = serve(MISHAPS[name], tls=certificates.context if tls else None)
    if proxied:
        proxy = serve_proxy().url.replace("//", f"//somebody:{QUOTED_PASSWORD}@")
        monkeypatch.setenv("ALL_PROXY", proxy)
    of = account(
        server.url,
        verify=certificates.authority,
        **({"connect_timeout": 0.2, "submit_timeout": 0.1} if name == "silence" else {}),
    )
    told_nobody(client.fails(of, submitting()))


@pytest.mark.parametrize("how", ["connection", "environment"])
@pytest.mark.parametrize("refusal", [http(407, b"who?"), b" ", b""])
def test_a_proxy_that_fails_is_not_named_with_its_password(
    *,
    client: Client,
    serve_proxy: Callable[..., Proxy],
    free_port: int,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    refusal: bytes,
) -> None:
    port = serve_proxy(refusal=refusal).port if refusal else free_port
    proxy = f"http://somebody:{QUOTED_PASSWORD}@127.0.0.1:{port}"
    if how == "environment":
        monkeypatch.setenv("HTTPS_PROXY", proxy)
    of = account("https://127.0.0.1:9", proxy=proxy if how == "connection" else None)
    told_nobody(client.fails(of, submitting()))


@pytest.mark.parametrize("name", ["closed", "garbage", "gateway", "short"])
def test_no_error_about_a_picture_tells_its_signature(
    client: Client, serve: Callable[..., Server], name: str
) -> None:
    server = serve(MISHAPS[name])
    url = f"{server.url}/1.png?X-Amz-Signature={SIGNATURE}"
    error = client.fails(account("http://127.0.0.1:9"), fetching(url, lambda _: None))
    told_nobody_of_the_address(error)


@pytest.mark.parametrize(
    "url", ["http://nowhere.invalid/1.png", "http://[::1/1.png", "http://*.invalid/1.png"]
)
def test_no_error_about_an_address_that_cannot_be_reached_tells_its_signature(
    client: Client, url: str
) -> None:
    error = client.fails(account("http://127.0.0.1:9"), fetching(f"{url}?sig={SIGNATURE}", lambda _: None))
    told_nobody_of_the_address(error)


def test_a_look_that_fails_does_not_tell_the_key(client: Client, serve: Callable[..., Server]) -> None:
    told_nobody(client.fails(account(serve(closes).url), looking()))
