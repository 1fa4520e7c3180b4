"""XComs that a backend keeps: read as a task reads them, and never a reason for a page to fail."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_aluo.ui import references
from airflow_aluo.ui.references import References, backend
from airflow_aluo.ui.told import UNREAD, record_at, told
from tests.ui.book import START, edit_record
from tests.ui.test_edits import instance


def nothing(_: Any) -> list[None]:
    return []


class Shelf:
    """A backend that keeps values under addresses, and counts who asks."""

    def __init__(self, **values: Any) -> None:
        self.values = {f"shelf://{name}": value for name, value in values.items()}
        self.asked: list[str] = []

    def fetch(self, reference: str) -> Any:
        self.asked.append(reference)
        if reference == "shelf://broken":
            raise OSError("no such shelf")
        if ".." in reference:
            return edit_record("of somebody else")
        return self.values.get(reference, reference)


def test_a_reference_is_followed_however_often_it_was_packed() -> None:
    record = edit_record("edit_1")
    shelf = References(Shelf(one=record).fetch)
    for packed in ("shelf://one", json.dumps("shelf://one"), json.dumps(json.dumps("shelf://one"))):
        (found,) = shelf.resolved([instance(returned=packed)])
        assert told(found, nothing).records == [(0, record)]
        assert record_at(found, 0, nothing) == record


def test_what_lies_in_the_database_is_left_alone() -> None:
    shelf = Shelf()
    values = [json.dumps(edit_record("edit_1")), json.dumps([edit_record("edit_2")]), None, "17", ""]
    instances = [instance(returned=value) for value in values]
    assert References(shelf.fetch).resolved(instances) == instances
    assert shelf.asked == []


def test_without_a_backend_nothing_is_followed() -> None:
    assert References(None).resolved([instance(returned="shelf://one")]) == [instance(returned="shelf://one")]
    assert backend() is None


@pytest.mark.parametrize("reference", ["shelf://broken", "shelf://gone", "shelf://a/../one"])
def test_what_cannot_be_read_is_counted_and_told_in_the_log(
    reference: str, caplog: pytest.LogCaptureFixture
) -> None:
    (found,) = References(Shelf().fetch).resolved([instance(returned=reference)])
    assert found.returned is UNREAD
    assert told(found, nothing).unreadable == 1
    assert record_at(found, 0, nothing) is None
    assert reference in caplog.text


def test_a_text_that_is_no_reference_stays_a_text() -> None:
    (found,) = References(Shelf().fetch).resolved([instance(returned="done")])
    assert found.returned == "done"
    assert told(found, nothing).records == []


def test_each_value_is_fetched_once_until_its_task_has_run_again() -> None:
    shelf = Shelf(one=edit_record("edit_1"))
    reader = References(shelf.fetch)
    first = instance(returned="shelf://one", attempt=1, ended_at=START)
    reader.resolved([first, first])
    reader.resolved([first])
    assert shelf.asked == ["shelf://one"]
    shelf.values["shelf://one"] = edit_record("edit_2")
    (again,) = reader.resolved([first._replace(attempt=2)])
    assert again.returned == edit_record("edit_2")


def test_what_failed_is_tried_again() -> None:
    shelf = Shelf()
    reader = References(shelf.fetch)
    reader.resolved([instance(returned="shelf://late")])
    shelf.values["shelf://late"] = edit_record("edit_1")
    (found,) = reader.resolved([instance(returned="shelf://late")])
    assert found.returned == edit_record("edit_1")


def test_an_answer_fetches_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "MOST_FETCHED", 3)
    monkeypatch.setattr(references, "MOST_KEPT", 2)
    shelf = Shelf(**{str(n): edit_record(f"edit_{n}") for n in range(5)})
    reader = References(shelf.fetch)
    instances = [instance(returned=f"shelf://{n}") for n in range(5)]
    found = reader.resolved(instances)
    assert [one.returned is UNREAD for one in found] == [False, False, False, True, True]
    reader.resolved(instances[1:3])
    assert len(shelf.asked) == 3


#: Airflow's own backend, in a process that is told to use it.
ASK = """
import json, sys
from airflow_aluo.ui.references import backend
fetch = backend()
answers = []
for reference in sys.argv[1:]:
    answers.append(fetch(reference))
print(json.dumps(answers))
"""


def test_airflows_object_storage_is_read_below_its_own_path_only(tmp_path: Path) -> None:
    inside, outside = tmp_path / "xcom" / "a.json", tmp_path / "secret.json"
    inside.parent.mkdir()
    inside.write_text(json.dumps({"aluo_task_id": "edit_1"}))
    outside.write_text(json.dumps({"password": "hidden"}))
    environment = os.environ | {
        "AIRFLOW__CORE__XCOM_BACKEND": "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": f"file://{tmp_path}/xcom",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "0",
    }
    addresses = [f"file://{inside}", f"file://{outside}"]
    done = subprocess.run(
        [sys.executable, "-c", ASK, *addresses], env=environment, capture_output=True, text=True, check=True
    )
    first, second = json.loads(done.stdout.splitlines()[-1])
    assert first == {"aluo_task_id": "edit_1"}
    assert second == addresses[1]
