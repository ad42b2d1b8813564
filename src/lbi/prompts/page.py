"""The current page as a prompt shows it: what was seen elsewhere in this episode is folded, the rest is whole.

A folded part keeps names and references: (as before: link "Home" [e1], "Search" [e2]; button "Go" [e3])
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from lbi.observations.brief import MOST_ADDRESS, brief_line, without_telling_addresses
from lbi.observations.effect import changed_lines
from lbi.observations.frame import LEAST_RUN, Frame, FramePart
from lbi.observations.normalise import kind_of_place, normalise_url
from lbi.observations.parse import FIELDS, TICKS, Element, parse_observation
from lbi.prompts.template import shorter
from lbi.records import Observation, Step

MOST_NAMED = 40  # elements of a folded part that are named; `find` shows the others
MOST_FOLDED = 80  # lines of it
MOST_TEXT = 80  # characters of a line of text in it
MOST_NAME = 40
MOST_CHANGES = 5  # lines in which a page may differ from how it was shown
LEAST_PAGE = 400  # characters; a shorter page is shown anew
MOST_JOINED = 12  # elements on one line
MOST_OPTIONS = 24
_LIST = re.compile(r'(?<= of )(?:[^"|]* )?"(?:[^"\\]|\\.)*" \| .*$')
_SIMPLE = re.compile(r'( *(?:link|button|tab|menuitem))(?: ((?:"(?:[^"\\]|\\.)*" )?\[e\d+\](?: \([^()]*\))?))')
_ELEMENT = re.compile(r'[\w-]+ (?:"(?:[^"\\]|\\.)*" )?\[e\d+\](?: \([^()]*\))?(?: -> \S+)?')
_REF = re.compile(r"\[(e\d+)\]")
_CARD = re.compile(
    r'(?P<role> *(?:generic|group|article|listitem)) (?P<name>"(?:[^"\\]|\\.)*") (?P<ref>\[e\d+\](?: \([^()]*\))?)'
    r"(?:: (?P<text>.*))?"
)
_LINK = re.compile(r' *(?:link|button) (?P<name>"(?:[^"\\]|\\.)*") \[e\d+\]')


def is_page(observation: Observation) -> bool:
    """Whether it is a page with an address, to which one can go back, and not an output that is gone when it is cut."""
    return observation.text.startswith(("URL: ", "Title: ")) or bool(_REF.search(observation.text))


def folded(observation: Observation, history: Sequence[Step]) -> str:
    """The text of the current page. What `find` was asked for in the last step is never folded."""
    text = observation.text
    if not is_page(observation):
        return text
    wanted = _asked_for(history)
    elsewhere = {
        s.observation.text for s in history if s.observation.url and not same_place(s.observation, observation)
    }
    parts = {part.start: part for part in _foldable(Frame.seen(elsewhere).split(text).parts, wanted)}
    lines = text.split("\n")
    shown: list[str] = []
    at = 0
    while at < len(lines):
        part = parts.get(at)
        shown += [f"{_indent(lines[at])}({_told(part)})"] if part else [brief_page_line(lines[at], wanted)]
        at += len(part.lines) if part else 1
    return "\n".join(_joined(_around(_headed(_without_repeated_lists(shown, wanted)))))


def shown_since(history: Sequence[Step], now: Observation) -> int:
    """The number of steps before the page was shown as it is but for a few lines, whose references still hold.

    What was done since is told after it, so that a form that is filled is told once. ``len(history)`` = it is new.
    """
    pages = [*(step.observation for step in history), now]
    since = len(history)
    while since and history[since - 1].action.kind != "find" and _still_holds(pages[since - 1], now):
        since -= 1
    return since


def _still_holds(page: Observation, now: Observation) -> bool:
    if not is_page(page) or not same_page(page, now) or len(page.text) < LEAST_PAGE:
        return False
    elements, elements_now = (parse_observation(each.text).elements for each in (page, now))
    if [(one.ref, one.role, one.name) for one in elements] != [(one.ref, one.role, one.name) for one in elements_now]:
        return False
    return len(changed_lines(page.text, now.text, Frame())) <= MOST_CHANGES


def same_place(page: Observation, other: Observation) -> bool:
    """Whether two pages are at one kind of address: /ticket/7 and /ticket/8 are."""
    return kind_of_address(page) == kind_of_address(other)


def same_page(page: Observation, other: Observation) -> bool:
    """Whether two observations are of one page, with whatever changed on it: their addresses lead to one document."""
    return _document(page.url) == _document(other.url) and page.title == other.title


def _document(url: str) -> str:
    """The address without a fragment that only points into the page."""
    document, mark, fragment = url.partition("#")
    return document + mark + fragment if "/" in fragment else document


def kind_of_address(page: Observation) -> str:
    return kind_of_place(normalise_url(page.url).partition("?")[0])


def brief_page_line(line: str, wanted: str = "") -> str:
    return brief_line(without_telling_addresses(line), wanted, MOST_OPTIONS, MOST_ADDRESS)


def _asked_for(history: Sequence[Step]) -> str:
    last = history[-1].action if history else None
    return " ".join(last.value.split()) if last is not None and last.kind == "find" else ""


def _foldable(parts: Iterable[FramePart], wanted: str) -> Iterator[FramePart]:
    """Runs of lines that say nothing but the names of elements; fields that hold something stay as they are."""
    for part in parts:
        if wanted and any(wanted.casefold() in line.casefold() for line in part.lines):
            continue
        start = 0
        for at in range(len(part.lines) + 1):
            if at < len(part.lines) and not _says_more(part.lines[at]):
                continue
            if at - start >= LEAST_RUN:
                yield FramePart(part.start + start, part.lines[start:at])
            start = at + 1


def _says_more(line: str) -> bool:
    elements = parse_observation(line).elements
    return any(
        element.value or element.options or element.states or element.role in TICKS or element.expects
        for element in elements
    )


def _told(part: FramePart) -> str:
    """Elements by name and reference, and the text between them; of long parts, the first elements."""
    told: list[str] = []
    role, left = "", MOST_NAMED
    refs = part.refs
    for line in part.lines[:MOST_FOLDED]:
        elements = parse_observation(line.strip()).elements[:left]
        left -= len(elements)
        if text := _text_beside(line, elements):
            told.append(f"; {text}")
            role = ""
        for element in elements:
            told.append(f"{', ' if element.role == role else f'; {element.role} '}{_name(element)}[{element.ref}]")
            role = element.role
    more = refs[MOST_NAMED - left :]
    rest = f'; {len(more)} more up to [{more[-1]}], find("[{more[0]}]") shows them' if more else ""
    return f"as before: {''.join(told).removeprefix('; ')}{rest}"


def _text_beside(line: str, elements: Sequence[Element]) -> str:
    """The text of a line without the elements in it."""
    body = line.strip()
    if not elements:
        return shorter(body, MOST_TEXT)
    if body.startswith(("text: ", "item: ", "row: ", "columns: ")):
        return shorter(_ELEMENT.sub("…", body), MOST_TEXT)
    return ""


def _name(element: Element) -> str:
    name = element.name if len(element.name) <= MOST_NAME else element.name[: MOST_NAME - 1] + "…"
    return '"' + name.replace('"', "'") + '" ' if name else ""


def _indent(line: str) -> str:
    return " " * _depth(line)


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _joined(lines: Iterable[str]) -> Iterator[str]:
    """Neighbours that are nothing but a name and a reference share a line: link "Bold" [e7], "Italic" [e8]"""
    row: list[str] = []
    for line in lines:
        simple = _SIMPLE.fullmatch(line)
        if simple and row and row[0].startswith(f"{simple[1]} ") and len(row) < MOST_JOINED:
            row.append(simple[2])
            continue
        if row:
            yield ", ".join(row)
        row = [line] if simple else []
        if not simple:
            yield line
    if row:
        yield ", ".join(row)


def _headed(lines: Iterable[str]) -> Iterator[str]:
    """A heading that is a link is one line: heading: link "Boats" [e7] -> /boats; a group's name is told once."""
    heading = group = ""
    for line in lines:
        repeated = repeats_group(group, line)
        group = line.strip()
        if repeated:
            continue
        if heading:
            name = heading.strip().removeprefix("heading ")
            link = line.strip()
            if link.startswith(f"link {name} [") and _depth(line) > _depth(heading):
                yield f"{_indent(heading)}heading: {link}"
                heading = ""
                continue
            yield heading
        heading = line if line.lstrip().startswith('heading "') else ""
        if not heading:
            yield line
    if heading:
        yield heading


