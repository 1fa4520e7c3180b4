"""What a picture is: read from its bytes with Pillow, never from its name or its sender's word."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

#: Bytes of the largest picture that is taken, unless somebody says otherwise. The vendor names no limit; a
#: whole one in memory must not be the end of a worker or an API server.
MOST_BYTES: Final = 64 << 20

#: Pillow's names of the formats that Aluo makes.
RESULT_FORMATS: Final = ("PNG", "JPEG", "WEBP")

#: Pillow's names of the formats that may be sent as a reference image. The vendor names none.
PHOTO_FORMATS: Final = (*RESULT_FORMATS, "GIF", "BMP", "TIFF", "AVIF")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that is whole, as far as it was asked."""

    #: ``png``, ``jpeg``, ``webp``, …
    format: str
    content_type: str
    #: Pixels.
    width: int
    height: int


def inspect(file: Path | BinaryIO, formats: tuple[str, ...], *, decode: bool = True) -> Picture:
    """Return what the file is, having read it to its end: a truncated picture is found out.

    :param formats: Pillow's names of the formats that will do; what this Pillow lacks is left out.
    :param decode: read every pixel, which takes some 20 ms a megabyte. Else only checksums, where the format
        has them, and what must stand at its end.
    :raises ValueError: it is no whole picture in one of the formats; says why.
    """
    if isinstance(file, Path):
        try:
            opened = file.open("rb")
        except OSError as error:
            raise ValueError(f"a broken picture ({error})") from error
        with opened:
            return inspect(opened, formats, decode=decode)

    from PIL import Image, UnidentifiedImageError

    Image.init()
    known = [name for name in formats if name in Image.OPEN]
    try:
        with Image.open(file, formats=known) as image:
            _bound(image.width, image.height)
            name = "JPEG" if image.format == "MPO" else str(image.format)  # several JPEGs in one file
            picture = Picture(name.lower(), Image.MIME[name], image.width, image.height)
            image.verify()  # to the end of a PNG, whose last chunks load() does not miss
        if decode or not _ends_well(file, name):
            file.seek(0)
            with Image.open(file, formats=known) as image:
                image.load()
    except UnidentifiedImageError:
        raise ValueError(f"not a picture in one of the formats {', '.join(known)}") from None
    except Exception as error:  # each of Pillow's plugins has errors of its own
        raise ValueError(f"a broken picture ({error})") from error
    return picture


def _bound(width: int, height: int) -> None:
    """Refuse what takes gigabytes when it is unpacked, however small the file: Pillow warns at first."""
    from PIL import Image

    if Image.MAX_IMAGE_PIXELS and width * height > Image.MAX_IMAGE_PIXELS:
        raise ValueError(f"decompression bomb of {width} x {height} pixels")


def _ends_well(file: BinaryIO, name: str) -> bool:
    """Tell whether a picture ends as its format must; if that cannot be told, it does not."""
    if name == "PNG":
        return True  # it was read to its end
    file.seek(0)
    start = file.read(8)
    size = file.seek(0, 2)
    file.seek(max(size - 2, 0))
    if name == "WEBP":
        return int.from_bytes(start[4:], "little") + 8 == size
    return name == "JPEG" and file.read(2) == b"\xff\xd9"
