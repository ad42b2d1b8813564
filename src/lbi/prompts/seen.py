"""Pages of a trajectory as those see them who label or judge it: whole, or by what changed since an earlier one."""

from __future__ import annotations

from lbi.observations.diff import shortest
from lbi.prompts.template import block, cut, one_line
from lbi.records import Observation


def page_text(observation: Observation, limit: int, error: bool = True) -> str:
    """A page in full (limit > 0) or by name only, after the error of the action that led to it."""
    before = [f"ERROR of the action before: {observation.error}"] if error and observation.error else []
    text = cut(observation.text, limit) if limit > 0 else _place(observation)
    return "\n".join([*before, text.strip() or "(the page is empty)"])


def _place(observation: Observation) -> str:
    named = [part for part in (observation.url, f'"{observation.title}"' if observation.title else "") if part]
    return one_line(" ".join(named) or observation.text[:80])


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
