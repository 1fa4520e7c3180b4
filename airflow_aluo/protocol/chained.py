"""An edit of an edit: records of earlier edits stand where photos are asked for.

========================  ===================  ======================================================
the record                given as             is read as
========================  ===================  ======================================================
has landed files          either               these files: they do not expire, as addresses do
has result addresses      ``image_urls``       these addresses
has result addresses      ``image_files``      a problem: nothing has landed
is of an unfinished edit  either               a problem that names its status
has an error              either               a problem that names the error
and result addresses      either               a problem: it did not land
========================  ===================  ======================================================
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from airflow_aluo.protocol.errors import (
    AluoAddressRefused,
    AluoConnectionError,
    AluoPictureError,
    AluoServerError,
    Problem,
)
from airflow_aluo.protocol.rendered import bare, collection, optional, shown, without_query
from airflow_aluo.protocol.schemas import validator
from airflow_aluo.protocol.vocabulary import STATUS_SUCCESS

_A_RECORD: Final = "the record of an edit as another Aluo task returned it"
_A_FINISHED_EDIT: Final = (
    "a finished edit; put a PhotoEditStatusSensor before this task, or let the task that submits it wait "
    "(wait_for_completion=True)"
)
_AN_EDIT_THAT_SUCCEEDED: Final = (
    "an edit that succeeded; clear the task that asked for it, or leave it out (PhotoDownloadOperator does)"
)
_LANDED: Final = (
    "pictures that were landed; put a PhotoDownloadOperator before this task, or give it as image_urls"
)
#: Errors that keep pictures from landing. Others may be about another submit than the one that gave them.
_NOT_LANDED: Final = {
    one.__name__ for one in (AluoAddressRefused, AluoConnectionError, AluoPictureError, AluoServerError)
}
_RECORDS: Final = (
    "addresses, files or edit records; PhotoEditBatchOperator(photos=...) edits all pictures of a batch"
)
_ONE_KIND: Final = (
    "one kind, for an edit takes files or addresses; put a PhotoDownloadOperator between for every record, "
    "or give addresses only (output['result_urls'])"
)


@dataclass(frozen=True, slots=True)
class Images:
    """The photos of one edit. What is neither text nor a record is left for the schema to refuse."""

    urls: tuple[Any, ...]
    files: tuple[Any, ...]
    #: What keeps records from being used.
    problems: tuple[Problem, ...]
    #: Anything was given at all, right or wrong.
    given: bool
    #: Some of the files are landed pictures of a record.
    landed: bool
    #: Where the first photo is a record's: the photo at the start of its chain of edits.
    source: str | None = None


def images(image_urls: Any, image_files: Any) -> Images:
    """Return the addresses and files that two parameters name, records of edits included.

    Each is an address or a path, a record, a list of these, or what a template made of one.
    """
    given = {"image_urls": _items(image_urls), "image_files": _items(image_files)}
    found: dict[str, list[Any]] = {"image_urls": [], "image_files": []}
    problems, chained, landed = [], False, False
    for name, items in given.items():
        for index, item in enumerate(items):
            if not is_part(item) and not is_record(item):
                found[name].append(item)
                continue
            chained = True
            read = _of_record(name, f"{name}[{index}]", item)
            if isinstance(read, Problem):
                problems.append(read)
                continue
            kind, addresses = read
            found[kind] += addresses
            landed = landed or kind == "image_files"
    urls, files = found.values()
    if chained and urls and files:
        names = " and ".join(name for name, items in given.items() if items)
        problems.append(Problem(names, f"{len(files)} files and {len(urls)} addresses", _ONE_KIND))
        urls = []
    return Images(
        tuple(urls),
        tuple(files),
        tuple(problems),
        given=any(given.values()),
        landed=landed,
        source=_source(next((item for items in given.values() for item in items), None), problems),
    )


def first_name(image_urls: Any, image_files: Any) -> str:
    """Return the first photo's name, for people; ``""`` where there is none."""
    found = images(image_urls, image_files)
    first = found.source or next(iter(found.urls or found.files), "")
    return bare(str(first)).rstrip("/").rpartition("/")[2]


