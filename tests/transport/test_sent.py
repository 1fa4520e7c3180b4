"""What may have reached Aluo: everything that is not surely *not sent*, the same for both drivers.

A paid call ends in an unknown outcome after one request; a call that costs nothing is tried again.
"""

from __future__ import annotations

import gc
import threading
import time
from typing import TYPE_CHECKING

import pytest

from airflow_aluo.protocol.calls import Upload
from airflow_aluo.protocol.errors import AluoConnectionError, AluoUnknownOutcome
from airflow_aluo.protocol.photo_edit import PhotoEdit
from airflow_aluo.protocol.replies import Phase
from tests.transport.conftest import (
    ACCEPTED,
    PATIENCE,
    RULE,
    SUCCEEDED,
    account,
    answering,
    eventually,
    http,
    looking,
    patient,
    submitting,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.transport.conftest import Certificates, Client, Conversation, Server

#: Far more than the buffers of both sides hold.
UPLOAD = Upload("cat.jpg", "image/jpeg", bytes(8 << 20))
UPLOADED = PhotoEdit(prompt="Remove the background", image_files=("cat.jpg",))


def closes_before_reading(conversation: Conversation) -> None:
    conversation.socket.recv(1)


def closes_after_the_head(conversation: Conversation) -> None:
    conversation.head()


def closes_after_the_request(conversation: Conversation) -> None:
    conversation.request()


def resets_after_the_request(conversation: Conversation) -> None:
    conversation.request()
    conversation.reset()


def promises_more_than_it_sends(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(http(200, ACCEPTED, content_length="4000"))


def ends_within_a_chunk(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(http(200, b"20\r\n" + ACCEPTED[:12], content_length="", transfer_encoding="chunked"))


def ends_between_chunks(conversation: Conversation) -> None:
    conversation.request()
    chunk = b"%x\r\n%b\r\n" % (len(ACCEPTED), ACCEPTED)
    conversation.send(http(200, chunk, content_length="", transfer_encoding="chunked"))


def sends_what_cannot_be_unpacked(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(http(200, b"not gzip", content_encoding="gzip"))


def sends_garbage(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(b"\x15\x03\x01\x00\x02\x02\x16 this is no HTTP\r\n\r\n")


def says_nothing(conversation: Conversation) -> None:
    conversation.request()
    conversation.until_gone()


def stops_within_the_reply(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(http(200, ACCEPTED, content_length="4000"))
    conversation.until_gone()


def drips(conversation: Conversation) -> None:
    """Never pause long enough for the limit between two bytes."""
    conversation.request()
    conversation.send(http(200, content_length="4000"))
    conversation.drip(b" " * 4000, seconds=0.02)


def drips_chunks(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(http(200, content_length="", transfer_encoding="chunked"))
    conversation.drip(b"1\r\n \r\n" * 4000, seconds=0.01)


PROMPT = [
    closes_before_reading,
    closes_after_the_head,
    closes_after_the_request,
    resets_after_the_request,
    promises_more_than_it_sends,
    ends_within_a_chunk,
    ends_between_chunks,
    sends_what_cannot_be_unpacked,
    sends_garbage,
]
SLOW = [says_nothing, stops_within_the_reply, drips, drips_chunks]


def ends_unknown(server: Server, error: Exception) -> None:
    """Check that a paid call was sent, maybe, and not again."""
    assert isinstance(error, AluoUnknownOutcome)
    assert isinstance(error.__cause__, AluoConnectionError)
    assert error.__cause__.sent is True
    assert eventually(lambda: server.connections == 1)


@pytest.mark.parametrize("mishap", PROMPT)
def test_an_edit_whose_reply_was_lost_is_not_submitted_again(
    client: Client, serve: Callable[..., Server], mishap: Callable[[Conversation], None]
) -> None:
    server = serve(mishap, answering(http(200, ACCEPTED)))
    ends_unknown(server, client.fails(account(server.url), submitting()))


@pytest.mark.parametrize("mishap", SLOW)
def test_an_edit_whose_reply_takes_too_long_is_not_submitted_again(
    client: Client, serve: Callable[..., Server], mishap: Callable[[Conversation], None]
) -> None:
    server = serve(mishap, answering(http(200, ACCEPTED)))
    # The whole exchange may take the sum of both.
    of = account(server.url, connect_timeout=1.0, submit_timeout=0.2)
    started = time.monotonic()
    ends_unknown(server, client.fails(of, submitting()))
    assert time.monotonic() - started < PATIENCE / 2  # to drip it all takes longer
    assert eventually(lambda: len(server.requests) == 1)


@pytest.mark.parametrize("mishap", PROMPT)
def test_a_look_whose_reply_was_lost_is_repeated(
    client: Client, serve: Callable[..., Server], mishap: Callable[[Conversation], None]
) -> None:
    server = serve(mishap, answering(http(200, SUCCEEDED)))
    assert client.run(account(server.url), looking()).phase is Phase.SUCCEEDED
    assert server.connections == 2


@pytest.mark.parametrize("mishap", [says_nothing, drips])
def test_a_look_whose_reply_takes_too_long_is_repeated(
    client: Client, serve: Callable[..., Server], mishap: Callable[[Conversation], None]
) -> None:
    server = serve(mishap, answering(http(200, SUCCEEDED)))
    of = account(server.url, connect_timeout=0.2, read_timeout=0.4)
    assert client.run(of, looking(), on_pause=lambda: patient(of)).phase is Phase.SUCCEEDED
    assert server.connections == 2


def test_a_look_that_never_succeeds_ends_after_some_tries(
    client: Client, serve: Callable[..., Server]
) -> None:
    server = serve(closes_after_the_request)
    error = client.fails(account(server.url), looking())
    assert isinstance(error, AluoConnectionError)
    assert error.sent is True
    # aiohttp itself asks once more, at once, when a GET's connection was lost.
    assert server.connections == (RULE.budget // 2 + 1) * (2 if client.kind == "aiohttp" else 1)


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_an_upload_that_broke_off_in_the_middle_is_not_sent_again(
    client: Client, serve: Callable[..., Server], leave: str
) -> None:
    def breaks_off(conversation: Conversation) -> None:
        conversation.socket.recv(100_000)
        getattr(conversation.socket if leave == "close" else conversation, leave)()

    server = serve(breaks_off, answering(http(200, ACCEPTED)))
    ends_unknown(server, client.fails(account(server.url), submitting(UPLOADED, [UPLOAD])))


# aiohttp leaves such a connection to the event loop, which ends too early here.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_an_upload_that_stalls_is_not_sent_again(client: Client, serve: Callable[..., Server]) -> None:
    ended = threading.Event()

    def stalls(conversation: Conversation) -> None:
        conversation.socket.recv(1)
        ended.wait(PATIENCE)

    server = serve(stalls, answering(http(200, ACCEPTED)))
    try:
        of = account(server.url, connect_timeout=1.0, submit_timeout=0.3)
        ends_unknown(server, client.fails(of, submitting(UPLOADED, [UPLOAD])))
    finally:
        ended.set()
    gc.collect()


def test_half_of_a_replys_headers_is_no_answer(client: Client, serve: Callable[..., Server]) -> None:
    def ends_within_the_headers(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Le")

    server = serve(ends_within_the_headers, answering(http(200, ACCEPTED)))
    # urllib3 takes what it has for a whole reply without a body: the outcome is unknown all the same.
    assert isinstance(client.fails(account(server.url), submitting()), AluoUnknownOutcome)
    assert server.connections == 1


def test_an_upload_may_take_longer_than_connecting(client: Client, serve: Callable[..., Server]) -> None:
    def reads_slowly(conversation: Conversation) -> None:
        time.sleep(0.4)
        conversation.request()
        conversation.send(http(200, ACCEPTED))

    server = serve(reads_slowly)
    of = account(server.url, connect_timeout=0.2)
    assert client.run(of, submitting(UPLOADED, [UPLOAD])).aluo_task_id == "edit-1"


def test_an_answer_before_the_end_of_an_upload_counts_or_is_unknown(
    client: Client, serve: Callable[..., Server]
) -> None:
    """A gateway that finds the photos too large answers early and closes; neither is a reason to go on."""

    def refuses_early(conversation: Conversation) -> None:
        conversation.socket.recv(100_000)
        conversation.send(http(413, b"too large", connection="close"))

    server = serve(refuses_early, answering(http(200, ACCEPTED)))
    assert isinstance(client.fails(account(server.url), submitting(UPLOADED, [UPLOAD])), AluoUnknownOutcome)
    assert server.connections == 1


@pytest.mark.parametrize(
    "mishap", [closes_after_the_head, resets_after_the_request, promises_more_than_it_sends]
)
def test_a_tls_connection_that_broke_off_after_the_handshake_was_sent_something(
    client: Client,
    certificates: Certificates,
    serve: Callable[..., Server],
    mishap: Callable[[Conversation], None],
) -> None:
    server = serve(mishap, answering(http(200, ACCEPTED)), tls=certificates.context)
    of = account(server.url, verify=certificates.authority)
    ends_unknown(server, client.fails(of, submitting()))


def test_a_tls_connection_that_broke_off_in_an_upload_was_sent_something(
    client: Client, certificates: Certificates, serve: Callable[..., Server]
) -> None:
    server = serve(closes_after_the_head, answering(http(200, ACCEPTED)), tls=certificates.context)
    of = account(server.url, verify=certificates.authority)
    ends_unknown(server, client.fails(of, submitting(UPLOADED, [UPLOAD])))
