"""Programs that solve tasks through the agent's own actions, looking at nothing but the agent's own observations.

They prove that a task can be seen and done, whatever a model makes of it: a test of observation and action.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator

from lbi.observations.parse import Element, Page, parse_observation
from lbi.protocols import Decision
from lbi.records import Observation, Step, Task

#: yields actions, and is sent the page that each led to
Acts = Generator[str, Page, None]
Solution = Callable[[str, Page], Acts]


class Solver:
    """An agent that follows a solution through one episode."""

    name = "solution"

    def __init__(self, solution: Solution) -> None:
        self._solution = solution
        self._run: Acts | None = None

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        page = parse_observation(observation.text)
        try:
            if not history or self._run is None:
                self._run = self._solution(task.instruction, page)
                return Decision(action=next(self._run))
            return Decision(action=self._run.send(page))
        except StopIteration:
            return Decision(action='finish("")')


def quoted(text: str) -> list[str]:
    """The parts of an instruction in quotation marks."""
    return re.findall(r'"([^"]+)"', text)


def named(page: Page, name: str, role: str = "") -> Element:
    """The element of this name, whatever case. Raises LookupError that says what there is."""
    for element in page.elements:
        if element.name.casefold() == name.casefold() and role in ("", element.role):
            return element
    raise LookupError(f"no {role or 'element'} {name!r} among {[(e.role, e.name) for e in page.elements]}")


def click(element: Element) -> str:
    return f"click({element.ref})"


def submit(page: Page) -> str:
    return click(named(page, "Submit", "button"))


def click_quoted(task: str, page: Page) -> Acts:
    yield click(named(page, quoted(task)[0]))


SOLUTIONS: dict[str, Solution] = {
    "click-button": click_quoted,
}
