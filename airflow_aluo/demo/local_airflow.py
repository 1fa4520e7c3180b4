"""A real Airflow on this machine: scheduler, triggerer, DAG processor and API server."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from http import HTTPStatus
from importlib.metadata import version
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from airflow_aluo.demo.processes import GRACE, ProcessError, Processes
from airflow_aluo.demo.rest import Rest, RestError
from airflow_aluo.demo.settings import (
    LOOPBACK,
    PASSWORD,
    USER,
    clean_environment,
    free_port,
    remove_earlier,
    write_settings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

#: Without log servers: they would listen on every address, and all logs lie in one folder anyway.
COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
#: Seconds; on 2 cores 4 and 8 are usual.
MIGRATE_TIMEOUT = START_TIMEOUT = 180.0
#: Seconds for the first parse of a DAG file.
DAG_TIMEOUT = 90.0
#: Seconds between two looks at something that is awaited.
LOOK_INTERVAL = 0.1


class LocalAirflow:
    """An Airflow in a folder of its own, for the time of a `with` block.

    It starts the four parts as processes of their own rather than `airflow standalone`, which
    does not tell which part failed, and leaves some running when it is killed.
    """

    def __init__(
        self,
        home: Path,
        *,
        dags_folder: Path,
        environment: Mapping[str, str] | None = None,
        processes: Processes | None = None,
        keep: bool = False,
        grace: float = GRACE,
    ) -> None:
        """`environment` is added to the processes' own, and wins over it and over the settings.

        `processes` are those of `home` if the caller has them already; `keep` goes on with the
        database of an earlier time; `grace`: seconds that a part gets to end by itself.
        """
        self.home = home.resolve()
        self.dags_folder = dags_folder.resolve()
        self.logs = self.home / "logs"
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.rest = Rest(self.url, user=USER, password=PASSWORD)
        self.environment = {
            **clean_environment(),
            "AIRFLOW_HOME": str(self.home / "airflow"),
            **(environment or {}),
        }
        self._keep = keep
        self._own_processes = processes is None
        self._processes = processes or Processes(self.home, grace=grace)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            if self._own_processes:
                stack.enter_context(self._processes)
            stack.callback(self.rest.close)
            # A worker whose API server has gone tries to reach it for seconds before it ends.
            stack.callback(self._processes.stop, ["api-server"])
            stack.callback(self._processes.stop, set(COMPONENTS) - {"api-server"})
            self._start()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    # --- what runs -----------------------------------------------------------------------------

    def pid(self, component: str) -> int:
        """Process id of a component: one of `COMPONENTS`."""
        return self._processes[component].pid

    def kill(self, component: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a component's main process."""
        self._processes[component].process.send_signal(number)

    def restart(self, component: str) -> None:
        """Stop what is left of a component, children included, and start it again."""
        self._processes.restart(component)

    def raise_if_one_ended(self) -> None:
        """Do nothing while all components run.

        :raises ProcessError: one has ended; the message names it and quotes its log.
        """
        self._processes.raise_if_one_ended()

    def wait_until_healthy(self) -> None:
        """Wait until workers are answered and all parts are well.

        :raises ProcessError: a component has ended, or it took too long.
        """
        parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")

        def healthy() -> bool:
            health = self.rest.healthy()
            return all(health.get(part, False) for part in parts)

        self._wait(self.rest.answers_workers, START_TIMEOUT, "Airflow's answer to workers", "api-server")
        self._wait(healthy, START_TIMEOUT, "all parts of Airflow to be well", "api-server")

    # --- what it is asked ----------------------------------------------------------------------

    def wait_for_dag(self, dag_id: str, timeout: float = DAG_TIMEOUT) -> None:
        """Wait up to `timeout` seconds until Airflow has parsed the DAG.

        :raises ProcessError: it has not, or the file of that name cannot be imported.
        """

        def parsed() -> bool:
            try:
                self.rest.get(f"dags/{dag_id}")
            except RestError as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise
                for file, reason in self.import_errors().items():
                    if PurePath(file).stem == dag_id:
                        raise ProcessError(
                            f"{file} cannot be imported: {reason.strip().splitlines()[-1]}",
                            log_file=self.logs / "dag-processor.log",
                        ) from error
                return False
            return True

        self._wait(parsed, timeout, f"DAG {dag_id!r} of {self.dags_folder}", "dag-processor")

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run with these params; return the run's id."""
        body = {"logical_date": None, "conf": dict(conf or {})}
        return str(self.rest.change("POST", f"dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """`queued`, `running`, `success` or `failed`."""
        return str(self.rest.get(_run(dag_id, run_id))["state"])

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run in order of their start, as Airflow's API has them."""
        answer = self.rest.get(f"{_run(dag_id, run_id)}/taskInstances", limit=100)
        instances: list[dict[str, Any]] = answer["task_instances"]
        return sorted(instances, key=lambda one: (one["start_date"] or "9", one["map_index"]))

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """State of each task; a mapped one's name is `task_id[map_index]`."""
        return {task_name(one): one["state"] for one in self.task_instances(dag_id, run_id)}

    def xcom(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        key: str = "return_value",
        map_index: int = -1,
    ) -> Any:
        """Value of an XCom.

        :raises RestError: `status` 404 when there is none.
        """
        path = f"{_run(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries/{quote(key, safe='')}"
        return self.rest.get(path, map_index=map_index)["value"]

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1
    ) -> list[dict[str, Any]]:
        """Return the records of a task's log: text in `event`, exceptions in `error_detail`."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{task_id}/logs/{try_number}"
        answer = self.rest.get(path, full_content=True, map_index=map_index)
        records: list[dict[str, Any]] = answer["content"]
        return records

    def import_errors(self) -> dict[str, str]:
        """Return each DAG file that cannot be imported, with the traceback."""
        errors = self.rest.get("importErrors")["import_errors"]
        return {error["filename"]: error["stack_trace"] for error in errors}

    def run_url(self, dag_id: str, run_id: str) -> str:
        """Page of a run in the browser."""
        return f"{self.url}/{_run(dag_id, run_id).replace('/dagRuns/', '/runs/')}"

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float) -> str:
        """Wait up to `timeout` seconds for a run's end; return its last state.

        :raises ProcessError: a component has ended, or the time is over.
        """
        ended = {"success", "failed"}
        what = f"the end of run {run_id!r} of {dag_id!r}"
        self._wait(lambda: self.run_state(dag_id, run_id) in ended, timeout, what, "scheduler")
        return self.run_state(dag_id, run_id)

    # --- how it starts -------------------------------------------------------------------------

    def _start(self) -> None:
        if not self._keep:
            remove_earlier(self.home)
        airflow_home = write_settings(self.home, dags_folder=self.dags_folder, port=self.port)
        for name, arguments in COMPONENTS.items():
            self._processes.start(name, _airflow(*arguments), self.environment)
            if name == "api-server":
                # It reads code for seconds before it asks the database; the others ask at once.
                self._migrate(airflow_home)
        self.wait_until_healthy()

    def _migrate(self, airflow_home: Path) -> None:
        """Make the database, unless this version of Airflow has made it already."""
        made_by = airflow_home / "made_by"
        wanted = f"apache-airflow-core {version('apache-airflow-core')}"
        if made_by.exists() and made_by.read_text() == wanted:
            return
        child = self._processes.start("db-migrate", _airflow("db", "migrate"), self.environment)
        try:
            code = child.process.wait(MIGRATE_TIMEOUT)
        except subprocess.TimeoutExpired as error:
            raise ProcessError(
                f"making the database took over {MIGRATE_TIMEOUT:.0f} s", log_file=child.log_file
            ) from error
        if code != 0:
            child.raise_if_ended()
        self._processes.stop([child.name])
        made_by.write_text(wanted)

    def _wait(self, is_so: Callable[[], bool], timeout: float, what: str, component: str) -> None:
        deadline = time.monotonic() + timeout
        while not is_so():
            self.raise_if_one_ended()
            if time.monotonic() > deadline:
                raise ProcessError(
                    f"waited {timeout:.0f} s in vain for {what}",
                    log_file=self.logs / f"{component}.log",
                )
            time.sleep(LOOK_INTERVAL)


def task_name(instance: Mapping[str, Any]) -> str:
    """Name of a task instance; a mapped one's ends with its index."""
    index = instance["map_index"]
    return f"{instance['task_id']}[{index}]" if index >= 0 else str(instance["task_id"])


def _run(dag_id: str, run_id: str) -> str:
    """Path of a run; ids of runs hold `+` and `:`."""
    return f"dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"


def _airflow(*arguments: str) -> list[str]:
    # This interpreter's Airflow, whatever `airflow` is found on PATH.
    return [sys.executable, "-m", "airflow", *arguments]
