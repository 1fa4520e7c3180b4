"""A task's queue decides which worker runs it and which triggerer waits for it."""

import time
from collections import defaultdict

import pytest
from fleet.aluo import Aluo
from fleet.cluster import Cluster
from fleet.parts import LEFT, RIGHT

#: Seconds that each edit takes: long enough to see who waits.
EDIT_SECONDS = 45.0
#: Seconds for the run.
PATIENCE = 300.0

Places = dict[str, set[str]]


@pytest.fixture(scope="module")
def places(cluster: Cluster, aluo: Aluo) -> tuple[Places, Places]:
    """Of each task: the workers that ran it, and the triggerers that waited for it."""
    before = aluo.control("GET", "settings")
    aluo.control("PUT", "settings", {"durations": EDIT_SECONDS})
    body = {"logical_date": None, "conf": {}}
    run = cluster.rest().post("dags/queues/dagRuns", body)["dag_run_id"]
    workers, triggerers = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    deadline = time.monotonic() + PATIENCE
    try:
        while cluster.ask("select state from dag_run where run_id = %s", run) != [("success",)]:
            assert time.monotonic() < deadline, cluster.logs
            waits = (
                "select i.task_id, j.hostname from task_instance i join trigger t on t.id = i.trigger_id"
                " join job j on j.id = t.triggerer_id where i.run_id = %s"
            )
            for task, host in cluster.ask(waits, run):
                triggerers[task].add(host)
            for task, host in cluster.ask(
                "select task_id, hostname from task_instance where run_id = %s and hostname <> ''", run
            ):
                workers[task].add(host)
            cluster.tend()
            time.sleep(0.5)
    finally:
        aluo.control("PUT", "settings", before)
    return dict(workers), dict(triggerers)


@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_a_tasks_worker_is_of_its_queue(places: tuple[Places, Places], side: str) -> None:
    workers, _ = places
    for task in ("edit", "submit", "wait"):
        assert workers[f"{task}_{side}"] == {f"worker-{side}"}


@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_a_tasks_triggerer_is_of_its_queue(places: tuple[Places, Places], side: str) -> None:
    _, triggerers = places
    for task in ("edit", "wait"):
        assert triggerers[f"{task}_{side}"] == {f"triggerer-{side}"}
