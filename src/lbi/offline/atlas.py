"""What the retrieved examples show of an application beside their own steps: its pages, as they were at the start.

An agent that is shown a whole run has seen every page of it, not only those of the steps that the example is about.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import cast

from lbi.observations.parse import Page
from lbi.offline.goal import page_of
from lbi.offline.lexical import words
from lbi.offline.memo import Unhashed
from lbi.offline.places import segments
from lbi.offline.things import variants
from lbi.protocols import Shown
from lbi.records import Trajectory

NAMED = 0.35  # for a page that is called by a value of the instruction
BODY = 0.6  # weight of a word of a page's text, one of its name being worth 1
UNKNOWN = 0.5  # weight of a word that no page says
PAGES = 24  # kept of one trajectory, at most


@dataclass(frozen=True)
class Atlas:
    """Pages by address without fragment, each as it was before anybody changed anything."""

    pages: dict[str, Page]

    @classmethod
    def of(cls, examples: Sequence[Shown], seen: Sequence[Page] = ()) -> Atlas:
        pages: dict[str, Page] = {}
        for trajectory in {shown.trajectory.id: shown.trajectory for shown in examples}.values():
            for url, page in _pristine(trajectory.id, Unhashed(trajectory)):
                pages.setdefault(url, page)
        pages.update((page.url.split("#")[0], page) for page in reversed(seen))
        return cls(pages)

    @cached_property
    def names(self) -> dict[str, set[str]]:
        """Address -> what the links to it are called, and the title of its page."""
        found: dict[str, set[str]] = {}
        for url, page in self.pages.items():
            found.setdefault(url, set()).update(_title(page))
            for target, name in links(page):
                found.setdefault(target.split("#")[0], set()).add(name)
        return found

    @cached_property
    def heads(self) -> dict[str, frozenset[str]]:
        """Address -> words of its names and of itself."""
        return {
            url: frozenset(w for name in (*names, *segments(url)) for w in words(name))
            for url, names in self.names.items()
            if url
        }

    @cached_property
    def rarity(self) -> dict[str, float]:
        """Word -> how much it tells: what stands everywhere tells nothing."""
        found: Counter[str] = Counter()
        for url, head in self.heads.items():
            found.update(head | (body(self.pages[url]) if url in self.pages else frozenset()))
        most = math.log(1 + len(self.heads))
        return {word: math.log((1 + len(self.heads)) / count) / (most or 1.0) for word, count in found.items()}

    @cached_property
    def _sections(self) -> dict[tuple[str, ...], frozenset[str]]:
        """Parent of addresses -> words that all pages known under it show: what another of them will show too."""
        found: dict[tuple[str, ...], frozenset[str]] = {}
        for url, page in self.pages.items():
            parent = tuple(segments(url)[:-1])
            if parent and "?" not in url:
                found[parent] = found[parent] & body(page) if parent in found else body(page)
        return found

    @cached_property
    def _length(self) -> float:
        return sum(len(body(page)) for page in self.pages.values()) / max(len(self.pages), 1)

    def _body(self, url: str) -> tuple[frozenset[str], float]:
        """Words of a page's text, or of what stands on all of its siblings, and how much one of them tells.

        Long pages say a bit of everything (the length normalisation of BM25, with b = 0.75).
        """
        page = self.pages.get(url)
        if page is not None:
            return body(page), BODY / (0.25 + 0.75 * len(body(page)) / (self._length or 1.0))
        return self._sections.get(tuple(segments(url)[:-1]), frozenset()) if "?" not in url else frozenset(), BODY

    def says(self, url: str) -> frozenset[str]:
        """Words of a page's names and, where it is known, its text."""
        bare = url.split("#")[0]
        return self.heads.get(bare, frozenset(words(" ".join(segments(bare))))) | self._body(bare)[0]

    def places(self, asked: frozenset[str], values: Collection[str] = ()) -> list[tuple[float, str]]:
        """(share of what is asked for that a page says, its address), the best first.

        A page whose link is called just like one of the ``values`` is the one that is meant.
        """
        names = {word for value in values for word in words(value)}
        total = sum(self.rarity.get(word, 1.5 if word in names else UNKNOWN) for word in asked) or 1.0
        exact = {value.lower() for value in values if len(value) > 1}
        found = []
        for url, head in self.heads.items():
            text, weight = self._body(url)
            near = asked & head
            said = sum(self.rarity[word] for word in near)
            said += min(weight, BODY) * sum(self.rarity[word] for word in (asked & text) - near)
            if said > 0:
                called = NAMED * any(variants_of(name) & exact for name in self.names[url])
                far = 0.04 * len(segments(url)) + 0.05 * ("?" in url)
                found.append((said / total + called - far, url))
        return sorted(found, key=lambda item: (-item[0], len(item[1]), item[1]))


def variants_of(name: str) -> set[str]:
    return {form.lower() for form in variants(name)}


@lru_cache(maxsize=1024)
def _pristine(id_: str, hidden: Unhashed[Trajectory]) -> tuple[tuple[str, Page], ...]:
    seen = hidden.value.observations
    kept = {o.url.split("#")[0]: o for o in seen if o.digest == seen[0].digest and not o.error and o.url}
    return tuple((url, page_of(o)) for url, o in list(kept.items())[:PAGES])


def links(page: Page) -> list[tuple[str, str]]:
    """Addresses on the same site that the page links to, and what the links are called."""
    if "links" not in page.memo:
        found = (e for e in page.elements if e.role == "link" and e.url and "://" not in e.url)
        page.memo["links"] = [(e.url, e.name) for e in found if e.name.strip()]
    return cast("list[tuple[str, str]]", page.memo["links"])


def body(page: Page) -> frozenset[str]:
    """Words of all that the page shows."""
    if "body" not in page.memo:
        shown = (
            *page.texts,
            *page.headings,
            *(e.name for e in page.elements),
            *(v for pair in page.pairs for v in pair),
        )
        page.memo["body"] = frozenset(w for text in shown for w in words(text))
    return cast("frozenset[str]", page.memo["body"])


def _title(page: Page) -> tuple[str, ...]:
    """The page's own part of its title."""
    return (re.split(r"\s+[–—|·]\s+|\s+-\s+", page.title)[0],)
