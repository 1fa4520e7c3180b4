"""Thumbnails on disk: for this user alone, so many and no more, and never a reason to fail."""

import os
from pathlib import Path

import pytest

from airflow_aluo.ui.shelf import Shelf


def test_what_was_put_is_there_again(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    assert shelf.get("a0") is None
    shelf.put("a0", b"picture")
    assert Shelf(tmp_path / "shelf").get("a0") == b"picture"
    assert (tmp_path / "shelf").stat().st_mode & 0o777 == 0o700
    assert [path.name for path in (tmp_path / "shelf").iterdir()] == ["a0.webp"]


def test_a_folder_that_others_may_enter_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "shelf"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    (folder / "a0.webp").write_bytes(b"somebody else's")
    shelf = Shelf(folder)
    shelf.put("b0", b"picture")
    assert (shelf.get("a0"), shelf.get("b0")) == (None, None)
    assert [path.name for path in folder.iterdir()] == ["a0.webp"]


def test_a_link_to_another_folder_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir(mode=0o700)
    (tmp_path / "shelf").symlink_to(tmp_path / "other")
    shelf = Shelf(tmp_path / "shelf")
    shelf.put("a0", b"picture")
    assert shelf.get("a0") is None
    assert list((tmp_path / "other").iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "shelf").mkdir(mode=0o700)
    os.chown(tmp_path / "shelf", 12345, -1)
    shelf = Shelf(tmp_path / "shelf")
    shelf.put("a0", b"picture")
    assert shelf.get("a0") is None


def test_what_was_not_used_for_the_longest_time_goes_first(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, most_bytes=1000)
    tmp_path.chmod(0o700)
    for number in range(9):
        shelf.put(f"{number}", bytes(100))
        os.utime(tmp_path / f"{number}.webp", (number, number))
    assert shelf.get("0") is not None  # used just now
    shelf.put("9a", bytes(400))
    assert shelf.get("0") is not None
    assert shelf.get("1") is None
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1000


def test_a_disk_that_takes_nothing_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    shelf = Shelf(tmp_path / "file" / "shelf")
    shelf.put("a0", b"picture")
    assert shelf.get("a0") is None


def test_nothing_half_written_is_left_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    Shelf(tmp_path).put("a0", b"picture")
    assert list(tmp_path.iterdir()) == []
