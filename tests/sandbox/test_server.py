import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import requests
from pydantic import ValidationError

from airflow_aluo.sandbox import vendor
from airflow_aluo.sandbox.server import Running, create_app, running
from airflow_aluo.sandbox.state import State


def test_the_sandbox_imports_no_airflow() -> None:
    code = (
        "import sys, airflow_aluo.sandbox.__main__;"
        "print([m for m in sys.modules if m == 'airflow' or m.startswith('airflow.')])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_several_sandboxes_run_side_by_side() -> None:
    with running() as one, running(speed=3) as other:
        assert one.api_url != other.api_url
        speeds = [
            requests.get(f"{box.control_url}/settings", timeout=20).json()["speed"] for box in (one, other)
        ]
    assert speeds == [1, 3]


def test_a_sandbox_that_has_ended_listens_no_more_and_leaves_no_files() -> None:
    with running() as sandbox:
        folder = Path(sandbox.state.pictures._folder)
        assert folder.is_dir()
    assert not folder.exists()
    with pytest.raises(requests.ConnectionError):
        requests.get(sandbox.api_url, timeout=20)


def test_an_edit_under_way_does_not_keep_the_sandbox_from_ending() -> None:
    with running(durations=1000) as sandbox:
        body = {"prompt": "x", "imageUrls": ["https://example.com/a.jpg"]}
        headers = {"Authorization": "Bearer sk-x"}
        for _ in range(6):
            requests.post(f"{sandbox.api_url}/photo-editor/generate", json=body, headers=headers, timeout=20)
    assert not sandbox.state.work


def test_a_setting_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError), running(sped=3):
        pass


def test_ids_are_never_given_twice(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.dice = MagicMock(randint=MagicMock(side_effect=[100_000_007, 100_000_007, 100_000_008]))
    state.book.edits[state.new_id()] = MagicMock()
    assert state.new_id() == "edit_100000008"


def test_a_crash_is_answered_in_the_vendors_envelope(
    sandbox: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(vendor, "_authorise", broken)
    reply = requests.get(f"{sandbox.api_url}/photo-editor/status?taskId=edit_1", timeout=20)
    assert reply.status_code == 500
    assert reply.json() == {
        "code": 500,
        "success": False,
        "message": "Server error",
        "error": "ZeroDivisionError",
    }


async def test_the_app_bears_a_server_that_speaks_the_lifespan_protocol(tmp_path: Path) -> None:
    told = iter(["lifespan.startup", "lifespan.shutdown"])
    answers = []

    async def receive() -> Any:
        return {"type": next(told)}

    async def send(message: Any) -> None:
        answers.append(message["type"])

    await create_app(State(tmp_path))({"type": "lifespan"}, receive, send)
    assert answers == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
