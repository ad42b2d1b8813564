"""Reply -> value: one parser per prompt, and the second question after a reply that could not be read.

Each reads the prompt's own form and the JSON of lbi.models.schemas, whichever of the two was asked for.

"REASON: the form is filled\nACTION: click(e12)" -> ("the form is filled", "click(e12)")
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from lbi.errors import ModelError, ParseError
from lbi.prompts import render_again
from lbi.protocols import Message, Model, Request
from lbi.records import Usage, Vote, sound

T = TypeVar("T")
Parser = Callable[[str], T]

CRITERIA = ("aligned", "coherent", "natural", "reasonable")
LONGEST = 200_000  # characters of a reply that is read
_TRIES = 50  # places at which a JSON value may begin
_TAG = r"think(?:ing)?|thoughts?|reasoning|seed:think"
#: the end of thoughts, as models write it; what stands before the last one is thought
_THOUGHT = re.compile(rf"(?:</(?:{_TAG})>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>)", re.IGNORECASE)
_UNCLOSED = re.compile(
    rf"^[ \t]*(?:<(?:{_TAG})>|\[THINK\]|◁think▷|<\|begin_of_thought\|>)", re.MULTILINE | re.IGNORECASE
)
#: channels of gpt-oss, where a server leaves them in the text: only what is said in "final" is the reply
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w*)[^<]{0,200}<\|message\|>")
_SPECIAL = re.compile(r"<\|(?:start|end|return|call|channel|message|constrain)\|>")
_YES = {"true", "yes", "y", "1"}
_NO = {"false", "no", "n", "0"}


async def ask(model: Model, request: Request, parser: Parser[T]) -> tuple[T, Usage]:
    """Ask, and ask once more if the reply cannot be read.

    Returns what was read and the usage of both calls. A second unreadable reply raises ParseError, a failed second
    call ModelError; both carry the usage of what was paid until then.
    """
    reply = await model.complete(request)
    try:
        return parser(reply.text), reply.usage
    except ParseError as error:
        extra: tuple[Message, ...] = render_again(reply.text, str(error))
    again = request.model_copy(update={"extra": (*request.extra, *extra)})
    try:
        second = await model.complete(again)
    except ModelError as error:
        error.usage += reply.usage
        raise
    usage = reply.usage + second.usage
    try:
        return parser(second.text), usage
    except ParseError as error:
        error.usage = usage
        raise


Parts = dict[str, str | ModelError | ParseError]


async def ask_parts(model: Model, request: Request, parser: Parser[Parts]) -> tuple[Parts, Usage]:
    """Ask for several parts in one reply, and ask once more for those that cannot be read.

    What is missing then has its error in place of its text. A failed first call raises ModelError.
    """
    reply = await model.complete(request)
    try:
        parts = parser(reply.text)
        unread = {part: error for part, error in parts.items() if not isinstance(error, str)}
        if not unread:
            return parts, reply.usage
        reason = "; ".join(f"{part}: {error}" for part, error in unread.items())
        extra = render_again(reply.text, reason, tuple(unread) if len(unread) < len(parts) else ())
    except ParseError as error:
        parts, extra = {}, render_again(reply.text, str(error))
    again = request.model_copy(update={"extra": (*request.extra, *extra)})
    try:
        second = await model.complete(again)
    except ModelError as error:
        error.usage += reply.usage
        if not parts:
            raise
        return {part: value if isinstance(value, str) else error for part, value in parts.items()}, error.usage
    usage = reply.usage + second.usage
    try:
        parts_again = parser(second.text)
    except ParseError as error:
        error.usage = usage
        if not parts:
            raise
        return parts, usage
    read_before = {part: text for part, text in parts.items() if isinstance(text, str)}
    return {**parts_again, **read_before}, usage


_NO_TASKS = re.compile(r"(?:```\w*\s*)?(?:\[\s*\]|\{\s*\"tasks\"\s*:\s*\[\s*\]\s*\})(?:\s*```)?")


class Proposal(NamedTuple):
    """A proposed task, before it is a record."""

    instruction: str
    quote: str = ""
    ending: bool = False  # it would end the session, or destroy the account or its data


def propose(reply: str) -> list[Proposal]:
    """Each proposed task: from a JSON list, or from numbered lines, which hold instructions only."""
    if _NO_TASKS.fullmatch(_answer(reply)):
        return []
    items = _json(reply, "[")
    proposals = _proposals(items, reply) if items is not None else [Proposal(line) for line in _listed(reply)]
    if not proposals:
        raise ParseError('expected a JSON list of {"instruction", "quote", "ending"} objects and found none', reply)
    return proposals


def act(reply: str) -> tuple[str, str]:
    """(reason, action) from a REASON and an ACTION line, or an object of both.

    Of several actions the first is taken, as only one can be.
    """
    text = _answer(reply)
    if (given := _object(text)) and isinstance(given.get("action"), str):
        reason, action = given.get("reason") or "", _first_call(given["action"])
        if not action:
            raise ParseError('the "action" is none of the form name(...), such as click(e12)', reply)
        return " ".join(str(reason).split()), action
    labelled = re.search(
        r"^[ \t*#>`-]*ACTION\b[ \t*]*:[ \t*]*(.*)", text, flags=re.IGNORECASE | re.MULTILINE | re.DOTALL
    )
    if labelled is None:
        raise ParseError('expected a line "ACTION: ..." and found none', reply)
    action = _first_call(labelled[1])
    if not action:
        raise ParseError("the ACTION line holds no action of the form name(...)", reply)
    reason = re.sub(r"^[\s*#>`-]*REASON\b[\s*]*:[\s*]*", "", text[: labelled.start()], flags=re.IGNORECASE)
    return " ".join(reason.strip(" `*\n").split()), action


def query(reply: str) -> str:
    """A search query on one line; empty where the reply says that nothing is left to do."""
    text = " ".join(_plain(reply, ("query", "search query")).split())
    return "" if text.strip(" .*\"'`").upper() == "NOTHING" else text


def lesson(reply: str) -> str:
    """What an agent will do otherwise in its next trial, on one line."""
    return " ".join(_plain(reply, ("lesson", "reflection")).split())


def value(reply: str) -> float:
    """How near the objective is, 0..1: the number 0..10 of a line ``VALUE: 7`` or of a JSON object, over 10."""
    text = _answer(reply)
    fields = _json(reply, "{")
    given = fields.get("value") if isinstance(fields, dict) else None
    told = re.search(r"^[ \t*#>`-]*VALUE\b[ \t*]*:[ \t*]*(\d+(?:\.\d+)?)", text, re.IGNORECASE | re.MULTILINE)
    if isinstance(given, str) and re.fullmatch(r"\d+(?:\.\d+)?", given.strip()):
        given = float(given)
    if isinstance(given, bool) or not isinstance(given, int | float):
        if told is None:
            raise ParseError('expected a line "VALUE: " with a number from 0 to 10 and found none', reply)
        given = float(told[1])
    if not 0 <= given <= 10:
        raise ParseError(f"the value is to be from 0 to 10 and is {given:g}", reply)
    return given / 10


def instruction(reply: str) -> str:
    """The task that a span completes (role abstract), on one line; empty where the reply says that there is none."""
    text = " ".join(_plain(reply, ("instruction", "task", "question", "abstract")).split())
    return "" if text.strip(" .*\"'`").upper() == "NONE" else text


def summary(reply: str) -> str:
    """The summary of a span; begins with "Replicate the following:", as the paper's do."""
    text = _plain(reply, ("summary",))
    opening = "Replicate the following:"
    body = re.sub(rf"^{opening[:-1]}\s*:?\s*", "", text, flags=re.IGNORECASE)
    if not body:
        raise ParseError("the summary says nothing", reply)
    return f"{opening} {body}"


