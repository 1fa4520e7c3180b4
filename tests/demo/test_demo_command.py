"""`python -m airflow_aluo.demo` as a person runs it: a real Airflow, a real sandbox, real signals."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from PIL import Image

from airflow_aluo.demo.rest import Rest

#: Seconds for a whole demo on a busy machine; 25 are usual.
PATIENCE = 240.0


class Watch:
    """Remembers every process that belongs to a folder, and tells which of them still live."""

    def __init__(self, home: Path) -> None:
        self._home = str(home)
        self._seen: set[psutil.Process] = set()

    def look(self, parent: int | None = None) -> None:
        """Remember the descendants of `parent`, and whoever names the folder."""
        if parent is not None:
            with suppress(psutil.Error):
                self._seen.update(psutil.Process(parent).children(recursive=True))
        self._seen.update(process for process in psutil.process_iter() if self._belongs(process))

    def living(self) -> dict[int, str]:
        """Ids and names of those that still live, zombies left out."""
        self.look()
        found = {}
        for process in self._seen:
            with suppress(psutil.Error):
                # is_running() knows a process from another one that was given its id later.
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    found[process.pid] = " ".join(process.cmdline()) or process.name()
        return found

    @property
    def seen(self) -> int:
        return len(self._seen)

    def _belongs(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            if any(self._home in word for word in process.cmdline()):
                return True
            # Airflow hides a worker's environment from all but root.
            return any(self._home in value for value in process.environ().values())
        return False


@dataclass
class Command:
    """A demo under way; every process that it starts is remembered by `watch`."""

    home: Path
    arguments: tuple[str, ...] = ()
    watch: Watch = field(init=False)
    process: subprocess.Popen = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(self.home)
        self.home.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "airflow_aluo.demo", "--home", str(self.home), *self.arguments]
        with self.path("out").open("w") as out, self.path("err").open("w") as err:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=err, stdin=subprocess.DEVNULL, cwd=self.home
            )

    def path(self, name: str) -> Path:
        return self.home / f"{name}.txt"

    @property
    def out(self) -> str:
        return self.path("out").read_text()

    @property
    def err(self) -> str:
        return self.path("err").read_text()

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            self.watch.look(self.process.pid)
            assert time.monotonic() < deadline, f"not after {PATIENCE} s:\n{self.out}\n{self.err}"
            time.sleep(0.2)

    def wait_for_a_scheduler(self) -> None:
        """All of Airflow's parts are starting then; none is healthy yet."""
        log = self.home / "logs" / "scheduler.log"
        self.wait_until(lambda: self.process.poll() is not None or (log.exists() and log.stat().st_size))
        assert self.process.poll() is None, self.err

    def end(self) -> int:
        """Wait for the end; return the exit code."""
        self.wait_until(lambda: self.process.poll() is not None)
        return self.process.returncode


@dataclass(frozen=True)
class Demos:
    """Two demos at once in two folders; in the folder of the first, another was just killed."""

    killed: Command
    works: Command
    bad_key: Command


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demos]:
    home = tmp_path_factory.mktemp("works")
    killed = Command(home)
    killed.wait_for_a_scheduler()
    killed.process.kill()
    killed.process.wait()
    # The sandbox knows no account, and a strict one opens none for a key that it has not seen.
    bad_key = Command(tmp_path_factory.mktemp("bad_key"), ("--", "--strict"))
    # As slow as Aluo: an edit ends long after the demo's looks at the run have seen its task wait.
    works = Command(home, ("--", "--speed", "1"))
    try:
        works.end()
        bad_key.end()
        yield Demos(killed, works, bad_key)
    finally:
        for demo in (works, bad_key):
            if demo.process.poll() is None:
                demo.process.terminate()


def test_the_demo_ends_well_even_where_an_earlier_one_was_killed(demos: Demos) -> None:
    demo = demos.works
    assert (demo.process.returncode, demo.err) == (0, "")


