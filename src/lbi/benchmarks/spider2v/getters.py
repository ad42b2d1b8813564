"""What a task's evaluator asks for, got from the desktop and the checkout: {"type": "vm_file", "path": ...} -> Got."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Iterator
from typing import Any

from lbi.benchmarks.spider2v.checkout import Checkout, Official
from lbi.benchmarks.spider2v.judge import Got, Sides
from lbi.benchmarks.spider2v.steps import Steps, read
from lbi.environments.desktop.session import DesktopSession
from lbi.errors import ScoreError

Json = dict[str, Any]
ADDRESS_BAR = "Address and search bar"


class Getters:
    """Of one desktop. Raises DesktopRefused and DesktopEnded, and ScoreError for a script that cannot run."""

    def __init__(self, checkout: Checkout, steps: Steps, session: DesktopSession) -> None:
        self._checkout, self._steps, self._session = checkout, steps, session

    async def sides(self, task: Official) -> Sides:
        """All that is compared, in the order in which the authors' environment asks: scripts may change files."""
        results, expected = [], []
        try:
            for result, want in zip(task.results, task.expected, strict=True):
                results.append(await self._got(result))
                expected.append(await self._got(want) if want else None)
        except (TypeError, ValueError, LookupError, AttributeError) as error:  # what it asks for may be anything
            raise ScoreError(f"its evaluator is none of Spider2-V's: {error!r}") from None
        return Sides(task, tuple(results), tuple(expected))

    async def _got(self, asked: Json) -> Got:
        known = {
            "rule": self._rule,
            "local_file": self._local_file,
            "vm_file": self._file,
            "vm_script_output": self._script,
            "dbt_profiles": self._profiles,
            "active_tab_info": self._tab,
            "validate_correct_url": self._address,
        }
        return await known[asked["type"]](asked)

    async def _rule(self, asked: Json) -> Got:
        return Got(value=asked["rules"])

    async def _local_file(self, asked: Json) -> Got:
        name = asked.get("dest") or posixpath.basename(asked["path"])
        return Got(name, await asyncio.to_thread(read, self._checkout, asked["path"]))

    async def _file(self, asked: Json) -> Got:
        name = asked.get("dest") or posixpath.basename(asked["path"])
        try:
            return Got(name, await self._session.sandbox.download(asked["path"]))
        except OSError:  # not there, or nothing that can be read: the agent's to have made
            return Got(name)

    async def _script(self, asked: Json) -> Got:
        return Got(value=await self._output(asked))

    async def _output(self, asked: Json) -> str:
        """What a script of the checkout prints. One that says nothing and fails has broken."""
        done = await self._steps.script(asked["src"], asked["dest"])
        if done["exit_code"] and not done["output"].strip():
            told = (done["errors"].strip().splitlines() or ["it said nothing"])[-1]
            raise ScoreError(f"{asked['src']} ended with {done['exit_code']}: {told[:200]}")
        return str(done["output"])

    async def _profiles(self, asked: Json) -> Got:
        """The first profiles.yml in the folders named; one of a variable is unknown, as their scripts set none."""
        for folder in asked["dirs"]:
            if not folder.startswith("$"):
                got = await self._file({"path": f"{folder}/profiles.yml", "dest": asked["dest"]})
                if got.content is not None:
                    return got
        return Got(asked["dest"])

    async def _tab(self, asked: Json) -> Got:
        address = await self._shown_address()
        return Got(value={"url": asked.get("goto_prefix", "https://") + address} if address else None)

    async def _address(self, asked: Json) -> Got:
        """Which of the parts that a script names are in the address of the page in front, told as the authors' does."""
        parts, address = (await self._output(asked)).split(","), await self._shown_address()
        if not address:
            return Got(value=None)
        url = asked.get("goto_prefix", "https://") + address
        told = [(part, part.strip().replace(":", "%3A").replace("+", "%2B") in url) for part in parts]
        return Got(value="".join(f"{part} check {'succeed' if there else 'failed'}；" for part, there in told))

    async def _shown_address(self) -> str:
        told = await self._session.ask("look")
        bars = [node for window in told["windows"] for node in _named(window, ADDRESS_BAR)]
        return str(bars[-1].get("text", "")) if bars else ""


def _named(node: Json, name: str) -> Iterator[Json]:
    if node["name"] == name:
        yield node
    for child in node["children"]:
        yield from _named(child, name)
