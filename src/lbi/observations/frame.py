"""What pages of one application have in common: its navigation, headers, footers and side bars.

They are found by counting in which places a line occurs; no rule of any application is needed.

    frame = Frame.of(observation.text for observation in seen)
    frame.own(text)           the page without its frame
    frame.split(text).parts   the frame, one part for each run of lines: "13 links, 1 button, 1 textbox"
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from lbi.observations.diff import without_references
from lbi.observations.normalise import kind_of_place, mask, normalise_url
from lbi.observations.parse import STATES, parse_observation

#: a line is of the frame if it occurs in this share of the places, section by section ...
COMMON = 0.6
#: ... or in nearly all places of one section, as a side bar does
COMMON_IN_SECTION = 0.8
LEAST_PLACES = 3
LEAST_PLACES_IN_SECTION = 4
LEAST_RUN = 3  # lines in a row; what stands alone is folded only where it is common to the whole application
_STATE = re.compile(rf" \((?:{'|'.join(STATES)})(?:, (?:{'|'.join(STATES)}))*\)")
_ADDRESS = re.compile(r" -> \S+")
_NUMBER = re.compile(r"\d+")
_HEADER = ("URL: ", "Title: ")


@dataclass(frozen=True)
class FramePart:
    """Lines of a page, one after the other, that belong to the frame."""

    start: int  # index of the first line in the page's text
    lines: tuple[str, ...]

    @property
    def refs(self) -> tuple[str, ...]:
        """The references of its elements, in reading order."""
        return tuple(element.ref for element in parse_observation("\n".join(self.lines)).elements)

    @property
    def summary(self) -> str:
        """Such as "13 links, 1 button"; "text" where nothing in it can be acted on."""
        roles = Counter(element.role for element in parse_observation("\n".join(self.lines)).elements)
        return ", ".join(f"{count} {role}{'s' * (count > 1)}" for role, count in roles.most_common()) or "text"


@dataclass(frozen=True)
class Split:
    """A page in two: the lines of its own, and the parts that belong to the frame."""

    own: str
    parts: tuple[FramePart, ...]


class Frame:
    """The lines that pages have in common, by their keys: without references, addresses, states, times and numbers."""

    def __init__(self, everywhere: frozenset[str] = frozenset(), in_runs: frozenset[str] = frozenset()) -> None:
        self._everywhere = everywhere
        self._in_runs = in_runs | everywhere

    @classmethod
    def of(cls, texts: Iterable[str]) -> Frame:
        """Count over observations of one application. Many visits to one place count once.

        The pages under one address (/wiki/A, /wiki/B) together weigh as much as those under any other, so that the tool
        bar of a hundred pages of one kind is not taken for the application's.
        """
        places = _by_section(texts)
        weights: dict[str, float] = defaultdict(float)
        totals: Counter[str] = Counter()
        of_a_section: set[str] = set()
        for pages in places.values():
            for key, count in Counter(chain.from_iterable(pages.values())).items():
                totals[key] += count
                weights[key] += count / len(pages)
                if len(pages) >= LEAST_PLACES_IN_SECTION and count >= COMMON_IN_SECTION * len(pages):
                    of_a_section.add(key)
        everywhere = {
            key for key, weight in weights.items() if weight >= COMMON * len(places) and totals[key] >= LEAST_PLACES
        }
        return cls(frozenset(everywhere), frozenset(of_a_section))

    @classmethod
    def seen(cls, texts: Iterable[str]) -> Frame:
        """All lines of some pages: what else has them, in runs, was seen before."""
        return cls(in_runs=frozenset(key for text in texts for _, key in _keyed(text)))

    def as_data(self) -> list[list[str]]:
        """What ``of_data`` makes the same frame of."""
        return [sorted(self._everywhere), sorted(self._in_runs)]

    @classmethod
    def of_data(cls, data: list[list[str]]) -> Frame:
        return cls(*map(frozenset, data))

    def __bool__(self) -> bool:
        return bool(self._in_runs)

    def __contains__(self, line: str) -> bool:
        """Whether a line of a page is common to the whole application."""
        return _key(line) in self._everywhere

    def own(self, text: str) -> str:
        return self.split(text).own

    def own_keys(self, text: str) -> frozenset[str]:
        """The page's own lines as they are compared: without references, addresses, states, times and numbers."""
        return frozenset(key for _, key in _keyed(self.own(text)))

    def split(self, text: str) -> Split:
        """The page's own lines, and the frame. Both together are the page."""
        lines = text.split("\n")
        inside = self._inside(lines)
        parts: list[FramePart] = []
        for at, is_frame in enumerate(inside):
            if is_frame and at and inside[at - 1]:
                parts[-1] = FramePart(parts[-1].start, (*parts[-1].lines, lines[at]))
            elif is_frame:
                parts.append(FramePart(at, (lines[at],)))
        own = "\n".join(line for line, is_frame in zip(lines, inside, strict=True) if not is_frame)
        return Split(own, tuple(parts))

    def _inside(self, lines: list[str]) -> list[bool]:
        """Of each line, whether it is of the frame. What a line of the page's own stands under never is."""
        keys = [_key(line) for line in lines]
        known = [bool(key) and key in self._in_runs for key in keys]
        needed: list[int] = []  # depth of each line that holds something of the page's own, innermost first
        for at in range(len(lines) - 1, -1, -1):
            depth = _depth(lines[at])
            if needed and needed[-1] > depth:
                known[at] = False
            while needed and needed[-1] > depth:
                needed.pop()
            if not known[at]:
                needed.append(depth)
        for start, end in _runs(known):
            if end - start < LEAST_RUN:
                known[start:end] = [key in self._everywhere for key in keys[start:end]]
        return known


