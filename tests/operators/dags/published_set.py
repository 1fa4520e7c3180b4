"""A published set, announced as an asset and by an alias; a DAG waits for each."""

import os

from airflow.sdk import DAG, Asset, AssetAlias, task

from airflow_aluo.operators.photo_publish import PhotoPublishOperator

with DAG("published_set", schedule=None):
    publish = PhotoPublishOperator(
        task_id="publish",
        edits=os.environ.get("ALUO_TEST_EDITS"),
        destination=os.environ.get("ALUO_TEST_DESTINATION"),
        outlets=[Asset("album"), AssetAlias("published")],
    )

with DAG("after_the_album", schedule=[Asset("album")]):

    @task
    def go_on() -> None:
        """Do nothing."""

    go_on()

with DAG("after_the_alias", schedule=[AssetAlias("published")]):
    go_on()
