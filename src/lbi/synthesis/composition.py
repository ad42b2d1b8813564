"""Examples -> composed examples: the known way from the start page to where an example begins, and then the example.

Spans rarely start where a user starts. A composed example is a hypothesis until ``verify`` has carried it out from a
reset, and then it spans a real trajectory of its own. (An addition of ours; the paper has none.)
"""

from __future__ import annotations

import heapq
import random
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from lbi.observations.normalise import kind_of_place, observation_key, place
from lbi.protocols import Environment
from lbi.records import TIERS, Example, Record, Step, Task, Tier, Trajectory

AGENT = "composed"
GOTO_COST = 4  # a typed address counts as so many clicks: a user finds links, and knows few addresses
LONGEST_WAY = 6  # moves
JOINS = 0.25  # share of the candidates that join two examples


class Move(Record):
    """One action to carry out, in grounded form, and whether it must change the state."""

    action: str
    reason: str = ""
    changes: bool = False


class Composed(Record):
    """A candidate: what to carry out from the start page, and where that should end."""

    instruction: str
    environment: str
    documents: tuple[str, ...]  # of the first and the last part
    parents: tuple[str, ...]  # ids of the examples
    moves: tuple[Move, ...]
    goal: str  # kind of place of the last page


class Part:
    """An example with what composition needs to know of it."""

    def __init__(self, example: Example, trajectory: Trajectory) -> None:
        seen = trajectory.observations
        self.example = example
        self.trajectory = trajectory
        self.begin = _arrival(trajectory, example.start)
        self.start = place(seen[self.begin])
        self.end = place(seen[example.end])
        self.changes = seen[example.start].digest != seen[example.end].digest

    @property
    def moves(self) -> tuple[Move, ...]:
        return tuple(_move(self.trajectory, at) for at in range(self.begin, self.example.end))


def candidates(
    examples: Iterable[Example],
    trajectories: Mapping[str, Trajectory],
    *,
    limit: int,
    seed: int = 0,
    start: str = "",
    tier: Tier = "replayed",
) -> tuple[Composed, ...]:
    """At most ``limit`` compositions of examples that were kept and are of this tier or a better one.

    ``start`` is the place where episodes begin; by default where most trajectories do. Trajectories that no
    example is of serve to know the ways.
    """
    known = list(trajectories.values())
    parts = _parts(examples, trajectories, tier)
    ways = Ways(known, start or start_of(known))
    chance = random.Random(seed)
    joined = _joins(parts, ways, int(limit * JOINS), chance)
    extended = _extensions(parts, ways, chance)
    return (*extended[: limit - len(joined)], *joined)


async def verify(environment: Environment, candidate: Composed) -> Trajectory | None:
    """Carry a candidate out from a reset: the trajectory if all went as it should, else None.

    Every action must succeed and change the state where it did before, the last page must be of the kind it was, and
    changes must not have cancelled each other. Raises EnvironmentFailure.
    """
    task = Task(instruction=candidate.instruction, environment=candidate.environment, document=candidate.documents[0])
    first = seen = await environment.reset(task)
    steps: list[Step] = []
    for move in candidate.moves:
        outcome = await environment.step(move.action)
        after = outcome.observation
        if after.error or (move.changes and after.digest == seen.digest):
            return None
        steps.append(Step(observation=seen, reason=move.reason, action=outcome.action))
        seen = after
    undone = any(move.changes for move in candidate.moves) and seen.digest == first.digest
    if undone or kind_of_place(place(seen)) != candidate.goal:
        return None
    return Trajectory(task=task, agent=AGENT, steps=tuple(steps), last=seen, stop="done")


def example_of(candidate: Composed, trajectory: Trajectory) -> Example:
    """The example that a verified candidate becomes; it was carried out just now, so its tier is ``replayed``."""
    return Example(
        kind="composed",
        instruction=candidate.instruction,
        trajectory=trajectory.id,
        start=0,
        end=len(trajectory.steps),
        document=candidate.documents[-1],
        parents=candidate.parents,
        tier="replayed",
    )


def start_of(trajectories: Sequence[Trajectory]) -> str:
    """Where most episodes begin, tasks with a start page of their own aside."""
    usual = [each for each in trajectories if not each.task.start_url] or trajectories
    count = Counter(place(each.observations[0]) for each in usual)
    return min(count, key=lambda page: (-count[page], page), default="")


class Ways:
    """The graph of places: which clicks and addresses led from one to another without a change of the state."""

    def __init__(self, trajectories: Iterable[Trajectory], start: str) -> None:
        self.start = start
        self._edges = _edges(trajectories)
        anywhere = self._edges.pop("", {})
        self._edges[start] = {**anywhere, **self._edges.get(start, {})}  # later on an address is no shorter
        self._known = self._search()

    def to(self, page: str) -> tuple[Move, ...] | None:
        """The shortest known way from the start page; None if there is none that is short enough."""
        return self._known.get(page)

    def _search(self) -> dict[str, tuple[Move, ...]]:
        """Dijkstra; ties by the actions, so that the order of the trajectories changes nothing."""
        found: dict[str, tuple[Move, ...]] = {}
        queue: list[tuple[int, tuple[str, ...], str]] = [(0, (), self.start)]
        while queue:
            cost, actions, page = heapq.heappop(queue)
            if page in found:
                continue
            found[page] = tuple(Move(action=action) for action in actions)
            if len(actions) == LONGEST_WAY:
                continue
            for action, target in self._edges.get(page, {}).items():
                if target not in found:
                    price = GOTO_COST if action.startswith("goto(") else 1
                    heapq.heappush(queue, (cost + price, (*actions, action), target))
        return found


