"""How one picture lands: streamed, checked, and only then given its name."""

from __future__ import annotations

import hashlib
import random
import re
import time
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Self

from airflow_aluo.pictures import RESULT_FORMATS, inspect
from airflow_aluo.protocol import calls, flows
from airflow_aluo.protocol.errors import AluoPictureError
from airflow_aluo.protocol.record import LandedFile
from airflow_aluo.protocol.rendered import without_query
from airflow_aluo.protocol.schedule import RetryRule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from airflow_aluo.protocol.account import Account
    from airflow_aluo.protocol.flows import Watcher
    from airflow_aluo.protocol.record import EditRecord
    from airflow_aluo.storage import Folder

#: A picture's address can be asked as often as one likes.
FETCH_RULE: Final = RetryRule(budget=60.0)

_EXTENSIONS: Final = {"png": "png", "jpeg": "jpg", "webp": "webp"}


def land_all(
    finished: EditRecord, folder: Folder, account: Account, *, max_bytes: int, tell: Watcher
) -> list[LandedFile]:
    """Fetch all pictures of a finished edit. Raises what :func:`land` raises.

    :param tell: is told what has landed.
    :param account: its proxy, certificates and time limits hold; its key is not sent.
    """
    from airflow_aluo.transport.with_requests import RequestsDriver

    files = []
    with RequestsDriver(account) as driver:
        for index, url in enumerate(finished["result_urls"]):
            name = f"{_stem(finished, url)}-{index}"
            file = land(url, folder, stem=name, max_bytes=max_bytes, run=driver.run)
            tell("landed %s as %s", without_query(url), file["path"])
            files.append(file)
    return files


def land(
    url: str, folder: Folder, *, stem: str, max_bytes: int, run: Callable[[flows.Flow[None]], None]
) -> LandedFile:
    """Fetch a picture into a folder and return what has landed.

    :param stem: the file's name without its extension, which follows from the bytes.
    :param run: drives a conversation.
    :raises AluoPictureError: there is no whole picture, or it is too large; the folder is as it was.
    :raises AluoConnectionError: no reply, after some tries.
    :raises AluoServerError: the picture's host was in trouble, after some tries.
    """
    with folder.scratch() as scratch:
        with _Intake(scratch, url, max_bytes) as intake:
            senses = flows.Senses(now=time.time, dice=random.random)
            run(flows.send(calls.picture(url, intake.start), FETCH_RULE, senses))
        try:
            picture = inspect(scratch, RESULT_FORMATS)
        except ValueError as error:
            address = without_query(url)
            raise AluoPictureError(f"what came from {address} is {error}", url=address) from error
        path = folder.keep(scratch, f"{stem}.{_EXTENSIONS[picture.format]}")
    return LandedFile(
        path=path,
        sha256=intake.sha256.hexdigest(),
        bytes=intake.count,
        width=picture.width,
        height=picture.height,
        format=picture.format,
    )


class _Intake:
    """Takes a picture's bytes into a file; every try starts at its beginning."""

    def __init__(self, path: Path, url: str, max_bytes: int) -> None:
        self._path, self._address, self._max_bytes = path, without_query(url), max_bytes
        self.sha256, self.count = hashlib.sha256(), 0

    def __enter__(self) -> Self:
        self._file = self._path.open("wb")
        return self

    def __exit__(self, *exc: object) -> None:
        with self._writing():
            self._file.close()

    def start(self, headers: Mapping[str, str]) -> Callable[[bytes], Any]:
        """Begin a try. ``headers``: of the reply, in lower case."""
        with self._writing():
            self._file.seek(0)
            self._file.truncate()
        self.sha256, self.count = hashlib.sha256(), 0
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._max_bytes:
            raise self._too_large(int(length))
        return self._take

    def _take(self, chunk: bytes) -> None:
        self.count += len(chunk)
        if self.count > self._max_bytes:
            raise self._too_large(self.count)
        self.sha256.update(chunk)
        with self._writing():
            self._file.write(chunk)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Tell a full disk from a lost connection, which to a driver is an OSError, too."""
        try:
            yield
        except OSError as error:
            message = f"picture {self._address} cannot be written: {error}"
            raise AluoPictureError(message, url=self._address) from error

    def _too_large(self, seen: int) -> AluoPictureError:
        message = (
            f"picture {self._address} has {seen} bytes or more, expected at most {self._max_bytes}; "
            "raise max_bytes if that is right"
        )
        return AluoPictureError(message, url=self._address)


def _stem(finished: EditRecord, url: str) -> str:
    """Return what a picture's file is named after: the edit, or its address.

    Many addresses end alike (``…/image.png``), so a few digits of the whole, without its query, come along.
    """
    name = finished["aluo_task_id"]
    if name is None:
        address = without_query(url).removesuffix("?…")
        ending = PurePosixPath(address).name
        known = re.sub(r"\.(png|jpe?g|webp)$", "", ending, flags=re.IGNORECASE)[:80]
        name = f"{known}-{hashlib.sha256(address.encode()).hexdigest()[:8]}"
    return re.sub(r"[^\w.-]", "_", name, flags=re.ASCII).strip(".")[:100] or "picture"
