from itertools import count
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from airflow_aluo.sandbox.shelf import Shelf, media_type


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    numbers = count()
    return Shelf(tmp_path, lambda: f"token{next(numbers)}")


def test_what_was_put_can_be_had_back(shelf: Shelf) -> None:
    name = shelf.put("edit_1", ".png", b"data")
    path = shelf.find(name)
    assert name == "edit_1-token1.png"
    assert path is not None
    assert path.read_bytes() == b"data"


def test_nothing_else_can_be_had(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "other.png").write_bytes(b"")
    assert shelf.find("other.png") is None
    assert shelf.find("../other.png") is None


def test_a_signed_address_works_until_it_expires(shelf: Shelf) -> None:
    query = parse_qs(shelf.signed("a.png", 1000.0).removeprefix("?"))
    expires, signature = query["expires"][0], query["signature"][0]
    assert shelf.works("a.png", expires, signature, 999.9)
    assert not shelf.works("a.png", expires, signature, 1000.0)


@pytest.mark.parametrize("change", ["name", "expires", "signature"])
def test_an_address_that_was_changed_does_not_work(shelf: Shelf, change: str) -> None:
    query = parse_qs(shelf.signed("a.png", 1000.0).removeprefix("?"))
    address = {"name": "a.png", "expires": query["expires"][0], "signature": query["signature"][0]}
    address[change] += "é"
    assert not shelf.works(*address.values(), now=0.0)


def test_a_file_is_served_as_what_its_name_says() -> None:
    names = ("a.png", "a.jpeg", "a.jpg", "a.webp", "a.txt")
    assert [media_type(Path(name)) for name in names] == [
        "image/png",
        "image/jpeg",
        "image/jpeg",
        "image/webp",
        "application/octet-stream",
    ]
