"""Try the five kinds of edits that Aluo's page names on one photo: one mapped task, five edits.

Each mapped edit is named in the UI by what it was asked. `download` takes all their records at once.
"""

from pathlib import Path
from tempfile import gettempdir

from airflow.sdk import DAG, Param

import airflow_aluo
from airflow_aluo.operators.photo_download import PhotoDownloadOperator
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.retry_policy import AluoRetryPolicy

PHOTO = Path(airflow_aluo.__file__).parent / "sandbox" / "photos" / "coffee.jpg"

with DAG(
    dag_id="aluo_mapped_edits",
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
    edit = PhotoEditOperator.partial(
        task_id="edit",
        image_files="{{ params.photo }}",
        deferrable=True,
        map_index_template="{{ task.prompt }}",
    ).expand_kwargs(
        [
            {"prompt": "Change product to blue"},
            {"prompt": "Add a coffee cup on the desk"},
            {"prompt": "Change background to beach scene", "aspect_ratio": "16:9"},
            {"prompt": "Center the product", "aspect_ratio": "1:1"},
            {"prompt": "Remove watermark from photo", "output_format": "webp"},
        ]
    )
    PhotoDownloadOperator(task_id="download", edits=edit.output, destination="{{ params.destination }}")
