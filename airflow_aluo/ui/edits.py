"""Many tasks tell of one edit: what they tell is put together here, by run and by Aluo's id.

================================================================  ==========
what is known                                                     state
================================================================  ==========
status UNKNOWN, or the error says that nobody knows the outcome   unknown
an error, or status FAILED                                        failed
addresses or files of pictures                                    succeeded
no end, and the task that submitted it has failed                 failed
no end, and whoever waited for it has given up                    failed
no end, and the run is over                                       unknown
no end                                                            running
================================================================  ==========
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from airflow_aluo.ui.places import Place, State, place
from airflow_aluo.ui.told import Instance, Told, moment, told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from airflow_aluo.ui.told import ReadParts

T = TypeVar("T")

#: What Airflow calls our operators: those that submit edits, one of them many; the one that waits, the one
#: that asks people, and those that go on with edits.
BATCH: Final = "PhotoEditBatchOperator"
SUBMITTING: Final = ("PhotoEditOperator", "_PhotoEditDecoratedOperator", BATCH)
WAITING: Final = "PhotoEditStatusSensor"
REVIEWING: Final = "PhotoReviewOperator"
OPERATORS: Final = (*SUBMITTING, WAITING, "PhotoDownloadOperator", REVIEWING)

#: Airflow's states of a task instance, and of a run, that go on.
ACTIVE: Final = frozenset(
    {
        "scheduled",
        "queued",
        "running",
        "restarting",
        "deferred",
        "awaiting_input",
        "up_for_retry",
        "up_for_reschedule",
    }
)
#: … of a task instance that ended without what it was to do.
GAVE_UP: Final = frozenset({"failed", "upstream_failed", "skipped", "removed"})
#: … of a task instance that has not begun.
NOT_BEGUN: Final = frozenset({"scheduled", "queued"})


@dataclass(slots=True)
class Edit:
    """An edit, as far as a run's tasks tell of it."""

    #: The task instance that submitted it, as far as that can be told, and its position there.
    instance: Instance
    position: int
    #: All that was told of it, the newest last; empty where its task has told nothing yet.
    places: Sequence[Place]
    state: State
    aluo_task_id: str | None = None

    @property
    def newest(self) -> Place | None:
        """What is known last."""
        return self.places[-1] if self.places else None

    @property
    def asked(self) -> Place | None:
        """Where the request is known."""
        return next((one for one in reversed(self.places) if one.asked), None)

    @property
    def prompt(self) -> str | None:
        """What was asked for."""
        return None if (asked := self.asked) is None else asked.prompt

    @property
    def submitted_at(self) -> datetime | None:
        """When the request was sent."""
        return _first(moment(one.submitted_at) for one in reversed(self.places))

    @property
    def completed_at(self) -> datetime | None:
        """When it was seen finished."""
        return _first(moment(one.completed_at) for one in reversed(self.places))

    @property
    def seconds(self) -> float | None:
        """How long it took, once it has ended."""
        begin, end = self.submitted_at, self.completed_at
        return None if begin is None or end is None else max((end - begin).total_seconds(), 0.0)

    @property
    def credits(self) -> tuple[float | None, bool]:
        """What it costs, ``None`` where that is not known, and whether that is an estimate."""
        if (taken := _first(one.deducted for one in reversed(self.places))) is not None:
            return taken, False
        estimated = self.places[-1].estimated if self.places else None
        return estimated, estimated is not None

    @property
    def pictures(self) -> int:
        """How many pictures it has."""
        return self.places[-1].pictures if self.places else 0

    @property
    def is_batch(self) -> bool:
        """It stands for a whole batch, which tells of its edits when it ends."""
        return not self.places and self.instance.operator == BATCH

    @property
    def origin(self) -> tuple[int, float]:
        """Orders edits of several runs that are one: that of the run which submitted it comes first."""
        return _rank(self.instance), _began(self.instance)

    def of(self, task_id: str | None, map_index: int | None) -> bool:
        """Tell whether a task has told of it, ``None`` for any."""
        tellers = [self.instance, *(one.instance for one in self.places)]
        return any(
            (task_id is None or one.task_id == task_id) and (map_index is None or one.map_index == map_index)
            for one in tellers
        )


@dataclass(frozen=True, slots=True)
class Edits:
    """The edits of some runs."""

    #: Newest run first, then by task, map index and position.
    edits: list[Edit]
    instances: Sequence[Instance]
    #: Edits whose records could not be read, or have not been read yet.
    unreadable: int = 0
    #: Older runs are left out.
    truncated: bool = False
    #: How many task instances of the only run are here, where it has more; else ``None``.
    cut: int | None = None


