"""What a plug-in must do to be an environment, a model, an agent or a filter.

Whoever meets a protocol is a plug-in and lives in one file of the folder with the protocol's name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, get_args, runtime_checkable

from lbi.records import (
    Action,
    Check,
    Document,
    Example,
    Left,
    Observation,
    Record,
    Skill,
    Step,
    Task,
    Trajectory,
    Usage,
    Verdict,
)

Json = dict[str, Any]
Role = Literal["propose", "act", "query", "abstract", "summarise", "judge", "reflect", "value", "skill"]
#: the parts of a run that ask a model, as a config names them
Part = Literal["propose", "act", "query", "label", "judge"]
PARTS_OF_A_RUN: tuple[Part, ...] = get_args(Part)
#: tokens that an image is taken to have where nothing is known of how its provider counts them
IMAGE_TOKENS = 1500


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
    ``close`` twice is harmless. An environment may also have what ``Submits``, ``Foresees``, ``KeepsStates`` or
    ``ReportsLoss`` tell of.
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
class NeedsPackages(Protocol):
    """A benchmark's plug-in whose tasks start programs that have to be installed."""

    def packages(self) -> list[str]:
        """Those of them that are not, by the names of Debian's packages."""
        ...


class Foreseen(Record):
    """An action before it is carried out, and why it may change something; "" = it only looks."""

    action: Action
    changes: str = ""


@runtime_checkable
class Foresees(Protocol):
    """An environment that tells of an action, before it is carried out, whether it may change something.

    Of an environment without this, everything but ``finish`` may.
    """

    async def foresee(self, action: str) -> Foreseen:
        """Carries nothing out. What cannot be read, or cannot be done on this page, changes nothing."""
        ...


@runtime_checkable
class KeepsStates(Protocol):
    """An environment that can go back to a state of the episode without a reset and all actions until then.

    Everything that an agent can see or do must be as it was; what a page holds unsaved is a part of that.
    """

    async def keep_state(self) -> str:
        """A name to go back to the present state by; "" where it cannot be kept."""
        ...

    async def return_to(self, state: str) -> Observation:
        """What is seen in that state. Processes in the background end."""
        ...

    async def drop_state(self, state: str) -> None:
        """Whoever kept a state drops it when no more is done with it, at the latest at the end of the episode."""
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
    """What the workers share (a browser, an application's pristine state). ``open`` is called once for each worker."""

    name: str
    restores: bool
    """Whether every episode begins with the same state. Without that, replaying an episode proves nothing."""
    timeouts: CallTimeouts
    """How long each call may take: ``CallTimeouts()``, unless some take longer by nature."""

    async def open(self) -> Environment: ...

    async def close(self) -> None: ...


@runtime_checkable
class NeedsRoom(Protocol):
    """Environments that may have to wait until one can be opened, as the machines that they run on are full or gone."""

    async def room(self) -> None:
        """Return once one more can be opened at once, or no longer makes sense to wait for."""
        ...


@runtime_checkable
class Versioned(Protocol):
    """Environments that know which version of the application they run."""

    version: str
    """Another one whenever what is run may be another; "" = it cannot be told, as of a site that others run."""


@runtime_checkable
class OfSeveral(Protocol):
    """Environments of several applications or repositories, one for each task."""

    several: bool
    """Whether what is seen in the episode of one task says nothing about that of another."""


@runtime_checkable
class ReadsChecks(Protocol):
    """Environments that know before any episode what a check names and is not there."""

    async def mistakes(self, check: Check) -> list[str]:
        """A line for each, such as "check.sql: no such table: itms"; none where nothing can be told."""
        ...


class Shown(Record):
    """An example as the agent is shown it: the trajectory it spans, and the observation index that matched."""

    example: Example
    trajectory: Trajectory
    at: int  # index of the matched observation, start <= at <= end
    why: Literal["observation", "query", "content"]
    adds: bool = True  # whether it says something of the request that those before it do not


class LookUp(Record):
    """Where in an episode examples were looked up, and the best of those that were found."""

    step: int  # number of steps that had been taken
    found: tuple[Shown, ...]


