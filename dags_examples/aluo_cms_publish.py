"""Tell a CMS about published pictures, with the operator that Airflow's HTTP provider has for it.

Needs `apache-airflow-providers-http` and the connection `cms`. The whole manifest is sent: where each picture
lies, its size and digest, what was asked. The set names the address, and PUT says *let it be so*: a retry
changes nothing.
"""

import logging
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from airflow.sdk import DAG, ObjectStoragePath, Param, task

import airflow_aluo
from airflow_aluo.operators.photo_download import PhotoDownloadOperator
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.operators.photo_publish import PhotoPublishOperator
from airflow_aluo.retry_policy import AluoRetryPolicy

try:
    from airflow.providers.http.operators.http import HttpOperator
except ImportError:
    HttpOperator = None

PHOTO = Path(airflow_aluo.__file__).parent / "sandbox" / "photos" / "coffee.jpg"


@task
def manifest(published: dict[str, Any]) -> str:
    """Return the manifest as it was published."""
    return ObjectStoragePath(published["manifest"]).read_text()


if HttpOperator is None:  # as Airflow's own examples do: a missing provider is no broken DAG
    logging.getLogger(__name__).warning("aluo_cms_publish needs apache-airflow-providers-http")
else:
    with DAG(
        dag_id="aluo_cms_publish",
        doc_md=__doc__,
        schedule=None,
        catchup=False,
        max_active_runs=1,
        default_args={"retries": 2, "retry_policy": AluoRetryPolicy()},  # a retry pays nothing
        tags=["aluo", "example"],
        params={
            "photo": Param(str(PHOTO), type="string", description="A file that the worker can read."),
            "destination": Param(f"{gettempdir()}/aluo-pictures", type="string"),
        },
    ):
        edit = PhotoEditOperator(
            task_id="edit",
            prompt="Add a coffee cup on the desk",
            image_files="{{ params.photo }}",
            deferrable=True,
        )
        download = PhotoDownloadOperator(
            task_id="download", edits=edit.output, destination="{{ params.destination }}/landed"
        )
        publish = PhotoPublishOperator(
            task_id="publish", edits=download.output, destination="{{ params.destination }}/published"
        )
        HttpOperator(
            task_id="tell_cms",
            http_conn_id="cms",
            method="PUT",
            endpoint="sets/{{ ti.xcom_pull(task_ids='publish')['set'] }}",
            headers={"Content-Type": "application/json"},
            data=manifest(publish.output),
        )
