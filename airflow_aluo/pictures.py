"""What a picture is: read from its bytes with Pillow, never from its name or its sender's word."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

#: Pillow's names of the formats that Aluo makes.
RESULT_FORMATS: Final = ("PNG", "JPEG", "WEBP")

#: Pillow's names of the formats that may be sent as a reference image. The vendor names none.
PHOTO_FORMATS: Final = (*RESULT_FORMATS, "GIF", "BMP", "TIFF", "AVIF")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture whose every pixel could be read."""

    #: ``png``, ``jpeg``, ``webp``, …
    format: str
    content_type: str
    #: Pixels.
    width: int
    height: int


def inspect(file: Path | BinaryIO, formats: tuple[str, ...]) -> Picture:
    """Return what the file is, having read all of it: a truncated picture is found out.

    :param formats: Pillow's names of the formats that will do; what this Pillow lacks is left out.
    :raises ValueError: it is no whole picture in one of the formats; says why.
    """
    from PIL import Image, UnidentifiedImageError

    Image.init()
    known = [name for name in formats if name in Image.OPEN]
    try:
        with Image.open(file, formats=known) as image:
            image.verify()  # to the end of a PNG, whose last chunks load() does not miss
        if not isinstance(file, Path):
            file.seek(0)
        with Image.open(file, formats=known) as image:
            image.load()
            name = "JPEG" if image.format == "MPO" else str(image.format)  # several JPEGs in one file
            return Picture(name.lower(), Image.MIME[name], image.width, image.height)
    except UnidentifiedImageError:
        raise ValueError(f"not a picture in one of the formats {', '.join(known)}") from None
    except Exception as error:  # each of Pillow's plugins has errors of its own
        raise ValueError(f"a broken picture ({error})") from error
