"""Small pictures look as the large ones, and hold nothing else of their files."""

import io
from typing import Any

import pytest
from PIL import Image

from airflow_aluo.pictures import PHOTO_FORMATS, RESULT_FORMATS
from airflow_aluo.ui.thumbnails import made
from tests.ui.book import picture


def small(content: bytes, side: int = 480, formats: tuple[str, ...] = PHOTO_FORMATS) -> Image.Image:
    return Image.open(io.BytesIO(made(io.BytesIO(content), side, formats)))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_each_format_of_a_photo_becomes_webp(kind: str) -> None:
    found = small(picture(1000, 500, kind=kind))
    assert (found.format, found.size) == ("WEBP", (480, 240))
    red, green, blue = found.convert("RGB").getpixel((100, 100))
    assert (abs(red - 200) < 12, abs(green - 30) < 12, abs(blue - 60) < 12) == (True, True, True)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "YCbCr", "I;16", "I", "F", "RGBA", "PA"])
def test_each_kind_of_pixels_becomes_webp(mode: str) -> None:
    made_ = io.BytesIO()
    kind = {"CMYK": "JPEG", "YCbCr": "JPEG"}.get(
        mode, "PNG" if mode in {"1", "L", "LA", "P", "I;16", "RGBA"} else "TIFF"
    )
    Image.new(mode, (900, 30)).save(made_, kind)
    assert small(made_.getvalue()).size == (480, 16)


def test_what_is_clear_stays_clear() -> None:
    assert small(picture(colour=(10, 20, 30, 0))).convert("RGBA").getpixel((0, 0))[3] == 0


def test_a_small_picture_stays_as_small() -> None:
    assert small(picture(8, 6)).size == (8, 6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_upright_and_tells_nothing_of_its_camera(orientation: int) -> None:
    image = Image.new("RGB", (40, 20), "white")
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "A camera"
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif)
    found = small(file.getvalue())
    assert found.size == ((40, 20) if orientation < 5 else (20, 40))
    assert not found.getexif()
    assert b"camera" not in made(io.BytesIO(file.getvalue()), 480, PHOTO_FORMATS)


@pytest.mark.parametrize("content", [b"", b"<svg/>", b"GIF89a", picture()[:40], picture(kind="GIF")])
def test_what_is_no_picture_is_told_to_be_none(content: Any) -> None:
    with pytest.raises(ValueError, match="no picture that can be shown"):
        made(io.BytesIO(content), 480, RESULT_FORMATS)
