"""Files that XComs name, opened for the gallery: not all, for whoever writes XComs chooses the names."""

from __future__ import annotations

import os
import re
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, cast

from airflow_aluo.storage import local_path, opened_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

#: Object stores. Their addresses name a bucket and a connection; those of other file systems (``http``,
#: ``sftp``, …) name a host, which may be one that only the API server reaches.
STORES: Final = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "adl", "az", "wasb", "wasbs"})

_SCHEME: Final = re.compile(r"([A-Za-z0-9+.:-]*?)://")


#: By what stores tell one content of a file from the next, as far as they do.
_MARKS: Final = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "size")


def marks(address: str) -> str | None:
    """Return what is another once a file is overwritten, ``None`` where it cannot be told."""
    try:
        if (local := _local(address)) is not None:
            told = local.stat()
            return f"{told.st_size} {told.st_mtime_ns} {told.st_ino}"
        from airflow.sdk import ObjectStoragePath

        remote = ObjectStoragePath(address)
        known = remote.fs.info(remote.path)
    except Exception:  # noqa: BLE001  # each store has errors of its own
        return None
    return " ".join(str(known[name]) for name in _MARKS if name in known) or None


@contextmanager
def opened(address: str) -> Iterator[BinaryIO]:
    """Give a file to read: a local one, or one of an object store.

    :raises OSError: it is not there, no ordinary file, or in no store that is asked. Stores raise their own.
    """
    if (local := _local(address)) is None:
        with opened_source(address) as remote:
            yield remote
        return
    # A pipe's open() waits for a writer unless it is told not to, and a device never ends.
    descriptor = os.open(local, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with cast("BinaryIO", os.fdopen(descriptor, "rb")) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PermissionError("no ordinary file")
        yield file


def _local(address: str) -> Path | None:
    """Return the local path that an address means, ``None`` for one of an object store.

    :raises OSError: it is in no store that is asked.
    """
    if "\0" in address:
        raise FileNotFoundError("a name holds no zero byte")
    if (local := local_path(address)) is None:
        scheme = _SCHEME.match(address)
        if scheme is None or scheme[1] not in STORES:
            raise PermissionError(f"only local files and those of {', '.join(sorted(STORES))} are read")
    return local
