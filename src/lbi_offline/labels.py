"""Span of a trajectory -> the instruction that its steps really carried out (backward construction, offline).

fill Colour "red", click "Save" on /lamp/7  ->  Save with Colour "red" on lamp "7" ("Green lamp")
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from lbi.observations.parse import Page
from lbi.records import Action, Observation, Step, Trajectory
from lbi_offline.examples import Operation, operations
from lbi_offline.forms import FILLING, TOGGLE_ROLES, called, enters, title
from lbi_offline.places import Thing, bare, page_of, pattern, place, thing_of

MAX_FIELDS = 8
MAX_CHANGES = 3  # the last ones
MAX_WAY = 30  # characters of a link's name; longer ones are titles of things


def abstract(trajectory: Trajectory, start: int, end: int) -> str:
    """A task that the span completes: its changes, if there are any, with what was entered for each."""
    pages = [page_of(observation) for observation in trajectory.observations[: end + 1]]
    every = operations(trajectory, start, end)
    done = [operation for operation in every if operation.changes] or list(every[-1:])
    orders = [_order(trajectory, start, end, operation, pages) for operation in done[-MAX_CHANGES:]]
    return ", then ".join(dict.fromkeys(orders))


def _order(trajectory: Trajectory, start: int, end: int, operation: Operation, pages: Sequence[Page]) -> str:
    commit, before = operation.commit, operation.before
    thing = thing_of(before.url, pages)
    where = f"{'on' if thing else 'in'} {_named(before, thing)}"
    left = commit.role == "link" and bare(before.url) != bare(operation.after.url)
    if operation.entered and (operation.changes or not left):
        page = page_of(before)
        last = {(action.role, action.name, action.nth): action for action in operation.entered}
        settings = ", ".join(_setting(action, page) for action in list(last.values())[:MAX_FIELDS])
        pressed = "Submit" if commit.kind == "press" else clean(commit.name)
        button = "Fill in" if enters(commit) else pressed
        return f"{button}{_way(trajectory, operation.at)} with {settings} {where}"
    if operation.changes or commit.role == "button" or not before.url:  # a desktop's windows have no address
        return f"{clean(commit.name)}{_way(trajectory, operation.at)} {where}"
    return _visit(trajectory.observations[end], pages, trajectory.steps[start:end])


def _way(trajectory: Trajectory, at: int) -> str:
    """The name of the link or button that led to the page of a step: what "Apply" applies is often said only there."""
    now = trajectory.steps[at].observation
    left = [step for step in trajectory.steps[:at] if bare(step.observation.url) != bare(now.url)]
    if not left or (len(pattern(now.url)) == 2 and pattern(now.url)[1] == "*"):
        return ""  # how one came to a thing's own page says nothing of what is done there
    links = (e for o in reversed(trajectory.observations[:at]) for e in page_of(o).elements if e.role == "link")
    pressed = left[-1].action.kind == "click"
    name = clean(left[-1].action.name if pressed else next((e.name for e in links if e.url == now.url), ""))
    return f" ({name})" if name and len(name) < MAX_WAY and name.lower() not in _title(now).lower() else ""


def _setting(action: Action, page: Page) -> str:
    element = page.find(action.role, action.name, action.nth)
    name = clean(called(element) if element else title(action.name))
    return f"{name or 'row'} chosen" if action.role in TOGGLE_ROLES else f'{name or "text"} "{quotable(action.value)}"'


def _named(observation: Observation, thing: Thing | None) -> str:
    """A page by the words of its address, the part that names what it is about, and what its title adds."""
    words, name = place(observation.url, thing), _title(observation).replace('"', "'")
    if thing is None:
        return (words or ("the start page" if observation.url else "the window")) + (f" ({name})" if name else "")
    return f'{words} "{thing.id}"' + (f' ("{name}")' if name and name.lower() != thing.id.lower() else "")


def _visit(observation: Observation, pages: Sequence[Page], steps: Sequence[Step]) -> str:
    """Where a walk ends; as a question if the page there has fields to read."""
    thing, page = thing_of(observation.url, pages), page_of(observation)
    facts = [name for name, value in page.facts if len(name.split()) <= 3 and len(value.split()) <= 8]
    columns = [] if thing else [name for header, rows in page.tables[:2] if rows for name in header]
    names = dict.fromkeys(name for name in map(clean, [*columns, *facts]) if name[:1].isalpha())
    if names:
        return f"What is the {', '.join(list(names)[:MAX_FIELDS])} of {_named(observation, thing)}?"
    links = dict.fromkeys(clean(step.action.name) for step in steps if step.action.role == "link" and step.action.name)
    return f"Open {_named(observation, thing)}" + (" via " + ", ".join(links) if links and not thing else "")


def summary(trajectory: Trajectory, start: int, end: int) -> str:
    """What was done, step by step, and where it ended."""
    last = trajectory.observations[end]
    deeds: list[str] = []
    for step in trajectory.steps[start:end]:
        name = f"{step.action.role} {clean(step.action.name)}".strip() or quotable(step.action.value)
        value = f' with "{quotable(step.action.value)}"' if step.action.kind in FILLING else ""
        deeds.append(f"on {step.observation.url}, {step.action.kind} {name}{value}")
    return f"Replicate the following: {'; '.join(deeds)}; it ends on {last.url}"


def _title(observation: Observation) -> str:
    """The page's own part of its title."""
    name = observation.title or page_of(observation).title
    return re.split(r"\s+[–—|·]\s+|\s+-\s+", name)[0].strip()


def clean(name: str) -> str:
    return " ".join(name.replace('"', "'").strip(" :*?").split())[:60]


def quotable(text: str) -> str:
    return " ".join(text.replace('"', "'").split())[:120]
