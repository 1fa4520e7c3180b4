import pytest
from PIL import Image, ImageChops

from airflow_aluo.sandbox import drawings


@pytest.mark.parametrize("size", [(640, 427), (128, 128), (1600, 128), (128, 1600)])
def test_a_beach_fits_any_size(size: tuple[int, int]) -> None:
    assert drawings.beach(size).size == size


def test_a_beach_is_the_same_each_time() -> None:
    size = (200, 150)
    assert ImageChops.difference(drawings.beach(size), drawings.beach(size)).getbbox() is None


@pytest.mark.parametrize("size", [(128, 128), (640, 427), (1600, 900)])
def test_the_mark_sits_in_the_lower_right_corner_and_is_small(size: tuple[int, int]) -> None:
    plain = Image.new("RGB", size, (90, 160, 210))
    box = ImageChops.difference(drawings.sign(plain, "SANDBOX"), plain).getbbox()
    assert box is not None
    left, top, right, bottom = box
    assert (right - left) * (bottom - top) < 0.08 * size[0] * size[1]
    assert left > size[0] * 0.4
    assert top > size[1] * 0.8


@pytest.mark.parametrize("word", ["", "lamp", "a very long thing that nobody could draw anyway"])
def test_a_sticker_takes_any_word(word: str) -> None:
    assert drawings.sticker(100, word, None).getbbox() is not None


def test_a_pale_sticker_has_dark_letters() -> None:
    pale, dark = (drawings.sticker(200, "HHHH", colour) for colour in ((250, 240, 200), (20, 20, 60)))
    assert pale.convert("L").crop((60, 90, 140, 110)).getextrema()[0] < 100
    assert dark.convert("L").crop((60, 90, 140, 110)).getextrema()[1] > 200
