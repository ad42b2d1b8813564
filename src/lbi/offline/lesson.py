"""An example as a lesson: its operations, what each is about, and how far a history has carried them out.

An operation is what was pressed at last, the fields filled for it, and the page where that was. The way there is found
anew: by the address of that page with the goal's thing in place of the example's, or by the link that led there.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from lbi.contracts import Shown
from lbi.environments.snapshot import Page
from lbi.offline.forms import TOGGLE_ROLES, Form, called, find, form_of
from lbi.offline.goal import FILLING, Goal, is_visit, page_of
from lbi.offline.lexical import labels, mask, words
from lbi.offline.places import Thing, segments, swap, thing_in, thing_of
from lbi.offline.things import FAMILIAR, directory, plain_name, resolve
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


@dataclass
class Lesson:
    """One retrieved example, bound to a goal: of each operation ``about`` is its thing, ``instead`` the goal's."""

    shown: Shown
    goal: Goal
    seen: Sequence[Page] = ()  # pages that are known beside its own
    directories: dict[Thing, dict[Thing, set[str]]] = dataclasses.field(default_factory=dict)  # shared by lessons
    done: int = dataclasses.field(init=False, default=0)  # operations carried out already

    @property
    def id(self) -> str:
        return self.shown.example.id

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

    @property
    def current(self) -> Operation | None:
        return self.operations[self.done] if self.done < len(self.operations) else None

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
    def called(self) -> frozenset[str]:
        """Names of the goal's thing."""
        if self.about is None or self.instead is None:
            return frozenset()
        known = self._directory(self.about)
        return frozenset(name for thing, names in known.items() if thing.id == self.instead.id for name in names)

    @cached_property
    def instead(self) -> Thing | None:
        return self.counterpart(self.about) if self.about else None

    @cached_property
    def pointed(self) -> bool:
        """Whether the goal points at a thing of this kind by number: "lamp 5", or "#5" where lamps are called so."""
        about = self.about
        if about is None or not about.id.isdigit():
            return False
        kind = {word for part in about.prefix for word in words(part)}
        numbers = [value for value in self.goal.values if value.kind == "number" and value.text.isdigit()]
        marked = any(self.goal.text[value.start] == "#" for value in numbers)
        called = marked and any(re.match(r"#\d", name) for names in self._directory(about).values() for name in names)
        return called or any(kind & set(value.before[:1]) for value in numbers)

    @property
    def missing(self) -> bool:
        """Whether it is about a thing, and the goal's is not to be found."""
        return self.about is not None and self.instead is None

    @property
    def unknown(self) -> bool:
        """Whether its things go by names, the names of several are known, and the goal says none of them."""
        return self.about is not None and not self.about.id.isdigit() and len(self._directory(self.about)) >= FAMILIAR

    @cached_property
    def reachable(self) -> bool:
        """Whether the way to the goal's thing is known, if only by the page that links to it."""
        return not self.missing or bool(self.ways)

    @cached_property
    def ways(self) -> list[tuple[str, str]]:
        """Where the goal's counterparts of the pages are that led to the example's, and the links that did."""
        found = []
        for page, name in self.parents:
            about = thing_of(page.url, self.pages)
            if about is None:
                found.append((page.url, name))
            elif (instead := self.counterpart(about)) is not None:
                found.append((swap(page.url, about, instead), name))
        return list(dict.fromkeys(found))

    def counterpart(self, about: Thing) -> Thing | None:
        return resolve(self.goal, about, self._directory(about), self._said)

    def _directory(self, about: Thing) -> dict[Thing, set[str]]:
        """Things of the kind, with their names."""
        kind = about if about.id.isdigit() else Thing(about.prefix, "")
        if kind not in self.directories:
            self.directories[kind] = directory(about, self.seen)
        known = {thing: set(names) for thing, names in self.directories[kind].items()}
        for thing, names in directory(about, self.pages).items():
            known.setdefault(thing, set()).update(names)
        return known

    @cached_property
    def _said(self) -> frozenset[str]:
        """Words that say what is to be done, not to what."""
        return frozenset(words(mask(self.shown.example.instruction)))

    def address(self, url: str) -> str:
        """Where the goal's counterpart of a page is."""
        return swap(url, self.about, self.instead or self.about)

    def name(self, name: str) -> str:
        """A name of the lesson's interface, with the goal's thing in it."""
        if not self.about or not self.instead or self.about == self.instead or self.about.id not in name:
            return name
        return name.replace(self.about.id, self.instead.id)

    def names_thing(self, text: str) -> bool:
        """Whether a value only says which thing is meant."""
        if self.instead is None:
            return False
        own = set(words(self.instead.id)) | set(words(self.instead.slug))
        names = {plain_name(name).lower() for name in self.called}
        return text.lower() in names or (bool(set(words(text))) and set(words(text)) <= own)

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

    def like(self, url: str) -> bool:
        """Whether an address is that of the lesson's page, about whichever thing."""
        if self.about is None:
            return _plain(url) == _plain(self.operations[0].url)
        thing = thing_in(url, self.about.prefix, numbered=self.about.id.isdigit())
        return thing is not None and _plain(swap(self.operations[0].url, self.about, thing)) == _plain(url)

    def carried_out(self, history: Sequence[Step], last: Observation) -> int:
        """How many of its operations a history holds, in their order."""
        count = 0
        for at, step in enumerate(history):
            if count == len(self.operations):
                break
            own = self.operations[count].commit
            after = history[at + 1].observation if at + 1 < len(history) else last
            same = step.action.kind == own.kind and step.action.role == own.role and self.id in step.reason
            if same and own.role and not after.error and step.action.name in (own.name, self.name(own.name)):
                count += 1
        return count

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


def _plain(url: str) -> str:
    """An address without fragment, final slash and readable part."""
    parts = segments(url)
    kept = [part for i, part in enumerate(parts) if not (i and "-" in part and parts[i - 1].isdigit())]
    query = url.partition("?")[2].partition("#")[0]
    return "/".join(kept) + ("?" + query if query else "")
