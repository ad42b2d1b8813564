"""The words of the pipeline as frozen records: Document -> Task -> Trajectory -> Example -> Result.

A record's ``id`` is the hash of what it says, and it carries the ids of its parents, so every example leads
back to its document, its roll-out and its label. No record holds a live object.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

StopReason = Literal["done", "step_limit", "budget", "model_failure", "environment_failure"]
Kind = Literal["abstract", "summary", "forward", "composed"]
Tier = Literal["unverified", "committee", "replayed", "checked"]
Fault = Literal["", "model", "environment", "harness"]
TIERS: tuple[Tier, ...] = ("unverified", "committee", "replayed", "checked")


def digest_of(value: Any) -> str:
    """64-bit content hash of anything JSON can say, as 16 hex digits."""
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.blake2b(canonical.encode(), digest_size=8).hexdigest()


def sound(text: str) -> str:
    """The text without halves of characters (lone surrogates), which neither a file nor a database nor a hash can hold.

    JSON and JavaScript can say them, so what comes from a model or a page goes through here where it enters.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Record(BaseModel):
    """Frozen, closed to unknown keys, and identified by its content."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    #: fields that say something *about* the record and are no part of its identity
    not_identity: ClassVar[frozenset[str]] = frozenset()

    @cached_property
    def id(self) -> str:
        return digest_of([type(self).__name__, self._identity()])

    def _identity(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude=set(self.not_identity))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other values, and without what was worked out from the old ones (its id, for one)."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied


class Document(Record):
    """One section of the documentation: what tasks are proposed from."""

    text: str
    source: str  # path or URL it was read from
    title: str = ""  # of the whole page or file
    headings: tuple[str, ...] = ()  # path of headings down to this section
    licence: str = ""
    date: str = ""  # ISO date or commit, where known


class Check(Record):
    """How a held-out task is scored; every condition that is given must hold."""

    answer: tuple[str, ...] = ()  # each must be contained in the answer (case, blanks and thousands commas folded)
    answer_not: tuple[str, ...] = ()  # none may be contained in it
    sql: str = ""  # one query on the application's database ...
    equals: str = ""  # ... whose first column, rows joined by newline, must equal this
    url: str = ""  # regular expression the final page's address must match
    shows: tuple[str, ...] = ()  # each must be readable on the final page
    command: tuple[str, ...] = ()  # must exit with 0; run in the application's state folder
    tests: tuple[str, ...] = ()  # of a repository: each must pass, and none that passed before may fail

    @model_serializer(mode="wrap")
    def _without_no_tests(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Only repositories have tests, and the id of any other task should not depend on saying so."""
        said: dict[str, Any] = handler(self)
        if not self.tests:
            said.pop("tests", None)
        return said


