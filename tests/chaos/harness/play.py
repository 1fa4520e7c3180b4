"""One row, played: what its script can do to its run, and what became of it."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests

from airflow_aluo.demo.local_airflow import task_name
from airflow_aluo.demo.rest import RestError
from harness.proxy import Hold, Said, Side
from harness.rig import Rig, connection
from harness.row import Row
from harness.workers import kill_task, kill_worker

if TYPE_CHECKING:
    from harness.shocks import Shock

#: Seconds between two looks at a run.
LOOK_INTERVAL = 0.7
#: Seconds for what should happen soon, on a busy machine.
SOON = 60.0


class Play:
    """A row's run, from its start to its end."""

    def __init__(self, row: Row, rig: Rig, shock: "Shock | None" = None) -> None:
        self.row, self.rig, self._shock = row, rig, shock
        self.run_id = row.slug
        #: Text that no other row's prompts hold.
        self.mark = f"[{row.slug}]"
        self.prompt = f"{self.mark} Make it warm"
        self.rest = rig.rest()
        self._holds: list[Hold] = []
        self._meanwhile: list[str] = []
        self.at_the_moment: Callable[[], None] = lambda: None
        #: Whether the run was under way when the Airflow was shaken.
        self.was_running = True

    # --- before the start ----------------------------------------------------------------------

    def fault(self, **fault: Any) -> None:
        """Order a fault for this row's edits, or for those whose prompt goes on with ``more``."""
        more = fault.pop("more", None)
        if "key" not in fault:
            fault["prompt"] = self.mark if more is None else f"{self.prompt}{more}"
        self.rig.aluo.fault(**fault)

    def hold(self, text: str, *, side: Side = "request") -> Hold:
        """Hold the next thing that this run's tasks say to Airflow and that reads so."""
        hold = self.rig.proxy.hold(self.run_id, text, side=side)
        self._holds.append(hold)
        return hold

    def lift(self) -> None:
        """End the faults that still wait for this row's edits."""
        self.rig.aluo.control("DELETE", "faults", params={"prompt": self.mark})

    def start(self, **conf: Any) -> None:
        """Order the row's faults and start its run."""
        for fault in self.row.faults:
            self.fault(**fault)
        body = {
            "dag_run_id": self.run_id,
            "logical_date": None,
            "conf": {**self.rig.conf, "prompt": self.prompt, **self.row.conf, **conf},
        }
        self._change("POST", f"dags/{self.row.dag}/dagRuns", body)

    def ready(self, at_the_moment: Callable[[], None] = lambda: None) -> None:
        """Say that the Airflow may be shaken, and wait until it was and is well again.

        :param at_the_moment: what is done in the middle of it.
        """
        self.at_the_moment = at_the_moment
        if self._shock:
            self._shock.ready(self)

    def note_that_it_runs(self) -> None:
        """Note whether the run is still under way, unless Airflow cannot say so."""
        with _forgiven():
            self.was_running = self.was_running and self.state() == "running"

    # --- while it runs -------------------------------------------------------------------------

    def until(self, text: str, *, seconds: float = SOON, after: float = 0.0) -> Said:
        """Wait until a task of the run has said this to Airflow."""
        return self.rig.proxy.wait_for(self.run_id, text, seconds=seconds, after=after)

    @property
    def looks(self) -> int:
        """How often Aluo was asked where the edit stands."""
        return self.rig.aluo.ledger(self.mark).looks

    def until_looked_at(self, looks: int = 1, *, seconds: float = SOON) -> None:
        """Wait until Aluo was asked so often where the edit stands."""
        self.rig.aluo.wait_for_looks(self.mark, seconds, looks)

    def pid(self) -> int:
        """Process id of the run's task that started last."""
        starts = [said for said in self.rig.proxy.said(self.run_id) if said.verb == "run"]
        return int(starts[-1].what)

    def kill_worker(self, pid: int | None = None) -> None:
        """Kill the task's process and its worker. ``pid``: of another task than the one that started last."""
        kill_worker(pid or self.pid())

    def kill_task(self) -> None:
        """Kill the task's process alone."""
        kill_task(self.pid())

    def mark_task(self, state: str, task_id: str = "edit") -> None:
        """Mark a task success or failed, as a person does in the UI."""
        self._change("PATCH", f"{self._run}/taskInstances/{task_id}", {"new_state": state})

    def mark_run(self, state: str) -> None:
        """Mark the run success or failed, as a person does in the UI."""
        self._change("PATCH", self._run, {"state": state})

    def delete_task(self, task_id: str = "edit") -> None:
        """Delete a task instance."""
        self._change("DELETE", f"{self._run}/taskInstances/{task_id}")

    def clear(self, *task_ids: str, only_failed: bool = False, downstream: bool = False) -> None:
        """Clear tasks of the run (all if none is named), as a person does in the UI."""
        body: dict[str, Any] = {
            "dry_run": False,
            "dag_run_id": self.run_id,
            "only_failed": only_failed,
            "include_downstream": downstream,
        }
        if task_ids:
            body["task_ids"] = list(task_ids)
        self._change("POST", f"dags/{self.row.dag}/clearTaskInstances", body)

    def connect(self, conn_id: str, key_name: str) -> None:
        """Keep an Airflow connection in the database, with this key of the suite."""
        body = connection(self.rig.aluo.url, key_name) | {"connection_id": conn_id}
        body["extra"] = json.dumps(body["extra"])
        if conn_id in {
            one["connection_id"] for one in self.rest.get("connections", limit=100)["connections"]
        }:
            self._change("PATCH", f"connections/{conn_id}", body)
        else:
            self._change("POST", "connections", body)

    def until_ended(self, seconds: float | None = None) -> None:
        """Wait until the run has ended."""
        self.look_until(
            lambda: self.state() in {"success", "failed"}, seconds or self.row.patience, "the end"
        )

    def look_until(self, is_so: Callable[[], bool], seconds: float, what: str) -> None:
        """Ask again and again until it is so. An API that does not answer, or fails, is asked again."""
        deadline = time.monotonic() + seconds
        while True:
            with _forgiven():
                if is_so():
                    return
            if not self.row.shock:
                self.rig.airflow.raise_if_one_ended()
            if time.monotonic() > deadline:
                states = {}
                with _forgiven():
                    states = {task_name(one): one["state"] for one in self.instances()}
                raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}: {states}")
            time.sleep(LOOK_INTERVAL)

    # --- what became of it ---------------------------------------------------------------------

    def _change(self, method: str, path: str, body: Any = None) -> None:
        with self.rig.one_at_a_time:
            self.rest.change(method, path, body)

    @property
    def _run(self) -> str:
        return f"dags/{self.row.dag}/dagRuns/{quote(self.run_id, safe='')}"

    def state(self) -> str:
        """State of the run."""
        return str(self.rest.get(self._run)["state"])

    def instances(self) -> list[dict[str, Any]]:
        """Task instances of the run, in order of their start."""
        found = self.rest.get(f"{self._run}/taskInstances", limit=100)["task_instances"]
        return sorted(found, key=lambda one: (one["start_date"] or "9", one["map_index"]))

    def state_of(self, task_id: str = "edit") -> str | None:
        """State of one task."""
        states = [one["state"] for one in self.instances() if one["task_id"] == task_id]
        return states[0] if states else None

    def log(self, instance: Mapping[str, Any], try_number: int) -> str:
        """Return a try's log as text, exceptions included."""
        path = f"{self._run}/taskInstances/{instance['task_id']}/logs/{try_number}"
        try:
            answer = self.rest.get(path, full_content=True, map_index=instance["map_index"])
        except RestError as error:
            return f"(no log: HTTP {error.status})"
        return "\n".join(_lines(answer["content"]))

    def logs(self) -> dict[str, str]:
        """Text of each try's log, by task and try; first what was told meanwhile, for it may be gone."""
        logs = {
            f"{task_name(instance)} try {number}": self.log(instance, number)
            for instance in self.instances()
            for number in range(1, instance["try_number"] + 1)
        }
        return {"meanwhile": "\n".join(self._meanwhile), **logs} if self._meanwhile else logs

    def everything_told(self) -> str:
        """Text of all logs of the run, as they are now. It is kept."""
        # From the files: Airflow's API shows no log of a task instance that was deleted.
        files = self.rig.airflow.logs.joinpath("tasks").glob(f"dag_id=*/run_id={self.run_id}/**/*.log*")
        told = "\n".join(file.read_text(errors="replace") for file in files if file.is_file())
        self._meanwhile = sorted({*self._meanwhile, *told.splitlines()})
        return told

    def record(self, instance: Mapping[str, Any]) -> Any:
        """Return what a task returned, ``None`` for nothing."""
        path = f"{self._run}/taskInstances/{instance['task_id']}/xcomEntries/return_value"
        try:
            return self.rest.get(path, map_index=instance["map_index"])["value"]
        except RestError:
            return None

    def close(self) -> None:
        """Let go of all that is held, so that whatever is left of the run may end."""
        for hold in self._holds:
            hold.drop()
        self.lift()
        self.rest.close()


@contextmanager
def _forgiven() -> Iterator[None]:
    """Pass over that Airflow's API does not answer, or fails: it was shaken, or its database is locked."""
    try:
        yield
    except requests.RequestException:
        pass
    except RestError as error:
        if error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise


def _lines(content: Any) -> Iterator[str]:
    """Return a log's records as lines, with each exception and its causes."""
    for one in content:
        if isinstance(one, str):
            yield one
            continue
        yield f"{one.get('level') or ''}: {one['event']}"
        for detail in one.get("error_detail") or ():
            yield f"  {detail['exc_type']}: {detail['exc_value']}"
        for key in ("detail", "error"):
            if key in one:
                yield f"  {key}={one[key]}"
