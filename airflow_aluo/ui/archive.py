"""Many pictures in one file, sent while it is made: however many there are, it takes little memory."""

from __future__ import annotations

import io
import time
import zipfile
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.protocol.rendered import stem
from airflow_aluo.ui.cards import file_name
from airflow_aluo.ui.originals import NoPicture, original, wanted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from airflow_aluo.ui.edits import Edit
    from airflow_aluo.ui.originals import Wanted

#: Lists the pictures that could not be had.
MISSING: Final = "missing.txt"


class _Sink(io.RawIOBase):
    """Takes what is written, to be sent. It cannot be gone back in, so the archive never tries to."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held += data
        return len(data)

    def taken(self) -> bytes:
        """Return what was written since."""
        held, self._held = bytes(self._held), bytearray()
        return held


async def archive(edits: Sequence[Edit]) -> AsyncIterator[bytes]:
    """Give a ZIP file with the pictures of these edits, piece by piece; what is missing is told in a text."""
    sink, missing = _Sink(), list[str]()
    names: set[str] = set()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as file:
        for picture in _pictures(edits):
            try:
                found = await original(picture)
            except NoPicture as reason:
                missing.append(f"{' '.join(picture.name.split())}: {reason}\n")
                continue
            with found:
                name = _name(picture, found.picture.format, names)
                with file.open(_entry(name), "w") as entry:
                    for chunk in found.chunks():
                        entry.write(chunk)
                        yield sink.taken()
        if missing:
            file.writestr(_entry(MISSING), "".join(missing))
    yield sink.taken()


def _pictures(edits: Sequence[Edit]) -> Iterator[Wanted]:
    for edit in edits:
        if (place := edit.newest) is not None:
            for number in range(edit.pictures):
                if (found := wanted(place.record, "after", number)) is not None:
                    yield found


def _name(picture: Wanted, format_: str, taken: set[str]) -> str:
    """Return a name that is safe in every system, and that no other picture has."""
    again, name = 1, file_name(picture.name, format_)
    while name.casefold() in taken:
        again += 1
        name = file_name(f"{stem(picture.name)}-{again}", format_)
    taken.add(name.casefold())
    return name


def _entry(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, time.localtime()[:6])
