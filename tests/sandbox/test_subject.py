import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

from airflow_aluo.sandbox.shelf import PHOTOS
from airflow_aluo.sandbox.subject import centre_of_mass, find

#: By eye: a box that holds the subject, places on the subject, places on the background.
TRUTH = {
    "rocket.jpg": (
        (280, 120, 362, 412),
        [(321, 180), (321, 240), (321, 300), (321, 370)],
        [(40, 100), (190, 200), (450, 200), (600, 300), (320, 60), (150, 378), (480, 420)],
    ),
    "coffee.jpg": (
        (70, 12, 490, 400),
        [(290, 60), (290, 150), (130, 230), (430, 230), (250, 340), (360, 290), (225, 270)],
        [(20, 20), (20, 380), (560, 380), (560, 30), (60, 60), (540, 200)],
    ),
}


@pytest.mark.parametrize("name", TRUTH)
def test_the_subject_of_a_photo_is_found(name: str) -> None:
    (left, top, right, bottom), on, off = TRUTH[name]
    with Image.open(PHOTOS / name) as photo:
        found = find(photo.convert("RGB"))
    assert found.box[0] >= left
    assert found.box[1] >= top
    assert found.box[2] <= right
    assert found.box[3] <= bottom
    assert {place: found.mask.getpixel(place) for place in on} == dict.fromkeys(on, 255)
    assert {place: found.mask.getpixel(place) for place in off} == dict.fromkeys(off, 0)


def test_a_product_off_the_middle_is_found_to_within_a_few_pixels(product: Image.Image) -> None:
    found = find(product)
    truth = Image.new("L", product.size, 0)
    truth.paste(255, (90, 60, 231, 201))
    wrong = ImageStat.Stat(ImageChops.difference(found.mask, truth)).sum[0] / 255
    assert wrong < 0.08 * 141 * 141
    assert found.centre == pytest.approx((160, 130), abs=5)


def test_two_things_of_which_one_is_larger_give_the_larger_one(product: Image.Image) -> None:
    photo = product.copy()
    ImageDraw.Draw(photo).ellipse((400, 260, 440, 300), fill=(10, 90, 10))
    assert find(photo).box[2] < 300


@pytest.mark.parametrize("size", [(300, 200), (128, 1600), (1600, 128)])
def test_where_nothing_stands_out_the_middle_is_the_subject(size: tuple[int, int]) -> None:
    found = find(Image.new("RGB", size, (90, 120, 150)))
    assert found.mask.size == size
    assert found.centre == pytest.approx((size[0] / 2, size[1] / 2), abs=2)


def test_noise_without_any_flat_ground_still_has_a_subject() -> None:
    noise = Image.merge("RGB", [Image.effect_noise((200, 160), 90) for _ in range(3)])
    assert find(noise).mask.getbbox()


def test_a_mask_balances_at_its_centre_of_mass() -> None:
    mask = Image.new("L", (100, 50), 0)
    mask.paste(255, (10, 20, 30, 40))
    assert centre_of_mass(mask) == pytest.approx((20, 30))
