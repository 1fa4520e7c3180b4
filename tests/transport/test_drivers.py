"""One body through both drivers: what they send, what they take for an answer, what they keep open."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import signal
import threading
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_aluo.pace.account_pace import AccountPace
from airflow_aluo.pace.line import Kind
from airflow_aluo.protocol import calls, flows
from airflow_aluo.protocol.errors import (
    AluoError,
    AluoPictureError,
    AluoReplyError,
    AluoServerError,
    AluoUnknownOutcome,
    dump,
)
from airflow_aluo.protocol.photo_edit import PhotoEdit
from airflow_aluo.protocol.replies import Phase
from airflow_aluo.protocol.tally import Tally
from airflow_aluo.transport.turns import Turns
from airflow_aluo.transport.wire import MAX_REDIRECTS, MAX_REPLY_BYTES
from airflow_aluo.transport.with_aiohttp import AiohttpDriver
from tests.transport.conftest import (
    ACCEPTED,
    EDIT,
    KEY,
    RULE,
    SUCCEEDED,
    Client,
    account,
    answering,
    fetching,
    http,
    looking,
    senses,
    submitting,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_aluo.protocol.flows import Flow
    from tests.transport.conftest import Conversation, Received, Server

REPLIES = sorted(Path(__file__).parents[1].joinpath("replies").glob("*/*"))


def outcome(client: Client, server: Server, flow: Flow[Any]) -> Any:
    """Return what a flow returns, or its error as plain data."""
    try:
        return client.run(account(server.url), flow)
    except AluoError as error:
        return dump(error), error.__cause__ and dump(error.__cause__)


# --- what came back


@pytest.mark.parametrize("path", REPLIES, ids=lambda path: path.parent.name)
@pytest.mark.parametrize("flow", [submitting, looking], ids=["submit", "look"])
def test_both_drivers_take_a_reply_for_the_same_answer(
    serve: Callable[..., Server], path: Path, flow: Callable[[], Flow[Any]]
) -> None:
    reply = http(int(path.stem), path.read_bytes(), retry_after="1", location="/elsewhere?a=b")
    server = serve(reply)
    assert outcome(Client("requests"), server, flow()) == outcome(Client("aiohttp"), server, flow())


def test_there_are_recorded_replies() -> None:
    assert len(REPLIES) > 20


class Looks(Tally):
    """Counts looks."""

    count = 0

    def looked(self) -> None:
        self.count += 1


def test_a_look_that_is_broken_off_while_it_is_under_way_is_counted(
    client: Client, serve: Callable[..., Server]
) -> None:
    def interrupts(conversation: Conversation) -> None:
        conversation.request()
        os.kill(os.getpid(), signal.SIGINT)  # asyncio.run() turns it into a cancellation
        conversation.until_gone()

    server, looks = serve(interrupts), Looks()
    flow = flows.send(calls.status("edit-1"), RULE, senses(looks))
    with pytest.raises(KeyboardInterrupt):
        client.drive(account(server.url), flow)
    assert (looks.count, len(server.requests)) == (1, 1)


async def test_a_look_that_is_cancelled_before_its_turn_is_not_counted(serve: Callable[..., Server]) -> None:
    server, looks = serve(http(200, SUCCEEDED)), Looks()
    of = account(server.url)
    turns = Turns(AccountPace(1, time.monotonic))
    while turns.pace.delay() <= 0:
        await turns.take(Kind.LOOK)
    async with AiohttpDriver(of, turns) as driver:
        look = asyncio.create_task(driver.run(flows.once(calls.status("edit-1"), senses(looks))))
        while not turns.pace.waiting:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0)
        look.cancel()
        with pytest.raises(asyncio.CancelledError):
            await look
    assert (looks.count, server.connections) == (0, 0)


def test_both_drivers_wait_as_a_reply_asks(client: Client, serve: Callable[..., Server]) -> None:
    server = serve(http(429, b"{}", retry_after="0"), http(200, ACCEPTED))
    assert client.run(account(server.url), submitting()).aluo_task_id == "edit-1"
    assert len(server.requests) == 2


def test_both_drivers_pause_for_as_long_as_a_flow_says(client: Client) -> None:
    def pausing() -> Flow[str]:
        yield flows.Pause(0.2)
        return "done"

    started = time.monotonic()
    # Driven without the wrapper that leaves out pauses.
    assert client.drive(account("http://127.0.0.1:1"), pausing()) == "done"
    assert time.monotonic() - started >= 0.2


def test_an_error_of_a_flows_own_reaches_the_caller(client: Client) -> None:
    def failing() -> Flow[None]:
        yield flows.Pause(0)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        client.run(account("http://127.0.0.1:1"), failing())


def test_a_reply_says_when_it_came(client: Client, serve: Callable[..., Server]) -> None:
    def exchanging() -> Flow[Any]:
        return (yield calls.status("edit-1"))

    reply = client.run(account(serve(http(200, SUCCEEDED, x_mixed="Case")).url), exchanging())
    assert abs(reply.at - time.time()) < 60
    assert reply.headers["x-mixed"] == "Case"
    assert reply.body == SUCCEEDED


# --- what is sent

LONELY = "a half \ud800 of a character"
SENT: dict[str, Callable[[], calls.Call[Any]]] = {
    "json": lambda: calls.generate(EDIT),
    "json with everything": lambda: calls.generate(
        PhotoEdit(
            prompt='Ersetze den "Himmel"\nüber 東京 🐈',
            image_urls=("https://photos.example/ü b.jpg?sig=%2B", "http://photos.example/2"),
            aspect_ratio="1:1",
            output_format="webp",
            num_images=3,
        )
    ),
    "json with half a character": lambda: calls.generate(
        PhotoEdit(prompt=LONELY, image_urls=EDIT.image_urls)
    ),
    "form": lambda: calls.generate(
        PhotoEdit(prompt="über\r\n--boundary", image_files=("a", "b"), aspect_ratio="16:9"),
        [
            calls.Upload('Kätzchen "süß"\r\n.jpg', "image/jpeg", b"\xff\xd8\r\n--\x00"),
            calls.Upload("東京.png", "image/png", bytes(range(256))),
        ],
    ),
    "form with half a character": lambda: calls.generate(
        PhotoEdit(prompt=LONELY, image_files=("a",)), [calls.Upload("caf\udce9.jpg", "image/jpeg", b"\xff")]
    ),
    "status": lambda: calls.status("edit-1"),
    "status of a strange id": lambda: calls.status("a b/c?d&e=f#g%20+ü~'\"<>|"),
}


def sent(client: Client, serve: Callable[..., Server], call: calls.Call[Any], base: str = "") -> Received:
    def exchanging() -> Flow[Any]:
        return (yield call)

    server = serve(http(200, ACCEPTED))
    client.run(account(f"{server.url}{base}"), exchanging())
    (received,) = server.requests
    return received


def comparable(received: Received) -> tuple[str, dict[str, str], bytes]:
    """Return a request without what differs from one time to the next or is a library's own habit."""
    headers = received.headers
    own = ("connection", "accept-encoding", "host")
    kept = {name: value for name, value in headers.items() if name not in own}
    body = received.body
    if found := re.search("boundary=(.*)", headers.get("content-type", "")):
        body = body.replace(found[1].encode(), b"BOUNDARY")
        kept["content-type"] = kept["content-type"].replace(found[1], "BOUNDARY")
    return received.head.partition(b"\r\n")[0].decode(), kept, body


