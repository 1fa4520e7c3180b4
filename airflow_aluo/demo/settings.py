"""The settings of an Airflow that is quick, quiet, and stays inside one folder."""

from __future__ import annotations

import base64
import configparser
import json
import os
import random
import secrets
import shutil
import socket
from typing import TYPE_CHECKING

from airflow_aluo.demo.processes import ProcessError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Login of the only user. The API server listens on this machine's loopback address alone.
USER = "admin"
PASSWORD = "admin"  # noqa: S105 - it is printed for everybody to use
LOOPBACK = "127.0.0.1"
#: The first file in an Airflow folder of ours: by it such a folder is known.
KEYS = "keys.json"

#: Below every system's range for outgoing connections (Linux starts at 32768, macOS at 49152), so
#: that nobody is given the port between our look and Airflow's start.
PORTS = range(20_000, 32_000)


def free_port() -> int:
    """Find a port of the loopback address on which nobody listens.

    :raises OSError: none of a hundred was free.
    """
    for port in random.SystemRandom().sample(PORTS, 100):
        with socket.socket() as probe:
            # As Airflow's server does it: the port of a server that has just ended is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port on {LOOPBACK}: 100 of {PORTS.start}-{PORTS.stop} were tried")


def remove_earlier(home: Path) -> None:
    """Remove the database and the task logs of an earlier time; pictures stay."""
    _raise_if_foreign(home / "airflow")
    for folder in (home / "airflow", home / "logs" / "tasks", home / "logs" / "dags"):
        shutil.rmtree(folder, ignore_errors=True)


def _raise_if_foreign(airflow_home: Path) -> None:
    # `--home ~` must not touch the Airflow that a person may have in ~/airflow.
    if airflow_home.exists() and not (airflow_home / KEYS).exists():
        raise ProcessError(f"{airflow_home} was not made by the demo; choose another --home")


def write_settings(home: Path, *, dags_folder: Path, port: int) -> Path:
    """Write `airflow.cfg` and the password file into `home`/airflow; return that folder.

    A file, so that `AIRFLOW_HOME=... airflow ...` typed by hand meets the same Airflow. All parts
    start at once, and the first would write a file of its own while the others read it.
    """
    airflow_home = home / "airflow"
    _raise_if_foreign(airflow_home)
    airflow_home.mkdir(mode=0o700, parents=True, exist_ok=True)  # secrets lie there
    keys = airflow_home / KEYS
    if not keys.exists():
        keys.write_text(json.dumps(_new_keys()))
    passwords = airflow_home / "passwords.json"
    passwords.write_text(json.dumps({USER: PASSWORD}))
    # Airflow's own reader expands %(name)s, so a percent sign in a path is doubled by `_escaped`.
    config = configparser.RawConfigParser()
    config.read_dict(_escaped(_settings(home, airflow_home, dags_folder, port)))
    config.read_dict(_escaped(json.loads(keys.read_text())))
    with (airflow_home / "airflow.cfg").open("w") as file:
        config.write(file)
    return airflow_home


def clean_environment(inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment for the children: `inherited` (this process's own) without what disturbs them.

    Nothing that says where and how another Airflow runs is passed on: a database or a connection
    of the user's own must not be touched. Without bytecode, or measured, Airflow takes twice the time.
    """
    kept = {
        name: value
        for name, value in (os.environ if inherited is None else inherited).items()
        if not name.startswith(("AIRFLOW", "_AIRFLOW", "COVERAGE_")) and name != "PYTHONDONTWRITEBYTECODE"
    }
    for name in ("no_proxy", "NO_PROXY"):
        kept[name] = ",".join(filter(None, [kept.get(name), LOOPBACK, "localhost"]))
    # The title that a process of Airflow gives itself must not overwrite its environment.
    kept["SPT_NOENV"] = "1"
    return kept


def _settings(home: Path, airflow_home: Path, dags_folder: Path, port: int) -> dict[str, dict[str, str]]:
    url = f"http://{LOOPBACK}:{port}"
    return {
        "core": {
            "dags_folder": str(dags_folder),
            "load_examples": "False",
            "dags_are_paused_at_creation": "False",
            "executor": "LocalExecutor",
            "parallelism": "6",  # one idle process is forked at the start for each
            "execution_api_server_url": f"{url}/execution/",
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": str(airflow_home / "passwords.json"),
            # The default asks the name service for this machine's full name: it may take seconds.
            "hostname_callable": "socket.gethostname",
        },
        "database": {
            "sql_alchemy_conn": f"sqlite:///{airflow_home / 'airflow.db'}",
            # LocalAirflow makes the database while the API server still reads code.
            "check_migrations": "False",
        },
        "api": {"host": LOOPBACK, "port": str(port), "base_url": url, "workers": "1"},
        "logging": {
            "base_log_folder": str(home / "logs" / "tasks"),
            "dag_processor_child_process_log_directory": str(home / "logs" / "dags"),
        },
        "dag_processor": {
            "dag_bundle_storage_path": str(airflow_home / "bundles"),
            # A person who edits an example sees it within seconds.
            "refresh_interval": "5",
            "bundle_refresh_check_interval": "1",
        },
        "scheduler": {"scheduler_idle_sleep_time": "0.4", "scheduler_heartbeat_sec": "1"},
        "triggerer": {"job_heartbeat_sec": "1"},
        # Also the time that a worker may take to notice that its task's process has ended.
        "workers": {"min_heartbeat_interval": "1"},
    }


def _new_keys() -> dict[str, dict[str, str]]:
    """Secrets that all parts share; they are made once for a database."""
    return {
        "core": {"fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()},
        "api": {"secret_key": secrets.token_hex(32)},
        "api_auth": {"jwt_secret": secrets.token_hex(32)},
    }


def _escaped(sections: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    return {
        section: {name: value.replace("%", "%%") for name, value in options.items()}
        for section, options in sections.items()
    }
