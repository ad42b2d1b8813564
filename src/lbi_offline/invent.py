"""A field -> a plausible value for it: of the field's type, in the form that a message of the page asks for; seeded."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from lbi.observations.parse import Element, Page
from lbi_offline.forms import called, searches

_NOUNS = """
amber anchor basket beacon birch bottle canyon cedar cobalt copper coral cotton crystal delta ember falcon fern
garnet ginger harbor hazel indigo iris ivory jasper juniper kettle lantern lemon linen lotus maple marble meadow
mosaic nectar nutmeg oasis olive onyx opal orchid otter pebble pepper pine plum poppy quartz raven ripple river
saffron sage sierra silver spruce tulip velvet violet walnut willow zephyr
"""
NOUNS = tuple(_NOUNS.split())
#: type -> what names of such fields, and messages about them, say; the first that fits counts
TYPES = {
    "email": r"e-?mail",
    "url": r"\b(?:url|link|website|web ?site|home ?page|web address)\b",
    "colour": r"#rrggbb|\bhex(?:adecimal)? colou?r",
    "time": r"\btime\b(?! ?zone)|\bhh:mm",
    "month": r"\bmonth\b|\byyyy-mm\b(?!-)",
    "date": r"\b(?:date|day|due|deadline|birthday|until)\b|y{4}",
    "phone": r"\b(?:tele)?phone\b|\bmobile\b",
    "number": r"\b(?:numbers?|amount|quantity|count|price|age|digits?|numeric|integer|percent|minutes|hours)\b",
    "name": r"\b(?:name|version|id|user|label|tag|keywords?|slug|code|letters)\b",
}
_SHAPES = {"date": r"\d{4}-\d\d-\d\d.*|\d\d?[./]\d\d?[./]\d{4}", "time": r"\d\d?:\d\d", "number": r"-?\d+(?:\.\d+)?"}
_PATTERN = re.compile(r"\b(?:y{4}|[dm]{1,2})([-/.])(?:[dm]{1,2})\1(?:y{4}|[dm]{1,2})\b", re.IGNORECASE)
_SAMPLE = re.compile(r"\b(\d{4})-\d\d-\d\d\b|\b\d{1,2}([./])\d{1,2}\2\d{4}\b")
_RANGE = re.compile(r"(?:between|from) (-?\d+) (?:and|to) (-?\d+)(?! char)")
_LEAST = re.compile(r"(?:at least|minimum(?: of)?|greater than or equal to) (-?\d+)(?! char)")
_MOST = re.compile(r"(?:at most|maximum(?: of)?|less than or equal to) (-?\d+)(?! char)")
_SHORTEST = re.compile(r"(?:at least|minimum(?: of)?) (\d+) char")
_LONGEST = re.compile(r"(?:at most|maximum(?: of)?|no more than) (\d+) char")


@dataclass(frozen=True)
class Format:
    """What a value must look like; nothing of it is a value itself."""

    type: str = ""  # of TYPES
    date: str = ""  # such as DD.MM.YYYY
    least: int = 1
    most: int = 30
    shortest: int = 0
    longest: int = 200


def asked(message: str) -> Format:
    """The form that a message asks for: "must be a date (DD.MM.YYYY)" -> type date, written DD.MM.YYYY."""
    text = message.lower()
    kind = next((kind for kind, pattern in TYPES.items() if re.search(pattern, text)), "")
    pattern, sample, limits = _PATTERN.search(text), _SAMPLE.search(text), _RANGE.search(text)
    date = pattern[0].upper() if pattern else ""
    if sample and not date:
        date = "YYYY-MM-DD" if sample[1] else f"DD{sample[2]}MM{sample[2]}YYYY"
    least = int(limits[1]) if limits else _first(_LEAST, text, 1)
    most = int(limits[2]) if limits else _first(_MOST, text, max(30, least + 10))
    shortest, longest = _first(_SHORTEST, text, 0), _first(_LONGEST, text, 200)
    return Format("date" if date else kind, date, least, most, shortest, longest)


def _first(pattern: re.Pattern[str], text: str, default: int) -> int:
    match = pattern.search(text)
    return int(match[1]) if match else default


def type_of(field: Element) -> str:
    """The type of a field by its role, the value it shows and its name; "" for plain text."""
    if field.role == "spinbutton":
        return "number"
    if searches(field):
        return "search"
    shown = next((kind for kind, shape in _SHAPES.items() if re.fullmatch(shape, field.value.strip())), "")
    return shown or next((kind for kind, pattern in TYPES.items() if re.search(pattern, called(field).lower())), "")


def invent(field: Element, page: Page, rng: random.Random, wanted: Format = Format()) -> str:
    """A value for a text box, in the form that is ``wanted``."""
    kind = type_of(field)
    if kind in ("", "name", "search") and wanted.type:
        kind = wanted.type
    if kind == "search":
        words: list[str] = sorted({word for text in page.texts for word in re.findall(r"[A-Za-z]{5,}", text)})
        return rng.choice(words or list(NOUNS))
    value = _of_type(kind, field, rng, wanted)
    while kind in ("", "name") and len(value) < wanted.shortest:
        value += f" {rng.choice(NOUNS)}"
    return value[: wanted.longest].strip() if kind in ("", "name") else value


def _of_type(kind: str, field: Element, rng: random.Random, wanted: Format) -> str:
    noun = rng.choice(NOUNS)
    month, day = rng.randint(1, 12), rng.randint(1, 28)
    if kind == "date":
        shown = re.fullmatch(r"\d\d?([./])\d\d?[./]\d{4}", field.value.strip())
        form = wanted.date or (f"DD{shown[1]}MM{shown[1]}YYYY" if shown else "YYYY-MM-DD")
        form = form.replace("YYYY", "2027").replace("MM", f"{month:02d}").replace("DD", f"{day:02d}")
        return form.replace("M", str(month)).replace("D", str(day))
    values = {"email": f"{noun}@example.org", "url": f"https://example.org/{noun}"}
    values |= {"month": f"2027-{month:02d}", "name": f"{noun}{rng.randint(10, 99)}"}
    values |= {"colour": f"#{rng.randrange(0x1000000):06x}", "phone": f"+1555{rng.randint(1000000, 9999999)}"}
    number = rng.randint(wanted.least, max(wanted.most, wanted.least))
    values |= {"time": f"{rng.randint(8, 18):02d}:{15 * rng.randint(0, 3):02d}", "number": str(number)}
    return values.get(kind, f"{noun.capitalize()} {rng.choice(NOUNS)} {rng.randint(100, 999)}")
