"""A form for people: press *Trigger*, fill in what to change, find the picture where the log says.

What is typed into the form is checked before anything is sent, so a slip costs nothing.
"""

from tempfile import gettempdir

from airflow.sdk import DAG, Param

from airflow_aluo.operators.photo_download import PhotoDownloadOperator
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.protocol.vocabulary import ASPECT_RATIOS, OUTPUT_FORMATS
from airflow_aluo.retry_policy import AluoRetryPolicy

with DAG(
    dag_id="aluo_edit_form",
    dag_display_name="Edit a photo",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_policy": AluoRetryPolicy()},  # a retry goes on with the edit, unpaid
    tags=["aluo", "example"],
    params={
        "photos": Param(
            type="array",
            items={"type": "string"},
            minItems=1,
            maxItems=5,
            title="Photos",
            description="1 to 5 addresses (https://...), one a line.",
        ),
        "prompt": Param(
            type="string",
            minLength=1,
            title="What to change",
            description="One change at a time works best: 'Change the background to a beach scene'.",
        ),
        "aspect_ratio": Param(
            None, type=["null", "string"], enum=[None, *ASPECT_RATIOS], title="Width to height"
        ),
        "output_format": Param("png", type="string", enum=list(OUTPUT_FORMATS), title="File format"),
        "num_images": Param(1, type="integer", minimum=1, maximum=4, title="How many results"),
        "destination": Param(f"{gettempdir()}/aluo-pictures", type="string", title="Where to put them"),
    },
):
    edit = PhotoEditOperator(
        task_id="edit",
        prompt="{{ params.prompt }}",
        image_urls="{{ params.photos }}",
        aspect_ratio="{{ params.aspect_ratio }}",
        output_format="{{ params.output_format }}",
        num_images="{{ params.num_images }}",
        deferrable=True,
    )
    PhotoDownloadOperator(task_id="download", edits=edit.output, destination="{{ params.destination }}")
