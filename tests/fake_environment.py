"""A fake environment without a browser: lamps and rooms in memory, with pages, forms, a refusal and a dead button."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lbi.environments.web.actions import ACTIONS, Call, UnreadableAction, parse_action
from lbi.errors import EnvironmentFailure, OutageKind, ScoreError
from lbi.observations.parse import Element, parse_observation
from lbi.protocols import CallTimeouts, Fields, Outcome, Shown
from lbi.records import Action, Example, Observation, Step, Task, Trajectory, digest_of

NAV = ('link "Lamps" -> /lamps', 'link "Rooms" -> /rooms', 'link "New lamp" -> /new')
SEARCH = ('textbox "Search"', 'button "Find"')
ROOMS = ("hall", "attic")


@dataclass
class Lamp:
    name: str
    colour: str
    room: str = "hall"


class LampEnvironment:
    """References change with every page that is entered, "Print" does nothing, a lamp without a colour is refused."""

    name = "lamps"
    actions = ACTIONS

    kind: OutageKind = "failed"  # of what is broken

    def __init__(self, *, broken: bool = False, pause: int = 0) -> None:
        self.broken = broken  # the server is down
        self.pause = pause  # turns of the event loop that a step takes
        self.lamps: dict[int, Lamp] = {}
        self.notes: dict[str, str] = {}
        self.closed = 0
        self.entered = 0
        self._enter("/")

    async def reset(self, task: Task) -> Observation:
        if self.broken:
            raise EnvironmentFailure("the lamps are gone", kind=self.kind)
        self.lamps = {
            7: Lamp("Green lamp", "green"),
            8: Lamp("Tall lamp", "white", "attic"),
            9: Lamp("Old lamp", "brown"),
        }
        self.notes = dict.fromkeys(ROOMS, "")
        self.entered = 0
        self._enter(task.start_url or "/")
        return self.look()

    async def step(self, action: str) -> Outcome:
        for _ in range(self.pause):
            await asyncio.sleep(0)
        if self.broken:
            raise EnvironmentFailure("the lamps are gone")
        try:
            call = parse_action(action)
        except UnreadableAction as error:
            return Outcome(action=Action(text=action), observation=self.look(str(error)))
        if call.kind == "finish":
            done = Action(text=action, kind="finish", value=call.value)
            return Outcome(action=done, observation=self.look(), done=True, answer=call.value)
        return self._do(action, call)

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        """``shows`` of the check: what the state must say."""
        wanted = task.check.shows if task.check else ()
        if "what nobody can tell" in wanted:
            raise ScoreError("nobody can tell")
        return float(all(text in self.state for text in wanted)), "as the state says"

    async def close(self) -> None:
        self.closed += 1

    @property
    def state(self) -> str:
        lamps = [f"{number} {lamp.name} {lamp.colour} {lamp.room}" for number, lamp in self.lamps.items()]
        return "\n".join([*lamps, *(f"{room}: {note}" for room, note in self.notes.items())])

    def _enter(self, url: str) -> None:
        self.url, self.typed = url, dict[str, str]()
        self.entered += 1

    def _do(self, text: str, call: Call) -> Outcome:
        if call.kind == "goto":
            self._enter(call.value)
            return Outcome(action=Action(text=text, kind="goto", value=call.value), observation=self.look())
        hit = self._hit(call)
        if hit is None:
            return Outcome(action=Action(text=text, kind=call.kind), observation=self.look("there is no such element"))
        if call.kind in ("fill", "select"):
            self.typed[hit.name] = call.value
        elif call.kind == "click" and hit.role == "link":
            self._enter(hit.url)
        elif call.kind == "click":
            self._press(hit.name)
        done = Action(text=text, kind=call.kind, role=hit.role, name=hit.name, nth=hit.nth, value=call.value)
        return Outcome(action=done, observation=self.look())

    def _hit(self, call: Call) -> Element | None:
        page = parse_observation(self._text())
        if call.target is None:
            return None
        if call.target.ref:
            return page.element(call.target.ref)
        return page.find(call.target.role, call.target.name, call.target.nth)

    def _press(self, button: str) -> None:
        lamp = self._lamp()
        if button == "Save" and lamp is not None:
            lamp.colour = self.typed.get("Colour", lamp.colour)
            lamp.room = self.typed.get("Room", lamp.room)
            self._enter(self.url)
        elif button == "Delete" and lamp is not None:
            self.lamps = {number: other for number, other in self.lamps.items() if other is not lamp}
            self._enter("/lamps")
        elif button == "Create" and self.typed.get("Name") and self.typed.get("Colour"):
            number = max(self.lamps) + 1
            self.lamps[number] = Lamp(self.typed["Name"], self.typed["Colour"], self.typed.get("Room", "hall"))
            self._enter(f"/lamps/{number}")
        elif button == "Keep" and self._room():
            self.notes[self._room()] = self.typed.get("Note", "")
            self._enter(self.url)

    def _lamp(self) -> Lamp | None:
        first, _, last = self.url.strip("/").partition("/")
        return self.lamps.get(int(last)) if first == "lamps" and last.isdigit() else None

    def _room(self) -> str:
        return next((room for room in ROOMS if self.url == f"/rooms/{room}"), "")

    def _page(self) -> tuple[str, Sequence[str]]:
        """Title and lines; every element's line gets a reference."""
        lamp, room = self._lamp(), self._room()
        if lamp is not None:
            fields = (self._box("Colour", lamp.colour), self._choice("Room", lamp.room))
            return lamp.name, [f'heading "{lamp.name}"', *fields, 'button "Save"', 'button "Delete"']
        if room:
            return room, [self._box("Note", self.notes[room]), 'button "Keep"']
        if self.url == "/new":
            return "New lamp", [self._box("Name"), self._box("Colour"), self._choice("Room", "hall"), 'button "Create"']
        if self.url == "/lamps":
            return "Lamps", [f'link "{lamp.name}" -> /lamps/{number}' for number, lamp in self.lamps.items()]
        if self.url == "/rooms":
            return "Rooms", ['button "Print"', *(f'link "{room}" -> /rooms/{room}' for room in ROOMS)]
        if self.url == "/":
            return "Start", ["text: Everything that gives light"]
        return "Not found", [f"text: Nothing lies at {self.url}"]

    def _box(self, name: str, value: str = "") -> str:
        return f'textbox "{name}": {json.dumps(self.typed.get(name, value))}'

    def _choice(self, name: str, value: str) -> str:
        return f'combobox "{name}": "{self.typed.get(name, value)}" of ' + " | ".join(f'"{room}"' for room in ROOMS)

    def _text(self) -> str:
        title, lines = self._page()
        return observed(self.url, f"{title} - Lamps", *NAV, *lines, *SEARCH, first=self.entered).text

    def look(self, error: str = "") -> Observation:
        title = f"{self._page()[0]} - Lamps"
        return Observation(text=self._text(), url=self.url, title=title, digest=digest_of(self.state), error=error)