def _edges(trajectories: Iterable[Trajectory]) -> dict[str, dict[str, str]]:
    """place -> action -> the place it most often led to; under "" the addresses, which do so from everywhere."""
    seen: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for trajectory in trajectories:
        for source, action, target in _moves_between_places(trajectory):
            seen[source, action][target] += 1
            if action.startswith("goto("):
                seen["", action][target] += 1
    edges: dict[str, dict[str, str]] = defaultdict(dict)
    for (source, action), targets in seen.items():
        edges[source][action] = min(targets, key=lambda target: (-targets[target], target))
    return dict(edges)


def _moves_between_places(trajectory: Trajectory) -> Iterator[tuple[str, str, str]]:
    for at, action in enumerate(trajectory.actions):
        before, after = trajectory.observations[at], trajectory.observations[at + 1]
        moved = place(before) != place(after) and before.digest == after.digest and not after.error
        if moved and (action.kind == "goto" or (action.kind == "click" and action.role)):
            yield place(before), action.grounded, place(after)


# parts


def _parts(examples: Iterable[Example], trajectories: Mapping[str, Trajectory], tier: Tier) -> list[Part]:
    """Examples worth composing, each way of carrying out an instruction once, in the order of their ids."""
    found: dict[tuple[str, tuple[Move, ...]], Part] = {}
    for example in sorted(examples, key=lambda example: example.id):
        good = example.kept and TIERS.index(example.tier) >= TIERS.index(tier)
        # the instruction of a summary tells each step, and would not tell those of the way
        if not good or example.kind not in ("abstract", "forward"):
            continue
        part = Part(example, trajectories[example.trajectory])
        if part.changes or part.start != part.end:
            found.setdefault((example.instruction.casefold(), part.moves), part)
    return list(found.values())


def _arrival(trajectory: Trajectory, start: int) -> int:
    """Where the visit of the page began: clicks since then may have opened what the example uses."""
    seen, actions = trajectory.observations, trajectory.actions
    while start > 0:
        before, after, action = seen[start - 1], seen[start], actions[start - 1]
        opened = action.kind == "click" and not after.error and observation_key(before) != observation_key(after)
        if not opened or place(before) != place(after) or before.digest != after.digest:
            break
        start -= 1
    return start


def _move(trajectory: Trajectory, at: int) -> Move:
    before, after = trajectory.observations[at], trajectory.observations[at + 1]
    step = trajectory.steps[at]
    return Move(action=step.action.grounded, reason=step.reason, changes=before.digest != after.digest)


def _extensions(parts: Sequence[Part], ways: Ways, chance: random.Random) -> list[Composed]:
    """Parts that begin elsewhere than an episode; those that change the state first, else in a random order."""
    order = sorted(parts, key=lambda part: (not part.changes, chance.random()))
    found = []
    for part in order:
        way = ways.to(part.start)
        if way:
            found.append(_composed(part.example.instruction, way, part))
    return found


def _joins(parts: Sequence[Part], ways: Ways, limit: int, chance: random.Random) -> list[Composed]:
    """Pairs of parts that change the state, where the second begins on the page on which the first ends."""
    changing = [part for part in parts if part.changes and ways.to(part.start) is not None]
    starting: dict[str, list[Part]] = defaultdict(list)
    for part in changing:
        starting[part.start].append(part)
    # the pairs are numbered and not listed, as there may be millions
    until = list(accumulate(len(starting[first.end]) for first in changing))
    total = until[-1] if until else 0
    found: list[Composed] = []
    for number in chance.sample(range(total), min(total, 4 * limit)):
        at = bisect_right(until, number)
        first = changing[at]
        second = starting[first.end][number - until[at]]  # counted from the end
        if len(found) < limit and _joinable(first, second):
            found.append(_composed(_then(first, second), ways.to(first.start) or (), first, second))
    return found


def _joinable(first: Part, second: Part) -> bool:
    """Of one trajectory the two would be a span there already, and nobody asks for the same twice."""
    same = first.example.instruction.casefold() == second.example.instruction.casefold()
    return not same and first.trajectory.id != second.trajectory.id


def _composed(instruction: str, way: tuple[Move, ...], *parts: Part) -> Composed:
    return Composed(
        instruction=instruction,
        environment=parts[0].trajectory.task.environment,
        documents=tuple(part.example.document or part.trajectory.task.document for part in (parts[0], parts[-1])),
        parents=tuple(part.example.id for part in parts),
        moves=(*way, *(move for part in parts for move in part.moves)),
        goal=kind_of_place(parts[-1].end),
    )


def _then(first: Part, second: Part) -> str:
    """Two instructions as one."""
    one, two = first.example.instruction.strip(), second.example.instruction.strip()
    verb, blank, rest = two.partition(" ")
    two = (verb.lower() if verb.istitle() and verb.isalpha() else verb) + blank + rest
    return f"{one.rstrip('.')}. Then {two}"