@pytest.mark.parametrize("name", SENT)
def test_both_drivers_send_the_same_bytes(serve: Callable[..., Server], name: str) -> None:
    by_requests, by_aiohttp = (sent(Client(kind), serve, SENT[name]()) for kind in ("requests", "aiohttp"))
    assert comparable(by_requests) == comparable(by_aiohttp)
    assert by_requests.headers["authorization"] == f"Bearer {KEY}"
    assert by_requests.headers["accept"] == "application/json"
    assert by_requests.headers["user-agent"].startswith("airflow-aluo/")


def test_a_json_body_says_what_was_asked(client: Client, serve: Callable[..., Server]) -> None:
    received = sent(client, serve, SENT["json with everything"]())
    assert received.line == ["POST", "/api/photo-editor/generate", "HTTP/1.1"]
    assert received.headers["content-type"] == "application/json"
    assert json.loads(received.body) == {
        "prompt": 'Ersetze den "Himmel"\nüber 東京 🐈',
        "imageUrls": ["https://photos.example/ü b.jpg?sig=%2B", "http://photos.example/2"],
        "aspectRatio": "1:1",
        "outputFormat": "webp",
        "numImages": 3,
    }


def test_a_form_cannot_be_broken_by_what_it_holds(client: Client, serve: Callable[..., Server]) -> None:
    from email import message_from_bytes
    from email.policy import HTTP

    received = sent(client, serve, SENT["form"]())
    head = f"content-type: {received.headers['content-type']}\r\n\r\n".encode()
    parts = list(message_from_bytes(head + received.body, policy=HTTP).iter_parts())
    names = [part.get_param("name", header="content-disposition") for part in parts]
    assert names == ["prompt", "aspectRatio", "file0", "file1"]
    assert [part.get_content_type() for part in parts[2:]] == ["image/jpeg", "image/png"]
    assert parts[0].get_payload(decode=True).decode() == "über\r\n--boundary"
    assert parts[3].get_payload(decode=True) == bytes(range(256))
    assert 'filename="Kätzchen %22süß%22%0D%0A.jpg"'.encode() in received.body
    assert 'filename="東京.png"'.encode() in received.body


