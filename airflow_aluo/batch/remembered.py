"""What is remembered of a batch's edits across tries: compact entries, a hundred a key."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict, deque
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast

from airflow_aluo.protocol import record as records
from airflow_aluo.protocol.errors import AluoEditFailed, AluoError, AluoRequestInvalid, dump, load
from airflow_aluo.protocol.remembered import Entry, Stage, fingerprint
from airflow_aluo.protocol.rendered import without_query
from airflow_aluo.protocol.vocabulary import STATUS_SUCCESS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_aluo.protocol.photo_edit import PhotoEdit
    from airflow_aluo.protocol.record import EditRecord

#: The key of what is remembered of the batch as a whole.
HEAD: Final = "aluo_batch"
#: Edits that one key holds.
SHARD: Final = 100
#: Bytes of JSON that one key may hold: Airflow's API refuses more than 65,535.
MOST_BYTES: Final = 64_000

#: What of an accepted edit's record is remembered in a list, in this order: a hundred have to fit. The
#: request is asked again by each try.
_FILE: Final = ("path", "sha256", "bytes", "width", "height", "format")
_CREDITS: Final = ("estimated", "deducted", "remaining")
_TIMES: Final = ("submitted_at", "accepted_at", "completed_at", "landed_at")

#: Bytes of any text of an error that are remembered, and where there is no room for that.
_TEXT: Final = 500
_LEAST_TEXT: Final = 50


def shard_key(generation: int, shard: int) -> str:
    """Return the key of the edits from ``shard`` · 100 on. ``generation``: rises when they change places."""
    return f"{HEAD}_{generation}_{shard:03d}"


def prints(edit: PhotoEdit, *, aluo_conn_id: str, host: str) -> dict[str, str]:
    """Return a short digest of each part of a request, by parameter.

    A photo to upload is told by its address here: ten thousand of them are not read to find out what changed.
    """
    found = fingerprint(edit, (), aluo_conn_id=aluo_conn_id, host=host)
    addresses = repr([without_query(address) for address in edit.image_files])
    found["image_files"] = hashlib.sha256(addresses.encode()).hexdigest()
    return {name: digest[:8] for name, digest in sorted(found.items())}


def addresses_are_missing(entry: Entry) -> bool:
    """Tell whether an edit is known to be done, but there was no room to remember its pictures."""
    return (
        entry.record is not None and entry.edit["status"] == STATUS_SUCCESS and not entry.edit["result_urls"]
    )


def to_json(entry: Entry) -> dict[str, Any]:
    """Return an entry in few bytes: schema ``stored_batch``. That it was returned, the head says."""
    plain: dict[str, Any] = {
        "stage": str(Stage.INTENT if entry.record is None else Stage.ACCEPTED),
        "max_tries": entry.max_tries,
        "prints": " ".join(entry.fingerprint.values()),
    }
    if entry.record is None:
        return plain | {"intended_at": entry.intended_at} | ({"reported": True} if entry.reported else {})
    known = entry.record
    return plain | {
        "deadline": entry.deadline,
        "aluo_task_id": known["aluo_task_id"],
        "status": known["status"],
        "result_urls": known["result_urls"],
        "files": [_values(file, _FILE) for file in known["files"]],
        "credits": _values(known["credits"], _CREDITS),
        "times": [time and _epoch(time) for time in _values(known["times"], _TIMES)],
    }


def from_json(value: Mapping[str, Any], edit: PhotoEdit, names: Sequence[str], aluo_conn_id: str) -> Entry:
    """Read what :func:`to_json` gave, for the edit that a try asks for in its place.

    :param names: of the parameters that the digests are of, in their order.
    """
    stored: dict[str, Any] | None = None
    times: list[str | None] = []
    if "aluo_task_id" in value:
        times = [at and records.iso(at) for at in value["times"]]
        stored = {
            "version": 1,
            "aluo_conn_id": aluo_conn_id,
            "aluo_task_id": value["aluo_task_id"],
            "request": edit.to_json(),
            "status": value["status"],
            "result_urls": value["result_urls"],
            "files": [dict(zip(_FILE, file, strict=True)) for file in value["files"]],
            "credits": dict(zip(_CREDITS, value["credits"], strict=True)),
            "times": dict(zip(_TIMES, times, strict=True)),
            **({"source": edit.source} if edit.source else {}),
        }
    return Entry(
        stage=Stage(value["stage"]),
        max_tries=value["max_tries"],
        fingerprint=dict(zip(names, value["prints"].split(), strict=True)),
        intended_at=value.get("intended_at") or times[0] or "a time that is not known",
        reported=value.get("reported", False),
        record=cast("EditRecord | None", stored),
        deadline=value.get("deadline"),
    )


def _epoch(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def _values(of: Any, names: Sequence[str]) -> list[Any]:
    return [of[name] for name in names]


def after_failure(
    stored: Mapping[str, Any] | None, error: AluoError, *, marks: Mapping[str, Any] | None, landing: bool
) -> dict[str, Any] | None:
    """Return what is to be remembered of an edit that failed, ``None`` for nothing.

    :param stored: what is.
    :param marks: of the failure, for a try that may be resumed: :func:`failure_to_json`, and what tells the
        edit. The next try forgets them: :func:`before_a_try`.
    :param landing: it failed to land: a later try asks for fresh addresses.
    """
    known = _unmarked(stored)
    if marks is not None:
        return {"stage": "failed", **marks, **(known or {})}
    if known is None or isinstance(error, AluoEditFailed):
        return None
    return known | {"result_urls": []} if landing else known


def before_a_try(stored: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a new try has to know of an edit, without the failure of the last."""
    known, error = _unmarked(stored), stored.get("error", {})
    if known is None or error.get("type") == AluoEditFailed.__name__:
        return None
    landing = "error" in stored and stored.get("result_urls")
    return known | {"result_urls": []} if landing else known


