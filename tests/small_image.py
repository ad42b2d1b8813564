"""The bytes of a small picture."""

from __future__ import annotations

from io import BytesIO

from PIL import Image


def _png() -> bytes:
    kept = BytesIO()
    Image.new("RGB", (40, 30), "teal").save(kept, "PNG")
    return kept.getvalue()


PNG = _png()
