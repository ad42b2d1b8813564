"""A field -> a plausible value for it: what the application shows under that name, or made-up words; seeded."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

from lbi.observations.parse import Element, Page
from lbi.offline.forms import TEXT_ROLES
from lbi.offline.lexical import labels, stem

_WORDS = """
amber anchor basket beacon birch bottle canyon cedar cobalt copper coral cotton crystal delta ember falcon fern
garnet ginger harbor hazel indigo iris ivory jasper juniper kettle lantern lemon linen lotus maple marble meadow
mosaic nectar nutmeg oasis olive onyx opal orchid otter pebble pepper pine plum poppy quartz raven ripple river
saffron sage sierra silver spruce tulip velvet violet walnut willow zephyr
"""
WORDS = tuple(_WORDS.split())
_SEARCHING = {stem("search"), "query", "filter"}


def invent(element: Element, page: Page, seen: Mapping[str, Sequence[str]], rng: random.Random) -> str:
    """A value for a text box."""
    name = element.name.lower()
    known = seen.get(element.name.strip(" :*").lower(), ())
    if re.search(r"\b(date|due|deadline)\b", name) or re.fullmatch(r"\d{4}-\d\d-\d\d.*", element.value):
        return f"2027-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    if element.role == "spinbutton" or re.fullmatch(r"\d+", element.value):
        return str(rng.randint(1, 30))
    if "mail" in name:
        return f"{rng.choice(WORDS)}@example.org"
    if re.search(r"\b(url|link|website|address)\b", name):
        return f"https://example.org/{rng.choice(WORDS)}"
    if element.role == "searchbox" or set(labels(element.name)) & _SEARCHING:
        return _word_on(page, rng)
    if known and rng.random() < 0.6:
        return rng.choice(list(known))
    if re.search(r"\b(name|version|id|user|label|tag|keywords?)\b", name):
        return f"{rng.choice(WORDS)}{rng.randint(10, 99)}"
    return f"{rng.choice(WORDS).capitalize()} {rng.choice(WORDS)} {rng.randint(100, 999)}"


def _word_on(page: Page, rng: random.Random) -> str:
    words = sorted({word for text in page.texts for word in re.findall(r"[A-Za-z]{5,}", text)})
    return rng.choice(words) if words else rng.choice(WORDS)


def pick(element: Element, rng: random.Random) -> str:
    """An option of a combobox other than the chosen one; "" if there is none."""
    others = [option for option in element.options if option.strip() and option != element.value]
    return rng.choice(others) if others else ""


def is_text(element: Element) -> bool:
    return element.role in TEXT_ROLES
