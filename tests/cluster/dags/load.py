"""What a busy shop asks for at once: mapped edits, sensors, and a batch."""

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.operators.photo_edit_batch import PhotoEditBatchOperator
from airflow_aluo.sensors.photo_edit import PhotoEditStatusSensor

PHOTO = os.environ["CLUSTER_PHOTO"]
#: A worker, a database, a broker may die again and again: a retry goes on with the edit, unpaid.
SETTINGS: dict[str, Any] = {
    "catchup": False,
    "params": {"name": ""},
    "default_args": {"retries": 8, "retry_delay": timedelta(seconds=3)},
}
#: What is mapped over is not templated; what all have in common is.
NUMBERED: dict[str, Any] = {
    "prompt": "{{ params.name }} {{ ti.task_id }} {{ ti.map_index }}",
    "image_urls": [PHOTO],
}

with DAG("load_mapped", schedule=None, **SETTINGS):
    PhotoEditOperator.partial(task_id="edit", deferrable=True, **NUMBERED).expand(
        aspect_ratio=["1:1"] * int(os.environ["CLUSTER_MAPPED"])
    )

with DAG("load_sensors", schedule=None, **SETTINGS):
    submit = PhotoEditOperator.partial(task_id="submit", wait_for_completion=False, **NUMBERED).expand(
        aspect_ratio=["1:1"] * int(os.environ["CLUSTER_SENSORS"])
    )
    PhotoEditStatusSensor.partial(task_id="wait", deferrable=True).expand(aluo_task_id=submit.output)

with DAG("load_batch", schedule=None, **SETTINGS):
    PhotoEditBatchOperator(
        task_id="batch",
        aluo_conn_id="aluo_batch",
        photos=[PHOTO],
        prompts=[f"{{{{ params.name }}}} batch {n}" for n in range(int(os.environ["CLUSTER_BATCH"]))],
    )
