"""Fills holes in a photo from what is around them, and finds marks that somebody wants gone."""

from typing import Final

from PIL import Image, ImageChops, ImageFilter, ImageOps

from airflow_aluo.sandbox.masks import HALF, flooded, grown, steps, white_at, white_from

#: Longest side, in pixels, at which a photo is searched for marks.
_LOOK: Final = 240
#: How much of the busiest spot's bustle still belongs to the same mark.
_SAME: Final = 0.45


def heal(photo: Image.Image, hole: Image.Image) -> Image.Image:
    """Return the photo with its hole (white in the mask) filled smoothly from the hole's rim.

    Each step halves the photo, averaging only what is known, until no hole is left; then the way
    back up takes what a finer step knows and the coarser one's guess for the rest.
    """
    known = photo.convert("RGBA")
    known.putalpha(white_at(hole, {0}))
    steps = [known]
    while max(steps[-1].size) > 1:
        width, height = steps[-1].size
        # Pillow weighs colours by alpha when it resizes RGBA: holes do not count.
        half = steps[-1].resize(((width + 1) // 2, (height + 1) // 2), Image.Resampling.BOX)
        half.putalpha(half.getchannel("A").point([min(255, level * 4) for level in range(256)]))
        steps.append(half)
    filled = steps.pop()
    for finer in reversed(steps):
        guess = filled.resize(finer.size, Image.Resampling.BICUBIC)
        guess.putalpha(255)
        filled = Image.alpha_composite(guess, finer)
    soft = hole.filter(ImageFilter.GaussianBlur(1.5))
    return Image.composite(filled.convert("RGB"), photo, ImageChops.lighter(soft, hole))


def mark(photo: Image.Image, subject: Image.Image) -> Image.Image:
    """Return white over what looks most like a mark put on the photo: the busiest spot off the subject.

    ``subject``: the mask of what must stay. All black if there is nothing but flat ground.
    """
    small = ImageOps.contain(photo, (_LOOK, _LOOK))
    keep = grown(subject.resize(small.size), 3)
    busy = ImageChops.darker(steps(small), ImageOps.invert(keep)).filter(ImageFilter.GaussianBlur(4))
    top = max(level for level, count in enumerate(busy.histogram()) if count)
    spot = white_from(busy, max(top, 1)).getbbox()
    if spot is None:
        return Image.new("L", photo.size, 0)
    left, first, right, _ = spot
    place = next((x, first) for x in range(left, right) if busy.getpixel((x, first)) == top)
    found = flooded(white_from(busy, top * _SAME), place)
    return grown(white_from(found.resize(photo.size, Image.Resampling.BICUBIC), HALF), 3)
