"""Opens the files that a batch reads: local ones and those in object storage."""

from __future__ import annotations

from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.rendered import without_query
from airflow_aluo.storage import NOT_THERE, local_path

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def opened(address: str, *, subject: str, expected: str) -> Iterator[IO[bytes]]:
    """Give a file to read.

    :param address: a local path or an object-storage address.
    :param subject: what cannot be used without it.
    :param expected: what the file is.
    :raises AluoRequestInvalid: it is not there, or is nothing that can be read.
    """
    try:
        file = _open(address)
    except NOT_THERE as error:
        why = f"{type(error).__name__}: {without_query(str(error))}"
        raise AluoRequestInvalid(
            subject, [Problem("edits", without_query(address), f"{expected} ({why})")]
        ) from error
    with file:
        yield file


def _open(address: str) -> IO[bytes]:
    path = local_path(address)
    if path is not None:
        return path.open("rb")
    from airflow.sdk import ObjectStoragePath

    remote: IO[bytes] = ObjectStoragePath(address).open("rb")  # type: ignore[no-untyped-call]
    return remote
