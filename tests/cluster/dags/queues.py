"""Edits that belong to one worker and one triggerer."""

import os

from airflow.sdk import DAG

from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.sensors.photo_edit import PhotoEditStatusSensor

PHOTO = os.environ["CLUSTER_PHOTO"]

with DAG("queues", schedule=None, catchup=False):
    for side in ("left", "right"):
        PhotoEditOperator.partial(
            task_id=f"edit_{side}", prompt=f"Make it {side}", image_urls=[PHOTO], deferrable=True, queue=side
        ).expand(aspect_ratio=["1:1", "4:3", "16:9"])
        submit = PhotoEditOperator(
            task_id=f"submit_{side}",
            prompt=f"Submit it {side}",
            image_urls=[PHOTO],
            wait_for_completion=False,
            queue=side,
        )
        PhotoEditStatusSensor(task_id=f"wait_{side}", aluo_task_id=submit.output, deferrable=True, queue=side)
