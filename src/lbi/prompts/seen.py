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
    """Earlier steps in order, with as many of the newest pages as there is room for; older ones are named only.

    Of a page that resembles one shown before, only what changed is shown. References of earlier pages mean nothing any
    more, so there are none, and actions are grounded.
    """
    texts = [without_references(step.observation.text) for step in steps]
    first, pages = len(steps), list[str]()
    while first > 0:
        more = _shortened(steps[first - 1 :], texts[first - 1 :], first)
        if sum(map(len, more)) > room:
            break
        first, pages = first - 1, more
    shown = []
    for number, step in enumerate(steps):
        text = pages[number - first] if number >= first else ""
        page = page_text(step.observation.model_copy(update={"text": text or step.observation.text}), len(text))
        shown.append({"page": page, "reason": step.reason, "action": step.action.grounded})
    return shown


def _shortened(steps: Sequence[Step], texts: Sequence[str], number: int) -> list[str]:
    """Each page whole, or as what changed since an earlier one of them; ``number`` is that of the first step."""
    earlier: list[tuple[Observation, str]] = []
    pages = []
    for step, text in zip(steps, texts, strict=True):
        pages.append(as_changes(step.observation, text, earlier, "page of step", number))
        earlier.append((step.observation, text))
    return pages


def unless_same(text: str, earlier: list[tuple[Observation, str]], noun: str = "page", first: int = 0) -> str:
    """The text, or a note that it is that of an earlier page."""
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
    difference = shortest([(number, earlier[number][1]) for number in bases], text)
    if difference is None:
        return text
    number, changes = difference
    return block("changes", "user", page=f"{noun} {number + first}", changes=changes)
