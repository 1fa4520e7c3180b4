"""The page that shows edits to a person who judges them, as Markdown. Plain values in and out."""

from __future__ import annotations

import hashlib
import json
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.protocol import review
from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.markdown import escaped
from airflow_aluo.protocol.rendered import bare, optional, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_aluo.protocol.record import EditRecord

    #: Makes the address of a picture: of the edit's position, ``before`` or ``after``, and its number there.
    PictureAddress = Callable[[int, str, int], str]

#: Longest page, in bytes of UTF-8: MySQL, where Airflow may keep it, takes 65,535.
LONGEST_PAGE: Final = 60_000
#: Longest words of the DAG's author, in bytes of UTF-8: they leave room for a row of each edit.
LONGEST_INTRODUCTION: Final = 20_000

#: Longest prompts, in characters.
_PROMPT, _PROMPT_OF_MANY = 2000, 200
#: Most pictures in a cell, of one edit and of many: the first number with which the page is short enough.
_PICTURES, _PICTURES_OF_MANY = (10, 4, 1), (4, 1)


def introduction(value: Any) -> str | None:
    """Return the words of the DAG's author, ``None`` where there are none.

    :raises AluoRequestInvalid: they are no text, or too long.
    """
    found = optional(value)
    if found is None:
        return None
    if not isinstance(found, str):
        raise AluoRequestInvalid("review", [Problem("body", shown(found), "Markdown, as text")])
    if (size := _size(found)) > LONGEST_INTRODUCTION:
        expected = f"at most {LONGEST_INTRODUCTION:,}; the pictures are shown below it, so link to the rest"
        raise AluoRequestInvalid("review", [Problem("body", f"{size:,} bytes", expected)])
    return found


def mark(edits: Sequence[EditRecord]) -> str:
    """Return what ends the page of these edits and their pictures, and of no others: unseen Markdown.

    A page that Airflow kept tells by it what it is about.
    """
    about = [
        (edit["aluo_task_id"], [one["sha256"] for one in edit["files"]] or [*map(bare, edit["result_urls"])])
        for edit in edits
    ]
    return f"[edits]: #{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:32]}"


def page(edits: Sequence[EditRecord], address: PictureAddress, above: str | None = None) -> str:
    """Return Markdown that shows each edit: what was asked, before, after.

    Where that would be longer than :data:`LONGEST_PAGE`, there are fewer pictures, then only the first edits
    have some, at last there are no prompts: the gallery has all.

    :param above: Markdown of the DAG's author, as :func:`introduction` returned it.
    """
    start, table = [above] if above else [], ["| Before | After |", "| --- | --- |"]
    if len(edits) > 1:
        table = ["| Edit | Before | After |", "| --- | --- | --- |"]
        redone = f", or redone if you choose *{review.REDO_OTHERS}*, too"
        others = redone if review.REDO_OTHERS in review.options(edits) else ""
        start.append(f"Choose the good ones. The others are rejected{others}.")
    elif asked := escaped(review.prompt(edits[0]), _PROMPT):
        start.append(asked)

    def joined(rows: Sequence[str]) -> str:
        return "\n\n".join([*start, "\n".join([*table, *rows]), mark(edits)])

    return joined(_fitting(edits, address, LONGEST_PAGE - _size(joined([]))))


def _fitting(edits: Sequence[EditRecord], address: PictureAddress, room: int) -> list[str]:
    """Return the table's rows, as rich as so many bytes let them be."""
    rows: list[str] = []
    for most in _PICTURES if len(edits) == 1 else _PICTURES_OF_MANY:
        rows = _rows(edits, address, most)
        if _size_of(rows) <= room:
            return rows
    poor_rows = _rows(edits, address, 0)
    if _size_of(poor_rows) > room:
        return _rows(edits, address, 0, prompts=False)
    left = room - _size_of(poor_rows)
    more = accumulate(_size(rich) - _size(poor) for rich, poor in zip(rows, poor_rows, strict=True))
    whole = sum(1 for _ in takewhile(lambda size: size <= left, more))
    return [*rows[:whole], *poor_rows[whole:]]


def _rows(
    edits: Sequence[EditRecord], address: PictureAddress, most: int, *, prompts: bool = True
) -> list[str]:
    """Return a row for each edit.

    :param most: pictures in a cell.
    :param prompts: a row among others says what was asked for.
    """
    if len(edits) == 1:
        return [f"| {_cells(edits[0], 0, address, 'large', most)} |"]
    rows = []
    for place, (label, edit) in enumerate(zip(review.labels(edits), edits, strict=True)):
        asked = escaped(review.prompt(edit), _PROMPT_OF_MANY) if prompts else ""
        said = f"**{escaped(label, len(label))}** {asked}".rstrip()
        rows.append(f"| {said} | {_cells(edit, place, address, 'thumb', most)} |")
    return rows


def _cells(edit: EditRecord, place: int, address: PictureAddress, size: str, most: int) -> str:
    request = edit["request"] or {"image_urls": [], "image_files": []}
    counts = {
        "before": len(request["image_urls"]) + len(request["image_files"]),
        "after": len(edit["files"] or edit["result_urls"]),
    }
    cells = []
    for kind, count in counts.items():
        pictures = [
            f"![{kind}]({address(place, kind, number)}?size={size})" for number in range(min(count, most))
        ]
        more = f"and {count - most} more, see the gallery" if pictures else f"{count}, see the gallery"
        cells.append(" ".join([*pictures, *([more] if count > most else [])]) or "-")
    return " | ".join(cells)


def _size(text: str) -> int:
    """Return bytes of UTF-8."""
    return len(text.encode("utf-8", "surrogatepass"))


def _size_of(rows: Sequence[str]) -> int:
    """Return the bytes of rows, each with the end of the line before it."""
    return sum(_size(row) + 1 for row in rows)
