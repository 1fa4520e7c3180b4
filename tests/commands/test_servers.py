"""`airflow aluo sandbox` and `airflow aluo demo`: the modules' own commands, in their own processes."""

import signal
import subprocess
import sys
from typing import Any

import pytest
import requests

from tests.which_airflow import needs_provider_commands

pytestmark = needs_provider_commands


def test_the_sandbox_serves_until_ctrl_c(started: Any) -> None:
    command = started("sandbox", "--port", "0", "--plan", "max", "--balance", "7")
    line = command.process.stdout.readline()
    url = line.removeprefix("sandbox: ").strip().removesuffix("/api")
    accounts = requests.get(f"{url}/sandbox/settings", timeout=20)
    assert accounts.status_code == 200
    command.process.send_signal(signal.SIGINT)
    assert command.ended().code == 0


def test_the_demo_is_the_modules_own_command(started: Any) -> None:
    ended = started("demo", "--help").ended()
    own = subprocess.run(
        [sys.executable, "-m", "airflow_aluo.demo", "--help"], capture_output=True, text=True, check=True
    )
    typed = own.stdout.replace("python -m airflow_aluo.demo", "airflow aluo demo")
    assert ended.code == 0
    assert ended.out.split() == typed.split()


@pytest.mark.parametrize("name", ["sandbox", "demo"])
def test_the_help_names_the_command_as_it_was_typed(started: Any, name: str) -> None:
    ended = started(name, "--help").ended()
    assert ended.out.startswith(f"usage: airflow aluo {name} [-h]")
    wrong = started(name, "--no-such-option").ended()
    assert wrong.code == 2
    assert f"airflow aluo {name}: error: " in wrong.err
