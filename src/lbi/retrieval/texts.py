"""Examples and requests -> the texts by which they are looked up: what was said, and what was done, without values.

    instruction                                               said
    Rename the topic "Shed roof leaks" to "Felt or sheets?"   Rename the topic to
    its last step, on the page                                done
    click(button "Update") after fill(textbox "Title")        click Update. Title. Edit topic. topic update

What was said and what was done are apart, as a text that holds both drowns the one in the other. Values are left out,
as an example about the same thing is not one of the same operation.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lbi.observations.diff import without_references
from lbi.observations.frame import Frame
from lbi.observations.parse import FIELDS, TICKS, parse_observation
from lbi.observations.region import touched
from lbi.records import Action, Example, Observation, Trajectory
from lbi.storage.secrets import mask

if TYPE_CHECKING:
    from lbi.models.embeddings import Embedder, Vectors

LOOKED_UP = 200  # about so many examples are asked for in other words
FRAME_PAGES = 1000  # distinct pages among which those lines are counted that pages have in common
_QUOTED = re.compile(r'"[^"]*"|“[^”]*”|„[^“”]*[“”]|‘[^’]*’|(?<!\w)\'[^\']*\'(?!\w)')
_NUMBERED = re.compile(r"\S*\d\S*")
_NAMED = re.compile(r'\s*([a-z]+) ("(?:[^"\\]|\\.)*")')
#: elements and containers whose names tell what a form or section is for
_TELLING = FIELDS | {"button", "checkbox", "switch", "heading", "group", "dialog", "form", "region", "tabpanel"}
_ENTERING = frozenset({"fill", "type", "select", "upload"})
_NAMES_IN_ADDRESS = re.compile(r"/\d+/[^/]*-[^/]*")  # a thing's number, and its name after it


def without_values(text: str) -> str:
    """A request without what is quoted in it and without numbers; the text itself where too little would be left."""
    left = " ".join(_NUMBERED.sub(" ", _QUOTED.sub(" ", text)).split())
    return left if len(re.findall(r"\w+", left)) > 1 else " ".join(text.split())


async def embedded_requests(embedder: Embedder | None, *requests: str) -> list[Vectors | None]:
    """The vector of each request, without its values; None for all without an embedder, and for an empty one."""
    if embedder is None:
        return [None for _ in requests]
    vectors = await embedder.embed([without_values(request) for request in requests])
    return [vector if request else None for request, vector in zip(requests, vectors, strict=True)]


class ExampleTexts(NamedTuple):
    """The texts of examples, in their order."""

    said: list[str]
    done: list[str]
    asked: list[str]  # of some, what was said in other words, to find out what fits (lbi.retrieval.threshold); or ""


def texts_of(
    examples: Sequence[Example], trajectories: Mapping[str, Trajectory], deeds: Deeds | None = None
) -> ExampleTexts:
    """What is asked for and what is done in each example; ``trajectories`` by their ids."""
    deeds = deeds or Deeds(trajectories[id_] for id_ in sorted({example.trajectory for example in examples}))
    done = [deeds.of(example, trajectories[example.trajectory]) for example in examples]
    said = [without_values(mask(example.instruction)) for example in examples]
    some = set(sorted(example.id for example in examples)[:: max(1, len(examples) // LOOKED_UP)])
    asked = [in_other_words(each) if e.id in some else "" for e, each in zip(examples, said, strict=True)]
    return ExampleTexts(said, done, asked)


def in_other_words(said: str) -> str:
    """A request as it might be worded by somebody else, who has half of its words in common with it."""
    words = said.split()
    chosen = random.Random(said).sample(range(len(words)), (len(words) + 1) // 2)
    return " ".join(words[at] for at in sorted(chosen))


class Deeds:
    """What the last step of an example does: its action, the part of the page that it touches, and where that is.

    ``trajectories``: what pages have in common is counted over their observations, and left out. ``frame``: as it was
    counted before.
    """

    def __init__(self, trajectories: Iterable[Trajectory], frame: Frame | None = None) -> None:
        self._frame = Frame.of(distinct_pages(trajectories)) if frame is None else frame
        self._known: dict[tuple[str, int], str] = {}
        self._headings: dict[str, tuple[str, ...]] = {}  # of a page, by its text: most steps are on pages seen before

    def of(self, example: Example, trajectory: Trajectory) -> str:
        """The text of an example; spans that end with the same step differ only in what was entered before it."""
        at = example.end - 1
        if (trajectory.id, at) not in self._known:
            before, after = trajectory.observations[at : at + 2]
            self._known[trajectory.id, at] = mask(_joined(self._step(before, trajectory.actions[at], after)))
        return _joined([self._known[trajectory.id, at], *map(mask, _entered(trajectory.actions[example.start : at]))])

    def _step(self, before: Observation, action: Action, after: Observation) -> Iterable[str]:
        yield f"{action.kind} {action.name}" if action.role else _words(action.grounded)
        if not action.role or (action.role == "link" and before.digest == after.digest and before.url != after.url):
            yield from self._place(after)  # of a step that leads somewhere it matters where
            return
        region = touched(before.text, action, self._frame)
        yield from _names(region.text.split("\n")) if region else ()
        yield from self._place(before)

    def _place(self, page: Observation) -> Iterable[str]:
        """The heading of a page, and the words of its address."""
        if page.text not in self._headings:
            self._headings[page.text] = tuple(parse_observation(self._frame.own(page.text)).headings[:1])
        yield from self._headings[page.text]
        yield _address(page.url)


def _joined(parts: Iterable[str]) -> str:
    return ". ".join(dict.fromkeys(filter(None, map(_plain, parts))))


def distinct_pages(trajectories: Iterable[Trajectory]) -> Sequence[str]:
    """The texts of pages, at most about FRAME_PAGES of them, among which it is counted what pages have in common."""
    texts: Mapping[str, None] = dict.fromkeys(seen.text for walk in trajectories for seen in walk.observations)
    pages = sorted(texts)
    return pages[:: max(1, len(pages) // FRAME_PAGES)]


def _entered(actions: Sequence[Action]) -> Iterable[str]:
    """The names of the fields that were filled just before, last first."""
    for action in reversed(actions):
        if action.kind not in _ENTERING and action.role not in TICKS:
            return
        yield action.name


def _names(lines: Iterable[str]) -> list[str]:
    named = [match for line in lines if (match := _NAMED.match(without_references(line)))]
    return [match[2].strip('"') for match in named if match[1] in _TELLING]


def _plain(text: str) -> str:
    return " ".join(_NUMBERED.sub(" ", text).replace('"', " ").split()).strip(" :*…")


def _address(url: str) -> str:
    """The words of an address, without the names of things in it."""
    return _words(_NAMES_IN_ADDRESS.sub("/", url.split("?")[0].split("#")[0]))


def _words(text: str) -> str:
    return " ".join(re.findall(r"[^\W\d_]{2,}", text))
