"""Approvals that wait for a person, or have had their answer, and the edits that they are about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.protocol.review import (
    APPROVE,
    BRANCHES,
    REDO,
    REDO_OTHERS,
    REJECT,
    REJECT_ALL,
    decisions,
)
from airflow_aluo.ui.told import named, object_of, text, texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_aluo.protocol.decision import Decision
    from airflow_aluo.ui.edits import Edit
    from airflow_aluo.ui.told import Instance

#: What an option is that names no edit, of a single edit's approval and of a set's.
_SINGLE: Final[Mapping[str, str]] = {APPROVE: "approve", REDO: "redo", REJECT: "reject"}
_OF_A_SET: Final[Mapping[str, str]] = {REDO_OTHERS: "redo_others", REJECT_ALL: "reject_all"}
#: … and one that names an edit of a set.
_EDIT: Final = "edit"

#: Most approvals that wait, and that no card of the page is about, that are told.
MOST_WAITING: Final = 50
#: States in which an approval waits for its answer; before Airflow 3.3 it is deferred.
_WAITING: Final = ("awaiting_input", "deferred")


@dataclass(frozen=True, slots=True)
class Review:
    """An approval."""

    instance: Instance
    #: Aluo's ids of the edits under review, in the order of its options; ``None`` for one without.
    ids: tuple[str | None, ...]
    options: tuple[str, ...]
    chosen: tuple[str, ...]

    @property
    def multiple(self) -> bool:
        """Several options may be chosen: it is about a set of edits."""
        return bool(self.instance.multiple)

    @property
    def answered(self) -> bool:
        """A person has answered, or the time for it has passed."""
        return self.instance.answered_at is not None

    @property
    def waiting(self) -> bool:
        """A person is to answer: what they say is heard."""
        return not self.answered and self.instance.state in _WAITING

    def option(self, place: int) -> str | None:
        """Return the option that approves an edit of a set."""
        if not self.multiple or place >= len(self.options) or self.kinds[place] != _EDIT:
            return None
        return self.options[place]

    @property
    def kinds(self) -> list[str]:
        """What each option is: ``edit`` for one of a set, else ``approve``, ``redo_others`` and so on."""
        known = _OF_A_SET if self.multiple else _SINGLE
        return [known.get(one, _EDIT) for one in self.options]

    def decision(self, place: int) -> Decision | None:
        """Return what the answer means for an edit; ``None`` where the edits are no longer what was asked."""
        edits: list[Any] = named(self.instance.reviewed)
        try:
            return decisions(edits, self.chosen)[place]
        except Exception:  # noqa: BLE001  # of what people have changed, any part may be anything
            return None

    def to_json(self) -> dict[str, Any]:
        """Return what the page shows of it."""
        instance = self.instance
        params = instance.params if isinstance(instance.params, dict) else {}
        answer = {"chosen_options": list(self.chosen), "by": _name(instance.answered_by)}
        return {
            "dag_id": instance.dag_id,
            "run_id": instance.run_id,
            "task_id": instance.task_id,
            "map_index": instance.map_index,
            "attempt": instance.attempt,
            "subject": instance.subject or "",
            "options": list(self.options),
            "kinds": self.kinds,
            "multiple": self.multiple,
            "params": params,
            "answered": answer if self.answered else None,
            "edits": len(self.ids),
        }


class Reviews:
    """The approvals of some runs, to be asked by edit. ``instances``: all that may hold one."""

    def __init__(self, instances: Iterable[Instance]) -> None:
        asked = [_review(one) for one in instances if one.subject is not None]
        #: Without those that ended before anybody had answered.
        self.all = [one for one in asked if one.waiting or one.answered]
        self._by_edit: dict[tuple[str, str, str], list[tuple[Review, int]]] = {}
        for review in self.all:
            for place, aluo_task_id in enumerate(review.ids):
                if aluo_task_id is not None:
                    key = (*review.instance.run, aluo_task_id)
                    self._by_edit.setdefault(key, []).append((review, place))

    def of(self, edit: Edit) -> list[tuple[Review, int]]:
        """Return the approvals of an edit, with its place in each."""
        if edit.aluo_task_id is None:
            return []
        return self._by_edit.get((*edit.instance.run, edit.aluo_task_id), [])

    def decided(self, edit: Edit) -> dict[str, Any] | None:
        """Return what was decided about an edit last: as its record says, else as the answer does."""
        for place in reversed(edit.places):
            told = object_of(place.record, "review")
            if (decision := text(told.get("decision"))) in BRANCHES.values():
                more = {name: text(told.get(name)) for name in ("by", "at", "prompt")}
                return {"decision": decision, **more}
        for review, place_there in reversed(self.of(edit)):
            at = review.instance.answered_at
            if at is not None and (decision := review.decision(place_there)) is not None:
                by = _name(review.instance.answered_by)
                return {"decision": decision, "by": by, "at": at.isoformat(), "prompt": None}
        return None


def _review(instance: Instance) -> Review:
    ids = tuple(None if one is None else text(one.get("aluo_task_id")) for one in named(instance.reviewed))
    return Review(instance, ids, tuple(texts(instance.options)), tuple(texts(instance.chosen)))


def _name(person: Any) -> str | None:
    if not isinstance(person, dict):
        return None
    return text(person.get("name")) or text(person.get("id"))
