"""How a set of pictures is published: copied beside the one before, and then named by one small file.

A reader reads ``manifest.json`` and then what it names. That file is replaced at one stroke, when all
pictures of the new set lie there, and those of the set before stay for readers that have it open. A publish
that was cut short has changed nothing that a manifest names; the next one goes on with what was copied.
"""

from __future__ import annotations

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypedDict

from airflow_aluo import lineage
from airflow_aluo.protocol import picture_set
from airflow_aluo.protocol.errors import AluoPictureError, AluoRequestInvalid, Problem
from airflow_aluo.protocol.picture_set import MANIFEST, set_folder
from airflow_aluo.protocol.record import iso
from airflow_aluo.protocol.rendered import shown, without_query
from airflow_aluo.protocol.schemas import validator
from airflow_aluo.storage import Folder, opened_source

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from airflow.sdk import Asset, Context

    from airflow_aluo.protocol.picture_set import Manifest, Origin, Picture, PictureSet

#: Pictures that are copied at once: a store answers slowly, and several questions together.
_AT_ONCE: Final = 8

#: Bytes that are read of a picture at a time.
_CHUNK: Final = 1 << 20


class Published(TypedDict):
    """What was published, as plain JSON."""

    #: The manifest's address, with the Airflow connection that reads it, if it has one.
    manifest: str
    #: Names the set; see :class:`~airflow_aluo.protocol.picture_set.PictureSet`.
    set: str
    #: How many.
    pictures: int
    credits: float | None
    prompts_sha256: str | None
    #: The set is another one than was published before this run of the task.
    changed: bool


def publish(found: PictureSet, destination: str, origin: Origin, *, keep_sets: int, log: Any) -> Published:
    """Put a set of pictures at a destination and make it the one that readers see.

    A set that is the published one already is not published again: what is missing of it is put back, and
    what its manifest says is returned. Sets that were dropped are removed last.

    :param destination: a local folder, or an object-storage address. Two tasks must not publish to one
        destination at the same time.
    :param keep_sets: how many sets remain, the new one included.
    :param log: the task's.
    :raises AluoRequestInvalid: a manifest that is not ours stands there; nothing was written.
    :raises AluoPictureError: a picture is gone, or has changed since it landed; nothing was published.
    """
    folder = Folder(destination, owner=origin.owner)
    standing = _standing(folder)
    named = set() if standing is None else {standing["set"], *standing["previous"]}
    folder.tidy()
    copied = _copy(found, folder, destination, origin, known=found.digest in named, log=log)
    if standing is not None and standing["set"] == found.digest:
        log.info("set %s is published at %s already", found.digest, folder.address(MANIFEST))
        _remove(_dropped(standing, folder), folder, log)
        return _published(standing, folder, changed=_is_of(standing, origin))
    left = [] if standing is None else [one for one in standing["dropped"] if one != found.digest]
    left = _remove(left, folder, log)
    manifest = picture_set.manifest(
        found, standing, origin, keep_sets=keep_sets, published_at=iso(time.time())
    )
    manifest["dropped"] += left
    _write(manifest, folder)
    log.info(
        "published %d picture%s (%d copied now) as set %s at %s",
        *(len(found.pictures), "s" * (len(found.pictures) != 1), copied, found.digest),
        folder.address(MANIFEST),
    )
    _remove(_dropped(manifest, folder, besides=left), folder, log)
    return _published(manifest, folder, changed=True)


def _standing(folder: Folder) -> Manifest | None:
    """Return the manifest that readers see now, ``None`` where nothing was published yet.

    :raises AluoRequestInvalid: it is somebody else's. What it names would be taken for sets to be removed.
    """
    content = folder.read(MANIFEST)
    if content is None:
        return None
    try:
        manifest: Manifest = json.loads(content)
    except ValueError:
        why = "it is no JSON"
    else:
        error = next(validator("manifest").iter_errors(manifest), None)
        if error is None:
            return manifest
        why = f"{error.json_path}: {without_query(error.message)[:120]}"
    expected = f"one that PhotoPublishOperator wrote ({why}); choose another destination, or remove it"
    address = without_query(folder.address(MANIFEST))
    raise AluoRequestInvalid(
        "publish", [Problem("destination", address, expected)], unharmed="nothing was published"
    )


def _copy(
    found: PictureSet, folder: Folder, destination: str, origin: Origin, *, known: bool, log: Any
) -> int:
    """Put all pictures of a set into its folder and return how many did not lie there already.

    :param known: the standing manifest names the set.
    """
    # What is half done lies in the set's own folder, and goes with it.
    pictures = Folder(f"{destination.rstrip('/')}/{set_folder(found.digest)}", owner=origin.owner)
    pictures.tidy()
    pictures.address(MANIFEST)  # connects to the store, once for all threads
    try:
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="publish") as pool:
            return sum(pool.map(lambda one: _put(one, pictures), found.pictures))
    except AluoPictureError:
        # It is not this set that a later try publishes: nobody would ever remove it.
        if not known:
            _remove([found.digest], folder, log)
        raise


