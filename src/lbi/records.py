"""The data of the pipeline as frozen records: Document -> Task -> Trajectory -> Example -> Result.

A record's ``id`` is the hash of its content, and it holds the ids of its parents, so every example leads back to its
document, its roll-out and its label. No record holds a live object.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

StopReason = Literal["done", "step_limit", "budget", "stopped", "model_failure", "environment_failure"]
Kind = Literal["abstract", "summary", "forward", "composed"]
Tier = Literal["unverified", "committee", "replayed", "checked"]
Fault = Literal["", "model", "environment", "harness"]
INFRASTRUCTURE: tuple[Fault, ...] = ("environment", "harness")  # faults of episodes that say nothing of the agent
#: from the least proved to the most; "checked" is for examples that a program of yours has proved: no filter gives it
TIERS: tuple[Tier, ...] = ("unverified", "committee", "replayed", "checked")


#: masks the secrets in a value; none are known at first
_masked: Callable[[Any], Any] | None = None


def keep_out_of_ids(masked: Callable[[Any], Any] | None) -> None:
    """What masks secrets (lbi.storage.secrets): no hash is made of one, so that none can be guessed from it."""
    global _masked
    _masked = masked


def digest_of(value: Any) -> str:
    """64-bit hash of a value that JSON can represent, without any secret in it, as 16 hex digits."""
    value = _masked(value) if _masked else value
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.blake2b(canonical.encode(), digest_size=8).hexdigest()


def sound(text: str) -> str:
    """The text with lone surrogates (halves of characters) replaced, as no file, database or hash can hold them.

    JSON and JavaScript strings can contain them, so texts of models and pages go through this function first.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Record(BaseModel):
    """Data that cannot be changed, takes no unknown keys, and is identified by its content."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    #: fields that are not part of the id
    not_identity: ClassVar[frozenset[str]] = frozenset()

    @cached_property
    def id(self) -> str:
        return digest_of([type(self).__name__, self._identity()])

    def _identity(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude=set(self.not_identity))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other values. Cached properties, such as the id, are computed anew."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied


class Document(Record):
    """One section of the documentation, from which tasks are proposed."""

    text: str
    source: str  # path or URL it was read from
    title: str = ""  # of the whole page or file
    headings: tuple[str, ...] = ()  # path of headings down to this section
    licence: str = ""
    date: str = ""  # ISO date or commit, where known
    start_url: str = ""  # where the tasks proposed from it begin; empty = the environment's own start page

    @model_serializer(mode="wrap")
    def _without_the_rare(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Left out if empty: ids of other documents are the same as before this field."""
        fields: dict[str, Any] = handler(self)
        if not fields.get("start_url"):
            fields.pop("start_url", None)
        return fields


