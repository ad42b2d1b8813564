"""At which steps of an episode examples are looked up for its prompts: at the first, and where a new kind of page is.

In between the prompts keep the examples that they have, so that few queries are asked and prompts begin alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from lbi.observations.frame import Frame
from lbi.observations.normalise import kind_of_place, place
from lbi.protocols import Shown
from lbi.records import Observation, Step

PATIENCE = 4  # steps for which a query holds at least
ALIKE = 0.4  # share of lines that two pages of one kind have in common
_WHOLE = Frame()
_ELEMENT = re.compile(r"\[e\d+\]|\AURL: ")


def look_up_steps(history: Sequence[Step], now: Observation) -> list[int]:
    """Indices of the steps at which a kind of page was come to that the episode had not seen; the first is 0.

    ``len(history)`` stands for the current page. An output of a command is of the kind of the command.
    """
    pages = [*(step.observation for step in history), now]
    steps: list[int] = []
    commands: set[str] = set()
    for at, page in enumerate(pages):
        if _ELEMENT.search(page.text):
            new = not any(same_kind(page, pages[before]) for before in steps)
        else:
            kind = history[at - 1].action.kind if at else ""
            new = kind not in commands
            commands.add(kind)
        if new or not at:
            steps.append(at)
    return steps


def same_kind(page: Observation, other: Observation) -> bool:
    """Whether two pages have addresses that differ in numbers and queries only, and some of their lines in common."""
    if kind_of_place(place(page).partition("?")[0]) != kind_of_place(place(other).partition("?")[0]):
        return False
    lines, other_lines = _lines(page.text), _lines(other.text)
    return len(lines & other_lines) >= ALIKE * min(len(lines), len(other_lines))


@lru_cache(maxsize=512)  # every page of an episode is compared again at each of its steps
def _lines(text: str) -> frozenset[str]:
    return _WHOLE.own_keys(text)


def asks(step: int, last: int | None, by_page: Sequence[Shown], now: Observation) -> bool:
    """Whether a query is worth a call at a look-up.

    At the first one, and later if the look-up by observation found nothing on a page of this kind, unless the last
    query, of the step ``last``, was made just before.
    """
    if last is None:
        return True
    found = any(same_kind(one.trajectory.observations[one.at], now) for one in by_page)
    return not found and step - last >= PATIENCE
