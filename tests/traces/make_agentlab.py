"""Writes an episode by a tiny real run of AgentLab: its experiment loop, its records, its preparation of observations.

    python make_agentlab.py OUT_FOLDER CHROMIUM
    (tried with agentlab 0.4.2 and browsergym 0.14.3): OUT_FOLDER/agentlab/step_N.pkl.gz and others

The page, the scripted agent's actions and the stand-in for the chat window are those of make_browsergym.py. AgentLab
counts tokens with a table that it fetches; here four characters are one.
"""

from __future__ import annotations

import shutil
import sys
import threading
from dataclasses import dataclass
from http.server import HTTPServer
from pathlib import Path
from typing import Any

import agentlab.experiments.loop as loop
import bgym
import browsergym.core.env as core
from agentlab.agents.dynamic_prompting import ObsFlags, make_obs_preprocessor
from browsergym.core.registration import register_task
from browsergym.core.task import OpenEndedTask
from make_browsergym import SCRIPT, NoChat, Pages, pointed

#: of an experiment's folder; the others are logs, screenshots and a pickle with the folder's path
KEPT = ("step_*.pkl.gz", "goal_object.pkl.gz", "summary_info.json")


class Shelf(OpenEndedTask):  # type: ignore[misc]
    """Done when the agent says so, as the tasks of benchmarks are."""

    def validate(self, page: Any, chat_messages: list[dict[str, Any]]) -> tuple[float, bool, str, dict[str, Any]]:
        done = sum(message["role"] == "assistant" for message in chat_messages) > 1  # the chat opens with a greeting
        return float(done), done, "", {}


class Patient(bgym.HighLevelActionSet):  # type: ignore[misc]
    """Half a second for an action is short where others work, too."""

    def to_python_code(self, action: str) -> str:
        return str(super().to_python_code(action)).replace("timeout=500", "timeout=30000")


class Scripted(bgym.Agent):  # type: ignore[misc]
    """Does what SCRIPT says."""

    action_set = Patient(subsets=["chat", "nav", "bid"], strict=False)

    def __init__(self) -> None:
        self.obs_preprocessor = make_obs_preprocessor(ObsFlags(use_ax_tree=True))
        self._left = list(SCRIPT)

    def get_action(self, obs: dict[str, Any]) -> tuple[str, bgym.AgentInfo]:
        why, action = self._left.pop(0)
        return pointed(action, obs["axtree_txt"]), bgym.AgentInfo(think=why)


@dataclass
class ScriptedArgs(loop.AbstractAgentArgs):  # type: ignore[misc]
    def make_agent(self) -> Scripted:
        return Scripted()


def main(out: Path, chromium: str) -> None:
    server = HTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    core.Chat, loop.count_tokens = NoChat, lambda text, *_: len(text) // 4
    where = {"start_url": f"http://127.0.0.1:{server.server_port}/", "goal": "Make the shelf red and large."}
    register_task(
        "shelf",
        Shelf,
        default_task_kwargs=where,
        kwargs={"pw_chromium_kwargs": {"executable_path": chromium}},
    )
    environment = loop.EnvArgs(task_name="shelf", task_seed=1, max_steps=10)
    experiment = loop.ExpArgs(agent_args=ScriptedArgs(), env_args=environment)
    experiment.prepare(out / "experiments")
    experiment.run()
    folder = out / "agentlab"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in (file for pattern in KEPT for file in Path(experiment.exp_dir).glob(pattern)):
        shutil.copy(file, folder)
    server.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2])