class Fields(Record):
    """The typed content of a request. Language models read the messages rendered from it, the offline model reads this.

    Used per role: propose = document, count, actions, and map, instructions and operations where something is known
    of the application. act = task, history, observation, actions, examples, look_ups, documents, skills, offered,
    stopped. query = task, history, observation. value = task, history, observation. reflect = task, trajectory, start,
    end, verdict, lessons. abstract, summarise = trajectory, start, end, and spans where several within these are
    labelled at once. judge = trajectory, start, end, instruction. skill = examples, instruction (a draft), count.
    """

    task: Task | None = None
    document: Document | None = None
    count: int = 0
    actions: str = ""
    history: tuple[Step, ...] = ()
    observation: Observation | None = None
    examples: tuple[Shown, ...] = ()
    look_ups: tuple[
        LookUp, ...
    ] = ()  # of the episode so far, as the prompt shows them; none = one that found ``examples``
    documents: tuple[Document, ...] = ()
    skills: tuple[Skill, ...] = ()
    offered: tuple[str, ...] = ()  # calls of examples that can be carried out whole, each with what it does
    stopped: tuple[str, ...] = ()  # why such a call went no further, and its other steps as the example has them
    trajectory: Trajectory | None = None
    start: int = 0
    end: int = 0
    spans: tuple[tuple[int, int], ...] = ()
    instruction: str = ""
    verdict: str = ""  # why a trial was judged to have failed
    lessons: tuple[str, ...] = ()  # that an agent drew from earlier trials at the same task
    map: str = ""  # of the application: its pages, and what is on them
    instructions: tuple[str, ...] = ()  # of tasks that earlier rounds proposed
    operations: tuple[str, ...] = ()  # that roll-outs of earlier rounds carried out

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
    left: tuple[Left, ...] = ()  # of the provider's rate limits; read by the throttle, stored nowhere


@runtime_checkable
class Batches(Protocol):
    """A provider's interface for calls that can wait: many are sent together, at a share of the price.

    Every method raises ModelBusy (try again) or ModelError (for good). Names of calls are at most 64 characters of
    a-z, 0-9 and "-", and no two of a batch are alike.
    """

    share: float  # of the usual price that a call costs
    most: int  # calls in one batch

    async def submit(self, calls: Sequence[tuple[str, Request]], mark: str) -> str:
        """Send a batch of named calls, and return its name at the provider. ``mark`` is for ``find``."""
        ...

    async def find(self, mark: str, calls: int, since: float, known: Collection[str]) -> str:
        """Find a batch whose name got lost on the way here; "" where the provider has none such.

        It was sent with this mark, has this number of calls, was created at or after ``since`` (Unix time, in
        seconds), and is none of those that are ``known`` by name.
        """
        ...

    async def fetch(self, batch: str) -> dict[str, Any] | None:
        """What became of each call of a batch, by the call's name; None while the batch is in work.

        Calls may be missing from it.
        """
        ...

    def read(self, row: Any, request: Request) -> Reply:
        """The reply in one of the values that ``fetch`` returned. Raises ModelBusy for a call not carried out."""
        ...


class PromptLimits(Record):
    """What a prompt may hold. Lengths are in characters; four are about one token."""

    knowledge: int = 24_000  # examples and documents together; the lowest ranked go first
    examples: int = 800  # the examples of one look-up; those of the last three are shown
    example: int = 500  # one example, unless its steps take more
    history: int = 16_000  # outputs of earlier commands; the oldest are named only. Of pages, only changes are told
    observation: int = 24_000  # the current page
    labelled: int = 6_000  # each page of a trajectory that is labelled or judged
    differences: bool = True  # of such a page that resembles an earlier one, only what changed
    document: int = 24_000  # the section that tasks are proposed from
    map: int = 6_000  # the map of the application that is shown beside it
    covered: int = 3_000  # what earlier rounds proposed, and what was carried out; each
    images: tuple[Part, ...] = PARTS_OF_A_RUN  # which parts are shown the screenshots that observations have
    image_side: int = 1280  # pixels of a screenshot's longer side, as it is sent
    structured: tuple[Part, ...] | None = ()  # which parts reply by lbi.models.schemas; None = the provider decides


def usual_image_tokens(image: str) -> int:
    """For a model that does not say how it counts images."""
    return IMAGE_TOKENS


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a model before it is asked anything."""

    free: bool = False  # needs no key and costs no money: its calls are not cached and count against no budget
    unpaid: bool = False  # costs no money either, but its calls are kept, tried again and counted like any other's
    endpoint: str = ""  # address of its server; empty = the provider's own
    limits: PromptLimits = field(default_factory=PromptLimits)  # how its prompts are rendered
    image_tokens: Callable[[str], int] = usual_image_tokens  # an image's hash -> about how many tokens are billed
    batches: Batches | None = None  # the provider's batch interface, where it has one
    language_model: bool = True  # False = a program that follows its own rules and reads the request's fields


@runtime_checkable
class Model(Protocol):
    """Answers requests. Raises ModelBusy (try again) or ModelError (for good); never returns text it made up."""

    name: str  # ``provider:name``
    info: ModelInfo

    async def complete(self, request: Request) -> Reply: ...

    async def close(self) -> None: ...


@runtime_checkable
class Prepares(Protocol):
    """A model that has much to do before it can be asked, which no call should have to wait for."""

    async def prepare(self, say: Callable[[str], None]) -> None:
        """Harmless when done before. ``say`` is told what takes long. Raises ModelUnavailable."""
        ...


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


@dataclass(frozen=True)
class Allowance:
    """What an episode may spend, as much as another one took: tokens, or calls where its model counted no tokens."""

    amount: int
    of_calls: bool = False

    @classmethod
    def of(cls, usage: Usage) -> Allowance:
        tokens = usage.input_tokens + usage.output_tokens
        return cls(tokens) if tokens else cls(usage.calls, of_calls=True)

    def spent(self, usage: Usage) -> int:
        return usage.calls if self.of_calls else usage.input_tokens + usage.output_tokens

    def has_room(self, spent: float, next_one: float) -> bool:
        """Whether to begin what will take ``next_one``. What comes in wholes is rounded, so that means are equal."""
        return spent + next_one / 2 < self.amount


@dataclass(frozen=True)
class Episode:
    """One attempt at a task, for an agent that plays it itself."""

    environment: Environment
    task: Task
    step_limit: int
    attempt: int
    trial: Callable[[Agent], Awaitable[Trajectory]]
    """Resets the environment and lets another agent attempt the task, as any agent's episode goes."""
    allowance: Allowance | None = None
    """What may be spent, in place of the agent's own number of trials; for agents that heed it."""


