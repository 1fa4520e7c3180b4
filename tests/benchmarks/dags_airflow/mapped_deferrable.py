"""The edits as mapped tasks that wait in the triggerer themselves: one start of a process less for each."""

import os
from datetime import timedelta

from airflow.sdk import DAG

from airflow_aluo.operators.photo_edit import PhotoEditOperator

PHOTO = os.environ["ALUO_BENCH_PHOTO"]
PROMPTS = [f"Make it warm, variant {n}" for n in range(int(os.environ["ALUO_BENCH_EDITS"]))]

# A busy Airflow 3.3.2 may resume a task before it has noted that the task deferred; then it fails that try.
RETRIES = {"retries": 3, "retry_delay": timedelta(seconds=1)}

with DAG(dag_id="mapped_deferrable", schedule=None, catchup=False, default_args=RETRIES):
    PhotoEditOperator.partial(task_id="edit", image_urls=[PHOTO], deferrable=True).expand(prompt=PROMPTS)
