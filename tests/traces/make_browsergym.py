"""Writes an episode by a tiny real run of BrowserGym: its environment on a page of ours, and its records of steps.

    python make_browsergym.py OUT_FOLDER CHROMIUM
    (tried with browsergym-core and browsergym-experiments 0.14.3): OUT_FOLDER/browsergym/step_N.pkl.gz and others

AgentLab keeps episodes with the same classes, and observations prepared in this way.
"""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import browsergym.core.env as core
from browsergym.core.action.highlevel import HighLevelActionSet
from browsergym.core.task import OpenEndedTask
from browsergym.experiments.loop import EnvArgs, StepInfo
from browsergym.utils.obs import flatten_axtree_to_str

FORM = """<title>Shelf</title><h1>Shelf</h1><a href="/">Home</a><form action="/saved"><label>Colour
<input name="colour"></label><label>Size <select name="size"><option>small<option>large</select></label>
<button>Save</button></form>"""
#: what a scripted agent does: (why, what), elements by their roles and names
SCRIPT = [
    ("The colour is red.", 'fill("{textbox Colour}", "red")'),
    ("The shelf is large.", 'select_option("{combobox Size}", "large")'),
    ("", 'click("{button Save}")'),
    ("It is saved.", 'send_msg_to_user("The shelf is red and large.")'),
]


class NoChat:
    """Stands in for BrowserGym's chat window: takes messages and shows none."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.messages: list[dict[str, Any]] = []

    def add_message(self, role: str, msg: str) -> None:
        self.messages.append({"role": role, "timestamp": 0.0, "message": msg})

    def wait_for_user_message(self) -> None:
        return None

    def close(self) -> None:
        return None


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        saved = f"<title>Saved</title><h1>Saved</h1><p>A {query.get('colour', ['?'])[0]} shelf</p><a href='/'>Home</a>"
        page = (saved if self.path.startswith("/saved") else FORM).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: Any) -> None:
        return None


def prepared(obs: dict[str, Any]) -> dict[str, Any]:
    """What AgentLab keeps of an observation."""
    obs["axtree_txt"] = flatten_axtree_to_str(obs["axtree_object"], obs["extra_element_properties"])
    for key in ("dom_object", "axtree_object", "extra_element_properties", "screenshot"):
        obs.pop(key, None)
    obs["elapsed_time"] = [0.0]
    return obs


def pointed(action: str, tree: str) -> str:
    """The action with the id of the element that has this role and name."""
    if "{" not in action:
        return action
    role, name = action[action.index("{") + 1 : action.index("}")].split()
    line = next(line for line in tree.splitlines() if f"{role} '{name}" in line)
    return action.replace(f"{{{role} {name}}}", line[line.index("[") + 1 : line.index("]")])


def main(out: Path, chromium: str) -> None:
    server = HTTPServer(("127.0.0.1", 8479), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    core.Chat = NoChat
    env = core.BrowserEnv(
        task_entrypoint=OpenEndedTask,
        task_kwargs={"start_url": "http://127.0.0.1:8479/", "goal": "Make the shelf red and large."},
        headless=True,
        pw_chromium_kwargs={"executable_path": chromium},
        action_mapping=HighLevelActionSet(subsets=["chat", "nav", "bid"], strict=False).to_python_code,
    )
    folder = out / "browsergym"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    steps = [StepInfo(step=0)]
    steps[0].from_reset(env, seed=1, obs_preprocessor=prepared)
    for number, (why, action) in enumerate(SCRIPT):
        now = steps[-1]
        now.action, now.agent_info = pointed(action, now.obs["axtree_txt"]), {"think": why}
        now.save_step_info(folder)
        steps.append(StepInfo(step=number + 1))
        time.sleep(0.2)
        steps[-1].from_step(env, now.action, obs_preprocessor=prepared)
    steps[-1].terminated = True
    steps[-1].save_step_info(folder)
    env.close()
    task = EnvArgs(task_name="openended", task_seed=1)
    summary = {"n_steps": len(SCRIPT), "cum_reward": 0, "terminated": True, "truncated": False, "err_msg": None}
    (folder / "summary_info.json").write_text(json.dumps({**summary, "stats.task": task.task_name}))
    server.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2])
