"""Has OSWorld's own getters and metrics judge a desktop: (task, open desktop) -> (score, reason).

They run in a sandbox of their own, as they read what an agent made; they reach the desktop's server and no more.
"""

from __future__ import annotations

import json
import posixpath
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lbi.benchmarks.osworld import judge
from lbi.benchmarks.osworld.evaluators import Evaluators
from lbi.benchmarks.osworld.interpreter import Interpreter
from lbi.benchmarks.osworld.task import TaskFile
from lbi.environments.desktop.serve import DesktopServer
from lbi.errors import EnvironmentFailure, ScoreError, UserError
from lbi.sandbox.backends import open_sandbox
from lbi.sandbox.one_address import OneAddress
from lbi.sandbox.protocol import MIB, Completed, Sandbox, SandboxLimits
from lbi.storage.tempdirs import OwnFolder

SECONDS = 240.0  # for the getters and metrics of a task; some compare films
LIMITS = SandboxLimits(memory_bytes=6144 * MIB, processes=512, disk_bytes=2048 * MIB, wall_seconds=SECONDS)
CACHE, REQUEST, VERDICT = "cache", "request.json", "verdict.json"


class Judges:
    """``screen`` is the desktop's width and height."""

    def __init__(self, interpreter: Interpreter, evaluators: Evaluators, screen: tuple[int, int]) -> None:
        self._interpreter, self._evaluators, self._screen = interpreter, evaluators, screen
        self._missing = evaluators.missing()

    async def score(self, task: TaskFile, server: DesktopServer, files: Mapping[str, bytes]) -> tuple[float, str]:
        """``files`` are those that a result is compared with, by the name under which getters look for them.

        Raises ScoreError where an evaluator raises or needs what is not installed, EnvironmentFailure where no sandbox
        can be made.
        """
        own = OwnFolder("judge")
        try:
            async with OneAddress(server.address, own.path) as site:
                binds = (*self._interpreter.binds, Path(judge.__file__), *site.binds)
                empty = own.path / "empty"
                empty.mkdir()
                async with open_sandbox(empty, limits=LIMITS, binds=tuple(dict.fromkeys(binds))) as sandbox:
                    return _read(await self._judged(task, sandbox, site, server, files))
        except (UserError, OSError) as error:
            raise EnvironmentFailure(f"no sandbox for the evaluators: {error}", kind="sandbox") from error
        finally:
            own.remove()

    async def _judged(
        self, task: TaskFile, sandbox: Sandbox, site: OneAddress, server: DesktopServer, files: Mapping[str, bytes]
    ) -> bytes:
        folder = sandbox.workdir
        for name, content in {".here": b"", **files}.items():
            await sandbox.upload(posixpath.join(folder, CACHE, name), content)
        request = json.dumps(self._request(task, posixpath.join(folder, CACHE), server)).encode()
        await sandbox.upload(posixpath.join(folder, REQUEST), request)
        python = str(self._interpreter.python)
        command = site.command(python, folder, [python, "-B", judge.__file__, REQUEST, VERDICT])
        done = await sandbox.run(shlex.join(command), wall_seconds=SECONDS)
        try:
            return await sandbox.download(posixpath.join(folder, VERDICT))
        except OSError:
            raise ScoreError(_ended(done)) from None

    def _request(self, task: TaskFile, cache: str, server: DesktopServer) -> dict[str, Any]:
        wanted = {
            "metrics": list(task.metrics),
            "getters": [f"get_{each['type']}" for each in task.looked_up],
        }
        functions = {
            kind: {
                name: [self._evaluators.module_of(kind, name), self._evaluators.function_of(kind, name)]
                for name in names
            }
            for kind, names in wanted.items()
        }
        return {
            "evaluators": str(self._evaluators.folder),
            "controller": (self._evaluators.folder / "controllers" / "python.py").is_file(),
            "missing": self._missing,
            "functions": functions,
            "evaluator": task.evaluator,
            "cache": cache,
            "screen": {"width": self._screen[0], "height": self._screen[1]},
            "port": int(server.address.rpartition(":")[2]),
        }


def _read(verdict: bytes) -> tuple[float, str]:
    try:
        said = json.loads(verdict)
        if "score" in said:
            return float(said["score"]), str(said["reason"])
        why = said.get("lacks") or f"{said['raised']}, in {said['where']}"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ScoreError(f"OSWorld's evaluators left no verdict that can be read: {error!r}") from None
    raise ScoreError(f"OSWorld's evaluator {'' if said.get('lacks') else 'raised '}{why}")


def _ended(done: Completed) -> str:
    if done.ended == "time":
        return f"OSWorld's evaluators did not end within {SECONDS:.0f} s"
    how = f"ended with {done.exit_code}" if done.ended == "exited" else f"were stopped ({done.ended})"
    return f"OSWorld's evaluators {how}: {' '.join(done.output.split())[-300:]}"
