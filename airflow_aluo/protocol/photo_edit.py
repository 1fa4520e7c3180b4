"""What can be asked: the parameters of an edit, read leniently and checked strictly.

The names are the vendor's in snake case; the schemas ``generate_request`` and ``generate_form`` decide
what is allowed. Source: https://aluo.ai/docs/api/photo-editor (read 2026-11-22).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.protocol import chained
from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.rendered import optional, shown, whole_number
from airflow_aluo.protocol.schemas import validator
from airflow_aluo.protocol.vocabulary import (
    ASPECT_RATIOS,
    MAX_REFERENCE_IMAGES,
    MIN_REFERENCE_IMAGES,
    OUTPUT_FORMATS,
)

if TYPE_CHECKING:
    from jsonschema import ValidationError

    from airflow_aluo.protocol.chained import Images

#: The parameters of an edit, as the operator, the hook and the record name them.
PARAMETERS: Final = (
    "prompt",
    "image_urls",
    "image_files",
    "aspect_ratio",
    "output_format",
    "num_images",
)

_NAMES: Final = {
    "prompt": "prompt",
    "imageUrls": "image_urls",
    "aspectRatio": "aspect_ratio",
    "outputFormat": "output_format",
    "numImages": "num_images",
}

_COUNT: Final = f"{MIN_REFERENCE_IMAGES} to {MAX_REFERENCE_IMAGES}"
_EXPECTED: Final = {
    "prompt": "a sentence that says what to change",
    "image_urls": f"{_COUNT} http(s) addresses",
    "image_urls[]": "an address that begins with http:// or https:// and holds no blanks, or an edit record",
    "image_files": f"{_COUNT} local paths or object-storage addresses",
    "image_files[]": "a local path or an object-storage address such as s3://conn@bucket/photo.jpg, "
    "or the record of a landed edit",
    "aspect_ratio": f"one of {', '.join(ASPECT_RATIOS)}, or nothing to let Aluo decide",
    "output_format": f"one of {', '.join(OUTPUT_FORMATS)}, or nothing for png",
    "num_images": "a whole number, 1 or more",
}

#: Stand for values that are known only when a task runs: each is valid.
_STAND_INS: Final[dict[str, Any]] = {
    "prompt": "known later",
    "image_urls": "https://known.later/",
    "image_files": "known-later",
    "aspect_ratio": None,
    "output_format": None,
    "num_images": None,
}

_WEB: Final = re.compile(r"https?://", re.IGNORECASE)
_FILE_FIELD: Final = re.compile(r"file(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoEdit:
    """One edit to ask for. Made by :func:`read`, which checks it."""

    prompt: str
    image_urls: tuple[str, ...] = ()
    image_files: tuple[str, ...] = ()
    aspect_ratio: str | None = None
    output_format: str | None = None
    num_images: int | None = None
    #: Where earlier edits are edited, the photo from which the first was made. It is not asked for.
    source: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the vendor's document: a JSON body, or a form whose files are named by address."""
        images: dict[str, Any] = (
            {f"file{index}": address for index, address in enumerate(self.image_files)}
            if self.image_files
            else {"imageUrls": list(self.image_urls)}
        )
        chosen = {
            "aspectRatio": self.aspect_ratio,
            "outputFormat": self.output_format,
            "numImages": self.num_images,
        }
        given = {name: value for name, value in chosen.items() if value is not None}
        return {"prompt": self.prompt, **images, **given}

    def to_json(self) -> dict[str, Any]:
        """Return the parameters as the edit record holds them."""
        plain = asdict(self)
        del plain["source"]
        return plain | {name: list(plain[name]) for name in ("image_urls", "image_files")}


def read(parameters: Mapping[str, Any]) -> PhotoEdit:
    """Return the edit that the parameters ask for.

    What a template renders is understood: ``"2"`` as 2, ``""`` and ``"None"`` as nothing, a list that
    became text as the list, one address as a list of one. Records of earlier edits stand for their pictures:
    see :mod:`~airflow_aluo.protocol.chained`.

    :param parameters: any of :data:`PARAMETERS`.
    :raises AluoRequestInvalid: with everything that is wrong.
    """
    images = chained.images(parameters.get("image_urls"), parameters.get("image_files"))
    edit = PhotoEdit(
        prompt=optional(parameters.get("prompt")) or "",
        image_urls=images.urls,
        image_files=images.files,
        aspect_ratio=_stripped(optional(parameters.get("aspect_ratio"))),
        output_format=_stripped(optional(parameters.get("output_format"))),
        num_images=whole_number(optional(parameters.get("num_images"))),
        source=images.source,
    )
    problems = [*unknown(parameters), *images.problems, *_source(edit, images), *_against_schema(edit)]
    if problems:
        raise AluoRequestInvalid("photo edit", problems)
    return edit


