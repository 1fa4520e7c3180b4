"""Where a command finds its connection: wherever Airflow keeps one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.which_airflow import needs_provider_commands

pytestmark = needs_provider_commands

KEY = "sk-0123456789abcdef-of-a-test"


def status(aluo_task_id: str, home: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Ask for an edit with a connection that stands in no environment variable."""
    return subprocess.run(
        [sys.executable, "-m", "airflow", "aluo", "status", aluo_task_id, "--conn-id", "elsewhere"],
        env=os.environ | {"AIRFLOW_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_connection_in_the_metadata_database_is_found(sandbox: Any, airflow_home: Path) -> None:
    connection = json.dumps({"conn_type": "aluo", "host": sandbox.api_url, "password": KEY})
    subprocess.run(
        [sys.executable, "-m", "airflow", "connections", "add", "elsewhere", "--conn-json", connection],
        env=os.environ | {"AIRFLOW_HOME": str(airflow_home)},
        check=True,
        capture_output=True,
    )
    found = status("edit_of_nobody", airflow_home)
    assert (found.returncode, found.stdout) == (1, "")
    assert "HTTP 404" in found.stderr
    assert sandbox.calls == ["GET status"]
    assert KEY not in found.stderr


def test_a_connection_in_a_secrets_backend_is_found(sandbox: Any, tmp_path: Path) -> None:
    file = tmp_path / "connections.json"
    connection = {"conn_type": "aluo", "host": sandbox.api_url, "password": KEY}
    file.write_text(json.dumps({"elsewhere": connection}), "utf-8")
    found = status(
        "edit_of_nobody",
        tmp_path / "home-without-a-database",
        AIRFLOW__SECRETS__BACKEND="airflow.secrets.local_filesystem.LocalFilesystemBackend",
        AIRFLOW__SECRETS__BACKEND_KWARGS=json.dumps({"connections_file_path": str(file)}),
    )
    assert (found.returncode, found.stdout) == (1, "")
    assert "HTTP 404" in found.stderr
    assert sandbox.calls == ["GET status"]
