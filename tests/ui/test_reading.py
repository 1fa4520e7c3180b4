"""The query is one that each database of Airflow's understands."""

import pytest
from sqlalchemy.dialects import mysql, postgresql, sqlite

TEXTS = {
    "sqlite": (sqlite.dialect(), "CAST(xcom_1.value AS TEXT)"),
    "postgresql": (postgresql.dialect(), "CAST(xcom_1.value AS TEXT)"),
    "mysql": (mysql.dialect(), "CAST(xcom_1.value AS CHAR)"),
}


@pytest.mark.usefixtures("airflow_database")
@pytest.mark.parametrize("name", TEXTS)
def test_xcoms_are_read_as_text(name: str) -> None:
    from airflow.models.dagrun import DagRun

    from airflow_aluo.ui import reading

    dialect, expected = TEXTS[name]
    assert expected in str(reading._instances(DagRun.id == 1).limit(5).compile(dialect=dialect))
    newest = str(reading._newest_runs(["a_dag", "b_dag"]).limit(26).compile(dialect=dialect))
    assert "UNION" in newest
    assert "LIMIT" in newest
