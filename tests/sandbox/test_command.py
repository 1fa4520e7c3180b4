import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from airflow_aluo.sandbox.__main__ import main

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "airflow_aluo.sandbox"]


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The real command, and what it said when it was ready."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline()
        finally:
            process.kill()


def ended(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    """Exit code, the rest of stdout, and stderr."""
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_when_it_is_ready_and_ends_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    with started("--speed", "100", "--data", str(tmp_path / "data")) as (process, line):
        url = re.fullmatch(r"sandbox: (http://127\.0\.0\.1:\d+/api)\n", line)
        assert url is not None
        body = {"prompt": "x", "imageUrls": ["https://example.com/a.jpg?signature=secret"]}
        headers = {"Authorization": "Bearer sk-secret"}
        generate = f"{url.group(1)}/photo-editor/generate"
        assert requests.post(generate, json=body, headers=headers, timeout=20).status_code == 200
        while not list((tmp_path / "data").glob("edit_*.png")):
            time.sleep(0.02)
        code, out, err = ended(process, number)
    assert (code, out) == (0, "")
    assert "edits the stand-in coffee.jpg" in err
    assert "Traceback" not in err
    assert "secret" not in err


def test_it_ends_cleanly_while_calls_are_held_and_edits_run() -> None:
    with started("--slow-post") as (process, line):
        base = line.split()[1].removesuffix("/api")
        body = {"prompt": "x", "imageUrls": ["https://example.com/a.jpg"]}
        headers = {"Authorization": "Bearer sk-x"}
        requests.post(f"{base}/sandbox/faults", json={"kind": "hold"}, timeout=20)

        def call() -> None:
            with pytest.raises(requests.ConnectionError):
                requests.post(f"{base}/api/photo-editor/generate", json=body, headers=headers, timeout=20)

        calls = [threading.Thread(target=call) for _ in range(2)]
        for one in calls:
            one.start()
        while not requests.get(f"{base}/sandbox/ledger", timeout=20).json()["entries"]:
            time.sleep(0.02)
        code, _, err = ended(process, signal.SIGTERM)
        for one in calls:
            one.join()
    assert code == 0
    assert "Traceback" not in err


def test_options_set_accounts_and_settings() -> None:
    arguments = ["--strict", "--account", "sk-a:b:free:41", "--account", "sk-c:max:7", "--rate-window", "5"]
    with started(*arguments, "--no-rate-limit", "--host", "localhost", "--balance", "9") as (process, line):
        base = line.split()[1].removesuffix("/api")
        assert requests.get(f"{base}/sandbox/accounts/sk-a:b", timeout=20).json()["balance"] == 41
        assert requests.get(f"{base}/sandbox/accounts/sk-c", timeout=20).json()["plan"] == "max"
        assert requests.get(f"{base}/sandbox/accounts/sk-new", timeout=20).status_code == 404
        settings = requests.get(f"{base}/sandbox/settings", timeout=20).json()
        assert (settings["rate_window"], settings["rate_limit"]) == (5, False)
        assert ended(process, signal.SIGINT)[0] == 0


def test_a_taken_port_is_one_clear_line() -> None:
    with started() as (_, line):
        port = line.rpartition(":")[2].removesuffix("/api\n")
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        told = subprocess.run(
            [*COMMAND, "--port", port], env=environment, capture_output=True, text=True, check=False
        )
    assert told.returncode == 1
    assert told.stdout == ""
    assert told.stderr == f"sandbox: port {port} cannot be used: Address already in use\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--host", "0.0.0.0"], "0.0.0.0 is not this machine"),
        (["--port", "70000"], "70000 is not a port"),
        (["--port", "x"], "x is not a port"),
        (["--speed", "0"], "speed: Input should be greater than 0"),
        (["--rate-window", "nan"], "rate_window"),
        (["--account", "sk-a"], "sk-a is not KEY:PLAN:BALANCE"),
        (["--account", "sk-a:gold:3"], "sk-a:gold:3 is not KEY:PLAN:BALANCE"),
        (["--account", "sk-a:free:x"], "sk-a:free:x is not KEY:PLAN:BALANCE"),
        (["--plan", "gold"], "invalid choice"),
        (["--balance", "-1"], "-1 is not a number of credits"),
    ],
    ids=str,
)
def test_an_option_that_makes_no_sense_is_explained(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended_with:
        main(arguments)
    assert ended_with.value.code == 2
    assert problem in capsys.readouterr().err
