"""`airflow aluo status`, against the sandbox."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from airflow_aluo.hooks.aluo import AluoHook
from airflow_aluo.protocol.record import parse
from tests.which_airflow import needs_provider_commands


@pytest.fixture
def edit(sandbox: Any) -> str:
    """The id of an edit that Aluo has accepted."""
    aluo_task_id = AluoHook().generate("Blue", image_urls=sandbox.photo)["aluo_task_id"]
    assert aluo_task_id is not None
    return aluo_task_id


@pytest.fixture
def finished(edit: str) -> str:
    """The id of an edit that has succeeded."""
    AluoHook().wait_for_completion(edit, poll_interval=0.1)
    return edit


@pytest.fixture
def running(edit: str, sandbox: Any) -> str:
    """The id of an edit that does not end."""
    sandbox.fault("word", on="status", word="PROCESSING", times=None)
    return edit


@needs_provider_commands
def test_a_finished_edit_says_so_and_how_to_get_its_pictures(airflow_aluo: Any, finished: str) -> None:
    ended = airflow_aluo("status", finished)
    assert (ended.code, ended.out) == (0, f"{finished} is SUCCESS\n")
    assert ended.err == "It has 1 picture; --output FOLDER saves them\n"


@needs_provider_commands
def test_a_finished_edits_pictures_land(airflow_aluo: Any, finished: str, tmp_path: Path) -> None:
    for _ in range(2):  # the second time, they are there
        ended = airflow_aluo("status", finished, "--output", "there")
        assert (ended.code, ended.out) == (0, f"{tmp_path / 'there' / finished}-0.png\n")


@needs_provider_commands
def test_a_running_edit_is_no_failure(airflow_aluo: Any, running: str) -> None:
    ended = airflow_aluo("status", running)
    assert (ended.code, ended.out, ended.err) == (0, f"{running} is PROCESSING\n", "")
    record = parse(json.loads(airflow_aluo("status", running, "--json").out))
    assert (record["status"], record["times"]["completed_at"]) == ("PROCESSING", None)


@needs_provider_commands
def test_a_running_edit_has_nothing_to_land(airflow_aluo: Any, running: str, tmp_path: Path) -> None:
    ended = airflow_aluo("status", running, "--output", ".")
    assert (ended.code, ended.out) == (1, f"{running} is PROCESSING\n")
    assert "--wait waits for it" in ended.err
    assert list(tmp_path.iterdir()) == []


@needs_provider_commands
def test_wait_waits_until_the_pictures_are_there(
    airflow_aluo: Any, edit: str, sandbox: Any, tmp_path: Path
) -> None:
    sandbox.fault("word", on="status", word="PROCESSING", times=2)
    ended = airflow_aluo("status", edit, "--wait", "--output", ".", "--json", "--poll-interval", "0.1")
    record = parse(json.loads(ended.out))
    assert [file["path"] for file in record["files"]] == [str(tmp_path / f"{edit}-0.png")]
    assert ended.err.count("is PROCESSING") == 1  # a change, not each look


@needs_provider_commands
def test_a_wait_that_ends_too_early_says_how_to_wait_again(airflow_aluo: Any, running: str) -> None:
    words = ["status", running, "--wait", "--timeout", "0.2", "--poll-interval", "0.1"]
    ended = airflow_aluo(*words)
    assert (ended.code, ended.out) == (1, "")
    assert shlex.split(ended.err.splitlines()[-1])[2:] == words


@needs_provider_commands
@pytest.mark.parametrize("more", [(), ("--wait", "--poll-interval", "0.1")])
def test_a_failed_edit_ends_with_1(airflow_aluo: Any, sandbox: Any, more: tuple[str, ...]) -> None:
    sandbox.fault("edit_fails", message="too dark")
    edit = AluoHook().generate("Blue", image_urls=sandbox.photo)["aluo_task_id"]
    while "FAILED" not in (ended := airflow_aluo("status", edit, "--json", *more)).out:
        assert ended.code == 0
    assert ended.code == 1
    assert parse(json.loads(ended.out))["error"]["message"] == (
        f"edit {edit} ended FAILED: too dark; Aluo takes no credits for it"
    )


@needs_provider_commands
@pytest.mark.usefixtures("sandbox")
def test_an_id_that_aluo_does_not_know_ends_with_1(airflow_aluo: Any) -> None:
    ended = airflow_aluo("status", "edit_of_nobody")
    assert (ended.code, ended.out) == (1, "")
    assert "HTTP 404" in ended.err


@needs_provider_commands
@pytest.mark.parametrize("words", [("",), ("edit_1", "--output", "/dev/null/out")])
def test_bad_input_ends_with_2_and_asks_nobody(
    airflow_aluo: Any, sandbox: Any, words: tuple[str, ...]
) -> None:
    ended = airflow_aluo("status", *words)
    assert (ended.code, ended.out) == (2, "")
    assert sandbox.calls == []
