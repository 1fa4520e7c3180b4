"""Examples, run by the scheduler of a real Airflow against the sandbox.

Those with an object store are in `test_catalogue.py`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from airflow_aluo.demo.aluo import KEY
from airflow_aluo.demo.local_airflow import LocalAirflow
from airflow_aluo.protocol import record

FORM = {"photos": ["https://example.com/product.jpg"], "prompt": "Add a coffee cup on the desk"}

#: What a person fills in, and the number of edits that each example submits.
EXAMPLES: Mapping[str, tuple[dict[str, Any], int]] = {
    "aluo_photo_edit": ({}, 1),
    "aluo_mapped_edits": ({}, 5),
    "aluo_chained_edits": ({}, 3),
    "aluo_edit_form": ({**FORM, "aspect_ratio": "1:1", "num_images": 2}, 1),
    "aluo_batch_edits": ({}, 4),
    "aluo_cms_publish": ({}, 1),
}

#: The tasks that land the pictures.
LANDS = dict.fromkeys(EXAMPLES, "download") | {"aluo_batch_edits": "edit"}


@pytest.fixture(scope="module")
def runs(airflow: LocalAirflow, sandbox: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One run of each example, all at once, to their end; run ids by DAG."""
    sandbox.control("DELETE", "ledger")
    started = {}
    for dag_id, (conf, _) in EXAMPLES.items():
        airflow.wait_for_dag(dag_id)
        destination = tmp_path_factory.mktemp(dag_id)
        started[dag_id] = airflow.trigger(dag_id, {**conf, "destination": str(destination)})
    for dag_id, run_id in started.items():
        airflow.wait_for_run(dag_id, run_id, timeout=240)
    return started


@pytest.mark.parametrize("dag_id", EXAMPLES)
def test_an_example_ends_with_pictures_on_disk(airflow: LocalAirflow, runs: Any, dag_id: str) -> None:
    assert airflow.run_state(dag_id, runs[dag_id]) == "success"
    landed = airflow.xcom(dag_id, runs[dag_id], LANDS[dag_id])
    for edit in landed if isinstance(landed, list) else [landed]:
        assert record.parse(edit)["status"] == "SUCCESS"
        assert len(edit["files"]) == len(edit["result_urls"]) >= 1
        for file in edit["files"]:
            with Image.open(file["path"]) as picture:
                picture.load()
                assert picture.size == (file["width"], file["height"])
                assert Path(file["path"]).stat().st_size == file["bytes"]


def test_the_examples_submit_each_edit_once(runs: Any, sandbox: Any) -> None:
    assert len(runs) == len(EXAMPLES)
    totals = sandbox.ledger()["totals"]
    wanted = sum(edits for _, edits in EXAMPLES.values())
    assert (totals["accepted"], totals["succeeded"], totals["failed"]) == (wanted, wanted, 0)


def test_a_form_is_honoured(airflow: LocalAirflow, runs: Any) -> None:
    landed = airflow.xcom("aluo_edit_form", runs["aluo_edit_form"], "download")
    assert [file["width"] for file in landed["files"]] == [file["height"] for file in landed["files"]]
    assert len(landed["files"]) == 2
    assert landed["request"]["image_urls"] == FORM["photos"]


def test_mapped_edits_are_named_as_the_example_says(airflow: LocalAirflow, runs: Any) -> None:
    instances = airflow.task_instances("aluo_mapped_edits", runs["aluo_mapped_edits"])
    names = {one["rendered_map_index"] for one in instances if one["task_id"] == "edit"}
    assert "Change product to blue" in names
    assert len(names) == 5


def test_a_batch_is_mapped_over(airflow: LocalAirflow, runs: Any) -> None:
    run_id = runs["aluo_batch_edits"]
    instances = airflow.task_instances("aluo_batch_edits", run_id)
    assert [one["state"] for one in instances if one["task_id"] == "tell"] == ["success"] * 4
    summary = airflow.xcom("aluo_batch_edits", run_id, "edit", key="summary")
    assert (summary["edits"], summary["succeeded"], summary["failed"]) == (4, 4, 0)


def test_a_cms_is_told_once_what_was_published(airflow: LocalAirflow, runs: Any, cms: Any) -> None:
    published = airflow.xcom("aluo_cms_publish", runs["aluo_cms_publish"], "publish")
    manifest = Path(published["manifest"])
    assert cms.requests == [
        ("PUT", f"/sets/{published['set']}", "application/json", json.loads(manifest.read_text()))
    ]
    (picture,) = cms.requests[0][3]["pictures"]
    assert manifest.parent.joinpath(picture["path"]).stat().st_size == picture["bytes"]


#: Airflow's DAG processor in an environment without the providers that some examples need.
PARSE = """
import json, sys
sys.modules |= dict.fromkeys(["airflow.providers.amazon.aws", "airflow.providers.http.operators", "s3fs"])
try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag

bag = DagBag(dag_folder=sys.argv[1])
print(json.dumps([bag.import_errors, sorted(bag.dags)]))
"""


def test_a_provider_that_is_not_there_breaks_no_example() -> None:
    folder = Path(__file__).parents[2] / "dags_examples"
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(folder)], env=os.environ, capture_output=True, text=True, check=True
    )
    errors, dags = json.loads(done.stdout.splitlines()[-1])
    assert errors == {}
    assert dags == sorted({path.stem for path in folder.glob("*.py")} - {"aluo_cms_publish"})


def test_the_edit_is_known_while_the_task_is_deferred(airflow: LocalAirflow, runs: Any) -> None:
    dag_id, run_id = "aluo_chained_edits", runs["aluo_chained_edits"]

    def deferred(task: str) -> bool:  # not where it was done before the task was ready to defer
        log = airflow.task_log(dag_id, run_id, task)
        return any("Pausing task as DEFERRED" in str(line["event"]) for line in log)

    tasks = [task for task in ("recolour", "place", "frame") if deferred(task)]
    assert tasks
    for task in tasks:
        aluo_task_id = airflow.xcom(dag_id, run_id, task, key="aluo_task_id")
        assert airflow.xcom(dag_id, run_id, task)["aluo_task_id"] == aluo_task_id


def test_no_log_holds_the_key_or_what_a_trigger_sent(airflow: LocalAirflow, runs: Any) -> None:
    assert runs
    texts = [path.read_text(errors="replace") for path in airflow.home.rglob("*.log")]
    assert len(texts) > 10
    assert not [text for text in texts if KEY in text]
    fired = [line for text in texts for line in text.splitlines() if "Trigger fired event" in line]
    assert len(fired) >= 6, "hardly anything waited in the triggerer"
    hidden = ("PhotoEditEvent<snapshot>", "PhotoEditEvent<batch>")
    assert all(any(one in line for one in hidden) and "result_urls" not in line for line in fired)
