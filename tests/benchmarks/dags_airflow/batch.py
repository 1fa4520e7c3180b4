"""The same edits in one task."""

import os

from airflow.sdk import DAG

from airflow_aluo.operators.photo_edit_batch import PhotoEditBatchOperator

PHOTO = os.environ["ALUO_BENCH_PHOTO"]
PROMPTS = [f"Make it warm, variant {n}" for n in range(int(os.environ["ALUO_BENCH_EDITS"]))]

with DAG(dag_id="batch", schedule=None, catchup=False):
    PhotoEditBatchOperator(
        task_id="batch", edits=[{"prompt": prompt, "image_urls": [PHOTO]} for prompt in PROMPTS]
    )
