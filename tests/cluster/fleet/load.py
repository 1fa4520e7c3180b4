"""A load on the cluster: it begins, it is watched, what became of it is told."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from airflow_aluo.demo.processes import ProcessError
from fleet.aluo import Aluo
from fleet.cluster import Cluster

DAGS = ("load_mapped", "load_sensors", "load_batch")
#: The task that makes edits, in each DAG, and how many it makes.
SIZES = {"edit": 300, "submit": 100, "batch": 500}
#: Environment that tells the DAGs these numbers.
ENVIRONMENT = {
    f"CLUSTER_{name}": str(SIZES[task])
    for name, task in (("MAPPED", "edit"), ("SENSORS", "submit"), ("BATCH", "batch"))
}
#: Seconds.
PATIENCE, LOOK_INTERVAL = 1200.0, 1.0
#: How often a person clears what failed with an unknown outcome: the first clear may only be told so.
CLEARS = 3
#: Seconds after the first request in which the processes may still learn from each other's refusals.
LEARNING = 60.0


@dataclass
class Load:
    """The three DAGs, run once at the same time. ``name`` begins the prompts of its edits."""

    cluster: Cluster
    aluo: Aluo
    name: str
    runs: dict[str, str] = field(default_factory=dict)
    #: Of each task that `airflow aluo unknown` told of: how many edits.
    unknown: dict[tuple[str, str, int], int] = field(default_factory=dict)
    #: Seconds that it took, and triggers that there were at its end.
    took: float = 0.0
    triggers_left: int = -1
    _ledger: "Ledger | None" = None

    def begin(self) -> None:
        """Start the runs, with an empty ledger."""
        self.aluo.control("DELETE", "ledger")
        rest = self.cluster.rest()
        self.took = -time.monotonic()
        for dag in DAGS:
            body = {"logical_date": None, "conf": {"name": self.name}}
            self.runs[dag] = rest.post(f"dags/{dag}/dagRuns", body)["dag_run_id"]

    def wait(self) -> None:
        """Wait for the end of all runs, and decide as a person would what Airflow must not decide.

        :raises ProcessError: they did not end in time.
        """
        for _ in range(CLEARS):
            try:
                self.cluster.wait(self._over, PATIENCE, f"the end of the load {self.name!r}")
            except ProcessError as error:
                raise ProcessError(f"{error.reason}; its tasks: {self.states()}") from error
            told = self._told_unknown()
            for one in told:
                self.unknown[one["run_id"], one["task_id"], one["map_index"]] = one["edits"]
                self._clear(one)
            if not told:
                break
        else:
            raise ProcessError(f"still unknown after {CLEARS} clears: {sorted(self.unknown)}")
        self.took += time.monotonic()
        ((self.triggers_left,),) = self.cluster.ask("select count(*) from trigger")
        self._ledger = Ledger(self.aluo.control("GET", "ledger"))

    def told(self) -> str:
        """Say in a line what became of it."""
        minutes = ", ".join(f"{asked} ({refused} refused)" for asked, refused in self.ledger.a_minute())
        twice, unknown = self.ledger.twice().total(), self.asked_about()
        return (
            f"{self.name}: {self.took:.0f} s; requests a minute: {minutes}; refused after the first minute: "
            f"{self.ledger.refused():.2%}; submitted twice: {twice}; a person was asked about: {unknown}"
        )

    def states(self) -> dict[str, int]:
        """Count the load's task instances by task and state."""
        rows = self.cluster.ask(
            "select task_id, coalesce(state, 'none'), count(*) from task_instance where run_id = any(%s)"
            " group by 1, 2 order by 1, 2",
            list(self.runs.values()),
        )
        return {f"{task} {state}": count for task, state, count in rows}

    def unfinished(self) -> int:
        """Count the load's task instances that have begun and not ended."""
        return sum(count for name, count in self.states().items() if name.split()[1] in _UNDER_WAY)

    def run_states(self) -> dict[str, str]:
        """State of each run."""
        found = self.cluster.ask(
            "select dag_id, state from dag_run where run_id = any(%s)", list(self.runs.values())
        )
        return dict(found)

    @property
    def ledger(self) -> "Ledger":
        """What Aluo has accepted, refused and charged until the load's end."""
        assert self._ledger is not None
        return self._ledger

    def asked_about(self) -> int:
        """Of how many edits nobody knew whether they were accepted."""
        return sum(self.unknown.values())

    def unasked(self) -> Counter[str]:
        """Prompts that were submitted again although nobody had been asked about them.

        Of the batch's edits it is known only how many a person was asked about.
        """
        single = {f"{self.name} {task} {index}" for _, task, index in self.unknown if index >= 0}
        again = self.ledger.twice()
        of_batch = Counter({prompt: times for prompt, times in again.items() if prompt.split()[1] == "batch"})
        others = again - of_batch
        asked = sum(edits for (_, task, _), edits in self.unknown.items() if task == "batch")
        found = Counter({prompt: times for prompt, times in others.items() if prompt not in single})
        return found if of_batch.total() <= asked else found + of_batch

    def _over(self) -> bool:
        import psycopg2

        with suppress(psycopg2.OperationalError):  # it is being restarted
            states = self.run_states()
            return len(states) == len(DAGS) and set(states.values()) <= {"success", "failed"}
        return False

    def _told_unknown(self) -> list[dict[str, Any]]:
        command = [sys.executable, "-m", "airflow", "aluo", "unknown", "--json"]
        environment = {**self.cluster.environment, "CLUSTER_HOST": "console"}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=180
        )
        if done.returncode not in (0, 3):
            raise ProcessError(f"airflow aluo unknown ended with {done.returncode}: {done.stderr[-2000:]}")
        return [one for one in json.loads(done.stdout) if one["run_id"] in self.runs.values()]

    def _clear(self, one: Mapping[str, Any]) -> None:
        task = [one["task_id"]] if one["map_index"] < 0 else [[one["task_id"], one["map_index"]]]
        body = {"dag_run_id": one["run_id"], "task_ids": task, "dry_run": False, "only_failed": True}
        self.cluster.rest().post(f"dags/{one['dag_id']}/clearTaskInstances", body)


_UNDER_WAY = {"queued", "running", "deferred", "up_for_retry", "up_for_reschedule", "scheduled"}


class Ledger:
    """What Aluo saw of one load."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.entries = found["entries"]
        self.requests = [one for one in found["requests"] if "photo-editor" in one["path"]]

    @property
    def accepted(self) -> Counter[str]:
        """How often each prompt was accepted."""
        return Counter(entry["prompt"] for entry in self.entries)

    def twice(self) -> Counter[str]:
        """Prompts that were accepted more than once, and how often more."""
        return Counter({prompt: times - 1 for prompt, times in self.accepted.items() if times > 1})

    @property
    def charged(self) -> Counter[str]:
        """How many edits of each prompt were charged."""
        return Counter(entry["prompt"] for entry in self.entries if entry["charged"])

    def a_minute(self) -> list[tuple[int, int]]:
        """Requests, and how many of them were refused, in each minute."""
        first = min(one["at"] for one in self.requests)
        asked, refused = Counter[int](), Counter[int]()
        for one in self.requests:
            minute = int((one["at"] - first) // LEARNING)
            asked[minute] += 1
            refused[minute] += one["http_status"] == 429
        return [(asked[minute], refused[minute]) for minute in range(max(asked) + 1)]

    def refused(self) -> float:
        """Part of the requests after the first minute that were refused."""
        later = self.a_minute()[1:]
        asked = sum(one for one, _ in later)
        return sum(refused for _, refused in later) / asked if asked else 0.0
