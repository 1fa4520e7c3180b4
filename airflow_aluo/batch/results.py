"""What a batch returns: its edit records, or where they lie if they are too many for XCom."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypedDict

from airflow_aluo.batch.files import opened
from airflow_aluo.protocol import record
from airflow_aluo.protocol.chained import did_not_land, is_part
from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.record import EditCredits
from airflow_aluo.protocol.rendered import collection, optional, shown, without_query
from airflow_aluo.protocol.schemas import validator
from airflow_aluo.protocol.vocabulary import STATUS_FAILED
from airflow_aluo.storage import Folder, local_path

if TYPE_CHECKING:
    from airflow_aluo.protocol.record import EditRecord

#: Most JSON that is returned itself, in bytes: Airflow's database holds it, and every reader loads it.
MOST_IN_XCOM: Final = 48 << 10

#: Most edit records that one reference stands for: what one mapped task gets.
PIECE: Final = 100

#: Most edits that a message names.
_NAMED: Final = 5

_SUBJECT: Final = "results of a batch"


class ResultsPart(TypedDict):
    """Where a piece of the records lies; see ``schemas/results_part.schema.json``."""

    results: str
    start: int
    end: int
    edits: int
    sha256: str


class Summary(TypedDict):
    """How a batch went, at a glance."""

    edits: int
    #: Gave pictures.
    succeeded: int
    #: Of these: their pictures should have landed, and did not. They are paid for.
    not_landed: int
    #: Gave no picture.
    failed: int
    #: Why edits failed, or did not land: how many by an error's type.
    errors: dict[str, int]
    #: Accepted by Aluo, and not waited for.
    under_way: int
    pictures: int
    #: Sums over the edits; the balance is the newest that Aluo told.
    credits: EditCredits
    #: The file that holds the records, ``None`` where the task returns them itself.
    path: str | None


@dataclass(frozen=True, slots=True)
class Returned:
    """What a batch returns."""

    #: The task's ``return_value``, to be used whole or mapped over.
    value: list[EditRecord] | list[ResultsPart]
    #: The file that holds the records, ``None`` where ``value`` does.
    path: str | None


def returned(
    records: Sequence[EditRecord], *, results_path: str | None, destination: str | None, name: str, log: Any
) -> Returned:
    """Return the records as XCom can take them; where they are too many, write them to a file first.

    The same records written again give the same file and the same references.

    :param records: in the order of the edits that were asked for.
    :param results_path: a folder, local or of an object store, for the file; or the file, named ``*.jsonl``.
    :param destination: a folder for it where ``results_path`` is not given.
    :param name: of the file in a folder; see :func:`file_name`.
    :param log: the task's.
    """
    size = sum(len(json.dumps(one)) + len(", ") for one in records)
    where = optional(results_path) or optional(destination)
    if size <= MOST_IN_XCOM:
        return Returned(list(records), None)
    if where is None:
        log.warning(
            "%d edit records, %d KB, go into XCom, which is for %d KB; results_path names a folder for them",
            *(len(records), size >> 10, MOST_IN_XCOM >> 10),
        )
        return Returned(list(records), None)
    parts = _written(records, *_file(str(where), name))
    return Returned(parts, parts[0]["results"])


def file_name(*, dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """Return a file's name for the results of a task instance, the same for each of its tries."""
    names = [dag_id, run_id, task_id, *([str(map_index)] if map_index >= 0 else [])]
    digest = hashlib.sha256(json.dumps(names).encode()).hexdigest()[:8]  # two may look alike when made safe
    safe = [re.sub(r"[^\w.-]", "_", one, flags=re.ASCII)[:60] for one in names]
    return f"{'-'.join([*safe, digest]).lstrip('.')}.jsonl"


def file_name_of(ti: Any) -> str:
    """Return :func:`file_name` of a task instance."""
    index = -1 if ti.map_index is None else ti.map_index
    return file_name(dag_id=ti.dag_id, run_id=ti.run_id, task_id=ti.task_id, map_index=index)


def summary(records: Sequence[EditRecord], path: str | None) -> Summary:
    """Return how a batch went. ``path``: of :class:`Returned`."""
    errors = Counter(one["error"]["type"] for one in records if "error" in one)
    lost = sum(map(did_not_land, records))
    succeeded = lost + sum(bool(one["result_urls"]) and "error" not in one for one in records)
    failed = errors.total() - lost
    return Summary(
        edits=len(records),
        succeeded=succeeded,
        not_landed=lost,
        failed=failed,
        errors=dict(sorted(errors.items())),
        under_way=len(records) - succeeded - failed,
        pictures=sum(len(one["result_urls"]) for one in records),
        credits=_credits(records),
        path=path,
    )


