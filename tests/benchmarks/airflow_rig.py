"""A real Airflow on PostgreSQL beside a pretend Aluo, and what a run of a DAG costs there."""

import io
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import requests
from PIL import Image

from airflow_aluo.demo.aluo import KEY, start_sandbox
from airflow_aluo.demo.local_airflow import COMPONENTS, LocalAirflow
from airflow_aluo.demo.processes import ProcessError, Processes, session_members
from tests.servers.postgres import NAME as POSTGRES
from tests.servers.postgres import Missing, temporary_postgres

DAGS = Path(__file__).parent / "dags_airflow"
#: Seconds that each edit takes.
EDIT_SECONDS = 10.0
#: Seconds for one run.
RUN_TIMEOUT = 600.0
#: Seconds that what a run started may need to end after it.
QUIET_TIMEOUT = 60.0
#: Seconds between two looks at a run. They go on in idle time, so that their cost is no run's.
LOOK_INTERVAL = 1.0
#: Seconds after a run's end that still count as its own: what it left to do is done then.
AFTERMATH = 3.0

#: Calls a minute that slow nobody down: what Airflow costs is measured, not what Aluo allows.
UNPACED = 1_000_000
#: What the demo's Airflow does more often than Airflow does by default is put back; no DAG file is parsed
#: again by chance within one run and not within another.
ORDINARY = {
    "AIRFLOW__CORE__PARALLELISM": "16",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "5",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "5",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3600",
    "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "5",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
}


class WrongRun(Exception):  # noqa: N818 - it is what is the matter
    """A run did not do what it was measured for; the text says what it did."""


