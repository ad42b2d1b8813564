"""The environment of one task, kept open between the commands of an agent that has a shell and no pages.

    python -m lbi.interop.packs.session FOLDER     opens it, and answers at FOLDER/session.sock until it is not needed
    python -m lbi.interop.packs.ask FOLDER look    (lbi.interop.packs.ask) asks it

FOLDER has ``task.json`` and ``config.json`` (lbi.interop.packs.write). A request and a reply are a line of JSON each.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lbi.config import resolve
from lbi.environments import open_environments
from lbi.environments._timeouts import open_with_timeouts
from lbi.errors import EnvironmentFailure, LbiError, ScoreError
from lbi.protocols import Environment
from lbi.records import Check, Observation, Task

SOCKET = "session.sock"
APPLICATION = "application.toml"  # of one that is not shipped
IDLE = 3600.0  # seconds without a request, after which nobody needs it any more
LONGEST = 1 << 20  # bytes of a request


class Session:
    """One episode. Replies are what is printed to the agent."""

    def __init__(self, environment: Environment, task: Task) -> None:
        self._environment, self._task = environment, task
        self._seen = Observation(text="")
        self._answer = ""
        self._done = False

    async def start(self) -> None:
        self._seen = await self._environment.reset(self._task)

    async def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """{"text": what is to be read, "ok": whether the request was understood}; of a score, {"score", "reason"}.

        Raises EnvironmentFailure where the application fails.
        """
        what = request.get("do")
        if what == "look":
            return {"text": page_text(self._seen), "ok": True}
        if what == "act":
            return await self._act(str(request.get("action", "")))
        if what == "score":
            return await self._score(dict(request.get("check") or {}))
        return {"text": f"there is no {what!r}; there are look, do and score", "ok": False}

    async def _act(self, action: str) -> dict[str, Any]:
        if self._done:
            return {"text": "The task is finished; nothing more is done.", "ok": False}
        outcome = await self._environment.step(action)
        self._seen = outcome.observation
        if outcome.done:
            self._done, self._answer = True, outcome.answer
            return {"text": "Finished.", "ok": True}
        return {"text": page_text(self._seen), "ok": not self._seen.error}

    async def _score(self, check: dict[str, Any]) -> dict[str, Any]:
        if digest := check.pop("digest", ""):
            same = self._seen.digest == digest
            return {"score": float(same), "reason": "" if same else "the state is another"}
        task = self._task.model_copy(update={"check": Check.model_validate(check)})
        try:
            score, reason = await self._environment.score(task, self._answer)
        except ScoreError as error:
            return {"text": f"it cannot be scored: {error}", "ok": False}
        return {"score": score, "reason": reason}


def page_text(seen: Observation) -> str:
    """An observation as it is printed."""
    parts = [f"ERROR: {seen.error}" if seen.error else "", f"URL: {seen.url}" if seen.url else ""]
    parts += [f"Title: {seen.title}" if seen.title else "", seen.text]
    return "\n".join(filter(None, parts))


class _Server:
    """Answers one request after the other."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._one_at_a_time = asyncio.Lock()
        self.last = time.monotonic()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            reply = await self._reply(await reader.readline())
            writer.write(json.dumps(reply, ensure_ascii=False).encode() + b"\n")
            await writer.drain()

    async def _reply(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except ValueError:
            return {"text": "that is no JSON", "ok": False}
        async with self._one_at_a_time:
            self.last = time.monotonic()
            try:
                return await self._session.answer(request)
            except (EnvironmentFailure, ValueError) as error:
                return {"text": f"the application failed: {error}", "ok": False, "failed": True}


async def serve(folder: Path, idle: float = IDLE) -> None:
    """Until nobody has asked for a while, or the folder is gone."""
    task = Task.model_validate_json((folder / "task.json").read_bytes())
    told = json.loads((folder / "config.json").read_bytes())
    if (folder / APPLICATION).is_file():
        told["application"] = str(folder / APPLICATION)
    config = resolve(told, str(folder / "config.json"))
    os.chdir(folder)  # the address of a socket may have 107 bytes
    socket = Path(SOCKET)
    with tempfile.TemporaryDirectory(prefix="lbi-session-") as images:

        def save_image(png: bytes) -> str:
            (Path(images) / "last.png").write_bytes(png)
            return "last"

        environments = open_environments(config, save_image)
        environment = await open_with_timeouts(environments)
        try:
            session = Session(environment, task)
            await session.start()
            server = _Server(session)
            part = Path(f".{SOCKET}")
            part.unlink(missing_ok=True)
            async with await asyncio.start_unix_server(server, part, limit=LONGEST):
                part.rename(socket)  # it is there as soon as there is somebody to answer
                # nobody tells when the folder is gone
                while socket.exists() and time.monotonic() - server.last < idle:  # noqa: ASYNC110
                    await asyncio.sleep(1)
        finally:
            socket.unlink(missing_ok=True)
            await environment.close()
            await environments.close()


def main() -> int:
    try:
        asyncio.run(serve(Path(sys.argv[1]).absolute()))
    except (LbiError, OSError) as error:
        print(f"the application cannot be opened: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
