"""What is counted, and sent by Airflow's own stats: to StatsD, Datadog or OpenTelemetry.

``[metrics]`` of Airflow's settings says where to; ``docs/operations.md`` lists the metrics. Each fact is
told where exactly one process decides it: what a submit came to in the worker that sent it, how an edit
ended in the worker that goes on with it, a look where it was taken. Nothing here raises: what cannot be
sent is lost, and that is said once, for no paid task is to fail for a metric.

Tags are few-valued: Airflow's own ``dag_id`` and ``task_id`` (``team_name`` where Airflow has it), and the
connection's id. No id of a run or an edit, no prompt, no key.
"""

from __future__ import annotations

import functools
import logging
import re
import socket
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from airflow_aluo.airflow_names import airflow_stats, conf
from airflow_aluo.protocol.errors import AluoEditFailed, AluoUnknownOutcome
from airflow_aluo.protocol.tally import Tally
from airflow_aluo.protocol.vocabulary import STATUS_SUCCESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_aluo.protocol.record import EditRecord

_log: Final = logging.getLogger(__name__)

#: Characters that Airflow takes in a metric's name; a dot would open a level of its own.
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9_-]")
#: A metric's name is no longer: OpenTelemetry takes 255, with Airflow's prefix.
_LONGEST: Final = 200

#: Edits that are waited for in this process, by gauge.
_WAITS: Final[Counter[Gauge]] = Counter()
#: What was said, and of which kinds of errors.
_SAID: Final[set[tuple[str, str]]] = set()


@dataclass(frozen=True, slots=True)
class Gauge:
    """Shows how many edits are waited for. One for each process, or they overwrite each other."""

    name: str
    tags: tuple[tuple[str, str], ...]

    @property
    def long_name(self) -> str:
        """The name with the tags' values in it, as Airflow has it for who reads no tags."""
        values = (_FOREIGN.sub("_", value.replace(".", "__")) for _, value in self.tags)
        return ".".join((self.name, *values))[:_LONGEST]


class StatsTally(Tally):
    """Counts what becomes of edits.

    :param tags: of everything that is told here.
    :param gauge: shows how many edits are waited for here; ``None`` where a task waits for one.
    """

    def __init__(self, tags: Mapping[str, str], gauge: Gauge | None = None) -> None:
        self.tags, self.gauge = dict(tags), gauge

    @classmethod
    def of_task(cls, aluo_conn_id: str) -> Self:
        """Return those of the task that this process runs, if it runs one."""
        return cls(_of(_current_task) | {"conn_id": aluo_conn_id})

    @classmethod
    def of_batch(cls, aluo_conn_id: str) -> Self:
        """Return those of the batch that this process runs."""
        tags = _of(_current_task) | {"conn_id": aluo_conn_id}
        return cls(tags, Gauge("aluo.batch.in_flight", tuple(tags.items())))

    @classmethod
    def of_trigger(cls, trigger: Any, aluo_conn_id: str) -> Self:
        """Return those of a task that waits in the triggerer, by this trigger.

        Airflow sets the stats of that process up when it reads a trigger's arguments (3.3.2, ``sdk.serde``).
        """
        tags = _of(lambda: trigger.task_instance) | {"conn_id": aluo_conn_id}
        whose = (("hostname", _hostname()), ("conn_id", aluo_conn_id))
        return cls(tags, Gauge("aluo.in_flight", whose))

    # --- the facts ------------------------------------------------------------------------------------------

    def submitted(self) -> None:
        """Aluo has accepted an edit."""
        self._send("incr", "aluo.edits.submitted")

    def rejected(self, error: str) -> None:
        """Aluo has accepted nothing, and said why, or was never reached."""
        self._send("incr", "aluo.edits.rejected", error=error)

    def succeeded(self, finished: EditRecord, before: EditRecord | None = None) -> None:
        """Count an edit that has succeeded, and the credits that Aluo said it took.

        :param before: as it was known before: what was counted then is not counted again.
        """
        if finished["status"] != STATUS_SUCCESS or (before and before["status"] == STATUS_SUCCESS):
            return
        self._send("incr", "aluo.edits.succeeded")
        if deducted := finished["credits"]["deducted"]:
            self._send("incr", "aluo.credits.deducted", deducted)

    def failed(self) -> None:
        """Count an edit that ended FAILED."""
        self._send("incr", "aluo.edits.failed")

    def unknown(self) -> None:
        """Count a submit of which nobody knows what became."""
        self._send("incr", "aluo.edits.unknown")

    def looked(self) -> None:
        """Count a look."""
        self._send("incr", "aluo.looks")

    def refused(self) -> None:
        """Count a 429."""
        self._send("incr", "aluo.refused")

    def detected(self, seconds: float) -> None:
        """Tell how long an edit may have lain finished before it was seen to be."""
        self._send("timing", "aluo.detection_lag", timedelta(seconds=max(seconds, 0.0)))

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Show one more edit as waited for."""
        if self.gauge is None:
            yield
            return
        self._change(self.gauge, +1)
        try:
            yield
        finally:
            self._change(self.gauge, -1)

    @contextmanager
    def outcome(self) -> Iterator[None]:
        """Count how the block's edit ends, if it raises that."""
        try:
            yield
        except AluoEditFailed:
            self.failed()
            raise
        except AluoUnknownOutcome:
            self.unknown()
            raise

    # --- how ------------------------------------------------------------------------------------------------

    def _change(self, gauge: Gauge, by: int) -> None:
        _WAITS[gauge] += by
        _send("gauge", gauge.name, _WAITS[gauge], tags=dict(gauge.tags))
        if _long_names():
            _send("gauge", gauge.long_name, _WAITS[gauge], tags={})

    def _send(self, how: str, name: str, *value: Any, **more: str) -> None:
        _send(how, name, *value, tags=self.tags | more if more else self.tags)