def check_known(parameters: Mapping[str, Any], *, pending: Callable[[Any], bool]) -> None:
    """Check what is known before the task runs: values that are pending are taken to be right.

    :param parameters: any of :data:`PARAMETERS`, as written in the DAG.
    :param pending: tells whether a value (or one element of a list) is known only at run time.
    :raises AluoRequestInvalid: with everything that is wrong already.
    """
    known = dict(parameters)
    urls, files = known.get("image_urls"), known.get("image_files")
    if pending(files) and urls:  # which of them will be empty is not known yet: check one
        known["image_files"] = None
    elif pending(urls) and files:
        known["image_urls"] = None
    for name, value in known.items():
        if pending(value):
            known[name] = _STAND_INS.get(name)
        elif isinstance(value, list | tuple):
            if any(map(pending, value)) and any(isinstance(item, Mapping) for item in value):
                known[name] = _STAND_INS.get(name)  # what is right beside a record is not known yet
                continue
            known[name] = [_STAND_INS.get(name) if pending(item) else item for item in value]
    read(known)


def unknown(parameters: Mapping[str, Any]) -> list[Problem]:
    """Return a problem for each parameter that an edit does not have."""
    return [
        Problem(str(name), shown(value), f"one of the parameters {', '.join(PARAMETERS)}")
        for name, value in parameters.items()
        if name not in PARAMETERS
    ]


def _stripped(value: Any) -> Any:
    """Return text without the line break that a template left behind it."""
    return value.strip() if isinstance(value, str) else value


def _source(edit: PhotoEdit, images: Images) -> list[Problem]:
    """Return what is wrong with where the photos come from: exactly one source must be given."""
    problems = []
    if edit.image_urls and edit.image_files:
        expected = "one of them: addresses that Aluo fetches, or files that are uploaded"
        problems.append(Problem("image_urls and image_files", "both given", expected))
    if not images.given:
        expected = f"image_urls ({_COUNT} addresses) or image_files ({_COUNT} files)"
        problems.append(Problem("image_urls and image_files", "no image given", expected))
    for index, address in enumerate(edit.image_files):
        if _WEB.match(str(address)):
            expected = "a file to upload; give addresses on the web as image_urls, which Aluo fetches"
            problems.append(Problem(f"image_files[{index}]", shown(address), expected))
    if edit.image_files and edit.num_images is not None:
        expected = "no num_images with image_files (Aluo's form has no such field); use image_urls"
        if images.landed:
            expected += " and output['result_urls'], for a record's landed files are uploaded"
        problems.append(Problem("num_images", shown(edit.num_images), expected))
    return problems


def _against_schema(edit: PhotoEdit) -> list[Problem]:
    document = edit.document()
    if not edit.image_files:
        name = "generate_request"
        if not edit.image_urls:
            document["imageUrls"] = [_STAND_INS["image_urls"]]  # said already
    else:
        name = "generate_form"
        document.pop("numImages", None)  # said already
    errors = sorted(validator(name).iter_errors(document), key=lambda error: error.json_path)
    return [_problem(error, edit) for error in errors]


def _problem(error: ValidationError, edit: PhotoEdit) -> Problem:
    """Say in the user's words what the schema says in its own."""
    where = list(error.absolute_path)
    if not where:  # a sixth file is the only property that a document of ours can have too many
        return Problem("image_files", f"{len(edit.image_files)} given", _EXPECTED["image_files"])
    if found := _FILE_FIELD.fullmatch(str(where[0])):
        name = f"image_files[{found[1]}]"
        return Problem(name, shown(error.instance), _EXPECTED["image_files[]"])
    name = _NAMES[str(where[0])]
    if len(where) > 1:
        return Problem(f"{name}[{where[1]}]", shown(error.instance), _EXPECTED[f"{name}[]"])
    if name == "image_urls":
        return Problem(name, f"{len(edit.image_urls)} given", _EXPECTED[name])
    return Problem(name, shown(error.instance), _EXPECTED[name])