class Check(Record):
    """How a held-out task is scored. Every condition that is given must hold."""

    answer: tuple[str, ...] = ()  # each must be contained in the answer (case, blanks and thousands commas folded)
    answer_not: tuple[str, ...] = ()  # none may be contained in it
    sql: str = ""  # one query on the application's database ...
    equals: str = ""  # ... whose first column, rows joined by newline, must equal this
    url: str = ""  # regular expression the final page's address must match
    shows: tuple[str, ...] = ()  # each must be readable on the final page
    command: tuple[str, ...] = ()  # must exit with 0; run in the application's state folder
    tests: tuple[str, ...] = ()  # of a repository: each must pass, and none that passed before may fail
    grader: str = ""  # what the grader of the benchmark's own environment has to know, such as the task's number there

    @model_serializer(mode="wrap")
    def _without_the_rare(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Left out if empty, as few tasks have them: ids of other tasks are the same as before these fields."""
        fields: dict[str, Any] = handler(self)
        for field in ("tests", "grader"):
            if not fields.get(field):
                fields.pop(field, None)
        return fields


class Task(Record):
    """An instruction for one environment. It has a check if it is a benchmark's, and none if it was proposed."""

    not_identity: ClassVar[frozenset[str]] = frozenset({"calls"})

    instruction: str
    environment: str
    document: str = ""  # id of the document it was proposed from
    quote: str = ""  # the span of the document it cites
    name: str = ""  # stable name in a benchmark
    category: str = ""
    level: int = 0  # difficulty 1..3; 0 = not rated
    check: Check | None = None
    gold: tuple[str, ...] = ()  # actions that solve it, which name elements by role and name
    start_url: str = ""  # where the episode begins; empty = the environment's own start page
    date: str = ""  # ISO date of the task: nothing later may be shown to the agent; empty = no limit
    seen: bool = False  # somebody looked at how agents fail at it while the method was being developed
    ending: bool = False  # carried out, it would end the session or destroy the account or its data; attempted last
    calls: tuple[str, ...] = ()  # keys of the stored model calls that proposed it

    @model_serializer(mode="wrap")
    def _without_the_usual(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Left out if not set: ids of such tasks are the same as before these fields."""
        fields: dict[str, Any] = handler(self)
        for field in ("date", "seen", "ending", "calls"):
            if not fields.get(field):
                fields.pop(field, None)
        return fields


class ProposalRound(Record):
    """What the tasks of one round were proposed from, so that an interrupted round goes on with the same prompts."""

    sections: tuple[str, ...]  # ids of the documents asked about first; more make up for what these fall short of
    map: str = ""  # of the application
    instructions: tuple[str, ...] = ()  # of tasks of earlier rounds
    operations: tuple[str, ...] = ()  # that roll-outs of earlier rounds found


class KeptApart(Record):
    """A document whose tasks are held out to measure with, where there is no benchmark."""

    document: str  # id


class Impossible(Record):
    """A proposed task that an agent said cannot be carried out, by the answer N/A."""

    task: str  # id
    reason: str = ""  # in the agent's words


class Observation(Record):
    """What the model reads: the text of a page or an output, where it was, and a digest of the state behind it."""

    text: str
    url: str = ""  # path on the site, without scheme and host
    title: str = ""
    digest: str = ""  # state digest of the backend ("" = the environment cannot tell)
    error: str = ""  # what went wrong with the action that led here, in words for the model
    image: str = ""  # hash of a PNG in the run's blobs


#: kinds of actions that refer to an element of a page by a reference such as e12, which holds for one load of the page
POINTING = frozenset(
    "click fill type select press hover drag upload goto back forward tab scroll find wait finish".split()  # noqa: SIM905
)


class Action(Record):
    """What the model wrote, and what is needed to repeat it on another load of the page."""

    text: str  # as written: click(e12)
    kind: str = ""  # click, fill, goto, ..., or run, view, ..., finish: the environment's; "" = could not be read
    role: str = ""  # of the element it hit: button
    name: str = ""  # of the element it hit: Create ticket; of a file, its path
    nth: int = 0  # which of the elements with this role and name
    value: str = ""  # text filled, options chosen (in lines), key pressed, element dragged onto, address, answer

    @property
    def grounded(self) -> str:
        """The action in a form that can be repeated on another load of the page: click('button "Create ticket"').

        Actions that refer to no element, such as commands of a shell, are in this form from the beginning.
        """
        return self._call(_in_quotes)

    @property
    def written(self) -> str:
        """The same for people and models, with no quotes around an element: click(2nd button "Create ticket")."""
        return self._call(_in_words)

    def _call(self, element: Callable[[str], str]) -> str:
        if self.kind and self.kind not in POINTING:
            return self.text
        if self.kind in ("goto", "finish", "find", "tab") or (
            self.kind in ("press", "scroll", "type") and not self.role
        ):
            return f"{self.kind}({json.dumps(self.value, ensure_ascii=False)})"
        if self.kind in ("back", "forward", "wait") or not self.kind:
            return f"{self.kind}()" if self.kind else self.text
        arguments = [element(stored_element(self.role, self.name, self.nth))]
        if self.kind == "drag" and not self.value[:1].isdigit():
            arguments.append(element(self.value))
        elif self.kind == "select":
            arguments += [json.dumps(option, ensure_ascii=False) for option in self.value.split("\n")]
        elif self.kind == "upload":
            arguments += [json.dumps(part, ensure_ascii=False) for part in self.value.split("\n", 1)]
        elif self.kind != "hover" and (self.kind != "click" or self.value):
            arguments.append(json.dumps(self.value, ensure_ascii=False))
        return f"{self.kind}({', '.join(arguments)})"


def stored_element(role: str, name: str, nth: int = 0) -> str:
    """An element as records and gold solutions name it: button "Edit", and the next of that name button "Edit" #1."""
    return f"{role} {json.dumps(name, ensure_ascii=False)}" + (f" #{nth}" if nth else "")


def written_element(role: str, name: str, nth: int = 0) -> str:
    """The same as people and models read and write it: button "Edit", and the next of that name 2nd button "Edit"."""
    return (f"{_ordinal(nth + 1)} " if nth else "") + stored_element(role, name)


#: of equal elements, which one: a pattern with the number, counted from 1, as its one group
ORDINAL = r"(\d+)(?:st|nd|rd|th)"
_STORED_NUMBER = re.compile(r"(.*) #(\d+)", re.DOTALL)


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _in_words(target: str) -> str:
    stored = _STORED_NUMBER.fullmatch(target)
    return f"{_ordinal(int(stored[2]) + 1)} {stored[1]}" if stored else target


def _in_quotes(target: str) -> str:
    return "'" + target.replace("\\", "\\\\").replace("'", "\\'") + "'"


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
        """Left out if 0: ids of such trajectories are the same as before the field."""
        fields: dict[str, Any] = handler(self)
        if not self.written_tokens:
            fields.pop("written_tokens", None)
        return fields


class Left(NamedTuple):
    """What remains of one rate limit, as a provider says: 3 of 50 requests for the next 40 seconds."""

    what: str  # requests, tokens, input tokens, output tokens
    limit: float | None
    remaining: float
    resets_in: float  # seconds until all of it is there again


class Sent(NamedTuple):
    """A batch of calls at a provider. We give it the mark; the provider gives it the name, "" until that is known."""

    mark: str
    name: str
    keys: list[str]  # of the calls
    created: float  # Unix time in seconds


def _without_empty_calls(calls: tuple[str, ...], fields: dict[str, Any]) -> dict[str, Any]:
    """The field ``calls`` left out if it is empty, as in runs from before there was this field."""
    if not calls:
        fields.pop("calls", None)
    return fields


class Step(Record):
    """One step of a trajectory: what was observed, the reason for the action, and the action."""

    observation: Observation
    reason: str = ""
    action: Action
    usage: Usage = Usage()
    examples: tuple[str, ...] = ()  # ids of the examples that were in the prompt
    calls: tuple[str, ...] = ()  # keys of the stored model calls that led to the action; none where none are kept

    @model_serializer(mode="wrap")
    def _without_no_calls(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_empty_calls(self.calls, handler(self))


class Trajectory(Record):
    """T = (o0, a1, o1, ..., an, on): n steps, and the last observation (paper, sec. 2.2)."""

    task: Task
    agent: str
    attempt: int = 0
    steps: tuple[Step, ...] = ()
    last: Observation
    stop: StopReason
    answer: str = ""
    error: str = ""  # of a failure of model or environment
    beside: Usage = Usage()  # of what led to no step of these: earlier trials, judges, what a search tried elsewhere

    @model_serializer(mode="wrap")
    def _without_the_rare(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Left out if nothing was spent beside the steps, as most agents have no other calls."""
        fields: dict[str, Any] = handler(self)
        if not self.beside.calls:
            fields.pop("beside", None)
        return fields

    def _identity(self) -> dict[str, Any]:
        """Without usage and calls of the steps: the same steps are one trajectory, whatever prompts led to them."""
        identity = super()._identity()
        identity.pop("beside", None)
        identity["task"].pop("calls", None)
        for step in identity["steps"]:
            step["usage"] = Usage().model_dump(mode="json")
            step.pop("calls", None)
        return identity

    @cached_property
    def observations(self) -> tuple[Observation, ...]:
        """o0, ..., on: n + 1 of them."""
        return (*(step.observation for step in self.steps), self.last)

    @cached_property
    def actions(self) -> tuple[Action, ...]:
        """a1, ..., an."""
        return tuple(step.action for step in self.steps)

    @property
    def usage(self) -> Usage:
        return sum((step.usage for step in self.steps), self.beside)


class Vote(Record):
    """One committee member's answers to the four criteria (paper, App. F), and its reason."""

    model: str
    aligned: bool
    coherent: bool
    natural: bool
    reasonable: bool
    reason: str = ""
    calls: tuple[str, ...] = ()  # keys of the stored model calls in which it was given

    @model_serializer(mode="wrap")
    def _without_no_calls(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_empty_calls(self.calls, handler(self))

    @property
    def accepts(self) -> bool:
        return self.aligned and self.coherent and self.natural and self.reasonable


class Verdict(Record):
    """What one filter decided about one example, and why."""

    filter: str
    keep: bool
    reason: str = ""
    votes: tuple[Vote, ...] = ()


class Example(Record):
    """An instruction and the span [start, end] of a trajectory that carries it out.

    The span is T' = (o_start, a_(start+1), ..., a_end, o_end), 0 <= start < end <= n.
    """

    not_identity: ClassVar[frozenset[str]] = frozenset({"verdicts", "tier", "calls"})

    kind: Kind
    instruction: str
    trajectory: str  # id
    start: int
    end: int
    document: str = ""  # lineage: the document its task came from
    parents: tuple[str, ...] = ()  # a composed example's parts
    verdicts: tuple[Verdict, ...] = ()
    tier: Tier = "unverified"
    calls: tuple[str, ...] = ()  # keys of the stored model calls that worded it

    @model_serializer(mode="wrap")
    def _without_no_calls(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_empty_calls(self.calls, handler(self))

    @property
    def kept(self) -> bool:
        return all(verdict.keep for verdict in self.verdicts)


class Statement(Record):
    """One thing that a skill says, and the examples that show it."""

    text: str
    steps: tuple[str, ...] = ()  # what is done, in order, with places for values
    examples: tuple[str, ...]  # ids; never none


class Skill(Record):
    """Short instructions for one kind of thing that users do in an application, written from verified examples."""

    name: str  # lower-case letters, digits and hyphens: also the name of its folder
    description: str  # what it is for, and when to use it
    statements: tuple[Statement, ...]
    sources: tuple[str, ...]  # ids of all examples of this kind, also of those that no statement rests on
    writer: str = ""  # name of the model that worded it; "" = made of the operations that recur

    @property
    def item(self) -> str:
        """How votes, and the steps that it was shown at, name it: another wording is another one."""
        return f"skill:{self.name}:{self.id}"


class Skills(Record):
    """The skills of a seed."""

    skills: tuple[Skill, ...]


class UsedModel(Record):
    """A model that a run asked, as far as its report has to tell what it is."""

    name: str
    language_model: bool = True  # False = a program that follows its own rules


class Result(Record):
    """The outcome of one task with one arm and one seed: the score, what it cost, and whose fault a failure was."""

    not_identity: ClassVar[frozenset[str]] = frozenset({"calls"})

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
    submission: str = ""  # what was submitted besides the answer: the patch of a repository
    calls: tuple[str, ...] = ()  # keys of the stored model calls that judged it, where no program scores it

    @model_serializer(mode="wrap")
    def _without_the_rare(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Left out if empty, as only repositories have a submission, and only tasks without a check are judged."""
        fields: dict[str, Any] = _without_empty_calls(self.calls, handler(self))
        if not self.submission:
            fields.pop("submission", None)
        return fields
