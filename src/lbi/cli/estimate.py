"""A config and its documents -> what a run would ask of the models, before anything is paid: calls, tokens, money.

Prompts are rendered as the run renders them, with a page of usual length in place of those that nobody has seen yet.
`plan` gives upper bounds: episodes end early, filters drop examples, and a call made before costs nothing. `expected`
gives what is likely, from the lengths that an earlier run had, or from assumptions that it can say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

from lbi import plugins
from lbi.config import Arm, Config
from lbi.evaluation.holdout import held_out_sections, tasks_wanted
from lbi.models.images import scaled_size
from lbi.models.registry import image_tokens
from lbi.prompts import estimate_tokens, render
from lbi.protocols import CountsCalls, Fields, Request, Role, Shown
from lbi.records import Action, Document, Example, Observation, Record, Result, Skill, Step, Task, Trajectory
from lbi.rollouts.explorer import agent_for_rollouts, asks_no_model
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.backward import all_spans, role_of
from lbi.synthesis.label_calls import calls_of
from lbi.synthesis.propose import spread_over_sources
from lbi.synthesis.skills.worded import MOST_SHOWN

PAGE = 6_000  # characters of a usual page, as an observation
SCREENSHOT = (1280, 900)  # pixels of a usual screenshot
WHOLE = 40  # prompts of an episode, or of a trajectory's labels: up to so many are all rendered ...
SAMPLED = 8  # ... and of more, these
SPAN = 3  # actions of a usual example
#: tokens of a usual reply, without what a model may think before it
REPLY: dict[Role, int] = {
    "propose": 70,
    "act": 60,
    "query": 25,
    "abstract": 40,
    "summarise": 80,
    "judge": 120,
    "reflect": 90,
    "value": 40,
    "skill": 500,
}
#: of the step limit, where no run shows how long episodes are
ASSUMED_SHARE = 0.5


class Planned(Record):
    """The calls of one role in one stage."""

    stage: str
    role: Role
    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    cost: float | None = None  # US dollars; None = no price is known


@dataclass(frozen=True)
class Counts:
    """How much work there is."""

    sections: int  # that tasks are proposed from
    proposed: int
    held_out: int
    rollouts: int  # of all seeds
    labels: int


def counts(config: Config, documents: int, benchmark_tasks: int) -> Counts:
    """``benchmark_tasks`` is 0 where proposed tasks stand in for a benchmark."""
    each = max(1, config.synthesis.tasks_per_document)
    sections = min(documents, math.ceil(tasks_wanted(config) / each))
    proposed = sections * each
    apart = 0 if benchmark_tasks else min(sections, held_out_sections(sections)) * each
    held_out = benchmark_tasks or apart
    chosen = min(held_out, config.evaluation.tasks) if config.evaluation.tasks else held_out
    rollouts = config.synthesis.rollouts * len(config.seeds) if proposed > apart else 0
    return Counts(sections, proposed, chosen, rollouts, rollouts * len(_spans(config)))


def _spans(config: Config) -> list[tuple[int, int]]:
    """As many spans as are labelled of a trajectory at its step limit; which they will be nobody knows yet."""
    spans = all_spans(_trajectory(config.synthesis.step_limit))
    return spans if config.labelling.spans == "all" else spans[: config.synthesis.spans_per_trajectory]


def plan(config: Config, documents: Sequence[Document], benchmark_tasks: int, actions: str) -> list[Planned]:
    """One row per stage and role, in the order of the run, without prices."""
    work = counts(config, len(documents), benchmark_tasks)
    rows = [_propose(config, spread_over_sources(documents, config.seeds[0])[: work.sections], actions)]
    rows += _attempt(config, work, actions)
    rows += _label(config, work)
    rows += _skills(config)
    episode = _episodes(config, documents, actions)
    for arm in config.evaluation.arms:
        rows += _evaluate(config, arm, work.held_out * len(config.seeds), episode)
    grown = next((arm for arm in config.evaluation.arms if arm.name == config.evaluation.growth_arm), None)
    if grown is not None and config.evaluation.growth:
        episodes = work.held_out * len(config.seeds) * len(config.evaluation.growth)
        rows += _evaluate(config, grown.model_copy(update={"name": "growth"}), episodes, episode)
    if not benchmark_tasks:
        episodes = work.held_out * len(config.seeds) * (len(config.evaluation.arms) + len(config.evaluation.growth))
        rows += _judge(config, "evaluate: judge", episodes, config.evaluation.step_limit)
    return [row for row in rows if row.calls]


@dataclass(frozen=True)
class Lengths:
    """How long episodes and calls of a run were, on average; None or missing where it shows none."""

    attempt: float | None = None  # steps
    episode: float | None = None  # steps, of the evaluation
    tokens: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # in and out of a call, by stage/role


def lengths_in(run: RunFolder) -> Lengths:
    """The lengths that a run has shown so far."""
    attempts = [len(trajectory.steps) for _, trajectory in run.store.all("trajectory", Trajectory)]
    episodes = [result.steps for _, result in run.store.all("result", Result) if result.stop != "environment_failure"]
    tokens = {
        stage: (meter["input_tokens"] / meter["calls"], meter.get("output_tokens", 0.0) / meter["calls"])
        for stage, meter in run.store.meters().items()
        if meter.get("calls") and meter.get("input_tokens")
    }
    return Lengths(_mean(attempts), _mean(episodes), tokens)


def _mean(numbers: Sequence[int]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None


def expected(
    config: Config, documents: Sequence[Document], benchmark_tasks: int, actions: str, lengths: Lengths
) -> list[Planned]:
    """As ``plan``, with the calls and tokens that are likely instead of the most that there can be."""
    rows = plan(_shortened(config, lengths), documents, benchmark_tasks, actions)
    return [_as_seen(row, lengths) for row in rows]


def _shortened(config: Config, lengths: Lengths) -> Config:
    """A config whose step limits are the lengths of episodes that are expected."""
    synthesis, evaluation = config.synthesis, config.evaluation
    attempt = _steps(lengths.attempt, synthesis.step_limit)
    episode = _steps(lengths.episode, evaluation.step_limit)
    arms = evaluation.arms
    if lengths.episode is not None:  # the mean over all arms, those with extra steps too
        arms = tuple(arm.model_copy(update={"step_factor": 1.0}) for arm in arms)
    return config.model_copy(
        update={
            "synthesis": synthesis.model_copy(update={"step_limit": attempt}),
            "evaluation": evaluation.model_copy(update={"step_limit": episode, "arms": arms}),
        }
    )


def _steps(seen: float | None, limit: int) -> int:
    return max(1, min(limit, math.ceil(limit * ASSUMED_SHARE if seen is None else seen)))


def _as_seen(row: Planned, lengths: Lengths) -> Planned:
    each = lengths.tokens.get(f"{row.stage}/{row.role}")
    if each is None:
        return row
    tokens_in, tokens_out = (round(tokens * row.calls) for tokens in each)
    return row.model_copy(update={"input_tokens": tokens_in, "output_tokens": tokens_out})


def basis(config: Config, lengths: Lengths) -> str:
    """What the expected numbers rest on, in words."""
    short = _shortened(config, lengths)
    parts = []
    for name, seen, steps, limit in (
        ("an attempt", lengths.attempt, short.synthesis.step_limit, config.synthesis.step_limit),
        ("an episode", lengths.episode, short.evaluation.step_limit, config.evaluation.step_limit),
    ):
        parts.append(f"{name} takes {steps} of {limit} steps" if seen is None else f"{name} takes {seen:.1f} steps")
    if lengths.tokens:
        parts.append("calls are as long as those of the same stage and role")
    else:
        parts.append(f"pages have {PAGE:,} characters, replies {min(REPLY.values())} to {max(REPLY.values())} tokens")
    return "; ".join(parts)


def _propose(config: Config, documents: Sequence[Document], actions: str) -> Planned:
    count = config.synthesis.tasks_per_document
    model = config.models.of("propose")
    requests = [
        Fields(document=each, count=count, actions=actions, **_told(config, at)) for at, each in enumerate(documents)
    ]
    reply_tokens = REPLY["propose"] * count * len(documents)
    tokens = sum(_tokens(config, model, "propose", each) for each in requests)
    return _row("propose", "propose", model, len(documents), tokens, reply_tokens)


def _told(config: Config, section: int) -> dict[str, Any]:
    """What the writer of tasks is told beside a section, at its longest: the map, and what earlier rounds covered."""
    limits, synthesis = config.limits, config.synthesis
    told: dict[str, Any] = {"map": "x" * limits.map} if synthesis.map_pages else {}
    if 0 < synthesis.tasks_per_round <= section * synthesis.tasks_per_document:
        lines = (_TASK.instruction,) * (limits.covered // len(_TASK.instruction))
        told |= {"instructions": lines, "operations": lines}
    return told


def _attempt(config: Config, work: Counts, actions: str) -> list[Planned]:
    if asks_no_model(agent_for_rollouts(config)):
        return []
    model = config.models.of("act")
    limit = config.synthesis.step_limit
    prompt_tokens = _sum(limit, lambda at: _tokens(config, model, "act", _at_step(at, actions)))
    return [_row("attempt", "act", model, work.rollouts * limit, work.rollouts * prompt_tokens)]


def _label(config: Config, work: Counts) -> list[Planned]:
    rows = []
    for kind in config.synthesis.kinds:
        role = role_of(kind)
        calls, tokens = _label_calls(config, config.models.of(role), role)
        reply_tokens = REPLY[role] * work.labels
        rows.append(
            _row("label", role, config.models.of(role), work.rollouts * calls, work.rollouts * tokens, reply_tokens)
        )
    if "committee" in config.synthesis.filters:
        # of each roll-out, the example under its own task is judged too
        rows += _judge(config, "filter", work.labels * len(config.synthesis.kinds) + work.rollouts, SPAN)
    return rows


def _label_calls(config: Config, model: str, role: Role) -> tuple[int, int]:
    """Number and tokens of the calls about one trajectory; where the choice of spans decides that, of usual length."""
    how, spans, n = config.labelling, _spans(config), config.synthesis.step_limit
    if not how.whole and how.spans != "all":
        fields = Fields(trajectory=_trajectory(SPAN), start=0, end=SPAN)
        return len(spans), len(spans) * _tokens(config, model, role, fields)
    calls = [call for family in calls_of(spans, how) for call in family]
    trajectory = _trajectory(n)

    def tokens(at: int) -> int:
        call = calls[at]
        start, end = (0, n) if how.whole else (call[0][0], max(end for _, end in call))
        fields = Fields(trajectory=trajectory, start=start, end=end, spans=tuple(call))
        return _tokens(config, model, role, fields)

    return len(calls), _sum(len(calls), tokens)


def _judge(config: Config, stage: str, times: int, length: int) -> list[Planned]:
    fields = Fields(trajectory=_trajectory(length), start=0, end=length, instruction=_TASK.instruction)
    return [
        _row(stage, "judge", model, times, times * _tokens(config, model, "judge", fields))
        for model in config.models.judges or (config.models.default,)
    ]


#: (model, role, steps, examples, skills, documents) -> tokens of the prompts of an episode that shows so many of them
EpisodeTokens = Callable[[str, Role, int, int, int, int], int]


def _episodes(config: Config, documents: Sequence[Document], actions: str) -> EpisodeTokens:
    """Each is rendered once: most arms show as much as another."""

    @cache
    def tokens(model: str, role: Role, limit: int, examples: int, skills: int, sections: int) -> int:
        known: dict[str, Any] = {"examples": (_SHOWN,) * examples} if examples else {}
        if skills:
            known["skills"] = tuple(_skill(config, number) for number in range(skills))
        if sections:
            known["documents"] = tuple(documents[:sections])

        def at_step(at: int) -> int:
            return _tokens(config, model, role, _at_step(at, actions).model_copy(update=known))

        return _sum(limit, at_step)

    return tokens


def _evaluate(config: Config, arm: Arm, episodes: int, episode: EpisodeTokens) -> list[Planned]:
    if not arm.spends_as:
        return _evaluate_alone(config, arm, episodes, episode)
    model = next(each for each in config.evaluation.arms if each.name == arm.spends_as)
    rows = _evaluate_alone(config, arm, episodes, episode)
    given, own = (_all_tokens(each) for each in (_evaluate_alone(config, model, episodes, episode), rows))
    return [_times(row, given / own) for row in rows]


def _all_tokens(rows: Sequence[Planned]) -> int:
    return max(1, sum(row.input_tokens + row.output_tokens for row in rows))


def _times(row: Planned, factor: float) -> Planned:
    numbers = {"calls": row.calls, "input_tokens": row.input_tokens, "output_tokens": row.output_tokens}
    return row.model_copy(update={name: math.ceil(factor * number) for name, number in numbers.items()})


def _evaluate_alone(config: Config, arm: Arm, episodes: int, episode: EpisodeTokens) -> list[Planned]:
    limit = round(config.evaluation.step_limit * arm.step_factor)
    look_up = arm.retrieval(config.retrieval)
    shown = (
        look_up.m1 + look_up.m2 + look_up.m3 if arm.data != "none" else 0,
        config.skills.shown if arm.skills else 0,
        config.retrieval.documents if arm.agent == "rag" else 0,
    )
    stage = f"evaluate: {arm.name}"

    def tokens(model: str, role: Role) -> int:
        return episodes * episode(model, role, limit, *shown)

    def of_episode(role: Role, model: str) -> int:
        """Of as many calls as there are steps."""
        if role in ("act", "value"):
            return tokens(model, role)
        trajectory = _trajectory(limit)
        fields = Fields(task=_TASK, trajectory=trajectory, start=0, end=limit, instruction=_TASK.instruction)
        return episodes * limit * _tokens(config, model, role, fields)

    model = arm.model or config.models.of("act")
    plug_in = plugins.load("agents", arm.agent)
    if isinstance(plug_in, CountsCalls):
        return [
            _row(stage, role, model, episodes * calls, round(calls * of_episode(role, model) / limit))
            for role, calls in plug_in.most_calls(limit).items()
        ]
    rows = [_row(stage, "act", model, episodes * limit, tokens(model, "act"))]
    if arm.data != "none" and look_up.asks:
        model = arm.model or config.models.of("query")
        prompt_tokens = tokens(model, "query")
        rows.append(_row(stage, "query", model, episodes * limit, prompt_tokens))
    return rows


def _skills(config: Config) -> list[Planned]:
    """As many as there may be, each of as many examples as are shown."""
    if not any(arm.skills for arm in config.evaluation.arms):
        return []
    model, calls = config.models.of("skill"), config.skills.most * len(config.seeds)
    fields = Fields(examples=(_SHOWN,) * MOST_SHOWN, instruction=_skill(config).description, count=config.skills.tokens)
    return [_row("skills", "skill", model, calls, calls * _tokens(config, model, "skill", fields))]


def _skill(config: Config, number: int = 0) -> Skill:
    """One that takes all of its tokens."""
    return Skill(name=f"any-{number}", description="long " * (4 * config.skills.tokens // 5), statements=(), sources=())


def _row(
    stage: str, role: Role, model: str, calls: int, prompt_tokens: int, reply_tokens: int | None = None
) -> Planned:
    replies = REPLY[role] * calls if reply_tokens is None else reply_tokens
    return Planned(stage=stage, role=role, model=model, calls=calls, input_tokens=prompt_tokens, output_tokens=replies)


def _sum(count: int, value: Callable[[int], int]) -> int:
    """value(0) + ... + value(count - 1); of many, some are computed and those between lie on a line between them."""
    if count <= WHOLE:
        return sum(map(value, range(count)))
    at = [round(number * (count - 1) / (SAMPLED - 1)) for number in range(SAMPLED)]
    values = [value(each) for each in at]
    between = sum(
        (left + right) / 2 * (end - start)
        for (start, end), (left, right) in zip(pairwise(at), pairwise(values), strict=True)
    )
    return round(between + (values[0] + values[-1]) / 2)


def _tokens(config: Config, model: str, role: Role, fields: Fields) -> int:
    """Of a prompt as a model of the run is sent it, with the screenshots that there will be."""
    limits = config.limits if config.web.screenshots else config.limits.model_copy(update={"images": ()})
    image = image_tokens(model, scaled_size(SCREENSHOT, limits.image_side)) if config.web.screenshots else 0
    messages = render(Request(role=role, fields=fields), limits)
    return sum(estimate_tokens(message.content) + image * len(message.images) for message in messages)


# what nobody has seen yet, in its usual size

_TASK = Task(instruction="Do what the page before asks for, with the values that it names.", environment="any")


@lru_cache(maxsize=4096)
def _page(number: int) -> Observation:
    line = f'link "An element of page {number}" [e12] -> /an/address\n'
    return Observation(
        image="any", text=(line * (PAGE // len(line) + 1))[:PAGE], url=f"/page/{number}", title=f"Page {number}"
    )


@lru_cache(maxsize=4096)
def _step(number: int) -> Step:
    action = Action(text="click(e12)", kind="click", role="link", name=f"An element of page {number}")
    return Step(observation=_page(number), reason="It leads to where the task can be done.", action=action)


def _trajectory(length: int) -> Trajectory:
    steps = tuple(_step(at) for at in range(length))
    return Trajectory(task=_TASK, agent="any", steps=steps, last=_page(length), stop="done")


def _at_step(at: int, actions: str) -> Fields:
    history = tuple(_step(number) for number in range(at))
    return Fields(task=_TASK, history=history, observation=_page(at), actions=actions)


def _shown() -> Shown:
    trajectory = _trajectory(SPAN)
    example = Example(kind="abstract", instruction=_TASK.instruction, trajectory=trajectory.id, start=0, end=SPAN)
    return Shown(example=example, trajectory=trajectory, at=1, why="query")


_SHOWN = _shown()
