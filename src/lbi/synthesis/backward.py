"""Trajectory -> examples: backward construction (paper, sec. 2.2).

For a span (i, j) of a trajectory the model writes the instruction that its steps really carried out. Every i < j is
possible; with a budget only the most informative spans are taken. Which ones is known before any call is paid for.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from lbi.models import parsing
from lbi.monitoring.calls_made import calls_made
from lbi.observations.normalise import observation_key
from lbi.protocols import Fields, Model, Request
from lbi.records import Action, Example, Observation, Trajectory, Usage

#: actions that leave something unfinished: a span neither starts after one nor ends with one
_UNFINISHED = frozenset({"fill", "select"})
#: spans with the same end differ only in where they begin, so more of them than this teach little more
PER_END = 3
LabelKind = Literal["abstract", "summary"]
_TOGGLES = frozenset({"checkbox", "radio", "switch"})


def without_idle_steps(trajectory: Trajectory) -> Trajectory:
    """The trajectory without the steps that changed nothing (paper, sec. 2.3, filter 1).

    A refused form or a dead link would otherwise spoil every span around it. Whether the remaining steps still lead to
    the same end is shown by the replay.
    """
    observations = trajectory.observations
    idle = [
        step.action.kind != "finish" and _idle(observations[index], observations[index + 1])
        for index, step in enumerate(trajectory.steps)
    ]
    if not any(idle):
        return trajectory
    # the error of a step goes away with the step
    after_idle = [False, *idle]
    without_complaints = [
        o.model_copy(update={"error": ""}) if after_idle[index] else o for index, o in enumerate(observations)
    ]
    steps = [
        step.model_copy(update={"observation": without_complaints[index]})
        for index, step in enumerate(trajectory.steps)
        if not idle[index]
    ]
    return trajectory.model_copy(update={"steps": tuple(steps), "last": without_complaints[-1]})


def _idle(before: Observation, after: Observation) -> bool:
    same = before.digest == after.digest and before.url == after.url
    return same and observation_key(before) == observation_key(after)


def actions_to_learn(trajectory: Trajectory) -> int:
    """Number of actions, not counting a final finish(...), which changes nothing."""
    count = len(trajectory.steps)
    return count - 1 if count and trajectory.steps[-1].action.kind == "finish" else count


def all_spans(trajectory: Trajectory) -> list[tuple[int, int]]:
    """Every span (i, j) with 0 <= i < j <= n, where n is the number of actions to learn."""
    n = actions_to_learn(trajectory)
    return [(i, j) for i in range(n) for j in range(i + 1, n + 1)]


def plan_spans(trajectory: Trajectory, budget: int, seed: int) -> list[tuple[int, int]]:
    """The most informative spans, at most ``budget``, sorted by (i, j). The seed breaks ties of equal worth."""
    rng = random.Random(f"{seed}/{trajectory.id}")
    scored = [
        (score + 0.01 * rng.random(), (i, j))
        for i, j in all_spans(trajectory)
        if (score := worth(trajectory, i, j)) > 0
    ]
    per_end: Counter[int] = Counter()
    chosen: list[tuple[int, int]] = []
    for _, (i, j) in sorted(scored, reverse=True):
        if per_end[j] < PER_END and len(chosen) < budget:
            per_end[j] += 1
            chosen.append((i, j))
    return sorted(chosen)


def worth(trajectory: Trajectory, start: int, end: int) -> float:
    """How much a span is likely to teach; 0 or less means nothing.

    Spans that end with their only change of the state are worth most, then those that arrive at another page. Spans
    that fail, leave a form unsent, or start in the middle of a form are worth nothing.
    """
    observations = trajectory.observations[start : end + 1]
    actions = [step.action for step in trajectory.steps[start:end]]
    if any(observation.error for observation in observations[1:]) or _unfinished(trajectory, start):
        return 0.0
    if _abandons_a_form(trajectory, start, end):
        return 0.0
    changes = [k for k in range(1, len(observations)) if observations[k].digest != observations[k - 1].digest]
    length = len(actions)
    aside = sum(_aside(observations[k], actions[k], observations[k + 1]) for k in range(length - 1))
    if changes:
        ends_with_change = changes[-1] == length
        return (
            (3.0 if ends_with_change and len(changes) == 1 else 1.0 if ends_with_change else 0.2)
            - 0.1 * length
            - 0.5 * aside
        )
    if actions[-1].kind == "scroll":
        return 0.0
    submits = [k for k, action in enumerate(actions, 1) if action.kind == "press" or action.role == "button"]
    entering = any(action.kind in _UNFINISHED for action in actions)
    if entering and (submits != [length] or _place(observations[-1].url) == _place(observations[-2].url)):
        return 0.0
    if _place(observations[-1].url) == _place(observations[0].url) and observations[0].text == observations[-1].text:
        return 0.0
    return 1.6 - 0.2 * length - 0.5 * aside


def _abandons_a_form(trajectory: Trajectory, start: int, end: int) -> bool:
    """Whether a field was filled and the form then left without pressing a button or a key."""
    entered = False
    for step in trajectory.steps[start:end]:
        action = step.action
        if action.kind in _UNFINISHED or action.role in _TOGGLES:
            entered = True
        elif entered and (action.role == "button" or action.kind == "press"):
            entered = False
        elif entered:
            return True
    return entered


def _aside(before: Observation, action: Action, after: Observation) -> bool:
    """Whether a step on the way led nowhere, such as opening a menu that is not used."""
    entering = action.kind in _UNFINISHED or action.role in _TOGGLES
    return not entering and _place(before.url) == _place(after.url) and before.digest == after.digest


def _unfinished(trajectory: Trajectory, start: int) -> bool:
    """Whether the span starts in the middle of a form, with a field of its first page filled before."""
    page = _place(trajectory.observations[start].url)
    for index in range(start - 1, -1, -1):
        step = trajectory.steps[index]
        if _place(step.observation.url) != page or trajectory.observations[index + 1].digest != step.observation.digest:
            return False
        if step.action.kind in _UNFINISHED or step.action.role in _TOGGLES:
            return True
    return False


def _place(url: str) -> str:
    return url.split("#")[0]


async def label_span(
    model: Model,
    trajectory: Trajectory,
    start: int,
    end: int,
    kind: LabelKind,
    *,
    stage: str = "label",
    reused: bool = False,
) -> tuple[Example, Usage]:
    """Ask a model for the instruction of one span, alone in its call. Raises ModelError or ParseError.

    ``reused``: other prompts will begin like this one, so a provider's prompt cache is worth writing to.
    """
    fields = Fields(task=trajectory.task, trajectory=trajectory, start=start, end=end)
    parser = parsing.instruction if kind == "abstract" else parsing.summary
    request = Request(role=role_of(kind), fields=fields, stage=stage, reused=reused)
    with calls_made() as calls:
        instruction, usage = await parsing.ask(model, request, parser)
    return example(kind, instruction, trajectory, start, end, calls), usage


def role_of(kind: LabelKind) -> Literal["abstract", "summarise"]:
    """The model role that writes labels of this kind."""
    return "abstract" if kind == "abstract" else "summarise"


def forward_example(trajectory: Trajectory) -> Example | None:
    """The proposed task with the whole attempt, no backward construction: the paper's baseline, data distillation."""
    end = actions_to_learn(trajectory)
    task = trajectory.task
    return example("forward", task.instruction, trajectory, 0, end, task.calls) if end else None


def example(
    kind: Literal["abstract", "summary", "forward"],
    instruction: str,
    trajectory: Trajectory,
    start: int,
    end: int,
    calls: Sequence[str] = (),
) -> Example:
    """The example of an instruction and the span (start, end); its document is the one that the task came from.

    ``calls`` are the keys of the stored model calls that worded it.
    """
    return Example(
        kind=kind,
        instruction=instruction,
        trajectory=trajectory.id,
        start=start,
        end=end,
        document=trajectory.task.document,
        calls=tuple(calls),
    )


def without_duplicates(
    examples: Sequence[tuple[Example, Trajectory]], most: int = 2
) -> list[tuple[Example, Trajectory]]:
    """The first ``most`` of the examples that have the same instruction and the same grounded actions."""
    seen: dict[tuple[str, tuple[str, ...]], int] = {}
    kept = []
    for example, trajectory in examples:
        actions = tuple(step.action.grounded for step in trajectory.steps[example.start : example.end])
        key = (example.instruction, actions)
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= most:
            kept.append((example, trajectory))
    return kept