@runtime_checkable
class PlaysEpisodes(Protocol):
    """An agent that begins again within an episode: with several trials, or a search.

    It leaves the environment as the steps of its trajectory leave it, since that is what is scored, and counts all else
    that it asked a model for in ``Trajectory.beside``. Failures are those of ``lbi.rollouts.loop.rollout``.
    """

    async def play(self, episode: Episode) -> Trajectory: ...


@runtime_checkable
class HeedsAllowance(Protocol):
    """The plug-in of an agent that plays episodes itself and spends what ``Episode.allowance`` says."""

    HEEDS_ALLOWANCE: bool


@runtime_checkable
class CountsCalls(Protocol):
    """The plug-in of an agent that asks its model otherwise than once a step, so that a run's cost can be foretold."""

    def most_calls(self, step_limit: int) -> Mapping[Role, int]:
        """How often it asks in each role, in one episode, at most."""
        ...


@runtime_checkable
class Learner(Protocol):
    """An agent that learns between rounds of roll-outs, and within none: who finishes first changes nothing.

    ``prepare`` is told the tasks of a round before it, ``learn`` its trajectories after it, in the order of the tasks.
    """

    def prepare(self, tasks: Sequence[Task]) -> None: ...

    def learn(self, trajectories: Iterable[Trajectory]) -> None: ...


class CheckedTask(Record):
    """What was found when a task of a benchmark was tried before anybody pays for it."""

    task: str
    gold: float | None = None  # score of its gold or oracle solution; None = there is none, or it could not be tried
    nothing: float | None = None  # score of doing nothing
    faulty: str = ""  # a known fault of the benchmark in this task, so that its scores tell little
    not_runnable: str = ""  # what is lacking here to run it; it has no score then, which is not a score of 0
    problem: str = ""  # what is wrong, in words

    @property
    def passed(self) -> bool:
        """Whether the task is as it should be, or is known not to be."""
        return bool(self.faulty or self.not_runnable) or not self.problem


@runtime_checkable
class BenchmarkPlugIn(Protocol):
    """A package or entry point that brings held-out tasks: ``NAME`` or ``NAME:SELECTION`` in a config.

    One that brings its own environment, too, is also what ``lbi.environments.EnvironmentPlugIn`` describes; the config
    then has its name as ``environment``. It may also be any of the protocols below.
    """

    def load(self, selection: str = "", checkout: str = "") -> Any:
        """Its ``lbi.evaluation.benchmark.Benchmark``. ``checkout`` is a file or folder of what it does not bring.

        Raises UserError for a selection that there is not, and for what is not installed.
        """
        ...


@runtime_checkable
class Configures(Protocol):
    """A benchmark that ``lbi run NAME:SELECTION`` runs without a config file."""

    def config(self, selection: str, checkout: str) -> Json:
        """What such a file would say, but for ``benchmark`` and ``checkout``."""
        ...


@runtime_checkable
class HasSolutions(Protocol):
    """A benchmark whose solutions look at the page; those of others are the ``gold`` of their tasks."""

    def solver(self, task: Task, checkout: str = "") -> Agent | None:
        """Who solves the task by the environment's own actions; None where nobody can, or nobody has shown it."""
        ...


@runtime_checkable
class ChecksItself(Protocol):
    """A benchmark that is proved without its environment, as its sites are not here."""

    async def check(self, tasks: Sequence[Task], checkout: str) -> list[CheckedTask]: ...


class GradedTask(Record):
    """One task of results that were handed in, in a benchmark's own format."""

    task: str
    category: str = ""
    score: float | None = None  # None = there is none, which is not a score of 0
    reason: str = ""  # why there is none


@runtime_checkable
class GradesResults(Protocol):
    """A benchmark that reads the results that its own runner leaves."""

    def grade(self, results: Path, checkout: str) -> list[GradedTask]:
        """With a ``checkout``, tasks that have no result are among them. Raises UserError for what are no results."""
        ...


@runtime_checkable
class Filter(Protocol):
    """Says of an example whether it is kept, and why not."""

    name: str

    async def judge(self, example: Example, trajectory: Trajectory) -> Verdict: ...
