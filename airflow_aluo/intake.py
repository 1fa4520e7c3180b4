"""How a picture's bytes come into a file: whole, as long as they said, and of the kind that they said."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.protocol.errors import AluoPictureError
from airflow_aluo.protocol.rendered import named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import BinaryIO

#: Bytes, and chunks, of a picture that stay in memory until a thread writes and checks them. Most pictures
#: are smaller: the event loop, which takes the bytes of many, has enough to do. A larger one is written bit
#: by bit.
_HELD: Final = 1 << 20
_HELD_CHUNKS: Final = 1000
#: Bytes of a larger one that are read at a time. Each read lets other threads have the interpreter, and while
#: many pictures are on their way it takes long to get it back.
_BLOCK: Final = 1 << 18

#: Content types that say nothing, by what stands before their parameters.
_SILENT: Final = {"", "application/octet-stream", "binary/octet-stream"}
#: Other spellings of what is said.
_SPELLED: Final = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}


class Intake:
    """Takes a picture's bytes into a file; every try starts at its beginning.

    :param path: of the file.
    :param url: of the picture.
    :param max_bytes: most that is taken.
    """

    def __init__(self, path: Path, url: str, max_bytes: int) -> None:
        self._path, self.address, self._max_bytes = path, named(url), max_bytes
        self._held: list[bytes] = []
        self._written = self.count = 0
        self.sha256 = hashlib.sha256()
        #: Bytes that the reply announced, ``None`` where it did not.
        self.announced: int | None = None
        #: Content type that the reply announced, ``None`` where that says nothing.
        self.content_type: str | None = None

    def start(self, headers: Mapping[str, str]) -> Callable[[bytes], Any]:
        """Begin a try. ``headers``: of the reply, in lower case.

        :raises AluoPictureError: what is announced is too large, or no picture.
        """
        self._held, self._written = [], 0
        length, said = headers.get("content-length", ""), headers.get("content-type", "")
        said = said.partition(";")[0].strip().lower()
        self.count, self.sha256 = 0, hashlib.sha256()
        self.announced = int(length) if length.isdecimal() else None
        self.content_type = None if said in _SILENT else _SPELLED.get(said, said)
        if self.announced is not None and self.announced > self._max_bytes:
            raise self._too_large(self.announced)
        if self.content_type is not None and not self.content_type.startswith("image/"):
            raise self.wrong(f"is {self.content_type}, expected a picture: look at what its host answers")
        return self._take

    def complete(self) -> BinaryIO:
        """Make sure that all has come, and that it is in the file; return it, to be read.

        To be called in a thread: it writes most pictures, and computes their sha256.

        :raises AluoPictureError: not all has come, or it cannot be written.
        """
        if self.announced is not None and self.count != self.announced:
            raise self.wrong(f"has {self.count} bytes, {self.announced} were announced; try again")
        in_file = self._written
        content = self._write()
        return self._path.open("rb", buffering=_BLOCK) if in_file else io.BytesIO(content)

    def wrong(self, what: str) -> AluoPictureError:
        """Return the error that says what is wrong with the picture."""
        return AluoPictureError(f"picture {self.address} {what}", url=self.address)

    def _take(self, chunk: bytes) -> None:
        self.count += len(chunk)
        if self.count > self._max_bytes:
            raise self._too_large(self.count)
        self._held.append(chunk)
        if self.count - self._written > _HELD or len(self._held) > _HELD_CHUNKS:
            self._write()

    def _write(self) -> bytes:
        """Write what is held, and return it. A full disk is no lost connection, which is an OSError, too."""
        content = b"".join(self._held)
        self.sha256.update(content)
        try:
            with self._path.open("ab" if self._written else "wb") as file:
                file.write(content)
        except OSError as error:
            raise self.wrong(f"cannot be written: {error}") from error
        self._held, self._written = [], self.count
        return content

    def _too_large(self, seen: int) -> AluoPictureError:
        return self.wrong(
            f"has {seen} bytes or more, expected at most {self._max_bytes}; raise max_bytes if that is right"
        )
