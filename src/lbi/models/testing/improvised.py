"""A prompt of ours -> a reply that fits it, made up by the prompt's hash: for runs without a model, always the same.

The roles are told apart by their prompts' first lines. Tasks, actions and labels are sound in form and foolish in
content, so a whole run works, and its results say nothing about quality.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lbi.models.testing.wire_formats import Answer, Json

_ELEMENT = re.compile(r'^\s*(?:- )?(\w+)(?: "([^"]*)")? \[(e\d+)\](.*)$', re.MULTILINE)
_SPANS = re.compile(r"from page to page: ([\d\-, ]+)\.")
_COUNT = re.compile(r"^Write (\d+) (?:different )?tasks?\b", re.MULTILINE)
_STEPS = 5  # after so many an episode ends itself


def improvised(latency: float = 0.0) -> Callable[[Json], Answer]:
    """A script for the test server: request body -> answer, always the same for the same messages."""

    def answer(request: Json) -> Answer:
        return Answer(reply(_texts(request)), latency=latency)

    return answer


def journalled(script: Callable[[Json], Answer | str], file: Path) -> Callable[[Json], Answer | str]:
    """The same script, which appends a line to a file for each request as it arrives: the hash of its turns."""

    def answer(request: Json) -> Answer | str:
        with file.open("a") as journal:
            journal.write(digest_of_turns(_texts(request)) + "\n")
        return script(request)

    return answer


def digest_of_turns(turns: list[str]) -> str:
    """The same however a provider joins turns of one role."""
    return hashlib.blake2b("\n\n".join(turns).encode(), digest_size=12).hexdigest()


def reply(turns: list[str]) -> str:
    """The reply to the turns of a conversation, the system message first."""
    chance = random.Random(hashlib.blake2b("\n".join(turns).encode()).hexdigest())
    first, last = turns[0].lstrip(), turns[-1]
    if first.startswith("You write tasks"):
        return _tasks(last, chance)
    if first.startswith("You carry out"):
        return _action(last, chance)
    if first.startswith("You check a demonstration"):
        return _verdict(chance)
    if spans := _SPANS.search(last):
        return json.dumps({name: _label(chance) for name in spans[1].split(", ")})
    return _label(chance)


def _texts(request: Json) -> list[str]:
    """The texts of a body in OpenAI's format."""
    return [_text(message["content"]) for message in request["messages"]]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def _label(chance: random.Random) -> str:
    return f"Look after matter {chance.randrange(10**6)} and see what comes of it"


def _tasks(last: str, chance: random.Random) -> str:
    count = _COUNT.search(last)
    tasks = [{"instruction": f"{_label(chance)}.", "quote": ""} for _ in range(int(count[1]) if count else 1)]
    return json.dumps(tasks)


def _verdict(chance: random.Random) -> str:
    yes = chance.random() < 0.8
    return json.dumps({"reason": "by the hash", "aligned": yes, "coherent": True, "natural": True, "reasonable": True})


def _action(last: str, chance: random.Random) -> str:
    page = last.rpartition("CURRENT PAGE:")[2]
    elements = _ELEMENT.findall(page)
    if not elements or last.count("\nACTION:") >= _STEPS or chance.random() < 0.05:
        return f'REASON: it is enough\nACTION: finish("{chance.randrange(9)}")'
    role, name, ref, _ = chance.choice(elements)
    if role in ("textbox", "searchbox"):
        return f'REASON: {name or role} is to be filled\nACTION: fill({ref}, "matter {chance.randrange(100)}")'
    if role == "combobox":
        options = re.findall(r'"([^"]+)"', page.partition(f"[{ref}]")[2].partition("\n")[0].rpartition(" of ")[2])
        if options:
            return f'REASON: one of {len(options)}\nACTION: select({ref}, "{chance.choice(options)}")'
    return f"REASON: to see where {name or role} leads\nACTION: click({ref})"
