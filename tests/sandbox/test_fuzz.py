"""Whatever is sent to the vendor's two endpoints, the answer is an envelope and never a crash."""

from pathlib import Path

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from airflow_aluo.sandbox.server import Running, create_app
from airflow_aluo.sandbox.state import State

# Schemathesis makes the cases; its pytest plugin is left out, as it leans on pytest's inside.
API = schemathesis.openapi.from_dict(create_app(State(Path())).openapi())
OPERATIONS = [found.ok() for found in API.include(path_regex="^/api/").get_all_operations()]


@pytest.fixture
def tireless_sandbox(sandbox: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    def drawn(*_: object) -> tuple[bytes]:
        return (b"a picture",)

    # Many edits are accepted here; drawing them would say nothing about the endpoints.
    monkeypatch.setattr("airflow_aluo.sandbox.state.edit_photos", drawn)
    requests.put(f"{sandbox.control_url}/settings", json={"rate_limit": False}, timeout=20)
    requests.put(f"{sandbox.control_url}/accounts/sk-fuzz", json={"balance": 10**9}, timeout=20)
    return sandbox


def test_both_of_the_vendors_endpoints_are_described() -> None:
    assert [operation.label for operation in OPERATIONS] == [
        "POST /api/photo-editor/generate",
        "GET /api/photo-editor/status",
    ]


@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@given(
    case=st.one_of(
        operation.as_strategy(generation_mode=mode)
        for operation in OPERATIONS
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    ),
    headers=st.sampled_from([{"Authorization": "Bearer sk-fuzz"}, {}]),
)
def test_every_answer_is_an_envelope(
    tireless_sandbox: Running, case: schemathesis.Case, headers: dict[str, str]
) -> None:
    reply = case.call(base_url=tireless_sandbox.base_url, headers=headers)
    assert reply.status_code in {200, 400, 401, 404, 405}
    envelope = reply.json()
    assert envelope["success"] is (reply.status_code == 200)
    assert envelope["code"] == {200: 0, 401: -2}.get(reply.status_code, -1)
