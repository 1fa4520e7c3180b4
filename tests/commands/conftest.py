"""Runs commands: in this process as `airflow` would, or as a process of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from airflow_aluo.demo.settings import clean_environment

AIRFLOW = [sys.executable, "-m", "airflow"]
#: Seconds until a process that says nothing is given up.
PATIENCE = 60.0


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def airflow_aluo(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run `airflow aluo …` in this process, by Airflow's own parser; nobody is at the terminal."""
    from airflow.cli.cli_parser import get_parser

    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")  # a command sets it; undone after the test
    monkeypatch.chdir(tmp_path)

    def run(*words: Any) -> Ended:
        code = 0
        capsys.readouterr()  # what others have said before
        try:
            args = get_parser().parse_args(["aluo", *map(str, words)])
            args.func(args)
        except SystemExit as end:
            code = int(end.code or 0)
        seen = capsys.readouterr()
        return Ended(code, seen.out, seen.err)

    return run


class Started:
    """A command in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.said = ""

    def hears(self, text: str) -> str:
        """Wait until it has said something on standard error; return the line."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if text in line:
                return line
        raise AssertionError(f"it never said {text!r}: {self.said}")

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def ended(self) -> Ended:
        out, err = self.process.communicate(timeout=PATIENCE)
        return Ended(self.process.returncode, out, self.said + err)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """Start `airflow aluo …` as a process of its own, in the test's folder."""
    processes = []

    def start(*words: Any, **environment: str) -> Started:
        process = subprocess.Popen(
            [*AIRFLOW, "aluo", *map(str, words)],
            cwd=tmp_path,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            text=True,
        )
        processes.append(process)
        return Started(process)

    yield start
    for process in processes:
        with process:
            process.kill()


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of an Airflow whose SQLite database is there, and empty."""
    home = tmp_path_factory.mktemp("airflow-home")
    subprocess.run(
        [*AIRFLOW, "db", "migrate"],
        env=clean_environment() | {"AIRFLOW_HOME": str(home)},
        check=True,
        capture_output=True,
    )
    return home


@pytest.fixture
def patiently() -> Callable[[], None]:
    """Call it in a loop: it sleeps a little, and gives up in the end."""
    deadline = time.monotonic() + PATIENCE

    def again() -> None:
        assert time.monotonic() < deadline, "what is waited for never came"
        time.sleep(0.05)

    return again
