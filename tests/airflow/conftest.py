"""One real Airflow and one sandbox for all tests of this folder, and the systems that examples publish to."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import pytest
import requests

from airflow_aluo.demo.aluo import connection_environment, start_sandbox
from airflow_aluo.demo.local_airflow import LocalAirflow
from airflow_aluo.demo.processes import Processes
from airflow_aluo.demo.settings import LOOPBACK
from tests.servers.s3 import Store

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


@dataclass(frozen=True)
class Cms:
    """A CMS that takes whatever it is sent: `requests` holds method, path, content type and JSON of each."""

    url: str
    requests: list[tuple[str, str, str, Any]] = field(default_factory=list)


@pytest.fixture(scope="session")
def cms() -> Iterator[Cms]:
    """A CMS on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.requests.append((self.command, self.path, self.headers["Content-Type"], body))
            self.send_response(204)
            self.end_headers()

        do_POST = do_PUT  # noqa: N815  # http.server's name

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
            pass

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        found = Cms(f"http://{LOOPBACK}:{server.server_port}")
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield found
        server.shutdown()


@pytest.fixture(scope="session")
def store() -> Store:
    """The store's address, which Airflow has to know before it starts."""
    return Store()


@pytest.fixture(scope="session")
def s3(processes: Processes, store: Store) -> Any:
    """A client of the store, which starts with the first test that asks for this."""
    store.start(processes)
    return store.client


@pytest.fixture(scope="session")
def statsd_server(_one_statsd: Any) -> Any:
    """The StatsD server to which the Airflow sends our metrics."""
    return _one_statsd


@pytest.fixture(scope="session")
def odd_key() -> str:
    """An API key that a URI has to quote."""
    return "sk-a/b+c=d@e:f%g?h#i&j;k-0123456789abcdef"


def secrets_environment(home: Path, url: str, key: str) -> dict[str, str]:
    """Return what makes Airflow find connections in files, one of its own for workers and triggerer.

    A connection that is not in the workers' file is asked of the API server, which looks into its own.
    """
    connection = {"conn_type": "aluo", "host": url, "password": key, "extra": {"plan": "pro"}}
    uri = f"aluo://:{quote(key, safe='')}@{quote(url, safe='')}/?plan=pro"
    (home / "server.json").write_text(json.dumps({"aluo_server_file": uri}))
    (home / "workers.yaml").write_text(f"aluo_worker_file: {json.dumps(connection)}\n")
    backend = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
    return {
        "AIRFLOW__SECRETS__BACKEND": backend,
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(home / "server.json")}),
        "AIRFLOW__WORKERS__SECRETS_BACKEND": backend,
        "AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS": json.dumps(
            {"connections_file_path": str(home / "workers.yaml")}
        ),
        "AIRFLOW_CONN_ALUO_ENV_JSON": json.dumps(connection),
        "AIRFLOW_CONN_ALUO_ENV_URI": uri,
    }


@pytest.fixture(scope="session")
def of_operators(
    processes: Processes, sandbox: Sandbox, statsd_server: Any, odd_key: str
) -> Mapping[str, str]:
    """Environment of the Airflow: where metrics go to, where connections come from."""
    files = secrets_environment(processes.home, sandbox.url, odd_key)
    return {**files, **statsd_server.environment()}


@pytest.fixture(scope="session")
def airflow(
    processes: Processes, sandbox: Sandbox, store: Store, cms: Cms, of_operators: Mapping[str, str]
) -> Iterator[LocalAirflow]:
    """A real Airflow with the example DAGs, whose connection `aluo_default` is the sandbox.

    `aws_default` is the store and `cms` the CMS. A test may add files to `airflow.dags_folder`, a copy; they
    are found within seconds.
    """
    folder = processes.home / "dags"
    shutil.copytree(Path(__file__).parents[2] / "dags_examples", folder)
    # What our code does in Airflow's processes counts for the coverage.
    measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    with LocalAirflow(
        processes.home,
        dags_folder=folder,
        environment={
            **connection_environment(sandbox.url),
            **of_operators,
            "AIRFLOW_CONN_AWS_DEFAULT": store.connection,
            "AIRFLOW_CONN_CMS": json.dumps({"conn_type": "http", "host": cms.url}),
            **measured,
        },
        processes=processes,
    ) as airflow:
        yield airflow
