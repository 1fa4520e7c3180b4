"""The cluster: it is started and stopped, kept alive as an orchestrator would, and asked what it does."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from airflow_aluo.demo.processes import ProcessError, Processes, session_members
from airflow_aluo.demo.rest import Rest
from airflow_aluo.demo.settings import LOOPBACK, PASSWORD, USER, free_port, write_settings
from fleet import parts
from tests.servers import postgres, redis

#: Seconds: making the database, the start of all parts, the first parse of the DAGs.
MIGRATE_TIMEOUT = START_TIMEOUT = DAG_TIMEOUT = 180.0
#: Seconds between two looks at something that is awaited.
LOOK_INTERVAL = 0.5


@dataclass
class Cluster:
    """PostgreSQL, Redis, and seven parts of an Airflow on them."""

    processes: Processes
    environment: Mapping[str, str]
    port: int
    #: Parts that are away because a test wants it so.
    away: set[str] = field(default_factory=set)
    #: Parts that ended by themselves and were started again.
    restarted: list[str] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def url(self) -> str:
        """Base URL of the API server."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def logs(self) -> Path:
        """Where logs of parts and of tasks lie."""
        return self.processes.logs

    @property
    def database_folder(self) -> str:
        """Where the socket of the database lies."""
        return str(self.processes.home.resolve() / postgres.NAME)

    def rest(self) -> Rest:
        """Return a client of Airflow's API for the use of one thread."""
        return Rest(self.url, user=USER, password=PASSWORD)

    def ask(self, question: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask Airflow's database.

        :raises psycopg2.OperationalError: it is away.
        """
        import psycopg2

        connection = psycopg2.connect(host=self.database_folder, user="airflow", dbname="postgres")
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(question, values)
                return list(cursor.fetchall())
        finally:
            connection.close()

    # --- what is done to it --------------------------------------------------------------------

    def tend(self) -> None:
        """Start again what has ended by itself, as an orchestrator does."""
        with self._lock:
            for part in parts.PARTS:
                if part not in self.away and self.processes[part].process.poll() is not None:
                    self.restarted.append(part)
                    self.processes.restart(part)

    def kill(self, part: str) -> None:
        """Kill a part with all that it has started; :meth:`tend` starts it again."""
        self.signal(part, signal.SIGKILL)

    def signal(self, part: str, number: signal.Signals) -> None:
        """Send a signal to a part and all that it has started."""
        with self._lock:
            for pid in session_members([self.processes[part].pid]):
                with suppress(psutil.NoSuchProcess):
                    psutil.Process(pid).send_signal(number)

    @contextmanager
    def without(self, part: str) -> Iterator[None]:
        """Take a part away for the time of the block."""
        with self._lock:
            child = self.processes[part]
            self.away.add(part)
            self.processes.stop([part])
        try:
            yield
        finally:
            with self._lock:
                self.processes.start(part, child.command, child.environment)
                self.away.discard(part)

    def restart_postgres(self) -> None:
        """End it while it is used, and start it again."""
        with self._lock:
            postgres.restart(self.processes)

    def restart_redis(self) -> None:
        """End it while it is used, and start it again."""
        with self._lock:
            redis.restart(self.processes)

    # --- how it starts -------------------------------------------------------------------------

    def wait(self, is_so: Callable[[], bool], timeout: float, what: str) -> None:
        """Wait until something is so, and keep the cluster alive meanwhile.

        :raises ProcessError: it was not so in time.
        """
        self._wait(is_so, timeout, what, self.tend)

    def _wait(self, is_so: Callable[[], bool], timeout: float, what: str, tend: Callable[[], None]) -> None:
        deadline = time.monotonic() + timeout
        while not is_so():
            if time.monotonic() > deadline:
                raise ProcessError(f"waited {timeout:.0f} s in vain for {what}; logs: {self.logs}")
            time.sleep(LOOK_INTERVAL)
            tend()

    def start(self, dags: int) -> None:
        """Start all parts, and wait until so many DAGs are known."""
        maker = self.processes.start("db-migrate", parts.migrate(), self.environment)
        try:
            maker.process.wait(MIGRATE_TIMEOUT)
        except subprocess.TimeoutExpired:
            maker.process.kill()
        if maker.process.wait() != 0:
            maker.raise_if_ended()
        self.processes.stop([maker.name])
        for part in parts.PARTS:
            self.processes.start(part, parts.command(part), {**self.environment, "CLUSTER_HOST": part})
        rest = self.rest()
        alive = self.processes.raise_if_one_ended
        self._wait(lambda: self._complete(rest), START_TIMEOUT, "the cluster's start", alive)
        self._wait(lambda: self._dags(rest) >= dags, DAG_TIMEOUT, f"{dags} DAGs", alive)

    def _complete(self, rest: Rest) -> bool:
        health = rest.healthy()
        whole = ("metadatabase", "scheduler", "dag_processor", "triggerer")
        if not all(health.get(one, False) for one in whole):
            return False
        (triggerers,) = self.ask("select count(*) from job where job_type='TriggererJob' and state='running'")
        workers = [(self.logs / f"{worker}.log").read_text(errors="replace") for worker in parts.WORKERS]
        return triggerers[0] == len(parts.TRIGGERERS) and all(" ready." in log for log in workers)

    def _dags(self, rest: Rest) -> int:
        if errors := rest.get("importErrors")["import_errors"]:
            raise ProcessError(f"a DAG file cannot be imported: {errors}")
        return int(rest.get("dags", limit=1)["total_entries"])


@contextmanager
def started(home: Path, *, dags_folder: Path, dags: int, environment: Mapping[str, str]) -> Iterator[Cluster]:
    """Run a cluster for the time of the block.

    :param dags: how many there are in the folder.
    :param environment: is added to that of all parts.
    :raises Missing: PostgreSQL or Redis is not installed.
    :raises ProcessError: something does not start.
    """
    with ExitStack() as stack:
        processes = stack.enter_context(Processes(home))
        database = stack.enter_context(postgres.temporary_postgres(processes))
        broker = stack.enter_context(redis.temporary_redis(processes))
        port = free_port()
        airflow_home = write_settings(home.resolve(), dags_folder=dags_folder, port=port)
        told = parts.environment(airflow_home, database, broker, environment)
        cluster = Cluster(processes, told, port)
        stack.callback(processes.stop, [*parts.PARTS])
        cluster.start(dags)
        yield cluster
