"""An example as a procedure: its operations, what they are about, and where they are carried out, whatever the goal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from lbi.observations.parse import Element, Page
from lbi.protocols import Shown
from lbi.records import Action, Observation, Trajectory
from lbi_offline.forms import called, enters, find, form_of
from lbi_offline.goal import made
from lbi_offline.lexical import labels, mask
from lbi_offline.places import Thing, bare, page_of, thing_of

PAGES = 12  # pages of an example's trajectory beside its own that are looked at for names of things
KEPT = 4096  # procedures that are kept, as the same examples are shown at every step
#: words of labels that say nothing of what is done
FILLERS = frozenset(labels("with via chosen what and text from the into"))
#: words of buttons that send a form, whatever it is for
SENDS = frozenset({"save", "submit", "apply", "publish", "update", "ok", "confirm", "send", "changes", "fill"})


@dataclass(frozen=True)
class Operation:
    """What one press did: ``entered`` for it, after ``opened`` had been clicked on the same page."""

    commit: Action
    before: Observation
    after: Observation
    entered: tuple[Action, ...]
    opened: tuple[Action, ...]
    at: int  # index of the press in its trajectory
    changes: bool

    @cached_property
    def visit(self) -> bool:
        """Whether it does nothing but lead somewhere."""
        return not self.changes and not self.entered and self.commit.role != "button"

    @property
    def url(self) -> str:
        """The page where it is to be carried out; a visit's is where it leads."""
        return self.after.url if self.visit else self.before.url

    @cached_property
    def fields(self) -> tuple[Element, ...]:
        """Those of its form."""
        first = self.entered[0] if self.entered else self.commit
        form = form_of(page_of(self.before), (first.role, first.name)) if first.role else None
        return form.fields if form else ()


def operations(trajectory: Trajectory, start: int, end: int) -> tuple[Operation, ...]:
    """One for each press that changed something, and the last step whatever it did."""
    steps, seen = trajectory.steps, trajectory.observations
    presses = [at for at in range(start, end) if made(steps[at], seen[at + 1]) or at == end - 1]
    return tuple(_operation(trajectory, at) for at in presses)


def _operation(trajectory: Trajectory, at: int) -> Operation:
    last, after = trajectory.steps[at], trajectory.observations[at + 1]
    entered: list[Action] = []
    opened: list[Action] = []
    for step in reversed(trajectory.steps[: at + 1 if enters(last.action) else at]):
        before, now = step.observation, last.observation
        if bare(before.url) != bare(now.url) or before.digest != now.digest:
            break
        if enters(step.action):
            entered.insert(0, step.action)
        elif find(page_of(before), last.action.role, last.action.name) is None:
            opened.insert(0, step.action)
    return Operation(last.action, last.observation, after, tuple(entered), tuple(opened), at, made(last, after))


class Procedure:
    """One example; what is worked out is kept."""

    def __init__(self, shown: Shown) -> None:
        self.shown = shown
        self.id = shown.example.id
        self.instruction = shown.example.instruction

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        example = self.shown.example
        every = operations(self.shown.trajectory, example.start, example.end)
        # of how it went on after a change the instruction says nothing; a form left unsent teaches nothing
        last = tuple(operation for operation in every[-1:] if not enters(operation.commit))
        return tuple(operation for operation in every if operation.changes) or last

    @cached_property
    def visit(self) -> bool:
        return all(operation.visit for operation in self.operations)

    @property
    def changes(self) -> bool:
        return any(operation.changes for operation in self.operations)

    @cached_property
    def pages(self) -> tuple[Page, ...]:
        """Its own pages, and those of the same trajectory before anything was changed."""
        example, seen = self.shown.example, self.shown.trajectory.observations
        own = seen[example.start : example.end + 1]
        known = {observation.url for observation in own}
        others = {o.url: o for o in seen if o.digest == seen[0].digest and o.url not in known}
        return tuple(page_of(observation) for observation in (*own, *list(others.values())[:PAGES]))

    @cached_property
    def about(self) -> Thing | None:
        return thing_of(self.operations[0].url, self.pages)

    @cached_property
    def offers(self) -> frozenset[str]:
        """Words of the forms it uses: names of fields, options, and the headings above."""
        fields = [field for operation in self.operations for field in operation.fields]
        names = [*map(called, fields), *(h for o in self.operations for h in page_of(o.before).headings[-3:])]
        options = [option for field in fields for option in field.options[:40]]
        return frozenset(word for name in (*names, *options) for word in labels(mask(name)))

    @cached_property
    def label(self) -> frozenset[str]:
        """Words of its instruction without values, and without a button that only says that a form is sent."""
        text = mask(self.instruction)
        button = re.split(r" \(| with | on | in ", text, maxsplit=1)[0]
        if {word.lower() for word in re.findall(r"[A-Za-z]+", button)} <= SENDS:
            text = text[len(button) :]
        return frozenset(labels(text)) - FILLERS


_PROCEDURES: dict[str, Procedure] = {}


def procedure_of(shown: Shown) -> Procedure:
    """The procedure of an example, worked out once."""
    if len(_PROCEDURES) >= KEPT:
        _PROCEDURES.clear()
    return _PROCEDURES.setdefault(shown.example.id, Procedure(shown))
