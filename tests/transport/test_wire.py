from __future__ import annotations

from typing import TYPE_CHECKING

import certifi
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from airflow_aluo.protocol import calls
from airflow_aluo.protocol.account import ANONYMOUS
from airflow_aluo.transport.wire import authorities, encode, no_reply, ssl_context, time_limits
from tests.transport.conftest import EDIT, KEY, account, looking

if TYPE_CHECKING:
    from tests.transport.conftest import Client

PICTURE = calls.picture("http://pictures.example/1.png", lambda _: lambda _: None)
OF = account("http://aluo.example", connect_timeout=1.0, read_timeout=2.0, submit_timeout=3.0)


def test_a_paid_call_waits_for_as_long_as_an_edit_may_take() -> None:
    limits = time_limits(OF, calls.generate(EDIT))
    assert (limits.connect, limits.read, limits.total) == (1.0, 3.0, 4.0)


def test_a_look_waits_for_as_long_as_a_reply_may_take() -> None:
    limits = time_limits(OF, calls.status("edit-1"))
    assert (limits.connect, limits.read, limits.total) == (1.0, 2.0, 3.0)


def test_a_picture_may_take_longer_in_all_but_not_between_two_bytes() -> None:
    limits = time_limits(OF, PICTURE)
    assert (limits.connect, limits.read, limits.total) == (1.0, 2.0, 30.0)


def test_what_goes_over_the_wire_can_be_logged() -> None:
    encoded = encode(OF, calls.generate(EDIT))
    assert encoded.headers["Authorization"] == f"Bearer {KEY}"
    assert KEY not in repr(encoded)


@given(st.text(st.characters(exclude_categories=["Cs"])))
@pytest.mark.parametrize("base_url", ["http://aluo.example", "https://bücher.example:81/ü b/100%"])
def test_an_id_is_spelled_as_requests_spells_it(base_url: str, aluo_task_id: str) -> None:
    of, call = account(base_url), calls.status(aluo_task_id)
    prepared = requests.Request("GET", f"{of.base_url}{call.path}", params=call.params).prepare()
    assert encode(of, call).url == prepared.url


def test_the_usual_authorities_are_those_of_requests() -> None:
    assert authorities(OF) == certifi.where()


def test_the_first_authorities_that_the_environment_names_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
    for name in names:
        monkeypatch.setenv(name, f"/{name}")
        assert authorities(OF) == f"/{name}"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")
    assert authorities(OF) == "/CURL_CA_BUNDLE"


@pytest.mark.parametrize("verify", [False, "/authorities.pem"])
def test_the_connections_authorities_go_before_the_environments(
    monkeypatch: pytest.MonkeyPatch, *, verify: bool | str
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/other.pem")
    assert authorities(account("http://aluo.example", verify=verify)) == verify


def test_a_file_of_authorities_is_read_once() -> None:
    assert ssl_context(certifi.where()) is ssl_context(certifi.where())


def test_an_error_names_its_own_reason_and_not_one_that_is_being_handled(
    client: Client, free_port: int
) -> None:
    """A last look is taken while the error of a wait is being handled."""
    errors = []
    try:
        {}["an error of somebody else"]
    except KeyError:
        errors.append(client.fails(account(f"http://127.0.0.1:{free_port}"), looking()))
    assert "somebody else" not in str(errors[0])
    assert "ConnectionRefusedError" in str(errors[0])
    assert f"http://127.0.0.1:{free_port}/api " in str(errors[0])


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("failed for http://me:hunter2@proxy:3128", "failed for http://***@proxy:3128"),
        (f"header 'Bearer {KEY}'", "header 'Bearer ***'"),
        ("url: /1.png?sig=abc (Caused by x)", "url: /1.png?… (Caused by x)"),
        ("url='http://a.b/?sig=abc'", "url='http://a.b/?…'"),
        ("what is it? nothing", "what is it? nothing"),
        ("", ""),
    ],
)
def test_what_a_library_says_is_quoted_without_its_secrets(said: str, written: str) -> None:
    error = no_reply(OF, calls.status("edit-1"), OSError(said), None, sent=True)
    assert str(error) == f"no reply from http://aluo.example/api (OSError: {written})".replace(": )", ")")


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("http://pictures.example:81/1.png", "http://pictures.example:81/1.png"),
        ("http://pictures.example/1.png?sig=abc", "http://pictures.example/1.png?…"),
        ("http://me:hunter2@pictures.example/1.png", "http://***@pictures.example/1.png"),
        ("http://[::1/1.png?sig=abc", "http://[::1/1.png?…"),
    ],
)
def test_an_error_about_a_picture_names_its_address_without_secrets(url: str, where: str) -> None:
    call = calls.picture(url, lambda _: lambda _: None)
    error = no_reply(OF, call, OSError("x"), None, sent=True)
    assert str(error) == f"no reply from {where} (OSError: x)"


def test_an_error_without_a_key_is_quoted_as_it_is() -> None:
    assert str(no_reply(ANONYMOUS, PICTURE, OSError("x"), None, sent=True)).endswith("(OSError: x)")


def test_what_was_not_sent_says_what_to_check() -> None:
    error = no_reply(OF, calls.status("edit-1"), OSError("x"), None, sent=False)
    assert str(error) == (
        "no connection to http://aluo.example/api (OSError: x): nothing was sent; "
        "check the connection's host, proxy and the network"
    )
