import colorsys

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageStat

from airflow_aluo.sandbox.edits import Edited, edit
from airflow_aluo.sandbox.instructions import read
from airflow_aluo.sandbox.masks import HALF, white_from
from airflow_aluo.sandbox.subject import Subject, centre_of_mass, find

#: Subjects by the id of their photo, which is kept so that no other gets its id.
FOUND: dict[int, Edited] = {}


def looked_at(photo: Image.Image) -> Edited:
    """The photo and its subject, looked for once."""
    if id(photo) not in FOUND:
        FOUND[id(photo)] = (photo, find(photo))
    return FOUND[id(photo)]


def edited(photo: Image.Image, prompt: str, *others: Image.Image) -> Edited:
    return edit(*looked_at(photo), read(prompt), [looked_at(other) for other in others])


def inner(found: Subject) -> Image.Image:
    """Surely the subject."""
    return white_from(found.mask, 250)


def border(photo: Image.Image) -> Image.Image:
    frame = Image.new("L", photo.size, 255)
    frame.paste(0, (20, 20, photo.width - 20, photo.height - 20))
    return frame


def difference(one: Image.Image, other: Image.Image, where: Image.Image) -> float:
    """Mean difference of two pictures in a mask, 0 to 255."""
    return sum(ImageStat.Stat(ImageChops.difference(one, other), where).mean) / 3


def share_of_hue(picture: Image.Image, where: Image.Image, low: float, high: float) -> float:
    """Share of the pixels in a mask whose hue lies between two angles in degrees."""
    hue, saturation, _ = picture.convert("HSV").split()
    coloured = ImageChops.darker(white_from(saturation, 60), where)
    counts = hue.histogram(coloured)
    all_of_it = where.histogram()[255]
    return sum(n for level, n in enumerate(counts) if low <= level * 360 / 256 <= high) / all_of_it


@pytest.mark.parametrize(("colour", "low", "high"), [("blue", 205, 240), ("green", 120, 155)])
def test_the_products_hue_changes_and_its_surroundings_stay(
    product: Image.Image, colour: str, low: float, high: float
) -> None:
    picture, found = edited(product, f"Change the product color to {colour}")
    assert share_of_hue(product, inner(found), low, high) == 0
    assert share_of_hue(picture, inner(found), low, high) > 0.9
    assert difference(picture, product, border(product)) < 1


def test_a_flat_product_gets_just_the_colour_that_was_asked(product: Image.Image) -> None:
    picture, _ = edited(product, "Paint it #2080c0")
    red, green, blue = picture.getpixel((160, 130))
    assert colorsys.rgb_to_hsv(red, green, blue)[0] * 360 == pytest.approx(204, abs=4)


def test_the_hue_of_a_real_photos_subject_changes_and_its_border_stays(photo: Image.Image) -> None:
    picture, found = edited(photo, "Change product to green")
    assert share_of_hue(photo, inner(found), 115, 160) < 0.02
    assert share_of_hue(picture, inner(found), 115, 160) > 0.4
    assert difference(picture, photo, border(photo)) < 3


def test_light_and_shade_stay_when_the_colour_changes(photo: Image.Image) -> None:
    picture, found = edited(photo, "Change product to blue")
    before, after = (ImageStat.Stat(one.convert("L"), inner(found)).stddev[0] for one in (photo, picture))
    assert after > before * 0.5


def test_a_new_background_changes_the_border_and_keeps_the_subject(photo: Image.Image) -> None:
    picture, found = edited(photo, "Change background to beach scene")
    core = white_from(found.mask.reduce(8).resize(photo.size), 255)
    assert difference(picture, photo, border(photo)) > 40
    assert difference(picture, photo, core) < 6


def test_a_beach_has_sky_above_and_sand_below(product: Image.Image) -> None:
    picture, _ = edited(product, "Change background to beach scene")
    sky, sand = picture.getpixel((20, 20)), picture.getpixel((20, 300))
    assert sky[2] > sky[0] + 40
    assert sand[0] > sand[2] + 40


def test_a_background_can_have_a_colour(product: Image.Image) -> None:
    picture, _ = edited(product, "Make the background green")
    red, green, blue = picture.getpixel((470, 310))
    assert green > max(red, blue) + 30


def test_a_background_of_which_nothing_is_known_is_a_studio(product: Image.Image) -> None:
    picture, _ = edited(product, "Replace the background")
    assert difference(picture, product, border(product)) > 5


