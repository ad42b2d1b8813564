"""Trajectory -> examples: backward construction (paper, sec. 2.2).

For a span (i, j) of T the model writes the instruction that the steps really carried out. Every i < j is possible;
a budget takes the most informative spans, and the plan is known before it is paid for.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from lbi.models import parsing
from lbi.observations.normalise import observation_key
from lbi.protocols import Fields, Model, Request
from lbi.records import Action, Example, Observation, Trajectory, Usage

#: actions that leave something unfinished: a span neither starts after one nor ends with one
_UNFINISHED = frozenset({"fill", "select"})
#: spans with one end differ in their beginnings only; more than so many of them say little more
PER_END = 3
LabelKind = Literal["abstract", "summary"]
_TOGGLES = frozenset({"checkbox", "radio", "switch"})


def without_idle_steps(trajectory: Trajectory) -> Trajectory:
    """The trajectory without the steps after which everything was as before (paper, sec. 2.3, filter 1).

    A refused form or a dead link would otherwise spoil every span around it. The replay shows whether the rest still
    leads to the same end.
    """
    seen = trajectory.observations
    idle = [step.action.kind != "finish" and _idle(seen[at], seen[at + 1]) for at, step in enumerate(trajectory.steps)]
    if not any(idle):
        return trajectory
    # the complaint about a step that is left out goes with it
    after_idle = [False, *idle]
    shown = [o.model_copy(update={"error": ""}) if after_idle[at] else o for at, o in enumerate(seen)]
    kept = [
        step.model_copy(update={"observation": shown[at]}) for at, step in enumerate(trajectory.steps) if not idle[at]
    ]
    return trajectory.model_copy(update={"steps": tuple(kept), "last": shown[-1]})


def _idle(before: Observation, after: Observation) -> bool:
    same = before.digest == after.digest and before.url == after.url
    return same and observation_key(before) == observation_key(after)


def actions_to_learn(trajectory: Trajectory) -> int:
    """Number of actions without the closing finish(...), which carries nothing out."""
    count = len(trajectory.steps)
    return count - 1 if count and trajectory.steps[-1].action.kind == "finish" else count


def all_spans(trajectory: Trajectory) -> list[tuple[int, int]]:
    """Every 0 <= i < j <= n."""
    n = actions_to_learn(trajectory)
    return [(i, j) for i in range(n) for j in range(i + 1, n + 1)]


def plan_spans(trajectory: Trajectory, budget: int, seed: int) -> list[tuple[int, int]]:
    """The most informative spans, at most ``budget`` of them, in order; ties are broken by the seed."""
    chance = random.Random(f"{seed}/{trajectory.id}")
    scored = [
        (value + 0.01 * chance.random(), (i, j))
        for i, j in all_spans(trajectory)
        if (value := worth(trajectory, i, j)) > 0
    ]
    taken: Counter[int] = Counter()
    chosen: list[tuple[int, int]] = []
    for _, (i, j) in sorted(scored, reverse=True):
        if taken[j] < PER_END and len(chosen) < budget:
            taken[j] += 1
            chosen.append((i, j))
    return sorted(chosen)


def worth(trajectory: Trajectory, start: int, end: int) -> float:
    """How much a span is likely to teach; 0 or less = nothing.

    One change of the state as the last thing that happens is worth most, then arriving somewhere; failures, abandoned
    forms and starts in the middle of a form are worth nothing.
    """
    seen = trajectory.observations[start : end + 1]
    actions = [step.action for step in trajectory.steps[start:end]]
    if any(observation.error for observation in seen[1:]) or _unfinished(trajectory, start):
        return 0.0
    if _abandons_a_form(trajectory, start, end):
        return 0.0
    changes = [k for k in range(1, len(seen)) if seen[k].digest != seen[k - 1].digest]
    length = len(actions)
    aside = sum(_aside(seen[k], actions[k], seen[k + 1]) for k in range(length - 1))
    if changes:
        last = changes[-1] == length
        return (3.0 if last and len(changes) == 1 else 1.0 if last else 0.2) - 0.1 * length - 0.5 * aside
    if actions[-1].kind == "scroll":
        return 0.0
    sent = [k for k, action in enumerate(actions, 1) if action.kind == "press" or action.role == "button"]
    entering = any(action.kind in _UNFINISHED for action in actions)
    if entering and (sent != [length] or _place(seen[-1].url) == _place(seen[-2].url)):
        return 0.0
    if _place(seen[-1].url) == _place(seen[0].url) and seen[0].text == seen[-1].text:
        return 0.0
    return 1.6 - 0.2 * length - 0.5 * aside


def _abandons_a_form(trajectory: Trajectory, start: int, end: int) -> bool:
    """Whether something was entered and then left without pressing anything."""
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
    """A click on the way that led nowhere: a menu unfolded and left, a toolbar."""
    entering = action.kind in _UNFINISHED or action.role in _TOGGLES
    return not entering and _place(before.url) == _place(after.url) and before.digest == after.digest


def _unfinished(trajectory: Trajectory, start: int) -> bool:
    """Whether the span starts in the middle of a form: something was entered on this page before it."""
    here = _place(trajectory.observations[start].url)
    for at in range(start - 1, -1, -1):
        step = trajectory.steps[at]
        if _place(step.observation.url) != here or trajectory.observations[at + 1].digest != step.observation.digest:
            return False
        if step.action.kind in _UNFINISHED or step.action.role in _TOGGLES:
            return True
    return False


def _place(url: str) -> str:
    return url.split("#")[0]


async def label(
    model: Model,
    trajectory: Trajectory,
    start: int,
    end: int,
    kind: LabelKind,
    *,
    stage: str = "label",
    reused: bool = False,
) -> tuple[Example, Usage]:
    """Write one example. Raises ModelError or ParseError: then the example does not exist.

    ``reused`` says that labels of other ends follow, whose prompts begin like this one's.
    """
    fields = Fields(task=trajectory.task, trajectory=trajectory, start=start, end=end)
    parser = parsing.instruction if kind == "abstract" else parsing.summary
    request = Request(role=role_of(kind), fields=fields, stage=stage, reused=reused)
    instruction, usage = await parsing.ask(model, request, parser)
    return example(kind, instruction, trajectory, start, end), usage


def role_of(kind: LabelKind) -> Literal["abstract", "summarise"]:
    """Who writes labels of a kind."""
    return "abstract" if kind == "abstract" else "summarise"


def forward_example(trajectory: Trajectory) -> Example | None:
    """Without backward construction: the proposed task with the whole attempt (the paper's data distillation)."""
    end = actions_to_learn(trajectory)
    return example("forward", trajectory.task.instruction, trajectory, 0, end) if end else None


def example(
    kind: Literal["abstract", "summary", "forward"], instruction: str, trajectory: Trajectory, start: int, end: int
) -> Example:
    """An instruction for the span (start, end), with the document that the trajectory goes back to."""
    return Example(
        kind=kind,
        instruction=instruction,
        trajectory=trajectory.id,
        start=start,
        end=end,
        document=trajectory.task.document,
    )


def without_duplicates(
    examples: Sequence[tuple[Example, Trajectory]], most: int = 2
) -> list[tuple[Example, Trajectory]]:
    """At most ``most`` examples with one instruction and one way of carrying it out."""
    seen: dict[tuple[str, tuple[str, ...]], int] = {}
    kept = []
    for example, trajectory in examples:
        way = tuple(step.action.grounded for step in trajectory.steps[example.start : example.end])
        key = (example.instruction, way)
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= most:
            kept.append((example, trajectory))
    return kept
