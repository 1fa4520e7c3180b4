"""An edit as the page shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from airflow_aluo import gallery
from airflow_aluo.protocol.naming import Name
from airflow_aluo.protocol.rendered import bare, named, stem
from airflow_aluo.ui.told import files, number, object_of, text, texts

if TYPE_CHECKING:
    from airflow_aluo.ui.edits import Edit
    from airflow_aluo.ui.places import Place
    from airflow_aluo.ui.told import Record

_FILE: Final = Name("{photo}.{ext}", allowed={"photo", "ext"})
_ENDINGS: Final = {"jpeg": "jpg"}


def card(edit: Edit) -> dict[str, Any]:
    """Return an edit's card, without what reviews say of it."""
    instance, newest, asked_at = edit.instance, edit.newest, edit.asked
    record = None if newest is None else newest.record
    asked = {} if asked_at is None else object_of(asked_at.record, "request")
    credits_, estimated = edit.credits
    submitted_at = edit.submitted_at
    where = (instance.dag_id, instance.run_id, instance.task_id, str(instance.map_index), str(edit.position))
    return {
        "key": "/".join(where),
        "dag_id": instance.dag_id,
        "run_id": instance.run_id,
        "task_id": instance.task_id,
        "map_index": instance.map_index,
        "map_label": instance.label,
        "attempt": instance.attempt,
        "aluo_task_id": edit.aluo_task_id,
        "state": edit.state,
        "status": None if record is None else record["status"],
        "task_state": instance.state,
        "prompt": text(asked.get("prompt")),
        "aspect_ratio": text(asked.get("aspect_ratio")),
        "output_format": text(asked.get("output_format")),
        "before": _before(asked_at),
        "after": _after(newest),
        "credits": credits_,
        "credits_estimated": estimated,
        "submitted_at": None if submitted_at is None else submitted_at.isoformat(),
        "seconds": None if edit.state == "running" else edit.seconds,
        "error": _error(record),
        "batch": edit.is_batch,
    }


def photos(record: Record) -> list[str]:
    """Return the photos that were edited: files first, as the vendor's form has them, or addresses."""
    asked = object_of(record, "request")
    return texts(asked.get("image_files")) + texts(asked.get("image_urls"))


def name_of(address: str) -> str:
    """Return the name of what lies at an address, for people."""
    plain = bare(address).rstrip("/")
    name = plain.rpartition("/")[2]
    return unquote(name) if "://" in plain else name


def file_name(name: str, format_: str) -> str:
    """Return a name to save a picture under, safe in every system and for every command.

    :param name: of the picture, for people.
    :param format_: what it is, whatever its name says: ``png``, ``jpeg``, ``zip``, …
    """
    safe = _FILE.of({"photo": stem(name), "ext": _ENDINGS.get(format_, format_)})
    return f"_{safe}" if safe.startswith("-") else safe


def _before(place: Place | None) -> list[dict[str, Any]]:
    if place is None:
        return []
    return [
        {"name": name_of(address), "picture": _picture(place, "before", number_)}
        for number_, address in enumerate(photos(place.record))
    ]


def _after(place: Place | None) -> list[dict[str, Any]]:
    if place is None:
        return []
    record = place.record
    if landed := files(record):
        return [
            {
                "name": name_of(file["path"]),
                "picture": _picture(place, "after", number_),
                **{name: number(file.get(name)) for name in ("width", "height", "bytes")},
                "format": text(file.get("format")),
                "landed": True,
            }
            for number_, file in enumerate(landed)
        ]
    unknown = dict.fromkeys(("width", "height", "bytes", "format"))
    return [
        {"name": name_of(url), "picture": _picture(place, "after", number_), **unknown, "landed": False}
        for number_, url in enumerate(texts(record["result_urls"]))
    ]


def _picture(place: Place, kind: str, number_: int) -> str:
    one = place.instance
    return gallery.picture(one.dag_id, one.run_id, one.task_id, one.map_index, place.position, kind, number_)


def _error(record: Record | None) -> dict[str, str] | None:
    found = object_of(record, "error")
    if not found:
        return None
    message = text(found.get("message")) or ""
    return {
        "type": text(found.get("type")) or "Error",
        "message": named(message) if "://" in message else message,
    }
