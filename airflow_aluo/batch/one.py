"""One edit of a batch: the outside of its steps (``paid_once.py``) in the batch's event loop."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from airflow_aluo.batch.photos import load
from airflow_aluo.batch.remembered import to_json
from airflow_aluo.durable import Seen, look
from airflow_aluo.protocol import flows
from airflow_aluo.protocol.errors import AluoError
from airflow_aluo.protocol.flows import unknown_outcome
from airflow_aluo.protocol.schedule import RetryRule
from airflow_aluo.task_store import TaskStoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_aluo.batch.conversing import Conversing
    from airflow_aluo.durable import Look
    from airflow_aluo.protocol.calls import Upload
    from airflow_aluo.protocol.photo_edit import PhotoEdit
    from airflow_aluo.protocol.record import EditRecord
    from airflow_aluo.protocol.remembered import Entry

#: A submit of many survives ten minutes of refusals, or of no connection: the whole batch rests meanwhile.
SUBMIT_RULE: Final = RetryRule(budget=600.0)


class OneEdit:
    """The :class:`~airflow_aluo.driving.AsyncWorld` of one edit.

    :param place: of the edit in the batch.
    :param photos: loaded, and a turn to submit was taken; ``None``: before a submit, both must be.
    """

    def __init__(
        self, talk: Conversing, place: int, edit: PhotoEdit, photos: Sequence[Upload] | None
    ) -> None:
        self._talk, self._place, self._edit = talk, place, edit
        self._photos = photos

    def now(self) -> float:
        """Epoch seconds."""
        return time.time()

    def tell(self, message: str) -> None:
        """Log, for who looks closely: there are thousands of these."""
        self._talk.log.debug("edit %d: %s", self._place, message)

    def unknown(self) -> None:
        """Count it."""
        self._talk.tally.unknown()

    async def keep(self, entry: Entry) -> None:
        """Remember an intent, once it is the edit's turn."""
        if self._photos is None:
            self._photos = await load(self._edit)
            await self._talk.turn_to_submit(self._place)
        try:
            await self._talk.memory.keep(self._place, to_json(entry))
        except TaskStoreError as error:
            self._talk.stop(error)
            raise

    async def save(self, entry: Entry) -> None:
        """Remember, patiently."""
        await self._talk.memory.save(self._place, to_json(entry))

    async def forget(self) -> None:
        """Remember nothing any more, patiently: who finds an intent later knows of no refusal."""
        await self._talk.memory.save(self._place, None)

    async def submit(self) -> EditRecord:
        """Send the request once.

        :raises AluoUnknownOutcome: it may have been accepted.
        :raises AluoError: it surely was not.
        """
        talk = self._talk
        order = flows.order(
            self._edit,
            self._photos or (),
            aluo_conn_id=talk.aluo_conn_id,
            estimated_credits=talk.account.credits_per_edit,
            rule=SUBMIT_RULE,
            senses=talk.senses,
        )
        try:
            accepted = await talk.driver.run(talk.while_going(order), turn_taken=True)
        except AluoError as error:
            talk.judge(error)
            raise
        except Exception as error:
            unknown = unknown_outcome(f"{type(error).__name__} struck during the submit")
            talk.judge(unknown)
            raise unknown from error
        talk.judge(None)
        return accepted

    async def look(self, pending: EditRecord) -> Look:
        """Look once at a remembered edit.

        :raises AluoApiError: Aluo refused to answer.
        """
        talk = self._talk
        found = await talk.driver.run(look(pending, talk.senses, talk.log.debug))
        if found.pause is not None:
            talk.refused(found.pause)
        if found.seen is Seen.FAILED:
            talk.tally.failed()
        return found
