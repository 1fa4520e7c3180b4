"""Let a person choose which edited photos are published, and have the others edited once more.

Each round edits, then waits under *Required Actions* for a person, without a worker: choose the pictures to
approve, and *Redo the others* to have another try at the rest, by another sentence if you like. A DAG has no
circles, so its rounds are written out; those that nobody needs are skipped. After the last one, what would be
redone is left out. `publish` takes what was approved in any round; if that is nothing, it is skipped.
"""

from pathlib import Path
from tempfile import gettempdir
from typing import Any

from airflow.sdk import DAG, Param, task

import airflow_aluo
from airflow_aluo.operators.photo_edit_batch import PhotoEditBatchOperator
from airflow_aluo.operators.photo_publish import PhotoPublishOperator
from airflow_aluo.operators.photo_review import PhotoReviewOperator
from airflow_aluo.retry_policy import AluoRetryPolicy

PHOTOS = Path(airflow_aluo.__file__).parent / "sandbox" / "photos"

ROUNDS = 3


@task.short_circuit(trigger_rule="none_failed")  # runs although rounds were skipped
def approved(rounds: list[list[dict[str, Any]] | None]) -> list[dict[str, Any]]:
    """Return what was approved in all rounds; after nothing, the tasks that follow are skipped."""
    return [edit for edits in rounds for edit in edits or []]


with DAG(
    dag_id="aluo_review",
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
        "prompt": Param("Change the product color to blue", type="string"),
        "destination": Param(f"{gettempdir()}/aluo-pictures", type="string"),
    },
):
    wanted = {
        "photos": [str(PHOTOS / "coffee.jpg"), str(PHOTOS / "rocket.jpg")],
        "prompts": ["{{ params.prompt }}"],
    }
    results = []
    for number in range(1, ROUNDS + 1):
        edit = PhotoEditBatchOperator(
            task_id=f"edit_{number}",
            destination="{{ params.destination }}/landed",
            deferrable=True,
            **wanted,
        )
        review = PhotoReviewOperator(
            task_id=f"review_{number}",
            edits=edit.output,
            branches={"redo": f"edit_{number + 1}"} if number < ROUNDS else {},
        )
        results.append(review.output)
        wanted = {"edits": review.output["redo"]}
    PhotoPublishOperator(
        task_id="publish", edits=approved(results), destination="{{ params.destination }}/reviewed"
    )
