"""A file of edits, line by line: one JSON object a line, or comma-separated cells."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any, Final

from airflow_aluo.protocol.errors import Problem
from airflow_aluo.protocol.photo_edit import PARAMETERS
from airflow_aluo.protocol.rendered import shown

#: A line's number as an editor shows it, and an edit's parameters or what is wrong with the line.
Row = tuple[int, Mapping[str, Any] | Problem]

AN_EDIT: Final = f"an object with the parameters {', '.join(PARAMETERS)}"
_COLUMNS: Final = f"a first line with the columns {', '.join(PARAMETERS)}, separated by commas"


def _text(file: IO[bytes]) -> Iterator[str]:
    """Give the lines; what comes before the first one's text is a mark that some programs write."""
    for index, line in enumerate(file):
        yield line.decode("utf-8" if index else "utf-8-sig")


def _json_lines(file: IO[bytes]) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        seen: Any = line
        try:
            seen = line.decode("utf-8" if number > 1 else "utf-8-sig").strip()
            if not seen:
                continue
            edit = json.loads(seen)
        except (ValueError, RecursionError) as error:
            yield number, Problem("", shown(seen), f"{AN_EDIT}, as JSON in UTF-8 on one line ({error})")
            continue
        yield number, edit if isinstance(edit, Mapping) else Problem("", shown(edit), AN_EDIT)


def _cells(file: IO[bytes]) -> Iterator[Row]:
    reader = csv.reader(_text(file), strict=True)
    columns: list[str] = []
    while True:
        number = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except (csv.Error, UnicodeDecodeError) as error:
            yield (
                number,
                Problem(
                    "",
                    f"not readable ({error})",
                    "text in UTF-8, separated by commas, with a quote on both sides of a cell or on none",
                ),
            )
            return
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            continue
        if not columns:
            if wrong := _wrong(columns := cells):
                yield number, Problem("", wrong, _COLUMNS)
                return
        elif len(cells) > len(columns):
            expected = (
                f"{len(columns)}, as in the first line; a text that holds commas needs quotes around it"
            )
            yield number, Problem("", f"{len(cells)} cells", expected)
        else:
            yield number, {name: cell for name, cell in zip(columns, cells, strict=False) if cell}


def _wrong(columns: Sequence[str]) -> str | None:
    """Return what is wrong with a file's columns."""
    for index, name in enumerate(columns):
        if name not in PARAMETERS:
            return f"column {shown(name)}"
        if name in columns[:index]:
            return f"column {name!r} twice"
    if "prompt" not in columns:
        return "no column 'prompt'"
    return None if {"image_urls", "image_files"} & set(columns) else "no column 'image_urls' or 'image_files'"


#: By how the name of a file ends.
READERS: Final[dict[str, Callable[[IO[bytes]], Iterator[Row]]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": _cells,
}


def reader(address: str) -> Callable[[IO[bytes]], Iterator[Row]] | None:
    """Return what reads a file of this name."""
    return next((read for ending, read in READERS.items() if address.lower().endswith(ending)), None)
