"""An example as a procedure: its operations, what they are about, and where they are carried out, whatever the goal.

An operation is what was pressed at last, the fields filled for it, and the page where that was.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

from lbi.observations.parse import Page
from lbi.offline.forms import TOGGLE_ROLES, Form, called, find, form_of
from lbi.offline.goal import FILLING, is_visit, page_of
from lbi.offline.lexical import labels, mask, words
from lbi.offline.memo import Unhashed
from lbi.offline.places import Thing, thing_of
from lbi.offline.things import directory
from lbi.protocols import Shown
from lbi.records import Action, Observation, Step, Trajectory

PAGES = 12  # pages of an example's trajectory beside its own that are looked at for names of things


@dataclass(frozen=True)
class Operation:
    """What one press did: ``run`` was entered for it, ``opened`` clicked on the same page before that."""

    commit: Action
    where: Observation  # before the press
    after: Observation
    run: tuple[Action, ...]
    opened: tuple[Action, ...]
    at: int = 0  # index of the press in its trajectory

    @property
    def changes(self) -> bool:
        return self.where.digest != self.after.digest

    @cached_property
    def visit(self) -> bool:
        """Whether it does nothing but lead somewhere."""
        return not self.changes and not self.run and self.commit.role != "button"

    @property
    def url(self) -> str:
        """The page where it is to be carried out; a visit's is where it leads."""
        return self.after.url if self.visit else self.where.url

    @cached_property
    def form(self) -> Form | None:
        first = self.run[0] if self.run else self.commit
        return form_of(page_of(self.where), (first.role, first.name)) if first.role else None


def operations(trajectory: Trajectory, start: int, end: int) -> tuple[Operation, ...]:
    """One for each press that changed something, and the last step whatever it did."""
    found = []
    for at in range(start, end):
        step, after = trajectory.steps[at], trajectory.observations[at + 1]
        action = step.action
        led = action.role in ("link", "") and _path(step.observation.url) != _path(after.url)
        changed = step.observation.digest != after.digest and not led and not _enters(step)
        if changed or at == end - 1:
            found.append(_operation(trajectory, at))
    return tuple(found)


def _operation(trajectory: Trajectory, at: int) -> Operation:
    steps, last = trajectory.steps, trajectory.steps[at]
    run: list[Action] = []
    opened: list[Action] = []
    first = at + 1 if _enters(last) else at
    for step in reversed(steps[:first]):
        if (
            _path(step.observation.url) != _path(last.observation.url)
            or step.observation.digest != last.observation.digest
        ):
            break
        if _enters(step):
            run.insert(0, step.action)
        elif step.action.kind == "click" and not step.observation.error:
            opened.insert(0, step.action)
        else:
            break
    # what was clicked on the page before had its own page; a click that led here opened nothing
    return Operation(last.action, last.observation, trajectory.observations[at + 1], tuple(run), tuple(opened), at)


def _enters(step: Step) -> bool:
    return step.action.kind in FILLING or step.action.role in TOGGLE_ROLES


def _path(url: str) -> str:
    return url.split("#")[0]


class Procedure:
    """One example. What is worked out is kept, as the same examples are shown at every step."""

    def __init__(self, shown: Shown) -> None:
        self.shown = shown
        self._things: dict[Thing, dict[Thing, set[str]]] = {}
        self._abouts: dict[str, Thing | None] = {}

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        example = self.shown.example
        found = operations(self.shown.trajectory, example.start, example.end)
        # where something was changed, its instruction says nothing of how it went on after that
        return tuple(o for o in found if o.changes) or found[-1:]

    @cached_property
    def visit(self) -> bool:
        return all(operation.visit for operation in self.operations) or is_visit(self.shown.example.instruction)

    @cached_property
    def changes(self) -> bool:
        return any(operation.changes for operation in self.operations)

    @cached_property
    def pages(self) -> tuple[Page, ...]:
        """Its own pages, and those of the same trajectory before anything was changed."""
        example, seen = self.shown.example, self.shown.trajectory.observations
        own = seen[example.start : example.end + 1]
        known = {o.url for o in own}
        others = {o.url: o for o in seen if o.digest == seen[0].digest and o.url not in known}
        return tuple(page_of(observation) for observation in (*own, *list(others.values())[:PAGES]))

    @cached_property
    def about(self) -> Thing | None:
        return None if self.everywhere else thing_of(self.operations[0].url, self.pages)

    @cached_property
    def everywhere(self) -> bool:
        """Whether its form stands on other pages too, as a site's search does: then where it was used is chance."""
        first, operation = self.shown.trajectory.observations[0], self.operations[0]
        if not operation.run or _path(first.url).split("?")[0] == _path(operation.where.url).split("?")[0]:
            return False
        page = page_of(first)
        used = operation.opened[-1:] or (*operation.run, operation.commit)
        return all(find(page, action.role, action.name) is not None for action in used if action.role)

    @cached_property
    def parents(self) -> list[tuple[Page, str]]:
        """Pages of its trajectory with a link to where it is carried out, and the name of that link."""
        wanted = _path(self.operations[0].url)
        found = []
        for observation in self.shown.trajectory.observations:
            page = page_of(observation)
            for element in page.elements:
                if element.role == "link" and _path(element.url) == wanted and _path(page.url) != wanted:
                    found.append((page, element.name))
        return list({(page.url, name): (page, name) for page, name in found}.values())

    @cached_property
    def offers(self) -> dict[str, frozenset[str]]:
        """Words of its forms by where they stand: names of fields, options, headings above them."""
        forms = [operation.form for operation in self.operations if operation.form]
        fields = [field for form in forms for field in form.fields]
        headings = [heading for operation in self.operations for heading in page_of(operation.where).headings[-3:]]
        return {
            "names": frozenset(word for field in fields for word in labels(called(field))),
            "options": frozenset(w for field in fields for option in field.options[:40] for w in words(option)),
            "headings": frozenset(word for heading in headings for word in words(mask(heading))),
        }

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Words of the forms it fills: names of fields and buttons, options, headings of the page."""
        return frozenset().union(*self.offers.values())

    @cached_property
    def said(self) -> frozenset[str]:
        """Words that say what is to be done, not to what."""
        own = words(f"{self.about.id} {self.about.slug}") if self.about else ()
        return frozenset(words(mask(self.shown.example.instruction))).difference(own)

    def about_at(self, url: str) -> Thing | None:
        """What another of its pages is about."""
        if url not in self._abouts:
            self._abouts[url] = thing_of(url, self.pages)
        return self._abouts[url]

    def things(self, about: Thing) -> dict[Thing, set[str]]:
        """Things of a kind with their names, as far as its own pages show them."""
        if about not in self._things:
            self._things[about] = directory(about, self.pages)
        return self._things[about]


def procedure_of(shown: Shown) -> Procedure:
    return _procedure(shown.example.id, Unhashed(shown))


@lru_cache(maxsize=4096)
def _procedure(id_: str, hidden: Unhashed[Shown]) -> Procedure:
    return Procedure(hidden.value)