def observed(url: str, title: str, *lines: str, first: int = 0, digest: str = "") -> Observation:
    """A page of lines as the environment shows them; a line about an element is given a reference."""
    text = [f"URL: {url}", f"Title: {title}"]
    for at, line in enumerate(lines, 1):
        role, quote, rest = line.partition(' "')
        if quote and role not in ("heading", "text", "rowheader", "group"):
            name, _, more = rest.partition('"')
            line = f'{role} "{name}" [e{first + at}]{more}'
        text.append(line)
    return Observation(text="\n".join(text), url=url, title=title, digest=digest)


async def walk(instruction: str, *actions: str, start_url: str = "", document: str = "") -> Trajectory:
    """The trajectory of these grounded actions on fresh lamps."""
    return await walked(
        LampEnvironment(),
        Task(instruction=instruction, environment="lamps", start_url=start_url, document=document),
        actions,
    )


async def walked(lamps: LampEnvironment, task: Task, actions: Iterable[str]) -> Trajectory:
    seen = await lamps.reset(task)
    steps = []
    for action in actions:
        outcome = await lamps.step(action)
        steps.append(Step(observation=seen, reason="told to", action=outcome.action))
        seen = outcome.observation
    return Trajectory(task=task, agent="test", steps=tuple(steps), last=seen, stop="done")


def click(role: str, name: str) -> str:
    return f"""click('{role} "{name}"')"""


def fill(name: str, text: str) -> str:
    return f"""fill('textbox "{name}"', "{text}")"""


def select(name: str, option: str) -> str:
    return f"""select('combobox "{name}"', "{option}")"""


def shown(trajectory: Trajectory, instruction: str, start: int = 0, end: int = 0) -> Shown:
    """The trajectory as an example with this label; its whole length unless told otherwise."""
    last = end or len(trajectory.steps)
    example = Example(kind="abstract", instruction=instruction, trajectory=trajectory.id, start=start, end=last)
    return Shown(example=example, trajectory=trajectory, at=start, why="query")


def asked(instruction: str, observation: Observation, *examples: Shown, history: tuple[Step, ...] = ()) -> Fields:
    """The request to the offline model at one step."""
    task = Task(instruction=instruction, environment="lamps")
    return Fields(task=task, observation=observation, examples=examples, history=history)


@dataclass
class LampEnvironments:
    """Opens lamp environments; the first ``broken`` of them do not work."""

    broken: int = 0
    pauses: Sequence[int] = (0,)
    opened: list[LampEnvironment] = field(default_factory=list)
    name = "lamps"
    restores = True
    timeouts = CallTimeouts()

    async def open(self) -> LampEnvironment:
        turn = len(self.opened)
        self.opened.append(LampEnvironment(broken=turn < self.broken, pause=self.pauses[turn % len(self.pauses)]))
        return self.opened[-1]

    async def close(self) -> None:
        pass
