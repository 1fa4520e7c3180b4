"""Make one edit's picture the next one's input: describing one change at a time works better.

Each task takes what the one before it returned. `frame` comes after `land`, so it uploads the landed picture:
it can be cleared next week, when the addresses of the edits before it are long gone, and only `frame` is paid
again.
"""

from pathlib import Path
from tempfile import gettempdir

from airflow.sdk import DAG, Param

import airflow_aluo
from airflow_aluo.operators.photo_download import PhotoDownloadOperator
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.retry_policy import AluoRetryPolicy

PHOTO = Path(airflow_aluo.__file__).parent / "sandbox" / "photos" / "rocket.jpg"

with DAG(
    dag_id="aluo_chained_edits",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_policy": AluoRetryPolicy()},  # a retry goes on with the edit, unpaid
    tags=["aluo", "example"],
    params={
        "photo": Param(str(PHOTO), type="string", description="A file that the worker can read."),
        "destination": Param(f"{gettempdir()}/aluo-pictures", type="string"),
    },
):
    recolour = PhotoEditOperator(
        task_id="recolour",
        prompt="Change the product color to blue",
        image_files="{{ params.photo }}",
        deferrable=True,
    )
    place = PhotoEditOperator(
        task_id="place",
        prompt="Change the background to a beach scene",
        image_urls=recolour.output,
        deferrable=True,
    )
    land = PhotoDownloadOperator(task_id="land", edits=place.output, destination="{{ params.destination }}")
    frame = PhotoEditOperator(
        task_id="frame",
        prompt="Center the product",
        image_files=land.output,
        aspect_ratio="16:9",
        deferrable=True,
    )
    PhotoDownloadOperator(task_id="download", edits=frame.output, destination="{{ params.destination }}")
