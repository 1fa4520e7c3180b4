"""XComs that a backend keeps: read as a task reads them, and never a reason for a page to fail."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from threading import enumerate as threads
from typing import Any

import pytest

from airflow_aluo.ui import references
from airflow_aluo.ui.references import AT_ONCE, PAUSE, References, backend
from airflow_aluo.ui.told import UNREAD, Instance, record_at, told
from tests.ui.book import START, edit_record
from tests.ui.test_edits import instance


def nothing(_: Any) -> list[None]:
    return []


class Shelf:
    """A backend that keeps values under addresses, and counts who asks; while it is shut, they wait."""

    def __init__(self, **values: Any) -> None:
        self.values = {f"shelf://{name}": value for name, value in values.items()}
        self.asked: list[str] = []
        self.open = Event()
        self.open.set()

    def fetch(self, reference: str) -> Any:
        self.asked.append(reference)
        self.open.wait()
        if reference == "shelf://broken":
            raise OSError("no such shelf")
        if ".." in reference:
            return edit_record("of somebody else")
        return self.values.get(reference, reference)

    def reader(self, most_kept: int = 99, patience: float = 300, **more: Any) -> References:
        return References(self.fetch, most_kept, patience=patience, **more)

    def answer(self) -> None:
        """Open, and wait until everybody has got what they came for."""
        self.open.set()
        for thread in threads():
            if thread.name == "aluo-xcom":
                thread.join()


def told_by(found: Instance) -> list[Any]:
    return [record["aluo_task_id"] for _, record in told(found, nothing).records]


def test_a_reference_is_followed_however_often_it_was_packed() -> None:
    record = edit_record("edit_1")
    shelf = Shelf(one=record).reader()
    for packed in ("shelf://one", json.dumps("shelf://one"), json.dumps(json.dumps("shelf://one"))):
        (found,) = shelf.resolved([instance(returned=packed)])
        assert told(found, nothing).records == [(0, record)]
        assert record_at(found, 0, nothing) == record


def test_what_lies_in_the_database_is_left_alone() -> None:
    shelf = Shelf()
    values = [json.dumps(edit_record("edit_1")), json.dumps([edit_record("edit_2")]), None, "17", ""]
    instances = [instance(returned=value) for value in values]
    assert shelf.reader().resolved(instances) == instances
    assert shelf.asked == []


def test_without_a_backend_nothing_is_followed() -> None:
    instances = [instance(returned="shelf://one")]
    assert References(None, 99).resolved(instances) == instances
    assert backend() is None


@pytest.mark.parametrize("reference", ["shelf://broken", "shelf://gone", "shelf://a/../one"])
def test_what_cannot_be_read_is_counted_and_told_in_the_log(
    reference: str, caplog: pytest.LogCaptureFixture
) -> None:
    (found,) = Shelf().reader().resolved([instance(returned=reference)])
    assert found.returned is UNREAD
    assert told(found, nothing).unreadable == 1
    assert record_at(found, 0, nothing) is None
    assert reference in caplog.text


def test_a_text_that_is_no_reference_stays_a_text() -> None:
    (found,) = Shelf().reader().resolved([instance(returned="done")])
    assert found.returned == "done"
    assert told(found, nothing).records == []


def test_values_that_are_not_of_json_are_read_as_far_as_they_are() -> None:
    loop: list[Any] = []
    loop.append(loop)
    shelf = Shelf(odd=[{1, 2}, edit_record("edit_1")], loop=loop)
    odd, endless = shelf.reader().resolved([instance(returned=f"shelf://{name}") for name in ("odd", "loop")])
    assert told_by(odd) == ["edit_1"]
    assert endless.returned is UNREAD


def test_each_value_is_fetched_once_until_its_task_has_run_again() -> None:
    shelf = Shelf(one=edit_record("edit_1"))
    reader = shelf.reader()
    first = instance(returned="shelf://one", attempt=1, ended_at=START)
    reader.resolved([first, first])
    reader.resolved([first])
    assert shelf.asked == ["shelf://one"]
    shelf.values["shelf://one"] = edit_record("edit_2")
    (again,) = reader.resolved([first._replace(attempt=2)])
    assert told_by(again) == ["edit_2"]


def test_what_failed_is_tried_again_after_a_pause() -> None:
    now, shelf, late = [100.0], Shelf(), instance(returned="shelf://late")
    reader = shelf.reader(clock=lambda: now[0])
    reader.resolved([late])
    shelf.values["shelf://late"] = edit_record("edit_1")
    (found,) = reader.resolved([late])
    assert found.returned is UNREAD
    assert shelf.asked == ["shelf://late"]
    now[0] += PAUSE
    (found,) = reader.resolved([late])
    assert told_by(found) == ["edit_1"]


def test_an_answer_goes_on_without_what_does_not_come_and_the_next_one_has_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shelf, one = Shelf(one=edit_record("edit_1")), instance(returned="shelf://one")
    reader = shelf.reader(patience=0.01)
    shelf.open.clear()
    for _ in range(2):
        (found,) = reader.resolved([one])
        assert found.returned is UNREAD
    assert caplog.text.count("1 XComs have not come from their backend within 0.01 s, shelf://one") == 1
    shelf.answer()
    (found,) = reader.resolved([one])
    assert told_by(found) == ["edit_1"]
    assert shelf.asked == ["shelf://one"]


def test_what_comes_late_and_cannot_be_read_is_left_alone_for_a_pause_too() -> None:
    now, shelf, gone = [100.0], Shelf(), instance(returned="shelf://gone")
    reader = shelf.reader(patience=0.01, clock=lambda: now[0])
    shelf.open.clear()
    reader.resolved([gone])
    shelf.answer()
    reader.resolved([gone])
    assert shelf.asked == ["shelf://gone"]
    now[0] += PAUSE
    reader.resolved([gone])
    shelf.answer()
    assert shelf.asked == ["shelf://gone"] * 2


def test_of_a_store_that_does_not_answer_nothing_more_is_asked() -> None:
    shelf = Shelf(new=edit_record("edit_1"))
    reader, new = shelf.reader(patience=0.01), instance(returned="shelf://new")
    shelf.open.clear()
    found = reader.resolved([instance(returned=f"shelf://{n}") for n in range(2 * AT_ONCE)])
    assert {one.returned for one in found} == {UNREAD}
    assert len([one for one in threads() if one.name == "aluo-xcom"]) == AT_ONCE
    reader.resolved([new])
    shelf.answer()
    assert len(shelf.asked) == 2 * AT_ONCE
    assert "shelf://new" not in shelf.asked
    reader.resolved([new])
    shelf.answer()
    (found_then,) = reader.resolved([new])
    assert told_by(found_then) == ["edit_1"]


def test_answers_that_want_the_same_share_it() -> None:
    shelf, one = Shelf(one=edit_record("edit_1")), instance(returned="shelf://one")
    reader = shelf.reader()
    shelf.open.clear()
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(reader.resolved, [one]) for _ in range(4)]
        shelf.open.set()
        assert [told_by(found) for answer in answers for found in answer.result()] == [["edit_1"]] * 4
    assert shelf.asked == ["shelf://one"]


def test_an_answer_fetches_only_so_many_and_the_next_ones_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "MOST_FETCHED", 3)
    shelf = Shelf(**{str(n): edit_record(f"edit_{n}") for n in range(5)})
    reader, instances = shelf.reader(), [instance(returned=f"shelf://{n}") for n in range(5)]
    found = reader.resolved(instances)
    assert [one.returned is UNREAD for one in found] == [False, False, False, True, True]
    for _ in range(2):
        assert UNREAD not in {one.returned for one in reader.resolved(instances)}
    assert sorted(shelf.asked) == [f"shelf://{n}" for n in range(5)]


def test_what_was_shown_last_stays_in_memory() -> None:
    shelf = Shelf(**{name: edit_record(name) for name in "abc"})
    reader = shelf.reader(most_kept=2)
    for name in "abaca":
        reader.resolved([instance(returned=f"shelf://{name}")])
    assert shelf.asked == ["shelf://a", "shelf://b", "shelf://c"]
    reader.resolved([instance(returned="shelf://b")])
    assert shelf.asked[3:] == ["shelf://b"]


#: A process that ends while a store does not answer.
HANG = """
from threading import Event
from airflow_aluo.ui.references import References
from airflow_aluo.ui.told import UNREAD, Instance
told = Instance("dag", "run", None, None, "task", -1, None, None, None, 1, None, None, returned="shelf://one")
(found,) = References(lambda _: Event().wait(), 9, patience=0.01).resolved([told])
print(found.returned is UNREAD)
"""


def test_a_process_ends_though_its_store_does_not_answer() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANG], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.splitlines() == ["True"]


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
