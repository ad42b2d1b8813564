"""A step -> the stored calls that led to it, with their prompts as they were sent.

A step knows its calls. One of a run from before steps did, or of an agent that searches, is found by what it says; so
are the calls that gave an example its wording and its votes, which no record names.
"""

from __future__ import annotations

import json
import re
import sqlite3
from typing import Any

import zstandard

from lbi.errors import ParseError
from lbi.models import parsing
from lbi.records import Example, Observation, Step, Task
from lbi.report.gather import Entry

LEAST = 0.8  # the part of the page's words that a prompt holds
LATEST = 3  # messages of a prompt, counted from its end, among which the page is
MOST_FOUND = 5
_REFERENCE = re.compile(r"\[e\d+\]")
_WORD = re.compile(r"\w+")


def searched(db: sqlite3.Connection, entry: Entry, task: Task, step: Step) -> list[str]:
    """Keys of calls of the step's stage whose prompt shows its task and its page, and whose reply is its action."""
    stage = f"evaluate: {entry.result.arm}" if entry.result else "attempt"
    unpack = zstandard.ZstdDecompressor()
    found = []
    sql = "SELECT key, messages, reply FROM call WHERE role = 'act' AND stage = ?"
    for key, messages, reply in db.execute(sql, (stage,)):
        if not _says(unpack.decompress(reply).decode(), step):
            continue
        if _shows(json.loads(unpack.decompress(messages)), task.instruction, step.observation.text):
            found.append(str(key))
            if len(found) == MOST_FOUND:
                break
    return found


def worded_and_judged(db: sqlite3.Connection, example: Example, last: Observation) -> list[str]:
    """Keys of the calls that worded an example, and of those that voted on it. ``last`` is the page it ends on."""
    votes = {vote.model: vote.reason for verdict in example.verdicts for vote in verdict.votes}
    unpack = zstandard.ZstdDecompressor()
    found: dict[str, list[str]] = {"word": [], "vote": []}
    sql = "SELECT key, role, model, messages, reply FROM call WHERE role IN ('abstract', 'summarise', 'judge')"
    for key, role, model, messages, reply in db.execute(f"{sql} ORDER BY created"):
        kind = "vote" if role == "judge" else "word"
        said = votes.get(str(model)) if kind == "vote" else example.instruction
        if said is None or len(found[kind]) == MOST_FOUND or not _holds(unpack.decompress(reply).decode(), said):
            continue
        text = "\n".join(str(each["content"]) for each in json.loads(unpack.decompress(messages)))
        if (kind == "word" or example.instruction in text) and _has_words(text, last.text):
            found[kind].append(str(key))
    return [*found["word"], *found["vote"]]


def _holds(reply: str, said: str) -> bool:
    """Whether a reply says it, as text or in JSON; line breaks and blanks aside."""
    one_line = " ".join(reply.replace("\\n", " ").split())
    wanted = " ".join(said.split())
    return wanted in one_line or json.dumps(wanted, ensure_ascii=False)[1:-1] in one_line


def _has_words(text: str, page: str) -> bool:
    # by words, as a prompt writes neighbouring links in one line and cuts what is long
    words = set(_WORD.findall(_REFERENCE.sub("", page)))  # who labels is shown no references
    return len(words & set(_WORD.findall(text))) >= LEAST * len(words)


def _says(reply: str, step: Step) -> bool:
    try:
        reason, action = parsing.act(reply)
    except ParseError:
        return False
    return action == step.action.text and reason == step.reason


def _shows(messages: list[dict[str, Any]], instruction: str, page: str) -> bool:
    text = "\n".join(str(message["content"]) for message in messages)
    latest = "\n".join(str(message["content"]) for message in messages[-LATEST:])
    return instruction in text and _has_words(latest, page)