def did_not_land(edit: Mapping[str, Any]) -> bool:
    """Tell whether an edit succeeded at Aluo, and only its pictures did not land."""
    there = bool(edit["result_urls"]) and edit["status"] == STATUS_SUCCESS
    return there and "error" in edit and edit["error"]["type"] in _NOT_LANDED


def not_a_record(value: Any) -> list[Problem]:
    """Return what keeps a value from being the record of an edit; nothing for a right one."""
    errors = sorted(validator("edit_record").iter_errors(value), key=lambda error: error.json_path)
    problems = [
        Problem(error.json_path, shown(error.instance), f"{_A_RECORD} ({without_query(error.message)[:120]})")
        for error in errors
        if error.validator != "required"
    ]
    lacking = {error.json_path: error for error in errors if error.validator == "required"}
    for path, error in lacking.items():  # each has one for every name
        names = ", ".join(name for name in error.validator_value if name not in error.instance)
        problems.append(Problem(path, shown(error.instance), f"{_A_RECORD} (this one has no {names})"))
    return problems


def is_record(value: Any) -> bool:
    """Tell whether a value means to be the record of an edit, rightly or not."""
    return isinstance(value, Mapping) and "result_urls" in value and "version" in value


def is_part(value: Any) -> bool:
    """Tell whether a value refers to a piece of a batch's results, rightly or not."""
    return isinstance(value, Mapping) and "results" in value


def _items(value: Any) -> list[Any]:
    """Return a flat list: lists of records within a list are joined."""
    value = collection(optional(value))
    if value is None:
        return []
    if isinstance(value, str) or not isinstance(value, Sequence):
        value = [value]
    return [one for item in value for one in _one_or_more(item)]


def _one_or_more(item: Any) -> Iterator[Any]:
    if isinstance(item, os.PathLike):
        item = os.fspath(item)
    if isinstance(item, str):
        read = collection(item)  # a record that became text; any other text is an address
        yield read if is_record(read) or is_part(read) else item.strip()
    elif isinstance(item, Sequence) and len(item) and all(map(is_record, item)):
        yield from item
    else:
        yield item


def _no_record(place: str, value: Any) -> Problem | None:
    if is_part(value):
        return Problem(place, "a reference to results of a batch", _RECORDS)
    if not (problems := not_a_record(value)):
        return None
    return replace(problems[0], parameter=f"{place} {problems[0].parameter}")


def _source(first: Any, problems: Sequence[Problem]) -> str | None:
    """Return the photo that stands at the start of the chain of which the first photo given is the end.

    Where only addresses of pictures are known, these are the start.
    """
    if problems or not is_record(first):
        return None
    if "source" in first:
        return str(first["source"])
    request = first["request"]
    if request is None:
        photos = first["result_urls"] if first["aluo_task_id"] is None else ()
    else:
        photos = [*request["image_urls"], *request["image_files"]]
    return next(map(bare, photos), None)


def _of_record(name: str, place: str, edit: Mapping[str, Any]) -> tuple[str, list[str]] | Problem:
    """Return the parameter that takes a record's pictures, and where they are."""
    if wrong := _no_record(place, edit):
        return wrong
    who = "one without an id" if edit["aluo_task_id"] is None else str(edit["aluo_task_id"])
    if "error" in edit:
        lost = did_not_land(edit)
        what = "succeeded, but did not land" if lost else "failed"
        expected = _LANDED if lost else _AN_EDIT_THAT_SUCCEEDED
        return Problem(place, f"{who} {what} ({edit['error']['type']})", expected)
    if edit["files"]:
        return "image_files", [file["path"] for file in edit["files"]]
    if not edit["result_urls"]:
        return Problem(place, f"{who} is {edit['status']}", _A_FINISHED_EDIT)
    if name == "image_files":
        return Problem(place, f"{who} has no landed files", _LANDED)
    return "image_urls", list(edit["result_urls"])