def _unmarked(stored: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if stored is None or stored["stage"] == "failed":
        return None
    return {name: value for name, value in stored.items() if name not in {"error", "tried"}}


def failure_to_json(error: AluoError, *, tried: bool) -> dict[str, Any]:
    """Return what is remembered of a failure until the next try, in few bytes."""
    told = dump(error)
    if isinstance(error, AluoRequestInvalid):
        told["facts"]["problems"] = told["facts"]["problems"][:1]
    if type(load(told)) is not type(error):  # none of the protocol's
        told = dump(AluoError(error.message))
    return {"error": _cut(told, _TEXT), "tried": tried}


def failure_from_json(value: Mapping[str, Any]) -> tuple[AluoError, bool]:
    """Return a failure, and whether the edit was tried at all."""
    return load(value["error"]), value["tried"]


def _cut(value: Any, most: int) -> Any:
    """Return JSON without longer texts."""
    if isinstance(value, dict):
        return {name: _cut(item, most) for name, item in value.items()}
    if isinstance(value, list):
        return [_cut(item, most) for item in value]
    if isinstance(value, str) and len(json.dumps(value)) > most:
        while len(json.dumps(value)) > most - len(json.dumps("…")):
            value = value[: len(value) * 9 // 10]
        return f"{value}…"
    return value


def is_open(entry: Mapping[str, Any]) -> bool:
    """Tell whether Aluo has, or may have, accepted the edit, so that another submit may pay it twice."""
    return str(entry["stage"]) != "failed"


def places(
    stored: Mapping[int, Mapping[str, Any]], asked: Sequence[str], *, max_tries: int
) -> dict[int, int]:
    """Return in which place each edit that is asked for now was remembered: by its place now.

    It is looked for in its own place, then anywhere. What a plain retry asks for otherwise (a prompt that
    names the try) is taken for the edit that stood in its place: it must not be paid again.

    :param stored: what is remembered, by place.
    :param asked: each edit's digests, as :func:`to_json` writes them.
    :param max_tries: the task instance's.
    """
    found = {
        place: place for place, digests in enumerate(asked) if stored.get(place, {}).get("prints") == digests
    }
    left: dict[str, deque[int]] = defaultdict(deque)
    for place in sorted(stored.keys() - found.keys()):
        left[stored[place].get("prints", "")].append(place)
    for place, digests in enumerate(asked):
        if place not in found and left[digests]:
            found[place] = left[digests].popleft()
    taken = set(found.values())
    for place in range(len(asked)):
        retried = place in stored and stored[place].get("max_tries") == max_tries
        if place not in found and retried and place not in taken:
            found[place] = place
    return found


def shortened(shard: dict[str, Any]) -> dict[str, Any]:
    """Return a shard that is small enough to be stored.

    What is left out is what can be had again: the addresses of pictures, the longest first, and then where
    they have landed. A later try looks at these edits once more. What is said of failures is cut short.
    """
    size = len(json.dumps(shard))
    if size <= MOST_BYTES:
        return shard
    entries = dict(shard["entries"])
    for place, one in entries.items():
        if "error" in one:
            entries[place] = one | {"error": _cut(one["error"], _LEAST_TEXT)}
    size = len(json.dumps(entries))
    for what in ("result_urls", "files"):
        lengths = {place: len(json.dumps(one[what])) for place, one in entries.items() if one.get(what)}
        for place in sorted(lengths, key=lengths.__getitem__, reverse=True):
            if size <= MOST_BYTES:
                break
            entries[place] = entries[place] | {what: []}
            size -= lengths[place] - len("[]")
    return shard | {"entries": entries}
