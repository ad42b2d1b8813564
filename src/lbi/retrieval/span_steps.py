"""A span and the page now -> the action for its next step, or why the page is another than in the example.

An element is found by its role and name, and by what stands around it: the form, heading and kind of page that the
example had there. The same button in another form is another button.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from lbi.errors import LbiError
from lbi.observations.diff import without_references
from lbi.observations.normalise import kind_of_place, place
from lbi.observations.parse import FIELDS, TICKS, Element, parse_observation
from lbi.observations.region import touched
from lbi.records import Action, Observation, written_element
from lbi.retrieval.spans import ExecutableSpan, SpanWithValues

ALIKE = 0.5  # of what stood around an element in the example, so much must stand there now
ANYWHERE = frozenset({"goto", "wait"})  # actions that any page allows
_TELLING = FIELDS | TICKS | {"button", "heading", "group", "dialog", "form", "region", "tabpanel"}
_NAMED = re.compile(r'\s*([a-z]+) ("(?:[^"\\]|\\.)*")')
_NUMBER = re.compile(r"\d+")


class PageChanged(LbiError):
    """The next step of a span cannot be taken as it was in the example."""


@dataclass(frozen=True)
class SpanUnderWay:
    """A span of which ``taken`` steps were taken."""

    of: SpanWithValues
    taken: int = 0

    @property
    def span(self) -> ExecutableSpan:
        return self.of.span

    @property
    def is_over(self) -> bool:
        return self.taken >= len(self.of.actions)

    @property
    def rest(self) -> tuple[Action, ...]:
        """What was not done yet."""
        return self.of.actions[self.taken :]

    @property
    def at(self) -> int:
        """Index of the trajectory's observation that the next step was taken on."""
        return self.span.example.start + self.taken

    def after_step(self) -> SpanUnderWay:
        return replace(self, taken=self.taken + 1)

    def next_action(self, page: Observation) -> str:
        """The next action in a form that the environment takes. Raises PageChanged."""
        action = self.of.actions[self.taken]
        if action.kind not in ANYWHERE:
            recorded = self.span.trajectory.observations[self.at]
            action = _on(page, action, self.span.actions[self.taken], recorded, self.of)
        return action.grounded

    def check_end(self, page: Observation) -> None:
        """Whether the page after the last step is of the kind that it was. Raises PageChanged."""
        if page.error:
            raise PageChanged(page.error)
        self._same_place(page, "the last step led to")

    def _same_place(self, page: Observation, what: str) -> None:
        recorded = self.span.trajectory.observations[self.at]
        if not (recorded.url and page.url):
            return
        wanted, seen = _kind(self.of.address(recorded.url)), _kind(place(page))
        if wanted != seen:
            raise PageChanged(f"{what} {page.url}, and in the example to a page such as {recorded.url}")


def _on(page: Observation, action: Action, recorded: Action, before: Observation, values: SpanWithValues) -> Action:
    """The action for the element of this page that is most like the one in the example."""
    if not action.role:
        if before.url and page.url and _kind(values.address(before.url)) != _kind(place(page)):
            raise PageChanged(f"this is {page.url}, and in the example it was a page such as {before.url}")
        return action
    named = [e for e in parse_observation(page.text).elements if (e.role, e.name) == (action.role, action.name)]
    if not named:
        raise PageChanged(f"there is no {written_element(action.role, action.name)} on this page")
    wanted = _around(before, parse_observation(before.text).find(recorded.role, recorded.name, recorded.nth), values)
    shares = [_share(wanted, _around(page, element)) for element in named]
    best = max(range(len(named)), key=lambda at: (shares[at], named[at].nth == action.nth, -at))
    if shares[best] < ALIKE:
        raise PageChanged(f"{written_element(action.role, action.name)} stands elsewhere than in the example")
    return action.model_copy(update={"nth": named[best].nth})


def _share(wanted: frozenset[str], there: frozenset[str]) -> float:
    return len(wanted & there) / len(wanted) if wanted else 1.0


def _around(page: Observation, element: Element | None, values: SpanWithValues | None = None) -> frozenset[str]:
    """What stands around an element, without numbers: its heading, its group, its form, and the kind of its page."""
    if element is None:
        return frozenset()
    put = values.put if values else str
    region = touched(page.text, element.ref)
    lines = without_references(region.text).split("\n") if region else []
    own = f"{element.role} {element.name}"
    told = {f"{match[1]} {match[2][1:-1]}" for line in lines if (match := _NAMED.match(line)) and match[1] in _TELLING}
    told |= {f"heading {element.heading}"} if element.heading else set()
    told |= {f"in {element.group}"} if element.group else set()
    around = {put(each) for each in told - {own}}
    if page.url:
        around.add(f"at {_kind(values.address(page.url) if values else page.url)}")
    return frozenset(_NUMBER.sub("0", each) for each in around)


def _kind(address: str) -> str:
    return kind_of_place(address.partition("?")[0].partition("#")[0])


def startable(span: ExecutableSpan, page: Observation) -> bool:
    """Whether the first step can be taken here. What depends on a value is only known when that is."""
    own = span.with_values({each.name: each.value for each in span.parameters})
    first = span.actions[0]
    other = span.with_values({each.name: f"other than {each.value}" for each in span.parameters})
    if first.kind in ANYWHERE or other.actions[0].name != first.name:
        return True
    try:
        SpanUnderWay(own).next_action(page)
    except PageChanged:
        return False
    return True
