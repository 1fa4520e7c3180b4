"""Have each photo judged by itself: a mapped task group edits, asks, and edits once more if it is to.

Each photo goes its own way, at its own speed, and may be given to another person. *Approve*, *Reject*, or
*Redo* with another sentence: the second round then asks for that. `publish` waits for all photos.
"""

from pathlib import Path
from tempfile import gettempdir
from typing import Any

from airflow.sdk import DAG, Param, task, task_group

import airflow_aluo
from airflow_aluo.operators.photo_download import PhotoDownloadOperator
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.operators.photo_publish import PhotoPublishOperator
from airflow_aluo.operators.photo_review import PhotoReviewOperator
from airflow_aluo.retry_policy import AluoRetryPolicy

PHOTOS = Path(airflow_aluo.__file__).parent / "sandbox" / "photos"

ROUNDS = 2


@task_group
def each(photo: Any) -> Any:
    """Edit and review one photo; return what its rounds approved."""
    prompt: Any = "{{ params.prompt }}"
    results = []
    for number in range(1, ROUNDS + 1):
        edit = PhotoEditOperator(task_id=f"edit_{number}", prompt=prompt, image_files=photo, deferrable=True)
        land = PhotoDownloadOperator(
            task_id=f"land_{number}", edits=edit.output, destination="{{ params.destination }}/landed"
        )
        review = PhotoReviewOperator(
            task_id=f"review_{number}",
            edits=land.output,
            branches={"redo": f"each.edit_{number + 1}"} if number < ROUNDS else {},
        )
        results.append(review.output)
        prompt = review.output["prompt"]
    return approved(results)


@task(trigger_rule="none_failed")  # runs although the second round was skipped
def approved(rounds: list[dict[str, Any] | None]) -> list[dict[str, Any]]:
    """Return the photo's approved edit, if there is one."""
    return [edit for edit in rounds if edit]


@task.short_circuit
def together(photos: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return what was approved of all photos; after nothing, the tasks that follow are skipped."""
    return [edit for edits in photos for edit in edits]


with DAG(
    dag_id="aluo_review_each",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 2,
        "retry_policy": AluoRetryPolicy(),
    },  # a retry pays nothing, and asks nobody twice
    tags=["aluo", "example"],
    params={
        "prompt": Param("Change the background to a beach scene", type="string"),
        "destination": Param(f"{gettempdir()}/aluo-pictures", type="string"),
    },
):
    photos = each.expand(photo=[str(PHOTOS / "coffee.jpg"), str(PHOTOS / "rocket.jpg")])
    PhotoPublishOperator(
        task_id="publish", edits=together(photos), destination="{{ params.destination }}/reviewed-each"
    )
