"""All that a running sandbox knows, and the moves that change it."""

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from airflow_aluo.sandbox import sources
from airflow_aluo.sandbox.accounts import Account, Accounts
from airflow_aluo.sandbox.asked import Asked, Upload
from airflow_aluo.sandbox.book import Book, Edit, Input
from airflow_aluo.sandbox.faults import Faults
from airflow_aluo.sandbox.gate import Closed, Gate
from airflow_aluo.sandbox.pictures import NotAPicture, check, edit_photos
from airflow_aluo.sandbox.settings import Settings
from airflow_aluo.sandbox.shelf import PHOTOS, Shelf

log = logging.getLogger(__name__)

#: Edits that are drawn at the same time.
DRAWERS: Final = 2
#: Ids look like the vendor's example, edit_123456789.
ID_DIGITS: Final = (100_000_000, 999_999_999)


class State:
    """One pretend Aluo. ``folder`` takes pictures; ``clock`` gives epoch seconds."""

    def __init__(
        self,
        folder: Path,
        *,
        settings: Settings | None = None,
        accounts: Accounts | None = None,
        clock: Callable[[], float] = time.time,
        dice: random.Random | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.accounts = accounts or Accounts()
        self.clock = clock
        self.dice = dice or random.SystemRandom()
        self.book = Book()
        self.faults = Faults()
        self.gate = Gate()
        self.pictures = Shelf(folder, self._token)
        self.uploads = Shelf(folder, self._token)
        #: The edits under way, by id. They hold on to the work, which would vanish otherwise.
        self.work: dict[str, asyncio.Task[None]] = {}
        # Few, so that the event loop keeps its share of the processor.
        self._drawers = ThreadPoolExecutor(DRAWERS, thread_name_prefix="aluo-sandbox-draws")

    def _token(self) -> str:
        return f"{self.dice.getrandbits(64):016x}"

    def new_id(self) -> str:
        """Return an id that no edit has yet."""
        while True:
            number = self.dice.randint(*ID_DIGITS)
            name = str(number) if self.settings.task_id_type == "number" else f"edit_{number}"
            if name not in self.book.edits:
                return name

    def settle(self) -> None:
        """End the edits that are over by now."""
        for edit in self.book.settle(self.clock()):
            log.info(
                "%s %s%s, %d credits charged",
                edit.aluo_task_id,
                edit.status,
                f" ({edit.failure})" if edit.failure else "",
                edit.charged,
            )

    def keep(self, upload: Upload, base: str) -> Input:
        """Put an uploaded photo where the sandbox serves it.

        :raises NotAPicture: it cannot be opened.
        """
        suffix = f".{check(upload.data)}"
        name = self.uploads.put("upload", suffix, upload.data)
        return Input(
            address=f"{base}/uploads/{name}",
            name=upload.filename,
            file=self.uploads.find(name),
            sha256=hashlib.sha256(upload.data).hexdigest(),
        )

    def accept(
        self,
        account: Account,
        asked: Asked,
        inputs: list[Input],
        *,
        own_port: int,
        failure: str | None = None,
    ) -> Edit:
        """Accept an edit and begin to work on it. ``failure``: why it is going to fail."""
        now = self.clock()
        edit = Edit(
            aluo_task_id=self.new_id(),
            account=account,
            asked=asked,
            inputs=inputs,
            price=account.price,
            submitted_at=now,
            due_at=now + self.settings.edit_seconds(self.dice.random()),
            failure=failure,
        )
        self.book.accept(edit)
        log.info("%s accepted: %.80r", edit.aluo_task_id, asked.prompt)
        task = asyncio.create_task(self._carry_out(edit, own_port))
        self.work[edit.aluo_task_id] = task
        task.add_done_callback(lambda _: self.work.pop(edit.aluo_task_id))
        return edit

    async def finished(self, edit: Edit) -> None:
        """Wait until an edit has ended.

        :raises airflow_aluo.sandbox.gate.Closed: the sandbox ends first.
        """
        task = self.work.get(edit.aluo_task_id)
        if task is not None:
            await asyncio.wait([task])
        await self.gate.pause(0)

    async def _carry_out(self, edit: Edit, own_port: int) -> None:
        """Make the pictures off the event loop, then wait until the edit's time is over."""
        try:
            if edit.failure is None:
                loop = asyncio.get_running_loop()
                edit.pictures = await loop.run_in_executor(self._drawers, self._make_pictures, edit, own_port)
        except Closed:
            return
        except (NotAPicture, sources.NotFetched) as error:
            edit.failure = str(error)
        except Exception:
            # Whatever a picture does to the drawing code, the edit must come to an end.
            log.exception("%s could not be drawn", edit.aluo_task_id)
            edit.failure = "The sandbox could not edit this photo"
        edit.known_at = self.clock()
        with suppress(Closed):
            await self.gate.pause(edit.due_at - edit.known_at)
            self.settle()

    def _make_pictures(self, edit: Edit, own_port: int) -> tuple[str, ...]:
        if self.gate.closing:
            raise Closed
        photos = []
        for one in edit.inputs:
            if one.file is not None:
                data = one.file.read_bytes()
            else:
                data = sources.fetch(one.address, own_port, self.own_file)
            one.sha256 = hashlib.sha256(data).hexdigest()
            photos.append(data)
        asked = edit.asked
        made = edit_photos(
            tuple(photos), asked.prompt, asked.aspect_ratio, asked.output_format, asked.num_images
        )
        return tuple(
            self.pictures.put(f"{edit.aluo_task_id}-{number}", f".{asked.output_format}", data)
            for number, data in enumerate(made, start=1)
        )

    def own_file(self, path: str) -> Path | None:
        """Return the file that the sandbox serves under a path, if there is one."""
        folder, _, name = path.removeprefix("/").partition("/")
        if folder == "photos":
            return {photo.name: photo for photo in PHOTOS.glob("*.jpg")}.get(name)
        if folder == "pictures":
            return self.pictures.find(name)
        return self.uploads.find(name) if folder == "uploads" else None

    def picture_addresses(self, edit: Edit, base: str) -> list[dict[str, Any]]:
        """Return the ``images`` of a finished edit, under ``base`` (no slash at its end)."""
        lifetime = self.settings.url_lifetime
        expires = None if lifetime is None else self.clock() + lifetime
        return [
            {
                "url": f"{base}/pictures/{name}"
                + ("" if expires is None else self.pictures.signed(name, expires))
            }
            for name in edit.pictures
        ]

    async def close(self) -> None:
        """Stop everything that waits or works."""
        self.gate.close()
        await asyncio.gather(*self.work.values())
        self._drawers.shutdown()
