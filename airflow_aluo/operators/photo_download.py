"""Land the pictures of an edit: their addresses are short-lived."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_aluo.protocol import record
from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.rendered import collection, shown, without_query
from airflow_aluo.task_errors import final_errors_fail
from airflow_aluo.upstream import Upstream

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath, XComArg

    from airflow_aluo.protocol.record import EditRecord
    from airflow_aluo.storage import Folder

__all__ = ["PhotoDownloadOperator"]


class PhotoDownloadOperator(BaseOperator):
    """Downloads the pictures of finished edits to a folder or an object store.

    Each picture is streamed to a temporary file, checked to be a whole picture, and only then moved to its
    name: nobody ever sees half of one. It is ``{aluo_task_id}-{index}.{ext}``; for plain addresses, the
    address's own name and eight digits of its hash instead of the id. Returns the edit record with its
    ``files``: path, sha256, bytes, width, height, format.

    :param edits: a finished edit's record, a list of records, or plain addresses of pictures (templated).
        A list of records gives a list back.
    :param destination: a local folder, or an object-storage address such as ``s3://conn@bucket/folder``
        (templated).
    :param aluo_conn_id: the Airflow connection whose proxy, certificates and time limits hold; by default
        the record's. The API key is never sent to a picture's host (templated).
    :param max_bytes: largest picture that is landed; 64 MiB by default.
    """

    template_fields: Sequence[str] = ("edits", "destination", "aluo_conn_id")
    ui_color = "#e3f0ea"

    def __init__(
        self,
        *,
        edits: EditRecord | Sequence[EditRecord] | Sequence[str] | str | XComArg,
        destination: str | Path | ObjectStoragePath,
        aluo_conn_id: str | None = None,
        max_bytes: int = 64 << 20,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.edits = edits
        # Older Airflows take a path's resolve() for their own.
        self.destination = str(destination) if isinstance(destination, Path) else destination
        self.aluo_conn_id = aluo_conn_id
        self.max_bytes = max_bytes
        self._upstream = Upstream.of("edits", edits)

    def execute(self, context: Context) -> EditRecord | list[EditRecord]:  # noqa: ARG002  # Airflow asks so
        """Land every picture."""
        from airflow_aluo.storage import Folder

        with final_errors_fail():
            self._upstream.check(self.edits, self.upstream_task_ids)
            found = _records(self.edits)
            folder = Folder(str(self.destination))
            landed = [self._land(finished, folder) for finished in found]
        return landed if _are_records(self.edits) else landed[0]

    def _land(self, finished: EditRecord, folder: Folder) -> EditRecord:
        from airflow_aluo.hooks.aluo import AluoHook
        from airflow_aluo.landing import land
        from airflow_aluo.protocol.account import ANONYMOUS
        from airflow_aluo.transport.with_requests import RequestsDriver

        conn_id = self.aluo_conn_id or finished["aluo_conn_id"]
        files = []
        with RequestsDriver(AluoHook(conn_id).account if conn_id else ANONYMOUS) as driver:
            for index, url in enumerate(finished["result_urls"]):
                stem = f"{_stem(finished, url)}-{index}"
                file = land(url, folder, stem=stem, max_bytes=self.max_bytes, run=driver.run)
                self.log.info("landed %s as %s", without_query(url), file["path"])
                files.append(file)
        return record.landed(finished, files, at=time.time())


def _records(edits: Any) -> list[EditRecord]:
    """Return the finished edits that a parameter names: records, or one made of plain addresses.

    :raises AluoRequestInvalid: it names none, or an edit that has no pictures yet.
    """
    edits = collection(edits)
    given = list(edits) if _are_many(edits) else [edits]
    if given and all(isinstance(item, str) for item in given):
        return [record.of_urls(given)]
    found = [record.parse(item) for item in given]
    waiting = [item for item in found if not item["result_urls"]]
    if waiting or not found:
        names = ", ".join(f"{item['aluo_task_id']} is {item['status']}" for item in waiting) or shown(edits)
        expected = "finished edits; put a PhotoEditStatusSensor before this task, or wait_for_completion=True"
        raise AluoRequestInvalid("download", [Problem("edits", names, expected)])
    return found


def _are_many(edits: Any) -> bool:
    return isinstance(edits, Sequence) and not isinstance(edits, str)


def _are_records(edits: Any) -> bool:
    """Tell whether a list is asked for, so that a list is given back."""
    edits = collection(edits)
    return _are_many(edits) and not all(isinstance(item, str) for item in edits)


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
