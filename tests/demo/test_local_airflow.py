"""An Airflow that cannot start says so."""

from pathlib import Path

import pytest

from airflow_aluo.demo.local_airflow import LocalAirflow
from airflow_aluo.demo.processes import ProcessError


def test_a_database_that_cannot_be_made_is_told_with_its_log(tmp_path: Path) -> None:
    nowhere = f"sqlite:///{tmp_path}/nowhere/airflow.db"
    environment = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": nowhere}
    airflow = LocalAirflow(tmp_path, dags_folder=tmp_path, environment=environment)
    with pytest.raises(ProcessError) as caught, airflow:
        pass
    assert caught.value.reason.startswith("db-migrate ended with exit code 1; the end of its log:\n")
    assert "unable to open database file" in caught.value.reason
    assert caught.value.log_file == tmp_path / "logs" / "db-migrate.log"
