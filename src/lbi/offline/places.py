"""Addresses -> places and the things they are about: /lamp/7 is the place "lamp" and the entity "7"."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, unquote, urlsplit

from lbi.environments.snapshot import Page
from lbi.offline.lexical import contains_phrase

_NUMBERED = re.compile(r"^[a-z]{0,2}\d+$", re.IGNORECASE)


def segments(url: str) -> list[str]:
    """Path of an address in parts, decoded: /a/b%20c/?x=1 -> [a, b c]."""
    return [unquote(part) for part in urlsplit(url).path.split("/") if part]


def siblings(url: str, pages: Iterable[Page]) -> dict[str, set[str]]:
    """Last parts of the addresses that differ from this one in the last part only -> names of the links to them."""
    parts = segments(url)
    found: dict[str, set[str]] = {}
    if len(parts) < 2:
        return found
    for page in pages:
        for element in page.elements:
            if not element.url:
                continue
            other = segments(element.url)
            if len(other) == len(parts) and other[:-1] == parts[:-1]:
                found.setdefault(other[-1], set()).add(element.name)
    return found


def entity(url: str, pages: Iterable[Page]) -> str:
    """What the place is about, or "": a number in its path, or a last part that has siblings among the links seen."""
    parts = segments(url)
    numbered = [part for part in parts[1:] if _NUMBERED.match(part)]
    if numbered:
        return numbered[-1]
    others = siblings(url, pages)
    return parts[-1] if len(parts) >= 2 and any(other != parts[-1] for other in others) else ""


def place(url: str, thing: str) -> str:
    """The words of an address without its entity: /lamp/7?edit=1 -> "lamp edit"."""
    split = urlsplit(url)
    words = [part for part in segments(url) if part != thing]
    words += [value for _, value in parse_qsl(split.query) if value.isalpha() and len(value) < 20]
    return " ".join(re.sub(r"[^\w]+", " ", word).strip() for word in words)


def swap(url: str, old: str, new: str) -> str:
    """The address with one entity put in place of another."""
    if not old or old == new:
        return url
    head, mark, query = url.partition("?")
    parts = [(_quote(new) if unquote(part) == old else part) for part in head.split("/")]
    return "/".join(parts) + mark + query


def _quote(part: str) -> str:
    return re.sub(r"[ ?#%&\"]", lambda match: f"%{ord(match[0]):02X}", part)


def named_link(instruction: str, pages: Iterable[Page], like: str) -> str:
    """Last part of the address that a link named in the instruction leads to; only that part differs from ``like``."""
    best = ("", "")
    for last, names in siblings(like, pages).items():
        for name in (*names, last):
            label = name.strip().lstrip("#")
            if len(label) > max(2, len(best[0])) and contains_phrase(instruction, label):
                best = (label, last)
    return best[1]
