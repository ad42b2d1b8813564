"""A site of one form, kept in memory: what is entered is checked when it is sent, and refused with a message."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from lbi.environments.web.actions import ACTIONS, UnreadableAction, parse_action
from lbi.observations.parse import parse_observation
from lbi.protocols import Outcome
from lbi.records import Action, Observation, Step, Task, Trajectory, digest_of

Check = Callable[[Mapping[str, str]], str]  # what was entered -> why it is refused


class FormSite:
    """Its page has text boxes and a button "Save"; ``saved`` is what was sent and taken."""

    name = "forms"
    actions = ACTIONS

    def __init__(self, fields: Sequence[str], check: Check = lambda entered: "", role: str = "textbox") -> None:
        self.fields, self.check, self.role = fields, check, role
        self.entered: dict[str, str] = {}
        self.saved: list[dict[str, str]] = []
        self.message = ""

    async def reset(self, task: Task) -> Observation:
        self.entered, self.saved, self.message = {}, [], ""
        return self.look()

    async def step(self, action: str) -> Outcome:
        try:
            call = parse_action(action)
        except UnreadableAction as error:
            return Outcome(action=Action(text=action), observation=self.look(str(error)))
        if call.kind == "finish":
            done = Action(text=action, kind="finish", value=call.value)
            return Outcome(action=done, observation=self.look(), done=True, answer=call.value)
        page = parse_observation(self.look().text)
        target = call.target
        if target is None:
            return Outcome(action=Action(text=action, kind=call.kind, value=call.value), observation=self.look())
        element = page.element(target.ref) if target.ref else page.find(target.role, target.name, target.nth)
        if element is None:
            return Outcome(action=Action(text=action, kind=call.kind), observation=self.look("no such element"))
        if call.kind == "fill":
            self.entered[element.name] = call.value
        elif element.role == "button":
            self._save()
        grounded = Action(text=action, kind=call.kind, role=element.role, name=element.name, value=call.value)
        return Outcome(action=grounded, observation=self.look())

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        return 0.0, "nothing is scored"

    async def close(self) -> None:
        return None

    def _save(self) -> None:
        self.message = self.check(self.entered)
        if not self.message:
            self.saved.append(self.entered)
            self.entered = {}

    def look(self, error: str = "") -> Observation:
        lines = ["URL: /new", "Title: New entry"]
        lines += [f"text: {self.message}"] if self.message else []
        for at, name in enumerate(self.fields, 1):
            value = self.entered.get(name, "")
            lines.append(f'{self.role} "{name}" [e{at}]' + (f": {json.dumps(value)}" if value else ""))
        lines.append(f'button "Save" [e{len(self.fields) + 1}]')
        digest = digest_of(self.saved)
        return Observation(text="\n".join(lines), url="/new", title="New entry", digest=digest, error=error)


async def sent(site: FormSite, instruction: str, values: Mapping[str, str]) -> Trajectory:
    """The trajectory of somebody who enters these values and saves."""
    task = Task(instruction=instruction, environment="forms")
    seen, steps = await site.reset(task), []
    actions = [
        f"fill({json.dumps(f'textbox {json.dumps(name)}')}, {json.dumps(text)})" for name, text in values.items()
    ]
    for action in [*actions, "click('button \"Save\"')"]:
        outcome = await site.step(action)
        steps.append(Step(observation=seen, action=outcome.action))
        seen = outcome.observation
    return Trajectory(task=task, agent="test", steps=tuple(steps), last=seen, stop="done")