def _put(picture: Picture, folder: Folder) -> bool:
    """Copy a picture to its name and tell whether that was needed.

    :raises AluoPictureError: it is gone, or is not what landed.
    """
    landed = picture.file
    if folder.digest(picture.name) == landed["sha256"]:
        return False
    address = without_query(landed["path"])
    with folder.scratch() as scratch:
        try:
            sha256 = _stream(landed["path"], scratch)
        except FileNotFoundError as error:
            message = f"picture {address} is not there, or not where this worker can read it; land it anew"
            raise AluoPictureError(message, url=address) from error
        if sha256 != landed["sha256"]:
            message = (
                f"picture {address} has changed since it landed: its SHA-256 is {sha256}, "
                f"expected {landed['sha256']}; clear the task that landed it, with those after it"
            )
            raise AluoPictureError(message, url=address)
        folder.keep(scratch, picture.name)
    return True


def _stream(address: str, path: Path) -> str:
    """Copy a file to a local path and return its SHA-256."""
    sha256 = hashlib.sha256()
    with opened_source(address) as source, path.open("wb") as target:
        while chunk := source.read(_CHUNK):
            sha256.update(chunk)
            target.write(chunk)
    return sha256.hexdigest()


def _write(manifest: Manifest, folder: Folder) -> None:
    validator("manifest").validate(manifest)
    with folder.scratch() as scratch:
        scratch.write_text(f"{json.dumps(manifest, indent=2)}\n", "utf-8")
        folder.keep(scratch, MANIFEST)


def _dropped(mine: Manifest, folder: Folder, *, besides: Iterable[str] = ()) -> list[str]:
    """Return the sets that may be removed now: none if somebody else has published meanwhile."""
    standing = _standing(folder)
    if standing is None or standing["published_at"] != mine["published_at"]:
        return []  # the next publish removes what its own manifest drops
    return [one for one in mine["dropped"] if one not in besides]


def _remove(sets: Iterable[str], folder: Folder, log: Any) -> list[str]:
    """Remove sets and return those that could not be: their pictures cost room, and no reader's peace."""
    left = []
    for digest in sets:
        try:
            folder.remove(set_folder(digest))
        except Exception as error:  # noqa: BLE001  # each store has errors of its own
            log.warning("set %s could not be removed, the next publish tries again: %s", digest, error)
            left.append(digest)
    return left


def _is_of(manifest: Manifest, origin: Origin) -> bool:
    """Tell whether an earlier try has written a manifest: it may have been killed before it told anybody."""
    of = (origin.dag_id, origin.run_id, origin.task_id)
    return (manifest["dag_id"], manifest["run_id"], manifest["task_id"]) == of


def _published(manifest: Manifest, folder: Folder, *, changed: bool) -> Published:
    return Published(
        manifest=folder.address(MANIFEST),
        set=manifest["set"],
        pictures=len(manifest["pictures"]),
        credits=manifest["credits"],
        prompts_sha256=manifest["prompts_sha256"],
        changed=changed,
    )


# --- assets


def asset(manifest: str) -> Asset:
    """Return the asset that a destination is to an asset alias: its manifest's address, as lineage has it.

    :raises AluoRequestInvalid: Airflow takes no such address.
    """
    from airflow.sdk import Asset

    uri = lineage.uri(manifest)
    try:
        return Asset(name=uri, uri=uri)
    except ValueError as error:
        expected = f"an address that can be an asset's ({error}), for this task has an AssetAlias"
        problem = Problem("destination", shown(uri), expected)
        raise AluoRequestInvalid("publish", [problem], unharmed="nothing was published") from error


def announce(outlets: Iterable[Any], context: Context, published: Published) -> None:
    """Tell a task's outlets what was published: assets themselves, aliases by :func:`asset`.

    :param outlets: the task's; what is neither an asset nor an alias is left alone.
    """
    from airflow.sdk import AssetAlias
    from airflow.sdk.definitions.asset import Asset, AssetRef

    for outlet in outlets:
        if isinstance(outlet, AssetAlias):
            context["outlet_events"][outlet].add(asset(published["manifest"]), extra=_extra(published))
        elif isinstance(outlet, Asset | AssetRef):
            context["outlet_events"][outlet].extra.update(_extra(published))


def _extra(published: Published) -> dict[str, Any]:
    """Return an event's extra, a new one each time: events do not share theirs."""
    return {**published}
