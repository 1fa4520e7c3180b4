"""People decide, by Airflow's API: the examples with reviews, in a real Airflow against the sandbox."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from airflow_aluo import gallery
from airflow_aluo.demo.local_airflow import LocalAirflow, task_name
from airflow_aluo.demo.settings import USER
from airflow_aluo.protocol import record
from airflow_aluo.protocol.schemas import validator
from tests.questions import wait_for_question

SET, EACH = "aluo_review", "aluo_review_each"


class Run:
    """A run of an example, and the people who answer it."""

    def __init__(self, airflow: LocalAirflow, sandbox: Any, dag_id: str, **conf: Any) -> None:
        self.airflow, self.sandbox, self.dag_id = airflow, sandbox, dag_id
        airflow.wait_for_dag(dag_id)
        self.run_id = airflow.trigger(dag_id, conf)

    def instance(self, task_id: str) -> str:
        return f"dags/{self.dag_id}/dagRuns/{quote(self.run_id, safe='')}/taskInstances/{task_id}"

    def wait_until(self, task_id: str, state: str, map_index: int = -1) -> None:
        deadline = time.monotonic() + 120
        while (found := self.airflow.task_states(self.dag_id, self.run_id)).get(
            task_name({"task_id": task_id, "map_index": map_index})
        ) != state:
            assert time.monotonic() < deadline, found
            time.sleep(0.2)

    def question(self, task_id: str, map_index: int = -1) -> Any:
        """Wait for a review and return what it asks."""
        wait_for_question(self.airflow, self.dag_id, self.run_id, task_id, map_index)
        return self.airflow.rest.get(f"{self.instance(task_id)}/{map_index}/hitlDetails")

    def answer(self, task_id: str, *chosen: str, map_index: int = -1, **form: Any) -> None:
        self.airflow.rest.change(
            "PATCH",
            f"{self.instance(task_id)}/{map_index}/hitlDetails",
            {"chosen_options": list(chosen), "params_input": form},
        )

    def links(self, task_id: str, map_index: int = -1) -> Any:
        return self.airflow.rest.get(f"{self.instance(task_id)}/links", map_index=map_index)["extra_links"]

    def has_links(self, task_id: str, expected: Mapping[str, str], map_index: int = -1) -> None:
        """Wait for links: Airflow writes them a moment after the state."""
        deadline = time.monotonic() + 30
        while (found := self.links(task_id, map_index)) != expected:
            assert time.monotonic() < deadline, found
            time.sleep(0.2)

    def ends(self) -> Mapping[str, str | None]:
        """Wait for the run's end and return the states of its tasks."""
        assert self.airflow.wait_for_run(self.dag_id, self.run_id, timeout=240) == "success"
        return self.airflow.task_states(self.dag_id, self.run_id)

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        return self.airflow.xcom(self.dag_id, self.run_id, task_id, key, map_index)

    def manifest(self) -> Any:
        found = json.loads(Path(self.xcom("publish")["manifest"]).read_text())
        validator("manifest").validate(found)
        return found

    def paid(self, prompt: str) -> int:
        """Return how many edits with this text in their prompt were accepted."""
        accepted: int = self.sandbox.control("GET", f"ledger?prompt={quote(prompt)}")["totals"]["accepted"]
        return accepted


def test_of_a_set_some_are_approved_and_the_others_redone_by_another_prompt(
    airflow: LocalAirflow, sandbox: Any, tmp_path: Path
) -> None:
    first, second = "Make the first set blue", "Make the second set red"
    run = Run(airflow, sandbox, SET, destination=str(tmp_path), prompt=first)
    asked = run.question("review_1")
    assert asked["options"] == ["1: coffee.jpg", "2: rocket.jpg", "Redo the others", "Reject all"]
    assert asked["params"]["prompt"]["value"] == first
    for position in (0, 1):
        picture = gallery.picture(SET, run.run_id, "review_1", -1, position, "after", 0)
        assert f"![after]({picture}?size=thumb)" in asked["body"]
    run.has_links("review_1", {"Photo edits": gallery.tab(SET, run.run_id, "review_1", -1)})
    run.answer("review_1", "1: coffee.jpg", "Redo the others", prompt=second)

    asked = run.question("review_2")
    assert (asked["subject"], asked["multiple"]) == (f"Approve rocket.jpg: {second}", False)
    run.answer("review_2", "Approve", prompt=second)
    states = run.ends()
    assert states["edit_3"] == states["review_3"] == "skipped"
    assert {state for task, state in states.items() if not task.endswith("_3")} == {"success"}
    assert {picture["prompt"]: Path(picture["source"]).name for picture in run.manifest()["pictures"]} == {
        first: "coffee.jpg",
        second: "rocket.jpg",
    }
    assert (run.paid(first), run.paid(second)) == (2, 1)
    approved, redone = run.xcom("review_1", "reviewed")
    assert (approved["review"]["decision"], approved["review"]["by"]) == ("approved", USER)
    assert (redone["review"]["decision"], redone["review"]["prompt"]) == ("redo", second)
    assert [record.parse(one)["review"]["by"] for one in run.xcom("review_2")] == [USER]
    run.has_links("publish", {"Photo edits of the run": gallery.tab_of_run(SET, run.run_id)})


