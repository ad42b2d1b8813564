"""A checkout in OSWorld's format with tasks and evaluators of our own, so that nothing of others is needed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HUB = "https://hub.example/datasets/own/file_cache/resolve/main"
#: getters and metrics under the names that OSWorld has, loaded as its own are
GETTERS = """
import json
import os
from urllib.request import Request, urlopen

import pydrive_that_nobody_has


def get_rule(env, config):
    return config["rules"]


def get_vm_file(env, config):
    content = env.controller.get_file(config["path"])
    if content is None:
        return None
    path = os.path.join(env.cache_dir, config["dest"])
    with open(path, "wb") as file:
        file.write(content)
    return path


def get_cloud_file(env, config):
    path = os.path.join(env.cache_dir, config["dest"])
    assert os.path.exists(path), "it would have to be fetched from the hub"
    return path


def get_cache_file(env, config):
    with open(os.path.join(env.cache_dir, config["path"])) as file:
        return file.read()


def get_vm_command_line(env, config):
    asked = json.dumps({"command": config["command"], "shell": config.get("shell", False)}).encode()
    address = f"http://{env.vm_ip}:{env.server_port}/execute"
    with urlopen(Request(address, asked, {"Content-Type": "application/json"})) as answer:
        return json.loads(answer.read())["output"]


def get_reader(env, config):
    return pydrive_that_nobody_has.open(config)
"""
METRICS = """
import easyocr
from desktop_env.evaluators.metrics.lines import as_lines


def exact_match(result, rules):
    return 1.0 if result == rules["expected"] else 0.0


def check_include_exclude(result, rules):
    wanted = all(each in result for each in rules["include"])
    return 1.0 if wanted and not any(each in result for each in rules["exclude"]) else 0.0


def compare_text_file(result, expected, **options):
    if result is None:
        return 0.0
    return 1.0 if as_lines(result, options) == as_lines(expected, options) else 0.0


def compare_image_text(result, rules):
    return easyocr.Reader(["en"]).readtext(result) == rules["text"]


def diff_text_file(result, expected):
    raise KeyError("a column that is not there")
"""
LINES = """
def as_lines(path, options):
    with open(path) as file:
        text = file.read()
    return text.split() if options.get("ignore_blanks") else text.splitlines()
