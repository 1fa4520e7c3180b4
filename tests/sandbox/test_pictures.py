import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from airflow_aluo.protocol.vocabulary import ASPECT_RATIOS, OUTPUT_FORMATS
from airflow_aluo.sandbox import pictures
from airflow_aluo.sandbox.pictures import NotAPicture, check, edit_photos

EXAMPLES = [
    "Change product to blue",
    "Add a coffee cup on the desk",
    "Change background to beach scene",
    "Center the product",
    "Remove watermark from photo",
    "Make it nicer",
]


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def as_file(photo: Image.Image, file_format: str = "PNG", **more: object) -> bytes:
    file = io.BytesIO()
    photo.save(file, file_format, **more)
    return file.getvalue()


@pytest.mark.parametrize("output_format", OUTPUT_FORMATS)
def test_the_picture_has_the_format_that_was_asked(product_file: bytes, output_format: str) -> None:
    (data,) = edit_photos((product_file,), "Make it red", None, output_format, 1)
    assert opened(data).format == output_format.upper()


@pytest.mark.parametrize("ratio", ASPECT_RATIOS)
def test_the_picture_has_the_shape_that_was_asked(photo_path: Path, ratio: str) -> None:
    (data,) = edit_photos((photo_path.read_bytes(),), "Make it red", ratio, "jpeg", 1)
    width, height = opened(data).size
    across, down = map(int, ratio.split(":"))
    assert width == pytest.approx(height * across / down, abs=1)


def test_without_a_shape_the_photo_keeps_its_own(product_file: bytes) -> None:
    (data,) = edit_photos((product_file,), "Make it red", None, "png", 1)
    assert opened(data).size == (480, 320)


def test_a_picture_is_cut_where_the_product_fits_and_set_on_a_blur_where_not(
    product_file: bytes,
) -> None:
    square, tall = (edit_photos((product_file,), "x", ratio, "png", 1)[0] for ratio in ("1:1", "9:16"))
    assert opened(square).size == (320, 320)
    assert opened(tall).size == (180, 320)
    upright = as_file(opened(product_file).crop((80, 50, 240, 320)))
    (wide,) = edit_photos((upright,), "x", "21:9", "png", 1)
    assert opened(wide).size == (630, 270)


def test_there_are_as_many_pictures_as_were_asked_and_no_two_alike(product_file: bytes) -> None:
    made = edit_photos((product_file,), "Make it red", "1:1", "png", 3)
    assert len(made) == 3
    first, second, third = map(opened, made)
    for one, other in ((first, second), (second, third), (first, third)):
        box = ImageChops.difference(one, other).getbbox()
        assert box is not None
        assert box[0] == box[1] == 0


def test_every_kind_of_instruction_gives_another_picture(photo_path: Path) -> None:
    made = [edit_photos((photo_path.read_bytes(),), prompt, None, "png", 1)[0] for prompt in EXAMPLES]
    assert len(set(made)) == len(EXAMPLES)


@pytest.mark.parametrize("prompt", EXAMPLES)
def test_every_picture_carries_the_sandboxs_mark(product_file: bytes, prompt: str) -> None:
    (data,) = edit_photos((product_file,), prompt, None, "png", 1)
    corner = opened(data).convert("L").crop((400, 295, 480, 320))
    assert corner.getextrema()[0] < 130
    assert corner.getextrema()[1] > 230


def test_the_same_request_gives_the_same_picture(product_file: bytes) -> None:
    request = ((product_file,), "Make it red", "1:1", "png", 1)
    first = edit_photos(*request)
    edit_photos.cache_clear()
    assert edit_photos(*request) == first


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "I;16", "CMYK"])
def test_photos_of_every_mode_can_be_edited(mode: str) -> None:
    photo = Image.new(mode, (200, 150))
    data = as_file(photo, "JPEG" if mode == "CMYK" else "PNG")
    assert opened(edit_photos((data,), "Make it red", None, "png", 1)[0]).size == (200, 150)


def test_what_is_transparent_lies_on_white() -> None:
    data = as_file(Image.new("RGBA", (200, 150), (0, 0, 0, 0)))
    assert pictures._opened(data)[0].getpixel((0, 0)) == (255, 255, 255)


def test_a_photo_that_lies_on_its_side_is_set_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = as_file(Image.new("RGB", (200, 150)), "JPEG", exif=exif)
    assert opened(edit_photos((data,), "x", None, "png", 1)[0]).size == (150, 200)


@pytest.mark.parametrize(
    ("size", "worked_on"),
    [((1, 1), (128, 128)), ((3, 200), (128, 1600)), ((4000, 2000), (1600, 800)), ((5000, 1), (1600, 128))],
)
def test_photos_of_every_size_can_be_edited(size: tuple[int, int], worked_on: tuple[int, int]) -> None:
    data = as_file(Image.new("RGB", size, (9, 90, 200)))
    assert opened(edit_photos((data,), "Center it", None, "png", 1)[0]).size == worked_on


def test_the_format_of_a_photo_is_told() -> None:
    photo = Image.new("RGB", (9, 9))
    assert [check(as_file(photo, one)) for one in ("PNG", "JPEG", "WEBP")] == ["png", "jpeg", "webp"]


@pytest.mark.parametrize("data", [b"", b"<html>", as_file(Image.new("RGB", (9, 9)), "GIF")], ids=len)
def test_what_is_no_photo_is_refused(data: bytes) -> None:
    with pytest.raises(NotAPicture, match="not a PNG, JPEG or WebP"):
        check(data)


def test_half_a_photo_is_refused(photo_path: Path) -> None:
    data = photo_path.read_bytes()
    with pytest.raises(NotAPicture):
        check(data[: len(data) // 2])


def test_a_photo_with_too_many_pixels_is_refused() -> None:
    with pytest.raises(NotAPicture, match="40000400 pixels are more than"):
        check(as_file(Image.new("1", (20_000_200, 2))))


@settings(max_examples=40)
@given(st.binary(max_size=200), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF"]))
def test_any_bytes_are_a_photo_or_refused(data: bytes, head: bytes) -> None:
    with pytest.raises(NotAPicture):
        check(head + data)
