"""What crosses from the triggerer to the worker: plain JSON, schema ``trigger_event``."""

from __future__ import annotations

from typing import Any

from airflow_aluo.protocol.errors import AluoError, load
from airflow_aluo.protocol.replies import Credits, Phase, Snapshot
from airflow_aluo.protocol.schemas import validator


def read_event(event: Any) -> Snapshot:
    """Return the succeeded edit as the trigger saw it; what ended the wait instead is raised.

    :raises AluoError: the trigger's error rebuilt, or one that says that the event cannot be read.
    """
    if not validator("trigger_event").is_valid(event):
        raise AluoError(f"no event of PhotoEditTrigger: {event!r:.200}")
    if "error" in event:
        raise load(event["error"])
    found = dict(event["snapshot"])
    said = Credits(**found.pop("credits"))
    snapshot = Snapshot(**found | {"result_urls": tuple(found["result_urls"]), "credits": said})
    if snapshot.phase is not Phase.SUCCEEDED or not snapshot.result_urls:
        raise AluoError(f"the triggerer ended the wait for an edit that is {snapshot.status!r}")
    return snapshot
