"""Nothing that was started outlives the one who started it."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from airflow_aluo.demo import processes as module
from airflow_aluo.demo.guard import left_behind
from airflow_aluo.demo.processes import ENDING, ProcessError, Processes, session_members
from airflow_aluo.signals_later import signals_later

PYTHON = sys.executable
#: Starts a child in a process group of its own, as Airflow does for a task, says both ids, and waits.
FAMILY = """
import os, subprocess, sys, time
if "deaf" in sys.argv:
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], process_group=0)
print(os.getpid(), child.pid, flush=True)
time.sleep(600)
"""


def family(log: Path) -> list[psutil.Process]:
    """Parent and child, once both are there."""
    wait_until(lambda: log.exists() and len(log.read_text().split()) >= 2)
    return [psutil.Process(int(pid)) for pid in log.read_text().split()]


def wait_until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.02)


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_the_end_of_the_block_ends_children_and_their_children(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        child = processes.start("family", [PYTHON, "-c", FAMILY])
        both = family(child.log_file)
        assert session_members([child.pid]) == [one.pid for one in both]
    assert all(map(gone, both))


def test_a_process_that_does_not_hear_sigterm_is_killed(tmp_path: Path) -> None:
    with Processes(tmp_path, grace=0.2) as processes:
        child = processes.start("deaf", [PYTHON, "-c", FAMILY, "deaf"])
        both = family(child.log_file)
    assert all(map(gone, both))


def test_children_of_a_killed_process_are_found_and_ended(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        child = processes.start("family", [PYTHON, "-c", FAMILY])
        both = family(child.log_file)
        child.process.kill()
        child.process.wait()
        assert not gone(both[1])
    assert gone(both[1])


def test_an_exception_in_the_block_ends_all_too(tmp_path: Path) -> None:
    both = []

    def fail() -> None:
        with Processes(tmp_path) as processes:
            both.extend(family(processes.start("family", [PYTHON, "-c", FAMILY]).log_file))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert both
    assert all(map(gone, both))


def test_a_second_ctrl_c_kills_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    presses = [KeyboardInterrupt]

    def look_or_be_interrupted(leaders: Iterable[int]) -> list[int]:
        if presses:
            raise presses.pop()
        return session_members(leaders)

    with Processes(tmp_path, grace=60) as processes:
        both = family(processes.start("deaf", [PYTHON, "-c", FAMILY, "deaf"]).log_file)
        monkeypatch.setattr(module, "session_members", look_or_be_interrupted)
        with pytest.raises(KeyboardInterrupt):
            processes.stop()
        assert all(map(gone, both))


def test_ctrl_c_waits_until_a_started_process_is_known() -> None:
    known = []

    def start() -> None:
        with signals_later(*ENDING):
            signal.raise_signal(signal.SIGINT)
            known.append("process")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert known == ["process"]


def test_processes_can_be_started_from_any_thread(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes, ThreadPoolExecutor() as threads:
        child = threads.submit(processes.start, "family", [PYTHON, "-c", FAMILY]).result()
        both = family(child.log_file)
    assert all(map(gone, both))


def test_whoever_started_them_may_be_killed_and_nothing_is_left(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from airflow_aluo.demo.processes import Processes\n"
        "with Processes(Path(sys.argv[1])) as processes:\n"
        "    processes.start('family', [sys.executable, '-c', sys.argv[2]])\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen([PYTHON, "-c", script, str(tmp_path), FAMILY]) as starter:
        both = family(tmp_path / "logs" / "family.log")
        starter.send_signal(signal.SIGKILL)
    wait_until(lambda: all(map(gone, both)))
    # The guard has let go of the folder, too.
    with Processes(tmp_path):
        pass


def test_a_process_that_was_stopped_is_not_the_guards_business() -> None:
    assert left_behind(["+1\n", "+2\n", "-2\n"]) == [1]


def test_a_folder_has_one_user_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_TIMEOUT", 0.1)
    with (
        Processes(tmp_path),
        pytest.raises(ProcessError, match="another demo still runs in"),
        Processes(tmp_path),
    ):
        pass


def test_an_early_end_is_told_with_exit_code_and_end_of_log(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        child = processes.start("short", [PYTHON, "-c", "print('the reason'); raise SystemExit(3)"])
        child.process.wait()
        with pytest.raises(ProcessError) as caught:
            processes.raise_if_one_ended()
    assert caught.value.reason == "short ended with exit code 3; the end of its log:\n  the reason"
    assert caught.value.log_file == tmp_path / "logs" / "short.log"


def test_the_end_of_a_log_is_quoted_without_a_tracebacks_frames(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        child = processes.start("broken", [PYTHON, "-c", "import no_such_module"])
        child.process.wait()
        with pytest.raises(ProcessError) as caught:
            child.raise_if_ended()
    assert caught.value.reason.splitlines()[1:] == ["  ModuleNotFoundError: No module named 'no_such_module'"]


def test_an_early_end_without_a_word_is_told_too(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        child = processes.start("mute", [PYTHON, "-c", ""])
        child.process.wait()
        with pytest.raises(ProcessError, match=r"^mute ended with exit code 0$"):
            child.raise_if_ended()


def test_a_restart_runs_the_same_command_and_goes_on_with_its_log(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        first = processes.start("again", [PYTHON, "-c", FAMILY])
        before = family(first.log_file)
        second = processes.restart("again")
        wait_until(lambda: len(second.log_file.read_text().split()) == 4)
        assert all(map(gone, before))
        assert second.pid != first.pid
        assert processes["again"] is second
    with Processes(tmp_path) as processes:
        log = processes.start("again", [PYTHON, "-c", FAMILY]).log_file
        family(log)
        assert len(log.read_text().split()) == 2
