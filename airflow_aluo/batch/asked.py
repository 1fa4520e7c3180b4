"""Which edits a batch asks for: those of a list or of a file, or every photo with every sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from airflow_aluo.batch.rows import AN_EDIT, READERS, reader
from airflow_aluo.protocol import chained, photo_edit
from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.rendered import collection, optional, shown, without_query

if TYPE_CHECKING:
    from airflow_aluo.protocol.photo_edit import PhotoEdit

_T = TypeVar("_T")

#: Most problems that an error names: a person mends them one by one.
_NAMED: Final = 10

_SUBJECT: Final = "batch of photo edits"
_EDITS: Final = (
    f"a list of edits, or the address of a file of them, named {', '.join(f'*{one}' for one in READERS)}"
)
_NO_RECORD: Final = f"{AN_EDIT}; give records of edits as photos, with prompts, or as an edit's image_files"
_SOME: Final = "at least one; a task before this one can skip it where there is nothing to edit"

#: Stand for what is known only when the task runs, and are right.
_A_PROMPT, _A_PHOTO = "known later", "https://known.later/"
_RIGHT: Final = {"prompt": _A_PROMPT, "image_urls": _A_PHOTO}

_WEB: Final = re.compile(r"https?://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One edit that is asked for."""

    parameters: Mapping[str, Any]
    #: Returns where the user wrote a parameter of it.
    place: Callable[[str], str]
    #: Of a photo that was a record: the photo from which that was made.
    source: str | None = None


def read(edits: Any, *, photos: Any, prompts: Any, shared: Mapping[str, Any], log: Any) -> list[PhotoEdit]:
    """Return the edits in their order; of photos and prompts, all edits of the first photo come first.

    What a template makes of a list or of an edit is understood.

    :param edits: a sequence of edits' parameters, or the address of a file of them: one JSON object a line,
        or CSV, where a cell of ``image_urls`` or ``image_files`` is an address or a JSON list; or …
    :param photos: … addresses or edit records, each a photo or a sequence of one edit's reference images, or
        the references to results that another batch returned; and …
    :param prompts: … sentences, or one.
    :param shared: parameters for the edits that do not name them themselves.
    :param log: is told of records of edits that failed: they are left out.
    :raises AluoRequestInvalid: names the first things that are wrong and where; counts the rest.
    """
    asked = _asked(edits, _succeeded(_with(photos, _records), log), prompts, _nothing_pends)
    return _checked(asked, shared, _read)


def _read(parameters: Mapping[str, Any], source: str | None) -> PhotoEdit:
    edit = photo_edit.read(parameters)
    return edit if source is None else replace(edit, source=source)


def check_known(
    edits: Any, *, photos: Any, prompts: Any, shared: Mapping[str, Any], pending: Callable[[Any], bool]
) -> None:
    """Check what is known before the task runs: what is pending is taken to be right, and a file, too.

    :param pending: tells whether a value (or an element of one) is known only at run time.
    :raises AluoRequestInvalid: as :func:`read` does, whose other parameters these are.
    """
    if pending(edits):  # which of all will be empty is not known yet
        if photos is None and prompts is None:
            edits = [_RIGHT]
        else:
            edits = None
            photos, prompts = (
                _A_PHOTO if photos is None else photos,
                _A_PROMPT if prompts is None else prompts,
            )
    elif optional(edits) is not None:
        photos, prompts = (None if pending(value) else value for value in (photos, prompts))
    if isinstance(address := _address(collection(edits)), str) and reader(address):
        edits = [_RIGHT]
    photos = _A_PHOTO if pending(photos) else _with(photos, lambda _: [_A_PHOTO])
    prompts = _A_PROMPT if pending(prompts) else prompts

    def check(parameters: Mapping[str, Any], _: str | None) -> None:
        photo_edit.check_known(parameters, pending=pending)

    _checked(_asked(edits, photos, prompts, pending), shared, check)


def _nothing_pends(_: Any) -> bool:
    return False


def _checked(
    asked: Iterable[_Asked | Problem],
    shared: Mapping[str, Any],
    check: Callable[[Mapping[str, Any], str | None], _T],
) -> list[_T]:
    """Return what the check makes of each edit, shared parameters included, and of its photo's source."""
    problems: dict[Problem, None] = {}  # many edits may have one and the same
    found = []
    try:
        check(_RIGHT | dict(shared), None)
    except AluoRequestInvalid as error:
        problems |= dict.fromkeys(error.problems)
        shared = {}
    for one in asked:
        if isinstance(one, Problem):
            problems[one] = None
            continue
        given = one.parameters
        missing = {name: value for name, value in shared.items() if optional(given.get(name)) is None}
        try:
            found.append(check({**given, **missing}, one.source))
        except AluoRequestInvalid as error:
            placed = (replace(wrong, parameter=one.place(wrong.parameter)) for wrong in error.problems)
            problems |= dict.fromkeys(placed)
    if problems:
        raise invalid(list(problems))
    return found


def invalid(problems: Sequence[Problem]) -> AluoRequestInvalid:
    """Return the error that names the first of many problems, and how many more there are."""
    named = list(problems[:_NAMED])
    if more := len(problems) - len(named):
        named.append(Problem(f"and {more} more", "not named here", "all to be right before one is sent"))
    return AluoRequestInvalid(_SUBJECT, named)


