import http.client
import json
import socket
import time
from typing import Any

import pytest
import requests

BODY = {"prompt": "Make it nice", "imageUrls": ["https://example.com/ref1.jpg"]}


def test_a_connection_dropped_before_accepts_nothing(customer: Any) -> None:
    customer.fault("drop_before")
    with pytest.raises(requests.ConnectionError):
        customer.post(BODY)
    ledger = customer.ledger
    assert ledger["totals"]["accepted"] == 0
    assert ledger["totals"]["refused"] == 1
    assert (ledger["requests"][0]["dropped"], ledger["requests"][0]["http_status"]) == (True, None)


def test_a_connection_dropped_after_has_accepted_and_charges(customer: Any) -> None:
    customer.fault("drop_after")
    with pytest.raises(requests.ConnectionError):
        customer.post(BODY)
    (entry,) = customer.ledger["entries"]
    assert customer.ledger["requests"][0]["aluo_task_id"] == entry["aluo_task_id"]
    assert customer.wait(entry["aluo_task_id"])["status"] == "SUCCESS"
    assert customer.ledger["totals"]["charged"] == 35


def test_a_refused_call_is_dropped_too(customer: Any) -> None:
    customer.fault("drop_after")
    with pytest.raises(requests.ConnectionError):
        customer.post({"prompt": ""})
    assert customer.ledger["totals"]["refused"] == 1


def test_a_status_can_be_dropped(customer: Any) -> None:
    aluo_task_id = customer.submit()
    customer.fault("drop_before", on="status")
    with pytest.raises(requests.ConnectionError):
        customer.look(aluo_task_id)
    assert customer.wait(aluo_task_id)["status"] == "SUCCESS"


@pytest.mark.parametrize("sent", [0, 200_000], ids=["nothing of 100 bytes", "a part of 9 MB"])
def test_an_upload_is_cut_off_before_it_is_whole(customer: Any, sent: int) -> None:
    customer.fault("drop_upload", key=customer.key)
    with customer.connect() as connection, pytest.raises(ConnectionError):
        told(connection, customer.head(9_000_000 if sent else 100) + b" " * sent)
    ledger = customer.ledger
    assert ledger["totals"]["accepted"] == 0
    assert ledger["totals"]["refused"] == 1
    (call,) = ledger["requests"]
    assert (call["dropped"], call["http_status"], call["prompt"]) == (True, None, None)


def test_an_upload_that_is_cut_off_is_a_lost_connection_to_whoever_sends_it(
    customer: Any, other_customer: Any
) -> None:
    customer.fault("drop_upload", key=customer.key, seconds=0.1)
    files = {"file0": ("a.png", b"0" * 19_000_000)}
    assert other_customer.post(BODY).status_code == 200
    with pytest.raises(requests.ConnectionError):
        customer.post(data={"prompt": "x"}, files=files)
    assert customer.post(BODY).status_code == 200


def told(connection: socket.socket, data: bytes) -> bytes:
    """What is answered until the connection is closed; ``ConnectionError`` if it is reset."""
    connection.sendall(data)
    answer = b""
    while came := connection.recv(65536):
        answer += came
    return answer


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_a_connection_is_reset_before_and_closed_after(customer: Any, kind: str) -> None:
    customer.fault(kind)
    call = customer.head(2) + b"{}"
    with customer.connect() as connection:
        if kind == "drop_before":
            with pytest.raises(ConnectionResetError):
                told(connection, call)
        else:
            assert told(connection, call) == b""


def test_a_client_that_goes_away_while_it_sends_has_asked_for_nothing(
    customer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with customer.connect() as connection:
        connection.sendall(customer.head(9_000_000) + b" " * 1000)
        while not customer.ledger["requests"]:
            time.sleep(0.01)
    while not customer.ledger["totals"]["refused"]:
        time.sleep(0.01)
    assert customer.ledger["totals"]["accepted"] == 0
    assert not caplog.records


def half(customer: Any, method: str, path: str, body: Any = None) -> tuple[http.client.HTTPResponse, bytes]:
    """The head of a reply that breaks off, and what of it came."""
    connection = http.client.HTTPConnection(customer.sandbox.base_url.removeprefix("http://"), timeout=20)
    headers = {**customer.headers, "Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    reply = connection.getresponse()
    with pytest.raises(http.client.IncompleteRead) as broken_off:
        reply.read()
    connection.close()
    return reply, broken_off.value.partial


@pytest.mark.parametrize("when", ["before", "after"])
def test_half_a_reply_comes_before_or_after_the_edit_is_accepted(customer: Any, when: str) -> None:
    customer.fault("half_reply", when=when)
    reply, came = half(customer, "POST", "/api/photo-editor/generate", BODY)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    assert len(came) == int(reply.headers["Content-Length"]) // 2
    assert came.startswith(b'{"code":0,"success":true,"data":{')
    ledger = customer.ledger
    assert ledger["totals"]["accepted"] == (when == "after")
    assert ledger["totals"]["refused"] == (when == "before")
    assert (ledger["requests"][0]["http_status"], ledger["requests"][0]["dropped"]) == (200, True)


def test_half_a_status_is_half_of_the_true_one(customer: Any) -> None:
    aluo_task_id = customer.submit()
    customer.wait(aluo_task_id)
    whole = customer.look(aluo_task_id)
    customer.fault("half_reply", on="status", times=2)
    path = "/api/photo-editor/status?taskId="
    reply, came = half(customer, "GET", path + aluo_task_id)
    assert reply.headers["Content-Length"] == whole.headers["Content-Length"]
    assert came == whole.content[: len(whole.content) // 2]
    assert half(customer, "GET", f"{path}edit_1")[0].status == 404
    assert customer.look(aluo_task_id).json() == whole.json()


def test_a_picture_can_break_off_before_its_promised_length(customer: Any) -> None:
    (url,) = customer.edited()
    customer.fault("drop_after", on="picture")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        requests.get(url, timeout=20)
