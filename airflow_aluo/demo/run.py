"""What `make demo` does: one photo through a real Airflow, told as it happens."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import requests

import airflow_aluo
from airflow_aluo.demo.aluo import connection_environment, start_sandbox
from airflow_aluo.demo.local_airflow import LocalAirflow, task_name
from airflow_aluo.demo.processes import ProcessError, Processes
from airflow_aluo.demo.settings import PASSWORD, USER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

DAG_ID = "aluo_photo_edit"
#: The task whose return value, an edit record, names the pictures.
LAST_TASK = "download"
PROMPT = "Change the background to a beach scene"
#: The sandbox's edits take 10 to 30 seconds, like Aluo's, divided by this.
SPEED = 8
#: Seconds for the run; 10 are usual.
RUN_TIMEOUT = 120.0
#: Seconds between two looks at the run.
LOOK_INTERVAL = 0.3
#: Seconds that Airflow's parts get to end by themselves: nothing that they tidy is needed again.
GRACE = 2.0


class DemoError(Exception):
    """The run did not end well; `log` is the file or folder that says more."""

    def __init__(self, reason: str, *, log: Path) -> None:
        super().__init__(reason)
        self.reason = reason
        self.log = log


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What is shown, and where."""

    #: The folder in which everything lies.
    home: Path
    #: Stay after the run, for the browser.
    ui: bool = False
    #: Go on with the database of the last time.
    keep: bool = False
    #: Arguments for the sandbox's command.
    sandbox: Sequence[str] = ()

    def run(self, say: Callable[[str], None]) -> None:
        """Edit a photo and print where the pictures lie; with `ui`, stay until Ctrl-C.

        `say` hears each stage.

        :raises DemoError: the run failed.
        :raises ProcessError: something did not start, or ended too early.
        """
        home = self.home.resolve()
        with Processes(home, grace=GRACE) as processes:
            say("starting the sandbox, a pretend Aluo on this machine")
            url = start_sandbox(processes, "--speed", str(SPEED), *self.sandbox)
            say(f"sandbox: {url}")
            say("starting Airflow: database, API server, scheduler, DAG processor, triggerer")
            with LocalAirflow(
                home,
                dags_folder=dags_folder(),
                environment=connection_environment(url),
                processes=processes,
                keep=self.keep,
            ) as airflow:
                say(f"Airflow: {airflow.url} (user {USER}, password {PASSWORD})")
                try:
                    for path in edit_a_photo(airflow, say):
                        print(f"edited: {path}", flush=True)
                except DemoError as error:
                    if not self.ui:
                        raise
                    say(f"failed: {error.reason}")
                except requests.RequestException:
                    # The reason is rather that the API server has ended than what was asked of it.
                    airflow.raise_if_one_ended()
                    raise
                if self.ui:
                    say(f"DAGs: {dags_folder()}; the pictures stand on the tab 'Photo edits'")
                    say(f"open {airflow.url} (user {USER}, password {PASSWORD}); Ctrl-C stops everything")
                    stay(airflow)


def stay(airflow: LocalAirflow) -> NoReturn:
    """Wait for a signal.

    :raises ProcessError: a part of Airflow has ended.
    """
    while True:
        airflow.raise_if_one_ended()
        time.sleep(LOOK_INTERVAL)


def edit_a_photo(airflow: LocalAirflow, say: Callable[[str], None]) -> list[Path]:
    """Run the DAG on the sandbox's photo; return the edited pictures.

    :raises DemoError: the run failed, or left no picture.
    """
    photo = Path(airflow_aluo.__file__).parent / "sandbox" / "photos" / "rocket.jpg"
    pictures = airflow.home / "pictures"
    airflow.wait_for_dag(DAG_ID)
    conf = {"photo": str(photo), "prompt": PROMPT, "destination": str(pictures)}
    run_id = airflow.trigger(DAG_ID, conf)
    say(f"run: {airflow.run_url(DAG_ID, run_id)}")
    say(f"  {photo.name}: {PROMPT}")
    follow(airflow, run_id, say)
    record = airflow.xcom(DAG_ID, run_id, LAST_TASK)
    paths = list(picture_paths(record))
    missing = [path for path in paths if not path.is_file()]
    if missing or not paths:
        raise DemoError(
            f"task {LAST_TASK!r} returned no picture that exists: {missing or record}",
            log=task_logs(airflow, run_id, LAST_TASK),
        )
    return paths


def follow(airflow: LocalAirflow, run_id: str, say: Callable[[str], None]) -> None:
    """Say each change of state until the run has ended well.

    :raises DemoError: it failed, or did not end in time.
    """
    known: dict[str, str | None] = {}
    deadline = time.monotonic() + RUN_TIMEOUT
    while True:
        # Asked before the tasks: so the last states of all tasks are told, too.
        state = airflow.run_state(DAG_ID, run_id)
        states = airflow.task_states(DAG_ID, run_id)
        for line in changes(known, states):
            say(f"  {line}")
        known = states
        if state == "success":
            return
        if state == "failed":
            raise _failure(airflow, run_id)
        airflow.raise_if_one_ended()
        if time.monotonic() > deadline:
            raise DemoError(f"the run did not end within {RUN_TIMEOUT:.0f} s: {states}", log=airflow.logs)
        time.sleep(LOOK_INTERVAL)


def changes(before: Mapping[str, str | None], after: Mapping[str, str | None]) -> Iterator[str]:
    """One line for each task whose state is another than before."""
    for task, state in after.items():
        if state is not None and state != before.get(task):
            yield f"{task}: {state}"


def picture_paths(record: Any) -> Iterator[Path]:
    """Pictures that an edit record, or each of a list of them, names."""
    for one in record if isinstance(record, list) else [record]:
        if isinstance(one, dict):
            for file in one.get("files") or ():
                yield Path(file["path"])


def last_error(records: Sequence[Mapping[str, Any]]) -> str | None:
    """Type and message of the last exception in a task's log."""
    for record in reversed(records):
        details = record.get("error_detail")
        if details:
            # The first is the one that ended the task, the others are its causes.
            return f"{details[0]['exc_type']}: {details[0]['exc_value']}"
    return None


def task_logs(airflow: LocalAirflow, run_id: str, task_id: str) -> Path:
    """Folder of a task's logs: one file for each try."""
    return airflow.logs / "tasks" / f"dag_id={DAG_ID}" / f"run_id={run_id}" / f"task_id={task_id}"


def _failure(airflow: LocalAirflow, run_id: str) -> DemoError:
    for task in airflow.task_instances(DAG_ID, run_id):
        if task["state"] == "failed":
            task_id, tries, index = task["task_id"], task["try_number"], task["map_index"]
            records = airflow.task_log(DAG_ID, run_id, task_id, tries, index)
            return DemoError(
                f"task {task_name(task)!r} failed: {last_error(records) or 'see its log'}",
                log=task_logs(airflow, run_id, task_id),
            )
    return DemoError("the run failed", log=airflow.logs)


def dags_folder() -> Path:
    """Return the example DAGs: those of the checkout, or those that the wheel carries.

    :raises ProcessError: there are none.
    """
    package = Path(airflow_aluo.__file__).parent
    for folder in (package.parent / "dags_examples", package / "example_dags"):
        if folder.is_dir():
            return folder
    raise ProcessError(f"no example DAGs beside or in {package}")
