"""Mapped edits: named by their photo, or as the DAG says; their records are landed by one task."""

import os

from airflow.sdk import DAG, task

from airflow_aluo.operators.photo_download import PhotoDownloadOperator
from airflow_aluo.operators.photo_edit import PhotoEditOperator

PHOTOS = os.environ["ALUO_TEST_PHOTOS"]

with DAG("mapped_edits", schedule=None):

    @task
    def photos() -> list[list[str]]:
        """Return what to map over."""
        return [[f"{PHOTOS}/coffee.jpg"], [f"{PHOTOS}/rocket.jpg"]]

    by_photo = PhotoEditOperator.partial(
        task_id="by_photo", prompt="Make it blue", deferrable=True, poll_interval=0.1
    ).expand(image_urls=photos())

    PhotoEditOperator.partial(
        task_id="by_prompt",
        image_urls=[f"{PHOTOS}/coffee.jpg"],
        map_index_template="{{ task.prompt }}",
        wait_for_completion=False,
    ).expand(prompt=["Make it red", "Make it green"])

    PhotoEditOperator.partial(
        task_id="one_is_wrong",
        prompt="Make it blue",
        image_urls=[f"{PHOTOS}/coffee.jpg"],
        wait_for_completion=False,
    ).expand_kwargs([{"aspect_ratio": "1:1"}, {"aspect_ratio": "7:3"}])

    PhotoDownloadOperator(
        task_id="land", edits=by_photo.output, destination=os.environ["ALUO_TEST_DESTINATION"]
    )
