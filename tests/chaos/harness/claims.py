"""What must be of every row, and of one row as its table says."""

import re
from collections.abc import Iterator
from typing import Any

from harness.aluo import PRICE
from harness.rig import KEYS_BEGIN
from harness.row import Finding, Row


def wrongs(found: Finding) -> list[str]:
    """Return what is wrong with a finding, in sentences."""
    return [*_in_general(found), *_as_the_table_says(found)]


def _in_general(found: Finding) -> Iterator[str]:
    row = found.row
    if found.charged > row.asked * PRICE:
        yield f"{found.charged} credits were charged for {row.asked} requested edits of {PRICE}"
    for task, state in found.ends.items():
        if state == "success" and not row.bare:
            for record in edits(found.records.get(task)):
                yield from _bare(task, record, waited=not _submits_only(row, task))
    yield from _lost(found)
    for try_, log in found.logs.items():
        if KEYS_BEGIN in log:
            yield f"an API key stands in the log of {try_}"


def edits(returned: Any) -> list[Any]:
    """Return what a task returned, edit by edit: a batch returns many."""
    return returned if isinstance(returned, list) and returned else [returned]


def _submits_only(row: Row, task: str) -> bool:
    return row.dag == "edit_and_let_go" or task == "submit"


def _bare(task: str, record: Any, *, waited: bool) -> Iterator[str]:
    """What is a success with nothing in its hands."""
    if not isinstance(record, dict) or not record.get("aluo_task_id"):
        yield f"{task} is a success without a record: {record!r}"
    elif waited and not (record["result_urls"] and record["status"] == "SUCCESS"):
        yield f"{task} is a success without a picture: {record}"


def _lost(found: Finding) -> Iterator[str]:
    """What failed though its edit has succeeded."""
    returned = {
        record["aluo_task_id"]
        for task, records in found.records.items()
        for record in edits(records)
        if isinstance(record, dict) and found.ends[task] == "success" and record.get("result_urls")
    }
    failed = [task for task, state in found.ends.items() if state not in {"success", "skipped"}]
    for entry in found.entries:
        lost = entry["status"] == "SUCCESS" and entry["aluo_task_id"] not in returned
        if failed and lost and not found.row.lost:
            yield f"{', '.join(failed)} failed, but {entry['aluo_task_id']} succeeded and was paid for"


def _as_the_table_says(found: Finding) -> Iterator[str]:
    row = found.row
    posts = row.accepted if row.posts is None else row.posts
    for what, is_, must in (
        ("edits accepted", found.accepted, row.accepted),
        ("credits charged", found.charged, row.charged),
        ("POSTs seen", found.posts, posts),
        ("ends", dict(found.ends), {} if row.may_vanish and not found.ends else dict(row.ends)),
        ("tries", max(found.tries.values(), default=1), row.tries),
    ):
        if is_ != must and must is not None:
            yield f"{what}: {is_}, not {must}"
    last = next(reversed(found.logs.values()), "")
    everything = "\n".join(found.logs.values())
    if row.says and not re.search(row.says, last):
        yield f"the last try's log does not say {row.says!r}:\n{_end(last)}"
    if row.tells and not re.search(row.tells, everything):
        yield f"no log says {row.tells!r}:\n{_end(everything)}"
    if row.never_tells and (match := re.search(row.never_tells, everything)):
        yield f"a log says {match[0]!r}"


def _end(log: str) -> str:
    lines = [f"    {line[:600]}" for line in log.splitlines()]
    return "\n".join(lines[-14:])
