"""From uploaded bytes to served bytes: opens photos, has them edited, frames and signs the result."""

import io
import warnings
from functools import lru_cache
from typing import Final

from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps

from airflow_aluo.sandbox import instructions
from airflow_aluo.sandbox.drawings import sign
from airflow_aluo.sandbox.edits import edit
from airflow_aluo.sandbox.subject import Box, Subject, find

#: Pixels that a photo may have. The vendor names no limit; a sandbox needs one.
MOST_PIXELS: Final = 40_000_000
#: Sides of what is worked on, in pixels: not so small that the mark cannot be read, not so large
#: that a laptop gets warm.
SHORTEST, LONGEST = 128, 1600
#: The mark on every picture.
MARK: Final = "SANDBOX"
#: The file formats that are taken.
_TAKEN: Final = ("PNG", "JPEG", "WEBP")
#: Share of the subject that a crop may cost.
_LOSS: Final = 0.15


class NotAPicture(Exception):  # noqa: N818 - it is what an edit is refused or fails for
    """Bytes that no photo can be made of; the text says why."""


def check(data: bytes) -> str:
    """Return the format of a photo, ``png``, ``jpeg`` or ``webp``.

    :raises NotAPicture: it cannot be opened whole.
    """
    return _opened(data)[1]


def _opened(data: bytes) -> tuple[Image.Image, str]:
    """Return a photo, upright, on white, and its format."""
    try:
        # A large picture makes Pillow warn, a huge one makes it raise; the limit is checked here.
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=_TAKEN) as photo:
            pixels = photo.width * photo.height
            upright = ImageOps.exif_transpose(photo).convert("RGBA") if pixels <= MOST_PIXELS else None
            taken = photo.format or ""
    except Exception as error:
        # Pillow's decoders raise nearly everything when a file is broken.
        raise NotAPicture(f"not a PNG, JPEG or WebP picture: {error}") from error
    if upright is None:
        raise NotAPicture(f"{pixels} pixels are more than {MOST_PIXELS}")
    ground = Image.new("RGBA", upright.size, (255, 255, 255, 255))
    return Image.alpha_composite(ground, upright).convert("RGB"), taken.lower()


def _sized(photo: Image.Image) -> Image.Image:
    """Return the photo at a size that can be worked on; a very slim one gets wider."""
    scale = min(max(1.0, SHORTEST / min(photo.size)), LONGEST / max(photo.size))
    width, height = (max(SHORTEST, round(side * scale)) for side in photo.size)
    return photo if photo.size == (width, height) else photo.resize((width, height))


@lru_cache(maxsize=32)
def _looked_at(data: bytes) -> tuple[Image.Image, Subject]:
    """Return a photo at its working size, and its subject: finding that is most of the work."""
    photo = _sized(_opened(data)[0])
    return photo, find(photo)


@lru_cache(maxsize=64)
def edit_photos(
    photos: tuple[bytes, ...],
    prompt: str,
    aspect_ratio: str | None,
    output_format: str,
    number: int,
) -> tuple[bytes, ...]:
    """Return the edited pictures as files, ``number`` of them, each a little darker than the last.

    The same photos and instruction give the same files, and give them at once.

    :raises NotAPicture: one of the photos cannot be opened.
    """
    (photo, subject), *others = (_looked_at(data) for data in photos)
    edited, found = edit(photo, subject, instructions.read(prompt), others)
    framed = frame(edited, found, aspect_ratio)
    files = []
    for count in range(number):
        variant = ImageEnhance.Brightness(framed).enhance(1 - 0.5 * count / number)
        text = MARK if number == 1 else f"{MARK} {count + 1}/{number}"
        file = io.BytesIO()
        sign(variant, text).save(file, output_format, quality=90, compress_level=4)
        files.append(file.getvalue())
    return tuple(files)


def frame(picture: Image.Image, found: Subject, aspect_ratio: str | None) -> Image.Image:
    """Return the picture in another shape: cut around its subject if that fits, else set on a blur."""
    if aspect_ratio is None:
        return picture
    across, down = (int(part) for part in aspect_ratio.split(":"))
    width, height = picture.size
    size = (min(width, round(height * across / down)), min(height, round(width * down / across)))
    box = _around(found.centre, size, picture.size)
    if _kept(found.box, box) >= 1 - _LOSS:
        return picture.crop(box)
    size = (max(width, round(height * across / down)), max(height, round(width * down / across)))
    ground = ImageOps.fit(picture, size).filter(ImageFilter.GaussianBlur(max(size) / 30))
    ground = ImageChops.multiply(ground, Image.new("RGB", size, (215, 215, 215)))
    ground.paste(picture, ((size[0] - width) // 2, (size[1] - height) // 2))
    return ground


def _around(centre: tuple[float, float], size: tuple[int, int], within: tuple[int, int]) -> Box:
    """Return a box of that size as close around a place as the picture allows."""
    left = max(0, min(within[0] - size[0], round(centre[0] - size[0] / 2)))
    top = max(0, min(within[1] - size[1], round(centre[1] - size[1] / 2)))
    return left, top, left + size[0], top + size[1]


def _kept(inner: Box, outer: Box) -> float:
    """Share of one box that lies in another."""
    wide = min(inner[2], outer[2]) - max(inner[0], outer[0])
    high = min(inner[3], outer[3]) - max(inner[1], outer[1])
    area = (inner[2] - inner[0]) * (inner[3] - inner[1])
    return max(0, wide) * max(0, high) / area
