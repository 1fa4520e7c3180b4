"""What moved between the versions of Airflow, and what this one can do; asked for, never by its number.

A test of what only some versions can do is marked with one of these, so that ``pytest -ra`` names what is
missing; what happens without it is a test of its own, which runs everywhere (see the fixture ``no_store``).
"""

from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import airflow
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

#: The state of a task that waits for a person's answer.
WAITING = "deferred" if TaskAwaitingInput is TaskDeferred else "awaiting_input"

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
    "WAITING",
    "DagSerialization",
    "TaskAwaitingInput",
    "TaskDeferred",
    "deserialize",
    "import_string",
    "lineage",
    "needs_provider_commands",
    "needs_retry_policies",
    "needs_task_state_store",
    "needs_typed_connection_fields",
    "send_stats_by",
    "serialize",
]


def has(module: str) -> bool:
    """Tell whether Airflow has this module."""
    return find_spec(module) is not None


def send_stats_by(factory: Callable[[], Any] | None = None) -> None:
    """Have Airflow's stats sent by what this makes; without it, by what Airflow's settings say."""
    try:
        from airflow.sdk.observability import stats
        from airflow.sdk.observability.metrics.stats_utils import get_stats_factory
    except ImportError:  # one class, whose class makes the backend when it is first needed
        from airflow.metrics.statsd_logger import get_statsd_logger
        from airflow.stats import NoStatsLogger, Stats

        from airflow_aluo.airflow_names import conf

        with suppress(AttributeError, RuntimeError):
            Stats.instance.statsd.close()
        on = conf.getboolean("metrics", "statsd_on")
        type(Stats).factory = get_statsd_logger if on else (lambda *_: NoStatsLogger())
        if factory is not None:
            type(Stats).factory = lambda *_: factory()
        Stats.instance = None
        return
    if hasattr(stats, "initialize"):
        from airflow.sdk._shared.observability.metrics import stats as module

        with suppress(AttributeError, RuntimeError):  # nothing was sent, or a test put something else there
            module._backend.statsd.close()
        stats.initialize(factory=factory or get_stats_factory(), export_legacy_names=True)
    else:
        with suppress(AttributeError, RuntimeError):
            stats.Stats.instance.statsd.close()
        stats.Stats.initialize(factory=factory or get_stats_factory(stats.Stats))


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
_SCHEMA = Path(airflow.__file__).with_name("provider.yaml.schema.json").read_text("utf-8")
needs_typed_connection_fields = pytest.mark.skipif(
    "conn-fields" not in _SCHEMA, reason="this Airflow has no typed connection fields"
)
