"""Mapped edits as Airflow itself runs them, with ``dag.test()``."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

DAGS = Path(__file__).with_name("dags")

RUN = """
import json
import sys
from pathlib import Path

from airflow.utils.db import initdb

initdb()
sys.path.insert(0, sys.argv[1])
import mapped_edits
from airflow.utils.session import create_session

run = mapped_edits.by_photo.dag.test()
with create_session() as session:
    found = [
        [one.task_id, one.map_index, one.state, one.rendered_map_index]
        for one in run.get_task_instances(session=session)
    ]
Path(sys.argv[2]).write_text(json.dumps(found))
"""


def test_mapped_edits_are_named_and_landed_and_a_wrong_one_is_never_sent(
    sandbox: Any, tmp_path: Path
) -> None:
    environment = os.environ | {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "ALUO_TEST_PHOTOS": f"{sandbox.base_url}/photos",
        "ALUO_TEST_DESTINATION": str(tmp_path / "landed"),
    }
    outcome = tmp_path / "outcome.json"
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(DAGS), str(outcome)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    found = {(task, index): (state, name) for task, index, state, name in json.loads(outcome.read_text())}
    assert found["by_photo", 0] == ("success", "coffee.jpg")
    assert found["by_photo", 1] == ("success", "rocket.jpg")
    assert found["by_prompt", 0] == ("success", "Make it red")
    assert found["by_prompt", 1] == ("success", "Make it green")
    assert found["one_is_wrong", 0][0] == "success"
    assert found["one_is_wrong", 1][0] == "failed"
    assert found["land", -1][0] == "success"
    assert len(list((tmp_path / "landed").iterdir())) == 2
    assert sandbox.accepted == 5