def of_spans(label: Parser[str], names: Sequence[str]) -> Parser[Parts]:
    """A parser for the labels of several spans: a JSON object from a span such as "0-3" to what ``label`` reads."""

    def parse(reply: str) -> Parts:
        labels = _json(reply, "{")
        if not isinstance(labels, dict):
            raise ParseError('expected one JSON object such as {"0-1": "...", "0-3": "..."} and found none', reply)
        rows = labels.get("labels")
        if isinstance(rows, list):
            labels = {row.get("span"): row.get("text") for row in rows if isinstance(row, dict)}
        texts = {"-".join(re.findall(r"\d+", str(span))): text for span, text in labels.items()}
        return {name: _part(label, texts.get(name), reply) for name in names}

    return parse


def _part(label: Parser[str], text: Any, reply: str) -> str | ParseError:
    if not isinstance(text, str):
        return ParseError("the reply has no text for it", reply)
    try:
        return label(text)
    except ParseError as error:
        return error


class WrittenStatement(NamedTuple):
    """A statement of a skill as a model wrote it; ``examples`` are numbers."""

    text: str
    steps: tuple[str, ...]
    examples: tuple[int, ...]


class WrittenSkill(NamedTuple):
    """A skill as a model wrote it, before anything of it is checked."""

    description: str
    statements: tuple[WrittenStatement, ...]


