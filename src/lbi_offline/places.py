"""Addresses -> places and the things they are about: /lamp/7/green-lamp is the place "lamp" and the thing 7."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import cast
from urllib.parse import parse_qsl, unquote, urlsplit

from lbi.observations.parse import Page, parse_observation
from lbi.records import Observation
from lbi_offline.lexical import STOP, SYNONYMS, contains_phrase

NUMBERED = re.compile(r"^[a-z]{0,2}\d+$", re.IGNORECASE)
_QUOTED = re.compile(r"[ ?#%&\"]")  # in a part of an address


@lru_cache(maxsize=65_536)
def segments(url: str) -> tuple[str, ...]:
    """The decoded parts of an address's path: /a/b%20c/?x=1 -> (a, b c); none for one that cannot be read."""
    try:
        path = urlsplit(url).path
    except ValueError:  # such as //[ , which a page may hold
        return ()
    return tuple(unquote(part) for part in path.split("/") if part)


def page_of(observation: Observation) -> Page:
    return parse_observation(observation.text)


def path_of(url: str) -> str:
    """The address without query, fragment and final slash."""
    return url.split("?")[0].split("#")[0].rstrip("/")


def bare(url: str) -> str:
    """The address without its fragment."""
    return url.split("#")[0]


@dataclass(frozen=True)
class Thing:
    """What a page is about: the part of its address that names it, and the readable part that may follow."""

    prefix: tuple[str, ...]  # parts of the address before it
    id: str
    slug: str = ""

    @property
    def numbered(self) -> bool:
        return NUMBERED.match(self.id) is not None


def thing_in(url: str, prefix: tuple[str, ...], *, numbered: bool) -> Thing | None:
    """The thing under ``prefix`` that an address is about: /lamp/7/edit under (lamp) is 7."""
    parts = segments(url)
    at = len(prefix)
    if len(parts) <= at or parts[:at] != prefix or bool(NUMBERED.match(parts[at])) != numbered:
        return None
    after = parts[at + 1] if len(parts) > at + 1 else ""
    return Thing(prefix, parts[at], after if "-" in after else "")


def thing_of(url: str, pages: Iterable[Page]) -> Thing | None:
    """The last number in the path; failing that, a last part that links or a page's title call like it."""
    parts = segments(url)
    numbered = [at for at, part in enumerate(parts) if at > 0 and NUMBERED.match(part)]
    if numbered:
        return thing_in(url, parts[: numbered[-1]], numbered=True)
    if len(parts) < 2 or parts[-1].lower() in SYNONYMS or parts[-1].lower() in STOP:
        return None
    # a coined name that the title of its page says, or one of those that links are called like
    coined = re.search(r"[A-Z\d]", parts[-1])
    for page in pages:
        titled = coined and segments(page.url) == parts and contains_phrase(page.title, parts[-1])
        if titled or parts[:-1] in _named_parents(page):
            return Thing(parts[:-1], parts[-1])
    return None


def _named_parents(page: Page) -> set[tuple[str, ...]]:
    """Parents of the addresses that the page's links are called like."""
    if "named parents" not in page.memo:
        links = [(segments(e.url), e.name) for e in page.elements if e.url.startswith("/")]
        names = [(parts, (plain(name), plain(name.rpartition(":")[2]))) for parts, name in links if len(parts) > 1]
        page.memo["named parents"] = {parts[:-1] for parts, own in names if plain(parts[-1]) in own}
    return cast("set[tuple[str, ...]]", page.memo["named parents"])


def plain(name: str) -> str:
    """A name as letters and digits only, to compare it with a part of an address."""
    return re.sub(r"[\W_]+", "", name).lower()


def place(url: str, thing: Thing | None) -> str:
    """The words of an address without what it is about: /lamp/7/green-lamp?action=edit -> "lamp edit"."""
    parts = list(segments(url))
    if thing is not None and tuple(parts[: len(thing.prefix)]) == thing.prefix:
        parts = [part for part in parts if part not in (thing.id, thing.slug)]
    query = url.partition("?")[2].partition("#")[0]
    verbs = [value for _, value in parse_qsl(query) if value.isalpha() and value.lower() in SYNONYMS]
    return " ".join(re.sub(r"[^\w]+", " ", part).strip() for part in (*parts, *verbs))


@lru_cache(maxsize=65_536)
def pattern(url: str, thing: Thing | None = None) -> tuple[str, ...]:
    """The path with the thing, numbers and the readable parts after numbers masked: (lamp, *, edit)."""
    parts = segments(url)
    masked = list(parts)
    for at, part in enumerate(parts):
        follows = at > 0 and masked[at - 1] == "*" and "-" in part
        of_thing = thing is not None and at == len(thing.prefix) and part == thing.id and parts[:at] == thing.prefix
        if at > 0 and (NUMBERED.match(part) or follows or of_thing):
            masked[at] = "*"
    return tuple(part for at, part in enumerate(masked) if part != "*" or masked[at - 1] != "*")


def swap(url: str, old: Thing | None, new: Thing | None) -> str:
    """The address with one thing put in place of another."""
    parts = segments(url)
    if old is None or new is None or old == new or parts[: len(old.prefix) + 1] != (*old.prefix, old.id):
        return url
    path, mark, rest = re.match(r"([^?#]*)([?#]?)(.*)", url, re.DOTALL).groups()  # type: ignore[union-attr]
    pieces = path.split("/")
    filled = [at for at, piece in enumerate(pieces) if piece]
    pieces[filled[len(old.prefix)]] = _QUOTED.sub(lambda m: f"%{ord(m[0]):02X}", new.id)
    if old.slug and new.slug and parts[len(old.prefix) + 1 : len(old.prefix) + 2] == (old.slug,):
        pieces[filled[len(old.prefix) + 1]] = _QUOTED.sub(lambda m: f"%{ord(m[0]):02X}", new.slug)
    return "/".join(pieces) + mark + rest
