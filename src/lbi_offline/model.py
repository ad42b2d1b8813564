"""The offline policy behind the Model protocol: a request's role and typed fields -> a reply in the prompt's format."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from lbi.errors import ModelError
from lbi.protocols import Fields, ModelInfo, Reply, Request
from lbi.records import Trajectory, Usage
from lbi_offline import commands, labels, policy
from lbi_offline.lexical import SYNONYMS, values, widened, words

NAME = "offline"
EXPLORERS = {"web": "explore", "shell": "try_commands", "repository": "try_commands"}
LONGEST = 20  # steps that a committee takes for reasonable
_SENTENCE = re.compile(r"(?<=[.!?:])\s+|\n+")
_IMPERATIVE = re.compile(r"^(?:to |you can |click|press|select|choose|fill|enter|use(?!ful)|go to|open)", re.IGNORECASE)
_CONTROL = re.compile(r"\"[^\"]{2,40}\"|“[^”]{2,40}”|'[A-Z][^']{2,40}'|\b[A-Z][a-z]+(?: [A-Z][a-z]+)+\b")


class OfflineModel:
    """Answers every role from the request's fields; free, deterministic, and nothing to close."""

    name = NAME
    info = ModelInfo(free=True, language_model=False)

    async def complete(self, request: Request) -> Reply:
        answer = _ROLES.get(request.role)
        if answer is None:
            raise ModelError(f"the offline model has no answer for the role {request.role!r}")
        return Reply(text=answer(request.fields), model=NAME, usage=Usage(calls=1))

    async def close(self) -> None:
        return None


def create(name: str, settings: object = None) -> OfflineModel:
    """There is one offline model, whatever it is called, and nothing to set."""
    return OfflineModel()


def propose(fields: Fields) -> str:
    """The document's sentences that tell a user to do something, those that name controls first."""
    assert fields.document is not None
    sentences = [" ".join(text.strip(" -*•\t").split()) for text in _SENTENCE.split(fields.document.text)]
    scored = [(_advice(text), -at, text) for at, text in enumerate(sentences) if 15 <= len(text) <= 220]
    heading = " ".join(fields.document.headings[-1:]) or fields.document.title
    best = [text for score, _, text in sorted(scored, reverse=True) if score > 0 and text[0] != "#"][: fields.count]
    tasks = [{"instruction": f"{heading}: {text}" if heading else text, "quote": text} for text in best]
    fallback = {"instruction": f"Try what is said about {heading or 'this'}.", "quote": fields.document.text[:100]}
    return json.dumps(tasks or [fallback], ensure_ascii=False)


def _advice(sentence: str) -> float:
    """How much a sentence sounds like advice on what to do."""
    verbs = sum(word.lower() in SYNONYMS for word in re.findall(r"[A-Za-z]+", sentence))
    imperative = bool(_IMPERATIVE.match(sentence)) or sentence.split()[0].lower() in SYNONYMS
    return 2.0 * imperative + 0.5 * min(verbs, 3) + min(len(_CONTROL.findall(sentence)), 3) - 0.01 * len(sentence)


def act(fields: Fields) -> str:
    action, reason = commands.act(fields) if commands.applies(fields) else policy.act(fields)
    return f"REASON: {reason}\nACTION: {action}"


def query(fields: Fields) -> str:
    """The instruction without its values, widened by synonyms."""
    assert fields.task is not None
    return " ".join(widened(fields.task.instruction).split()) or fields.task.instruction


def abstract(fields: Fields) -> str:
    return _of_spans(commands.abstract if commands.applies(fields) else labels.abstract, fields)


def summarise(fields: Fields) -> str:
    return _of_spans(commands.summary if commands.applies(fields) else labels.summary, fields)


def _of_spans(label: Callable[[Trajectory, int, int], str], fields: Fields) -> str:
    assert fields.trajectory is not None
    if not fields.spans:
        return label(fields.trajectory, fields.start, fields.end)
    texts = [label(fields.trajectory, start, end) for start, end in fields.spans]
    return json.dumps(dict(zip(fields.span_names, texts, strict=True)), ensure_ascii=False)


def judge(fields: Fields) -> str:
    """The four criteria as far as the steps themselves show them."""
    assert fields.trajectory is not None
    steps = fields.trajectory.steps[fields.start : fields.end]
    seen = fields.trajectory.observations[fields.start : fields.end + 1]
    shown = _folded(" ".join(f"{step.action.name} {step.action.value} {step.observation.url}" for step in steps))
    shown += _folded(" ".join(["", *(f"{o.title} {o.text}" for o in seen), seen[-1].url]))
    quoted = [value.text for value in values(fields.instruction) if value.kind == "quoted"]
    missing = [text for text in quoted if _folded(text) not in shown]
    failed = [observation.error for observation in seen[1:] if observation.error]
    idle = all(step.action.kind in ("finish", "") and not step.action.value for step in steps)
    acts = [(step.observation.url, step.action.grounded) for step in steps]
    reasons = [f"not done: {', '.join(missing)}"] if missing else ["nothing was done"] if idle else failed
    vote = {
        "reason": next(iter(reasons), "every value was used"),
        "aligned": not missing and not idle and bool(words(fields.instruction)),
        "coherent": not failed,
        "natural": len(set(acts)) == len(acts),
        "reasonable": len(steps) <= LONGEST and all(step.action.kind != "back" for step in steps),
    }
    return json.dumps(vote, ensure_ascii=False)


def _folded(text: str) -> str:
    return " ".join(text.lower().split()).replace('"', "").replace("'", "")


_ROLES = {role.__name__: role for role in (propose, act, query, abstract, summarise, judge)}
