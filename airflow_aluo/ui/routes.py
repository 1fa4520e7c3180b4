"""The addresses that answer with data: what each asks for, and whom it asks first. All only read."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter

from airflow_aluo.ui import reading
from airflow_aluo.ui.asking import AskedDep, GalleryDep, there
from airflow_aluo.ui.permissions import (
    LOGGED_IN,
    OF_A_DAG,
    GetUserDep,
    may_read,
    may_read_reviews,
    readable_dags,
)

router = APIRouter()


@router.get("/api/edits", dependencies=LOGGED_IN)
def edits(user: GetUserDep, asked: AskedDep, gallery: GalleryDep) -> dict[str, Any]:
    """Tell of the newest runs of all DAGs that the person may read."""
    dag_ids = may_read(user, reading.dags_with_edits(readable_dags(user)))
    return gallery.of_dags(dag_ids, asked, partial(may_read_reviews, user))


@router.get("/api/dags/{dag_id}/edits", dependencies=OF_A_DAG)
def edits_of_a_dag(dag_id: str, user: GetUserDep, asked: AskedDep, gallery: GalleryDep) -> dict[str, Any]:
    """Tell of a DAG's newest runs."""
    return gallery.of_dags([dag_id], asked, partial(may_read_reviews, user))


@router.get("/api/dags/{dag_id}/runs/{run_id}/edits", dependencies=OF_A_DAG)
def edits_of_a_run(
    dag_id: str, run_id: str, user: GetUserDep, asked: AskedDep, gallery: GalleryDep
) -> dict[str, Any]:
    """Tell of a run."""
    found = gallery.of_run(dag_id, run_id, asked, partial(may_read_reviews, user))
    return there(found, f"run {run_id!r} of DAG {dag_id!r}")
