"""Measures BrowserGym's own environment on given pages: one line of JSON with the seconds of each reset, load and fill.

Run by performance/web.py, in a virtual environment with BrowserGym. Its chat window, a second browser, is left out,
which is in BrowserGym's favour.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import browsergym.core.env as core  # type: ignore[import-not-found]
from browsergym.core.action.highlevel import HighLevelActionSet  # type: ignore[import-not-found]
from browsergym.core.task import OpenEndedTask  # type: ignore[import-not-found]


class NoChat:
    """Stands in for BrowserGym's chat window: takes messages and shows none."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.messages: list[dict[str, Any]] = []

    def add_message(self, role: str, msg: str) -> None:
        self.messages.append({"role": role, "timestamp": time.time(), "message": msg})

    def close(self) -> None:
        """Nothing is open."""


def text_box(observation: dict[str, Any]) -> str:
    """Id of the first text box."""
    for node in observation["axtree_object"]["nodes"]:
        if node["role"]["value"] in ("textbox", "searchbox") and node.get("browsergym_id"):
            return str(node["browsergym_id"])
    raise SystemExit("no text box on the page")


def main() -> None:
    base, paths, rounds, chromium = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    core.Chat = NoChat
    env = core.BrowserEnv(
        task_entrypoint=OpenEndedTask,
        task_kwargs={"start_url": base + paths[0], "goal": "measure"},
        headless=True,
        pw_chromium_kwargs={"executable_path": chromium} if chromium else {},
        action_mapping=HighLevelActionSet(subsets=["nav", "bid"]).to_python_code,
    )
    seconds: dict[str, list[float]] = {"reset": [], "load": [], "fill": [], "failed": []}

    def timed(kind: str, call: Any, *arguments: Any) -> Any:
        start = time.perf_counter()
        result = call(*arguments)
        seconds[kind].append(time.perf_counter() - start)
        return result[0]

    for _ in range(rounds):
        timed("reset", env.reset)
        for path in paths:
            observation = timed("load", env.step, f'goto("{base}{path}")')
        box = text_box(observation)
        for number in range(len(paths)):
            observation = timed("fill", env.step, f'fill("{box}", "text {number}")')
            if observation["last_action_error"]:  # its actions give up after half a second
                seconds["failed"].append(seconds["fill"][-1])
    env.close()
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
