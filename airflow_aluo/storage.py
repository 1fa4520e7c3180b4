"""Where photos come from and pictures go to: local folders and Airflow's object storage alike."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import uuid
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from airflow_aluo.pictures import PHOTO_FORMATS, inspect
from airflow_aluo.protocol.calls import Upload
from airflow_aluo.protocol.errors import AluoError, AluoRequestInvalid, Problem
from airflow_aluo.protocol.rendered import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow.sdk import ObjectStoragePath

#: Stores without a move, whose single request shows a whole object or none.
_ATOMIC_PUT: Final = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "adl", "az", "wasb", "wasbs"}

#: What says that an address leads nowhere; the rest (a store that is out of reach) may mend itself.
NOT_THERE: Final = (
    FileNotFoundError,
    ImportError,  # the store's library
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    RuntimeError,  # no such user's home
    ValueError,  # no such store
)


def load_photos(addresses: Sequence[str]) -> list[Upload]:
    """Return the photos to send along.

    :param addresses: local paths, or object-storage addresses such as ``s3://conn@bucket/photo.jpg``.
    :raises AluoRequestInvalid: names each file that is not there or not a picture.
    :raises AluoError: a store was out of reach; a retry may find it again.
    """
    uploads, problems = [], []
    trouble: AluoError | None = None
    for index, address in enumerate(addresses):
        try:
            uploads.append(_load_photo(address))
        except Exception as error:  # noqa: BLE001  # each store has errors of its own
            why = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            if isinstance(error, NOT_THERE) or local_path(address) is not None:
                expected = f"a picture that this worker can read ({why})"
                problems.append(Problem(f"image_files[{index}]", shown(address), expected))
            else:
                said = f"image_files[{index}]: {shown(address)} could not be read ({why})"
                trouble = AluoError(f"{said}. Nothing was sent for it, and a retry reads it again")
    if problems:
        raise AluoRequestInvalid("photo edit", problems)
    if trouble:
        raise trouble
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


def _make(folder: Path) -> None:
    """Make a folder that is missing. Asked for each picture: a question is cheaper than an error."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)


def _moved(scratch: Path, target: Path, *, replace: bool) -> Path:
    """Move a local file to its name in the same file system, at one stroke."""
    _make(target.parent)
    if not replace:
        try:
            target.hardlink_to(scratch)  # who comes second fails
        except FileExistsError:
            raise
        except OSError:  # a file system without links: ask, then move
            if target.exists():
                raise FileExistsError(str(target)) from None
        else:
            scratch.unlink()
            return target
    os.replace(scratch, target)  # noqa: PTH105  # the whole file or none, on every platform
    return target


@contextmanager
def opened_source(address: str) -> Iterator[BinaryIO]:
    """Give a file to read, wherever it lies. Raises what its store raises."""
    local = local_path(address)
    if local is None:
        remote = _remote(address)
        opened: Any = remote.fs.open(
            remote.path, "rb"
        )  # its own open() tells the lineage what we tell better
    else:
        opened = local.open("rb")
    with opened as file:
        yield file


class Folder:
    """A folder in which files are kept: whole, under their names, or not at all. Names may hold slashes.

    :param address: a local folder (made if missing), or an object-storage address.
    :param owner: who writes here, in a few letters: what it left half done is known by it, see :meth:`tidy`.
    """

    def __init__(self, address: str, *, owner: str = "") -> None:
        self._address = address
        self._local = local_path(address)
        self._part = f".{owner or 'aluo'}-"

    def address(self, name: str) -> str:
        """Return the address of what has, or would have, a name here."""
        if self._local is not None:
            return str(self._local.absolute() / name)
        return str(_remote(self._address) / name)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give the path of a local file to write to; what was not kept is gone afterwards."""
        if self._local is None:
            with tempfile.TemporaryDirectory(prefix="aluo-") as folder:
                yield Path(folder, "picture")
            return
        _make(self._local)
        # In the same file system: it can be moved at one stroke.
        path = self._local / f"{self._part}{uuid.uuid4().hex}.part"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove what a killed process of this owner has left half done here."""
        if self._local is not None:
            for path in self._local.glob(f"{self._part}*.part"):
                path.unlink(missing_ok=True)
            return
        folder = _remote(self._address)
        if folder.protocol not in _ATOMIC_PUT:
            with suppress(FileNotFoundError):
                for path in folder.fs.ls(folder.path, detail=False):
                    if path.rpartition("/")[2].startswith(self._part):
                        folder.fs.rm_file(path)

    def keep(self, scratch: Path, name: str, *, replace: bool = True) -> str:
        """Move a scratch file to its name; return its address.

        :param replace: over what was there.
        :raises FileExistsError: something was there. (An object store is asked right before; whoever writes
            there between the question and the request is not noticed.)
        """
        if self._local is not None:
            return str(_moved(scratch, self._local.absolute() / name, replace=replace))
        if not replace and self._info(name) is not None:
            raise FileExistsError(self.address(name))
        remote = _remote(self._address) / name
        # Stores tell readers a file's type by its name; they look at that of the local one.
        scratch = scratch.rename(scratch.with_name(f"{scratch.name}-{remote.name}"))
        if remote.protocol in _ATOMIC_PUT:
            remote.fs.put_file(str(scratch), remote.path)
            return str(remote)
        remote.parent.mkdir(parents=True, exist_ok=True)
        temporary = f"{_remote(self._address).path.rstrip('/')}/{self._part}{uuid.uuid4().hex}.part"
        try:
            remote.fs.put_file(str(scratch), temporary)
            remote.fs.mv(temporary, remote.path)
        except BaseException:
            with suppress(Exception):
                remote.fs.rm_file(temporary)
            raise
        return str(remote)

    def size(self, name: str) -> int | None:
        """Return the bytes of what has a name here, ``None`` where nothing has."""
        found = self._info(name)
        return None if found is None else int(found["size"])

    def modified(self, name: str) -> float | None:
        """Return when a file was written, in whole epoch seconds; ``None`` where the store does not tell."""
        found = self._info(name) or {}
        for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
            at = found.get(key)
            if isinstance(at, str):
                at = datetime.fromisoformat(at)
            if at is not None:
                return float(int(at.timestamp() if isinstance(at, datetime) else at))
        return None

    def digest(self, name: str) -> str | None:
        """Return the sha256 of what has a name here, ``None`` where nothing has."""
        if self._info(name) is None:
            return None
        with opened_source(self.address(name)) as file:
            return hashlib.file_digest(cast("Any", file), "sha256").hexdigest()

    def read(self, name: str) -> bytes | None:
        """Return what has a name here, ``None`` where nothing has."""
        if self._info(name) is None:
            return None
        with opened_source(self.address(name)) as file:
            return file.read()

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all that is in it; one that is not there is fine."""
        if self._local is not None:
            path = self._local / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            return
        remote = _remote(self._address) / name
        with suppress(FileNotFoundError):
            remote.fs.rm(remote.path, recursive=True)

    def _info(self, name: str) -> Mapping[str, Any] | None:
        """Return what the store tells of a file, ``None`` where there is none."""
        if self._local is not None:
            try:
                found = (self._local / name).stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            return {"size": found.st_size, "mtime": found.st_mtime}
        remote = _remote(self._address) / name
        remote.fs.invalidate_cache()  # somebody else may have written there
        try:
            told: Mapping[str, Any] = remote.fs.info(remote.path)
        except FileNotFoundError:
            return None
        return told