"""
FOLDER = {
    "instruction": "Rename the folder old on the desktop to new.",
    "config": [
        {
            "type": "execute",
            "parameters": {"command": "echo {CLIENT_PASSWORD} | sudo -S mkdir ~/Desktop/old", "shell": True},
        }
    ],
    "evaluator": {
        "func": "exact_match",
        "result": {"type": "vm_command_line", "command": "[ -d ~/Desktop/new ] && echo yes || echo no", "shell": True},
        "expected": {"type": "rule", "rules": {"expected": "yes\n"}},
    },
}
NOTE = {
    "instruction": "Add the line 'new ropes' to the note on the desktop.",
    "config": [
        {
            "type": "download",
            "parameters": {"files": [{"url": f"{HUB}/editor/note/note.txt", "path": "/home/user/Desktop/note.txt"}]},
        },
        {"type": "open", "parameters": {"path": "/home/user/Desktop/note.txt"}},
    ],
    "evaluator": {
        "postconfig": [
            {"type": "activate_window", "parameters": {"window_name": "note.txt"}},
            {"type": "sleep", "parameters": {"seconds": 0.5}},
            {
                "type": "execute",
                "parameters": {"command": ["python", "-c", "import pyautogui; pyautogui.hotkey('ctrl', 's')"]},
            },
            {
                "type": "execute",
                "parameters": {"command": ["cat", "/home/user/Desktop/note.txt"], "stdout": "said.txt"},
            },
        ],
        "func": ["compare_text_file", "check_include_exclude"],
        "result": [
            {"type": "vm_file", "path": "/home/user/Desktop/note.txt", "dest": "note.txt"},
            {"type": "cache_file", "path": "said.txt"},
        ],
        "expected": [
            {"type": "cloud_file", "path": f"{HUB}/editor/note/note_gold.txt", "dest": "note_gold.txt"},
            {"type": "rule", "rules": {"include": ["new ropes"], "exclude": []}},
        ],
        "options": [{"ignore_blanks": True}, {}],
    },
}
LIST = {
    "instruction": "Sort the list on the desktop.",
    "config": [
        {
            "type": "download",
            "parameters": {"files": [{"url": f"{HUB}/editor/list/list.txt", "path": "/home/user/Desktop/list.txt"}]},
        }
    ],
    "evaluator": {
        "func": "compare_text_file",
        "result": {"type": "vm_file", "path": "/home/user/Desktop/list.txt", "dest": "list.txt"},
        "expected": {"type": "cloud_file", "path": f"{HUB}/editor/list/sorted.txt", "dest": "sorted.txt"},
    },
}
FILES = {
    "editor/note/note.txt": "order a pump\n",
    "editor/note/note_gold.txt": "order a pump\nnew ropes\n",
    "editor/list/list.txt": "b\na\n",
    "editor/list/sorted.txt": "a\nb\n",
}


def judged_by(name: str, **more: Any) -> dict[str, Any]:
    evaluator = {**FOLDER["evaluator"], "func": name}  # type: ignore[dict-item]
    return {**FOLDER, "evaluator": evaluator, **more}


def _launches(*command: str) -> list[dict[str, Any]]:
    return [{"type": "launch", "parameters": {"command": [*command]}}]


TASKS: dict[str, dict[str, Any] | str] = {
    "os/folder": FOLDER,
    "editor/note": NOTE,
    "editor/list": LIST,
    "os/cannot": {"instruction": "Make the desktop fly.", "config": [], "evaluator": {"func": "infeasible"}},
    "os/raises": judged_by("diff_text_file"),
    "os/not-started": {**FOLDER, "config": _launches("gimp", "--no-such-option")},
    "os/unknown": judged_by("compare_dreams"),
    "os/reads-pictures": judged_by("compare_image_text"),
    "os/step": {**FOLDER, "config": [{"type": "teleport", "parameters": {}}]},
    "os/account": {**FOLDER, "config": [{"type": "googledrive", "parameters": {"settings_file": "x"}}]},
    "os/live": {
        **FOLDER,
        "config": [{"type": "chrome_open_tabs", "parameters": {"urls_to_open": ["https://shop.example/x"]}}],
    },
    "os/gnome": {**FOLDER, "config": _launches("gsettings", "get", "org.gnome.desktop.interface", "gtk-theme")},
    "os/mail": {**FOLDER, "related_apps": ["picard"]},
    "os/no-evaluator": {"instruction": "Something.", "config": []},
    "os/no-json": "{",
    "editor/no-files": json.loads(json.dumps(LIST).replace("editor/list", "editor/no-files")),
}


def write_checkout(folder: Path, *, only: tuple[str, ...] = (), listed: tuple[str, ...] = ()) -> Path:
    """The checkout with its files and evaluators, and the file that names all of it; returns that."""
    checkout = folder / "checkout"
    names = only or tuple(TASKS)
    for name in names:
        task = TASKS[name]
        file = checkout / "evaluation_examples" / "examples" / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        whole = {"id": name.rpartition("/")[2], "related_apps": [], **task} if isinstance(task, dict) else task
        file.write_text(whole if isinstance(whole, str) else json.dumps(whole), "utf-8")
    lists: dict[str, list[str]] = {}
    for name in (*names, *listed):
        lists.setdefault(name.partition("/")[0], []).append(name.partition("/")[2])
    (checkout / "evaluation_examples" / "test_all.json").write_text(json.dumps(lists), "utf-8")
    (checkout / "evaluation_examples" / "test_small.json").write_text(json.dumps({"os": ["folder"]}), "utf-8")
    for path, text in {"getters/all.py": GETTERS, "metrics/general.py": METRICS, "metrics/lines.py": LINES}.items():
        _write(checkout / "desktop_env" / "evaluators" / path, text)
    for path, text in FILES.items():
        _write(folder / "files" / path, text)
    for kind, module in (("getters", "all"), ("metrics", "general")):
        # as theirs do, it loads more than is wanted
        _write(
            checkout / "desktop_env" / "evaluators" / kind / "__init__.py",
            f"import torch_that_nobody_has\nfrom .{module} import *\n",
        )
    settings = folder / "suite.toml"
    settings.write_text(
        f"checkout = 'checkout'\nfiles = ['files']\npython = {json.dumps(sys.executable)}\nevaluators = 'checkout'\n",
        "utf-8",
    )
    return settings


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
