"""A thumbnail is made once, however many ask for it at the same time."""

import asyncio
import threading
from pathlib import Path
from typing import BinaryIO

import pytest

from airflow_aluo.ui.images import Thumbnails, keys
from airflow_aluo.ui.originals import NoPicture, Wanted, first, wanted
from airflow_aluo.ui.shelf import Shelf
from tests.conftest import Played
from tests.ui.book import edit_record, landed_file, picture

pytestmark = pytest.mark.usefixtures("airflow_database")


def after(**more: object) -> Wanted:
    found = wanted(edit_record(**more), "after", 0)
    assert found is not None
    return found


async def test_many_who_ask_at_the_same_time_share_the_work(tmp_path: Path, played: Played) -> None:
    played.reply(200, picture(900, 900))
    thumbnails = Thumbnails(Shelf(tmp_path / "shelf"))
    one = after(result_urls=[f"{played.url}/a.png"])
    made = await asyncio.gather(*(thumbnails.get(one, 480, "a_dag") for _ in range(8)))
    assert len({content for content, _ in made}) == 1
    assert len(played.requests) == 1


async def test_who_hears_late_that_nothing_is_kept_does_not_make_it_again(
    tmp_path: Path, played: Played
) -> None:
    made = threading.Event()

    class Slow(Shelf):
        """Answers the second question only once the first has led to a thumbnail."""

        asked = 0

        def get(self, key: str) -> bytes | None:
            self.asked += 1
            late, found = self.asked > 1, super().get(key)
            assert not late or made.wait(60)
            return found

    played.reply(200, picture(900, 900))
    thumbnails = Thumbnails(Slow(tmp_path / "shelf"))
    one = after(result_urls=[f"{played.url}/a.png"])
    first, second = (asyncio.create_task(thumbnails.get(one, 480, "a_dag")) for _ in range(2))
    content, _ = await first
    made.set()
    assert (await second)[0] == content
    assert len(played.requests) == 1


async def test_who_goes_away_does_not_take_the_picture_from_the_others(
    tmp_path: Path, played: Played
) -> None:
    played.reply(200, picture(900, 900))
    thumbnails = Thumbnails(Shelf(tmp_path / "shelf"))
    one = after(result_urls=[f"{played.url}/a.png"])
    first, second = (asyncio.create_task(thumbnails.get(one, 480, "a_dag")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    content, _ = await second
    assert content[8:12] == b"WEBP"
    assert len(played.requests) == 1


async def test_a_failure_is_not_kept(tmp_path: Path, played: Played) -> None:
    played.reply(404)
    thumbnails = Thumbnails(Shelf(tmp_path / "shelf"))
    one = after(result_urls=[f"{played.url}/a.png"])
    with pytest.raises(NoPicture, match="its address does not lead to a picture"):
        await thumbnails.get(one, 480, "a_dag")
    played.anew()
    played.reply(200, picture())
    content, _ = await thumbnails.get(one, 480, "a_dag")
    assert content[8:12] == b"WEBP"


async def test_what_was_landed_is_shown_while_its_thumbnail_is_kept(tmp_path: Path) -> None:
    file = landed_file(tmp_path / "a.png", picture())
    one, thumbnails = after(files=[file], result_urls=[]), Thumbnails(Shelf(tmp_path / "shelf"))
    made = await thumbnails.get(one, 480, "a_dag")
    await asyncio.to_thread(Path(file["path"]).unlink)
    assert await thumbnails.get(one, 480, "a_dag") == made
    with pytest.raises(NoPicture):
        await thumbnails.get(one, 480, "another_dag")


def test_thumbnails_are_told_apart_by_content_size_and_dag(tmp_path: Path) -> None:
    files = [landed_file(tmp_path / f"{n}.png", picture(9 + n)) for n in range(2)]
    found = [
        keys(after(files=[file]), side, dag_id)[0]
        for file in files
        for side in (480, 2048)
        for dag_id in ("a_dag", "b_dag")
    ]
    assert len(set(found)) == 8


async def test_only_two_pictures_are_decoded_at_once(tmp_path: Path) -> None:
    file = landed_file(tmp_path / "a.png", picture())
    begun, gate = threading.Semaphore(0), threading.Semaphore(0)

    def use(_: BinaryIO) -> None:
        begun.release()
        gate.acquire(timeout=30)

    asking = [asyncio.create_task(first(after(files=[file]), use)) for _ in range(6)]
    for _ in range(2):
        assert await asyncio.to_thread(begun.acquire, timeout=30)
    assert not await asyncio.to_thread(begun.acquire, timeout=0.2)
    gate.release(6)
    for found, _, _ in await asyncio.gather(*asking):
        found.close()


async def test_a_landed_file_that_is_no_picture_gives_way_to_its_address(
    tmp_path: Path, played: Played
) -> None:
    file = landed_file(tmp_path / "a.png", picture()[:40])
    played.reply(200, picture(7, 7))
    one = after(files=[file], result_urls=[f"{played.url}/a.png"])
    _, source = await Thumbnails(Shelf(tmp_path / "shelf")).get(one, 480, "a_dag")
    assert not source.is_file
