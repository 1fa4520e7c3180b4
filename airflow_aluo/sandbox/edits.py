"""The edits themselves: one function for each kind of instruction on the vendor's page."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps, ImageStat

from airflow_aluo.sandbox import drawings
from airflow_aluo.sandbox.healing import heal, mark
from airflow_aluo.sandbox.instructions import COLOURS, Colour, Instruction, Kind
from airflow_aluo.sandbox.masks import HALF, WHITE, grown, white_from
from airflow_aluo.sandbox.subject import Subject

#: A picture and its subject.
Edited = tuple[Image.Image, Subject]

#: What people call a mark on a photo; anything else that is to go is taken for the subject.
_MARKS: Final = ("mark", "logo", "text", "stamp", "writing", "caption", "date", "sticker", "spot")
_SEASIDE: Final = ("beach", "sea", "ocean", "sand", "shore", "coast", "island", "tropic", "holiday")
#: Saturation, of 255, from which a pixel has a colour.
_COLOURFUL: Final = 90
#: Of 255: from here on there is some of the subject in a pixel.
_SOME: Final = 40
#: Share of the subject that its main colour must have, to be dyed alone.
_MOSTLY: Final = 0.4


def edit(photo: Image.Image, found: Subject, asked: Instruction, others: Sequence[Edited]) -> Edited:
    """Return the photo, edited, and where its subject is now.

    ``found``: the photo's subject. ``others``: more photos and their subjects, for context.
    """
    match asked.kind:
        case Kind.COLOUR:
            return recolour(photo, found, asked.colour or COLOURS["blue"]), found
        case Kind.BACKGROUND:
            return replace_background(photo, found, asked), found
        case Kind.CENTRE:
            return centre(photo, found)
        case Kind.REMOVE:
            return remove(photo, found, asked.what), found
        case Kind.ADD:
            return add(photo, found, asked, others), found
        case Kind.OTHER:
            return polish(photo), found


def recolour(photo: Image.Image, found: Subject, colour: Colour) -> Image.Image:
    """Return the subject in another colour. Its light and shade stay, and so do its other colours."""
    area = ImageChops.darker(found.mask, _of_the_main_colour(photo, found.mask))
    light = ImageOps.grayscale(photo)
    middle = ImageStat.Stat(light, white_from(area, HALF)).mean[0]
    dyed = ImageOps.colorize(
        light,
        black=(0, 0, 0),
        mid=colour,
        white=(255, 255, 255),
        midpoint=max(1, min(254, round(middle))),
    )
    return Image.composite(dyed, photo, area)


def _of_the_main_colour(photo: Image.Image, mask: Image.Image) -> Image.Image:
    """White where the subject has the colour that it mostly has; all white if it has none."""
    hue, saturation, _ = photo.convert("HSV").split()
    colourful = white_from(saturation, _COLOURFUL)
    inside = white_from(mask, HALF)
    counted = ImageChops.darker(colourful, inside)
    counts = hue.histogram(counted)
    near = [sum(counts[(at + step) % 256] for step in range(-6, 7)) for at in range(256)]
    main = near.index(max(near))
    if near[main] < _MOSTLY * inside.histogram()[WHITE]:
        return Image.new("L", photo.size, 255)
    away = [min((level - main) % 256, (main - level) % 256) for level in range(256)]
    same = hue.point([max(0, min(255, (9 - distance) * 50)) for distance in away])
    pale = saturation.point([max(0, min(255, (level - 70) * 5)) for level in range(256)])
    return ImageChops.darker(same, pale).filter(ImageFilter.GaussianBlur(0.8))


def replace_background(photo: Image.Image, found: Subject, asked: Instruction) -> Image.Image:
    """Return the subject in front of a beach, or of a studio's wall."""
    if any(word in asked.what for word in _SEASIDE) and asked.colour is None:
        scene = drawings.beach(photo.size)
    else:
        scene = drawings.studio(photo.size, asked.colour)
    # A little inside the subject's edge, so that no rim of the old background comes along.
    rim = max(photo.size) / 400
    inner = found.mask.filter(ImageFilter.GaussianBlur(rim))
    inner = inner.point([max(0, min(255, (level - 150) * 4)) for level in range(256)])
    shadow = Image.new("L", photo.size, 0)
    shadow.paste(found.mask, (round(rim * 3), round(rim * 6)))
    dark = shadow.filter(ImageFilter.GaussianBlur(rim * 6)).point([v // 2 for v in range(256)])
    scene = Image.composite(Image.new("RGB", photo.size, (30, 26, 20)), scene, dark)
    return Image.composite(photo, scene, inner)


def centre(photo: Image.Image, found: Subject) -> Edited:
    """Return the photo moved so that its subject balances in the middle; what is missing is mirrored."""
    width, height = photo.size
    x, y = round(width / 2 - found.centre[0]), round(height / 2 - found.centre[1])
    mirrored, flipped = ImageOps.mirror(photo), ImageOps.flip(photo)
    turned = ImageOps.flip(mirrored)
    moved = Image.new("RGB", photo.size)
    for across in (-1, 0, 1):
        for down in (-1, 0, 1):
            upright = mirrored if across else photo
            tile = (turned if across else flipped) if down else upright
            moved.paste(tile, (x + across * width, y + down * height))
    left, top, right, bottom = found.box
    box = (max(0, left + x), max(0, top + y), min(width, right + x), min(height, bottom + y))
    mask = Image.new("L", photo.size, 0)
    mask.paste(found.mask, (x, y))
    return moved, replace(found, mask=mask, centre=(width / 2, height / 2), box=box)


def remove(photo: Image.Image, found: Subject, what: str) -> Image.Image:
    """Return the photo without a mark that was put on it, or without its subject."""
    edge = max(3, round(max(photo.size) / 120))
    if any(word in what for word in _MARKS):
        hole = mark(photo, found.mask)
        if hole.getbbox():
            return heal(photo, hole)
    return heal(photo, grown(white_from(found.mask, _SOME), edge))


def add(photo: Image.Image, found: Subject, asked: Instruction, others: Sequence[Edited]) -> Image.Image:
    """Return the photo with something put where its subject leaves most room.

    With a second photo that is its subject; else a cup is drawn, and anything else is a sticker.
    """
    side = max(24, round(min(photo.size) * 0.36))
    if others:
        thing = _cut_out(*others[0], side)
    elif any(word in asked.what for word in ("cup", "mug", "coffee", "tea")):
        thing = drawings.cup(side, asked.colour)
    else:
        thing = drawings.sticker(side, asked.what, asked.colour)
    place = _free_place(found.mask, thing.size)
    changed = photo.copy()
    changed.paste(thing, place, thing)
    return changed


def _cut_out(photo: Image.Image, found: Subject, side: int) -> Image.Image:
    """Return the subject of a photo, alone, at most ``side`` pixels wide and high."""
    alone = photo.convert("RGBA")
    alone.putalpha(found.mask)
    return ImageOps.contain(alone.crop(found.box), (side, side))


def _free_place(mask: Image.Image, size: tuple[int, int]) -> tuple[int, int]:
    """Left and top of the corner that holds least of the mask; the lower ones first."""
    gap = round(min(mask.size) * 0.03)
    right, bottom = mask.width - size[0] - gap, mask.height - size[1] - gap
    corners = [(gap, bottom), (right, bottom), (right, gap), (gap, gap)]
    return min(
        corners,
        key=lambda at: ImageStat.Stat(mask.crop((*at, at[0] + size[0], at[1] + size[1]))).sum[0],
    )


def polish(photo: Image.Image) -> Image.Image:
    """Make it warmer, stronger, darker at the sides: nobody can tell what was asked."""
    strong = ImageEnhance.Color(ImageOps.autocontrast(photo, cutoff=1)).enhance(1.35)
    warm = Image.blend(
        strong, ImageChops.multiply(strong, Image.new("RGB", photo.size, (255, 226, 176))), 0.6
    )
    sides = Image.radial_gradient("L").resize(photo.size).point([max(0, v - 70) for v in range(256)])
    return Image.composite(Image.new("RGB", photo.size, (20, 12, 8)), warm, sides)
