"""Finds what a photo shows: a soft mask of the subject, without any model.

What can be reached from the border over flat ground is background, and so is what has its colours.
The middle shows the subject, so colours that are commoner there than elsewhere are the subject's;
the answer is blurred, so that neighbours agree, and asked again with the new mask for the middle.
Of the pieces that are left, the one that is largest and nearest the centre is the subject.
"""

import math
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps, ImageStat

from airflow_aluo.sandbox.masks import HALF, WHITE, reached_from_outside, steps, white_at, white_from

Box = tuple[int, int, int, int]

#: Longest side, in pixels, at which a photo is looked at: enough for a shape, quick to compute.
_LOOK: Final = 240
#: Steps between neighbours, of 255, that still are flat ground.
_FLAT: Final = 16
#: Shades that are told apart, and rounds of asking which of them are the subject's.
_SHADES: Final = 48
_ROUNDS: Final = 4
#: The middle, and its core, leave this share of the photo free on each side.
_MIDDLE: Final = 0.28
_CORE: Final = 0.36
#: On flat ground, the share of the subject that a shade is granted though the core lacks it.
_BENEFIT: Final = 0.0003
#: Of 255: from here on a pixel is taken for the subject's.
_LIKELY: Final = 112
#: Half the thickness, at least and at most, of what holds no pieces together.
_THREADS: Final = (2, 6)
#: How thick a brush gives back what was cut off a piece's ends.
_BACK: Final = 13
#: A piece stays if it weighs this much of the heaviest one.
_PIECE: Final = 0.75
#: Pieces that are looked at; more are crumbs.
_MOST_PIECES: Final = 200


@dataclass(frozen=True, slots=True)
class Subject:
    """What a photo shows. All numbers are pixels of the photo.

    ``mask``: as large as the photo, 255 where the subject is, softer at its edge. ``centre``: where
    the mask would balance. ``box``: left, top, right, bottom.
    """

    mask: Image.Image
    centre: tuple[float, float]
    box: Box


def find(photo: Image.Image) -> Subject:
    """Return the subject of a photo; the middle of the photo if nothing stands out."""
    small = ImageOps.contain(photo, (_LOOK, _LOOK)).filter(ImageFilter.GaussianBlur(0.7))
    rough = _pieces(_likely(small))
    scale = max(photo.size) / _LOOK
    soft = rough.resize(photo.size, Image.Resampling.BICUBIC)
    soft = soft.filter(ImageFilter.GaussianBlur(max(scale * 0.8, 0.5)))
    mask = soft.point([max(0, min(255, (level - 170) * 4 + 128)) for level in range(256)])
    box = _box(mask)
    if box is None:
        mask = _ellipse(photo.size, 0.25)
        box = _box(mask) or (0, 0, *photo.size)
    return Subject(mask, centre_of_mass(mask), box)


def centre_of_mass(mask: Image.Image) -> tuple[float, float]:
    """Where a mask that is not empty would balance, in pixels."""
    levels = mask.convert("F")
    # Shrunk to one line, every pixel is the mean of its column (or row): no loop over all pixels.
    return (
        _mean_place(levels.resize((mask.width, 1), Image.Resampling.BOX)),
        _mean_place(levels.resize((1, mask.height), Image.Resampling.BOX)),
    )


def _mean_place(line: Image.Image) -> float:
    weights = memoryview(line.tobytes()).cast("f").tolist()
    return sum((place + 0.5) * weight for place, weight in enumerate(weights)) / sum(weights)


def _box(mask: Image.Image) -> Box | None:
    return white_from(mask, HALF).getbbox()


def _ellipse(size: tuple[int, int], margin: float) -> Image.Image:
    """White inside the ellipse that leaves this share of the picture free on each side."""
    width, height = size
    picture = Image.new("L", size, 0)
    box = (width * margin, height * margin, width * (1 - margin), height * (1 - margin))
    ImageDraw.Draw(picture).ellipse(box, fill=255)
    return picture


