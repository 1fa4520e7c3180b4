"""What was read and what was made, told to Airflow's lineage collector: OpenLineage reads it there."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

from airflow_aluo.protocol.rendered import shown
from airflow_aluo.storage import local_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_aluo.protocol.record import EditRecord

_log: Final = logging.getLogger(__name__)


def report_edit(context: Any, edit: EditRecord) -> None:
    """Report an edit's photos as inputs and its pictures as outputs. See :func:`report`."""
    request = edit["request"] or {"image_urls": [], "image_files": []}
    landed = [file["path"] for file in edit["files"]]
    report(context, [*request["image_urls"], *request["image_files"]], landed or edit["result_urls"])


def report(context: Any, inputs: Iterable[str], outputs: Iterable[str]) -> None:
    """Report what a task has read and written. Never raises: no paid task is to fail for this.

    :param context: the hook that moved it.
    :param inputs: addresses or paths, as parameters name them.
    :param outputs: the same.
    """
    try:
        collector = _collector()
    except Exception:  # noqa: BLE001  # whatever it is
        _log.debug("Airflow has no lineage collector", exc_info=True)
        return
    for add, addresses in ((collector.add_input_asset, inputs), (collector.add_output_asset, outputs)):
        for address in addresses:
            try:
                add(context, uri=uri(address))
            except Exception:  # noqa: BLE001  # Airflow's or a plugin's
                _log.debug("%s is missing in the lineage", shown(address), exc_info=True)


def uri(address: str) -> str:
    """Return an address that may be shown and kept: no query, no user or connection, a path in full."""
    if local := local_path(address):
        return local.absolute().as_uri()
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, quote(parts.path, safe="/%:@!$&'()*+,;=~"), "", ""))


def _collector() -> Any:
    try:
        from airflow.sdk.lineage import get_hook_lineage_collector
    except ImportError:  # pragma: no cover  # Airflow 3.1
        from airflow.lineage.hook import (  # type: ignore[import-not-found,no-redef]
            get_hook_lineage_collector,
        )
    return get_hook_lineage_collector()
