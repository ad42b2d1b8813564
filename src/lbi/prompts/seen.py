"""Pages and histories as prompts show them: whole, by name, or by what changed since an earlier one."""

from __future__ import annotations

from collections.abc import Sequence

from lbi.observations.diff import shortest, without_references
from lbi.prompts.template import block, cut, one_line
from lbi.records import Observation, Step


def page_text(observation: Observation, limit: int, error: bool = True) -> str:
    """A page in full (limit > 0) or by name only, after the error of the action that led to it."""
    before = [f"ERROR of the action before: {observation.error}"] if error and observation.error else []
    text = cut(observation.text, limit) if limit > 0 else _place(observation)
    return "\n".join([*before, text.strip() or "(the page is empty)"])


def _place(observation: Observation) -> str:
    named = [part for part in (observation.url, f'"{observation.title}"' if observation.title else "") if part]
    return one_line(" ".join(named) or observation.text[:80])


def history(steps: tuple[Step, ...], room: int) -> list[dict[str, str]]:
    """Earlier steps in order: as many of the newest pages as there is room for, of which only the first is whole.

    A page that resembles one shown before is told by what changed. References of earlier pages mean nothing any more,
    so there are none, and actions are grounded.
    """
    texts = [without_references(step.observation.text) for step in steps]
    first, told = len(steps), list[str]()
    while first > 0:
        more = _told(steps[first - 1 :], texts[first - 1 :], first)
        if sum(map(len, more)) > room:
            break
        first, told = first - 1, more
    shown = []
    for number, step in enumerate(steps):
        text = told[number - first] if number >= first else ""
        page = page_text(step.observation.model_copy(update={"text": text or step.observation.text}), len(text))
        shown.append({"page": page, "reason": step.reason, "action": step.action.grounded})
    return shown


def _told(steps: Sequence[Step], texts: Sequence[str], number: int) -> list[str]:
    """Each page whole, or as what changed since an earlier one of them; ``number`` is that of the first step."""
    earlier: list[tuple[Observation, str]] = []
    told = []
    for step, text in zip(steps, texts, strict=True):
        told.append(as_changes(step.observation, text, earlier, "page of step", number))
        earlier.append((step.observation, text))
    return told


def unless_same(text: str, earlier: list[tuple[Observation, str]], noun: str = "page", first: int = 0) -> str:
    same = next((number for number, (_, before) in enumerate(earlier, first) if before == text), None)
    return text if same is None else f"(the same as {noun} {same})"


def as_changes(
    observation: Observation, text: str, earlier: list[tuple[Observation, str]], noun: str = "page", first: int = 0
) -> str:
    """The page, or what changed since the one before or since the last one at the same address.

    ``noun`` and a number count the earlier ones, from ``first``.
    """
    if (same := unless_same(text, earlier, noun, first)) != text:
        return same
    here = [number for number, (before, _) in enumerate(earlier) if before.url == observation.url]
    bases = sorted({*here[-1:], *range(len(earlier))[-1:]})
    found = shortest([(number, earlier[number][1]) for number in bases], text)
    return text if found is None else block("changes", "user", page=f"{noun} {found[0] + first}", changes=found[1])
