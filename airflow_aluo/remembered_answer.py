"""A person's answer, kept for the next try: nobody is asked twice because something failed afterwards."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.protocol.review import Answer
from airflow_aluo.task_store import TaskStore, TaskStoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_aluo.protocol.record import EditRecord

#: The key under which the task state store keeps an answer.
KEY: Final = "aluo_review"


class RememberedAnswer:
    """The answer to a review of these very edits, until a person clears the task.

    ``max_tries`` tells a clear from a retry, see ``durable.py``.

    :param context: the task's.
    :param edits: what the person has seen.
    :param log: the task's.
    """

    def __init__(self, context: Context, edits: Sequence[EditRecord], log: Any) -> None:
        self._store, self._log = TaskStore(context), log
        seen = hashlib.sha256(json.dumps(edits, sort_keys=True).encode()).hexdigest()
        self._whose = {"max_tries": context["ti"].max_tries, "edits": seen}

    def recall(self) -> Answer | None:
        """Return the answer; ``None`` where there is none, or where it cannot be known: then ask again.

        One that does not hold is forgotten. Whoever deletes the task instance starts it with the first try's
        ``max_tries`` again, by which an answer that a clear took back would hold once more.
        """
        if not self._store.lasts:
            self._log.info("this Airflow has no task state store (3.3 has): a retry asks again")
        try:
            found = self._store.get(KEY)
        except TaskStoreError as error:
            self._log.warning("whether somebody has answered already is not known: %s", error)
            return None
        with suppress(KeyError, TypeError):
            if {name: found[name] for name in self._whose} == self._whose:
                return Answer(**found["answer"] | {"chosen": tuple(found["answer"]["chosen"])})
        if found is not None:
            self._forget()
        return None

    def _forget(self) -> None:
        try:
            self._store.delete(KEY)
        except TaskStoreError as error:
            self._log.warning("an earlier answer cannot be forgotten: %s", error)

    def put(self, answer: Answer) -> None:
        """Remember, as well as can be."""
        try:
            self._store.put(KEY, self._whose | {"answer": asdict(answer) | {"chosen": list(answer.chosen)}})
        except TaskStoreError as error:
            self._log.warning("the answer cannot be remembered, so a retry asks again: %s", error)
