"""A picture's own bytes, from the first place that has them as they should be."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast
from weakref import WeakKeyDictionary

from airflow_aluo.pictures import MOST_BYTES, PHOTO_FORMATS, RESULT_FORMATS, inspect
from airflow_aluo.protocol.errors import AluoError
from airflow_aluo.protocol.rendered import named
from airflow_aluo.ui.cards import name_of, photos
from airflow_aluo.ui.fetching import fetch
from airflow_aluo.ui.sources import marks, opened
from airflow_aluo.ui.told import files, text, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import BinaryIO, Self

    from airflow_aluo.pictures import Picture
    from airflow_aluo.ui.told import Record

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Bytes that are read at a time.
_BLOCK: Final = 1 << 18
#: Bytes of a picture that stay in memory.
_HELD: Final = 4 << 20
#: What is said of a file, and of an address, that has no picture, whatever the reason.
_NO_FILE: Final = "its file is no picture that can be shown here"
_NO_ADDRESS: Final = "its address does not lead to a picture, or not any more"

#: Pictures that are decoded at once in a process: each may take hundreds of megabytes.
_DECODERS: Final = ThreadPoolExecutor(2, thread_name_prefix="aluo-pictures")
#: Pictures that are fetched or read at once: each takes a file's space, and of a host's patience.
_AT_ONCE: Final = 8

_FREE: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


class NoPicture(Exception):  # noqa: N818  # it says what there is
    """A picture cannot be had; the message says why, and names no address."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a picture may lie."""

    address: str
    #: A file, which must have this digest where it is given; else an address on the web.
    is_file: bool
    sha256: str | None = None
    #: Of what has no digest: is another where its content may be another.
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A picture of an edit."""

    name: str
    #: Where it may lie; the best place first.
    sources: tuple[Source, ...]
    #: The connection of its edit.
    aluo_conn_id: str | None
    #: Pillow's names of the formats that will do.
    formats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Original:
    """A picture's bytes. Close it when they are read."""

    file: BinaryIO
    size: int
    picture: Picture
    #: The place that had it.
    source: Source

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes, piece by piece."""
        self.file.seek(0)
        while chunk := self.file.read(_BLOCK):
            yield chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()


def wanted(record: Record, kind: str, number: int) -> Wanted | None:
    """Return a picture of a record, ``None`` where it has none of this number.

    :param kind: ``before`` or ``after``.
    """
    conn_id = text(record.get("aluo_conn_id"))
    if number < 0:
        return None
    if kind == "before":
        found = photos(record)[number : number + 1]
        if not found:
            return None
        is_file = not found[0].lower().startswith(("http://", "https://"))
        return Wanted(name_of(found[0]), (Source(found[0], is_file),), conn_id, PHOTO_FORMATS)
    landed = [Source(one["path"], True, one["sha256"]) for one in files(record)[number : number + 1]]
    urls = [Source(one, False) for one in texts(record["result_urls"])[number : number + 1]]
    sources = (*landed, *urls)
    return Wanted(name_of(sources[0].address), sources, conn_id, RESULT_FORMATS) if sources else None


def versioned(picture: Wanted, run_id: str) -> Wanted:
    """Return a picture whose sources without a digest are told apart by run, and files by when they changed.

    A photo may be overwritten each day, under the same name.
    """

    def version(source: Source) -> Source:
        if source.sha256 is not None:
            return source
        changed = marks(source.address) if source.is_file else None
        return replace(source, version=json.dumps([run_id, changed]))

    return replace(picture, sources=tuple(map(version, picture.sources)))


async def original(picture: Wanted) -> Original:
    """Return a picture's bytes.

    :raises NoPicture: none of its sources has it.
    """
    file, source, known = await first(picture, lambda file: inspect(file, picture.formats, decode=False))
    return Original(file, file.seek(0, 2), known, source)


async def first(picture: Wanted, use: Callable[[BinaryIO], T]) -> tuple[BinaryIO, Source, T]:
    """Return the bytes of the first source that has the picture, to be closed, and what was made of them.

    :param use: is called with the bytes where pictures are decoded, a few at a time; raises a ``ValueError``
        where they are no picture.
    :raises NoPicture: none of its sources has it.
    """
    reasons = []
    loop = asyncio.get_running_loop()
    free = _FREE.setdefault(loop, asyncio.Semaphore(_AT_ONCE))
    for source in picture.sources:
        try:
            async with free:
                file = await _of(source, picture)
            try:
                return file, source, await loop.run_in_executor(_DECODERS, use, file)
            except BaseException:
                file.close()
                raise
        except (NoPicture, ValueError) as reason:
            log.info("no picture at %s: %s", named(source.address), reason)
            # Why is for the log alone: whoever writes XComs could learn which files there are.
            reasons.append(_NO_FILE if source.is_file else _NO_ADDRESS)
    raise NoPicture("; ".join(reasons))


async def _of(source: Source, picture: Wanted) -> BinaryIO:
    if source.is_file:
        return await asyncio.to_thread(_read, source)
    with tempfile.TemporaryDirectory(prefix="aluo-") as folder:
        try:
            return await fetch(source.address, picture.aluo_conn_id, Path(folder, "picture"))
        except (AluoError, OSError) as error:
            raise NoPicture(str(error)) from None


def _read(source: Source) -> BinaryIO:
    """Copy a file, so that it stays what it was when its digest was computed."""
    copy = cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=_HELD))  # noqa: SIM115  # its reader's
    try:
        wrong = _copied(source, copy)
    except Exception as error:  # noqa: BLE001  # each store has errors of its own
        wrong = f"its file cannot be read here ({type(error).__name__})"
    if wrong is not None:
        copy.close()
        raise NoPicture(wrong)
    return copy


def _copied(source: Source, copy: BinaryIO) -> str | None:
    """Copy a file; return what is wrong with it, ``None`` for nothing."""
    digest, size = hashlib.sha256(), 0
    with opened(source.address) as file:
        while chunk := file.read(_BLOCK):
            size += len(chunk)
            if size > MOST_BYTES:
                return f"its file has more than {MOST_BYTES >> 20} MB"
            digest.update(chunk)
            copy.write(chunk)
    return None if source.sha256 in {None, digest.hexdigest()} else "its file is not the one that was landed"