def skill(reply: str) -> WrittenSkill:
    """A skill with at least one statement that names an example. What is no statement is left out."""
    fields = _json(reply, "{")
    rows = fields.get("statements") if isinstance(fields, dict) else None
    if not isinstance(fields, dict) or not isinstance(rows, list):
        raise ParseError('expected one JSON object with "description" and "statements" and found none', reply)
    statements = tuple(said for row in rows if isinstance(row, dict) and (said := _statement(row)) is not None)
    if not statements:
        raise ParseError('every one of the "statements" needs a "text" and the numbers of its "examples"', reply)
    return WrittenSkill(" ".join(str(fields.get("description") or "").split()), statements)


def _statement(row: dict[str, Any]) -> WrittenStatement | None:
    text, steps, examples = row.get("text"), row.get("steps") or [], row.get("examples") or []
    if not isinstance(text, str) or not text.strip() or not isinstance(steps, list) or not isinstance(examples, list):
        return None
    numbers = [int(found[0]) for each in examples if (found := re.findall(r"\d{1,4}", str(each)))]
    told = tuple(" ".join(str(step).split()) for step in steps if isinstance(step, str) and step.strip())
    return WrittenStatement(" ".join(text.split()), told, tuple(numbers)) if numbers else None


def vote(model: str) -> Parser[Vote]:
    """A parser for the vote of the committee member ``model``: a JSON object, or lines such as ``aligned: yes``."""

    def parse(reply: str) -> Vote:
        fields = _json(reply, "{")
        given = {str(key).lower(): value for key, value in fields.items()} if fields is not None else _answers(reply)
        answers = {name: _yes_or_no(given.get(name), name, reply) for name in CRITERIA}
        return Vote(model=model, reason=" ".join(str(given.get("reason") or "").split()), **answers)

    return parse


# parts of replies


def _answer(reply: str) -> str:
    """A reply without the thoughts that some models put before it. Raises ParseError where nothing is left."""
    if len(reply) > LONGEST:
        raise ParseError(f"the reply is longer than {LONGEST:,} characters", reply[:LONGEST])
    said = _final(reply)
    ends = list(_THOUGHT.finditer(said))
    text = said[ends[-1].end() if ends else 0 :].strip()
    if _UNCLOSED.search(text):
        raise ParseError("the reply breaks off within its thoughts", reply)
    if not text:
        raise ParseError("the reply is empty", reply)
    return text


def _final(reply: str) -> str:
    """Of a reply in channels, what is said in the last "final" one."""
    channels = list(_CHANNEL.finditer(reply))
    if not channels:
        if "<|channel|>" in reply:
            raise ParseError("the reply breaks off before anything is said", reply)
        return reply
    final = [channel for channel in channels if channel[1].lower() == "final"]
    if not final:
        raise ParseError('the reply says nothing in the channel "final"', reply)
    return _SPECIAL.split(reply[final[-1].end() :], maxsplit=1)[0]


def _json(reply: str, opening: str) -> Any | None:
    """The first readable JSON value that begins with ``opening``; prose and fences may surround it."""
    text = _answer(reply)
    decoder = json.JSONDecoder(strict=False)
    for match in islice(re.finditer(re.escape(opening), text), _TRIES):
        try:
            value, _ = decoder.raw_decode(text, match.start())
            if value:
                return json.loads(sound(json.dumps(value, ensure_ascii=False)))
        except (ValueError, RecursionError):
            continue
    return None