def test_halves_of_characters_do_not_keep_a_form_from_being_sent(
    client: Client, serve: Callable[..., Server]
) -> None:
    received = sent(client, serve, SENT["form with half a character"]())
    assert b"a half ? of a character" in received.body
    assert b'filename="caf?.jpg"' in received.body


def test_an_id_cannot_break_out_of_its_parameter(client: Client, serve: Callable[..., Server]) -> None:
    from urllib.parse import parse_qs, urlsplit

    received = sent(client, serve, SENT["status of a strange id"]())
    target = urlsplit(received.target)
    assert target.path == "/api/photo-editor/status"
    assert parse_qs(target.query) == {"taskId": ["a b/c?d&e=f#g%20+ü~'\"<>|"]}


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/1.png?X-Amz-Signature=a%2Fb%20c+d&e=%7E", "/1.png?X-Amz-Signature=a%2Fb%20c+d&e=~"),
        ("/ü b.png", "/%C3%BC%20b.png"),
        ("/100%.png", "/100%25.png"),
        ("/a%2fb.png#fragment", "/a%2Fb.png"),
        ("", "/"),
        ("?a=b", "/?a=b"),
    ],
)
def test_a_pictures_address_is_asked_in_one_spelling(
    client: Client, serve: Callable[..., Server], path: str, target: str
) -> None:
    server = serve(http(200, b"picture"))
    client.run(account(server.url), fetching(server.url + path, lambda _: None))
    assert [received.target for received in server.requests] == [target]


def test_a_picture_is_asked_without_the_key(client: Client, serve: Callable[..., Server]) -> None:
    server = serve(http(200, b"picture"))
    client.run(account(server.url), fetching(f"{server.url}/1.png", lambda _: None))
    (received,) = server.requests
    assert KEY.encode() not in received.head
    assert "authorization" not in received.headers
    assert received.headers["accept"] == "*/*"


