"""Thumbnails that were made, kept on disk: of this user alone, and only so many bytes of them."""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final

log = logging.getLogger(__name__)

#: Most bytes that are kept.
MOST_BYTES: Final = 256 << 20
#: Part that is left when it was too much.
_LEFT: Final = 0.8
#: Bytes that are written between two looks at how much there is.
_BETWEEN_LOOKS: Final = 8 << 20

_ENDING: Final = ".webp"


class Shelf:
    """Keeps bytes by their key. A full disk, or one that is read only, makes it forget, and nothing worse.

    :param folder: made if missing, and not used where it belongs to somebody else or others may enter it.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder, self._most_bytes = folder, most_bytes
        self._written = _BETWEEN_LOOKS  # look at the first time
        self._lock = Lock()

    @classmethod
    def of_this_user(cls) -> Shelf:
        """Return the shelf below the system's folder for temporary files."""
        return cls(Path(tempfile.gettempdir(), f"airflow-aluo-thumbnails-{os.getuid()}"))

    def get(self, key: str) -> bytes | None:
        """Return what has a key. ``key``: hexadecimal."""
        path = self._folder / f"{key}{_ENDING}"
        try:
            if not self._is_ours():
                return None
            content = path.read_bytes()
        except OSError:
            return None
        with suppress(OSError):
            os.utime(path)  # used lately
        return content

    def put(self, key: str, content: bytes) -> None:
        """Keep bytes, whole or not at all."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._is_ours():
                return
            descriptor, name = tempfile.mkstemp(dir=self._folder, suffix=".part")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                Path(name).replace(self._folder / f"{key}{_ENDING}")
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
            self._bound(len(content))
        except OSError as error:
            log.info("a thumbnail is not kept: %s", error)

    def _is_ours(self) -> bool:
        """Tell whether nobody else can put anything here: other users share the folder above."""
        found = self._folder.lstat()
        ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
        if not ours:
            log.warning("%s is not used for thumbnails: others may write there", self._folder)
        return ours

    def _bound(self, written: int) -> None:
        """Remove what was not used for the longest time, if there is too much."""
        with self._lock:
            self._written += written
            if self._written < min(_BETWEEN_LOOKS, self._most_bytes // 8):
                return
            self._written = 0
            there = sorted(_there(self._folder))
            total = sum(size for _, size, _ in there)
            if total <= self._most_bytes:
                return
            for _, size, path in there:
                with suppress(OSError):
                    Path(path).unlink()
                    total -= size
                if total <= self._most_bytes * _LEFT:
                    return


def _there(folder: Path) -> list[tuple[float, int, str]]:
    """Return when each file was used last, its bytes, and its path."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                told = entry.stat(follow_symlinks=False)
                found.append((told.st_mtime, told.st_size, entry.path))
    return found
