"""Example -> one training turn per step (paper, App. C): Turn(prompt=(...), reply="REASON: ...\\nACTION: click(e12)").

Turns are what really happened: no step is added or re-ordered, and the reply contains nothing that the model was told.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from lbi.errors import ParseError
from lbi.models import parsing
from lbi.prompts import is_structured, render
from lbi.prompts.template import cut
from lbi.protocols import Fields, Json, Message, PromptLimits, Request
from lbi.records import Document, Example, Step, Task, Trajectory, digest_of

Side = Literal["train", "validation"]
Replies = Literal["text", "json"]  # two lines, REASON and ACTION, or an object with the two
SIDES: tuple[Side, ...] = ("train", "validation")

_LESS_HISTORY = (8_000, 4_000, 0)  # characters of earlier outputs to try, until a prompt fits
_DONE = "What the objective asks for is done."
#: prompts of the usual sizes, replies in the two lines of the paper (App. C)
USUAL = PromptLimits(images=())
_TARGET = re.compile(r"\s*\w+\(\s*((?:f\d+)?e\d+)\s*[,)]")


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """An example with its trajectory and the document that its task came from, if there is one."""

    example: Example
    trajectory: Trajectory
    document: Document | None = None
    reasons: bool = True  # why the agent acted is learned, and told of the steps before

    def __post_init__(self) -> None:
        example, steps = self.example, len(self.trajectory.steps)
        if example.trajectory != self.trajectory.id:
            raise ValueError(f"example {example.id} is of trajectory {example.trajectory}, not {self.trajectory.id}")
        if not 0 <= example.start < example.end <= steps:
            raise ValueError(f"example {example.id} spans {example.start}..{example.end} of {steps} steps")


@dataclass(frozen=True, slots=True)
class Turn:
    """One step to learn from: the prompt before it, and the reply that the model is to give."""

    lesson: TrainingExample
    at: int  # index of the step in the trajectory
    prompt: tuple[Message, ...]
    reply: str
    side: Side
    ends: bool = False  # behind the last step: what the instruction asks for is done

    @property
    def key(self) -> str:
        """A hash of prompt and reply, by which duplicates are found."""
        return digest_of([self.asked, self.reply])

    @property
    def asked(self) -> str:
        """A hash of the prompt alone."""
        return digest_of([(message.role, message.content) for message in self.prompt])

    @property
    def learnt(self) -> tuple[int, ...]:
        """The steps of the trajectory that are learned from."""
        return () if self.ends else (self.at,)

    @property
    def measured(self) -> tuple[tuple[Message, ...], str]:
        """What stands before the last reply, and that reply."""
        return self.prompt, self.reply


def turns_of(
    lesson: TrainingExample,
    side: Side,
    actions: str,
    max_chars: int,
    left_out: Counter[str],
    limits: PromptLimits = USUAL,
    ends: bool = False,
) -> Iterator[Turn]:
    """The steps of an example's span as they happened. ``left_out`` counts, by reason, the steps that are left out.

    ``limits``: sizes of the prompts, and whether replies are JSON,
    as the model will be asked later. ``ends``: behind them one turn that ends the task. It did not happen, but follows
    from what the instruction is: what the steps did. A question is left without.
    """
    for at in range(lesson.example.start, lesson.example.end):
        problem = problem_of(lesson, at, limits)
        reply = "" if problem else reply_of(lesson, at, limits)
        prompt = _prompt(lesson, at, actions, max_chars - len(reply), limits) if reply else None
        if reply and prompt:
            yield Turn(lesson, at, prompt, reply, side)
        else:
            left_out[problem or ("longer than max_chars" if reply else "action that cannot be read")] += 1
    if ends and can_end(lesson.example):
        end, reply = lesson.example.end, _reply(_DONE if lesson.reasons else "", "finish()", limits)
        if prompt := _prompt(lesson, end, actions, max_chars - len(reply), limits):
            yield Turn(lesson, end, prompt, reply, side, ends=True)


def can_end(example: Example) -> bool:
    """Whether it is known how a task of this instruction is ended: not with a question, as nobody knows its answer."""
    return not example.instruction.rstrip().endswith("?")


def problem_of(lesson: TrainingExample, at: int, limits: PromptLimits = USUAL) -> str:
    """Why a step of an example is not to be learned from; "" if it can be."""
    trajectory, step = lesson.trajectory, lesson.trajectory.steps[at]
    if not step.action.kind:
        return "action that cannot be read"
    if trajectory.observations[at + 1].error:
        return "action that failed"
    target = _TARGET.match(step.action.text)
    shown = cut(step.observation.text, limits.observation)
    if target and not _is_told(target[1], shown):
        if _is_told(target[1], step.observation.text):
            return "action on an element in what prompts.observation cuts off the page"
        return "action on an element that is not on the page"
    if step.action.kind == "goto" and not _can_be_known(step.action.value, shown + lesson.example.instruction):
        return "address with a number or a query that nothing tells"
    if any(_again(earlier, step) for earlier in trajectory.steps[lesson.example.start : at]):
        return "action that was tried on the same page before"
    return ""


def _is_told(reference: str, page: str) -> bool:
    return re.search(rf"\[(?:ref=)?{reference}\]", page) is not None


def _can_be_known(address: str, told: str) -> bool:
    """Whether an address can be typed: it is told, or it is one of the application's, to be known by heart.

    One with a query or a number is of this state of the application alone; a model that learns such ones makes them up.
    """
    return not re.search(r"[?\d]", address) or address in told


def _again(earlier: Step, step: Step) -> bool:
    """Whether a step does once more what changed nothing, or led back to the same page, before."""
    pages = earlier.observation, step.observation
    same = pages[0].text == pages[1].text and pages[0].url == pages[1].url
    return same and earlier.action.grounded == step.action.grounded


def reply_of(lesson: TrainingExample, at: int, limits: PromptLimits = USUAL) -> str:
    """The reply that the model is to give; "" if an agent could not read the action back from it."""
    step = lesson.trajectory.steps[at]
    action, reason = step.action.text.strip(), " ".join(step.reason.split()) if lesson.reasons else ""
    reply = _reply(reason, action, limits)
    try:
        return reply if parsing.act(reply)[1] == action else ""
    except ParseError:
        return ""


def _reply(reason: str, action: str, limits: PromptLimits) -> str:
    if is_structured("act", limits):
        return json.dumps({"reason": reason, "action": action}, ensure_ascii=False)
    return f"REASON: {reason}\nACTION: {action}" if reason else f"ACTION: {action}"


def _prompt(
    lesson: TrainingExample, at: int, actions: str, room: int, limits: PromptLimits
) -> tuple[Message, ...] | None:
    """The prompt before a step; None if it is longer than ``room`` characters in every form.

    The oldest parts are left out first: the texts of pages, then whole steps.
    """
    first = lesson.example.start
    sizes = [limits.history, *(size for size in _LESS_HISTORY if size < limits.history)]
    attempts = [(first, pages) for pages in sizes] + [(start, 0) for start in range(first + 1, at + 1)]
    for start, pages in attempts:
        prompt = rendered(lesson, start, at, actions, limits.model_copy(update={"history": pages}))
        if sum(len(message.content) for message in prompt) <= room:
            return prompt
    return None


def rendered(lesson: TrainingExample, start: int, at: int, actions: str, limits: PromptLimits) -> tuple[Message, ...]:
    """The act prompt before step ``at``, with the steps from ``start`` on as its history."""
    trajectory = lesson.trajectory
    fields = Fields(
        task=Task(instruction=lesson.example.instruction, environment=trajectory.task.environment),
        history=tuple(
            step if lesson.reasons else step.model_copy(update={"reason": ""}) for step in trajectory.steps[start:at]
        ),
        observation=trajectory.observations[at],
        actions=actions,
    )
    return tuple(_joined(render(Request(role="act", fields=fields), limits)))


def _joined(messages: tuple[Message, ...]) -> Iterator[Message]:
    """Neighbours of one role as one turn, as servers are sent them."""
    for role, parts in groupby(messages, key=lambda message: message.role):
        yield Message(role=role, content="\n\n".join(part.content for part in parts))


def messages_of(turn: Turn) -> list[Json]:
    """The prompt as a list of chat messages, as all formats have it."""
    return [{"role": message.role, "content": message.content} for message in turn.prompt]
