from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import pytest
import requests

from airflow_aluo.sandbox.accounts import digest
from airflow_aluo.sandbox.server import Running


def test_the_ledger_says_who_asked_for_what_and_what_it_cost(customer: Any) -> None:
    aluo_task_id = customer.submit("Make it blue", aspectRatio="1:1")
    customer.wait(aluo_task_id)
    ledger = customer.ledger
    (entry,) = ledger["entries"]
    assert entry["account"] == digest(customer.key)
    assert entry["prompt"] == "Make it blue"
    assert entry["parameters"] == {"aspectRatio": "1:1", "outputFormat": "png", "numImages": 1}
    assert entry["submitted_at"] <= entry["finished_at"]
    assert (entry["status"], entry["charged"]) == ("SUCCESS", 35)
    assert len(entry["inputs"][0]["sha256"]) == 64
    post, *looks = ledger["requests"]
    assert (post["method"], post["path"]) == ("POST", "/api/photo-editor/generate")
    assert {call["aluo_task_id"] for call in (post, *looks)} == {aluo_task_id}
    assert {call["http_status"] for call in (post, *looks)} == {200}


def test_the_ledger_never_holds_a_key(customer: Any) -> None:
    customer.submit()
    assert customer.key not in str(customer.ledger)


def test_the_ledger_tells_charges_apart(customer: Any, other_customer: Any) -> None:
    failed = customer.submit("cup 1", imageUrls=["http://127.0.0.1:9/photo.jpg"])
    paid = [one.submit("cup 2") for one in (customer, other_customer)]
    assert customer.wait(failed)["status"] == "FAILED"
    for one, aluo_task_id in zip((customer, other_customer), paid, strict=True):
        one.wait(aluo_task_id)
    ledger = customer.ledger
    ends = {entry["aluo_task_id"]: entry["finished_at"] for entry in ledger["entries"]}
    charges = [
        {
            "at": ends[aluo_task_id],
            "account": digest(key),
            "aluo_task_id": aluo_task_id,
            "prompt": "cup 2",
            "credits": 35,
        }
        for key, aluo_task_id in zip((customer.key, other_customer.key), paid, strict=True)
    ]
    assert ledger["charges"] == sorted(charges, key=lambda charge: float(charge["at"]))


def test_the_ledger_shows_who_asked_for_the_same_edit_twice(customer: Any, product_file: bytes) -> None:
    for name, prompt in (("a.png", "x"), ("b.png", "x"), ("b.png", "y")):
        assert customer.post(data={"prompt": prompt}, files={"file0": (name, product_file)}).ok
    ledger = customer.ledger
    first, second, third = (entry["fingerprint"] for entry in ledger["entries"])
    assert len(first) == 64
    assert first == second != third
    assert ledger["twice"] == 1
    assert customer.ledger_about("y")["twice"] == 0


def test_the_ledger_can_be_told_for_some_prompts_only(customer: Any) -> None:
    mine, other = customer.submit("mine & 1"), customer.submit("another's")
    (url,) = (image["url"] for image in customer.wait(mine)["images"])
    requests.get(url, timeout=20)
    customer.wait(other)
    for refused in ({"prompt": "mine & 2"}, {"prompt": "another's"}, {"prompt": 7}):
        assert customer.post(refused).status_code == 400
    customer.fault("html", on="status", prompt="mine")
    assert customer.look(mine).status_code == 502
    ledger = customer.ledger_about("mine &")
    assert [entry["aluo_task_id"] for entry in ledger["entries"]] == [mine]
    assert [charge["aluo_task_id"] for charge in ledger["charges"]] == [mine]
    assert ledger["totals"] == {"accepted": 1, "succeeded": 1, "failed": 0, "charged": 35, "refused": 1}
    calls = [(call["method"], call["aluo_task_id"], call["prompt"]) for call in ledger["requests"]]
    post, *looks_and_picture, refusal, page = calls
    assert (post, refusal) == (("POST", mine, "mine & 1"), ("POST", None, "mine & 2"))
    assert {*looks_and_picture, page} == {("GET", mine, "mine & 1")}
    assert ledger["requests"][-1]["http_status"] == 502
    assert customer.ledger["requests"][-2]["prompt"] is None


def test_a_prompt_that_no_reply_can_hold_leaves_the_ledger_readable(customer: Any) -> None:
    body = b'{"prompt": "\\ud800", "imageUrls": ["https://a/b"]}'
    headers = {**customer.headers, "Content-Type": "application/json"}
    assert customer.post(data=body, headers=headers).status_code == 400
    assert customer.ledger["requests"][0]["prompt"] is None


def test_an_emptied_ledger_is_empty_but_edits_go_on(customer: Any) -> None:
    aluo_task_id = customer.submit()
    assert customer.control("DELETE", "ledger")["totals"]["accepted"] == 0
    assert customer.wait(aluo_task_id)["status"] == "SUCCESS"
    assert customer.ledger["entries"] == []


def test_settings_can_be_read_and_changed(customer: Any) -> None:
    before = customer.control("GET", "settings")
    assert customer.control("PUT", "settings", {"speed": 500}) == {**before, "speed": 500}


@pytest.mark.parametrize("change", [{"sped": 3}, {"speed": -1}, {"durations": [2, 1]}], ids=str)
def test_a_bad_setting_is_refused_with_a_reason(sandbox: Running, change: dict[str, Any]) -> None:
    before = sandbox.state.settings
    reply = requests.put(f"{sandbox.control_url}/settings", json=change, timeout=20)
    assert reply.status_code == 422
    assert reply.json()["detail"][0]["loc"][0] in change
    assert sandbox.state.settings is before