def _likely(small: Image.Image) -> Image.Image:
    """White where the subject probably is."""
    ground = _flat_ground(small)
    standing = ImageOps.invert(ground)
    edge = ImageOps.invert(_inner(small.size))
    outside = ImageChops.lighter(edge, ground)
    shades = _shades(small)
    if ImageStat.Stat(ground).mean[0] > HALF:
        # Flat ground shows by itself what stands on it: only the border's colours go.
        inside = ImageChops.darker(_ellipse(small.size, _CORE), standing)
        inside = inside if inside.getbbox() else standing
        return _judged(shades, inside, outside, benefit=_BENEFIT, among=standing)
    trust = ImageChops.darker(_from_the_centre(small.size), standing)
    inside = ImageChops.darker(_ellipse(small.size, _MIDDLE), standing)
    for _ in range(_ROUNDS):
        inside = _judged(shades, inside, outside, benefit=0.0, among=trust)
        outside = ImageChops.lighter(edge, ImageOps.invert(inside))
    return inside


def _judged(
    shades: Image.Image,
    inside: Image.Image,
    outside: Image.Image,
    *,
    benefit: float,
    among: Image.Image,
) -> Image.Image:
    """White where the shades are commoner inside than outside.

    ``benefit``: share of the inside that a shade is granted though it was not seen there.
    ``among``: how far to believe it, place by place, 0 to 255.
    """
    here, there = shades.histogram(inside), shades.histogram(outside)
    all_here, all_there = sum(here) or 1, sum(there) or 1
    shares = []
    for one, other in zip(here, there, strict=True):
        mine, others = one / all_here + benefit, other / all_there
        shares.append(round(255 * mine / (mine + others)) if mine or others else 0)
    likely = shades.point(shares).filter(ImageFilter.GaussianBlur(2))
    believed = ImageChops.multiply(likely, among)
    return white_from(believed, _LIKELY)


def _flat_ground(small: Image.Image) -> Image.Image:
    """White where the border can be reached without a step."""
    flat = ImageOps.invert(white_from(steps(small), _FLAT + 1))
    return reached_from_outside(flat, WHITE)


def _inner(size: tuple[int, int]) -> Image.Image:
    """White but for a frame of 6 %."""
    frame = max(2, round(min(size) * 0.06))
    return ImageOps.expand(
        Image.new("L", (max(1, size[0] - 2 * frame), max(1, size[1] - 2 * frame)), 255), frame, 0
    ).resize(size)


def _from_the_centre(size: tuple[int, int]) -> Image.Image:
    """White in the middle, darker towards the sides."""
    levels = [min(255, round((255 - distance) * 2.0) + 30) for distance in range(256)]
    return Image.radial_gradient("L").resize(size).point(levels)


def _shades(small: Image.Image) -> Image.Image:
    """Return the photo in few shades, colour counting more than light; each pixel a shade's number."""
    light, blueness, redness = small.filter(ImageFilter.MedianFilter(3)).convert("YCbCr").split()
    spread = [max(0, min(255, (level - 128) * 2 + 128)) for level in range(256)]
    planes = Image.merge("RGB", (light, blueness.point(spread), redness.point(spread)))
    few = planes.quantize(_SHADES, method=Image.Quantize.MEDIANCUT, kmeans=2)
    return Image.frombytes("L", few.size, few.tobytes())


def _pieces(mask: Image.Image) -> Image.Image:
    """Return the piece that weighs most and its like, without holes and threads."""
    # What cannot be reached from outside is a hole, and belongs to what is around it.
    whole = ImageOps.invert(reached_from_outside(mask, 0))
    # A large subject has no thin parts that matter, a small one has.
    area = ImageStat.Stat(whole).sum[0] / 255
    thread = 2 * max(_THREADS[0], min(_THREADS[1], round(math.sqrt(area) / 24))) + 1
    numbered = whole.filter(ImageFilter.MinFilter(thread))
    trust = _from_the_centre(mask.size)
    trust = ImageChops.multiply(trust, trust)
    weights: dict[int, float] = {}
    for y in range(0, mask.height, 3):
        for x in range(0, mask.width, 3):
            if numbered.getpixel((x, y)) == WHITE and len(weights) < _MOST_PIECES:
                number = len(weights) + 1
                ImageDraw.floodfill(numbered, (x, y), number)
                piece = ImageChops.multiply(white_at(numbered, {number}), trust)
                weights[number] = ImageStat.Stat(piece).sum[0]
    heaviest = max(weights.values(), default=0)
    kept = {number for number, weight in weights.items() if weight >= heaviest * _PIECE}
    cut = white_at(numbered, kept).filter(ImageFilter.MaxFilter(max(thread, _BACK)))
    smooth = ImageChops.darker(cut, whole).filter(ImageFilter.GaussianBlur(thread - 2 * _THREADS[0]))
    return white_from(smooth, HALF)
