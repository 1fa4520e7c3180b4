"""One real Airflow and one sandbox for all tests of this folder."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_aluo.demo.aluo import connection_environment, start_sandbox
from airflow_aluo.demo.local_airflow import LocalAirflow
from airflow_aluo.demo.processes import Processes

#: An edit of 10 to 30 seconds takes a tenth to a third of one.
SPEED = 100
#: Seconds that a process gets to write its coverage before it is killed.
GRACE = 10.0


@dataclass(frozen=True)
class Sandbox:
    """The pretend Aluo: `url` is the base URL of its API."""

    url: str

    def control(self, method: str, path: str, json: Any = None) -> Any:
        """Ask the sandbox's own endpoints: `control("POST", "faults", {...})`."""
        root = self.url.removesuffix("/api")
        answer = requests.request(method, f"{root}/sandbox/{path}", json=json, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def ledger(self) -> Any:
        """Everything that was accepted, asked and charged."""
        return self.control("GET", "ledger")


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Processes of the session's folder; all end with the session."""
    with Processes(tmp_path_factory.mktemp("airflow"), grace=GRACE) as processes:
        yield processes


@pytest.fixture(scope="session")
def sandbox(processes: Processes) -> Sandbox:
    """A quick sandbox that never says 429 by itself."""
    return Sandbox(start_sandbox(processes, "--speed", str(SPEED), "--no-rate-limit"))


@pytest.fixture(scope="session")
def airflow(processes: Processes, sandbox: Sandbox) -> Iterator[LocalAirflow]:
    """A real Airflow with the example DAGs, whose connection `aluo_default` is the sandbox.

    A test may add files to `airflow.dags_folder`, a copy; they are found within seconds.
    """
    folder = processes.home / "dags"
    shutil.copytree(Path(__file__).parents[2] / "dags_examples", folder)
    # What our code does in Airflow's processes counts for the coverage.
    measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    with LocalAirflow(
        processes.home,
        dags_folder=folder,
        environment={**connection_environment(sandbox.url), **measured},
        processes=processes,
    ) as airflow:
        yield airflow
