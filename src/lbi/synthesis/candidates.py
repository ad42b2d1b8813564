"""Examples -> candidates for composition: the way from the start page to where an example begins, then the example.

Spans rarely start where a user starts. A candidate is a hypothesis until ``carry_out`` has done it from a reset; then
it has a real trajectory of its own. (An addition of ours; the paper has none.)
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
GOTO_COST = 4  # clicks that a typed address counts as: users find links, and know few addresses
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
    """An example, and where it begins and ends."""

    def __init__(self, example: Example, trajectory: Trajectory) -> None:
        observations = trajectory.observations
        self.example = example
        self.trajectory = trajectory
        self.begin = _arrival(trajectory, example.start)
        self.start = place(observations[self.begin])
        self.end = place(observations[example.end])
        self.changes = observations[example.start].digest != observations[example.end].digest

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
    """At most ``limit`` compositions of kept examples that are of this tier or a better one.

    ``start`` is the place where episodes begin; by default the one where most trajectories do. All ``trajectories``
    show ways between places, also those without examples.
    """
    all_trajectories = list(trajectories.values())
    parts = _parts(examples, trajectories, tier)
    ways = Ways(all_trajectories, start or start_of(all_trajectories))
    rng = random.Random(seed)
    joined = _joins(parts, ways, int(limit * JOINS), rng)
    extended = _extensions(parts, ways, rng)
    return (*extended[: limit - len(joined)], *joined)


async def carry_out(environment: Environment, candidate: Composed) -> Trajectory | None:
    """Carry a candidate out from a reset. Returns the trajectory if all went as expected, else None.

    Every action must succeed, and change the state if it did before. The last page must be of the same kind as before,
    and changes must not have cancelled each other. Raises EnvironmentFailure.
    """
    task = Task(instruction=candidate.instruction, environment=candidate.environment, document=candidate.documents[0])
    first = observation = await environment.reset(task)
    steps: list[Step] = []
    for move in candidate.moves:
        outcome = await environment.step(move.action)
        after = outcome.observation
        if after.error or (move.changes and after.digest == observation.digest):
            return None
        steps.append(Step(observation=observation, reason=move.reason, action=outcome.action))
        observation = after
    undone = any(move.changes for move in candidate.moves) and observation.digest == first.digest
    if undone or kind_of_place(place(observation)) != candidate.goal:
        return None
    return Trajectory(task=task, agent=AGENT, steps=tuple(steps), last=observation, stop="done")


def example_of(candidate: Composed, trajectory: Trajectory) -> Example:
    """The example of a candidate that was carried out, for which its tier is ``replayed``."""
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
    """The place where most episodes begin, not counting tasks that name a start page."""
    without_start_url = [trajectory for trajectory in trajectories if not trajectory.task.start_url] or trajectories
    starts = Counter(place(trajectory.observations[0]) for trajectory in without_start_url)
    return min(starts, key=lambda page: (-starts[page], page), default="")


class Ways:
    """The graph of places: which clicks and addresses led from one to another without changing the state."""

    def __init__(self, trajectories: Iterable[Trajectory], start: str) -> None:
        self.start = start
        self._edges = _edges(trajectories)
        from_anywhere = self._edges.pop("", {})
        self._edges[start] = {**from_anywhere, **self._edges.get(start, {})}  # later on an address is no shorter
        self._known = self._search()

    def to(self, page: str) -> tuple[Move, ...] | None:
        """The cheapest known way from the start page, of at most LONGEST_WAY moves; None if there is none."""
        return self._known.get(page)

    def _search(self) -> dict[str, tuple[Move, ...]]:
        """Dijkstra's algorithm. The actions break ties, so the order of the trajectories does not matter."""
        ways: dict[str, tuple[Move, ...]] = {}
        queue: list[tuple[int, tuple[str, ...], str]] = [(0, (), self.start)]
        while queue:
            cost, actions, page = heapq.heappop(queue)
            if page in ways:
                continue
            ways[page] = tuple(Move(action=action) for action in actions)
            if len(actions) == LONGEST_WAY:
                continue
            for action, target in self._edges.get(page, {}).items():
                if target not in ways:
                    step_cost = GOTO_COST if action.startswith("goto(") else 1
                    heapq.heappush(queue, (cost + step_cost, (*actions, action), target))
        return ways


