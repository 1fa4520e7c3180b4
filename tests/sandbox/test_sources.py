import logging
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from airflow_aluo.sandbox import sources
from airflow_aluo.sandbox.shelf import PHOTOS
from airflow_aluo.sandbox.sources import NotFetched, fetch, is_loopback

COFFEE = (PHOTOS / "coffee.jpg").read_bytes()
OWN = 4


def own(path: str) -> Path | None:
    return PHOTOS / "coffee.jpg" if path == "/photos/a b.jpg" else None


class Elsewhere(BaseHTTPRequestHandler):
    """Another server on this machine."""

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/photo?size=1")
        else:
            self.send_response(200 if self.path == "/photo?size=1" else 404)
        self.end_headers()
        self.wfile.write(b"a photo")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1"])
def test_these_hosts_are_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["example.com", "10.0.0.1", "0.0.0.0", "127.1", "localhost.example.com", ""])
def test_these_hosts_may_be_any_machine(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("address", "photo"),
    [
        ("https://example.com/product.jpg?signature=abc", "coffee.jpg"),
        ("http://user:pass@10.0.0.1:81/Rocket.png", "rocket.jpg"),
    ],
)
def test_for_an_address_elsewhere_there_is_a_stand_in_and_a_line_in_the_log(
    address: str, photo: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*_: object) -> None:
        raise AssertionError("a connection is made")

    monkeypatch.setattr(socket.socket, "connect", connect)
    caplog.set_level(logging.INFO)
    assert fetch(address, OWN, own) == (PHOTOS / photo).read_bytes()
    (record,) = caplog.records
    assert f"edits the stand-in {photo}" in record.getMessage()
    assert "abc" not in caplog.text
    assert "pass" not in caplog.text


def test_what_the_sandbox_serves_itself_is_read_from_its_folder() -> None:
    assert fetch(f"http://localhost:{OWN}/photos/a%20b.jpg", OWN, own) == COFFEE


def test_an_address_that_the_sandbox_does_not_serve_is_no_photo() -> None:
    with pytest.raises(NotFetched, match="nothing that the sandbox serves"):
        fetch(f"http://127.0.0.1:{OWN}/photos/other.jpg", OWN, own)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_other_servers_on_this_machine_are_asked(port: int, host: str) -> None:
    assert fetch(f"http://{host}:{port}/photo?size=1", OWN, own) == b"a photo"


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/moved", 302), ("", 404)])
def test_anything_but_a_plain_reply_is_no_photo(port: int, path: str, status: int) -> None:
    with pytest.raises(NotFetched, match=f"answers HTTP {status}"):
        fetch(f"http://127.0.0.1:{port}{path}", OWN, own)


def test_a_photo_that_is_too_large_is_refused(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST_BYTES", 3)
    with pytest.raises(NotFetched, match="larger than"):
        fetch(f"http://127.0.0.1:{port}/photo?size=1", OWN, own)


def test_a_server_that_is_not_there_gives_no_photo() -> None:
    with pytest.raises(NotFetched, match="cannot be fetched"):
        fetch("http://127.0.0.1:9/a.jpg", OWN, own)


def test_an_address_that_cannot_be_sent_gives_no_photo() -> None:
    with pytest.raises(NotFetched, match="cannot be fetched"):
        fetch("http://127.0.0.1:9/a b\x7f.jpg", OWN, own)


def test_https_is_not_spoken_on_this_machine() -> None:
    with pytest.raises(NotFetched, match="http only"):
        fetch("https://127.0.0.1/a.jpg", OWN, own)