def _object(text: str) -> dict[str, Any]:
    """A reply that is one JSON object and nothing else; of any other, an empty one."""
    if not text.startswith("{"):
        return {}
    try:
        value = json.loads(text, strict=False)
        return json.loads(sound(json.dumps(value, ensure_ascii=False))) if isinstance(value, dict) else {}
    except (ValueError, RecursionError):
        return {}


def _proposals(items: Any, reply: str) -> list[Proposal]:
    """Tasks without an instruction make the whole list unreadable: a shorter list would hide that."""
    proposals = []
    for item in items if isinstance(items, list) else []:
        fields = item if isinstance(item, dict) else {"instruction": item}
        text, quote = fields.get("instruction", fields.get("task")), fields.get("quote") or ""
        if not isinstance(text, str) or not text.strip() or not isinstance(quote, str):
            raise ParseError('every item of the list needs an "instruction" and a "quote", both texts', reply)
        ending = str(fields.get("ending", "")).strip().lower() in _YES
        proposals.append(Proposal(" ".join(text.split()), quote.strip(), ending))
    return proposals


def _listed(reply: str) -> list[str]:
    numbered = re.findall(r"^[ \t]*(?:\d{1,4}[.)]|[-*])[ \t]+(\S.*)$", _answer(reply), flags=re.MULTILINE)
    return [text for line in numbered if (text := _unquoted(line))]


def _first_call(text: str) -> str:
    """The ``name(...)`` that a text begins with, up to the bracket that closes it; quotes may hold brackets."""
    text = text.lstrip(" \t\n`*")
    text = re.sub(r"^(?:python|text|json)\s*\n", "", text)
    start = re.match(r"[A-Za-z_]\w*\s*\(", text)
    if start is None:
        return ""
    quote, depth, at = "", 1, start.end()
    while at < len(text):
        char = text[at]
        if quote:
            if char == "\\":
                at += 1
            elif text.startswith(quote, at):
                at, quote = at + len(quote) - 1, ""
        elif char in "\"'":
            quote = char * 3 if text.startswith(char * 3, at) else char  # of three, one alone ends nothing
            at += len(quote) - 1
        else:
            depth += (char == "(") - (char == ")")
            if depth == 0:
                return text[: at + 1]
        at += 1
    return ""


def _plain(reply: str, labels: tuple[str, ...]) -> str:
    """A reply that is nothing but text, freed of fences, of a label before it and of quotes around it.

    An object with the text under one of the labels is that text.
    """
    text = re.sub(r"^```\w*[ \t]*\n(.*?)\n?```$", r"\1", _answer(reply), flags=re.DOTALL).strip()
    fields = _object(text)
    text = next((value for label in labels if isinstance(value := fields.get(label), str)), text)
    names = "|".join(re.escape(label) for label in labels)
    text = re.sub(rf"^[*#\s]*(?:{names})[*\s]*:[*\s]*", "", text, flags=re.IGNORECASE)
    text = _unquoted(text)
    if not text:
        raise ParseError("the reply says nothing", reply)
    return text


def _unquoted(text: str) -> str:
    text = text.strip()
    for left, right in ('""', "''", "``", "“”", "‘’", "«»", ("**", "**")):
        inside = text[len(left) : len(text) - len(right)]
        wrapped = len(text) >= len(left) + len(right) and text.startswith(left) and text.endswith(right)
        if wrapped and left not in inside and right not in inside:
            return inside.strip()
    return text


def _answers(reply: str) -> dict[str, str]:
    names = "|".join((*CRITERIA, "reason"))
    lines = re.findall(
        rf"^[ \t*#>-]*({names})[* \t]*[:=][* \t]*(.*)$", _answer(reply), flags=re.IGNORECASE | re.MULTILINE
    )
    return {name.lower(): answer for name, answer in lines}


def _yes_or_no(value: Any, name: str, reply: str) -> bool:
    if isinstance(value, bool):
        return value
    match = re.match(r"""[*"'`\s]*([a-z]+|[01](?![\d.]))""", str(value).lower())
    word = match[1] if match else ""
    if word in _YES | _NO:
        return word in _YES
    raise ParseError(f'"{name}" must be answered with true or false', reply)
