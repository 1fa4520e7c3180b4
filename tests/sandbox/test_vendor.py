import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests

from airflow_aluo.sandbox.server import Running, running
from airflow_aluo.sandbox.shelf import PHOTOS

SCHEMAS = Path(__file__).parents[2] / "schemas"
BODY = {"prompt": "Make it nice", "imageUrls": ["https://example.com/ref1.jpg"]}


def checked(reply: requests.Response, schema: str) -> Any:
    jsonschema.validate(reply.json(), json.loads((SCHEMAS / f"{schema}.schema.json").read_text()))
    return reply.json()


def test_the_reply_to_a_post_has_the_vendors_fields(customer: Any) -> None:
    reply = customer.post({**BODY, "aspectRatio": "1:1", "numImages": 2})
    envelope = checked(reply, "generate_reply")
    aluo_task_id = envelope["data"].pop("taskId")
    assert aluo_task_id.startswith("edit_")
    assert len(aluo_task_id) == len("edit_123456789")
    assert envelope == {
        "code": 0,
        "success": True,
        "data": {
            "provider": "sandbox",
            "model": "default",
            "prompt": "Make it nice",
            "aspectRatio": "1:1",
            "inputImages": ["https://example.com/ref1.jpg"],
            "numImages": 2,
        },
        "credits_deducted": 0,
        "credits_remaining": 10_000,
    }


def test_an_edit_runs_for_a_while_and_then_shows_its_pictures(customer: Any) -> None:
    customer.control("PUT", "settings", {"durations": 3000})
    started = time.monotonic()
    aluo_task_id = customer.submit(numImages=2)
    running_reply = checked(customer.look(aluo_task_id), "status_reply")
    assert running_reply["data"] == {"status": "PROCESSING"}
    data = customer.wait(aluo_task_id)
    assert time.monotonic() - started > 3.0
    assert data["status"] == "SUCCESS"
    assert len(data["images"]) == 2
    envelope = checked(customer.look(aluo_task_id), "status_reply")
    assert (envelope["credits_deducted"], envelope["credits_remaining"]) == (35, 9965)


def test_a_slow_post_returns_a_finished_edit(customer: Any) -> None:
    customer.control("PUT", "settings", {"slow_post": True, "durations": 300})
    started = time.monotonic()
    reply = customer.post(BODY)
    assert time.monotonic() - started > 0.3
    assert (reply.json()["credits_deducted"], reply.json()["credits_remaining"]) == (35, 9965)
    assert customer.look(reply.json()["data"]["taskId"]).json()["data"]["status"] == "SUCCESS"


def test_the_running_word_can_be_any_other(customer: Any) -> None:
    customer.control("PUT", "settings", {"running_word": "QUEUED", "durations": 1000})
    assert customer.look(customer.submit()).json()["data"]["status"] == "QUEUED"


def test_ids_can_be_numbers(customer: Any) -> None:
    customer.control("PUT", "settings", {"task_id_type": "number"})
    aluo_task_id = customer.post(BODY).json()["data"]["taskId"]
    assert isinstance(aluo_task_id, int)
    assert customer.wait(str(aluo_task_id))["status"] == "SUCCESS"


def test_uploaded_photos_are_taken_and_served(customer: Any, product_file: bytes) -> None:
    files = {"file1": ("b.png", product_file), "file0": ("a.jpg", (PHOTOS / "rocket.jpg").read_bytes())}
    fields = {"prompt": "Make it blue", "numImages": "3", "outputFormat": "webp", "unknown": "x"}
    reply = customer.post(data=fields, files=files)
    data = checked(reply, "generate_reply")["data"]
    assert data["numImages"] == 1
    first, second = (requests.get(address, timeout=20).content for address in data["inputImages"])
    assert first == (PHOTOS / "rocket.jpg").read_bytes()
    assert second == product_file
    (image,) = customer.wait(data["taskId"])["images"]
    assert image["url"].endswith(".webp")
    (entry,) = customer.ledger["entries"]
    assert [one["name"] for one in entry["inputs"]] == ["a.jpg", "b.png"]
    assert entry["inputs"][1]["sha256"] == hashlib.sha256(product_file).hexdigest()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "At least one image URL is required"),
        ({f"file{n}": ("a.png", b"x") for n in range(6)}, "Maximum 5 images allowed"),
        ({"file0": ("a.png", b"no picture")}, "file0 is not a picture"),
        ({"file0": ("a.png", b"0" * (20 * 1024**2 + 1))}, "file0 is larger than 20 MB"),
    ],
    ids=["none", "six", "no picture", "too large"],
)
def test_a_bad_form_is_refused(customer: Any, files: Any, message: str) -> None:
    reply = customer.post(data={"prompt": "x"}, files={**files, "other": ("a.png", b"x")})
    assert reply.status_code == 400
    assert checked(reply, "error_reply")["message"] == message


