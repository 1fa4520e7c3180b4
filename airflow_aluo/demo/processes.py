"""Processes that end with the one that started them, their own children included.

Each is the leader of a session of its own, so whatever it forks is found again by asking the system
which processes belong to that session: a process group would not do, because Airflow gives each
task one of its own. Sessions also keep Ctrl-C in the terminal away from them: only the command
hears it, and stops them in order.

A guard (`airflow_aluo.demo.guard`) stops them when the command itself was killed.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Self

# Airflow's own dependency; it ships no types.
import psutil  # type: ignore[import-untyped]

from airflow_aluo.signals_later import signals_later

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

#: Seconds that a process gets to end by itself after SIGTERM. A scheduler with a running task would
#: wait for that task's end, an API server for an open browser.
GRACE = 5.0
#: Seconds for what is left in a session after its leader has ended.
REST_GRACE = 2.0
#: Seconds that a demo which was just stopped or killed may need to free its folder on a busy machine.
LOCK_TIMEOUT = 60.0
#: Seconds between two looks at what still runs.
LOOK_INTERVAL = 0.05
#: What ends a command. No process may start unnoticed while one of them is handled.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Lines of a log that an error quotes.
QUOTED_LINES = 4


class ProcessError(Exception):
    """A process did not start, or ended too early. `log_file` says more."""

    def __init__(self, reason: str, *, log_file: Path | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.log_file = log_file


@dataclass(slots=True)
class Child:
    """One started process, the leader of its session."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log_file: Path
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The process id, which is the session's id too."""
        return self.process.pid

    def raise_if_ended(self) -> None:
        """Do nothing while it runs.

        :raises ProcessError: the process has ended; the message quotes the end of its log.
        """
        code = self.process.poll()
        if code is not None:
            raise ProcessError(
                f"{self.name} ended with exit code {code}{quoted_end(self.log_file)}",
                log_file=self.log_file,
            )


class Processes:
    """Starts processes that belong to a folder, and stops them all when the block ends.

    A folder has one such block at a time: a second one waits a while for the first one's end.
    """

    def __init__(self, home: Path, *, grace: float = GRACE) -> None:
        """`grace`: seconds that a process gets to end by itself before it is killed."""
        self.home = home
        self.logs = home / "logs"
        self._grace = grace
        self._children: dict[str, Child] = {}
        self._started: set[str] = set()
        self._guard: subprocess.Popen[bytes] | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.logs.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((self.home / "lock").open("ab")).fileno()
            self._take(lock)
            log = stack.enter_context((self.logs / "guard.log").open("ab"))
            self._guard = subprocess.Popen(
                [sys.executable, "-m", "airflow_aluo.demo.guard", str(self.home)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lock],  # the folder is free again once nothing runs there any more
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._stack:
            try:
                self.stop()
            finally:
                # The pipe's end is the word to the guard: it stops what a second Ctrl-C left.
                if self._guard is not None and self._guard.stdin is not None:
                    with suppress(BrokenPipeError):
                        self._guard.stdin.close()
                    self._guard.wait()

    def __getitem__(self, name: str) -> Child:
        return self._children[name]

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Child:
        """Start `command`; its output goes to `<home>/logs/<name>.log`."""
        log_file = self.logs / f"{name}.log"
        environment = dict(os.environ if environment is None else environment)
        # A restart goes on with the log; an earlier block's is replaced.
        with log_file.open("ab" if name in self._started else "wb") as log, signals_later(*ENDING):
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            child = Child(name, tuple(command), environment, log_file, process)
            self._children[name] = child
            self._started.add(name)
            self._tell_guard(f"+{child.pid}")
        return child

    def restart(self, name: str) -> Child:
        """Stop what is left of `name`, then start it again as it was."""
        child = self._children[name]
        self.stop([name])
        return self.start(name, child.command, child.environment)

    def stop(self, names: Iterable[str] | None = None) -> None:
        """Stop these (all, if none are named) and everything that they started."""
        chosen = list(self._children) if names is None else list(names)
        children = [self._children[name] for name in chosen if name in self._children]
        try:
            stop_sessions([child.pid for child in children], children=children, grace=self._grace)
        except BaseException:
            stop_sessions([child.pid for child in children], children=children, grace=0)
            raise
        for child in children:
            child.process.wait(GRACE)
            del self._children[child.name]
            self._tell_guard(f"-{child.pid}")

    def raise_if_one_ended(self) -> None:
        """Do nothing while all run.

        :raises ProcessError: one has ended; the message names it and quotes its log.
        """
        for child in self._children.values():
            child.raise_if_ended()

    def _take(self, lock: int) -> None:
        deadline = time.monotonic() + LOCK_TIMEOUT
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ProcessError(f"another demo still runs in {self.home}") from None
                time.sleep(LOOK_INTERVAL)
            else:
                return

    def _tell_guard(self, line: str) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            # A guard that was killed must not stop the demo: it is only the last resort.
            with suppress(BrokenPipeError):
                self._guard.stdin.write(f"{line}\n".encode())
                self._guard.stdin.flush()


def stop_sessions(leaders: Sequence[int], *, children: Iterable[Child] = (), grace: float = GRACE) -> None:
    """Ask the sessions' leaders to end, wait up to `grace` seconds, then kill what is left."""
    children = list(children)
    for leader in leaders:
        _send(leader, signal.SIGTERM)
    orphaned = False
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline:
        for child in children:
            child.process.poll()  # reaps it: a zombie would count as alive
        left = session_members(leaders)
        if not left:
            return
        if not orphaned and not set(left) & set(leaders):
            orphaned = True
            deadline = min(deadline, time.monotonic() + REST_GRACE)
            for pid in left:
                _send(pid, signal.SIGTERM)
        time.sleep(LOOK_INTERVAL)
    kill_sessions(leaders, children)


def kill_sessions(leaders: Sequence[int], children: Iterable[Child] = ()) -> None:
    """Kill every process of these sessions: again and again, as one may fork meanwhile."""
    deadline = time.monotonic() + GRACE
    while (left := session_members(leaders)) and time.monotonic() < deadline:
        for pid in left:
            _send(pid, signal.SIGKILL)
        for child in children:
            child.process.poll()
        time.sleep(LOOK_INTERVAL)


def session_members(leaders: Iterable[int]) -> list[int]:
    """Ids of the living processes whose session one of `leaders` began."""
    wanted = set(leaders)
    members = []
    for pid in psutil.pids():
        with suppress(OSError, psutil.Error):
            if os.getsid(pid) in wanted and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                members.append(pid)
    return members


def quoted_end(log_file: Path) -> str:
    """Return a log's last lines as the end of a sentence; nothing when the log is empty."""
    with suppress(OSError):
        lines = _lines_at_end(log_file.open("rb"))
        if lines:
            return "; the end of its log:\n" + "\n".join(f"  {line}" for line in lines)
    return ""


def _lines_at_end(log: IO[bytes]) -> list[str]:
    with log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(0, size - 16_384))
        lines = log.read().decode(errors="replace").splitlines()
    # A traceback's frames are indented: its last line says what happened, the log has the rest.
    return [line for line in lines if line.strip() and not line.startswith((" ", "Traceback"))][
        -QUOTED_LINES:
    ]


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