def test_it_names_pictures_that_are_there(demos: Demos) -> None:
    demo = demos.works
    *_, last = demo.out.splitlines()
    assert last.startswith("edited: ")
    path = Path(last.removeprefix("edited: "))
    assert path.parent == demo.home / "pictures"
    with Image.open(path) as picture:
        picture.load()


def test_it_tells_the_states_of_the_tasks_and_where_to_look(demos: Demos) -> None:
    demo = demos.works
    assert re.search(r"run: http://127\.0\.0\.1:\d+/dags/aluo_photo_edit/runs/manual__", demo.out)
    states = re.findall(r"\] +(\w+: \w+)$", demo.out, re.MULTILINE)
    for told in ("submit: success", "wait: deferred", "wait: success", "download: success"):
        assert told in states


def test_no_process_outlives_a_demo_that_worked(demos: Demos) -> None:
    demo = demos.works
    assert demo.watch.seen > 10
    assert demo.watch.living() == {}


def test_no_process_outlives_a_demo_that_was_killed(demos: Demos) -> None:
    assert demos.killed.watch.seen > 4
    assert demos.killed.watch.living() == {}


def test_a_failed_demo_says_why_and_where_the_log_is(demos: Demos) -> None:
    demo = demos.bad_key
    assert demo.process.returncode == 1
    assert "edited:" not in demo.out
    assert "failed: task 'submit' failed: AirflowFailException: " in demo.err
    assert "Traceback" not in demo.out + demo.err
    log = Path(demo.err.splitlines()[-1].removeprefix("log: "))
    assert [file.name for file in log.iterdir()] == ["attempt=1.log"]


def test_no_process_outlives_a_demo_that_failed(demos: Demos) -> None:
    demo = demos.bad_key
    assert demo.watch.living() == {}


def test_it_may_be_stopped_while_airflow_starts(tmp_path: Path) -> None:
    demo = Command(tmp_path)
    demo.wait_for_a_scheduler()
    demo.process.send_signal(signal.SIGINT)
    assert (demo.end(), demo.err) == (130, "stopped\n")
    assert demo.watch.seen > 4
    assert demo.watch.living() == {}


def test_it_may_be_stopped_while_the_sandbox_starts(tmp_path: Path) -> None:
    demo = Command(tmp_path)
    demo.wait_until(lambda: "starting the sandbox" in demo.out)
    demo.process.send_signal(signal.SIGTERM)
    assert (demo.end(), demo.err) == (143, "stopped\n")
    assert demo.watch.living() == {}


def test_the_ui_stays_until_ctrl_c_and_knows_earlier_runs_if_they_were_kept(demos: Demos) -> None:
    demo = Command(demos.works.home, ("--ui", "--keep"))
    demo.wait_until(lambda: "Ctrl-C" in demo.out or demo.process.poll() is not None)
    (url,) = re.findall(r"open (\S+) \(user admin, password admin\)", demo.out)
    assert "edited: " in demo.out
    with closing(Rest(url, user="admin", password="admin")) as airflow:
        assert airflow.get("dags/aluo_photo_edit/dagRuns")["total_entries"] == 2
    demo.process.send_signal(signal.SIGINT)
    assert demo.end() == 130
    assert demo.watch.living() == {}


def test_a_sandbox_that_does_not_start_is_told_with_its_log(tmp_path: Path) -> None:
    demo = Command(tmp_path, ("--", "--speed", "0"))
    assert demo.end() == 1
    assert "failed: sandbox ended with exit code 2" in demo.err
    assert f"log: {tmp_path / 'logs' / 'sandbox.log'}" in demo.err
    assert "Traceback" not in demo.err
    assert demo.watch.living() == {}


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    command = [sys.executable, "-m", "airflow_aluo.demo", "--home", str(tmp_path / "file" / "home")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert ended.returncode == 1
    assert ended.stderr.startswith("failed: NotADirectoryError: ")
    assert "Traceback" not in ended.stderr
