"""What a plug-in must do to be an environment, a model, an agent or a filter.

Whoever meets a protocol is a plug-in and lives in one file of the folder with the protocol's name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from lbi.records import Action, Document, Example, Left, Observation, Record, Step, Task, Trajectory, Usage, Verdict

Role = Literal["propose", "act", "query", "abstract", "summarise", "judge"]


class Outcome(Record):
    """What one action led to: the action in grounded form, and what is seen now."""

    action: Action
    observation: Observation
    done: bool = False  # the action was finish(...)
    answer: str = ""


@runtime_checkable
class Environment(Protocol):
    """One episode at a time, on a backend of its own.

    ``reset`` puts the *backend* back to its pristine state, not only the client. ``step`` never raises for a nonsense
    action: that is an observation with ``error`` set. It raises EnvironmentFailure when the infrastructure broke.
    ``close`` twice is harmless.
    """

    name: str
    actions: str  # the actions there are, in words for the model

    async def reset(self, task: Task) -> Observation: ...

    async def step(self, action: str) -> Outcome: ...

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        """Score the task's check on the open environment: (0..1, reason). Raises ScoreError if it cannot."""
        ...

    async def close(self) -> None: ...


@runtime_checkable
class Submits(Protocol):
    """An environment whose episodes hand in more than an answer. Kept with the result, never scored as it stands."""

    async def submission(self) -> str:
        """What the episode hands in, such as a patch; "" where there is nothing to hand in."""
        ...


@runtime_checkable
class ReportsLoss(Protocol):
    """An environment that notices when the program it runs on (a browser, say) has ended."""

    async def lost(self) -> None:
        """Return once that program has ended; until then, wait. A call that is under way may never return by itself."""
        ...


@dataclass(frozen=True)
class CallTimeouts:
    """Seconds that each call of an environment may take before it counts as a failure of the infrastructure.

    The defaults are far above what is usual, also on a busy machine. ``open`` includes installing the application.
    """

    open: float = 1800.0
    reset: float = 120.0
    step: float = 90.0
    score: float = 60.0
    close: float = 30.0
    lost: float = 15.0
    """What is left of a call once the environment has reported that what it runs on is gone (ReportsLoss)."""


@runtime_checkable
class Environments(Protocol):
    """What the workers share (a browser, an application's pristine state); opens one environment per worker."""

    name: str
    restores: bool
    """Whether every episode begins with the same state. Without that, replaying an episode proves nothing."""
    timeouts: CallTimeouts

    async def open(self) -> Environment: ...

    async def close(self) -> None: ...


class Shown(Record):
    """An example as the agent is shown it: the trajectory it spans, and the observation index that matched."""

    example: Example
    trajectory: Trajectory
    at: int  # index of the matched observation, start <= at <= end
    why: Literal["observation", "query", "content"]


class Fields(Record):
    """The typed content of a request. Language models read the messages rendered from it, the offline model reads this.

    Used per role: propose = document, count, actions. act = task, history, observation, actions, examples, documents.
    query = task, history, observation. abstract, summarise = trajectory, start, end, and spans where several within
    these are labelled at once. judge = trajectory, start, end, instruction.
    """

    task: Task | None = None
    document: Document | None = None
    count: int = 0
    actions: str = ""
    history: tuple[Step, ...] = ()
    observation: Observation | None = None
    examples: tuple[Shown, ...] = ()
    documents: tuple[Document, ...] = ()
    trajectory: Trajectory | None = None
    start: int = 0
    end: int = 0
    spans: tuple[tuple[int, int], ...] = ()
    instruction: str = ""

    @property
    def span_names(self) -> tuple[str, ...]:
        """The spans by the numbers of the pages as they are shown: the first one shown is page 0."""
        return tuple(f"{first - self.start}-{last - self.start}" for first, last in self.spans)


class Message(Record):
    """One turn of a conversation. ``images`` are hashes of PNGs in the run's blobs."""

    role: Literal["system", "user", "assistant"]
    content: str
    images: tuple[str, ...] = ()


class Request(Record):
    """One question to a model. ``sample`` tells apart several samples of one prompt and is part of the cache key."""

    role: Role
    fields: Fields
    extra: tuple[Message, ...] = ()  # turns after the rendered prompt: a malformed reply and the parse error
    sample: int = 0
    temperature: float = 0.0
    max_tokens: int = 1024
    stage: str = ""  # for the meter: which stage asked
    reused: bool = True  # other requests begin like this one, so a provider's cache is worth what writing to it costs


class Reply(Record):
    """What came back, and what it cost."""

    text: str
    model: str
    usage: Usage = Usage()
    left: tuple[Left, ...] = ()  # of the provider's rate limits; read by the gate, stored nowhere


@runtime_checkable
class Batches(Protocol):
    """A provider's interface for calls that can wait: many in one file, at a share of the price.

    Every method raises ModelBusy (try again) or ModelError (for good). Names of calls are at most 64 characters of
    a-z, 0-9 and "-", and no two of a batch are alike.
    """

    share: float  # of the usual price that a call costs
    most: int  # calls in one batch

    async def submit(self, calls: Sequence[tuple[str, Request]], mark: str) -> str:
        """Send a batch of named calls, and return its name at the provider. ``mark`` is for ``find``."""
        ...

    async def find(self, mark: str, calls: int, since: float, known: Collection[str]) -> str:
        """The batch of so many calls that was sent with a mark at or after a time (Unix, in seconds), or "".

        For a batch whose name got lost on the way here; it is none of those that are ``known``.
        """
        ...

    async def fetch(self, batch: str) -> dict[str, Any] | None:
        """What became of the calls of a batch, by their names, or None while it is in work. It may lack some."""
        ...

    def read(self, row: Any, request: Request) -> Reply:
        """The reply in a part of what ``fetch`` returned. Raises ModelBusy for a call that was not carried out."""
        ...


@runtime_checkable
class Model(Protocol):
    """Answers requests. Raises ModelBusy (try again) or ModelError (for good); never returns text it made up."""

    name: str

    async def complete(self, request: Request) -> Reply: ...

    async def close(self) -> None: ...


class Decision(Record):
    """What an agent wants to do next."""

    action: str  # as the environment takes it: click(e12)
    reason: str = ""
    usage: Usage = Usage()
    examples: tuple[str, ...] = ()  # ids of those in the prompt


@runtime_checkable
class Agent(Protocol):
    """Decides one action at a time; keeps nothing between episodes."""

    name: str

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision: ...


@runtime_checkable
class Learner(Protocol):
    """An agent that learns between rounds of roll-outs, and within none: who finishes first changes nothing.

    ``prepare`` is told the tasks of a round before it, ``learn`` its trajectories after it, in the order of the tasks.
    """

    def prepare(self, tasks: Sequence[Task]) -> None: ...

    def learn(self, trajectories: Iterable[Trajectory]) -> None: ...


@runtime_checkable
class Filter(Protocol):
    """Says of an example whether it is kept, and why not."""

    name: str

    async def judge(self, example: Example, trajectory: Trajectory) -> Verdict: ...


Json = dict[str, Any]
