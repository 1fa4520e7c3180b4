"""What edits leave behind in Airflow: rows and bytes of its database, log files, and connections meanwhile.

A real Airflow (PostgreSQL, LocalExecutor) makes the same edits three ways: one task each that is deferred; a
submit and a deferrable sensor each; all in one batch task. Each table that has grown is shown with the rows
and the bytes that one edit has added (uncompressed text may lie compressed; indexes are not counted). Nothing
here is a time. About five minutes; Linux only.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from airflow_rig import Rig, WrongRun, started

from airflow_aluo.demo.processes import ProcessError
from airflow_aluo.demo.rest import RestError
from tests.servers.postgres import NAME as POSTGRES
from tests.servers.postgres import Missing

#: DAG ids, and what each does with an edit.
WAYS = {
    "mapped_deferrable": "one deferrable task an edit",
    "mapped": "a submit and a deferrable sensor an edit",
    "batch": "one batch task for all",
}
#: Seconds between two looks at the database's connections.
LOOK = 0.5
#: Tables that grow by themselves.
OF_AIRFLOW = {"job", "log", "dag_version", "serialized_dag", "dag_code"}


class Footprint:
    """What lies in the database and among the logs.

    :param rig: of the Airflow that is looked at.
    """

    def __init__(self, rig: Rig) -> None:
        self._home = rig.processes.home
        self._all_logs = rig.airflow.logs
        self._logs = rig.airflow.logs / "tasks"

    def ask(self, question: str) -> list[Any]:
        import psycopg2

        folder = str(self._home.resolve() / POSTGRES)
        connection = psycopg2.connect(host=folder, user="airflow", dbname="postgres")
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(question)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def tables(self) -> dict[str, tuple[int, int]]:
        """Return rows and their bytes by table."""
        found = {}
        for (name,) in self.ask("select relname from pg_stat_user_tables order by relname"):
            ((rows, size),) = self.ask(
                f'select count(*), coalesce(sum(pg_column_size(t.*)), 0) from "{name}" t'  # noqa: S608  # our own
            )
            found[name] = int(rows), int(size)
        return found

    def requests(self) -> int:
        """Return how often tasks and the triggerer have asked Airflow's API server for something."""
        return (self._all_logs / "api-server.log").read_text(errors="replace").count(" path=/execution/")

    def logs(self) -> tuple[int, int]:
        """Return how many log files there are, and their bytes."""
        files = [file for file in self._logs.rglob("*") if file.is_file()]
        return len(files), sum(file.stat().st_size for file in files)

    @contextmanager
    def connections(self) -> Iterator[list[int]]:
        """Count the database's connections every :data:`LOOK` seconds, without the one that counts."""
        counts: list[int] = []
        over = threading.Event()

        def look() -> None:
            while not over.wait(LOOK):
                ((count,),) = self.ask(
                    "select count(*) from pg_stat_activity where backend_type = 'client backend' "
                    "and pid <> pg_backend_pid()"
                )
                counts.append(int(count))

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield counts
        finally:
            over.set()
            thread.join()


def measure(rig: Rig, way: str, edits: int) -> None:
    """Run a DAG and print what it has left."""
    left = Footprint(rig)
    before, logs, requests = left.tables(), left.logs(), left.requests()
    with left.connections() as counts:
        rig.run(way, edits)
    print(f"\n{way}: {WAYS[way]}; {edits} edits; at most {max(counts)} connections")
    for name, (rows, size) in left.tables().items():
        rows, size = rows - before[name][0], size - before[name][1]  # noqa: PLW2901  # the difference
        if rows > 0 and name not in OF_AIRFLOW:
            print(f"  {name:<34} {rows / edits:7.2f} rows {size / edits:8.0f} bytes an edit")
    files, size = (now - then for now, then in zip(left.logs(), logs, strict=True))
    print(f"  {'log files':<34} {files / edits:7.2f}      {size / edits:8.0f} bytes an edit")
    asked = (left.requests() - requests) / edits
    print(f"  {'requests to the API server':<34} {asked:7.2f}", flush=True)


def xcoms(rig: Rig) -> None:
    """Print the mean bytes of what is stored, by key."""
    left = Footprint(rig)
    print("\nmean bytes of the values, by key")
    for table, column in (("xcom", "value"), ("task_state_store", "value")):
        with suppress(Exception):
            for dag_id, task_id, key, count, mean in left.ask(
                f"select dag_id, task_id, key, count(*), avg(length({column}::text)) from {table} "  # noqa: S608
                "group by dag_id, task_id, key order by dag_id, task_id, key"
            ):
                print(f"  {table:<18} {f'{dag_id}.{task_id}':<28} {key:<20} {count:5d} of {mean:8.0f}")


def main() -> int:
    command = argparse.ArgumentParser(description=__doc__)
    command.add_argument("--edits", type=int, default=100, help="edits a run (%(default)s)")
    command.add_argument("--only", choices=WAYS, action="append", help="these ways; may be given again")
    asked, _others = command.parse_known_args()  # `make bench ARGS=...` gives them to every benchmark
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # and so leave nothing behind
    home = Path(tempfile.mkdtemp(prefix="aluo-bench-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        try:
            with started(home, edits=asked.edits) as rig:
                for way in asked.only or WAYS:
                    measure(rig, way, asked.edits)
                xcoms(rig)
        except Missing as error:
            print(f"bench_footprint: missing: {error}", file=sys.stderr)
            return 1
        except (ProcessError, RestError, WrongRun) as error:
            stack.pop_all()  # whoever reads the logs removes them
            print(f"bench_footprint: {error}\nlogs: {home / 'logs'}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
