"""Trajectories of mini-swe-agent: one JSON object with messages, and what the agent did of each.

    {"trajectory_format": "mini-swe-agent-1.1", "info": {"exit_status": "Submitted", "mini_version": "2.4.6", ...},
     "messages": [{"role": "assistant", "content": ..., "extra": {"actions": [{"command": "ls"}], "cost": 0.01}},
                  {"role": "tool", "extra": {"returncode": 0, "raw_output": "a.py"}}, {"role": "exit", ...}]}

The commands that were run stand in ``extra``, whatever interface the model was asked by; version 1 of the program has
them in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lbi.interop.chat import returned, unknown_parts, words_of
from lbi.interop.events import Asked, Called, Ended, Event, Left, Outage, Returned, Said, Session, Spent, Unknown
from lbi.interop.source import Broken, Json, Source, items, table, text
from lbi.records import Usage

VERIFIED = "mini-swe-agent 2.4.6 (format 1.1), by a run of its own classes, 2026-11"

#: how an attempt can end that the agent itself brought about; anything else is the harness, the provider or a person
_OWN_ENDS = frozenset({"Submitted", "LimitsExceeded", "TimeExceeded", "RepeatedFormatError", "submitted", ""})
_FENCED = re.compile(r"```(?:bash|mswea_bash_command)\s*\n(.*?)\n```", re.DOTALL)
_TASK = re.compile(r"(?:<pr_description>|<task>)(.*?)(?:</pr_description>|</task>)", re.DOTALL)
_LEAD = re.compile(r"\APlease solve this (?:issue|task): ")


def likelihood(source: Source) -> float:
    lines = source.head()
    return 1.0 if lines and text(lines[0].get("trajectory_format")).startswith("mini-swe-agent") else 0.0


def read(source: Source) -> Iterator[Event]:
    document = source.document()
    info, messages = table(table(document).get("info")), table(document).get("messages")
    if not isinstance(messages, list):
        raise Broken("a trajectory of mini-swe-agent without messages")
    config = table(info.get("config"))
    model = text(table(config.get("model")).get("model_name"))
    folder = text(table(config.get("environment")).get("cwd"))
    yield Session(source.path.name.split(".")[0], "mini-swe-agent", text(info.get("mini_version")), model, folder)
    yield from _Messages().events(items(messages))
    yield from _end(info)


def _end(info: Json) -> Iterator[Event]:
    status = text(info.get("exit_status"))
    if status in ("Submitted", "submitted"):
        yield Ended(True, "")
    elif status not in _OWN_ENDS:
        yield Outage("interrupted" if "Interrupt" in status or status == "UserInterruption" else "harness", status)
    else:
        yield Ended(False)


class _Messages:
    """The messages of one attempt, in their order."""

    def __init__(self) -> None:
        self._asked = False
        self._waiting: list[str] = []  # calls without a result

    def events(self, messages: list[Json]) -> Iterator[Event]:
        for at, message in enumerate(messages):
            role = text(message.get("role"))
            yield from unknown_parts(message.get("content"))
            if message.get("object") == "response" or role == "assistant":
                yield from self._assistant(message, at)
            elif role == "system":
                yield Left("system message")
            elif role == "exit":
                yield Left("bookkeeping: exit")
            elif role == "user" and not self._asked:
                self._asked = True
                yield Asked(_task(words_of(message.get("content"))))
            elif role in ("user", "tool") or text(message.get("type")) == "function_call_output":
                yield from self._result(message)
            else:
                yield Unknown(f"message of role {role or 'none'}", message)

    def _assistant(self, message: Json, at: int) -> Iterator[Event]:
        content, extra = message.get("content"), table(message.get("extra"))
        if content is None:
            spoken = [item for item in items(message.get("output")) if item.get("type") == "message"]
            content = [part for item in spoken for part in items(item.get("content"))]
        words = words_of(content)
        actions = [text(action.get("command")) for action in items(extra.get("actions"))]
        actions = actions or [match.strip() for match in _FENCED.findall(words)]
        if said := _FENCED.sub("", words).replace("THOUGHT:", "").strip():
            yield Said(said)
        if not actions:
            yield Left("reply that the program could not read")
        for number, command in enumerate(actions):
            self._waiting.append(f"{at}/{number}")
            yield Called(self._waiting[-1], "bash", {"command": command}, str(at))
        cost = extra.get("cost")
        if isinstance(cost, int | float) and 0 <= cost < 1e9:
            yield Spent(str(at), Usage(calls=1, cost=float(cost)))

    def _result(self, message: Json) -> Iterator[Event]:
        if not self._waiting:
            yield Left("complaint about a reply that the program could not read")
            return
        call, extra = self._waiting.pop(0), table(message.get("extra"))
        if "returncode" not in extra:
            yield returned(call, words_of(message.get("content") or message.get("output")).strip())
            return
        output, failure = text(extra.get("raw_output")), text(extra.get("exception_info"))
        code = extra["returncode"]
        exit_code = code if isinstance(code, int) and not failure else None
        yield Returned(call, failure or output.rstrip("\n"), bool(failure), exit_code)


def _task(words: str) -> str:
    """The task within the instructions that the program puts around it."""
    told = _TASK.search(words)
    return (told[1] if told else _LEAD.sub("", words).split("\n\n<instructions>")[0]).strip()