def test_what_a_reply_wants_remembered_is_not_sent_back(client: Client, serve: Callable[..., Server]) -> None:
    server = serve(http(200, SUCCEEDED, set_cookie="session=1; Path=/"))
    client.run(account(server.url), looking(), looking())
    assert [received.headers.get("cookie") for received in server.requests] == [None, None]


# --- connections


def test_every_paid_call_opens_a_connection_of_its_own(client: Client, serve: Callable[..., Server]) -> None:
    server = serve(http(200, ACCEPTED))
    client.run(account(server.url), submitting(), submitting(), submitting())
    assert (server.connections, len(server.requests)) == (3, 3)


def test_looks_share_one_connection(client: Client, serve: Callable[..., Server]) -> None:
    server = serve(http(200, SUCCEEDED))
    client.run(account(server.url), looking(), looking(), looking())
    assert (server.connections, len(server.requests)) == (1, 3)


def test_a_paid_call_does_not_use_the_connection_of_a_look(
    client: Client, serve: Callable[..., Server]
) -> None:
    server = serve(
        http(200, b'{"data": {"taskId": "edit-1", "status": "SUCCESS", "images": [{"url": "http://a.b/"}]}}')
    )
    client.run(account(server.url), looking(), submitting(), looking())
    assert (server.connections, len(server.requests)) == (2, 3)


def test_a_connection_that_went_stale_between_two_looks_is_survived(
    client: Client, serve: Callable[..., Server]
) -> None:
    closed = threading.Event()

    def once(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(http(200, SUCCEEDED))
        conversation.socket.close()
        closed.set()

    def going_stale() -> Flow[None]:
        assert closed.wait(20)
        yield from ()

    server = serve(once, answering(http(200, SUCCEEDED)))
    found = client.run(account(server.url), looking(), going_stale(), looking())
    assert found.phase is Phase.SUCCEEDED
    assert (server.connections, len(server.requests)) == (2, 2)


def test_a_connection_that_breaks_at_the_second_look_is_survived(
    client: Client, serve: Callable[..., Server]
) -> None:
    def once(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(http(200, SUCCEEDED))
        conversation.request()
        conversation.reset()

    server = serve(once, answering(http(200, SUCCEEDED)))
    assert client.run(account(server.url), looking(), looking()).phase is Phase.SUCCEEDED
    assert (server.connections, len(server.requests)) == (2, 3)


# --- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("flow", [submitting, looking], ids=["submit", "look"])
def test_the_api_is_not_followed_elsewhere(
    client: Client, serve: Callable[..., Server], status: int, flow: Callable[[], Flow[Any]]
) -> None:
    elsewhere = serve(http(200, ACCEPTED))
    server = serve(http(status, location=f"{elsewhere.url}/api?key={KEY}"))
    error = client.fails(account(server.url), flow())
    cause = error.__cause__ if isinstance(error, AluoUnknownOutcome) else error
    assert isinstance(cause, AluoReplyError)
    assert cause.http_status == status
    assert elsewhere.url in cause.message
    assert elsewhere.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_picture_is_followed_without_the_key(
    client: Client, serve: Callable[..., Server], status: int
) -> None:
    elsewhere = serve(http(200, b"picture"))
    server = serve(http(status, location=f"{elsewhere.url}/1.png?sig=a%2Fb%20c+d"))
    got = bytearray()
    client.run(account(server.url), fetching(f"{server.url}/old", got.extend))
    assert got == b"picture"
    for received in server.requests + elsewhere.requests:
        assert KEY.encode() not in received.head
        assert received.method == "GET"
    assert [received.target for received in elsewhere.requests] == ["/1.png?sig=a%2Fb%20c+d"]


@pytest.mark.parametrize("hops", [MAX_REDIRECTS, MAX_REDIRECTS + 1])
def test_a_picture_is_followed_three_times_at_most(
    client: Client, serve: Callable[..., Server], hops: int
) -> None:
    redirects = [http(302, location=f"/{hop}?sig=secret-signature") for hop in range(hops)]
    server = serve(*redirects, http(200, b"picture"))
    got = bytearray()
    flow = fetching(f"{server.url}/first?sig=secret-signature", got.extend)
    if hops == MAX_REDIRECTS:
        client.run(account(server.url), flow)
        assert got == b"picture"
    else:
        error = client.fails(account(server.url), flow)
        assert isinstance(error, AluoPictureError)
        assert error.url == f"{server.url}/first?…"
        assert "secret-signature" not in str(error)
    assert len(server.requests) == MAX_REDIRECTS + 1


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("2.png", "/pictures/2.png"),
        ("/2.png", "/2.png"),
        ("?size=2", "/pictures/1.png?size=2"),
        ("/a b.png", "/a%20b.png"),
    ],
)
def test_a_picture_is_followed_to_a_relative_address(
    client: Client, serve: Callable[..., Server], location: str, target: str
) -> None:
    server = serve(http(302, location=location), http(200, b"picture"))
    client.run(account(server.url), fetching(f"{server.url}/pictures/1.png", lambda _: None))
    assert [received.target for received in server.requests] == ["/pictures/1.png", target]


