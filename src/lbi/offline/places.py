"""Addresses -> places and the things they are about: /lamp/7/green-lamp is the place "lamp" and the thing 7.

An application has one page for each of its things; what was learned on the page of one holds on the page of another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, unquote, urlsplit

from lbi.observations.parse import Page
from lbi.offline.lexical import STOP, SYNONYMS, contains_phrase

_NUMBERED = re.compile(r"^[a-z]{0,2}\d+$", re.IGNORECASE)


@lru_cache(maxsize=65_536)
def _segments(url: str) -> tuple[str, ...]:
    try:
        path = urlsplit(url).path
    except ValueError:  # such as //[ , which a page may hold
        return ()
    return tuple(unquote(part) for part in path.split("/") if part)


def parts_of(url: str) -> tuple[str, ...]:
    """The same as ``segments``, not to be changed."""
    return _segments(url)


def segments(url: str) -> list[str]:
    """Path of an address in parts, decoded: /a/b%20c/?x=1 -> [a, b c]. None for an address that cannot be read."""
    return list(_segments(url))


@dataclass(frozen=True)
class Thing:
    """What a page is about: the part of its address that names it, and the readable part that may follow."""

    prefix: tuple[str, ...]  # parts of the address before it
    id: str
    slug: str = ""

    @property
    def at(self) -> int:
        return len(self.prefix)

    def of(self, parts: list[str]) -> bool:
        return tuple(parts[: self.at]) == self.prefix and parts[self.at : self.at + 1] == [self.id]


def thing_of(url: str, pages: Iterable[Page]) -> Thing | None:
    """A number in the path; failing that, a last part by which links are called, or a coined one in a page's title."""
    parts = segments(url)
    numbered = [index for index, part in enumerate(parts) if index > 0 and _NUMBERED.match(part)]
    if numbered:
        at = numbered[-1]
        after = parts[at + 1] if at + 1 < len(parts) else ""
        return Thing(tuple(parts[:at]), parts[at], after if "-" in after else "")
    if len(parts) < 2 or parts[-1].lower() in SYNONYMS or parts[-1].lower() in STOP:
        return None
    called = _folded(parts[-1])
    coined = re.search(r"[A-Z\d]", parts[-1]) is not None
    for page in pages:
        if coined and segments(page.url) == parts and contains_phrase(page.title, parts[-1]):
            return Thing(tuple(parts[:-1]), parts[-1])
        for element in page.elements:
            other = segments(element.url) if element.url else []
            sibling = len(other) == len(parts) and other[:-1] == parts[:-1]
            named = (
                _folded(other[-1]) in (_folded(element.name), _folded(element.name.rpartition(":")[2])) if other else 0
            )
            if sibling and named and (other[-1] != parts[-1] or called):
                return Thing(tuple(parts[:-1]), parts[-1])
    return None


def _folded(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


def thing_in(url: str, prefix: tuple[str, ...], *, numbered: bool) -> Thing | None:
    """The thing that an address is about, if it is one of those under ``prefix``: /lamp/7/edit under (lamp) is 7."""
    parts = _segments(url)
    at = len(prefix)
    if len(parts) <= at or parts[:at] != prefix or bool(_NUMBERED.match(parts[at])) != numbered:
        return None
    after = parts[at + 1] if len(parts) > at + 1 else ""
    return Thing(prefix, parts[at], after if "-" in after else "")


def place(url: str, thing: Thing | None) -> str:
    """The words of an address without what it is about: /lamp/7/green-lamp?edit=1 -> "lamp"."""
    parts = segments(url)
    query = url.partition("?")[2].partition("#")[0]
    if thing is not None and thing.of(parts):
        parts = [part for part in parts if part not in (thing.id, thing.slug)]
    words = [*parts, *(value for _, value in parse_qsl(query) if value.isalpha() and value.lower() in SYNONYMS)]
    return " ".join(re.sub(r"[^\w]+", " ", word).strip() for word in words)


def swap(url: str, old: Thing | None, new: Thing | None) -> str:
    """The address with one thing put in place of another."""
    if old is None or new is None or old == new or not old.of(segments(url)):
        return url
    head, mark, query = url.partition("?")
    path, hash_, fragment = head.partition("#")
    parts = path.split("/")
    filled = [index for index, part in enumerate(parts) if part]
    parts[filled[old.at]] = _quote(new.id)
    if old.slug and len(filled) > old.at + 1 and unquote(parts[filled[old.at + 1]]) == old.slug and new.slug:
        parts[filled[old.at + 1]] = _quote(new.slug)
    return "/".join(parts) + (hash_ + fragment if mark else "") + mark + query


def _quote(part: str) -> str:
    return re.sub(r"[ ?#%&\"]", lambda match: f"%{ord(match[0]):02X}", part)
