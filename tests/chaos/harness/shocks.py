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
READY = 90.0


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
    """Ask both to end, and start them again."""
    rig.airflow.restart("api-server")
    rig.airflow.restart("scheduler")


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
        self._plays: list[Play] = []

    def ready(self, play: Play) -> None:
        """Say that a row's play is ready."""
        self._plays.append(play)
        self._ready.release()

    def strike(self, rig: Rig) -> list[Finding]:
        """Play the rows, and strike once all are ready."""
        with ThreadPoolExecutor(len(self.rows)) as pool:
            found = [pool.submit(stage.play, row, rig, self) for row in self.rows]
            deadline = time.monotonic() + READY
            for _ in self.rows:
                self._ready.acquire(timeout=max(deadline - time.monotonic(), 0))
            for play in self._plays:
                play.note_that_it_runs()
            SHOCKS[self.name](rig, self._moment)
            return [one.result() for one in found]

    def _moment(self) -> None:
        for play in self._plays:
            play.at_the_moment()
