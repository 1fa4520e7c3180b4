"""A set of pictures as it is published: their names, its digest, its manifest, and which sets it replaces.

Plain JSON in, plain JSON out (schema ``manifest``); what moves bytes is :mod:`airflow_aluo.publishing`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypedDict

from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.rendered import bare, shown, stem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_aluo.protocol.naming import Name
    from airflow_aluo.protocol.record import EditRecord, LandedFile

#: What a picture's name may be made of.
PLACEHOLDERS: Final = frozenset(
    {"photo", "index", "position", "aluo_task_id", "ext", "dag_id", "run_id", "task_id", "prompt"}
)

#: The file that says which set is the published one.
MANIFEST: Final = "manifest.json"

#: Hexadecimal digits of a set's digest: enough to tell the few sets of one destination apart.
_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Origin:
    """The task instance that publishes."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    @property
    def owner(self) -> str:
        """A few letters that tell this task instance from others; the same for each of its tries."""
        whole = json.dumps([self.dag_id, self.run_id, self.task_id, self.map_index])
        return hashlib.sha256(whole.encode()).hexdigest()[:_DIGITS]


@dataclass(frozen=True, slots=True)
class Picture:
    """A landed picture, and the name that it is to have in its set."""

    name: str
    file: LandedFile
    aluo_task_id: str | None
    prompt: str | None
    #: The photo from which its edit, or the first of a chain of edits, was made: its address without query
    #: and user; ``None`` where it is not known.
    source: str | None

    @property
    def edit(self) -> str:
        """What a person knows its edit by."""
        return self.aluo_task_id or self.source or self.file["path"]


@dataclass(frozen=True, slots=True)
class PictureSet:
    """Pictures that are published together."""

    pictures: tuple[Picture, ...]
    #: What Aluo said that it took for their edits, ``None`` where it said nothing.
    credits: float | None
    #: Of the JSON list of the distinct prompts, sorted; ``None`` where no prompt is known.
    prompts_sha256: str | None
    #: Names the set: the beginning of the SHA-256 of what ``sha256sum`` prints for the pictures, by name.
    digest: str


class ManifestPicture(TypedDict):
    """One picture of a published set."""

    #: Relative to the manifest.
    path: str
    sha256: str
    bytes: int
    width: int
    height: int
    format: str
    aluo_task_id: str | None
    prompt: str | None
    source: str | None


class Manifest(TypedDict):
    """What a reader of a destination reads first; see ``schemas/manifest.schema.json``."""

    version: int
    set: str
    published_at: str
    dag_id: str
    run_id: str
    task_id: str
    pictures: list[ManifestPicture]
    credits: float | None
    prompts_sha256: str | None
    #: Sets whose pictures still lie there, the newest first.
    previous: list[str]
    #: Sets that are removed once this manifest stands; a later publish removes what was left of them.
    dropped: list[str]


def set_folder(digest: str) -> str:
    """Return the folder of a set, relative to the destination."""
    return f"sets/{digest}"


def of(edits: Iterable[tuple[int, EditRecord]], name: Name, origin: Origin) -> PictureSet:
    """Return the set of all pictures that were landed of these edits.

    :param edits: each with its position in the list that the user gave.
    :param name: uses :data:`PLACEHOLDERS`.
    :raises AluoRequestInvalid: two pictures would get one name.
    """
    edits = list(edits)
    pictures = tuple(picture for position, edit in edits for picture in _named(edit, position, name, origin))
    if (clash := _clash(pictures)) is not None:
        raise AluoRequestInvalid("publish", [_problem(name, *clash)], unharmed="nothing was published")
    taken = [edit["credits"]["deducted"] for _, edit in edits]
    known = [one for one in taken if one is not None]
    return PictureSet(
        pictures=pictures,
        credits=sum(known) if known else None,
        prompts_sha256=_prompts_digest({one.prompt for one in pictures if one.prompt is not None}),
        digest=_digest(pictures),
    )


