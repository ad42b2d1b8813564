"""A PNG -> the PNG that a model is sent, scaled down to a longest side, and its size, which decides what it costs."""

from __future__ import annotations

import io
import struct

from lbi.errors import UserError

Size = tuple[int, int]  # width and height in pixels
_SIGNATURE, _HEADER = b"\x89PNG\r\n\x1a\n", 24  # bytes up to the height


def size_of(png: bytes, name: str) -> Size:
    """Raises UserError for what is no PNG; ``name`` is what the message calls it."""
    if not png.startswith(_SIGNATURE) or len(png) < _HEADER:
        raise UserError(f"the image {name} of the run is no PNG; delete it from the run's blobs, or start another run")
    width, height = struct.unpack(">II", png[16:_HEADER])
    return width, height


def scaled_size(size: Size, side: int) -> Size:
    """The size of an image whose longer side is at most ``side``, its shape kept."""
    longer = max(size)
    if longer <= side:
        return size
    width, height = (max(1, round(pixels * side / longer)) for pixels in size)
    return width, height


def scaled(png: bytes, side: int, name: str) -> bytes:
    """The image itself where it is small enough, else a smaller one."""
    size = size_of(png, name)
    if max(size) <= side:
        return png
    from PIL import Image, UnidentifiedImageError

    smaller = io.BytesIO()
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            image.convert("RGB").resize(scaled_size(size, side), Image.Resampling.LANCZOS).save(smaller, "PNG")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UserError(f"the image {name} of the run cannot be read: {error}") from None
    return smaller.getvalue()
