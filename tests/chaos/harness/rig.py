"""A real Airflow that is in a hurry, with a proxy before its execution API."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests

from airflow_aluo.demo.local_airflow import START_TIMEOUT, LocalAirflow
from airflow_aluo.demo.processes import Processes, session_members
from airflow_aluo.demo.rest import Rest
from airflow_aluo.demo.settings import PASSWORD, USER, free_port
from harness.aluo import Aluo
from harness.proxy import ExecutionProxy

DAGS = Path(__file__).parents[1] / "dags"

#: Every key of this suite begins so: it is looked for in all logs.
KEYS_BEGIN = "sk-chaos-"

#: Where workers are killed: after so many seconds of silence (300 by default) Airflow takes one for dead.
#: Workers speak each five seconds; one that a busy machine keeps waiting must not be taken for dead.
WORKERS_DIE = {"AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "25"}

#: Where schedulers and triggerers are killed, likewise. Not where many tasks run: a scheduler that is too
#: busy to write its own heartbeat takes itself for dead, and resets all that it runs.
SCHEDULERS_DIE = {
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
}

#: Airflow's own timers, shortened. A worker's call of the API server may be held for longer than the
#: five seconds after which it would be repeated.
IN_A_HURRY = {
    "AIRFLOW__CORE__PARALLELISM": "12",
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "100",
    "AIRFLOW__WORKERS__SOCKET_CLEANUP_TIMEOUT": "5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "3",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "60",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
}


@dataclass(frozen=True, slots=True)
class Rig:
    """An Airflow, the proxy before its execution API, and the pretend Aluo that it asks."""

    airflow: LocalAirflow
    proxy: ExecutionProxy
    aluo: Aluo
    processes: Processes
    #: What the DAGs need to know: addresses of a photo, and of a file.
    conf: Mapping[str, Any]
    #: A port on which nobody listens; the connection ``aluo_late`` leads there.
    late_port: int
    #: With SQLite, calls of Airflow's API that change something come one at a time.
    one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def rest(self) -> Rest:
        """Return a client of Airflow's API for the use of one thread."""
        return Rest(self.airflow.url, user=USER, password=PASSWORD)

    def wait_for_dags(self, dag_ids: Iterable[str]) -> None:
        """Wait until Airflow has parsed these.

        :raises RuntimeError: a DAG file cannot be imported.
        """
        for dag_id in dag_ids:
            while dag_id not in {one["dag_id"] for one in self.airflow.rest.get("dags", limit=100)["dags"]}:
                self.airflow.raise_if_one_ended()
                if errors := self.airflow.import_errors():
                    raise RuntimeError(f"a DAG file cannot be imported: {errors}")
                time.sleep(0.3)

    def start_execution_api(self) -> None:
        """Serve workers by another process than the one that serves people.

        With SQLite, a person's call and a worker's may wait for each other in one process until both fail:
        the log of actions is written on the event loop's thread, which waits there for a lock that a worker's
        call gives back only when the event loop lets it (3.3.2, ``core_api/services/.../log.py``).
        """
        port = free_port()
        server = self.processes["api-server"]
        arguments = ("--apps", "execution", "--port", str(port))
        self.processes.start("execution-api", (*server.command, *arguments), server.environment)
        self.proxy.upstream = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            self.airflow.raise_if_one_ended()
            with suppress(requests.ConnectionError, requests.Timeout):
                requests.get(f"{self.proxy.upstream}/execution/health", timeout=10)
                return
            time.sleep(0.2)
        raise TimeoutError(f"the execution API did not answer within {START_TIMEOUT:.0f} s")

    def wait_for_api(self) -> None:
        """Wait until the API server answers workers, whether the other parts are well or not."""
        deadline = time.monotonic() + START_TIMEOUT
        while not self.airflow.rest.answers_workers():
            self.airflow.raise_if_one_ended()
            if time.monotonic() > deadline:
                raise TimeoutError(f"the API server did not answer workers within {START_TIMEOUT:.0f} s")
            time.sleep(0.3)

    def stop(self, component: str) -> None:
        """Stop a component with all its children."""
        self.processes.stop([component])

    def signal(self, component: str, number: signal.Signals) -> None:
        """Send a signal to a component with all its children."""
        for pid in session_members([self.airflow.pid(component)]):
            with suppress(psutil.NoSuchProcess):  # a worker may have ended since they were listed
                psutil.Process(pid).send_signal(number)


@contextmanager
def started(
    home: Path, aluo: Aluo, conf: Mapping[str, Any], timers: Mapping[str, str], *, own_execution_api: bool
) -> Iterator[Rig]:
    """Run an Airflow for the time of the block.

    :param timers: added to those of :data:`IN_A_HURRY`.
    :param own_execution_api: serve workers by a process of its own: see :meth:`Rig.start_execution_api`.
    """
    late_port = free_port()
    # What our code does in Airflow's processes counts for the coverage.
    measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    with Processes(home) as processes, ExecutionProxy() as proxy:
        environment = {
            **IN_A_HURRY,
            **timers,
            **measured,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{proxy.url}/execution/",
            **{
                f"AIRFLOW_CONN_ALUO_{name.upper()}": json.dumps(one)
                for name, one in {
                    "default": connection(aluo.url, "default"),
                    "poor": connection(aluo.url, "poor"),
                    "cut": connection(aluo.url, "cut"),
                    "limited": connection(aluo.url, "limited"),
                    "stopped": connection(aluo.url, "stopped"),
                    "late": connection(f"http://127.0.0.1:{late_port}/api", "default"),
                    "never": connection(f"http://127.0.0.1:{free_port()}/api", "default"),
                    "impatient": connection(aluo.url, "default", submit_timeout=3),
                }.items()
            },
        }
        airflow = LocalAirflow(home, dags_folder=DAGS, environment=environment, processes=processes)
        proxy.upstream = airflow.url
        with airflow:
            rig = Rig(airflow, proxy, aluo, processes, conf, late_port)
            if own_execution_api:
                rig.start_execution_api()
            yield rig


def connection(host: str, name: str, **extra: Any) -> dict[str, Any]:
    """Return an Airflow connection whose looks wait at most three seconds. ``name``: of the key."""
    extra = {"plan": "pro", "requests_per_minute": 6000, "read_timeout": 3, **extra}
    return {"conn_type": "aluo", "host": host, "password": key(name), "extra": extra}


def key(name: str) -> str:
    """Return an API key of this suite."""
    return f"{KEYS_BEGIN}{name}-0123456789abcdef"
