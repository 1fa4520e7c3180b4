"""Edit one photo: submit it, wait in the triggerer without a worker, land the picture.

Needs the connection `aluo_default`. The record that one task returns is what the next one takes.
"""

from pathlib import Path
from tempfile import gettempdir

from airflow.sdk import DAG, Param

import airflow_aluo
from airflow_aluo.operators.photo_download import PhotoDownloadOperator
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.retry_policy import AluoRetryPolicy
from airflow_aluo.sensors.photo_edit import PhotoEditStatusSensor

PHOTO = Path(airflow_aluo.__file__).parent / "sandbox" / "photos" / "rocket.jpg"

with DAG(
    dag_id="aluo_photo_edit",
    doc_md=__doc__,
    schedule=None,
    catchup=False,  # an edit costs credits: no run is made up for later,
    max_active_runs=1,  # and none overtakes another
    default_args={"retries": 2, "retry_policy": AluoRetryPolicy()},  # a retry goes on with the edit, unpaid
    tags=["aluo", "example"],
    params={
        "photo": Param(str(PHOTO), type="string", description="A file that the worker can read."),
        "prompt": Param("Change the background to a beach scene", type="string"),
        "destination": Param(f"{gettempdir()}/aluo-pictures", type="string"),
    },
):
    submit = PhotoEditOperator(
        task_id="submit",
        prompt="{{ params.prompt }}",
        image_files="{{ params.photo }}",
        wait_for_completion=False,
    )
    wait = PhotoEditStatusSensor(task_id="wait", aluo_task_id=submit.output, deferrable=True)
    PhotoDownloadOperator(task_id="download", edits=wait.output, destination="{{ params.destination }}")
