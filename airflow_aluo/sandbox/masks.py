"""Arithmetic with pictures of one channel, where 255, white, means yes."""

from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

WHITE: Final = 255
#: From here on something is rather white.
HALF: Final = 128
#: Neither black nor white: what a flood has reached.
_WET: Final = 100


def white_from(picture: Image.Image, level: float) -> Image.Image:
    """Return white where the picture is at least so light, black elsewhere."""
    return picture.point([WHITE * (one >= level) for one in range(256)])


def white_at(picture: Image.Image, levels: set[int]) -> Image.Image:
    """Return white where the picture has one of these levels, black elsewhere."""
    return picture.point([WHITE * (one in levels) for one in range(256)])


def flooded(picture: Image.Image, place: tuple[int, int]) -> Image.Image:
    """Return white where a flood that starts at a place gets to over pixels of the same level."""
    wet = picture.copy()
    ImageDraw.floodfill(wet, place, _WET)
    return white_at(wet, {_WET})


def reached_from_outside(picture: Image.Image, level: int) -> Image.Image:
    """Return white where a flood over pixels of that level gets to from beyond the border."""
    framed = ImageOps.expand(picture, 1, level)
    return ImageOps.crop(flooded(framed, (0, 0)), 1)


def grown(mask: Image.Image, pixels: int) -> Image.Image:
    """Return a mask made wider on all sides by so many pixels."""
    return white_from(mask.filter(ImageFilter.BoxBlur(pixels)), 1)


def steps(photo: Image.Image) -> Image.Image:
    """Return how much each pixel's neighbours differ, in the channel where they differ most."""
    lightest, darkest = (
        photo.filter(ImageFilter.MaxFilter(3)),
        photo.filter(ImageFilter.MinFilter(3)),
    )
    red, green, blue = ImageChops.subtract(lightest, darkest).split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue)
