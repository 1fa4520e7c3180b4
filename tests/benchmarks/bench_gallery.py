"""The gallery of ten thousand edits: the time of its pages, and of a thumbnail.

Through Airflow's real API server, as an application in this process, and a real SQLite database: once ten
thousand mapped edits of a run, once a batch of ten thousand, whose records lie in a file. Medians of the
rounds; "first" is the first page that a server process is asked for, "next" another page of the same run
within two seconds, for which it remembers what it has read. The bar for a first page is one second. "CPU"
is what counts on a machine that others use, too.
"""

import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))
for name in [name for name in os.environ if name.startswith(("AIRFLOW_", "_AIRFLOW_"))]:
    del os.environ[name]

EDITS, PIECE, ROUNDS = 10_000, 100, 7
#: Seconds after which the gallery has forgotten a run.
FORGOTTEN = 2.1
#: Pixels of the pictures: some 3 MB as JPEG.
WIDTH, HEIGHT = 3000, 2000


def records() -> list[dict[str, Any]]:
    from tests.ui.book import edit_record

    return [
        edit_record(
            f"edit_{number:05}", request=edit_record()["request"] | {"prompt": f"Make cup {number} blue"}
        )
        for number in range(EDITS)
    ]


def mapped(dag_id: str) -> None:
    """Ten thousand mapped task instances that have returned their edit, as they do."""
    from airflow_aluo.gallery import LINK
    from tests.ui.book import START, Book

    book = Book(dag_id).run(state="success")
    found = records()
    rows = [
        {
            "task_id": "edit",
            "map_index": number,
            "start_date": START,
            "_rendered_map_index": f"cup-{number}.jpg",
        }
        for number in range(EDITS)
    ]
    told = {"return_value": lambda one: one, "submitted": lambda one: one, LINK: lambda _: "aluo/a/link"}
    xcoms = [
        {"task_id": "edit", "map_index": number, "key": key, "value": of(one)}
        for number, one in enumerate(found)
        for key, of in told.items()
    ]
    book.instances(rows, xcoms)


def batch(dag_id: str, folder: Path) -> None:
    """One task instance whose results lie in a file, in pieces."""
    from tests.ui.book import Book

    parts, file = [], folder / "results.jsonl"
    found, start = records(), 0
    with file.open("wb") as written:
        for first in range(0, EDITS, PIECE):
            content = "".join(f"{json.dumps(one)}\n" for one in found[first : first + PIECE]).encode()
            written.write(content)
            digest, end = hashlib.sha256(content).hexdigest(), start + len(content)
            parts.append({"results": str(file), "start": start, "end": end, "edits": PIECE, "sha256": digest})
            start = end
    book = Book(dag_id).run(state="success")
    book.instance("edits", operator="PhotoEditBatchOperator", xcoms={"return_value": parts})


def one_picture(dag_id: str, folder: Path) -> None:
    """A landed picture of a camera's size."""
    from tests.ui.book import Book, edit_record, landed_file, noise

    file = landed_file(folder / "picture.jpg", noise(WIDTH, HEIGHT))
    Book(dag_id).run(state="success").instance("edit", xcoms={"return_value": edit_record(files=[file])})


class Took(NamedTuple):
    """Seconds that an answer took, and seconds of CPU, with the little that the client needs."""

    wall: float
    cpu: float


def took(ask: Callable[[], Any]) -> Took:
    start, cpu = time.perf_counter(), time.process_time()
    answer = ask()
    found = Took(time.perf_counter() - start, time.process_time() - cpu)
    assert answer.status_code == 200, answer.text
    return found


def report(what: str, rounds: list[Took]) -> None:
    wall = [one.wall for one in rounds]
    cpu = statistics.median(one.cpu for one in rounds)
    numbers = (statistics.median(wall), min(wall), max(wall), cpu)
    print(f"{what:<50}" + "".join(f" {number * 1000:8.0f}" for number in numbers))


def pages(person: Any, dag_id: str, what: str) -> None:
    page = f"aluo/api/dags/{dag_id}/runs/a_run/edits"
    first, following, searched = [], [], []
    for _ in range(ROUNDS):
        time.sleep(FORGOTTEN)
        first.append(took(lambda: person.get(page)))
        following.append(took(lambda: person.get(page, params={"offset": 5000})))
        searched.append(took(lambda: person.get(page, params={"text": "CUP 77"})))
    report(f"{what}: first page", first)
    report(f"{what}: next page", following)
    report(f"{what}: a text in the prompts", searched)


def thumbnails(person: Any, dag_id: str, folder: Path) -> None:
    picture = f"aluo/api/dags/{dag_id}/runs/a_run/tasks/edit/-1/pictures/0/after/0"
    for size in ("thumb", "large"):
        get = partial(person.get, picture, params={"size": size})
        made, kept = [], []
        for _ in range(ROUNDS):
            for path in folder.glob("*/*.webp"):
                path.unlink()
            made.append(took(get))
            kept.append(took(get))
        report(f"{WIDTH} x {HEIGHT} JPEG, size={size}: made", made)
        report(f"{WIDTH} x {HEIGHT} JPEG, size={size}: kept", kept)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="aluo-bench-") as temporary:
        folder = Path(temporary)
        tempfile.tempdir = temporary
        from tests.ui.book import Person, api_server, environment, make_database

        quiet = {"AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR", "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        os.environ.update({"AIRFLOW_HOME": temporary} | quiet | environment(folder))
        make_database()
        mapped("mapped")
        batch("batch", folder)
        one_picture("picture", folder)
        person = Person(api_server(), "viewer")
        print(
            f"{'milliseconds, ' + str(ROUNDS) + ' rounds':<50} {'median':>8} {'min':>8} {'max':>8} {'CPU':>8}"
        )
        pages(person, "mapped", f"{EDITS} mapped edits")
        pages(person, "batch", f"a batch of {EDITS}")
        thumbnails(person, "picture", folder)


if __name__ == "__main__":
    main()