def _send(how: str, name: str, *value: Any, tags: Mapping[str, str]) -> None:
    try:
        getattr(airflow_stats(), how)(name, *value, tags=tags)
    except Exception as error:  # noqa: BLE001  # whatever it is, no paid task is to fail for it
        _say(error)


def _say(error: Exception, what: str = "metrics cannot be sent") -> None:
    kind = type(error).__name__
    if (what, kind) not in _SAID:
        _SAID.add((what, kind))
        _log.warning("%s, which harms nothing else: %s: %s", what, kind, error)


def _long_names() -> bool:
    """Whether Airflow also sends metrics whose tags stand in the name; it always did before it asked."""
    try:
        return bool(conf.getboolean("metrics", "legacy_names_on", fallback=True))
    except Exception as error:  # noqa: BLE001  # a setting that cannot be read
        _say(error, "metrics come without names that hold their tags")
        return False


def _current_task() -> Any:
    from airflow.sdk import get_current_context

    try:
        return get_current_context()["ti"]
    except RuntimeError:  # no task: a person at a command line, or a connection's test
        return None


def _of(find: Callable[[], Any]) -> dict[str, str]:
    """Return the tags of the task that ``find`` gives, if any; Airflow's own where it tells them."""
    try:
        if (task_instance := find()) is None:
            return {}
        tags = {**getattr(task_instance, "stats_tags", {})}
        tags |= {"dag_id": task_instance.dag_id, "task_id": task_instance.task_id}
        return {name: str(value) for name, value in tags.items()}
    except Exception as error:  # noqa: BLE001  # see _send
        _say(error, "metrics lack the tags of their task")
        return {}


@functools.cache
def _hostname() -> str:
    """Return how Airflow calls this host: two triggerers on one may be told apart (``hostname_callable``)."""
    try:
        from airflow.utils.net import get_hostname

        return str(get_hostname())  # type: ignore[no-untyped-call]  # Airflow's
    except Exception as error:  # noqa: BLE001  # see _send
        _say(error, "metrics name this host as it names itself")
        return socket.gethostname()
