"""What surely left nothing at Aluo: a closed list, the same for both drivers.

Each is tried again, even where the call is paid, and the server's own count proves that it came once.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from airflow_aluo.protocol.errors import AluoConnectionError
from tests.transport.conftest import (
    ACCEPTED,
    RULE,
    account,
    answering,
    eventually,
    http,
    patient,
    submitting,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.transport.conftest import Certificates, Client, Conversation, Server


def below_tls(behave: Callable[[Conversation], object]) -> Callable[[Conversation], object]:
    """Mark a behaviour that meets the client before any handshake."""
    behave.below_tls = True  # type: ignore[attr-defined]
    return behave


@below_tls
def closes_during_the_handshake(conversation: Conversation) -> None:
    conversation.socket.recv(1 << 16)


@below_tls
def resets_during_the_handshake(conversation: Conversation) -> None:
    conversation.socket.recv(1 << 16)
    conversation.reset()


@below_tls
def speaks_plainly(conversation: Conversation) -> None:
    conversation.socket.recv(1 << 16)
    conversation.send(http(200, ACCEPTED))


@below_tls
def never_answers_the_handshake(conversation: Conversation) -> None:
    conversation.until_gone()


BEFORE_TLS = [
    closes_during_the_handshake,
    resets_during_the_handshake,
    speaks_plainly,
    never_answers_the_handshake,
]


def ends_unsent(client: Client, of: Any) -> None:
    """Check that a paid call ends in *not sent* after three tries."""
    pauses: list[int] = []
    error = client.fails(of, submitting(), on_pause=lambda: pauses.append(1))
    assert isinstance(error, AluoConnectionError)
    assert error.sent is False
    assert "nothing was sent" in error.message
    assert len(pauses) == RULE.budget // 2


def test_a_host_that_no_name_server_knows_was_sent_nothing(client: Client) -> None:
    ends_unsent(client, account("http://nowhere.invalid"))


def test_a_host_name_that_cannot_be_was_sent_nothing(client: Client) -> None:
    ends_unsent(client, account(f"http://{'a' * 64}.invalid"))


def test_a_refused_connection_was_sent_nothing(client: Client, free_port: int) -> None:
    ends_unsent(client, account(f"http://127.0.0.1:{free_port}"))


def test_an_edit_is_submitted_once_the_host_is_up(
    client: Client, free_port: int, serve: Callable[..., Server]
) -> None:
    servers: list[Server] = []

    def bring_up() -> None:
        servers.append(serve(http(200, ACCEPTED), port=free_port))

    accepted = client.run(account(f"http://127.0.0.1:{free_port}"), submitting(), on_pause=bring_up)
    assert accepted.aluo_task_id == "edit-1"
    assert [len(server.requests) for server in servers] == [1]


def test_a_host_that_does_not_accept_the_connection_in_time_was_sent_nothing(client: Client) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        waiting = [socket.socket() for _ in range(8)]
        try:
            for (
                filler
            ) in waiting:  # the kernel accepts the first ones and leaves the others without an answer
                filler.setblocking(False)
                filler.connect_ex(address)
            ends_unsent(client, account(f"http://127.0.0.1:{address[1]}", connect_timeout=0.2))
        finally:
            for filler in waiting:
                filler.close()


@pytest.mark.parametrize("mishap", BEFORE_TLS)
def test_an_edit_is_submitted_again_after_a_failed_handshake(
    client: Client,
    certificates: Certificates,
    serve: Callable[..., Server],
    mishap: Callable[[Conversation], object],
) -> None:
    server = serve(mishap, answering(http(200, ACCEPTED)), tls=certificates.context)
    seconds = 0.5 if mishap is never_answers_the_handshake else 10.0
    of = account(server.url, verify=certificates.authority, connect_timeout=seconds)
    accepted = client.run(of, submitting(), on_pause=lambda: patient(of))
    assert accepted.aluo_task_id == "edit-1"
    assert (server.connections, len(server.requests)) == (2, 1)


@pytest.mark.parametrize("mishap", BEFORE_TLS)
def test_a_host_without_a_handshake_was_sent_nothing(
    client: Client,
    certificates: Certificates,
    serve: Callable[..., Server],
    mishap: Callable[[Conversation], object],
) -> None:
    server = serve(mishap, tls=certificates.context)
    seconds = 0.2 if mishap is never_answers_the_handshake else 10.0
    ends_unsent(client, account(server.url, verify=certificates.authority, connect_timeout=seconds))
    assert eventually(lambda: server.connections == 3)


def test_a_host_whose_certificate_nobody_vouches_for_was_sent_nothing(
    client: Client, certificates: Certificates, serve: Callable[..., Server]
) -> None:
    server = serve(http(200, ACCEPTED), tls=certificates.context)
    ends_unsent(client, account(server.url))
    assert (server.connections, len(server.requests)) == (3, 0)


def test_a_host_whose_certificate_names_another_was_sent_nothing(
    client: Client, certificates: Certificates, serve: Callable[..., Server]
) -> None:
    server = serve(http(200, ACCEPTED), tls=certificates.context)
    ends_unsent(client, account(f"https://127.0.0.2:{server.port}", verify=certificates.authority))
    assert server.requests == []