def manifest(
    found: PictureSet, standing: Manifest | None, origin: Origin, *, keep_sets: int, published_at: str
) -> Manifest:
    """Return the manifest that makes this set the published one.

    :param standing: the manifest that it replaces.
    :param keep_sets: how many sets remain, this one included.
    :param published_at: UTC, ISO 8601.
    """
    before = [] if standing is None else [standing["set"], *standing["previous"]]
    chain = [one for one in dict.fromkeys(before) if one != found.digest]
    return Manifest(
        version=1,
        set=found.digest,
        published_at=published_at,
        dag_id=origin.dag_id,
        run_id=origin.run_id,
        task_id=origin.task_id,
        pictures=[_entry(one, found.digest) for one in found.pictures],
        credits=found.credits,
        prompts_sha256=found.prompts_sha256,
        previous=chain[: keep_sets - 1],
        dropped=chain[keep_sets - 1 :],
    )


def _named(edit: EditRecord, position: int, name: Name, origin: Origin) -> Iterator[Picture]:
    request = edit["request"]
    images = [] if request is None else [*request["image_urls"], *request["image_files"]]
    source = edit.get("source") or (bare(images[0]) if images else None)
    prompt = None if request is None else request["prompt"]
    for index, file in enumerate(edit["files"]):
        path = name.of(
            {
                "photo": stem(source) if source else _unknown_photo(edit, index),
                "index": index,
                "position": position,
                "aluo_task_id": edit["aluo_task_id"] or "",
                "ext": "jpg" if file["format"] == "jpeg" else file["format"],
                "dag_id": origin.dag_id,
                "run_id": origin.run_id,
                "task_id": origin.task_id,
                "prompt": prompt or "",
            }
        )
        yield Picture(path, file, edit["aluo_task_id"], prompt, source)


def _unknown_photo(edit: EditRecord, index: int) -> str:
    """Return what stands for a photo of which nothing is known: the edit's id, or the picture's own name."""
    addresses = [*edit["result_urls"][index : index + 1], edit["files"][index]["path"]]
    return edit["aluo_task_id"] or stem(addresses[0])


def _clash(pictures: Sequence[Picture]) -> tuple[Picture, Picture] | None:
    """Return two pictures that cannot both have their names, ``None`` where all can.

    Some file systems take ``A.png`` for ``a.png``, and a file's name cannot be a folder's as well.
    """
    # With the slash as the smallest character, what lies in a folder follows its name at once.
    ordered = sorted((one.name.casefold().replace("/", "\0"), index) for index, one in enumerate(pictures))
    for (first, one), (second, other) in pairwise(ordered):
        if first == second or second.startswith(f"{first}\0"):
            return pictures[one], pictures[other]
    return None


def _problem(name: Name, one: Picture, other: Picture) -> Problem:
    """Say that two pictures cannot both have their names."""
    more = ["{index}"] if one.edit == other.edit and not name.uses("index") else []
    more += ["{prompt}"] if one.prompt != other.prompt and not name.uses("prompt") else []
    more += ["{position}", "{aluo_task_id}"]
    seen = f"{shown(name.template)} calls pictures of {one.edit} and {other.edit} {shown(one.name)}"
    return Problem("name", seen, f"another name for each; add {' or '.join(more)}")


def _digest(pictures: Iterable[Picture]) -> str:
    lines = sorted((one.name, one.file["sha256"]) for one in pictures)
    whole = "".join(f"{sha256}  {name}\n" for name, sha256 in lines)
    return hashlib.sha256(whole.encode()).hexdigest()[:_DIGITS]


def _prompts_digest(prompts: set[str]) -> str | None:
    return hashlib.sha256(json.dumps(sorted(prompts)).encode()).hexdigest() if prompts else None


def _entry(picture: Picture, digest: str) -> ManifestPicture:
    file = picture.file
    return ManifestPicture(
        path=f"{set_folder(digest)}/{picture.name}",
        sha256=file["sha256"],
        bytes=file["bytes"],
        width=file["width"],
        height=file["height"],
        format=file["format"],
        aluo_task_id=picture.aluo_task_id,
        prompt=picture.prompt,
        source=picture.source,
    )
