"""Edit each night's new product photos, publish them as one set, and wake the DAGs that wait for it.

The photos are first taken out of the inbox, into a folder of the night: no other night edits, and pays, them
again, whatever becomes of this one. If a photo cannot be edited, mend it there and clear its task. A night
without new photos is skipped, and wakes nobody. From a dozen photos on, `PhotoEditBatchOperator` does it at
less cost to Airflow.

Needs `apache-airflow-providers-amazon[s3fs]`, the connections `aluo_default` and `aws_default`, and the
buckets of `params`; any object storage of Airflow's will do. It spends credits every night: unpause it.
"""

from airflow.sdk import DAG, Asset, ObjectStoragePath, Param, task

from airflow_aluo.operators.photo_download import PhotoDownloadOperator
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.operators.photo_publish import PhotoPublishOperator
from airflow_aluo.retry_policy import AluoRetryPolicy

PHOTOS = {".jpg", ".jpeg", ".png", ".webp"}

#: The same at every try of a run; each night's set stays where it is.
NIGHT = "{{ dag_run.run_after | ts_nodash }}"


@task
def take(inbox: str, taken: str) -> list[str]:
    """Move the new photos, and return where they lie now; an earlier try may have moved some."""
    folder = ObjectStoragePath(taken)
    for photo in ObjectStoragePath(inbox).glob("*"):
        if photo.suffix.lower() in PHOTOS:
            photo.move(folder / photo.name)
    return sorted(str(photo) for photo in folder.glob("*"))


with DAG(
    dag_id="aluo_nightly_catalogue",
    doc_md=__doc__,
    schedule="@daily",
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    default_args={"retries": 2, "retry_policy": AluoRetryPolicy()},  # a retry goes on with the edit, unpaid
    tags=["aluo", "example"],
    params={
        "photos": Param("s3://aws_default@product-photos", type="string", description="New ones: in new/."),
        "shop": Param("s3://aws_default@shop", type="string", description="Where the edited ones go."),
    },
):
    edit = PhotoEditOperator.partial(
        task_id="edit",
        prompt="Change the background to a beach scene",
        output_format="webp",
        deferrable=True,
        max_active_tis_per_dag=8,  # edits under way at once
    ).expand(image_files=take("{{ params.photos }}/new", "{{ params.photos }}/taken/" + NIGHT))
    download = PhotoDownloadOperator(
        task_id="download",
        edits=edit.output,
        destination="{{ params.shop }}/landed/" + NIGHT,
    )
    PhotoPublishOperator(
        task_id="publish",
        edits=download.output,
        destination="{{ params.shop }}/catalogue/" + NIGHT,
        outlets=[Asset("aluo_catalogue")],
    )
