"""The offline model: a small generic policy behind the Model protocol. No key, no network, and no language model.

It reads a request's typed fields where language models read the messages, and answers in the prompts' own formats.
Its numbers are its own. It knows nothing of any application.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from lbi.errors import ModelError
from lbi.offline import commands, labels, policy
from lbi.offline.lexical import SYNONYMS, values, widened, words
from lbi.protocols import Fields, ModelInfo, Reply, Request
from lbi.records import Trajectory, Usage

NAME = "offline"
SPEC = "offline"
#: family of environments -> the agent that attempts tasks there without asking the model
EXPLORERS = {"web": "explore", "shell": "try_commands", "repository": "try_commands"}
_IMPERATIVE = re.compile(
    r"^(?:to |you can |you may |click|press|select|choose|fill|enter|use|go to|open)", re.IGNORECASE
)
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
    return OfflineModel()


def _propose(fields: Fields) -> str:
    """The document's sentences that tell a user to do something, those that name controls first."""
    assert fields.document is not None
    found: list[tuple[float, int, str]] = []
    for index, sentence in enumerate(re.split(r"(?<=[.!?:])\s+|\n+", fields.document.text)):
        text = " ".join(sentence.strip(" -*•\t").split())
        if 15 <= len(text) <= 220 and not text.startswith("#"):
            found.append((-_tells(text), index, text))
    heading = " ".join(fields.document.headings[-1:]) or fields.document.title
    best = [text for score, _, text in sorted(found) if score < 0][: fields.count]
    tasks = [{"instruction": f"{heading}: {text}" if heading else text, "quote": text} for text in best]
    if not tasks:
        tasks = [{"instruction": f"Try what is said about {heading or 'this'}.", "quote": fields.document.text[:100]}]
    return json.dumps(tasks, ensure_ascii=False)


def _tells(sentence: str) -> float:
    verbs = sum(word.lower() in SYNONYMS for word in re.findall(r"[A-Za-z]+", sentence))
    imperative = bool(_IMPERATIVE.match(sentence)) or (sentence.split()[0].lower() in SYNONYMS)
    return 2.0 * imperative + 0.5 * min(verbs, 3) + min(len(_CONTROL.findall(sentence)), 3) - 0.01 * len(sentence)


def _act(fields: Fields) -> str:
    action, reason = commands.act(fields) if commands.applies(fields) else policy.act(fields)
    return f"REASON: {reason}\nACTION: {action}"


def _query(fields: Fields) -> str:
    assert fields.task is not None
    instruction = policy.part(fields)[0] or fields.task.instruction
    return " ".join(widened(instruction).split()) or instruction


def _abstract(fields: Fields) -> str:
    return _labels(commands.abstract if commands.applies(fields) else labels.abstract, fields)


def _summarise(fields: Fields) -> str:
    return _labels(commands.summary if commands.applies(fields) else labels.summary, fields)


def _labels(label: Callable[[Trajectory, int, int], str], fields: Fields) -> str:
    assert fields.trajectory is not None
    if not fields.spans:
        return label(fields.trajectory, fields.start, fields.end)
    found = [label(fields.trajectory, start, end) for start, end in fields.spans]
    return json.dumps(dict(zip(fields.span_names, found, strict=True)), ensure_ascii=False)


def _judge(fields: Fields) -> str:
    """The four criteria as far as the steps themselves show them."""
    assert fields.trajectory is not None
    steps = fields.trajectory.steps[fields.start : fields.end]
    seen = fields.trajectory.observations[fields.start : fields.end + 1]
    done = " ".join(f"{s.action.name} {s.action.value} {s.observation.url}" for s in steps).lower()
    done += " ".join(["", *(f"{o.title} {o.text}" for o in seen), seen[-1].url]).lower()
    missing = [v.text for v in values(fields.instruction) if v.kind == "quoted" and not _said(v.text, done)]
    failed = [o.error for o in seen[1:] if o.error]
    idle = all(s.action.kind in ("finish", "") and not s.action.value for s in steps)
    acts = [(s.observation.url, s.action.grounded) for s in steps]
    vote = {
        "reason": f"not done: {', '.join(missing)}" if missing else _reason(idle, failed),
        "aligned": not missing and not idle and bool(words(fields.instruction)),
        "coherent": not failed,
        "natural": len(set(acts)) == len(acts),
        "reasonable": len(steps) <= 20 and not any(a.kind == "back" for a in (s.action for s in steps)),
    }
    return json.dumps(vote, ensure_ascii=False)


def _reason(idle: bool, failed: list[str]) -> str:
    return "nothing was done" if idle else (failed[0] if failed else "every value was used")


def _said(value: str, text: str) -> bool:
    return " ".join(value.lower().split()).replace("'", "") in " ".join(text.split()).replace('"', "").replace("'", "")


_ROLES = {
    "propose": _propose,
    "act": _act,
    "query": _query,
    "abstract": _abstract,
    "summarise": _summarise,
    "judge": _judge,
}