def test_a_removed_background_is_white(product: Image.Image) -> None:
    picture, _ = edited(product, "Remove the background")
    assert min(picture.getpixel((470, 310))) > 235


def test_a_centred_product_balances_in_the_middle(product: Image.Image) -> None:
    picture, moved = edited(product, "Center the product")
    x, y = find(picture).centre
    assert x == pytest.approx(240, abs=0.05 * 480)
    assert y == pytest.approx(160, abs=0.05 * 320)
    assert moved.centre == (240, 160)


def test_a_centred_photo_is_the_same_photo_elsewhere(photo: Image.Image) -> None:
    picture, moved = edited(photo, "Center the product")
    _, before = looked_at(photo)
    x, y = (round(size / 2 - at) for size, at in zip(photo.size, before.centre, strict=True))
    assert picture.getpixel((photo.width // 2, photo.height // 2)) == photo.getpixel(
        (photo.width // 2 - x, photo.height // 2 - y)
    )
    shifted = Image.new("L", photo.size, 0)
    shifted.paste(before.mask, (x, y))
    assert ImageChops.difference(moved.mask, shifted).getbbox() is None
    assert all(0 <= edge <= max(photo.size) for edge in moved.box)


def test_a_centred_photos_subject_balances_within_five_percent_of_the_middle(photo: Image.Image) -> None:
    _, moved = edited(photo, "Center the product")
    x, y = centre_of_mass(moved.mask)
    assert abs(x - photo.width / 2) < 0.05 * photo.width
    assert abs(y - photo.height / 2) < 0.05 * photo.height


def test_a_removed_product_is_gone(product: Image.Image) -> None:
    picture, _ = edited(product, "Remove the box")
    wall = Image.new("RGB", product.size, (226, 226, 220))
    assert max(high for _, high in ImageChops.difference(picture, wall).getextrema()) < 12


def test_the_subject_of_a_real_photo_can_be_removed(photo: Image.Image) -> None:
    picture, found = edited(photo, "Remove the product")
    assert difference(picture, photo, inner(found)) > 20
    assert difference(picture, photo, border(photo)) < 4


def test_a_watermark_is_removed_and_the_product_stays(product: Image.Image) -> None:
    marked = product.copy()
    text = ImageDraw.Draw(marked)
    text.text((300, 250), "WATERMARK", font=ImageFont.load_default(26), fill=(120, 120, 120))
    picture, found = edited(marked, "Remove watermark from photo")
    rest = marked.crop((290, 240, 478, 300)), picture.crop((290, 240, 478, 300))
    assert min(low for low, _ in rest[0].getextrema()) < 130
    assert min(low for low, _ in rest[1].getextrema()) > 190
    assert difference(picture, product, inner(found)) < 1


def test_where_there_is_no_watermark_the_subject_goes(product: Image.Image) -> None:
    picture, found = edited(product, "Remove the logo")
    assert difference(picture, product, inner(found)) > 40


def test_an_added_cup_is_there_and_the_subject_stays(photo: Image.Image) -> None:
    picture, found = edited(photo, "Add a coffee cup on the desk")
    changed = ImageChops.difference(picture, photo).getbbox()
    assert changed is not None
    side = 0.36 * min(photo.size)
    assert 0.5 * side < changed[2] - changed[0] <= side + 1
    assert difference(picture, photo, inner(found)) < 2


def test_an_added_thing_has_the_colour_that_was_asked(product: Image.Image) -> None:
    added = {}
    for what in ("a blue mug", "a blue lamp"):
        picture, _ = edited(product, f"Add {what}")
        thing = white_from(ImageChops.difference(picture, product).convert("L"), HALF // 8)
        added[what] = picture
        assert share_of_hue(picture, thing, 205, 240) > 0.3
    assert ImageChops.difference(*added.values()).getbbox()


def test_of_two_photos_the_seconds_subject_is_added_to_the_first(product: Image.Image) -> None:
    second = Image.new("RGB", (300, 300), (240, 240, 240))
    ImageDraw.Draw(second).ellipse((80, 80, 220, 220), fill=(20, 160, 40))
    picture, _ = edited(product, "Put both on one table", second)
    new = white_from(ImageChops.difference(picture, product).convert("L"), 30)
    assert share_of_hue(picture, new, 120, 145) > 0.8


def test_anything_else_still_changes_the_photo_visibly(photo: Image.Image) -> None:
    picture, found = edited(photo, "Make it pop")
    everywhere = Image.new("L", photo.size, 255)
    assert difference(picture, photo, everywhere) > 8
    assert found.mask.size == photo.size
