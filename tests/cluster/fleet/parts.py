"""The processes of the cluster, and what they are told."""

import sys
from collections.abc import Mapping
from pathlib import Path

from airflow_aluo.demo.settings import clean_environment

#: Queues that only one worker and one triggerer serve; ``default`` is served by all.
LEFT, RIGHT = "left", "right"
WORKERS = ("worker-left", "worker-right")
TRIGGERERS = ("triggerer-left", "triggerer-right")

#: Arguments of `airflow` for each process. Nobody serves logs: they would listen on every address, and all
#: logs lie in one folder.
PARTS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    **{
        f"worker-{side}": ("celery", "worker", "--skip-serve-logs", "--queues", f"default,{side}")
        for side in (LEFT, RIGHT)
    },
    **{
        f"triggerer-{side}": ("triggerer", "--skip-serve-logs", "--queues", f"default,{side}")
        for side in (LEFT, RIGHT)
    },
}

#: As a platform engineer would set it for machines that come and go, a little more in a hurry.
SETTINGS: Mapping[str, str] = {
    "CORE__EXECUTOR": "CeleryExecutor",
    "CORE__PARALLELISM": "20",
    "CORE__MAX_ACTIVE_TASKS_PER_DAG": "64",
    "CORE__HOSTNAME_CALLABLE": "cluster_host.name",
    "CELERY__WORKER_CONCURRENCY": "5",
    # The message of a worker that died waits for that long: Airflow asks again by the next setting.
    "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "3600",
    "SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "45",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "60",
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "20",
    "TRIGGERER__QUEUES_ENABLED": "True",
    "WORKERS__EXECUTION_API_TIMEOUT": "30",
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
    "DAG_PROCESSOR__REFRESH_INTERVAL": "600",
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
    "LOGGING__JSON_LOGS": "True",
}


def command(part: str) -> list[str]:
    """Return how a part is started."""
    more = ["--celery-hostname", part] if part in WORKERS else []
    return [sys.executable, "-m", "airflow", *PARTS[part], *more]


def migrate() -> list[str]:
    """Return how the database is made."""
    return [sys.executable, "-m", "airflow", "db", "migrate"]


def environment(airflow_home: Path, database: str, broker: str, more: Mapping[str, str]) -> dict[str, str]:
    """Return what all parts are told. ``more``: variables that win over the settings here."""
    settings = {
        **SETTINGS,
        "DATABASE__SQL_ALCHEMY_CONN": database,
        "CELERY__BROKER_URL": broker,
        "CELERY__RESULT_BACKEND": f"db+{database}",
    }
    return {
        **clean_environment(),
        "AIRFLOW_HOME": str(airflow_home),
        "PYTHONPATH": str(Path(__file__).parent),
        **{f"AIRFLOW__{name}": value for name, value in settings.items()},
        **more,
    }
