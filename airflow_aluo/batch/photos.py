"""Loads the photos of the next edits before their turn: a slow store must not let a turn grow old."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Final

from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.rendered import shown
from airflow_aluo.storage import load_photos, local_path

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

    from airflow_aluo.protocol.calls import Upload
    from airflow_aluo.protocol.photo_edit import PhotoEdit

#: Edits whose photos are loaded, or are being loaded, while the one before them waits for its turn.
AHEAD: Final = 4


def unreadable(edits: Sequence[PhotoEdit], places: Iterable[int]) -> list[Problem]:
    """Return a problem for each local file that edits would upload, and cannot.

    What lies in object stores is asked for when its turn comes.

    :param places: of those that are about to be submitted.
    """
    why = cache(_why_not)
    return [
        Problem(
            f"[{place}] image_files[{index}]", shown(address), f"a file that this worker can read ({seen})"
        )
        for place in places
        for index, address in enumerate(edits[place].image_files)
        if (seen := why(address)) is not None
    ]


def _why_not(address: str) -> str | None:
    """Return why a local file cannot be read, ``None`` where it can, or is none."""
    try:
        if (path := local_path(address)) is None:
            return None
        if not path.exists():
            return "there is none"
        if not path.is_file():
            return "it is no file"
    except (OSError, RuntimeError, ValueError) as error:  # no address of a file, or in a closed folder
        return f"{type(error).__name__}: {error}"
    return None if os.access(path, os.R_OK) else "its owner does not let this worker"


async def load(edit: PhotoEdit) -> Sequence[Upload]:
    """Return what an edit uploads.

    :raises AluoRequestInvalid: a photo cannot be read.
    """
    if not edit.image_files:
        return ()
    try:
        return await asyncio.to_thread(load_photos, edit.image_files)
    except AluoRequestInvalid as error:
        problems = [_told_once(one, edit.image_files) for one in error.problems]
        raise AluoRequestInvalid("an edit", problems, unharmed="nothing was sent for it") from error


def _told_once(problem: Problem, addresses: Sequence[str]) -> Problem:
    """Return a problem whose reason does not repeat the address that stands before it."""
    expected = problem.expected
    for address in addresses:
        path = address.partition("://")[2].rpartition("@")[2] or address  # as stores tell it
        for again in (path, f"/{path}", repr(path)):
            expected = expected.replace(f": {again})", ")")
    return replace(problem, expected=expected)


def ahead(
    places: Iterable[int], load_of: Callable[[int], Awaitable[Sequence[Upload]]]
) -> Iterator[tuple[int, Awaitable[Sequence[Upload]]]]:
    """Give the places in their order, each with the loading of its photos, begun some places earlier."""
    loading: deque[tuple[int, asyncio.Future[Sequence[Upload]]]] = deque()
    try:
        for place in places:
            loading.append((place, asyncio.ensure_future(load_of(place))))
            if len(loading) > AHEAD:
                yield loading.popleft()
        while loading:
            yield loading.popleft()
    finally:
        for _, one in loading:
            one.cancel()
