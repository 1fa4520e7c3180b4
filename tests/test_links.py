"""The buttons on a task's page: where they lead, and whose they are."""

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_aluo import gallery
from airflow_aluo.decorators.photo_edit import _PhotoEditDecoratedOperator
from airflow_aluo.links import PhotoEditsLink, ResultLink, RunLink
from airflow_aluo.operators.photo_download import PhotoDownloadOperator
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.operators.photo_edit_batch import PhotoEditBatchOperator
from airflow_aluo.operators.photo_publish import PhotoPublishOperator
from airflow_aluo.operators.photo_review import PhotoReviewOperator
from airflow_aluo.sensors.photo_edit import PhotoEditStatusSensor

RUN = "manual__2026-11-29T17:00:00+00:00"
QUOTED = "manual__2026-11-29T17%3A00%3A00%2B00%3A00"


def link(kind: Any, map_index: int | None = -1) -> str:
    ti = SimpleNamespace(dag_id="a_dag", run_id=RUN, task_id="group.a task", map_index=map_index)
    found: str = kind().get_link(None, ti_key=ti)
    return found


@pytest.mark.parametrize("map_index", [-1, None])
def test_links_lead_to_the_task_instance(map_index: int | None) -> None:
    where = f"dags/a_dag/runs/{QUOTED}/tasks/group.a%20task"
    assert link(PhotoEditsLink, map_index) == f"{where}/plugin/aluo-edits-instance"
    assert link(ResultLink, map_index) == f"aluo/{where}/-1?open=first"


def test_links_of_a_mapped_task_lead_to_its_instance() -> None:
    where = f"dags/a_dag/runs/{QUOTED}/tasks/group.a%20task"
    assert link(PhotoEditsLink, 7) == f"{where}/mapped/7/plugin/aluo-edits-instance"
    assert link(ResultLink, 7) == f"aluo/{where}/7?open=first"


def test_a_task_without_edits_of_its_own_leads_to_those_of_the_run() -> None:
    assert link(RunLink) == f"dags/a_dag/runs/{QUOTED}/plugin/{gallery.TABS['dag_run']}"


@pytest.mark.parametrize("kind", [PhotoEditsLink, ResultLink, RunLink])
def test_an_address_stays_below_airflows_own_whatever_that_is(kind: Any) -> None:
    assert not link(kind).startswith(("/", "http"))


def named(operator: Any) -> dict[str, str]:
    return {one.name: one.xcom_key for one in operator.operator_extra_links}


@pytest.mark.parametrize(
    "operator",
    [
        PhotoEditOperator,
        _PhotoEditDecoratedOperator,
        PhotoEditBatchOperator,
        PhotoEditStatusSensor,
        PhotoDownloadOperator,
    ],
)
def test_a_task_with_edits_has_both_links(operator: Any) -> None:
    assert named(operator) == {"Photo edits": gallery.LINK, "Result": "_link_aluo_result"}


def test_a_review_leads_to_its_edits_and_a_publication_to_those_of_its_run() -> None:
    assert named(PhotoReviewOperator) == {"Photo edits": gallery.LINK}
    assert named(PhotoPublishOperator) == {"Photo edits of the run": "_link_aluo_run"}


def test_a_mapped_task_has_its_operators_links() -> None:
    with DAG("a_dag", schedule=None) as dag:
        PhotoEditOperator.partial(task_id="edit", prompt="Blue").expand(
            image_urls=["https://x.example/a.png"]
        )
    assert named(dag.get_task("edit")) == named(PhotoEditOperator)
