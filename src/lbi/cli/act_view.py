"""An act as somebody at the terminal follows it: of each step the page, the examples shown, the reason, the action."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from rich.console import Console
from rich.text import Text

from lbi.monitoring.terminal import escaped
from lbi.protocols import Decision
from lbi.records import Example, Observation, Step
from lbi.report.words import count, cut, duration, money, plural
from lbi.rollouts.act import ActWatcher
from lbi.rollouts.kept import FILE, PATCH, Act
from lbi.rollouts.learnt import Learnt

INDENT = 4
LABEL = 7  # characters of "because" and its like
MOST_EXAMPLES = 3  # that are named; of the others the number is told
LONGEST_ADDRESS = 60
NARROWEST = 40


def print_part(console: Console, label: str, text: str, style: str = "") -> None:
    """A label and a text beside it, broken into lines that all begin below the first."""
    start = " " * (INDENT + LABEL + 1)
    width = max(console.width, NARROWEST) - len(start)
    lines = [line for part in escaped(text).splitlines() or [""] for line in textwrap.wrap(part, width) or [""]]
    shown = Text.assemble((" " * INDENT + label.ljust(LABEL + 1), "dim"), (f"\n{start}".join(lines), style))
    console.print(shown, soft_wrap=True, markup=False, highlight=False)


def place(page: Observation) -> str:
    """The page's title and its address, which is cut in the middle where it is long."""
    url = page.url
    if len(url) > LONGEST_ADDRESS:
        half = LONGEST_ADDRESS // 2
        url = f"{url[:half]}…{url[1 - half :]}"
    return "  ".join(filter(None, (cut(page.title, 80), url))) or cut(page.text.partition("\n")[0], 80) or "(no page)"


class Narrator(ActWatcher):
    """Prints each step as it happens. ``hold`` is awaited at the end, while the application is still open."""

    def __init__(self, console: Console, *, quiet: bool, hold: Callable[[], Awaitable[None]]) -> None:
        self._console, self._quiet, self._hold = console, quiet, hold
        self._examples: Mapping[str, Example] = {}
        self._folder: Path | None = None
        self._calls_are_kept = False

    def begins(self, learnt: Learnt, steps: int, folder: Path) -> None:
        self._examples, self._folder = learnt.examples, folder
        self._calls_are_kept = not all(learnt.context.role(role).info.free for role in ("act", "query"))
        if self._quiet:
            return
        self._say(f"On {learnt.place}.")
        self._tell_beginning(learnt, steps)

    def _tell_beginning(self, learnt: Learnt, steps: int) -> None:
        model = learnt.context.config.models.of("act")
        known = f"{plural(len(learnt.examples), 'example')} of {learnt.run}" if learnt.examples else "no examples"
        self._say(
            f"Agent {learnt.arm.agent} with {known} (arm {learnt.arm.name}), model {model}, at most {steps} steps."
        )

    def sees(self, number: int, page: Observation) -> None:
        if not self._quiet:
            self._console.print(Text(f"\n{number:>2}  {escaped(place(page))}", style="bold"), soft_wrap=True)

    def decides(self, decision: Decision) -> None:
        if self._quiet:
            return
        if decision.examples:
            print_part(self._console, "shown", self._shown(decision.examples))
        if decision.reason:
            print_part(self._console, "because", decision.reason)

    def took(self, step: Step, after: Observation) -> None:
        if self._quiet:
            return
        print_part(self._console, "does", step.action.written, style="cyan")
        if after.error:
            print_part(self._console, "but", after.error, style="red")

    async def ends(self, act: Act) -> None:
        if not self._quiet:
            self._tell_end(act)
        self._tell_kept(act.folder, PATCH if act.submission else "")
        await self._hold()

    def _tell_end(self, act: Act) -> None:
        self._say(f"\n{_outcome(act)}")
        self._say(_spent(act))

    def was_interrupted(self) -> None:
        """What was done until then is kept, if anything was."""
        if self._folder is not None and (self._folder / FILE).exists():
            self._say()
            self._tell_kept(self._folder, "")

    def _tell_kept(self, folder: Path, patch: str) -> None:
        beside = f" and {patch}" if patch else ""
        prompts = f"; `lbi calls {shlex.quote(str(folder))}` shows the prompts" if self._calls_are_kept else ""
        self._say(f"Kept in {folder} ({FILE}{beside}){prompts}.")

    def _shown(self, ids: tuple[str, ...]) -> str:
        """The first examples on a line each, and the number of the others."""
        width = max(self._console.width, NARROWEST) - INDENT - LABEL - 1
        named = [self._examples[id_].instruction for id_ in ids if id_ in self._examples]
        lines = [cut(" ".join(text.split()), width) for text in named[:MOST_EXAMPLES]]
        more = len(ids) - len(lines)
        return "\n".join([*lines, *([f"and {more} more" if lines else plural(more, "example")] if more else [])])

    def _say(self, text: str = "") -> None:
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)


class SpanNarrator(Narrator):
    """Of a span that is carried out without a model; where it stopped, the rest of its example is told."""

    def begins(self, learnt: Learnt, steps: int, folder: Path) -> None:
        super().begins(learnt, steps, folder)
        self._calls_are_kept = False

    def decides(self, decision: Decision) -> None:
        super().decides(decision.model_copy(update={"examples": ()}))  # it is the same one at every step

    def _tell_beginning(self, learnt: Learnt, steps: int) -> None:
        self._say(f"An example of {learnt.run}, step by step; no model is asked.")

    def _tell_end(self, act: Act) -> None:
        taken = [step for step in act.trajectory.steps if step.action.kind != "finish"]
        if act.status == "finished":
            self._say(f"\nAll {plural(len(taken), 'step')} of the example were taken, and led where they led there.")
        elif act.status == "impossible":
            self._say(f"\nStopped after {plural(len(taken), 'step')}: {act.answer.removeprefix('N/A: ')}")
            self._say("What is left, as the example says it:" if act.rest else "Nothing of the example is left.")
            for action in act.rest:
                self._say(f"    {action.written}")
        else:
            super()._tell_end(act)


def _outcome(act: Act) -> str:
    """What came of it, in a line; the answer in one of its own."""
    after = f"after {plural(len(act.trajectory.steps), 'step')}"
    if act.status == "finished":
        answer = f"\nAnswer: {act.answer}" if act.answer else ""
        return f"Finished {after}, as the agent says; nobody has checked it.{answer}"
    if act.status == "impossible":
        return f"Not done: the agent says, {after}, that it cannot be: {act.answer}"
    if act.status == "step limit":
        return f"Not finished: the steps were used up ({len(act.trajectory.steps)}); more with --steps."
    if act.status == "stopped":
        return f"Stopped {after}."
    return f"Failed {after}: {act.error}"


def _spent(act: Act) -> str:
    """5 calls, 12,345 tokens in, 210 out, $0.02; 12.3 s."""
    usage, took = act.trajectory.usage, duration(act.seconds)
    if not usage.input_tokens:
        return f"It took {took}."
    tokens = f"{count(usage.input_tokens)} tokens in, {count(usage.output_tokens)} out"
    return f"{plural(usage.calls, 'call')}, {tokens}, {money(usage.cost)}; {took}."