@pytest.mark.parametrize(
    ("content_type", "body", "message"),
    [
        ("application/json", b"{", "The request body is not valid JSON"),
        ("application/json", b"\xff", "The request body is not valid JSON"),
        ("application/json", b"[" * 100_000, "The request body is not valid JSON"),
        ("application/json", b'{"imageUrls": ["https://a/b"]}', "Prompt is required"),
        ("multipart/form-data", b"", "The form cannot be read"),
        ("multipart/form-data; boundary=x", b"no form", "The form cannot be read"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nno name\r\n--x--\r\n", "The form cannot be read"),
        (
            "multipart/form-data; boundary=x; charset=none",
            b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n\xff\r\n--x--\r\n',
            "At least one image URL is required",
        ),
        ("text/plain", b"", "Content-Type must be application/json or multipart/form-data"),
        ("", b"", "Content-Type must be application/json or multipart/form-data"),
    ],
    ids=str,
)
def test_a_body_that_cannot_be_read_is_refused(
    customer: Any, content_type: str, body: bytes, message: str
) -> None:
    reply = customer.post(data=body, headers={**customer.headers, "Content-Type": content_type})
    assert reply.status_code == 400
    assert checked(reply, "error_reply")["message"] == message
    assert reply.json()["code"] == -1


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer pk-other", "Basic sk-a-test", "sk-a-test"], ids=repr
)
def test_without_a_good_key_nothing_is_answered(customer: Any, authorization: str) -> None:
    customer.headers = {"Authorization": authorization}
    for reply in (customer.post(BODY), customer.look("edit_1")):
        assert reply.status_code == 401
        assert checked(reply, "error_reply")["code"] == -2
    assert customer.ledger["totals"]["refused"] == 1


def test_the_key_is_looked_at_before_the_request() -> None:
    with running(strict=True) as sandbox:
        reply = requests.post(f"{sandbox.api_url}/photo-editor/generate", data=b"{", timeout=20)
    assert reply.status_code == 401


def test_without_enough_credits_nothing_is_accepted(customer: Any) -> None:
    customer.control("PUT", f"accounts/{customer.key}", {"plan": "free", "balance": 79})
    customer.control("PUT", "settings", {"durations": 300})
    first = customer.submit()
    reply = customer.post(BODY)
    assert reply.status_code == 402
    assert checked(reply, "error_reply")["code"] == 402
    assert reply.json()["message"] == "Insufficient credits"
    customer.wait(first)
    assert customer.ledger["totals"] == {
        "accepted": 1,
        "succeeded": 1,
        "failed": 0,
        "charged": 40,
        "refused": 1,
    }
    assert customer.control("GET", f"accounts/{customer.key}")["balance"] == 39


def test_many_submits_at_once_cannot_spend_a_credit_twice(customer: Any, product_file: bytes) -> None:
    customer.control("PUT", f"accounts/{customer.key}", {"plan": "pro", "balance": 105})
    with ThreadPoolExecutor(8) as pool:
        posts = [
            pool.submit(customer.post, data={"prompt": "x"}, files={"file0": ("a.png", product_file)})
            for _ in range(8)
        ]
    statuses = sorted(post.result().status_code for post in posts)
    assert statuses == [200] * 3 + [402] * 5


def test_a_failed_edit_says_so_and_costs_nothing(customer: Any) -> None:
    aluo_task_id = customer.submit(imageUrls=["http://127.0.0.1:9/photo.jpg"])
    data = customer.wait(aluo_task_id)
    assert data["status"] == "FAILED"
    assert "cannot be fetched" in data["error"]
    checked(customer.look(aluo_task_id), "status_reply")
    assert customer.ledger["totals"]["charged"] == 0
    assert customer.ledger["entries"][0]["failure"] == data["error"]


def test_a_photo_that_breaks_the_drawing_code_fails_its_edit(
    customer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ArithmeticError("no")

    monkeypatch.setattr("airflow_aluo.sandbox.state.edit_photos", broken)
    assert customer.wait(customer.submit())["error"] == "The sandbox could not edit this photo"


def test_an_unknown_edit_and_somebody_elses_are_not_found(customer: Any, other_customer: Any) -> None:
    theirs = other_customer.submit()
    for aluo_task_id in ("edit_123456789", theirs):
        reply = customer.look(aluo_task_id)
        assert reply.status_code == 404
        assert checked(reply, "error_reply")["code"] == -1


def test_a_look_without_an_id_is_refused(customer: Any) -> None:
    reply = customer.look("")
    assert (reply.status_code, reply.json()["message"]) == (400, "taskId is required")


@pytest.mark.parametrize(("plan", "calls"), [("free", 10), ("pro", 100)])
def test_too_many_calls_are_told_how_long_to_wait(customer: Any, plan: str, calls: int) -> None:
    customer.control("PUT", f"accounts/{customer.key}", {"plan": plan})
    customer.control("PUT", "settings", {"rate_window": 600})
    statuses = [customer.look("edit_1").status_code for _ in range(calls + 1)]
    assert statuses == [404] * calls + [429]
    reply = customer.post(BODY)
    assert reply.status_code == 429
    assert checked(reply, "error_reply")["code"] == -1
    assert 500 < int(reply.headers["Retry-After"]) <= 600
    customer.control("PUT", "settings", {"rate_limit": False})
    assert customer.post(BODY).status_code == 200


def test_what_is_under_api_but_not_the_vendors_is_refused_in_the_vendors_envelope(sandbox: Running) -> None:
    reply = requests.get(f"{sandbox.api_url}/other", timeout=20)
    assert (reply.status_code, checked(reply, "error_reply")["code"]) == (404, -1)
    reply = requests.get(f"{sandbox.api_url}/photo-editor/generate", timeout=20)
    assert (reply.status_code, reply.headers["Allow"]) == (405, "POST")
