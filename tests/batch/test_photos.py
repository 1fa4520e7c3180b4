"""Photos are loaded some edits ahead of their turn, in order, and no further."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from airflow_aluo.batch.photos import AHEAD, ahead, load
from airflow_aluo.protocol import photo_edit
from airflow_aluo.protocol.errors import AluoRequestInvalid


async def test_a_few_are_loaded_ahead_and_no_more() -> None:
    begun: list[int] = []

    async def load_of(place: int) -> Sequence[Any]:
        begun.append(place)
        await asyncio.sleep(0)
        return [place]

    for number, (place, loading) in enumerate(ahead(range(10, 30), load_of)):
        assert place == 10 + number
        assert await loading == [place]
        await asyncio.sleep(0)
        assert begun[-1] == min(place + AHEAD, 29)
    assert begun == list(range(10, 30))


async def test_who_breaks_off_leaves_no_loading_behind() -> None:
    async def load_of(_: int) -> Sequence[Any]:
        await asyncio.Event().wait()
        return ()

    for _ in (going := ahead(range(10), load_of)):
        break
    going.close()  # type: ignore[attr-defined]  # it is a generator
    before = asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]  # a task runs
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    left = [one for one in before if not one.done()]
    assert len(left) == 1, "only that of the place that was given"
    left[0].cancel()


async def test_what_cannot_be_loaded_is_refused() -> None:
    edit = photo_edit.read({"prompt": "x", "image_files": "/nowhere/a.png"})
    with pytest.raises(AluoRequestInvalid):
        await load(edit)
    assert await load(photo_edit.read({"prompt": "x", "image_urls": "https://x.example/a.png"})) == ()