def read_part(part: Any) -> list[EditRecord]:
    """Return the edit records that a reference stands for.

    :raises AluoRequestInvalid: it is none; its file is gone; or that is not what the batch wrote.
    """
    errors = sorted(validator("results_part").iter_errors(part), key=lambda error: error.json_path)
    if errors:
        expected = "a reference to results as PhotoEditBatchOperator returned it"
        problems = [
            Problem(
                error.json_path, shown(error.instance), f"{expected} ({without_query(error.message)[:120]})"
            )
            for error in errors
        ]
        raise AluoRequestInvalid(_SUBJECT, problems)
    address = part["results"]
    expected = "the file that a batch has written, where this worker can read it"
    with opened(address, subject=_SUBJECT, expected=expected) as file:
        file.seek(part["start"])
        content = file.read(part["end"] - part["start"])
    if hashlib.sha256(content).hexdigest() != part["sha256"]:
        expected = (
            "it as the batch wrote it, but it has changed since; clear the batch's task and those after it"
        )
        raise AluoRequestInvalid(_SUBJECT, [Problem("edits", without_query(address), expected)])
    return [record.parse(json.loads(line)) for line in content.splitlines()]


def expanded(edits: Any) -> list[Any]:
    """Return what a parameter names as one list: references are read, lists of several batches joined.

    Text that a template made of any of these is read back.
    """
    edits = collection(edits)
    if is_part(edits):
        return list(read_part(edits))
    if isinstance(edits, Sequence) and not isinstance(edits, str):
        return [one for item in edits[:] for one in expanded(item)]
    return [edits]


def without_failed(
    edits: Sequence[EditRecord], *, subject: str, log: Any, to_land: bool = False
) -> list[tuple[int, EditRecord]]:
    """Return the edits that have not failed, each with its position; warn of those that have.

    :param subject: who asks.
    :param log: the task's.
    :param to_land: one that succeeded, but whose pictures did not land, has not failed.
    :raises AluoRequestInvalid: all have failed.
    """
    found, failed, expected = [], [], "an edit that succeeded"
    for position, edit in enumerate(edits):
        if "error" not in edit or (to_land and did_not_land(edit)):
            found.append((position, edit))
            continue
        how = "failed"
        if did_not_land(edit):
            how, expected = "did not land", "landed pictures; put a PhotoDownloadOperator before this task"
        failed.append(f"{who(edit)} {how} ({edit['error']['message']})")
    if failed and not found:
        seen = failed[0] if len(failed) == 1 else f"none of {len(failed)} edits has pictures: {some(failed)}"
        raise AluoRequestInvalid(subject, [Problem("edits", seen, expected)])
    if failed:
        log.warning("left out of %d edits: %s", len(edits), some(failed))
    return found


def who(edit: EditRecord) -> str:
    """Return what a person knows an edit by."""
    return edit["aluo_task_id"] or "one without an id"


def some(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _file(where: str, name: str) -> tuple[Folder, str]:
    """Return a file's folder and name. ``where``: the file itself, or its folder, which gets the ``name``."""
    if not where.lower().endswith(".jsonl"):
        return Folder(where), name
    if local := local_path(where):
        return Folder(str(local.parent)), local.name
    folder, _, name = where.rpartition("/")
    return Folder(folder), name


def _written(records: Sequence[EditRecord], folder: Folder, name: str) -> list[ResultsPart]:
    pieces = []
    with folder.scratch() as scratch:
        with scratch.open("wb") as file:
            for first in range(0, len(records), PIECE):
                piece, start = records[first : first + PIECE], file.tell()
                content = "".join(f"{json.dumps(one)}\n" for one in piece).encode()
                file.write(content)
                digest = hashlib.sha256(content).hexdigest()
                pieces.append((start, file.tell(), len(piece), digest))
        address = folder.keep(scratch, name)
    return [
        ResultsPart(results=address, start=start, end=end, edits=edits, sha256=digest)
        for start, end, edits, digest in pieces
    ]


def _credits(records: Sequence[EditRecord]) -> EditCredits:
    paid = [one for one in records if one["aluo_task_id"] is not None and one["status"] != STATUS_FAILED]
    told = [one for one in records if one["credits"]["remaining"] is not None]
    newest = max(told, key=_last_heard, default=None)
    return EditCredits(
        estimated=_sum(one["credits"]["estimated"] for one in paid),
        deducted=_sum(one["credits"]["deducted"] for one in records),
        remaining=None if newest is None else newest["credits"]["remaining"],
    )


def _last_heard(record: EditRecord) -> str:
    """Return the time of what is known last of an edit: all are UTC, ISO 8601, and sort as text."""
    return record["times"]["completed_at"] or record["times"]["accepted_at"] or ""


def _sum(numbers: Iterable[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