def test_of_a_set_that_is_rejected_nothing_is_published_or_redone(
    airflow: LocalAirflow, sandbox: Any, tmp_path: Path
) -> None:
    prompt = "Make the third set green"
    run = Run(airflow, sandbox, SET, destination=str(tmp_path), prompt=prompt)
    run.question("review_1")
    run.answer("review_1", "2: rocket.jpg", "Reject all", prompt="Nobody asks for this")
    states = run.ends()
    assert {task for task, state in states.items() if state == "success"} == {
        "edit_1",
        "review_1",
        "approved",
    }
    assert set(states.values()) == {"success", "skipped"}
    assert not (tmp_path / "reviewed").exists()
    assert (run.paid(prompt), run.paid("Nobody asks for this")) == (2, 0)
    assert any(
        "count as rejected" in str(line["event"]) for line in airflow.task_log(SET, run.run_id, "review_1")
    )


@pytest.fixture
def held(sandbox: Any) -> Any:
    """Edits with a word in their prompt go on until they are let go."""
    fault = {"kind": "word", "on": "status", "word": "PROCESSING", "prompt": "beach", "times": None}
    sandbox.control("POST", "faults", fault)
    yield lambda: sandbox.control("DELETE", "faults")
    sandbox.control("DELETE", "faults")


def test_each_photo_of_a_mapped_group_goes_its_own_way(
    airflow: LocalAirflow, sandbox: Any, tmp_path: Path, held: Any
) -> None:
    first, second = "Change the background to a beach scene with a boat", "Change the background to snow"
    run = Run(airflow, sandbox, EACH, destination=str(tmp_path), prompt=first)
    edits = {
        index: {
            "Photo edits": gallery.tab(EACH, run.run_id, "each.edit_1", index),
            "Result": f"{gallery.of_task_instance(EACH, run.run_id, 'each.edit_1', index)}?open=first",
        }
        for index in (0, 1)
    }
    for index, expected in edits.items():
        run.wait_until("each.edit_1", "deferred", index)
        run.has_links("each.edit_1", expected, index)
        run.wait_until("each.edit_1", "deferred", index)
    held()
    for index in (0, 1):
        assert run.question("each.review_1", index)["params"]["prompt"]["value"] == first
        run.has_links(
            "each.review_1", {"Photo edits": gallery.tab(EACH, run.run_id, "each.review_1", index)}, index
        )
    run.answer("each.review_1", "Approve", map_index=0)
    run.answer("each.review_1", "Redo", map_index=1, prompt=second)
    run.question("each.review_2", 1)
    run.answer("each.review_2", "Approve", map_index=1)

    states = run.ends()
    for task in ("edit_2", "land_2", "review_2"):
        assert (states[f"each.{task}[0]"], states[f"each.{task}[1]"]) == ("skipped", "success")
    for index, expected in edits.items():
        run.has_links("each.edit_1", expected, index)
    assert sorted(picture["prompt"] for picture in run.manifest()["pictures"]) == [first, second]
    assert (run.paid(first), run.paid(second)) == (2, 1)
    assert run.xcom("each.review_1", map_index=0)["review"]["by"] == USER
    names = {
        one["rendered_map_index"]
        for one in airflow.task_instances(EACH, run.run_id)
        if one["task_id"] == "each.edit_1"
    }
    assert names == {"coffee.jpg", "rocket.jpg"}