def test_faults_can_be_ordered_seen_and_cleared(customer: Any) -> None:
    number = customer.control("POST", "faults", {"kind": "html", "times": None})["number"]
    listed = customer.control("GET", "faults")
    assert (listed["faults"][0]["number"], listed["held"]) == (number, 0)
    assert customer.control("DELETE", "faults") == {"faults": [], "held": 0}
    assert customer.control("GET", "faults")["faults"] == []


def test_faults_can_be_cleared_for_some_prompts_only(customer: Any) -> None:
    for aim in ({"prompt": "[cup] 1"}, {"prompt": "[cup] 2"}, {"prompt": "[jug] 1"}, {}):
        customer.fault("html", times=None, **aim)
    left = customer.control("DELETE", f"faults?{urlencode({'prompt': '[cup]'})}")
    assert [fault.get("prompt") for fault in left["faults"]] == ["[jug] 1", None]
    assert customer.control("GET", "faults") == left
    assert customer.control("DELETE", "faults")["faults"] == []


def test_a_call_that_is_held_stays_held_when_its_fault_is_cleared(customer: Any) -> None:
    for path in ("faults?prompt=mine", "faults"):
        customer.fault("hold", prompt="mine")
        customer.fault("hold", prompt="mine", on="status")
        with ThreadPoolExecutor(1) as pool:
            post = pool.submit(customer.submit, "mine")
            while customer.control("GET", "faults")["held"] == 0:
                assert not post.done()
            assert customer.control("DELETE", path) == {"faults": [], "held": 1}
            assert not post.done()
            assert customer.control("POST", "release") == {"released": 1}
            assert customer.look(post.result()).ok


def test_a_fault_that_makes_no_sense_is_refused_with_a_reason(sandbox: Running) -> None:
    fault = {"kind": "edit_fails", "on": "picture"}
    reply = requests.post(f"{sandbox.control_url}/faults", json=fault, timeout=20)
    assert reply.status_code == 422
    assert "edit_fails can only be on generate" in reply.text


def test_accounts_can_be_made_seen_and_closed(customer: Any) -> None:
    made = customer.control("PUT", "accounts/sk-made", {"plan": "max", "balance": 7})
    assert made == {"account": digest("sk-made"), "plan": "max", "balance": 7, "reserved": 0, "price": 35}
    assert customer.control("PUT", "accounts/sk-made", {"balance": 8})["plan"] == "max"
    assert customer.control("GET", "accounts/sk-made")["balance"] == 8
    customer.control("DELETE", "accounts/sk-made")
    reply = requests.get(f"{customer.sandbox.control_url}/accounts/sk-made", timeout=20)
    assert reply.status_code == 404


def test_a_deleted_key_is_refused_at_once(customer: Any) -> None:
    customer.control("DELETE", f"accounts/{customer.key}")
    assert customer.look("edit_1").status_code == 401


def test_whoever_looks_at_the_faults_sees_no_key(customer: Any) -> None:
    customer.fault("drop_upload", key=customer.key)
    assert customer.control("GET", "faults")["faults"][0]["key"] == digest(customer.key)


def test_a_new_key_finds_the_edits_of_the_old_one_which_is_refused_at_once(customer: Any) -> None:
    customer.control("PUT", f"accounts/{customer.key}", {"plan": "free", "balance": 79})
    customer.control("PUT", "settings", {"durations": 300})
    aluo_task_id, old, new = customer.submit(), customer.key, f"{customer.key}-new"
    rotated = customer.control("POST", f"accounts/{old}/rotate", {"new_key": new})
    assert rotated == {"account": digest(old), "plan": "free", "balance": 79, "reserved": 40, "price": 40}
    assert customer.look(aluo_task_id).status_code == 401
    customer.use(new)
    assert customer.wait(aluo_task_id)["status"] == "SUCCESS"
    assert customer.control("GET", f"accounts/{new}")["balance"] == 39
    assert {charge["account"] for charge in customer.ledger["charges"]} == {digest(old)}


@pytest.mark.parametrize(
    ("key", "new_key", "status"),
    [
        ("sk-unseen", "sk-other", 404),
        ("sk-here", "sk-there", 409),
        ("sk-here", "sk-here", 409),
        ("sk-here", "pk-other", 422),
        ("sk-here", None, 422),
    ],
)
def test_a_key_is_changed_only_from_one_that_opens_to_one_that_does_not(
    customer: Any, key: str, new_key: str | None, status: int
) -> None:
    for known in ("sk-here", "sk-there"):
        customer.control("PUT", f"accounts/{known}", {})
    url = f"{customer.sandbox.control_url}/accounts/{key}/rotate"
    assert requests.post(url, json={"new_key": new_key}, timeout=20).status_code == status
    assert customer.sandbox.state.accounts.knows("sk-here")
    assert not customer.sandbox.state.accounts.knows("sk-other")


def test_a_photo_can_be_put_where_an_edit_finds_it(customer: Any, product_file: bytes) -> None:
    reply = requests.post(f"{customer.sandbox.control_url}/uploads", data=product_file, timeout=20)
    assert reply.status_code == 201
    url = reply.json()["url"]
    assert requests.get(url, timeout=20).content == product_file
    assert len(customer.edited(imageUrls=[url])) == 1


def test_what_is_no_photo_cannot_be_put(sandbox: Running) -> None:
    reply = requests.post(f"{sandbox.control_url}/uploads", data=b"no photo", timeout=20)
    assert reply.status_code == 400
