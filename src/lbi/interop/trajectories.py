"""Events of a trace -> trajectories, one for each instruction: what was seen, done and seen then, step by step.

Where a trace is a tree, a step follows from its parent and not from the line before it. Infrastructure that failed
teaches nothing: a call that it prevented is left out, and so is an attempt that ended with it. Both are counted.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from lbi.interop import events as said
from lbi.interop.actions import action_of, finish, may_change
from lbi.interop.events import Event
from lbi.interop.outages import outage_in
from lbi.interop.texts import shorter, text_of, within, without_middle
from lbi.records import Action, Observation, Step, StopReason, Task, Trajectory, Usage, digest_of

LONGEST_ASKED = 8_000
LONGEST_REASON = 2_000
LONGEST_TYPE = 80
MOST_STEPS = 100  # of one trajectory; a longer attempt becomes several
KEPT_PLACES = 200_000  # nodes of a tree that can be gone back to; of older ones the place is forgotten
KEPT_SEEN = 1_000  # observations that are kept for that, those of whole attempts; always those of the last one

_THINKING = frozenset({"think", "sequentialthinking"})  # tools to write a thought down


@dataclass
class Counts:
    """What became of one trace."""

    trajectories: int = 0
    steps: int = 0
    instructions: int = 0
    unknown: Counter[str] = field(default_factory=Counter)  # by type
    left_out: Counter[str] = field(default_factory=Counter)  # by what it was
    outages: Counter[str] = field(default_factory=Counter)  # attempts and calls that infrastructure prevented, by kind
    lengths: Counter[int] = field(default_factory=Counter)  # steps of the trajectories

    def add(self, other: Counts) -> None:
        self.trajectories += other.trajectories
        self.steps += other.steps
        self.instructions += other.instructions
        self.unknown += other.unknown
        self.left_out += other.left_out
        self.outages += other.outages
        self.lengths += other.lengths


@dataclass
class _Call:
    """A call that waits for its result."""

    action: Action
    reason: str
    reply: str
    result: said.Returned | None = None


class _Attempt:
    """What follows one instruction, while it is read."""

    def __init__(self, asked: str, number: int, first: Observation, session: said.Session) -> None:
        self.asked, self.number, self.session = asked, number, session
        self.steps: list[Step] = []
        self.seen = first
        self.part = 0
        self.calls: OrderedDict[str, _Call] = OrderedDict()
        self.words: list[str] = []
        self.thoughts: list[str] = []
        self.replies: list[str] = []  # of each step
        self.usages: dict[str, Usage] = {}
        self.changes = 0
        self.outage = ""
        self.ended: said.Ended | None = None

    def reason(self) -> str:
        """Why the next call is made, as far as it was said since the last one; then it is forgotten."""
        told = " ".join(self.words) or " ".join(self.thoughts)
        self.words.clear()
        self.thoughts.clear()
        return shorter(told.strip(), LONGEST_REASON)


#: is told of what is not understood, as it comes
Unread = Callable[[said.Unknown], object]


def ignored(event: said.Unknown) -> None:
    """For those who only count."""


class Trajectories:
    """Reads the events of one trace. ``counts`` says what became of them."""

    def __init__(self, environment: str, also: frozenset[str] = frozenset(), unread: Unread = ignored) -> None:
        """``also``: of "headless" and "sub-agent" those whose sessions are taken, too."""
        self.counts = Counts()
        self._environment, self._also = environment, also
        self._session = said.Session("", "unknown")
        self._attempt: _Attempt | None = None
        self._number = 0
        self._places: OrderedDict[str, tuple[int, int]] = OrderedDict()  # node: (attempt, steps before it)
        self._seen: OrderedDict[int, list[Observation]] = OrderedDict()  # attempt: what was seen in it
        self._answered: set[str] = set()
        self._thought: set[str] = set()  # calls that only told a thought
        self._unread = unread

    def read(self, events: Iterable[Event]) -> Iterator[Trajectory]:
        """The trajectories, each as soon as it is whole."""
        for event in events:
            yield from self._read(event)
            self._place(event)
        yield from self._close()

    def _read(self, event: Event) -> Iterator[Trajectory]:
        if isinstance(event, said.Session):
            yield from self._close()
            self._session, self._number = event, 0
            self._answered.clear()
            self._places.clear()
            self._seen.clear()
        elif isinstance(event, said.Left):
            self.counts.left_out[event.what] += event.count
        elif isinstance(event, said.Unknown):
            self.counts.unknown[event.type[:LONGEST_TYPE] or "unnamed"] += 1
            self._unread(event)
        elif self._session.by != "user" and self._session.by not in self._also:
            if isinstance(event, said.Asked | said.Called):
                self.counts.left_out[f"{self._session.by} session: {type(event).__name__.lower()}"] += 1
        elif isinstance(event, said.Asked):
            first = self._at(event.parent)
            yield from self._close()
            self._ask(event, first)
        else:
            yield from self._happened(event)

    def _ask(self, event: said.Asked, first: Observation | None) -> None:
        self.counts.instructions += 1
        self._number += 1
        # only people and benchmarks ask for what is wanted; what a program or another agent wrote is no user's task
        asked = shorter(event.text.strip(), LONGEST_ASKED) if self._session.by == "user" else ""
        seen = event.page or first or self._last_seen(event) or self._start()
        self._attempt = _Attempt(asked, self._number, seen.model_copy(update={"error": ""}), self._session)

    def _last_seen(self, event: said.Asked) -> Observation | None:
        """What the attempt before ended with; where a trace is a tree, only its parent's counts."""
        return None if event.parent or not self._seen else next(reversed(self._seen.values()))[-1]

    def _start(self) -> Observation:
        folder = self._session.folder
        return Observation(text=f"Folder: {folder}" if folder else "", digest=self._token(0, 0))

    def _token(self, number: int, changes: int) -> str:
        """Stands for a state: the same one means that nothing but looking happened in between."""
        return digest_of([self._session.id, self._session.agent, number, changes])

    def _happened(self, event: Event) -> Iterator[Trajectory]:
        attempt = self._attempt
        if attempt is None:
            if isinstance(event, said.Called):
                self.counts.left_out["call before any instruction"] += 1
            return
        if self._leaves(attempt, event):
            yield from self._fork(attempt, event)
            attempt = self._attempt or attempt
        if isinstance(event, said.Said):
            attempt.words.append(event.text)
        elif isinstance(event, said.Thought):
            attempt.thoughts.append(event.text)
        elif isinstance(event, said.Called):
            yield from self._called(attempt, event)
        elif isinstance(event, said.Returned):
            self._returned(attempt, event)
        elif isinstance(event, said.Spent):
            attempt.usages[event.reply] = event.usage
        elif isinstance(event, said.Outage):
            attempt.outage = event.kind
            attempt.words.clear()
        elif isinstance(event, said.Ended):
            attempt.ended = event

    def _called(self, attempt: _Attempt, event: said.Called) -> Iterator[Trajectory]:
        if event.call in attempt.calls or event.call in self._answered:
            self.counts.left_out["call that was told before"] += 1
            return
        attempt.outage = ""  # the provider answered again
        if event.name.lower() in _THINKING:
            attempt.thoughts.append(text_of(event.arguments))
            self._thought.add(event.call)
            return
        action = event.action or action_of(event.name, within(event.arguments, self._session.folder))
        attempt.calls[event.call] = _Call(action, attempt.reason(), event.reply)
        if len(attempt.steps) >= MOST_STEPS and len(attempt.calls) == 1:
            yield from self._cut(attempt)

    def _returned(self, attempt: _Attempt, event: said.Returned) -> None:
        if event.call in self._thought:
            self._thought.discard(event.call)
            return
        call = attempt.calls.get(event.call)
        if call is None or call.result is not None:
            again = event.call in self._answered or call is not None
            self.counts.left_out["second result of a call" if again else "result without its call"] += 1
            return
        call.result = event
        while attempt.calls and (first := next(iter(attempt.calls.values()))).result is not None:
            name, _ = attempt.calls.popitem(last=False)
            self._answered.add(name)
            self._step(attempt, first)

    def _step(self, attempt: _Attempt, call: _Call) -> None:
        result = call.result
        if result is None:
            return
        if outage := result.outage or (outage_in(result.text) if result.failed else ""):
            self.counts.outages[f"call: {outage}"] += 1
            return
        attempt.steps.append(Step(observation=attempt.seen, reason=call.reason, action=call.action))
        attempt.replies.append(call.reply)
        attempt.changes += may_change(call.action) and not result.failed
        attempt.seen = self._observed(attempt, result)

    def _observed(self, attempt: _Attempt, result: said.Returned) -> Observation:
        text = result.page.text if result.page else result.text
        if result.exit_code is not None:
            text = f"Exit code: {result.exit_code}\n{text}".rstrip()
        error = shorter(" ".join(result.text.split()), 500) or "it failed" if result.failed else ""
        if result.page is not None:  # pages tell for themselves whether they changed
            return result.page.model_copy(update={"text": text, "error": result.page.error or error})
        token = self._token(attempt.number, attempt.changes)
        return Observation(text=without_middle(text), error=error, digest=token)

    # trees

    def _leaves(self, attempt: _Attempt, event: Event) -> bool:
        """Whether the agent went on from another place than the last one."""
        if not event.parent or not isinstance(event, said.Called | said.Said | said.Thought):
            return False
        if event.node in self._places:  # one more call of the same line
            return False
        place = self._places.get(event.parent)
        return place is not None and (place[0] != attempt.number or place[1] < len(attempt.steps) + len(attempt.calls))

    def _fork(self, attempt: _Attempt, event: Event) -> Iterator[Trajectory]:
        """What was done after that place is a trajectory of its own; what follows begins with what was seen there."""
        if self._places[event.parent] == (attempt.number, len(attempt.steps)):
            self._without_results(attempt)  # the same step was begun anew
            return
        seen = self._at(event.parent)
        yield from self._close()
        self._number += 1
        self._attempt = _Attempt("", self._number, seen or self._start(), self._session)

    def _at(self, node: str) -> Observation | None:
        """What was seen at a place; None if it is not known."""
        number, steps = self._places.get(node, (-1, 0))
        attempt = self._attempt
        if attempt is not None and number == attempt.number:
            return attempt.steps[steps].observation if steps < len(attempt.steps) else attempt.seen
        seen = self._seen.get(number)
        return seen[min(steps, len(seen) - 1)] if seen else None

    def _without_results(self, attempt: _Attempt) -> None:
        self.counts.left_out["call without a result"] += len(attempt.calls)
        self._answered.update(attempt.calls)
        attempt.calls.clear()

    def _place(self, event: Event) -> None:
        """Where a node is: after the steps so far, and those that wait for their results."""
        if event.node and self._attempt is not None:
            self._places[event.node] = (self._attempt.number, len(self._attempt.steps) + len(self._attempt.calls))
            if len(self._places) > KEPT_PLACES:
                self._places.popitem(last=False)

    # ends

    def _cut(self, attempt: _Attempt) -> Iterator[Trajectory]:
        """A part of a long attempt; what follows goes on from there."""
        waiting = OrderedDict(attempt.calls)
        attempt.calls.clear()
        yield from self._whole(attempt, "step_limit", "")
        attempt.steps, attempt.replies, attempt.calls = [], [], waiting
        attempt.part += 1

    def _close(self) -> Iterator[Trajectory]:
        attempt, self._attempt = self._attempt, None
        if attempt is None:
            return
        for name in [name for name, call in attempt.calls.items() if call.result is not None]:
            self._step(attempt, attempt.calls.pop(name))
        self._without_results(attempt)
        self._keep_seen(attempt)
        if attempt.outage:
            self.counts.outages[f"attempt: {attempt.outage}"] += 1
            self.counts.left_out["step of an attempt that infrastructure ended"] += len(attempt.steps)
            return
        answer = attempt.ended.answer if attempt.ended and attempt.ended.answer else " ".join(attempt.words).strip()
        done = attempt.ended.done if attempt.ended else bool(answer)
        yield from self._whole(attempt, "done" if done else "stopped", shorter(answer, LONGEST_REASON) if done else "")

    def _keep_seen(self, attempt: _Attempt) -> None:
        self._seen[attempt.number] = [*(step.observation for step in attempt.steps), attempt.seen]
        while len(self._seen) > 1 and sum(map(len, self._seen.values())) > KEPT_SEEN:
            self._seen.popitem(last=False)

    def _whole(self, attempt: _Attempt, stop: StopReason, answer: str) -> Iterator[Trajectory]:
        if not attempt.steps:
            self.counts.left_out["instruction that was answered without a step"] += 1
            return
        steps = self._with_usage(attempt)
        if stop == "done":
            steps.append(Step(observation=attempt.seen, action=finish(answer)))
        name = f"{attempt.session.id or attempt.session.agent}/{attempt.number}"
        task = Task(
            instruction=attempt.asked if not attempt.part else "",
            environment=self._environment,
            name=f"{name}/{attempt.part}" if attempt.part else name,
            category=attempt.session.by,
        )
        agent = " ".join(filter(None, (attempt.session.agent, attempt.session.version)))
        self.counts.trajectories += 1
        self.counts.steps += len(attempt.steps)
        self.counts.lengths[len(attempt.steps)] += 1
        yield Trajectory(task=task, agent=agent, steps=tuple(steps), last=attempt.seen, stop=stop, answer=answer)

    def _with_usage(self, attempt: _Attempt) -> list[Step]:
        """The steps; what a reply cost is told with its first one."""
        steps = list(attempt.steps)
        for at, reply in enumerate(attempt.replies):
            if (usage := attempt.usages.pop(reply, None)) is not None:
                steps[at] = steps[at].model_copy(update={"usage": usage})
        return steps
