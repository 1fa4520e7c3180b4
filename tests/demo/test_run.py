"""What the demo tells of a run."""

from pathlib import Path

import pytest

import airflow_aluo
from airflow_aluo.demo.local_airflow import task_name
from airflow_aluo.demo.run import changes, dags_folder, last_error, picture_paths


def test_only_what_has_changed_is_told() -> None:
    before = {"submit": "success", "wait": "running", "download": None}
    after = {"submit": "success", "wait": "deferred", "download": None}
    assert list(changes(before, after)) == ["wait: deferred"]
    assert list(changes({}, before)) == ["submit: success", "wait: running"]


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        ({"files": [{"path": "/a.png"}, {"path": "/b.png"}]}, ["/a.png", "/b.png"]),
        ([{"files": [{"path": "/a.png"}]}, {"files": [{"path": "/b.png"}]}], ["/a.png", "/b.png"]),
        ({"files": None}, []),
        ({}, []),
        (None, []),
        ("https://", []),
    ],
)
def test_pictures_are_those_that_the_records_name(value: object, paths: list[str]) -> None:
    assert list(picture_paths(value)) == [Path(path) for path in paths]


def test_the_reason_of_a_failure_is_the_last_exception_of_the_log() -> None:
    log = [
        {"event": "Task failed", "error_detail": [{"exc_type": "OSError", "exc_value": "early"}]},
        {
            "event": "Task failed",
            "error_detail": [
                {"exc_type": "AirflowFailException", "exc_value": "no credits"},
                {"exc_type": "AluoOutOfCredits", "exc_value": "cause"},
            ],
        },
        {"event": "finishing", "error_detail": []},
    ]
    assert last_error(log) == "AirflowFailException: no credits"
    assert last_error([{"event": "all is well"}]) is None


def test_the_index_of_a_mapped_task_is_told() -> None:
    assert task_name({"task_id": "edit", "map_index": -1}) == "edit"
    assert task_name({"task_id": "edit", "map_index": 2}) == "edit[2]"


def test_the_examples_are_those_of_the_checkout() -> None:
    assert dags_folder() == Path(airflow_aluo.__file__).parent.parent / "dags_examples"


def test_an_installed_package_brings_its_examples_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "airflow_aluo"
    (package / "example_dags").mkdir(parents=True)
    monkeypatch.setattr(airflow_aluo, "__file__", str(package / "__init__.py"))
    assert dags_folder() == package / "example_dags"
