"""What is done to an Airflow as a whole, while edits of several rows are under way."""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from harness import stage
from harness.play import Play
from harness.rig import Rig
from harness.row import Finding, Row

#: Seconds for which the API server is away.
AWAY = 20.0
#: Seconds for which a triggerer is frozen.
FROZEN = 40.0
#: Seconds that all rows of a shock may take to be ready for it.
READY = 180.0


def kill_triggerer(rig: Rig, _: Callable[[], None]) -> None:
    """Kill it with all its processes, and start it again."""
    rig.signal("triggerer", signal.SIGKILL)
    rig.airflow.restart("triggerer")


def stop_triggerer(rig: Rig, _: Callable[[], None]) -> None:
    """Ask it to end, and start it again."""
    rig.airflow.restart("triggerer")


def freeze_triggerer(rig: Rig, moment: Callable[[], None]) -> None:
    """Freeze it while another takes over; then let it go on beside the other."""
    first = rig.processes["triggerer"]
    rig.processes.start("triggerer-2", first.command, first.environment)
    time.sleep(8)  # it begins to work
    rig.signal("triggerer", signal.SIGSTOP)
    time.sleep(FROZEN)
    moment()
    rig.signal("triggerer", signal.SIGCONT)


def kill_scheduler(rig: Rig, _: Callable[[], None]) -> None:
    """Kill it with its workers, and start it again."""
    rig.signal("scheduler", signal.SIGKILL)
    rig.airflow.restart("scheduler")


def restart_scheduler_and_api_server(rig: Rig, _: Callable[[], None]) -> None:
    """Ask both to end, and start them again: first the one without which a task that starts loses a try."""
    names = ("api-server", "scheduler")
    children = [rig.processes[name] for name in names]
    rig.processes.stop(names)
    for child in children:
        rig.processes.start(child.name, child.command, child.environment)
        rig.wait_for_api()


def take_api_server_away(rig: Rig, moment: Callable[[], None]) -> None:
    """Stop it; what is being said to it is lost; start it again after a while."""
    server = rig.processes["api-server"]
    rig.stop("api-server")
    moment()
    time.sleep(AWAY)
    rig.processes.start("api-server", server.command, server.environment)


SHOCKS: dict[str, Callable[[Rig, Callable[[], None]], None]] = {
    "api server away": take_api_server_away,
    "scheduler and api server restarted": restart_scheduler_and_api_server,
    "scheduler killed": kill_scheduler,
    "triggerer killed": kill_triggerer,
    "triggerer stopped": stop_triggerer,
    "triggerer frozen": freeze_triggerer,
}


class Shock:
    """One shock, and the rows that wait for it."""

    def __init__(self, name: str, rows: Sequence[Row]) -> None:
        self.name, self.rows = name, rows
        self._ready = threading.Semaphore(0)
        self._over = threading.Event()
        self._plays: list[Play] = []

    def ready(self, play: Play) -> None:
        """Say that a row's play is ready, and wait until the shock is over and Airflow is well again."""
        self._plays.append(play)
        self._ready.release()
        self._over.wait()

    def strike(self, rig: Rig) -> list[Finding]:
        """Play the rows, and strike once all are ready."""
        with ThreadPoolExecutor(len(self.rows)) as pool:
            found = [pool.submit(stage.play, row, rig, self) for row in self.rows]
            deadline = time.monotonic() + READY
            for _ in self.rows:
                self._ready.acquire(timeout=max(deadline - time.monotonic(), 0))
            wrongs = self._shake(rig)
            findings = [one.result() for one in found]
        for finding in findings:
            finding.wrongs.extend(wrongs)
        return findings

    def _shake(self, rig: Rig) -> list[str]:
        """Strike, wait until Airflow is well again, and return what went wrong with that."""
        try:
            for play in self._plays:
                play.note_that_it_runs()
            SHOCKS[self.name](rig, self._moment)
            rig.airflow.wait_until_healthy()
        except Exception as error:  # noqa: BLE001  # it is these rows' finding; the others go on
            return [f"{self.name}: {type(error).__name__}: {error}"]
        finally:
            self._over.set()
        return []

    def _moment(self) -> None:
        for play in self._plays:
            play.at_the_moment()
