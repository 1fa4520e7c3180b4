"""Where photos come from and pictures go to: local folders and Airflow's object storage alike."""

from __future__ import annotations

import os
import tempfile
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_aluo.pictures import PHOTO_FORMATS, inspect
from airflow_aluo.protocol.calls import Upload
from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.rendered import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow.sdk import ObjectStoragePath

#: Stores without a move, whose single request shows a whole object or none.
_ATOMIC_PUT: Final = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "adl", "az", "wasb", "wasbs"}


def load_photos(addresses: Sequence[str]) -> list[Upload]:
    """Return the photos to send along.

    :param addresses: local paths, or object-storage addresses such as ``s3://conn@bucket/photo.jpg``.
    :raises AluoRequestInvalid: names each file that is not there or not a picture.
    """
    uploads, problems = [], []
    for index, address in enumerate(addresses):
        try:
            uploads.append(_load_photo(address))
        except Exception as error:  # noqa: BLE001  # each store has errors of its own
            why = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            expected = f"a picture that this worker can read ({why})"
            problems.append(Problem(f"image_files[{index}]", shown(address), expected))
    if problems:
        raise AluoRequestInvalid("photo edit", problems)
    return uploads


def _load_photo(address: str) -> Upload:
    import io

    local = local_path(address)
    content = _remote(address).read_bytes() if local is None else local.read_bytes()
    picture = inspect(io.BytesIO(content), PHOTO_FORMATS)
    name = address.rstrip("/").rpartition("/")[2]
    return Upload(name, picture.content_type, content)


def local_path(address: str) -> Path | None:
    """Return the local path that an address means, ``None`` for object storage."""
    if address.startswith("file://"):
        return Path(address.removeprefix("file://"))
    return None if "://" in address else Path(address).expanduser()


def _remote(address: str) -> ObjectStoragePath:
    from airflow.sdk import ObjectStoragePath

    return ObjectStoragePath(address)


class Folder:
    """A folder in which pictures are kept: whole, under their names, or not at all.

    :param address: a local folder (made if missing), or an object-storage address.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._local = local_path(address)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give the path of a local file to write to; what was not kept is gone afterwards."""
        if self._local is None:
            with tempfile.TemporaryDirectory(prefix="aluo-") as folder:
                yield Path(folder, "picture")
            return
        self._local.mkdir(parents=True, exist_ok=True)
        path = self._local / f".{uuid.uuid4().hex}.part"  # same file system: it can be moved at one stroke
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def keep(self, scratch: Path, name: str) -> str:
        """Move a scratch file to its name in the folder, over what was there; return its address."""
        if self._local is not None:
            target = self._local.absolute() / name
            os.replace(scratch, target)  # noqa: PTH105  # the whole file or none, on every platform
            return str(target)
        remote = _remote(self._address) / name
        if remote.protocol in _ATOMIC_PUT:
            remote.fs.put_file(str(scratch), remote.path)
            return str(remote)
        remote.parent.mkdir(parents=True, exist_ok=True)
        temporary = f"{remote.path}.{uuid.uuid4().hex}.part"
        try:
            remote.fs.put_file(str(scratch), temporary)
            remote.fs.mv(temporary, remote.path)
        except BaseException:
            with suppress(Exception):
                remote.fs.rm_file(temporary)
            raise
        return str(remote)