def _runs(flags: list[bool]) -> Iterator[tuple[int, int]]:
    start = None
    for at, flag in enumerate([*flags, False]):
        if flag and start is None:
            start = at
        elif not flag and start is not None:
            yield start, at
            start = None


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _keyed(text: str) -> list[tuple[str, str]]:
    """(line, key) of each line that may be of a frame."""
    return [(line, key) for line in text.split("\n") if (key := _key(line))]


@lru_cache(maxsize=4096)  # examples that are found again and again are of the same pages
def _keys(text: str) -> frozenset[str]:
    return frozenset(key for _, key in _keyed(text))


@lru_cache(maxsize=32_768)
def _key(line: str) -> str:
    """What is the same of a line on every page: "link "Inbox (3)" [e4] (current) -> /inbox" -> 'link "Inbox (0)"'."""
    if line.startswith(_HEADER) or not line.strip():
        return ""
    text = without_references(line) if "[" in line else line
    if " -> " in text:
        text = _ADDRESS.sub("", text)
    if " (" in text:
        text = _STATE.sub("", text)
    return _NUMBER.sub("0", mask(text))


def _by_section(texts: Iterable[str]) -> dict[str, dict[str, set[str]]]:
    """{section: {place: keys of its lines}}; a section is the first part of the addresses in which they differ."""
    seen = {text: _place(text) for text in texts}
    by_title = len({address for address, _ in seen.values()}) < LEAST_PLACES  # one address with several views
    by_place: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for text, (address, title) in seen.items():
        if place := (*address, title) if by_title or not address else address:
            by_place[place].update(_keys(text))
    longer = [place for place in by_place if len(place) > 1]
    shared = next((at for at, parts in enumerate(zip(*longer, strict=False)) if len(set(parts)) > 1), 0)
    sections: dict[str, dict[str, set[str]]] = defaultdict(dict)
    for place, keys in by_place.items():
        sections["".join(place[shared : shared + 1])]["/".join(place)] = keys
    return sections


@lru_cache(maxsize=1024)
def _place(text: str) -> tuple[tuple[str, ...], str]:
    """The parts of a page's address without numbers and query, and its title without numbers."""
    url = title = ""
    for line in text.split("\n", 2)[:2]:
        if line.startswith("URL: "):
            url = line[5:]
        elif line.startswith("Title: "):
            title = line[7:]
    title = re.sub(r"\d+", "0", mask(title))
    if not url:
        return (), title
    address, _, fragment = url.partition("#")
    path = kind_of_place(normalise_url(address).partition("?")[0])
    path = re.sub(r"(/0)/[^/]*-[^/]*", r"\1", path)  # words after a number only repeat what it stands for
    route = kind_of_place(mask(fragment)) if "/" in fragment else ""
    return tuple(f"{path}/{route}".strip("/").split("/")), title
