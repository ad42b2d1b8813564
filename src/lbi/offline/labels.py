"""Span of a trajectory -> the instruction that its steps really carried out (backward construction, offline).

fill Colour "red", click "Save" on /lamp/7  ->  Save with Colour "red" on lamp "7" ("Green lamp")
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from lbi.observations.parse import Page
from lbi.offline.forms import TOGGLE_ROLES, called, column_of, row_of, title
from lbi.offline.goal import FILLING, page_of
from lbi.offline.places import Thing, place, segments, thing_of
from lbi.offline.procedure import Operation, operations
from lbi.records import Action, Observation, Step, Trajectory

MAX_FIELDS = 8
MAX_CHANGES = 3  # the last ones
MAX_WAY = 30  # characters of a link's name; longer ones are titles of things


def abstract(trajectory: Trajectory, start: int, end: int) -> str:
    """A task that the span completes; values and things are quoted, names of controls are not.

    What was changed counts, each change with what was entered for it: a form that was filled and left came to nothing.
    """
    pages = [page_of(observation) for observation in trajectory.observations[: end + 1]]
    found = operations(trajectory, start, end)
    done = [operation for operation in found if operation.changes] or found[-1:]
    said = [_operation(trajectory, start, end, operation, pages) for operation in done[-MAX_CHANGES:]]
    return ", then ".join(dict.fromkeys(said))


def _operation(trajectory: Trajectory, start: int, end: int, operation: Operation, pages: Sequence[Page]) -> str:
    commit = operation.commit
    left = commit.role == "link" and _path(operation.where.url) != _path(operation.after.url)
    way = _way(trajectory, operation.at)
    if operation.run and (operation.changes or not left):
        page = page_of(operation.where)
        settings = ", ".join(_setting(action, page) for action in _last_of_each(operation.run))
        return f"{_button(commit)}{way} with {settings} {_where(operation.where, pages)}"
    if operation.changes or commit.role == "button":
        return f"{_clean(commit.name)}{way} {_where(operation.where, pages)}"
    return _visit(trajectory.observations[end], pages, trajectory.steps[start:end])


def _way(trajectory: Trajectory, at: int) -> str:
    """The name of the link or button that led to the page of a step: what "Apply" applies is often said only there."""
    here = trajectory.steps[at].observation
    for before in range(at - 1, -1, -1):
        step = trajectory.steps[before]
        if step.observation.url.split("#")[0] != here.url.split("#")[0]:
            name = _clean(step.action.name) if step.action.kind == "click" else _link_to(here.url, trajectory, at)
            told = name.lower() in _title(here).lower() or _is_home(here.url)
            return f" ({name})" if name and not told and len(name) < MAX_WAY else ""
    return ""


def _link_to(url: str, trajectory: Trajectory, at: int) -> str:
    """The name of a link to an address on a page seen before."""
    for observation in reversed(trajectory.observations[:at]):
        for element in page_of(observation).elements:
            if element.role == "link" and element.url == url:
                return _clean(element.name)
    return ""


def _is_home(url: str) -> bool:
    """Whether an address is that of a thing's own page: however one came there says nothing of what is done there."""
    parts = segments(url)
    return (len(parts) == 2 or (len(parts) == 3 and "-" in parts[2])) and parts[1].isdigit()


def _last_of_each(filled: Sequence[Action]) -> list[Action]:
    """A field that was filled twice holds what it was given last."""
    named = {(action.role, action.name, action.nth): action for action in filled}
    return list(named.values())[:MAX_FIELDS]


def _setting(action: Action, page: Page) -> str:
    element = page.find(action.role, action.name, action.nth)
    name = _clean(called(element) if element else title(action.name))
    if action.role not in TOGGLE_ROLES:
        return f'{name or "text"} "{_value(action.value)}"'
    if element is None or action.name.strip():
        return f"{name} chosen"
    row, column = row_of(page, element)[:1], _clean(column_of(page, element))
    return " ".join(filter(None, [column, f'"{_clean(row[0])}"' if row else "", "chosen"]))


def _button(commit: Action) -> str:
    """What was pressed; a form may be sent by a key, and may be left as it is."""
    if commit.kind == "press":
        return "Submit"
    return _clean(commit.name) if commit.kind == "click" and commit.role not in TOGGLE_ROLES else "Fill in"


def _path(url: str) -> str:
    return url.split("#")[0]


def _where(observation: Observation, pages: Sequence[Page]) -> str:
    thing = thing_of(observation.url, pages)
    words = place(observation.url, thing)
    return (
        f"on {words} {_called(observation, thing)}"
        if thing
        else f"in {words or 'the start page'} ({_title(observation)})"
    )


def _called(observation: Observation, thing: Thing) -> str:
    """A thing by the part of the address that names it and, if that says more, by the title of its page."""
    title = _title(observation).replace('"', "'")
    return f'"{thing.id}"' if title.lower() == thing.id.lower() or not title else f'"{thing.id}" ("{title}")'


def _visit(observation: Observation, pages: Sequence[Page], steps: Sequence[Step]) -> str:
    """Where a walk ends; as a question if the page there has fields to read."""
    thing = thing_of(observation.url, pages)
    words = place(observation.url, thing)
    page = page_of(observation)
    brief = [name for name, value in page.facts if len(name.split()) <= 3 and len(value.split()) <= 8]
    fields = list(dict.fromkeys(_clean(name) for name in brief if _clean(name)[:1].isalpha()))
    columns = [name for header, rows in page.tables[:2] if rows for name in header if name.strip()]
    told = (fields if thing else [*columns, *fields])[:MAX_FIELDS]
    target = f"{words} {_called(observation, thing)}" if thing else f"{words} ({_title(observation)})"
    links = dict.fromkeys(_clean(s.action.name) for s in steps if s.action.role == "link" and s.action.name)
    via = " via " + ", ".join(links) if links and not thing else ""
    if told:
        return f"What is the {', '.join(told)} of {target}?"
    return f"Open {target}{via}"


def _title(observation: Observation) -> str:
    """The page's own part of its title."""
    title = observation.title or page_of(observation).title
    return re.split(r"\s+[–—|·]\s+|\s+-\s+", title)[0].strip()


def _clean(name: str) -> str:
    return " ".join(name.replace('"', "'").strip(" :*?").split())[:60]


def _value(text: str) -> str:
    return " ".join(text.replace('"', "'").split())[:120]


def summary(trajectory: Trajectory, start: int, end: int) -> str:
    """What was seen and done, step by step, and where it ended."""
    parts = [_done(step) for step in trajectory.steps[start:end]]
    last = trajectory.observations[end]
    return f"Replicate the following: {'; '.join(parts)}; it ends on {last.url} ({_title(last)})"


def _done(step: Step) -> str:
    action = step.action
    name = f"{action.role} {_clean(action.name)}".strip()
    where = step.observation.url
    if action.kind in FILLING:
        return f'on {where}, {action.kind} {name} with "{_value(action.value)}"'
    return f"on {where}, {action.kind} {name or _value(action.value)}"
