"""Batches in worker processes: killed at any moment, or with ten thousand edits."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
import requests

from airflow_aluo.operators.photo_edit_batch import PhotoEditBatchOperator

ROOT = Path(__file__).parents[2]
#: In a batch whose worker is killed.
EDITS = 60

Tries = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def tries(tmp_path: Path, connections: Any) -> Tries:
    """Runs tries of one batch in processes; the last one to its end."""

    def run(host: str, count: int, *, photo: str, kill_after: Any = (), **operator: Any) -> Any:
        extra = {"requests_per_minute": 600_000}
        settings = {
            "store": str(tmp_path),
            "count": count,
            "photo": photo,
            "kill_after": list(kill_after),
            "operator": operator,
            "connection": {"conn_type": "aluo", "host": host, "password": connections.key, "extra": extra},
        }
        command = [sys.executable, "-m", "tests.batch.worker", json.dumps(settings)]
        done = subprocess.run(command, cwd=ROOT, stdout=PIPE, text=True, check=True, timeout=280)
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    return run


def test_who_kills_the_worker_at_any_moment_never_makes_it_pay_twice(
    sandbox: Any, tries: Tries, tmp_path: Path
) -> None:
    sandbox.fault("latency", seconds=0.03, times=None)
    dice = random.Random(20261122)  # noqa: S311  # moments, no secrets
    moments = [dice.uniform(0.3, 1.3) for _ in range(5)]
    *killed, last = tries(*(sandbox.api_url, EDITS), photo=sandbox.photo, kill_after=moments, max_in_flight=3)
    unheard: set[str] = set()
    for one in killed:
        new = set(one["unheard"]) - unheard
        assert len(new) <= 3, "more outcomes are unknown than submits were under way"
        unheard |= new
    print(f"{unheard=}, {last['seconds']=}")
    ledger = sandbox.ledger
    assert ledger["twice"] == 0
    summary = last["summary"]
    assert summary["edits"] == EDITS
    assert summary["failed"] == summary["errors"].get("AluoUnknownOutcome", 0) <= len(unheard)
    assert summary["succeeded"] + summary["failed"] == EDITS
    # Each edit that Aluo accepted is known by its id, or one of the unknown outcomes.
    assert summary["succeeded"] <= ledger["totals"]["accepted"] <= EDITS
    stored = "".join(path.read_text() for path in tmp_path.glob("aluo_batch_*"))
    lost = [one for one in ledger["entries"] if one["aluo_task_id"] not in stored]
    assert len(lost) <= summary["failed"]


@pytest.fixture
def pretend() -> Iterator[Callable[[float], str]]:
    """Starts a fast pretend Aluo whose POST takes so many seconds; returns its address."""
    running: list[subprocess.Popen[str]] = []

    def start(seconds: float) -> str:
        command = [sys.executable, "-m", "tests.batch.pretend", str(seconds)]
        running.append(subprocess.Popen(command, cwd=ROOT, stdout=PIPE, text=True))
        assert running[-1].stdout is not None
        return running[-1].stdout.readline().strip()

    yield start
    for process in running:
        process.terminate()
        process.communicate()


def counts(url: str) -> Any:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(f"{url}/counts", timeout=20).json()


#: ``make bench`` has ten thousand; as many take a minute.
MANY = 1_000

PHOTO = "https://photos.example/a.png"


def test_thousands_of_edits_fit_into_one_batch(pretend: Any, tries: Tries, tmp_path: Path) -> None:
    url = pretend(0.0)
    (told,) = tries(url, MANY, photo=PHOTO, results_path=str(tmp_path / "results"))
    print(told)
    assert told["summary"]["succeeded"] == MANY
    assert told["returned"] == MANY // 100  # references to the results' file
    assert counts(url)["accepted"] == MANY
    assert told["mebibytes"] < 75  # some 30 of them for what is loaded only now
    sizes = [path.stat().st_size for path in tmp_path.glob("aluo_batch_*")]
    assert len(sizes) == MANY // 100
    assert max(sizes) < 65_535


def edits(count: int) -> list[dict[str, Any]]:
    return [{"prompt": f"number {number}.", "image_urls": [PHOTO]} for number in range(count)]


def test_no_more_submits_are_under_way_than_is_allowed(pretend: Any, tasks: Any, connections: Any) -> None:
    url = pretend(0.5)
    connections.set(url)
    tasks.run(PhotoEditBatchOperator(task_id="batch", edits=edits(21), max_in_flight=7, poll_interval=0.1))
    assert counts(url)["most_posts"] == 7


def test_a_slow_post_gets_as_many_submits_under_way_as_the_rate_needs(
    pretend: Any, tasks: Any, connections: Any
) -> None:
    url = pretend(0.3)
    connections.set(url)
    tasks.store.before = lambda what: time.sleep(0.05) if what.startswith("set") else None
    tasks.run(PhotoEditBatchOperator(task_id="batch", edits=edits(200), poll_interval=0.1))
    assert counts(url)["most_posts"] > 50
    assert len(tasks.store.done) < 200  # a write serves many: not three for each edit
