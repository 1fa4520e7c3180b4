"""The example DAGs: parsed as Airflow's DAG processor does, sparing with money, each idea once."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import airflow_aluo

PACKAGE = Path(airflow_aluo.__file__).parent
EXAMPLES = PACKAGE.parent / "dags_examples"
FILES = sorted(EXAMPLES.glob("*.py"))

PARSE = """
import json, sys
try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag

bag = DagBag(dag_folder=sys.argv[1])
dags = {
    dag.dag_id: {
        "file": dag.fileloc.rpartition("/")[2],
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "starts_by_itself": dag.schedule is not None and not dag.is_paused_upon_creation,
        "doc": dag.doc_md,
        "tags": sorted(dag.tags),
        "conn_ids": sorted({getattr(task, "aluo_conn_id", None) or "aluo_default" for task in dag.tasks}),
    }
    for dag in bag.dags.values()
}
print(json.dumps([bag.import_errors, bag.captured_warnings, dags]))
"""


@pytest.fixture(scope="module")
def parsed() -> Any:
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", PARSE, str(EXAMPLES)],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_examples_are_parsed_without_errors_and_without_warnings(parsed: Any) -> None:
    errors, warnings, dags = parsed
    assert errors == {}
    # What a provider of Airflow's says about an older Airflow is not ours to mend.
    said = [warning for of_a_file in warnings.values() for warning in of_a_file]
    assert [warning for warning in said if "/airflow/providers/" not in warning] == []
    assert {dag["file"] for dag in dags.values()} == {path.name for path in FILES}


def test_an_example_spends_nothing_that_nobody_asked_for(parsed: Any) -> None:
    for dag in parsed[2].values():
        assert (dag["catchup"], dag["max_active_runs"], dag["starts_by_itself"]) == (False, 1, False)
        assert dag["conn_ids"] == ["aluo_default"]


def test_an_example_is_named_after_its_file_and_explains_itself(parsed: Any) -> None:
    for dag_id, dag in parsed[2].items():
        assert dag["file"] == f"{dag_id}.py"
        assert dag["doc"].strip()
        assert {"aluo", "example"} <= set(dag["tags"])


def test_no_example_is_there_twice() -> None:
    bodies = [ast.dump(ast.parse(path.read_text("utf-8"))) for path in FILES]
    assert len(set(bodies)) == len(FILES)
    headlines = [str(ast.get_docstring(ast.parse(path.read_text("utf-8")))).split("\n")[0] for path in FILES]
    assert len(set(headlines)) == len(FILES)
    # The checkout has one folder of examples and one of schemas; the wheel is made of them.
    assert not (PACKAGE / "example_dags").exists()
    assert not (PACKAGE / "schemas").exists()
