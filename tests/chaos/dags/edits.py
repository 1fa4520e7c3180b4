"""Edits in all the ways that the chaos suite disturbs; what is asked comes from the run's conf."""

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.operators.photo_edit_batch import PhotoEditBatchOperator
from airflow_aluo.retry_policy import AluoRetryPolicy
from airflow_aluo.sensors.photo_edit import PhotoEditStatusSensor

PARAMS = {"prompt": "", "photo": "", "file": "", "aluo_conn_id": "aluo_default"}

#: Quick looks, quick retries.
DEFAULTS = {"retries": 2, "retry_delay": timedelta(seconds=1), "aluo_conn_id": "{{ params.aluo_conn_id }}"}

BY_URL: dict[str, Any] = {
    "prompt": "{{ params.prompt }}",
    "image_urls": ["{{ params.photo }}"],
    "timeout": 300,
    "poll_interval": 0.7,
}
BY_FILE = {key: value for key, value in BY_URL.items() if key != "image_urls"} | {
    "image_files": ["{{ params.file }}"]
}

#: DAGs of one edit: what the operator is told beside the above.
EDITS: dict[str, dict[str, Any]] = {
    "edit_in_worker": BY_URL,
    "edit_in_triggerer": {**BY_URL, "deferrable": True},
    "edit_once": {**BY_URL, "retries": 0},
    "edit_and_let_go": {**BY_URL, "wait_for_completion": False},
    "upload_in_worker": BY_FILE,
    "changing_prompt": {**BY_URL, "prompt": "{{ params.prompt }}, try {{ ti.try_number }}"},
    "hasty_edit": {**BY_URL, "timeout": 15},
    "hasty_edit_in_triggerer": {**BY_URL, "timeout": 15, "deferrable": True},
    "lazy_edit": {**BY_URL, "timeout": 400, "poll_interval": 27, "deferrable": True},
    "edit_or_resubmit": {**BY_URL, "on_unknown_outcome": "resubmit", "retry_policy": AluoRetryPolicy()},
    "edit_or_reuse": {**BY_URL, "on_clear": "reuse"},
    "edit_or_renew": {**BY_URL, "on_clear": "new"},
}

for name, options in EDITS.items():
    with DAG(name, schedule=None, catchup=False, params=PARAMS, default_args=DEFAULTS):
        PhotoEditOperator(task_id="edit", **options)

#: How the sensor waits. Airflow 3.3.2 fails a task that is queued again before the scheduler has processed
#: that its worker has ended ("finished with state success, but the task instance's state attribute is
#: queued"), so nobody should be rescheduled every second.
MODES: dict[str, dict[str, Any]] = {
    "poke": {"poke_interval": 1},
    "reschedule": {"poke_interval": 6, "mode": "reschedule"},
    "defer": {"poke_interval": 1, "deferrable": True},
}
#: DAGs of one edit and one wait: the sensor's timeout, and what it is told beside the mode.
WAITS: dict[str, tuple[dict[str, int], dict[str, Any]]] = {
    "edit_and": ({}, {}),
    "edit_and_soon": ({"poke": 15, "reschedule": 20, "defer": 15}, {}),
    "edit_and_softly": ({"poke": 12, "reschedule": 20, "defer": 12}, {"soft_fail": True}),
}

for beginning, (timeouts, more) in WAITS.items():
    for name, mode in MODES.items():
        with DAG(f"{beginning}_{name}", schedule=None, catchup=False, params=PARAMS, default_args=DEFAULTS):
            submit = PhotoEditOperator(task_id="submit", **{**BY_URL, "wait_for_completion": False})
            PhotoEditStatusSensor(
                task_id="wait", aluo_task_id=submit.output, timeout=timeouts.get(name, 300), **mode, **more
            )

with DAG("ten_mapped", schedule=None, catchup=False, params=PARAMS, default_args=DEFAULTS):
    # What is mapped over is not templated; what all have in common is.
    numbered = {**BY_URL, "prompt": "{{ params.prompt }} no. {{ '%02d' % ti.map_index }}"}
    PhotoEditOperator.partial(task_id="edit", deferrable=True, **numbered).expand(aspect_ratio=["1:1"] * 10)

#: Six edits in one task.
BATCHES: dict[str, dict[str, Any]] = {"batch": {}, "batch_in_triggerer": {"deferrable": True}}

for name, options in BATCHES.items():
    with DAG(name, schedule=None, catchup=False, params=PARAMS, default_args=DEFAULTS):
        PhotoEditBatchOperator(
            task_id="edit",
            photos=["{{ params.photo }}"],
            prompts=[f"{{{{ params.prompt }}}} no. {number}" for number in range(1, 7)],
            **{"timeout": 300, "poll_interval": 0.7} | options,
        )

with DAG("five_edits", schedule=None, catchup=False, params=PARAMS, default_args=DEFAULTS):
    before = None
    for number in range(1, 6):
        edit = PhotoEditOperator(
            task_id=f"edit_{number}", **{**BY_URL, "prompt": f"{{{{ params.prompt }}}} no. {number}"}
        )
        if before is not None:
            before >> edit
        before = edit