def _asked(
    edits: Any, photos: Any, prompts: Any, pending: Callable[[Any], bool]
) -> Iterator[_Asked | Problem]:
    values = {"edits": edits, "photos": photos, "prompts": prompts}
    given = [name for name, value in values.items() if optional(value) is not None]
    if given == ["edits"]:
        edits = _address(collection(edits))
        if isinstance(edits, str):
            yield from _of_file(edits)
        elif isinstance(edits, Sequence):
            yield from _of_list(edits, pending)
        else:
            yield Problem("edits", shown(edits), _EDITS)
    elif given == ["photos", "prompts"]:
        yield from _of_each(_many(photos), _many(prompts), pending)
    else:
        seen = f"{' and '.join(given) or 'nothing'} given"
        yield Problem("edits, photos and prompts", seen, "either edits, or photos and prompts")


def _of_list(edits: Sequence[Any], pending: Callable[[Any], bool]) -> Iterator[_Asked | Problem]:
    if not len(edits):
        yield Problem("edits", "none", _SOME)
    for index, item in enumerate(edits[:]):  # one request for all of what a mapped task has returned
        if pending(item):
            continue
        edit = collection(item)
        if chained.is_record(edit) or chained.is_part(edit):
            yield Problem(f"edits[{index}]", "an edit that was made already", _NO_RECORD)
        elif isinstance(edit, Mapping):
            yield _Asked(edit, partial(_within, f"edits[{index}]."))
        else:
            yield Problem(f"edits[{index}]", shown(item), AN_EDIT)


def _of_each(
    photos: Sequence[Any], prompts: Sequence[Any], pending: Callable[[Any], bool]
) -> Iterator[_Asked | Problem]:
    for name, values in (("photos", photos), ("prompts", prompts)):
        if not values:
            yield Problem(name, "none", _SOME)
    for i, photo in enumerate(photos):
        images, source = _images(photo, pending)
        for j, prompt in enumerate(prompts):
            place = partial(_place, f"photos[{i}]", f"prompts[{j}]")
            yield _Asked({"prompt": prompt, **images}, place, source)


def _within(edit: str, parameter: str) -> str:
    return edit + parameter


def _place(photo: str, prompt: str, parameter: str) -> str:
    if parameter.startswith("image_"):
        return photo
    return prompt if parameter == "prompt" else f"{photo}.{parameter}"


def _images(photo: Any, pending: Callable[[Any], bool]) -> tuple[dict[str, list[Any]], str | None]:
    """Return a photo, or several reference images, under the parameter that takes them, and its source."""
    images: dict[str, list[Any]] = {"image_urls": [], "image_files": []}
    later = []
    for address in map(_address, _many(photo)):
        if pending(address):
            later.append(address)
        else:
            on_the_web = isinstance(address, str) and _WEB.match(address.lstrip())
            record = collection(address)
            fetched = chained.is_record(record) and not record.get("files")
            images["image_urls" if on_the_web or fetched else "image_files"].append(address)
    found = chained.images(**images)
    if not found.problems:  # else they are told with the edit
        images = {"image_urls": list(found.urls), "image_files": list(found.files)}
    images["image_files" if images["image_files"] else "image_urls"] += later
    return images, found.source


def _records(part: Any) -> list[Any]:
    from airflow_aluo.batch.results import read_part

    return list(read_part(part))


def _succeeded(photos: Any, log: Any) -> Any:
    """Return photos without the records of edits that failed: those of a batch before this one."""
    from airflow_aluo.batch.results import without_failed

    if optional(photos) is None or chained.is_record(collection(photos)):
        return photos
    given = [collection(photo) for photo in _many(photos)]
    records = [photo for photo in given if chained.is_record(photo)]
    if not any("error" in one for one in records):
        return photos
    without_failed(records, subject=_SUBJECT, log=log)
    return [photo for photo in given if not (chained.is_record(photo) and "error" in photo)]


def _with(photos: Any, records: Callable[[Any], list[Any]]) -> Any:
    """Return photos with records in place of references to results of a batch.

    :param records: returns those that a reference stands for.
    """
    if optional(photos) is None:
        return photos
    found: list[Any] = []
    for photo in _many(photos):
        part = collection(photo)
        found += records(part) if chained.is_part(part) else [photo]
    return found


def _of_file(address: str) -> Iterator[_Asked | Problem]:
    from airflow_aluo.batch.files import opened

    if (rows := reader(address)) is None:
        yield Problem("edits", shown(address), _EDITS)
        return
    name = address.rpartition("/")[2]
    empty = True
    with opened(address, subject=_SUBJECT, expected="a file of edits that this worker can read") as file:
        for line, row in rows(file):
            empty = False
            if isinstance(row, Problem):
                yield replace(row, parameter=f"{name} line {line}")
            else:
                yield _Asked(row, partial(_within, f"{name} line {line}: "))
    if empty:
        yield Problem("edits", f"none in {without_query(address)}", _SOME)


def _address(value: Any) -> Any:
    """Return a path of any kind as text; other values as they are."""
    return str(value) if hasattr(value, "joinpath") else value


def _many(value: Any) -> list[Any]:
    """Return a sequence as a list, and anything else as a list of one."""
    value = collection(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(value[:])
    return [value]