def test_a_picture_is_followed_to_an_address_with_an_umlaut(
    client: Client, serve: Callable[..., Server]
) -> None:
    server = serve(http(302, location="/ü.png"), http(200, b"picture"))
    client.run(account(server.url), fetching(f"{server.url}/1.png", lambda _: None))
    assert server.requests[1].target == "/%C3%BC.png"


def test_a_header_that_is_no_text_can_be_quoted_and_stored(serve: Callable[..., Server]) -> None:
    reply = http(302, location="/LATIN1.png").replace(b"LATIN1", b"\xfc")
    errors = [Client(kind).fails(account(serve(reply).url), looking()) for kind in ("requests", "aiohttp")]
    assert dump(errors[0]) == dump(errors[1])
    str(errors[0]).encode()


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/1.png", "data:,picture"])
def test_a_picture_is_followed_within_the_web_only(
    client: Client, serve: Callable[..., Server], location: str
) -> None:
    server = serve(http(302, location=location))
    error = client.fails(account(server.url), fetching(f"{server.url}/1.png", lambda _: None))
    assert isinstance(error, AluoPictureError)
    assert len(server.requests) == 1


def test_a_redirect_that_leads_nowhere_is_an_answer(client: Client, serve: Callable[..., Server]) -> None:
    error = client.fails(account(url := serve(http(302)).url), fetching(f"{url}/1.png", lambda _: None))
    assert isinstance(error, AluoPictureError)


