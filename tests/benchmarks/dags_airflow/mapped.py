"""The edits as mapped tasks: for each one that submits, and a sensor that waits in the triggerer."""

import os
from datetime import timedelta

from airflow.sdk import DAG

from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.sensors.photo_edit import PhotoEditStatusSensor

PHOTO = os.environ["ALUO_BENCH_PHOTO"]
PROMPTS = [f"Make it warm, variant {n}" for n in range(int(os.environ["ALUO_BENCH_EDITS"]))]

# A busy Airflow 3.3.2 may resume a task before it has noted that the task deferred; then it fails that try.
RETRIES = {"retries": 3, "retry_delay": timedelta(seconds=1)}

with DAG(dag_id="mapped", schedule=None, catchup=False, default_args=RETRIES):
    submit = PhotoEditOperator.partial(
        task_id="submit", image_urls=[PHOTO], wait_for_completion=False
    ).expand(prompt=PROMPTS)
    PhotoEditStatusSensor.partial(task_id="wait", deferrable=True).expand(aluo_task_id=submit.output)
