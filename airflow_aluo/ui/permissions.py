"""Who may see what: Airflow's auth manager decides, for every request.

Airflow does not ask anybody for plugins' own pages: each route here names one of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.models.dag import DagModel
from fastapi import Depends, HTTPException, Path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser

__all__ = ["LOGGED_IN", "OF_A_DAG", "GetUserDep", "may_read", "may_read_reviews", "readable_dags"]

#: Approvals are asked about by this name, where Airflow has it.
_REVIEWS: Final = getattr(DagAccessEntity, "HITL_DETAIL", None)


async def _a_dag(dag_id: Annotated[str, Path()]) -> None:
    """Refuse what means all DAGs to Airflow: nobody is asked for rights to each of them then."""
    if not dag_id.strip() or dag_id == "~":
        raise HTTPException(404, f"{dag_id!r} is no DAG; the gallery of all DAGs lies at its beginning")


async def _logged_in(user: GetUserDep) -> None:
    """Ask for no more than a login."""


#: For what tells nothing of any DAG.
LOGGED_IN: Final = [Depends(_logged_in)]

#: For what tells of the DAG that ``dag_id`` in the path names: edits are XComs.
OF_A_DAG: Final = [Depends(requires_access_dag("GET", DagAccessEntity.XCOM)), Depends(_a_dag)]


def readable_dags(user: BaseUser) -> set[str]:
    """Return the DAGs that a person may see at all; ask :func:`may_read` about their edits."""
    return get_auth_manager().get_authorized_dag_ids(user=user, method="GET")


def may_read(user: BaseUser, dag_ids: Iterable[str]) -> list[str]:
    """Return those of these DAGs of which a person may read the edits."""
    return [one for one in dag_ids if _permitted(user, one, DagAccessEntity.XCOM)]


def may_read_reviews(user: BaseUser, dag_ids: Iterable[str]) -> list[str]:
    """Return those of these DAGs of which a person may read the approvals."""
    return [one for one in dag_ids if _REVIEWS is not None and _permitted(user, one, _REVIEWS)]


def _permitted(user: BaseUser, dag_id: str, entity: Any) -> bool:
    team = DagModel.get_team_name(dag_id) if hasattr(DagModel, "get_team_name") else None
    details = DagDetails(id=dag_id) if team is None else DagDetails(id=dag_id, team_name=team)
    return get_auth_manager().is_authorized_dag(
        method="GET", access_entity=entity, details=details, user=user
    )
