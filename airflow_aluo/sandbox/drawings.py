"""What the sandbox draws itself: a beach, a studio, a cup, a sticker, and its own mark."""

import random
from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from airflow_aluo.sandbox.instructions import Colour

#: Things are drawn so many times too large and then shrunk, which smooths their edges.
_FINE: Final = 4
_CREAM: Final = (246, 240, 228)
_STUDIO: Final = (214, 210, 204)


def gradient(size: tuple[int, int], top: Colour, bottom: Colour) -> Image.Image:
    """Return a picture that goes from one colour at its top to another at its bottom."""
    slope = Image.linear_gradient("L").resize(size)
    return Image.composite(Image.new("RGB", size, bottom), Image.new("RGB", size, top), slope)


def beach(size: tuple[int, int]) -> Image.Image:
    """Sky, sun, sea and sand."""
    return _beach((size[0] * 2, size[1] * 2)).resize(size, Image.Resampling.BOX)


def _beach(size: tuple[int, int]) -> Image.Image:
    width, height = size
    horizon, shore = round(height * 0.42), round(height * 0.62)
    picture = gradient(size, (86, 168, 226), (214, 236, 246))
    glow = Image.new("L", size, 0)
    x, y, radius = width * 0.8, height * 0.16, min(size) * 0.07
    ImageDraw.Draw(glow).ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    halo = glow.filter(ImageFilter.GaussianBlur(radius)).point([level // 2 for level in range(256)])
    picture.paste((255, 250, 224), (0, 0), ImageChops.lighter(glow, halo))
    picture.paste(gradient((width, height - horizon), (22, 108, 168), (88, 200, 206)), (0, horizon))
    sand = gradient((width, height - shore), (240, 220, 172), (214, 182, 124))
    picture.paste(sand, (0, shore))
    draw = ImageDraw.Draw(picture)
    dice = random.Random(7)
    foam = max(2, height // 90)
    for row, colour in ((0, (238, 248, 246)), (foam * 1.2, (206, 182, 134))):
        for _ in range(60):
            x, wide = dice.uniform(-0.1, 1) * width, dice.uniform(0.06, 0.22) * width
            y = shore + row + dice.uniform(-0.7, 0.7) * foam
            draw.ellipse((x, y - foam, x + wide, y + foam), fill=colour)
    for _ in range(30):
        x, y = dice.uniform(0, width), dice.uniform(horizon + foam, shore - 2 * foam)
        long = width * dice.uniform(0.02, 0.08)
        draw.line((x, y, x + long, y), fill=(126, 206, 220), width=2)
    for _ in range(width * (height - shore) // 120):
        x, y = dice.randrange(width), dice.randrange(min(height - 1, shore + 4 * foam), height)
        shade = dice.choice(((198, 164, 108), (250, 234, 196)))
        draw.rectangle((x, y, x + 1, y + 1), fill=shade)
    return picture


def studio(size: tuple[int, int], colour: Colour | None) -> Image.Image:
    """Return a wall of one colour, lit in the middle."""
    wall = Image.new("RGB", size, colour or _STUDIO)
    light = Image.radial_gradient("L").resize(size).point([max(0, 90 - v // 2) for v in range(256)])
    return Image.composite(Image.new("RGB", size, (255, 255, 255)), wall, light)


def cup(side: int, colour: Colour | None) -> Image.Image:
    """Return a cup of coffee on a saucer, with its shadow; the rest of the square is transparent."""
    body = colour or _CREAM
    dark = _shaded(body, 0.72)
    unit = side * _FINE / 100
    picture = Image.new("RGBA", (side * _FINE, side * _FINE))

    def oval(x: float, y: float, wide: float, high: float, fill: tuple[int, ...]) -> None:
        box = tuple(unit * edge for edge in (x - wide, y - high, x + wide, y + high))
        ImageDraw.Draw(picture).ellipse(box, fill=fill)

    oval(50, 86, 46, 11, (0, 0, 0, 110))
    picture = picture.filter(ImageFilter.GaussianBlur(unit * 3))
    oval(48, 80, 42, 12, dark)
    oval(48, 78, 42, 12, body)
    oval(48, 78, 26, 6, _shaded(body, 0.86))
    draw = ImageDraw.Draw(picture)
    ring = tuple(unit * edge for edge in (66, 44, 92, 68))
    draw.ellipse(ring, outline=dark, width=round(unit * 5))
    sides = ((20, 38), (24, 62), (34, 76), (62, 76), (72, 62), (76, 38))
    draw.polygon([(unit * x, unit * y) for x, y in sides], fill=body)
    oval(48, 76, 14, 3.5, _shaded(body, 0.92))
    shade = ((62, 38), (60, 76), (62, 76), (72, 62), (76, 38))
    draw.polygon([(unit * x, unit * y) for x, y in shade], fill=_shaded(body, 0.88))
    oval(48, 38, 28, 9, _shaded(body, 1.06))
    oval(48, 39, 24, 7, (92, 54, 30))
    oval(44, 38.5, 14, 3.6, (136, 88, 52))
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def sticker(side: int, word: str, colour: Colour | None) -> Image.Image:
    """Return a round sticker that names what the sandbox cannot draw."""
    large = side * _FINE
    fill = colour or (232, 92, 64)
    picture = Image.new("RGBA", (large, large))
    draw = ImageDraw.Draw(picture)
    edge = large * 0.04
    draw.ellipse((edge, edge, large - edge, large - edge), fill=(255, 255, 255))
    draw.ellipse((edge * 2, edge * 2, large - edge * 2, large - edge * 2), fill=fill)
    text = word[:24] or "added"
    size = min(large * 0.22, large * 1.3 / len(text))
    draw.text(
        (large / 2, large / 2),
        text,
        font=ImageFont.load_default(size),
        fill=(255, 255, 255) if sum(fill) < 480 else (40, 40, 40),  # noqa: PLR2004 - pale or not
        anchor="mm",
    )
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def sign(picture: Image.Image, text: str) -> Image.Image:
    """Return the picture with a small pill in its corner: nobody should think that this is the AI."""
    size = max(10.0, min(picture.size) * 0.034)
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(text)
    pad = size * 0.5
    wide, high = round(right - left + 2 * pad), round(bottom - top + pad)
    pill = Image.new("L", (wide, high), 0)
    ImageDraw.Draw(pill).rounded_rectangle((0, 0, wide - 1, high - 1), high / 2, fill=190)
    place = (picture.width - wide - round(pad), picture.height - high - round(pad))
    signed = picture.copy()
    signed.paste((16, 18, 24), place, pill)
    middle = (place[0] + wide / 2, place[1] + high / 2)
    ImageDraw.Draw(signed).text(middle, text, font=font, fill=(255, 255, 255), anchor="mm")
    return signed


def _shaded(colour: Colour, light: float) -> Colour:
    """Return a colour with more light on it, or less."""
    red, green, blue = (min(255, round(level * light)) for level in colour)
    return red, green, blue