def _edges(trajectories: Iterable[Trajectory]) -> dict[str, dict[str, str]]:
    """{place: {action: the place it most often led to}}; under "" the addresses, which can be opened from anywhere."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for trajectory in trajectories:
        for source, action, target in _moves_between_places(trajectory):
            counts[source, action][target] += 1
            if action.startswith("goto("):
                counts["", action][target] += 1
    edges: dict[str, dict[str, str]] = defaultdict(dict)
    for (source, action), targets in counts.items():
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
    """Examples worth composing, ordered by id, without two of the same instruction and the same moves."""
    parts: dict[tuple[str, tuple[Move, ...]], Part] = {}
    for example in sorted(examples, key=lambda example: example.id):
        verified = example.kept and TIERS.index(example.tier) >= TIERS.index(tier)
        # the instruction of a summary describes every step, and would not describe those of the way
        if not verified or example.kind not in ("abstract", "forward"):
            continue
        part = Part(example, trajectories[example.trajectory])
        if part.changes or part.start != part.end:
            parts.setdefault((example.instruction.casefold(), part.moves), part)
    return list(parts.values())


def _arrival(trajectory: Trajectory, start: int) -> int:
    """The step at which the page was reached; clicks since then may have opened what the example uses."""
    observations, actions = trajectory.observations, trajectory.actions
    while start > 0:
        before, after, action = observations[start - 1], observations[start], actions[start - 1]
        opened = action.kind == "click" and not after.error and observation_key(before) != observation_key(after)
        if not opened or place(before) != place(after) or before.digest != after.digest:
            break
        start -= 1
    return start


def _move(trajectory: Trajectory, at: int) -> Move:
    before, after = trajectory.observations[at], trajectory.observations[at + 1]
    step = trajectory.steps[at]
    return Move(action=step.action.grounded, reason=step.reason, changes=before.digest != after.digest)


def _extensions(parts: Sequence[Part], ways: Ways, rng: random.Random) -> list[Composed]:
    """Parts that begin elsewhere, after the way there from the start page; those that change the state come first."""
    order = sorted(parts, key=lambda part: (not part.changes, rng.random()))
    extended = []
    for part in order:
        way = ways.to(part.start)
        if way:
            extended.append(_composed(part.example.instruction, way, part))
    return extended


def _joins(parts: Sequence[Part], ways: Ways, limit: int, rng: random.Random) -> list[Composed]:
    """Pairs of parts that change the state, where the second begins on the page on which the first ends."""
    changing = [part for part in parts if part.changes and ways.to(part.start) is not None]
    starting: dict[str, list[Part]] = defaultdict(list)
    for part in changing:
        starting[part.start].append(part)
    # there may be millions of pairs, so they are numbered and not listed
    totals = list(accumulate(len(starting[first.end]) for first in changing))
    total = totals[-1] if totals else 0
    joins: list[Composed] = []
    for number in rng.sample(range(total), min(total, 4 * limit)):
        at = bisect_right(totals, number)
        first = changing[at]
        second = starting[first.end][number - totals[at]]  # counted from the end
        if len(joins) < limit and _joinable(first, second):
            joins.append(_composed(_then(first, second), ways.to(first.start) or (), first, second))
    return joins


def _joinable(first: Part, second: Part) -> bool:
    """Not two of one trajectory, which has a span of both already, and not the same instruction twice."""
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
    """Both instructions as one: "Open lamp 3. Then close it"."""
    first_text, second_text = first.example.instruction.strip(), second.example.instruction.strip()
    verb, blank, rest = second_text.partition(" ")
    second_text = (verb.lower() if verb.istitle() and verb.isalpha() else verb) + blank + rest
    return f"{first_text.rstrip('.')}. Then {second_text}"