@pytest.mark.parametrize("asked", ["edit", "picture"])
def test_the_body_of_a_redirect_is_not_taken_whole(
    client: Client, serve: Callable[..., Server], asked: str
) -> None:
    def sends_a_lot(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(http(302, location="/elsewhere", content_length=str(1 << 40)))
        for _ in range(1024):
            conversation.send(b"a" * (1 << 16))

    server = serve(sends_a_lot)
    flow = submitting() if asked == "edit" else fetching(f"{server.url}/1.png", lambda _: None)
    held = peak(lambda: client.fails(account(server.url), flow))
    assert held < 8 * MAX_REPLY_BYTES


# --- how much is taken


def padding(size: int) -> bytes:
    return b'{"success": true, "data": {"status": "SUCCESS", "a": "' + b"a" * size


def peak(run: Callable[[], object]) -> int:
    """Return the bytes that are held at most while something runs."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_reply_is_cut_where_none_of_aluos_ends(client: Client, serve: Callable[..., Server]) -> None:
    def sends_a_lot(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(http(200, padding(0), content_length=str(1 << 40)))
        for _ in range(1024):
            conversation.send(b"a" * (1 << 16))

    server = serve(sends_a_lot)
    errors: list[AluoError] = []
    held = peak(lambda: errors.append(client.fails(account(server.url), submitting())))
    assert isinstance(errors[0], AluoUnknownOutcome)
    assert isinstance(errors[0].__cause__, AluoReplyError)
    assert held < 8 * MAX_REPLY_BYTES


@pytest.mark.parametrize("status", [200, 500])
def test_a_packed_reply_does_not_unpack_to_any_size(
    client: Client, serve: Callable[..., Server], status: int
) -> None:
    server = serve(http(status, gzip.compress(bytes(64 << 20), 1), content_encoding="gzip"))
    errors: list[AluoError] = []
    held = peak(lambda: errors.append(client.fails(account(server.url), submitting())))
    assert isinstance(errors[0], AluoUnknownOutcome)
    assert isinstance(errors[0].__cause__, AluoReplyError if status == 200 else AluoServerError)
    assert held < 16 * MAX_REPLY_BYTES


def test_a_packed_reply_is_understood(client: Client, serve: Callable[..., Server]) -> None:
    server = serve(http(200, gzip.compress(SUCCEEDED), content_encoding="gzip"))
    assert client.run(account(server.url), looking()).phase is Phase.SUCCEEDED


@pytest.mark.parametrize("chunked", [False, True])
def test_a_reply_that_comes_byte_by_byte_is_understood(
    client: Client, serve: Callable[..., Server], *, chunked: bool
) -> None:
    def drips(conversation: Conversation) -> None:
        conversation.request()
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SUCCEEDED), SUCCEEDED) if chunked else SUCCEEDED
        how = {"content_length": "", "transfer_encoding": "chunked"} if chunked else {}
        conversation.drip(http(200, b"", **({"content_length": str(len(SUCCEEDED))} | how)) + body, 0.0)

    assert client.run(account(serve(drips).url), looking()).phase is Phase.SUCCEEDED


def test_a_reply_that_ends_with_its_connection_is_understood(
    client: Client, serve: Callable[..., Server]
) -> None:
    def closes(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(http(200, SUCCEEDED, content_length="", connection="close"))

    assert client.run(account(serve(closes).url), looking()).phase is Phase.SUCCEEDED


def test_a_picture_is_never_whole_in_memory(client: Client, serve: Callable[..., Server]) -> None:
    size, block = 64 << 20, bytes(1 << 16)

    def sends(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(http(200, content_length=str(size)))
        for _ in range(size // len(block)):
            conversation.send(block)

    server = serve(sends)
    count = [0]

    def take(chunk: bytes) -> None:
        count[0] += len(chunk)

    flow = fetching(f"{server.url}/1.png", take)
    held = peak(lambda: client.run(account(server.url), flow))
    assert count == [size]
    assert held < 10 << 20


def test_a_picture_that_broke_off_starts_again_from_nothing(
    client: Client, serve: Callable[..., Server]
) -> None:
    def breaks_off(conversation: Conversation) -> None:
        conversation.request()
        conversation.send(http(200, b"half a pic", content_length="20"))

    server = serve(breaks_off, answering(http(200, b"a whole picture")))
    tries: list[bytearray] = []

    def start(headers: Any) -> Callable[[bytes], None]:
        tries.append(bytearray())
        assert headers["content-length"] in {"20", "15"}
        return tries[-1].extend

    call = calls.picture(f"{server.url}/1.png", start)
    client.run(account(server.url), flows.send(call, RULE, senses()))
    assert bytes(tries[-1]) == b"a whole picture"
    assert all(b"half a pic".startswith(bytes(got)) for got in tries[:-1])


def test_a_picture_that_is_refused_reaches_no_file(client: Client, serve: Callable[..., Server]) -> None:
    server = serve(http(403, b"<html>expired"))
    got = bytearray()
    error = client.fails(account(server.url), fetching(f"{server.url}/1.png?sig=secret", got.extend))
    assert isinstance(error, AluoPictureError)
    assert error.url == f"{server.url}/1.png?…"
    assert got == b""
    assert len(server.requests) == 1
