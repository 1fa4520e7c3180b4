"""One edit of a batch: the outside of its steps (``paid_once.py``) in the batch's event loop."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from airflow_aluo.batch.remembered import to_json
from airflow_aluo.durable import Look, Seen
from airflow_aluo.protocol import flows, record, waiting
from airflow_aluo.protocol.errors import AluoEditFailed, AluoError, AluoRequestRejected
from airflow_aluo.protocol.flows import Pause, unknown_outcome
from airflow_aluo.protocol.schedule import RetryRule
from airflow_aluo.protocol.waiting import Progress, missing
from airflow_aluo.storage import load_photos
from airflow_aluo.task_store import TaskStoreError

if TYPE_CHECKING:
    from airflow_aluo.batch.conversing import Conversing
    from airflow_aluo.protocol.photo_edit import PhotoEdit
    from airflow_aluo.protocol.record import EditRecord
    from airflow_aluo.protocol.remembered import Entry

#: A submit of many survives ten minutes of refusals, or of no connection: the whole batch rests meanwhile.
SUBMIT_RULE: Final = RetryRule(budget=600.0)


class OneEdit:
    """The :class:`~airflow_aluo.driving.AsyncWorld` of one edit.

    :param place: of the edit in the batch.
    :param turn_taken: its submit may be sent at once; else it waits for a turn first.
    """

    def __init__(self, talk: Conversing, place: int, edit: PhotoEdit, *, turn_taken: bool) -> None:
        self._talk, self._place, self._edit = talk, place, edit
        self._turn_taken = turn_taken

    def now(self) -> float:
        """Epoch seconds."""
        return time.time()

    def tell(self, message: str) -> None:
        """Log, for who looks closely: there are thousands of these."""
        self._talk.log.debug("edit %d: %s", self._place, message)

    async def keep(self, entry: Entry) -> None:
        """Remember an intent, once it is the edit's turn."""
        if not self._turn_taken:
            await self._talk.turn_to_submit(self._place)
            self._turn_taken = True
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
        photos = (
            await asyncio.to_thread(load_photos, self._edit.image_files) if self._edit.image_files else ()
        )
        talk = self._talk
        order = flows.order(
            self._edit,
            photos,
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
        now, talk = time.time(), self._talk
        rule = record.wait_rule(pending, deadline=now + 3600, poll_interval=0.0, started_at=now)
        one_look = waiting.stay(
            record.task_id(pending), rule, Progress(), talk.senses, talk.log.debug, shorter_than=0.05
        )
        try:
            found = await talk.driver.run(one_look)
        except AluoEditFailed:
            return Look(Seen.FAILED, pending)
        except AluoRequestRejected as error:
            if not missing(error):
                raise
            return Look(Seen.MISSING, pending, error)
        if isinstance(found, Pause):
            talk.refused(found)
            return Look(Seen.RUNNING, pending)
        return Look(Seen.SUCCEEDED, record.completed(pending, found, at=time.time()))
