"""An auth manager as SimpleAuthManager, but a person may be kept from single DAGs or from their approvals."""

from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

#: Names of persons who may not read the DAG whose name begins so.
STRANGERS = {"stranger": "secret"}
#: Who may see DAGs, not what their tasks said.
NO_XCOMS = "outsider"
#: Who may see edits, but no approvals.
NO_REVIEWS = "looker"


class SomeDags(SimpleAuthManager):
    def is_authorized_dag(
        self,
        *,
        method: Any,
        user: Any,
        access_entity: DagAccessEntity | None = None,
        details: Any = None,
    ) -> bool:
        name, dag_id = user.username, details.id if details else None
        if (hidden := STRANGERS.get(name)) and (dag_id or "").startswith(hidden):
            return False
        if name == NO_XCOMS and access_entity is DagAccessEntity.XCOM:
            return False
        if name == NO_REVIEWS and access_entity is DagAccessEntity.HITL_DETAIL:
            return False
        allowed: bool = super().is_authorized_dag(
            method=method, user=user, access_entity=access_entity, details=details
        )
        return allowed
