"""A trajectory -> its steps as a page shows them: what was seen and done, the examples in the prompt, and the calls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lbi.records import Example, Observation, Step, Trajectory
from lbi.report.pages import label_of
from lbi.report.viewer.source import RunView

MOST_STEPS = 300  # on one page
MOST_CHARACTERS = 60_000  # of one observation


@dataclass(frozen=True)
class ShownExample:
    """An example that was in a prompt; ``address`` is "" where it is not of this run."""

    label: str
    instruction: str
    address: str


@dataclass(frozen=True)
class ShownStep:
    """One step. ``calls`` are the addresses of the prompts that led to it."""

    number: int
    seen: Observation
    step: Step
    error: str
    examples: list[ShownExample]
    calls: list[str]


def steps_of(view: RunView, trajectory: Trajectory) -> list[ShownStep]:
    after = trajectory.observations[1:]
    pairs = list(zip(trajectory.steps, after, strict=True))[:MOST_STEPS]
    return [
        ShownStep(
            number=number,
            seen=short(step.observation),
            step=step,
            error=led_to.error,
            examples=[_shown(view, id_) for id_ in step.examples],
            calls=call_addresses(view, step.calls),
        )
        for number, (step, led_to) in enumerate(pairs, 1)
    ]


def call_addresses(view: RunView, keys: Iterable[str]) -> list[str]:
    """Where the prompts of model calls are shown."""
    return [view.to(f"call/{key}") for key in keys]


def short(seen: Observation) -> Observation:
    """What is too long for a page is cut, and says so."""
    if len(seen.text) <= MOST_CHARACTERS:
        return seen
    more = len(seen.text) - MOST_CHARACTERS
    return seen.model_copy(update={"text": f"{seen.text[:MOST_CHARACTERS]}\n… {more:,} more characters"})


def _shown(view: RunView, id_: str) -> ShownExample:
    if id_.startswith("skill:"):
        return ShownExample(f"skill {id_.split(':')[1]}", "instructions that fitted", "")
    example = view.read().examples.get(id_)
    if example is None:
        return ShownExample(f"example {id_}", "not stored under this id in this run", "")
    return ShownExample(label_of(example), example.instruction, view.to(f"example/{id_}"))


def span_of(trajectory: Trajectory, example: Example) -> Trajectory:
    """The part of a trajectory that an example is, as a trajectory."""
    last = trajectory.observations[example.end]
    return trajectory.model_copy(update={"steps": trajectory.steps[example.start : example.end], "last": last})