@dataclass(frozen=True, slots=True)
class Used:
    """What was used since some moment; the difference of two is what was used between them."""

    #: Seconds that passed.
    seconds: float
    #: CPU seconds of Airflow and PostgreSQL.
    cpu: float
    #: CPU seconds of whatever does not belong to this benchmark; those of other machines on the same
    #: processor too, where this one is a virtual one that is told of them.
    others: float

    def __sub__(self, earlier: "Used") -> "Used":
        return Used(
            self.seconds - earlier.seconds,
            self.cpu - earlier.cpu,
            self.others - earlier.others,
        )

    @property
    def rate(self) -> float:
        """CPU seconds a second."""
        return self.cpu / self.seconds

    @property
    def disturbed(self) -> float:
        """The part of the machine, 0 to 1, that others kept busy."""
        return max(self.others, 0.0) / self.seconds / (psutil.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took."""

    #: Seconds from the run's creation to its success.
    wall: float
    #: From its creation until all that it started had ended.
    used: Used
    #: Calls that reached Aluo.
    calls: int

    def cpu(self, idle_rate: float) -> float:
        """CPU seconds beyond those of an idle Airflow. ``idle_rate``: its CPU seconds a second."""
        return self.used.cpu - idle_rate * self.used.seconds


@dataclass(frozen=True, slots=True)
class Rig:
    """An Airflow, and the pretend Aluo that it asks."""

    airflow: LocalAirflow
    processes: Processes
    #: Base URL of the sandbox's own endpoints.
    sandbox: str

    def idle(self, dag_id: str, seconds: float) -> Used:
        """What is used in so many seconds while nothing runs."""
        before, end = self._used(), time.monotonic() + seconds
        while time.monotonic() < end:
            self.airflow.rest.get(f"dags/{dag_id}/dagRuns", limit=1)
            time.sleep(LOOK_INTERVAL)
        return self._used() - before

    def run(self, dag_id: str, edits: int) -> Cost:
        """Run a DAG that makes so many edits; what it took.

        :raises ProcessError: its file cannot be imported.
        :raises WrongRun: it failed, or did not make each edit exactly once.
        """
        self.airflow.wait_for_dag(dag_id)
        control("DELETE", f"{self.sandbox}/ledger")
        children = self._children_of_scheduler()
        before, created_at = self._used(), time.time()
        run = self._ended(dag_id, self.airflow.trigger(dag_id))
        deadline = time.monotonic() + QUIET_TIMEOUT
        while self._children_of_scheduler() > children:
            if time.monotonic() > deadline:
                raise WrongRun(f"{dag_id}: a task's process has not ended after the run")
            time.sleep(0.1)
        time.sleep(AFTERMATH)
        used = self._used() - before
        wall = datetime.fromisoformat(run["end_date"]).timestamp() - created_at
        return Cost(wall, used, self._checked(dag_id, edits))

    def bytecode(self) -> str:
        """Say whether Airflow's processes keep compiled code, as they do where nobody forbids it.

        :raises WrongRun: they do not: each of hundreds of task processes would compile anew.
        """
        for name in COMPONENTS:
            if "PYTHONDONTWRITEBYTECODE" in psutil.Process(self.airflow.pid(name)).environ():
                raise WrongRun(f"{name} runs with PYTHONDONTWRITEBYTECODE")
        import airflow.sdk.execution_time.task_runner as asked

        if not Path(asked.__cached__).is_file():
            raise WrongRun(f"{asked.__cached__} is missing: compiled code is not kept")
        return "PYTHONDONTWRITEBYTECODE is not set in any process of Airflow, and compiled code is there"

    def _ended(self, dag_id: str, run_id: str) -> dict[str, Any]:
        path = f"dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
        deadline = time.monotonic() + RUN_TIMEOUT
        while (run := self.airflow.rest.get(path))["state"] in {"queued", "running"}:
            self.airflow.raise_if_one_ended()
            if time.monotonic() > deadline:
                raise WrongRun(f"{dag_id} did not end within {RUN_TIMEOUT:.0f} s")
            time.sleep(LOOK_INTERVAL)
        if run["state"] != "success":
            raise WrongRun(f"{dag_id} is {run['state']}")
        return dict(run)

    def _checked(self, dag_id: str, edits: int) -> int:
        """Return how many calls there were, if each edit was accepted, and succeeded, exactly once."""
        ledger = control("GET", f"{self.sandbox}/ledger")
        prompts = Counter(entry["prompt"] for entry in ledger["entries"])
        wanted = {"accepted": edits, "succeeded": edits, "failed": 0, "refused": 0}
        found = {name: ledger["totals"][name] for name in wanted}
        if found != wanted or len(prompts) != edits:
            raise WrongRun(f"{dag_id}: the ledger has {found} of {len(prompts)} prompts, expected {wanted}")
        return len(ledger["requests"])

    def _children_of_scheduler(self) -> int:
        """Count its executor's idle workers, and the tasks' processes below them."""
        return len(psutil.Process(self.airflow.pid("scheduler")).children(recursive=True))

    def _used(self) -> Used:
        measured = cpu_seconds([self.processes[name].pid for name in (*COMPONENTS, POSTGRES)])
        beside = cpu_seconds([self.processes["sandbox"].pid]) + time.process_time()
        machine = psutil.cpu_times()
        busy = sum(machine) - machine.idle - machine.iowait - machine.guest - machine.guest_nice
        return Used(time.monotonic(), measured, busy - measured - beside)


def cpu_seconds(leaders: list[int]) -> float:
    """CPU seconds of these processes and of all that they ever started (Linux).

    Each process counts once: by itself while it is there, and among the ``children`` of the one that
    waited for its end afterwards. So look when none is about to end.
    """
    members = set(session_members(leaders))  # an orphan has the session only, PostgreSQL's the parent only
    for leader in leaders:
        members.update(child.pid for child in psutil.Process(leader).children(recursive=True))
    seconds = 0.0
    for pid in members:
        with suppress(psutil.NoSuchProcess):
            took = psutil.Process(pid).cpu_times()
            seconds += took.user + took.system + took.children_user + took.children_system
    return seconds


def control(method: str, address: str, json: Any = None, **more: Any) -> Any:
    """Ask one of the sandbox's own endpoints."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(method, address, json=json, timeout=60, **more)
    if not answer.ok:
        raise ProcessError(f"the sandbox answered {answer.status_code} to {method} {address}: {answer.text}")
    return answer.json()


@contextmanager
def started(home: Path, *, edits: int, paced: bool = False, dags_folder: Path = DAGS) -> Iterator[Rig]:
    """Run PostgreSQL, a sandbox without a rate limit, and an Airflow for the time of the block.

    :param paced: keep to the plan's rate nevertheless: 1,000 calls a minute.
    :raises Missing: something has to be installed first.
    :raises ProcessError: something does not start.
    """
    if sys.platform != "linux":
        raise Missing("Linux, which counts the CPU seconds of processes that have ended")
    with Processes(home) as processes, temporary_postgres(processes) as database:
        url = start_sandbox(processes, "--no-rate-limit", "--plan", "max", "--balance", "1000000000")
        sandbox = url.removesuffix("/api") + "/sandbox"
        control("PUT", f"{sandbox}/settings", {"durations": EDIT_SECONDS})
        # Drawing the edit of a small photo takes the pretend Aluo next to nothing.
        photo = io.BytesIO()
        Image.new("RGB", (48, 32), (200, 80, 40)).save(photo, "png")
        address = control("POST", f"{sandbox}/uploads", data=photo.getvalue())["url"]
        environment = {
            **ORDINARY,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
            "AIRFLOW_CONN_ALUO_DEFAULT": _connection(url, paced=paced),
            "ALUO_BENCH_PHOTO": address,
            "ALUO_BENCH_EDITS": str(edits),
        }
        with LocalAirflow(
            home, dags_folder=dags_folder, environment=environment, processes=processes
        ) as airflow:
            yield Rig(airflow, processes, sandbox)


def _connection(url: str, *, paced: bool) -> str:
    extra = {"plan": "max"} if paced else {"plan": "max", "requests_per_minute": UNPACED}
    connection = {"conn_type": "aluo", "host": url, "password": KEY, "extra": extra}
    return json.dumps(connection)
