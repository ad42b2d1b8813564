"""What a browser paints: whether text stands out from its ground, and on which it stands."""

from __future__ import annotations

import re
from typing import Any


def readable(page: Any, selector: str, *, dark: bool) -> bool:
    """Whether the text has a contrast of 7 to 1 or more (WCAG AAA), on a ground that is dark or light as asked."""
    ink, ground = page.locator(selector).first.evaluate(
        "node => { const style = getComputedStyle(node); return [style.color, style.backgroundColor]; }"
    )
    light, other = _luminance(ink), _luminance(ground)
    contrast = (max(light, other) + 0.05) / (min(light, other) + 0.05)
    return contrast >= 7 and (other < 0.1 if dark else other > 0.9)


def _luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
