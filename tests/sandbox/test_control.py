from typing import Any

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


def test_a_photo_can_be_put_where_an_edit_finds_it(customer: Any, product_file: bytes) -> None:
    reply = requests.post(f"{customer.sandbox.control_url}/uploads", data=product_file, timeout=20)
    assert reply.status_code == 201
    url = reply.json()["url"]
    assert requests.get(url, timeout=20).content == product_file
    assert len(customer.edited(imageUrls=[url])) == 1


def test_what_is_no_photo_cannot_be_put(sandbox: Running) -> None:
    reply = requests.post(f"{sandbox.control_url}/uploads", data=b"no photo", timeout=20)
    assert reply.status_code == 400
