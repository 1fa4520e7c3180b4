"""One edit waited for in every way, and one edit mapped over photos."""

from pathlib import Path

from airflow.sdk import DAG

import airflow_aluo
from airflow_aluo.operators.photo_download import PhotoDownloadOperator
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.sensors.photo_edit import PhotoEditStatusSensor

PHOTOS = Path(airflow_aluo.__file__).parent / "sandbox" / "photos"

with DAG(dag_id="every_mode", schedule=None, catchup=False, params={"destination": "", "n": 2}):
    submit = PhotoEditOperator(
        task_id="submit",
        prompt="prompts/blue.jinja",
        image_urls=["https://example.com/product.jpg"],
        num_images="{{ params.n }}",
        wait_for_completion=False,
    )
    waits = [
        PhotoEditStatusSensor(task_id="poke", aluo_task_id=submit.output, poke_interval=0.5),
        PhotoEditStatusSensor(
            task_id="reschedule", aluo_task_id=submit.output, poke_interval=0.5, mode="reschedule"
        ),
        PhotoEditStatusSensor(
            task_id="deferrable", aluo_task_id=submit.output, poke_interval=0.5, deferrable=True
        ),
        PhotoEditStatusSensor(task_id="by_id", aluo_task_id=submit.output["aluo_task_id"], poke_interval=0.5),
    ]
    for wait in waits:
        PhotoDownloadOperator(
            task_id=f"land_{wait.task_id}", edits=wait.output, destination="{{ params.destination }}"
        )
    PhotoDownloadOperator(
        task_id="land_urls",
        edits=waits[0].output["result_urls"],
        destination="{{ params.destination }}",
        aluo_conn_id="aluo_default",  # addresses alone do not say whose they are
    )

with DAG(dag_id="mapped_over_photos", schedule=None, catchup=False):
    PhotoEditOperator.partial(task_id="edit", prompt="Center the product", poll_interval=0.5).expand(
        image_files=[[str(PHOTOS / "rocket.jpg")], [str(PHOTOS / "coffee.jpg")]]
    )
