from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageStat

from airflow_aluo.sandbox.healing import heal, mark
from airflow_aluo.sandbox.masks import steps


def test_a_hole_in_a_slope_is_filled_with_the_slope() -> None:
    slope = Image.merge("RGB", [Image.linear_gradient("L")] * 3)
    torn, hole = slope.copy(), Image.new("L", slope.size, 0)
    torn.paste((255, 0, 0), (100, 100, 150, 150))
    hole.paste(255, (100, 100, 150, 150))
    healed = heal(torn, hole)
    assert max(high for _, high in ImageChops.difference(healed, slope).getextrema()) < 16


def test_what_is_not_in_the_hole_stays() -> None:
    noise = Image.merge("RGB", [Image.effect_noise((90, 70), 60) for _ in range(3)])
    hole = Image.new("L", noise.size, 0)
    hole.paste(255, (30, 30, 50, 50))
    changed = ImageChops.difference(heal(noise, hole), noise).getbbox()
    assert changed is not None
    assert changed[0] >= 20
    assert changed[2] <= 60


def test_a_photo_that_is_one_hole_gives_some_picture() -> None:
    photo = Image.new("RGB", (30, 20), (9, 9, 9))
    assert heal(photo, Image.new("L", photo.size, 255)).size == photo.size


def test_a_text_on_a_photo_is_found_and_the_subject_is_not(photo: Image.Image) -> None:
    marked = photo.copy()
    text = ImageDraw.Draw(marked)
    text.text((440, 60), "ACME", font=ImageFont.load_default(30), fill=(255, 255, 255))
    found = mark(marked, Image.new("L", photo.size, 0).copy())
    letters = ImageChops.difference(marked, photo).convert("L").point([255 * (v > 40) for v in range(256)])
    covered = ImageStat.Stat(ImageChops.darker(letters, found)).sum[0] / ImageStat.Stat(letters).sum[0]
    assert covered > 0.95
    healed = heal(marked, found)
    box = (440, 60, 530, 95)
    assert (
        ImageStat.Stat(steps(healed.crop(box))).mean[0] < ImageStat.Stat(steps(marked.crop(box))).mean[0] / 2
    )


def test_on_flat_ground_there_is_no_mark() -> None:
    photo = Image.new("RGB", (60, 40), (200, 200, 200))
    assert mark(photo, Image.new("L", photo.size, 0)).getbbox() is None
