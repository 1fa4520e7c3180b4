"""Land the pictures of an edit: their addresses are short-lived."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseOperator

from airflow_aluo.protocol import record
from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.rendered import collection, shown
from airflow_aluo.task_errors import final_errors_fail
from airflow_aluo.upstream import Upstream

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath, XComArg

    from airflow_aluo.batch.results import ResultsPart
    from airflow_aluo.protocol.record import EditRecord
    from airflow_aluo.storage import Folder

__all__ = ["PhotoDownloadOperator"]

#: Most edits that a message names.
_NAMED: Final = 5


class PhotoDownloadOperator(BaseOperator):
    """Downloads the pictures of finished edits to a folder or an object store.

    Each picture is streamed to a temporary file, checked to be a whole picture, and only then moved to its
    name: nobody ever sees half of one. It is ``{aluo_task_id}-{index}.{ext}``; for plain addresses, the
    address's own name and eight digits of its hash instead of the id. Returns the edit record with its
    ``files``: path, sha256, bytes, width, height, format.

    Edits of a batch that failed are left out, with a warning.

    :param edits: a finished edit's record, a list of records, what PhotoEditBatchOperator returned or one
        item of it, or plain addresses of pictures (templated). Several records give a list back.
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
        edits: EditRecord | ResultsPart | Sequence[EditRecord | ResultsPart] | Sequence[str] | str | XComArg,
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
        from airflow_aluo.batch.results import expanded, is_part
        from airflow_aluo.storage import Folder

        with final_errors_fail():
            self._upstream.check(self.edits, self.upstream_task_ids)
            given = expanded(self.edits)
            if plain := bool(given) and all(isinstance(item, str) for item in given):
                found = [record.of_urls(given)]
            else:
                found = self._finished([record.parse(item) for item in given])
            folder = Folder(str(self.destination))
            landed = [self._land(finished, folder) for finished in found]
        edits = collection(self.edits)
        one = plain or (isinstance(edits, Mapping) and not is_part(edits))
        return landed[0] if one else landed

    def _finished(self, edits: list[EditRecord]) -> list[EditRecord]:
        """Return the edits that have pictures, without those that failed.

        :raises AluoRequestInvalid: none has, or one has none yet.
        """
        failed = [_failed(edit) for edit in edits if "error" in edit]
        found = [edit for edit in edits if "error" not in edit]
        waiting = [f"{edit['aluo_task_id']} is {edit['status']}" for edit in found if not edit["result_urls"]]
        if waiting or not edits:
            seen = _some(waiting) or shown(self.edits)
            expected = (
                "finished edits; put a PhotoEditStatusSensor before this task, or wait_for_completion=True"
            )
            raise AluoRequestInvalid("download", [Problem("edits", seen, expected)])
        if not found:
            seen = f"no pictures, for all that were asked for failed: {_some(failed)}"
            raise AluoRequestInvalid("download", [Problem("edits", seen, "an edit that succeeded")])
        if failed:
            self.log.warning(
                "%d of %d edits failed and have no pictures: %s", len(failed), len(edits), _some(failed)
            )
        return found

    def _land(self, finished: EditRecord, folder: Folder) -> EditRecord:
        from airflow_aluo.hooks.aluo import AluoHook
        from airflow_aluo.landing import land_all
        from airflow_aluo.protocol.account import ANONYMOUS

        conn_id = self.aluo_conn_id or finished["aluo_conn_id"]
        account = AluoHook(conn_id).account if conn_id else ANONYMOUS
        files = land_all(finished, folder, account, max_bytes=self.max_bytes, tell=self.log.info)
        return record.landed(finished, files, at=time.time())


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _failed(edit: EditRecord) -> str:
    return f"{edit['aluo_task_id'] or 'one without an id'} ({edit['error']['message']})"
