from PIL import Image, ImageDraw

from airflow_aluo.sandbox.masks import flooded, grown, reached_from_outside, steps, white_at, white_from


def ring() -> Image.Image:
    """A white ring on black."""
    picture = Image.new("L", (20, 20), 0)
    ImageDraw.Draw(picture).rectangle((5, 5, 14, 14), outline=255)
    return picture


def test_white_from_a_level_and_white_at_some_levels() -> None:
    slope = Image.linear_gradient("L")
    assert white_from(slope, 100).getbbox() == (0, 100, 256, 256)
    assert white_at(slope, {7, 9}).getbbox() == (0, 7, 256, 10)


def test_a_flood_stays_on_its_level() -> None:
    assert flooded(ring(), (10, 10)).getbbox() == (6, 6, 14, 14)


def test_the_inside_of_a_ring_is_not_reached_from_outside() -> None:
    reached = reached_from_outside(ring(), 0)
    assert reached.getpixel((0, 0)) == 255
    assert reached.getpixel((10, 10)) == 0


def test_a_grown_mask_is_wider_on_all_sides() -> None:
    mask = Image.new("L", (20, 20), 0)
    mask.paste(255, (9, 9, 11, 11))
    assert grown(mask, 3).getbbox() == (6, 6, 14, 14)


def test_steps_are_where_colours_change() -> None:
    picture = Image.new("RGB", (20, 10), (50, 50, 50))
    picture.paste((50, 90, 50), (10, 0, 20, 10))
    assert steps(picture).getbbox() == (9, 0, 11, 10)
    assert steps(picture).getpixel((9, 5)) == 40
