"""What an operator of an Airflow cares for: counts, connections from everywhere, a key that changes."""

from typing import Any

from airflow.sdk import DAG, task

from airflow_aluo.hooks.aluo import AluoHook
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.operators.photo_edit_batch import PhotoEditBatchOperator
from airflow_aluo.sensors.photo_edit import PhotoEditStatusSensor

PHOTO = ["https://example.com/product.jpg"]

#: Connections, by where they come from; see conftest.py.
CONNECTIONS = ["aluo_env_json", "aluo_env_uri", "aluo_worker_file", "aluo_server_file", "aluo_stored"]


def a_bit_of_everything(aluo_conn_id: str, prompt: str) -> None:
    """One deferrable edit, one with a sensor, and a batch of three."""
    edit: dict[str, Any] = {"prompt": f"{prompt} alone", "image_urls": PHOTO, "aluo_conn_id": aluo_conn_id}
    wait: dict[str, Any] = {"deferrable": True, "poke_interval": 1.0}
    PhotoEditOperator(task_id="edit", deferrable=True, poll_interval=1.0, **edit)
    submit = PhotoEditOperator(
        task_id="submit", **{**edit, "prompt": f"{prompt} and wait"}, wait_for_completion=False
    )
    PhotoEditStatusSensor(task_id="wait", aluo_task_id=submit.output, **wait)
    PhotoEditBatchOperator(
        task_id="batch",
        photos=PHOTO,
        prompts=[f"{prompt} no. {number}" for number in range(3)],
        aluo_conn_id=aluo_conn_id,
        deferrable=True,
        poll_interval=1.0,
    )


with DAG("counted", schedule=None, catchup=False):
    a_bit_of_everything("aluo_default", "count me")

with DAG("from_everywhere", schedule=None, catchup=False):
    for task_id, deferrable in (("in_worker", False), ("in_triggerer", True)):
        PhotoEditOperator.partial(
            task_id=task_id,
            prompt="Find the connection",
            image_urls=PHOTO,
            deferrable=deferrable,
            poll_interval=0.5,
        ).expand(aluo_conn_id=CONNECTIONS)


@task
def careless() -> None:
    """Print what nobody should."""
    for aluo_conn_id in CONNECTIONS:
        print(f"{aluo_conn_id} has {AluoHook(aluo_conn_id).account.api_key}")


with DAG("told", schedule=None, catchup=False):
    careless()

with DAG("rotated", schedule=None, catchup=False):
    a_bit_of_everything("aluo_rotated", "rotate me")

with DAG("refused", schedule=None, catchup=False):
    a_bit_of_everything("aluo_refused", "refuse me")
