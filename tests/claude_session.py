"""Sessions as Claude Code writes them, line by line; the program itself is not run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = "/home/carla/shop"


class ClaudeSession:
    """Each method adds what the program would write, below the line before; ``write`` makes the file."""

    def __init__(self, name: str = "3f2a0001-0000-4000-8000-000000000001", **base: Any) -> None:
        self.base = {
            "sessionId": name,
            "version": "2.1.230",
            "cwd": FOLDER,
            "isSidechain": False,
            "entrypoint": "cli",
            "gitBranch": "main",
            **base,
        }
        self.lines: list[dict[str, Any]] = []
        self.last: str | None = None
        self._number = self._reply = 0

    def add(self, type_: str, message: dict[str, Any] | None = None, **more: Any) -> str:
        """A line below the last one, or below ``parent``; returns its uuid."""
        self._number += 1
        uuid = f"u{self._number:04d}"
        parent = more.pop("parent", self.last)
        line = {**self.base, "type": type_, "uuid": uuid, "parentUuid": parent, "timestamp": "2026-11-20T10:00:00Z"}
        self.lines.append({**line, **({"message": message} if message else {}), **more})
        self.last = uuid
        return uuid

    def raw(self, **line: Any) -> None:
        """A line outside the tree."""
        self.lines.append(line)

    def ask(self, text: Any, **more: Any) -> str:
        return self.add("user", {"role": "user", "content": text}, **more)

    def reply(self, *blocks: dict[str, Any], tokens: int = 40, **more: Any) -> str:
        """One reply of the model: a line for each block, the usage of all but the last unfinished."""
        self._reply += 1
        for at, block in enumerate(blocks):
            usage = {"input_tokens": 10, "output_tokens": tokens if at == len(blocks) - 1 else 1}
            usage["cache_read_input_tokens"] = 900
            message = {"id": f"msg_{self._reply}", "role": "assistant", "content": [block], "usage": usage}
            self.add("assistant", message, **(more if at == 0 else {}))
        return self.last or ""

    def result(self, call: str, content: Any, failed: bool = False, **more: Any) -> str:
        block = {"type": "tool_result", "tool_use_id": call, "content": content, "is_error": failed}
        return self.add("user", {"role": "user", "content": [block]}, **more)

    def do(self, text: str, tool: str, given: dict[str, Any], result: Any, failed: bool = False) -> str:
        """A call with its result; returns the uuid of the result's line."""
        call = f"toolu_{self._number}"
        said = [{"type": "text", "text": text}] if text else []
        self.reply(*said, {"type": "tool_use", "id": call, "name": tool, "input": given})
        return self.result(call, result, failed)

    def say(self, text: str) -> str:
        return self.reply({"type": "text", "text": text}, tokens=9)

    def write(self, file: Path, end: str = "\n") -> Path:
        file.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in self.lines) + end)
        return file


def usual(**base: Any) -> ClaudeSession:
    """A mistake that is looked for, corrected and released."""
    session = ClaudeSession(**base)
    session.raw(type="summary", summary="The total", leafUuid="u0001")
    session.ask("The total of an order with a discount is wrong. Correct it.")
    session.do("Let me run the tests.", "Bash", {"command": f"cd {FOLDER} && pytest -q"}, "Exit code 1\n1 failed", True)
    session.do("", "Read", {"file_path": f"{FOLDER}/total.py"}, "1\treturn sum(items) - discount / 2")
    edit = {"file_path": f"{FOLDER}/total.py", "old_string": "discount / 2", "new_string": "discount"}
    session.do("The discount is halved.", "Edit", edit, "The file has been updated.")
    session.do("", "Bash", {"command": "pytest -q"}, "1 passed")
    session.say("The discount was halved; now the tests pass.")
    session.ask("Now make a ticket for its release.")
    session.do("", "mcp__tracker__create_ticket", {"title": "Release 1.2", "labels": ["release"]}, "Created ticket 12")
    session.say("It is ticket 12.")
    return session
