import threading
import time
from typing import Any

import pytest
import requests

from airflow_aluo.sandbox.server import running

BODY = {"prompt": "Make it nice", "imageUrls": ["https://example.com/ref1.jpg"]}


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        ({"kind": "http_status"}, 503, '"message":"Service Unavailable"'),
        ({"kind": "http_status", "status": 401}, 401, '"code":-2'),
        ({"kind": "http_status", "status": 402, "message": "Pay"}, 402, '"message":"Pay"'),
        ({"kind": "http_status", "status": 402}, 402, '"code":402'),
        ({"kind": "http_status", "status": 500}, 500, '"code":500'),
        ({"kind": "http_status", "status": 500, "code": -1}, 500, '"code":-1'),
        ({"kind": "html", "status": 503}, 503, "<h1>503 Service Unavailable</h1>"),
        ({"kind": "http_status", "status": 599}, 599, '"message":"Unknown"'),
        ({"kind": "html"}, 502, "<h1>502 Bad Gateway</h1>"),
        ({"kind": "html", "status": 504, "message": "Zzz"}, 504, "<h1>504 Zzz</h1>"),
        ({"kind": "half_json"}, 200, '{"code": 0'),
        ({"kind": "empty"}, 200, ""),
        ({"kind": "empty", "status": 204}, 204, ""),
        ({"kind": "redirect"}, 302, ""),
        ({"kind": "success_false_200"}, 200, '"code":-1,"success":false'),
        ({"kind": "success_false_200", "code": 0}, 200, '"code":0,"success":false'),
        ({"kind": "wrong_shape"}, 200, '"data":[]'),
    ],
    ids=str,
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_reply_is_put_in_the_real_ones_place(
    customer: Any, fault: dict[str, Any], status: int, body: str, when: str
) -> None:
    customer.fault(**fault, when=when)
    reply = customer.post(BODY)
    assert reply.status_code == status
    assert body in reply.text
    assert customer.ledger["totals"]["accepted"] == (when == "after")
    assert customer.ledger["totals"]["refused"] == (when == "before")
    assert customer.post(BODY).status_code == 200


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        ({"kind": "http_status", "status": 401}, 401, '"code":-2'),
        ({"kind": "http_status", "status": 404}, 404, '"code":-1'),
        ({"kind": "html"}, 502, "<h1>502 Bad Gateway</h1>"),
        ({"kind": "half_json"}, 200, '{"code": 0'),
        ({"kind": "empty"}, 200, ""),
        ({"kind": "redirect"}, 302, ""),
        ({"kind": "success_false_200"}, 200, '"success":false'),
    ],
    ids=str,
)
def test_a_status_goes_wrong_as_often_as_asked_and_is_right_afterwards(
    customer: Any, fault: dict[str, Any], status: int, body: str
) -> None:
    aluo_task_id = customer.submit()
    customer.fault(**fault, on="status", times=2)
    for _ in range(2):
        reply = customer.look(aluo_task_id)
        assert reply.status_code == status
        assert body in reply.text
        assert len(reply.text) < 200
    assert customer.wait(aluo_task_id)["status"] == "SUCCESS"


