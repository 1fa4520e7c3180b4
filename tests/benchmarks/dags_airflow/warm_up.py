"""A few edits both ways, so that what is compiled or made once is no run's cost."""

import os
from datetime import timedelta

from airflow.sdk import DAG

from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.operators.photo_edit_batch import PhotoEditBatchOperator
from airflow_aluo.sensors.photo_edit import PhotoEditStatusSensor

PHOTO = os.environ["ALUO_BENCH_PHOTO"]

# A busy Airflow 3.3.2 may resume a task before it has noted that the task deferred; then it fails that try.
RETRIES = {"retries": 3, "retry_delay": timedelta(seconds=1)}

with DAG(dag_id="warm_up", schedule=None, catchup=False, default_args=RETRIES):
    submit = PhotoEditOperator.partial(
        task_id="submit", image_urls=[PHOTO], wait_for_completion=False
    ).expand(prompt=[f"Warm up, variant {n}" for n in range(4)])
    PhotoEditStatusSensor.partial(task_id="wait", deferrable=True).expand(aluo_task_id=submit.output)
    PhotoEditBatchOperator(
        task_id="batch",
        edits=[{"prompt": f"Warm up, variant {n}", "image_urls": [PHOTO]} for n in range(4, 8)],
    )
