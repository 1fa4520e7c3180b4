"""Try every sentence on every photo in one task: as many edits as you like at the cost of one task.

The batch keeps to the account's rate limit, lands each picture the moment it is ready, and costs at most
`max_credits`. What it returns can be mapped over: here each edit is told of by a task of its own.
"""

from pathlib import Path
from tempfile import gettempdir
from typing import Any

from airflow.sdk import DAG, Param, task

import airflow_aluo
from airflow_aluo.operators.photo_edit_batch import PhotoEditBatchOperator
from airflow_aluo.retry_policy import AluoRetryPolicy

PHOTOS = Path(airflow_aluo.__file__).parent / "sandbox" / "photos"


@task
def tell(edit: dict[str, Any]) -> str:
    """Return what was asked and where it lies."""
    return f"{edit['request']['prompt']}: {edit['files'][0]['path']}"


with DAG(
    dag_id="aluo_batch_edits",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_policy": AluoRetryPolicy()},  # a retry pays only for what failed
    tags=["aluo", "example"],
    params={"destination": Param(f"{gettempdir()}/aluo-pictures", type="string")},
):
    edit = PhotoEditBatchOperator(
        task_id="edit",
        photos=[str(PHOTOS / "coffee.jpg"), str(PHOTOS / "rocket.jpg")],
        prompts=["Change the product color to blue", "Change the background to a beach scene"],
        output_format="jpeg",
        destination="{{ params.destination }}",
        max_credits=400,
        deferrable=True,
    )
    tell.expand(edit=edit.output)