class Task(Record):
    """An instruction for one environment; with a check it is a benchmark's, without one it was proposed."""

    instruction: str
    environment: str
    document: str = ""  # id of the document it was proposed from
    quote: str = ""  # the span of the document it cites
    name: str = ""  # stable name in a benchmark
    category: str = ""
    level: int = 0  # difficulty 1..3; 0 = not rated
    check: Check | None = None
    gold: tuple[str, ...] = ()  # actions in grounded form that solve it
    start_url: str = ""  # where the episode begins; empty = the environment's own start page
    date: str = ""  # ISO date that it is of: nothing that is known only since may be shown; empty = no matter
    seen: bool = False  # somebody looked at how agents fail at it, and changed the method since

    @model_serializer(mode="wrap")
    def _without_the_usual(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Most tasks have no date and were not looked at, and their ids should not depend on saying so."""
        said: dict[str, Any] = handler(self)
        for field in ("date", "seen"):
            if not said.get(field):
                said.pop(field, None)
        return said


class Observation(Record):
    """What the model reads, where that was, and the digest of the state behind it."""

    text: str
    url: str = ""  # path on the site, without scheme and host
    title: str = ""
    digest: str = ""  # state digest of the backend ("" = the environment cannot tell)
    error: str = ""  # what went wrong with the action that led here, in words for the model
    image: str = ""  # hash of a PNG in the run's blobs


#: kinds of actions that point at what a page shows, and are written in another way to mean it on another day
POINTING = frozenset({"click", "fill", "select", "press", "goto", "back", "scroll", "finish"})


class Action(Record):
    """What the model wrote, and the grounded form, which still means something on another day."""

    text: str  # as written: click(e12)
    kind: str = ""  # click, fill, goto, ..., or run, view, ..., finish: the environment's; "" = could not be read
    role: str = ""  # of the element it hit: button
    name: str = ""  # of the element it hit: Create ticket; of a file, its path
    nth: int = 0  # which of the elements with this role and name
    value: str = ""  # text filled, option chosen, key pressed, address, command, answer

    @property
    def grounded(self) -> str:
        """The action in a form that can be replayed on another page load: click('button "Create ticket"').

        An environment whose actions point at nothing that comes and goes writes them in this form from the beginning.
        """
        if self.kind and self.kind not in POINTING:
            return self.text
        if self.kind in ("goto", "finish", "scroll") or (self.kind == "press" and not self.role):
            return f"{self.kind}({json.dumps(self.value, ensure_ascii=False)})"
        if self.kind == "back" or not self.kind:
            return f"{self.kind or self.text}()" if self.kind else self.text
        target = f"{self.role} {json.dumps(self.name, ensure_ascii=False)}" + (f" #{self.nth}" if self.nth else "")
        quoted = "'" + target.replace("\\", "\\\\").replace("'", "\\'") + "'"
        if self.kind == "click":
            return f"click({quoted})"
        return f"{self.kind}({quoted}, {json.dumps(self.value, ensure_ascii=False)})"


class Usage(Record):
    """Tokens, money and time of one or more model calls. ``cost`` is None where no price is known."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0  # part of input_tokens that the provider read from its cache
    written_tokens: int = 0  # part of input_tokens that the provider wrote to its cache, at a price of its own
    cost: float | None = 0.0  # US dollars
    seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        cost = None if self.cost is None or other.cost is None else self.cost + other.cost
        return Usage(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            written_tokens=self.written_tokens + other.written_tokens,
            cost=cost,
            seconds=self.seconds + other.seconds,
        )

    @model_serializer(mode="wrap")
    def _without_nothing_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Most calls write nothing to a cache, and a trajectory's id should not depend on saying so."""
        said: dict[str, Any] = handler(self)
        if not self.written_tokens:
            said.pop("written_tokens", None)
        return said


class Left(NamedTuple):
    """What a provider says is left of one rate limit, such as 3 of 50 requests for the next 40 seconds."""

    what: str  # requests, tokens, input tokens, output tokens
    limit: float | None
    remaining: float
    resets_in: float  # seconds until all of it is there again


class Sent(NamedTuple):
    """A batch of calls at a provider: its mark is ours, its name the provider's, "" until that has arrived."""

    mark: str
    name: str
    keys: list[str]  # of the calls
    created: float  # Unix time in seconds


class Step(Record):
    """One turn: what was seen, why, and what was done."""

    observation: Observation
    reason: str = ""
    action: Action
    usage: Usage = Usage()
    examples: tuple[str, ...] = ()  # ids of the examples that were in the prompt


class Trajectory(Record):
    """T = (o0, a1, o1, ..., an, on): n steps, and the last observation."""

    task: Task
    agent: str
    attempt: int = 0
    steps: tuple[Step, ...] = ()
    last: Observation
    stop: StopReason
    answer: str = ""
    error: str = ""  # of a failure of model or environment

    def _identity(self) -> dict[str, Any]:
        """What the steps took is no part of it: a call that is answered from the store costs nothing and no time."""
        said = super()._identity()
        for step in said["steps"]:
            step["usage"] = Usage().model_dump(mode="json")
        return said

    @cached_property
    def observations(self) -> tuple[Observation, ...]:
        """o0 ... on (n + 1 of them)."""
        return (*(step.observation for step in self.steps), self.last)

    @cached_property
    def actions(self) -> tuple[Action, ...]:
        """a1 ... an."""
        return tuple(step.action for step in self.steps)

    @property
    def usage(self) -> Usage:
        return sum((step.usage for step in self.steps), Usage())


class Vote(Record):
    """One committee member's four answers (paper, App. F) and its reason."""

    model: str
    aligned: bool
    coherent: bool
    natural: bool
    reasonable: bool
    reason: str = ""

    @property
    def accepts(self) -> bool:
        return self.aligned and self.coherent and self.natural and self.reasonable


class Verdict(Record):
    """What one filter said of one example; a dropped example keeps the reason."""

    filter: str
    keep: bool
    reason: str = ""
    votes: tuple[Vote, ...] = ()


class Example(Record):
    """An instruction and the span [start, end] of a trajectory that carries it out.

    The span is T' = (o_start, a_(start+1), ..., a_end, o_end), 0 <= start < end <= n.
    """

    not_identity: ClassVar[frozenset[str]] = frozenset({"verdicts", "tier"})

    kind: Kind
    instruction: str
    trajectory: str  # id
    start: int
    end: int
    document: str = ""  # lineage: the document its task came from
    parents: tuple[str, ...] = ()  # a composed example's parts
    verdicts: tuple[Verdict, ...] = ()
    tier: Tier = "unverified"

    @property
    def kept(self) -> bool:
        return all(verdict.keep for verdict in self.verdicts)


class UsedModel(Record):
    """A model that a run asked, as far as its report has to tell what it is."""

    name: str
    language_model: bool = True  # False = a program that follows its own rules


class Result(Record):
    """One task, one arm, one seed: the score, its price, and whose fault a failure was."""

    task: str  # the task's name in its benchmark, or its id
    category: str = ""
    level: int = 0
    arm: str
    seed: int
    score: float  # 0..1
    steps: int
    usage: Usage = Usage()
    stop: StopReason = "done"
    fault: Fault = ""  # environment or harness: excluded from the arm's rate and counted apart
    reason: str = ""
    trajectory: str = ""  # id
    submission: str = ""  # what was handed in besides the answer: the patch of a repository

    @model_serializer(mode="wrap")
    def _without_no_submission(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Only repositories have one."""
        said: dict[str, Any] = handler(self)
        if not self.submission:
            said.pop("submission", None)
        return said