def of(
    instances: Sequence[Instance], read: ReadParts, *, truncated: bool = False, cut: int | None = None
) -> Edits:
    """Return the edits that these task instances tell of.

    :param instances: newest run first; those of a run follow each other.
    :param read: reads results that lie in files.
    """
    by_run: dict[tuple[str, str], list[tuple[Instance, Sequence[Place]]]] = defaultdict(list)
    lost = 0
    for instance in instances:
        found = told(instance, read)
        lost += found.unreadable
        by_run[instance.run].append((instance, _places(instance, found)))
    edits = [edit for run in by_run.values() for edit in _of_run(run)]
    return Edits(edits, instances, lost, truncated, cut)


def _places(instance: Instance, found: Told) -> Sequence[Place]:
    # A single record is read again in no time; of a list all would have to be.
    keep = len(found.records) > 1
    all_ = (place(instance, position, record, keep=keep) for position, record in found.records)
    return tuple(one for one in all_ if one is not None)


def _of_run(run: Sequence[tuple[Instance, Sequence[Place]]]) -> list[Edit]:
    edits = [*_of_records(run), *_without_records(run)]
    _settle(edits, run)
    edits.sort(key=lambda edit: (edit.instance.task_id, edit.instance.map_index, edit.position))
    return edits


def _of_records(run: Iterable[tuple[Instance, Sequence[Place]]]) -> Iterator[Edit]:
    by_id: dict[str, list[Place]] = {}
    for _, places in run:
        for one in places:
            if one.aluo_task_id is not None:
                by_id.setdefault(one.aluo_task_id, []).append(one)
            else:
                yield Edit(one.instance, one.position, (one,), one.state or "running")
    for aluo_task_id, told_of_it in by_id.items():
        owner = min(told_of_it, key=_origin)
        told_of_it.sort(key=_progress)
        state = told_of_it[-1].state or "running"
        yield Edit(owner.instance, owner.position, tuple(told_of_it), state, aluo_task_id)


def _without_records(run: Iterable[tuple[Instance, Sequence[Place]]]) -> Iterator[Edit]:
    """Give the edits of tasks that submit, and have told nothing."""
    for instance, places in run:
        if places or instance.operator not in SUBMITTING:
            continue
        if instance.state in ACTIVE:
            yield Edit(instance, 0, [], "running")
        elif instance.state == "failed":
            yield Edit(instance, 0, [], "failed")


def _origin(place: Place) -> tuple[int, float]:
    """Order those who tell of an edit: who submitted it comes first."""
    return _rank(place.instance), _began(place.instance)


def _rank(instance: Instance) -> int:
    operator = instance.operator
    return 0 if operator in SUBMITTING else 2 if operator in OPERATORS else 1


def _progress(place: Place) -> tuple[bool, bool, float]:
    """Order records of an edit: the newest last."""
    return place.landed, place.state is not None, _began(place.instance)


def _first(values: Iterable[T | None]) -> T | None:
    return next((one for one in values if one is not None), None)


def _began(instance: Instance) -> float:
    return float("inf") if instance.started_at is None else instance.started_at.timestamp()


def _settle(edits: Iterable[Edit], run: Sequence[tuple[Instance, Sequence[Place]]]) -> None:
    """Decide about edits that have not ended, by whether anybody still waits for them."""
    unended: dict[int, list[Edit]] = defaultdict(list)
    for edit in edits:
        if edit.state == "running" and edit.places:
            if edit.instance.state in GAVE_UP:
                edit.state = "failed"
            elif edit.instance.state not in ACTIVE:
                unended[edit.instance.map_index].append(edit)
    gave_up = Counter(
        instance.map_index
        for instance, places in run
        if instance.operator == WAITING and instance.state in GAVE_UP and not places
    )
    for map_index, waited in unended.items():
        # Which sensor waits for which edit is not told; where all have given up, it does not matter.
        if gave_up[map_index] >= len(waited):
            _all_are(waited, "failed")
        elif waited[0].instance.run_state not in ACTIVE:
            _all_are(waited, "unknown")


def _all_are(edits: Iterable[Edit], state: State) -> None:
    for edit in edits:
        edit.state = state


def counted(edits: Iterable[Edit]) -> dict[Any, int]:
    """Return how many edits have each state."""
    counts: dict[Any, int] = {"succeeded": 0, "running": 0, "failed": 0, "unknown": 0}
    for edit in edits:
        counts[edit.state] += 1
    return counts
