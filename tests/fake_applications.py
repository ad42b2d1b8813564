"""Fake applications that are described as data: things of several kinds, each with a form, a list and a delete button.

Some kinds have a life: radio buttons that close a thing, open it again, hand it over or take it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from fake_environment import shown
from lbi.environments.web.actions import parse_action
from lbi.observations.parse import Element, parse_observation
from lbi.offline.labels import abstract
from lbi.offline.policy import act
from lbi.protocols import Fields, Shown
from lbi.records import Action, Observation, Step, Task, Trajectory, digest_of

STEPS = 25
ROLES = ("link", "button", "textbox", "combobox", "checkbox", "radio")
Key = tuple[str, str]  # kind and id of a thing
State = dict[Key, dict[str, str]]
Changes = dict[Key, dict[str, str] | None]  # None: it is gone


@dataclass(frozen=True)
class Life:
    """How things of a kind are closed, opened again, handed over and taken; the words on the radio buttons."""

    leave: str = "leave"
    close: str = "finish"
    close_as: str = "as"
    results: tuple[str, ...] = ("done",)
    reopen: str = "reopen"
    hand: str = "hand over"
    hand_to: str = "to"
    take: str = "take"
    worker: str = "Mechanic"  # what the field is called that says whose it is


@dataclass(frozen=True)
class Kind:
    """``fields``: name -> options, () for a box, ("tick",) for a check box, or the name of a kind to choose from."""

    name: str  # as in its address
    plural: str
    fields: Mapping[str, tuple[str, ...] | str]
    first: Mapping[str, str] = field(default_factory=dict)  # what the form for a new one shows
    numbered: bool = False
    life: Life | None = None
    create: str = ""
    save: str = "Save"
    delete: str = "Delete"

    @property
    def title(self) -> str:
        return next(iter(self.fields))


class FakeApplication:
    """One application while it is used; things without a number are addressed by their title."""

    def __init__(self, kinds: Sequence[Kind], things: Mapping[Key, Mapping[str, str]], url: str = "/") -> None:
        self.kinds = {kind.name: kind for kind in kinds}
        self.things: State = {key: dict(values) for key, values in things.items()}
        self.entered = 0
        self.go(url)

    def go(self, url: str) -> None:
        self.url, self.typed = url, dict[str, str]()
        self.entered += 1

    # what it shows

    def look(self, error: str = "") -> Observation:
        title, lines = self._page()
        nav = [f'link "{kind.plural.capitalize()}" -> /{kind.plural}' for kind in self.kinds.values()]
        nav += [f'link "New {kind.name}" -> /new{kind.name}' for kind in self.kinds.values()]
        told = [f"URL: {self.url}", f"Title: {title} - Ledger"]
        for at, line in enumerate([*nav, 'textbox "Search"' + self._text("Search", ""), 'button "Find"', *lines]):
            role, quote_, rest = line.partition(' "')
            if quote_ and role in ROLES:
                name, _, more = rest.partition('"')
                line = f'{role} "{name}" [e{self.entered + at}]{more}'
            told.append(line)
        digest = digest_of(json.dumps(sorted(self.things.items())))
        return Observation(text="\n".join(told), url=self.url, title=f"{title} - Ledger", digest=digest, error=error)

    def _page(self) -> tuple[str, list[str]]:
        parts = [unquote(part) for part in self.url.split("?")[0].strip("/").split("/")]
        for kind in self.kinds.values():
            if parts == [kind.plural]:
                return kind.plural.capitalize(), self._list(kind)
            if parts == [f"new{kind.name}"]:
                shown = {**dict.fromkeys(kind.fields, ""), **kind.first}
                return f"New {kind.name}", [*self._form(kind, shown), f'button "{kind.create or f"Add {kind.name}"}"']
            if parts[0] == kind.name and (kind.name, parts[-1]) in self.things:
                return self._thing(kind, parts[-1])
        return ("Start", ["text: Welcome"]) if self.url == "/" else ("Not found", ["text: Nothing lies here"])

    def _list(self, kind: Kind) -> list[str]:
        extra = [kind.life.worker, "Status"] if kind.life else []
        names = [name for name in kind.fields if name not in (kind.title, "Description")][:4]
        lines = [f"columns: {' | '.join([kind.name.capitalize(), kind.title, *extra, *names])}"]
        for at, (key, values) in enumerate(item for item in self.things.items() if item[0][0] == kind.name):
            address = f"/{kind.name}/{quote(key[1])}"
            head = f'link "#{key[1]}" [e{900 + at}] -> {address} | ' if kind.numbered else ""
            cells = [f'link "{values[kind.title]}" [e{800 + at}] -> {address}']
            lines.append("row: " + head + " | ".join([*cells, *(values.get(name, "") for name in [*extra, *names])]))
        return lines

    def _thing(self, kind: Kind, id_: str) -> tuple[str, list[str]]:
        values = self.things[kind.name, id_]
        title = f"#{id_} ({values[kind.title]})" if kind.numbered else values[kind.title]
        lines = [f'heading "{title}"']
        if kind.life:
            lines += [f'rowheader "Status:": {values["Status"]}']
            lines += [f'rowheader "{kind.life.worker}:": {values[kind.life.worker]}']
            lines += ['textbox "Comment"' + self._text("Comment", "")]
        lines += self._form(kind, values)
        if kind.life:
            lines += self._life(kind.life, values)
        return title, [*lines, f'button "{kind.save}"', f'button "{kind.delete}"']

    def _life(self, life: Life, values: Mapping[str, str]) -> list[str]:
        chosen = self.typed.get("radio", life.leave)

        def radio(name: str) -> str:
            return f'radio "{name}"{" (checked)" if chosen == name else ""}'

        if values["Status"] == "closed":
            return ['group "Action"', radio(life.leave), radio(life.reopen)]
        locked = {name: "" if chosen == name else " (disabled)" for name in (life.close, life.hand)}
        told = self.typed.get(life.close_as, life.results[0])
        options = " | ".join(json.dumps(result) for result in life.results)
        return [
            'group "Action"',
            radio(life.leave),
            radio(life.close),
            f'combobox "{life.close_as}"{locked[life.close]}: {json.dumps(told)} of {options}',
            radio(life.hand),
            f'textbox "{life.hand_to}"{locked[life.hand]}' + self._text(life.hand_to, values[life.worker]),
            radio(life.take),
        ]

    def _form(self, kind: Kind, values: Mapping[str, str]) -> list[str]:
        lines = []
        for name, options in kind.fields.items():
            if options == ("tick",):
                on = self.typed.get(name, values[name]) == "yes"
                lines.append(f'checkbox "{name}"{" (checked)" if on else ""}')
            elif options:
                known = options if isinstance(options, tuple) else ("", *self._titles(options))
                told = json.dumps(self.typed.get(name, values[name]))
                lines.append(f'combobox "{name}": {told} of ' + " | ".join(json.dumps(one) for one in known))
            else:
                lines.append(f'textbox "{name}"' + self._text(name, values[name]))
        return lines

    def _titles(self, kind: str) -> list[str]:
        return [values[self.kinds[kind].title] for (own, _), values in self.things.items() if own == kind]

    def _text(self, name: str, value: str) -> str:
        return f": {json.dumps(self.typed.get(name, value))}"

    # what is done with it

    def step(self, action: str) -> tuple[Action, Observation]:
        call = parse_action(action)
        if call.kind == "goto":
            self.go(call.value)
            return Action(text=action, kind="goto", value=call.value), self.look()
        page = parse_observation(self.look().text)
        target = call.target
        hit = None
        if target is not None:
            hit = page.element(target.ref) if target.ref else page.find(target.role, target.name, target.nth)
        if hit is None or "disabled" in hit.states:
            return Action(text=action, kind=call.kind), self.look("there is no such element")
        error = self._do(call.kind, call.value, hit)
        done = Action(text=action, kind=call.kind, role=hit.role, name=hit.name, nth=hit.nth, value=call.value)
        return done, self.look(error)

    def _do(self, kind: str, value: str, hit: Element) -> str:
        if kind == "select" and value not in hit.options:
            return "there is no such option"
        if kind in ("fill", "select"):
            self.typed[hit.name] = value
        elif hit.role == "link":
            self.go(hit.url)
        elif hit.role == "radio":
            self.typed["radio"] = hit.name
        elif hit.role == "checkbox":
            self.typed[hit.name] = "" if "checked" in hit.states else "yes"
        elif hit.role == "button":
            self._press(hit.name)
        return ""

    def _press(self, button: str) -> None:
        first, _, last = self.url.strip("/").partition("/")
        key = (first, unquote(last))
        for kind in self.kinds.values():
            if first == f"new{kind.name}" and button == (kind.create or f"Add {kind.name}"):
                self._create(kind)
                return
        if key not in self.things:
            return
        kind = self.kinds[first]
        if button == kind.delete:
            del self.things[key]
            self.go(f"/{kind.plural}")
        elif button == kind.save:
            self._save(kind, key)

    def _create(self, kind: Kind) -> None:
        values = {**dict.fromkeys(kind.fields, ""), **kind.first, **self._own(kind)}
        if not values[kind.title]:
            return
        if kind.life:
            values |= {"Status": "open", kind.life.worker: ""}
        number = max((int(id_) for name, id_ in self.things if name == kind.name and id_.isdigit()), default=0) + 1
        id_ = str(number) if kind.numbered else values[kind.title]
        self.things[kind.name, id_] = values
        self.go(f"/{kind.name}/{quote(id_)}")

    def _save(self, kind: Kind, key: Key) -> None:
        values, life = self.things[key], kind.life
        values |= self._own(kind)
        if self.typed.get("Comment"):
            values["Comment"] = self.typed["Comment"]
        did = self.typed.get("radio", "")
        if life and did == life.close:
            values |= {"Status": "closed", "Result": self.typed.get(life.close_as, life.results[0])}
        elif life and did == life.reopen:
            values["Status"] = "open"
        elif life and did == life.hand:
            values[life.worker] = self.typed.get(life.hand_to, values[life.worker])
        elif life and did == life.take:
            values |= {"Status": "taken", life.worker: "me"}
        self.go(self.url)

    def _own(self, kind: Kind) -> dict[str, str]:
        return {name: value for name, value in self.typed.items() if name in kind.fields}


@dataclass(frozen=True)
class Application:
    """Kinds and things, and what somebody tried in it: runs of actions, each from the start page."""

    kinds: tuple[Kind, ...]
    things: Mapping[Key, Mapping[str, str]]
    runs: tuple[tuple[str, ...], ...]

    def examples(self) -> tuple[Shown, ...]:
        found = []
        for at, actions in enumerate(self.runs):
            app, steps = FakeApplication(self.kinds, self.things), []
            seen = app.look()
            for action in actions:
                done, after = app.step(action)
                assert not after.error, (action, after.error)
                steps.append(Step(observation=seen, reason="tries it", action=done))
                seen = after
            task = Task(instruction=f"look around {at}", environment="ledger")
            trajectory = Trajectory(task=task, agent="test", steps=tuple(steps), last=seen, stop="done")
            found.append(shown(trajectory, abstract(trajectory, 0, len(steps))))
        return tuple(found)


def changes(before: State, after: State) -> Changes:
    found: Changes = {}
    for key, values in before.items():
        if key not in after:
            found[key] = None
        elif values != after[key]:
            found[key] = {name: value for name, value in after[key].items() if values.get(name) != value}
    for key, values in after.items():
        if key not in before:
            found[key[0], "new"] = {name: value for name, value in values.items() if value}
    return found


def carried_out(application: Application, examples: Iterable[Shown], instruction: str) -> tuple[Changes, list[Step]]:
    """What is different in the application after the policy has done what it was told, and its steps."""
    app = FakeApplication(application.kinds, application.things)
    before = {key: dict(values) for key, values in app.things.items()}
    seen, history = app.look(), list[Step]()
    task = Task(instruction=instruction, environment="ledger")
    given = tuple(examples)
    for _ in range(STEPS):
        text, reason = act(Fields(task=task, observation=seen, examples=given, history=tuple(history)))
        if parse_action(text).kind == "finish":
            break
        done, after = app.step(text)
        history.append(Step(observation=seen, reason=reason, action=done))
        seen = after
    return changes(before, app.things), history
