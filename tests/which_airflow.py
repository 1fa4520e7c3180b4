"""What moved between the versions of Airflow, and what this one can do; asked for, never by its number.

A test of what only some versions can do is marked with one of these, so that ``pytest -ra`` names what is
missing; what happens without it is a test of its own, which runs everywhere (see the fixture ``no_store``).
"""

from importlib.util import find_spec

import pytest
from airflow.providers_manager import ProvidersManager

try:
    from airflow.sdk.exceptions import TaskDeferred
except ImportError:
    from airflow.exceptions import TaskDeferred

try:
    from airflow.sdk.exceptions import TaskAwaitingInput
except ImportError:
    #: A task that asks a person has left its worker so; older Airflows have no state for it, and defer.
    TaskAwaitingInput = TaskDeferred

try:
    from airflow.sdk import lineage
except ImportError:
    from airflow.lineage import hook as lineage

try:
    from airflow.sdk.module_loading import import_string
    from airflow.sdk.serde import deserialize, serialize
except ImportError:
    from airflow.serialization.serde import deserialize, serialize
    from airflow.utils.module_loading import import_string

try:
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization

__all__ = [
    "DagSerialization",
    "TaskAwaitingInput",
    "TaskDeferred",
    "deserialize",
    "import_string",
    "lineage",
    "needs_provider_commands",
    "needs_retry_policies",
    "needs_task_state_store",
    "serialize",
]


def has(module: str) -> bool:
    """Tell whether Airflow has this module."""
    return find_spec(module) is not None


needs_task_state_store = pytest.mark.skipif(
    not has("airflow.models.task_state_store"), reason="this Airflow has no task state store"
)
needs_provider_commands = pytest.mark.skipif(
    not hasattr(ProvidersManager, "cli_command_functions"),
    reason="this Airflow has no commands of providers",
)
needs_retry_policies = pytest.mark.skipif(
    not has("airflow.sdk.definitions.retry_policy"), reason="this Airflow has no retry policies"
)
