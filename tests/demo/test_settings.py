"""The demo's Airflow stays in its folder and knows nothing of any other."""

import configparser
import json
import socket
from pathlib import Path

import pytest

from airflow_aluo.demo.processes import ProcessError
from airflow_aluo.demo.settings import (
    PORTS,
    clean_environment,
    free_port,
    remove_earlier,
    write_settings,
)


def read(airflow_home: Path) -> configparser.ConfigParser:
    # With interpolation, as Airflow reads it.
    parser = configparser.ConfigParser()
    parser.read(airflow_home / "airflow.cfg")
    return parser


def test_settings_of_another_airflow_are_not_passed_on() -> None:
    inherited = {
        "AIRFLOW_HOME": "/srv/airflow",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://production",
        "AIRFLOW_CONN_ALUO_DEFAULT": "aluo://:sk-live@",
        "_AIRFLOW_PROCESS_CONTEXT": "server",
        "COVERAGE_PROCESS_CONFIG": "{}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": "/bin",
    }
    assert clean_environment(inherited) == {
        "PATH": "/bin",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "SPT_NOENV": "1",
    }


def test_a_proxy_is_never_asked_for_this_machine() -> None:
    assert clean_environment({"no_proxy": "intranet"})["no_proxy"] == "intranet,127.0.0.1,localhost"


def test_a_free_port_is_one_that_can_be_bound() -> None:
    port = free_port()
    assert port in PORTS
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Airflow's server does it
        server.bind(("127.0.0.1", port))


def test_a_port_that_is_taken_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        taken = server.getsockname()[1]
        free = free_port()
        choice = iter([[taken, free], [taken]])
        monkeypatch.setattr("random.SystemRandom.sample", lambda *_: next(choice))
        assert free_port() == free
        with pytest.raises(OSError, match="no free port"):
            free_port()


def test_everything_that_airflow_writes_lies_in_the_folder(tmp_path: Path) -> None:
    config = read(write_settings(tmp_path, dags_folder=Path("/dags"), port=20_000))
    for section, option in [
        ("core", "simple_auth_manager_passwords_file"),
        ("database", "sql_alchemy_conn"),
        ("logging", "base_log_folder"),
        ("logging", "dag_processor_child_process_log_directory"),
        ("dag_processor", "dag_bundle_storage_path"),
    ]:
        assert str(tmp_path) in config[section][option]


def test_airflow_listens_on_loopback_only(tmp_path: Path) -> None:
    config = read(write_settings(tmp_path, dags_folder=Path("/dags"), port=20_000))
    assert config["api"]["host"] == "127.0.0.1"
    assert config["core"]["execution_api_server_url"] == "http://127.0.0.1:20000/execution/"


def test_a_percent_sign_in_a_path_is_only_a_percent_sign(tmp_path: Path) -> None:
    config = read(write_settings(tmp_path / "100%", dags_folder=Path("/50%s"), port=20_000))
    assert config["core"]["dags_folder"] == "/50%s"
    assert config["logging"]["base_log_folder"] == str(tmp_path / "100%" / "logs" / "tasks")


def test_keys_are_kept_as_long_as_the_database_that_they_open(tmp_path: Path) -> None:
    def key() -> str:
        return read(write_settings(tmp_path, dags_folder=Path("/dags"), port=20_000))["core"]["fernet_key"]

    first = key()
    assert key() == first
    remove_earlier(tmp_path)
    assert key() != first


def test_an_earlier_database_goes_and_the_pictures_stay(tmp_path: Path) -> None:
    airflow_home = write_settings(tmp_path, dags_folder=Path("/dags"), port=20_000)
    picture = tmp_path / "pictures" / "rocket.png"
    picture.parent.mkdir()
    picture.touch()
    remove_earlier(tmp_path)
    assert not airflow_home.exists()
    assert picture.exists()


def test_an_airflow_that_the_demo_did_not_make_is_not_touched(tmp_path: Path) -> None:
    foreign = tmp_path / "airflow" / "airflow.cfg"
    foreign.parent.mkdir()
    foreign.write_text(json.dumps("mine"))
    with pytest.raises(ProcessError, match="choose another --home"):
        remove_earlier(tmp_path)
    with pytest.raises(ProcessError, match="choose another --home"):
        write_settings(tmp_path, dags_folder=Path("/dags"), port=20_000)
    assert foreign.read_text() == json.dumps("mine")
