import io
import time
from typing import Any

import pytest
import requests
from PIL import Image

from airflow_aluo.sandbox.server import Running
from airflow_aluo.sandbox.shelf import PHOTOS


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_pictures_are_served_without_a_key_as_what_they_are(customer: Any, output_format: str) -> None:
    rocket = f"{customer.sandbox.base_url}/photos/rocket.jpg"
    (url,) = customer.edited(imageUrls=[rocket], outputFormat=output_format, aspectRatio="4:5")
    reply = requests.get(url, timeout=20)
    assert reply.headers["Content-Type"] == f"image/{output_format}"
    assert int(reply.headers["Content-Length"]) == len(reply.content)
    picture = Image.open(io.BytesIO(reply.content))
    assert picture.size == (342, 427)
    assert picture.format == output_format.upper()
    assert requests.head(url, timeout=20).headers["Content-Length"] == reply.headers["Content-Length"]


def test_addresses_are_plain_unless_they_expire(customer: Any) -> None:
    (url,) = customer.edited()
    assert "?" not in url


def test_an_address_that_expires_works_for_a_while_and_a_new_look_gives_a_new_one(
    customer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer.control("PUT", "settings", {"url_lifetime": 60})
    aluo_task_id = customer.submit()
    url = customer.wait(aluo_task_id)["images"][0]["url"]
    assert requests.get(url, timeout=20).status_code == 200
    assert requests.get(url.partition("?")[0], timeout=20).status_code == 403
    monkeypatch.setattr(customer.sandbox.state, "clock", lambda: time.time() + 61)
    assert requests.get(url, timeout=20).status_code == 403
    again = customer.wait(aluo_task_id)["images"][0]["url"]
    assert requests.get(again, timeout=20).status_code == 200


def test_the_photos_of_the_sandbox_are_served(sandbox: Running) -> None:
    for name in ("rocket.jpg", "coffee.jpg"):
        reply = requests.get(f"{sandbox.base_url}/photos/{name}", timeout=20)
        assert reply.headers["Content-Type"] == "image/jpeg"
        assert reply.content == (PHOTOS / name).read_bytes()


@pytest.mark.parametrize(
    "path", ["photos/README.md", "photos/none.jpg", "pictures/none.png", "uploads/none.png", "none"]
)
def test_nothing_else_is_served(sandbox: Running, path: str) -> None:
    reply = requests.get(f"{sandbox.base_url}/{path}", timeout=20)
    assert (reply.status_code, reply.json()) == (404, {"detail": "Not Found"})


def test_an_edited_picture_can_be_edited_again(customer: Any) -> None:
    (url,) = customer.edited("Make it blue")
    assert len(customer.edited("Make it green", imageUrls=[url])) == 1


def test_the_photos_come_with_their_credits_and_are_small() -> None:
    credit = (PHOTOS / "README.md").read_text()
    assert "Rachel Michetti" in credit
    assert "SpaceX" in credit
    assert sum(path.stat().st_size for path in PHOTOS.iterdir()) < 250 * 1024
