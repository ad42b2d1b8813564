"""The life of what was learnt: what keeps hurting is retired, what is not used sinks, near-duplicates become one.

All of it is decided by counts in the run's table of knowledge (lbi.storage.knowledge), and can be taken back.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from lbi.evaluation.statistics import wilson
from lbi.observations.normalise import observation_key
from lbi.records import TIERS, Action, Example, Trajectory, digest_of
from lbi.retrieval.texts import without_values
from lbi.storage.knowledge import Entry, Uses

Pair = tuple[Example, Trajectory]
NEVER = Uses()
_ENTERING = frozenset({"fill", "type", "select", "upload"})


def hurtful(uses: Mapping[str, Uses]) -> dict[str, str]:
    """{item that keeps hurting: why}.

    In paired runs: it hurts more often than it helps. By what was reported, where nobody knows how it would have gone
    without it: it succeeds less than half as often as the others. Either has to be sure, which means that the 95%
    interval (Wilson) lies below; that takes four cases at least.
    """
    good = sum(each.succeeded for each in uses.values())
    total = good + sum(each.failed for each in uses.values())
    found: dict[str, str] = {}
    for item, each in uses.items():
        paired, told = each.helped + each.hurt, each.succeeded + each.failed
        usual = (good - each.succeeded) / (total - told) if total > told else 0.0
        if paired and wilson(each.helped, paired)[1] < 0.5:
            found[item] = f"hurt in {each.hurt} of {paired} paired runs that it changed"
        elif told and wilson(each.succeeded, told)[1] < usual / 2:
            found[item] = f"failed in {each.failed} of {told} reports; of the others {usual:.0%} succeeded"
    return found


def near_duplicates(pairs: Sequence[Pair], uses: Mapping[str, Uses]) -> dict[str, str]:
    """{example: the one that says the same}: the same request and actions but for values, on pages that look alike."""
    alike: dict[str, list[Pair]] = {}
    for example, trajectory in pairs:
        alike.setdefault(_said(example, trajectory), []).append((example, trajectory))
    found: dict[str, str] = {}
    for group in alike.values():
        (best, _), *others = sorted(group, key=lambda pair: _worth(pair[0], uses))
        found |= {example.id: best.id for example, _ in others}
    return found


def _worth(example: Example, uses: Mapping[str, Uses]) -> tuple[object, ...]:
    """The best first."""
    each = uses.get(example.id, NEVER)
    good = each.helped + each.succeeded - each.hurt - each.failed
    return -TIERS.index(example.tier), -good, -each.shown, example.end - example.start, example.id


def _said(example: Example, trajectory: Trajectory) -> str:
    request = re.sub(r"\W+", " ", without_values(example.instruction)).casefold().split()
    actions = [_done(action) for action in trajectory.actions[example.start : example.end]]
    pages = [observation_key(page) for page in trajectory.observations[example.start : example.end]]
    return digest_of([example.kind, request, actions, pages])


def _done(action: Action) -> str:
    """An action without what was entered by it."""
    return f"{action.kind} {action.role} {action.name} {action.nth}" if action.kind in _ENTERING else action.grounded


def decided(
    pairs: Sequence[Pair], skills: Iterable[str], uses: Mapping[str, Uses], sunk: Collection[str], update: str
) -> Iterator[Entry]:
    """The changes that the counts ask for. ``update`` is the name of this look at them.

    ``pairs`` and ``skills``: what is live now, of one seed; of that, ``sunk`` is what was not used before.
    """
    live = [example.id for example, _ in pairs]
    hurting = {item: why for item, why in hurtful(uses).items() if item in {*live, *skills}}
    same = near_duplicates([pair for pair in pairs if pair[0].id not in hurting], uses)
    yield from (Entry(item, "retired", update, why) for item, why in hurting.items())
    yield from (Entry(item, "merged", update, f"says the same as {other}") for item, other in same.items())
    if not any(each.shown for each in uses.values()):
        return  # nobody asked yet
    for item in live:
        if item not in hurting and item not in same:
            used = uses.get(item, NEVER).shown > 0
            if used and item in sunk:
                yield Entry(item, "rose", update, "shown again")
            elif not used and item not in sunk:
                yield Entry(item, "sank", update, "never shown, though others were")
