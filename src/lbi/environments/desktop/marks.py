"""A picture of the screen and places on it -> the picture with a box and a name at each."""

from __future__ import annotations

import io
from collections.abc import Mapping

from lbi.environments.desktop.tree import Box

_COLOURS = ("#cc0000", "#0066cc", "#008800", "#aa00aa", "#bb6600", "#007777")


def marked(png: bytes, boxes: Mapping[str, Box]) -> bytes:
    """``boxes`` by reference; those off the picture are left out."""
    from PIL import Image, ImageDraw

    picture = Image.open(io.BytesIO(png)).convert("RGB")
    draw = ImageDraw.Draw(picture)
    for at, (ref, (left, top, width, height)) in enumerate(boxes.items()):
        if width <= 0 or height <= 0 or left >= picture.width or top >= picture.height:
            continue
        colour = _COLOURS[at % len(_COLOURS)]
        draw.rectangle((left, top, left + width - 1, top + height - 1), outline=colour)
        place = (max(left, 0), top - 11 if top >= 11 else top)
        draw.rectangle(draw.textbbox(place, ref), fill=colour)
        draw.text(place, ref, fill="#ffffff")
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()
