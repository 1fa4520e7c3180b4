"""When a person may answer a task of a real Airflow."""

import time

from airflow_aluo.demo.local_airflow import LocalAirflow, task_name
from tests.which_airflow import WAITING

#: Seconds for everything that comes before the question, edits included.
PATIENCE = 300.0


def wait_for_question(
    airflow: LocalAirflow, dag_id: str, run_id: str, task_id: str, map_index: int = -1
) -> None:
    """Wait until a task waits for a person, and Airflow's scheduler has heard that it left its worker.

    Whoever answers earlier makes Airflow take the task for lost.
    """
    name = task_name({"task_id": task_id, "map_index": map_index})
    left = (
        f"TaskInstance Finished: dag_id={dag_id}, task_id={task_id}, run_id={run_id}, map_index={map_index},"
    )
    deadline = time.monotonic() + PATIENCE
    while (found := airflow.task_states(dag_id, run_id)).get(name) != WAITING:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    while left not in (airflow.logs / "scheduler.log").read_text(errors="replace"):
        assert time.monotonic() < deadline, f"the scheduler has not heard of {name}"
        time.sleep(0.2)
