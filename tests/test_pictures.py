from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features

from airflow_aluo.pictures import PHOTO_FORMATS, RESULT_FORMATS, Picture, inspect

if TYPE_CHECKING:
    from pathlib import Path

NOISE = Image.effect_noise((64, 48), 80).convert("RGB")


def drawn(format_name: str, picture: Image.Image = NOISE, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, format_name, **options)
    return file.getvalue()


MPO = drawn("MPO", save_all=True, append_images=[NOISE.rotate(90)])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (drawn("PNG"), Picture("png", "image/png", 64, 48)),
        (drawn("JPEG"), Picture("jpeg", "image/jpeg", 64, 48)),
        (drawn("JPEG", progressive=True), Picture("jpeg", "image/jpeg", 64, 48)),
        (drawn("WEBP"), Picture("webp", "image/webp", 64, 48)),
        (drawn("WEBP", lossless=True), Picture("webp", "image/webp", 64, 48)),
        # Several JPEGs in one file, as cameras make them, are a JPEG to whoever asked for one.
        (MPO, Picture("jpeg", "image/jpeg", 64, 48)),
        (drawn("PNG", Image.new("1", (1, 1))), Picture("png", "image/png", 1, 1)),
        (drawn("PNG", NOISE.convert("RGBA")), Picture("png", "image/png", 64, 48)),
        (drawn("JPEG", NOISE.convert("CMYK")), Picture("jpeg", "image/jpeg", 64, 48)),
    ],
)
def test_a_picture_is_known_by_its_bytes(tmp_path: Path, content: bytes, found: Picture) -> None:
    assert inspect(io.BytesIO(content), RESULT_FORMATS) == found
    # Its name says nothing.
    path = tmp_path / "picture.txt"
    path.write_bytes(content)
    assert inspect(path, RESULT_FORMATS) == found


@pytest.mark.parametrize("format_name", ["GIF", "BMP", "TIFF", "AVIF"])
def test_more_formats_may_be_sent_than_come_back(format_name: str) -> None:
    if format_name == "AVIF" and not features.check("avif"):
        with pytest.raises(ValueError, match="not a picture"):
            inspect(io.BytesIO(b"\0\0\0 ftypavif"), PHOTO_FORMATS)
        return
    file = io.BytesIO(drawn(format_name))
    assert inspect(file, PHOTO_FORMATS).content_type == f"image/{format_name.lower()}"
    with pytest.raises(ValueError, match="not a picture in one of the formats PNG, JPEG, WEBP"):
        inspect(file, RESULT_FORMATS)


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.9])
def test_a_truncated_picture_is_found_out(format_name: str, kept: float) -> None:
    whole = drawn(format_name)
    with pytest.raises(ValueError, match="picture"):
        inspect(io.BytesIO(whole[: int(len(whole) * kept)]), PHOTO_FORMATS)


def test_a_png_without_its_last_chunk_is_found_out() -> None:
    with pytest.raises(ValueError, match="a broken picture"):
        inspect(io.BytesIO(drawn("PNG")[:-12]), RESULT_FORMATS)


def test_several_jpegs_in_one_file_are_judged_by_the_first() -> None:
    assert inspect(io.BytesIO(MPO[:-100]), RESULT_FORMATS).format == "jpeg"
    with pytest.raises(ValueError, match="a broken picture"):
        inspect(io.BytesIO(MPO[: len(MPO) // 3]), RESULT_FORMATS)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"RIFF\x00\x00\x00\x00WEBP",
        b"<!doctype html><html><body>expired</body></html>",
        b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>',
        b'{"success": false}',
        b"%PDF-1.7\n",
        b"\x00" * 4096,
    ],
)
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="picture"):
        inspect(io.BytesIO(content), PHOTO_FORMATS)


def test_a_picture_that_would_fill_the_memory_is_refused_unread() -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    # 40,000 x 40,000 pixels in a few bytes.
    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )
    with pytest.raises(ValueError, match="decompression bomb"):
        inspect(io.BytesIO(bomb), PHOTO_FORMATS)


def test_a_missing_file_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file"):
        inspect(tmp_path / "picture.png", RESULT_FORMATS)


# Pillow guesses what a broken file meant, and says so.
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
@given(data=st.data(), format_name=st.sampled_from([name for name in PHOTO_FORMATS if name in Image.SAVE]))
def test_a_damaged_picture_is_a_picture_or_a_value_error(data: st.DataObject, format_name: str) -> None:
    content = bytearray(drawn(format_name))
    places = st.tuples(st.integers(0, min(len(content) - 1, 200)), st.integers(0, 255))
    for place, value in data.draw(st.lists(places, min_size=1, max_size=6)):
        content[place] = value
    try:
        found = inspect(io.BytesIO(content), PHOTO_FORMATS)
    except ValueError:
        return
    assert found.width > 0
    assert found.height > 0


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_with_more_pixels_than_are_unpacked_is_refused_before_it_is(tmp_path: Path) -> None:
    Image.new("1", (13_300, 13_300)).save(tmp_path / "large.png")
    with pytest.raises(ValueError, match="decompression bomb of 13300 x 13300 pixels"):
        inspect(tmp_path / "large.png", RESULT_FORMATS)
