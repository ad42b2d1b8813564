"""A step -> the stored calls that led to it, with their prompts as they were sent.

A step knows its calls. One of a run from before steps did, or of an agent that searches, is found by what it says.
"""

from __future__ import annotations

import json
import re
import sqlite3
from typing import Any

import zstandard

from lbi.errors import ParseError
from lbi.models import parsing
from lbi.records import Step, Task
from lbi.report.gather import Entry

LEAST = 0.8  # the part of the page's words that a prompt holds
LATEST = 3  # messages of a prompt, counted from its end, among which the page is
MOST_FOUND = 5
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


def _says(reply: str, step: Step) -> bool:
    try:
        reason, action = parsing.act(reply)
    except ParseError:
        return False
    return action == step.action.text and reason == step.reason


def _shows(messages: list[dict[str, Any]], instruction: str, page: str) -> bool:
    text = "\n".join(str(message["content"]) for message in messages)
    latest = "\n".join(str(message["content"]) for message in messages[-LATEST:])
    # by words, as a prompt writes neighbouring links in one line and cuts what is long
    words, there = set(_WORD.findall(page)), set(_WORD.findall(latest))
    return instruction in text and len(words & there) >= LEAST * len(words)
