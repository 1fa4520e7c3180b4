"""The pretend Aluo that stands beside the demo's Airflow, and the connection to it."""

from __future__ import annotations

import json
import re
import sys
import time
from typing import TYPE_CHECKING

from airflow_aluo.demo.processes import ProcessError, Processes
from airflow_aluo.demo.settings import clean_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Any key opens a fresh account of the sandbox. It opens nothing anywhere else.
KEY = "sk-sandbox-demo"
#: The line that the sandbox prints once it answers.
READY = re.compile(r"^sandbox: (http://\S+)$", re.MULTILINE)
#: Seconds; 1 to 2 are usual.
START_TIMEOUT = 60.0


def start_sandbox(processes: Processes, *arguments: str) -> str:
    """Start the sandbox with these arguments of its command; return its base URL.

    :raises ProcessError: it ended, or did not answer in time.
    """
    command = [sys.executable, "-m", "airflow_aluo.sandbox", "--port", "0"]
    command += ["--data", str(processes.home / "sandbox"), *arguments]
    child = processes.start("sandbox", command, clean_environment())
    deadline = time.monotonic() + START_TIMEOUT
    while (ready := READY.search(child.log_file.read_text(errors="replace"))) is None:
        child.raise_if_ended()
        if time.monotonic() > deadline:
            raise ProcessError(
                f"the sandbox did not answer within {START_TIMEOUT:.0f} s", log_file=child.log_file
            )
        time.sleep(0.05)
    return ready[1]


def connection_environment(url: str, *, key: str = KEY) -> Mapping[str, str]:
    """Environment that gives Airflow the connection `aluo_default` to this base URL."""
    # The sandbox's fresh accounts are on this plan.
    connection = {"conn_type": "aluo", "host": url, "password": key, "extra": {"plan": "pro"}}
    return {"AIRFLOW_CONN_ALUO_DEFAULT": json.dumps(connection)}