def _around(lines: Iterable[str]) -> Iterator[str]:
    """A card that is called like the link in it is one line with it: generic [e7] around link "Boats" [e8] -> /boats"""
    card = ""
    for line in lines:
        outer, inner = _CARD.fullmatch(card), _LINK.match(line)
        if outer and inner and outer["name"] == inner["name"] and _depth(line) > _depth(card):
            text = f" | {outer['text']}" if outer["text"] else ""
            yield f"{outer['role']} {outer['ref']} around {line.strip()}{text}"
            card = ""
            continue
        if card:
            yield card
        card = line if _CARD.fullmatch(line) else ""
        if not card:
            yield line
    if card:
        yield card


def repeats_group(before: str, line: str) -> bool:
    """Whether a line is the legend of the group that the line before it names."""
    return before.strip() == f'group "{line.strip().removeprefix("text: ")}"' and line.lstrip().startswith("text: ")


def _without_repeated_lists(lines: Sequence[str], wanted: str) -> Iterator[str]:
    """A long list of options that a field above has too is told by that field's reference."""
    seen: dict[frozenset[str], str] = {}
    for line in lines:
        found = _LIST.search(line)
        ref = _REF.search(line)
        if found is None or ref is None or not any(f"{role} " in line for role in FIELDS):
            yield line
            continue
        options = frozenset(found[0].split(" | "))
        before = seen.setdefault(options, ref[1])
        repeated = before != ref[1] and len(options) > 4 and not (wanted and wanted.casefold() in line.casefold())
        yield f"{line[: found.start()]}the options of {before}" if repeated else line
