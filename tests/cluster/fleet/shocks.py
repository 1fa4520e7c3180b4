"""What happens to machines: one thing after the other, while a load is worked off."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Thread

from fleet.load import Load
from fleet.parts import TRIGGERERS, WORKERS

#: Seconds for which something is away, and for which a triggerer is frozen.
AWAY, FROZEN = 20.0, 40.0
#: Seconds between two shocks; and before the first, once the batch runs.
PAUSE, WARM_UP = 6.0, 20.0
#: Seconds that the batch may take to begin.
PATIENCE = 240.0


@dataclass
class Shocks:
    """All shocks of a load, struck by a thread of their own."""

    load: Load
    #: Of each shock: its name, and how many task instances were under way.
    struck: list[tuple[str, int]] = field(default_factory=list)
    error: BaseException | None = None
    _thread: Thread | None = None

    def begin(self) -> None:
        """Strike one after the other from now on."""
        self._thread = Thread(target=self._all)
        self._thread.start()

    def end(self) -> None:
        """Wait for the last one.

        :raises BaseException: what went wrong in the thread.
        """
        if self._thread is not None:
            self._thread.join()
        if self.error is not None:
            raise self.error

    def _all(self) -> None:
        try:
            self._wait_for_the_batch()
            for name, strike in self._in_order().items():
                time.sleep(PAUSE)
                self.struck.append((name, self.load.unfinished()))
                strike()
        except BaseException as error:  # noqa: BLE001  # it is raised by `end`
            self.error = error

    def _in_order(self) -> dict[str, Callable[[], None]]:
        cluster, (left, right) = self.load.cluster, TRIGGERERS
        return {
            "worker with the batch killed": lambda: cluster.kill(self._worker_of_the_batch()),
            "triggerer killed": lambda: cluster.kill(left),
            "triggerer frozen": lambda: self._freeze(right),
            "Redis restarted": cluster.restart_redis,
            "PostgreSQL restarted": cluster.restart_postgres,
            "API server away": lambda: self._away("api-server"),
            "Aluo away": lambda: self.load.aluo.shut(AWAY),
        }

    def _wait_for_the_batch(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self._worker_of_the_batch():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the batch did not begin within {PATIENCE:.0f} s")
            time.sleep(1)
        time.sleep(WARM_UP)

    def _worker_of_the_batch(self) -> str:
        found = self.load.cluster.ask(
            "select hostname from task_instance where run_id = %s and state = 'running'",
            self.load.runs["load_batch"],
        )
        return found[0][0] if found and found[0][0] in WORKERS else ""

    def _freeze(self, triggerer: str) -> None:
        self.load.cluster.signal(triggerer, signal.SIGSTOP)
        time.sleep(FROZEN)
        self.load.cluster.signal(triggerer, signal.SIGCONT)

    def _away(self, part: str) -> None:
        with self.load.cluster.without(part):
            time.sleep(AWAY)