@pytest.mark.parametrize("value", [None, "7", "86400", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_call_can_be_told_to_wait_with_any_retry_after_or_none(customer: Any, value: str | None) -> None:
    for on, call in (("generate", customer.post), ("status", lambda: customer.look("edit_1"))):
        customer.fault("http_status", on=on, status=429, retry_after=value)
        reply = call()
        assert (reply.status_code, reply.json()["code"]) == (429, -1)
        assert reply.headers.get("Retry-After") == value


@pytest.mark.parametrize("on", ["generate", "status"])
def test_a_redirect_points_where_it_was_told_to(customer: Any, on: str) -> None:
    customer.fault("redirect", on=on, location="http://127.0.0.1:9/there", status=307)
    reply = customer.post(BODY) if on == "generate" else customer.look("edit_1")
    assert (reply.status_code, reply.headers["Location"]) == (307, "http://127.0.0.1:9/there")


def test_a_call_can_be_slow(customer: Any) -> None:
    customer.fault("latency", on="status", seconds=0.2)
    started = time.monotonic()
    assert customer.look("edit_1").status_code == 404
    assert time.monotonic() - started > 0.2


def test_an_edit_can_fail_though_it_was_accepted(customer: Any) -> None:
    customer.fault("edit_fails", message="Too blurry", prompt="photo 2")
    first, second = (customer.wait(customer.submit(f"photo {n}")) for n in (1, 2))
    assert first["status"] == "SUCCESS"
    assert second == {"status": "FAILED", "error": "Too blurry"}
    customer.fault("edit_fails")
    assert customer.wait(customer.submit())["error"] == "The edit failed because a test asked for it"
    assert customer.ledger["totals"]["failed"] == 2
    assert customer.ledger["totals"]["charged"] == 35


def test_an_edit_can_fail_without_a_reason(customer: Any) -> None:
    customer.fault("edit_fails", message="")
    assert customer.wait(customer.submit()) == {"status": "FAILED"}
    assert customer.ledger["entries"][0]["failure"] == ""


@pytest.mark.parametrize("word", ["PENDING", "processing", "what?", "SUCCESS", "FAILED"])
def test_a_status_can_be_any_word_and_nothing_else(customer: Any, word: str) -> None:
    aluo_task_id = customer.submit()
    customer.wait(aluo_task_id)
    customer.fault("word", on="status", word=word, times=2)
    envelope = customer.look(aluo_task_id).json()
    assert (envelope["data"], envelope["credits_deducted"]) == ({"status": word}, 0)
    assert customer.look("edit_1").status_code == 404
    assert customer.look(aluo_task_id).json()["data"]["images"]


def test_an_edit_can_be_accepted_without_an_id(customer: Any) -> None:
    customer.fault("success_without_task_id")
    assert "taskId" not in customer.post(BODY).json()["data"]
    assert customer.ledger["totals"]["accepted"] == 1


def test_a_success_can_lack_its_pictures(customer: Any) -> None:
    aluo_task_id = customer.submit()
    customer.wait(aluo_task_id)
    customer.fault("success_without_pictures", on="status")
    assert customer.look(aluo_task_id).json()["data"] == {"status": "SUCCESS", "images": []}


@pytest.mark.parametrize(("when", "accepted"), [("before", 0), ("after", 1)])
def test_a_call_is_held_until_it_is_released(customer: Any, when: str, accepted: int) -> None:
    customer.fault("hold", when=when)
    replies: list[requests.Response] = []
    call = threading.Thread(target=lambda: replies.append(customer.post(BODY)))
    call.start()
    while not customer.control("GET", "faults")["held"]:
        time.sleep(0.01)
    assert customer.ledger["totals"]["accepted"] == accepted
    assert not replies
    assert customer.control("POST", "release") == {"released": 1}
    call.join()
    assert replies[0].status_code == 200
    assert customer.ledger["totals"]["accepted"] == 1


def test_a_look_that_is_never_answered_is_let_go_too(customer: Any) -> None:
    aluo_task_id = customer.submit("wait for me")
    customer.fault("hold", on="status", prompt="wait for me")
    with pytest.raises(requests.ReadTimeout):
        customer.look(aluo_task_id, timeout=0.2)
    while customer.control("GET", "faults")["held"] != 1:
        time.sleep(0.01)
    assert customer.wait(aluo_task_id)["status"] == "SUCCESS"
    assert customer.control("POST", "release") == {"released": 1}
    assert customer.wait(aluo_task_id)["status"] == "SUCCESS"


def test_a_picture_can_be_cut_short_behind_an_honest_length(customer: Any) -> None:
    (url,) = customer.edited()
    whole = requests.get(url, timeout=20).content
    customer.fault("truncated_picture", on="picture")
    half = requests.get(url, timeout=20)
    assert half.content == whole[: len(whole) // 2]
    assert half.headers["Content-Type"] == "image/png"
    assert int(half.headers["Content-Length"]) == len(half.content)


def test_a_picture_can_be_a_page(customer: Any) -> None:
    (url,) = customer.edited()
    customer.fault("html_picture", on="picture", prompt="nice")
    page = requests.get(url, timeout=20)
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")


def test_whoever_is_held_or_waits_hears_nothing_when_the_sandbox_ends() -> None:
    outcomes: list[BaseException | requests.Response] = []

    def call(url: str) -> None:
        try:
            outcomes.append(
                requests.post(url, json=BODY, headers={"Authorization": "Bearer sk-x"}, timeout=20)
            )
        except requests.ConnectionError as error:
            outcomes.append(error)

    with running(durations=1000, slow_post=True) as sandbox:
        for fault in ({"kind": "hold"}, {"kind": "latency", "seconds": 1000}):
            requests.post(f"{sandbox.control_url}/faults", json=fault, timeout=20)
        url = f"{sandbox.api_url}/photo-editor/generate"
        calls = [threading.Thread(target=call, args=[url]) for _ in range(3)]
        for one in calls:
            one.start()
        while len(sandbox.state.book.notes) < 3 or not sandbox.state.book.edits:
            time.sleep(0.01)
        started = time.monotonic()
    for one in calls:
        one.join()
    assert time.monotonic() - started < 4
    assert [type(outcome) for outcome in outcomes] == [requests.ConnectionError] * 3
