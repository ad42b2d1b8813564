"""Episodes of BrowserGym and AgentLab: a folder with a packed record for each step.

    step_0.pkl.gz        StepInfo(action="fill('8', 'red')", agent_info={"think": ...}, obs={"goal": ..., "axtree_txt":
                         "RootWebArea 'Shelf' ...", "url": ..., "last_action_error": ""}, terminated=False)
    summary_info.json    {"n_steps": 4, "cum_reward": 1.0, "err_msg": null, ...}

The records are pickles, which are read without running anything that they name. Elements are known by their roles and
names, as on pages of our own; pictures are left out.
"""

from __future__ import annotations

import ast
import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lbi.interop.axtree import PageElement, TreePage, page_of, path_of
from lbi.interop.events import Asked, Called, Ended, Event, Left, Outage, Returned, Said, Session
from lbi.interop.inert_pickle import fields_of, read_pickle
from lbi.interop.source import LARGEST_DOCUMENT, Broken, Source, table, text
from lbi.records import Action

VERIFIED = "AgentLab 0.4.2, browsergym-core and -experiments 0.14.3, each by a run of its own, 2026-11"

_STEP = re.compile(r"step_(\d+)\.pkl\.gz")
#: failures of browser and network that an action's error tells of; a page's own are the agent's
_OUTAGE = re.compile(r"net::ERR_|(?:Target|page|context|browser).{0,40}(?:closed|crashed)|ECONN", re.IGNORECASE)
#: actions on an element by its id: ours, and which argument is the value
_ON_ELEMENTS = {
    "click": "click",
    "dblclick": "click",
    "hover": "hover",
    "fill": "fill",
    "clear": "fill",
    "select_option": "select",
    "press": "press",
    "focus": "hover",
    "check": "click",
    "uncheck": "click",
    "upload_file": "upload",
}
_ENDS = ("send_msg_to_user", "report_infeasible")
_PLAIN = {"go_back": "back", "go_forward": "forward", "noop": "wait"}


def likelihood(source: Source) -> float:
    return 1.0 if source.path.is_dir() and (source.path / "step_0.pkl.gz").is_file() else 0.0


def read(source: Source) -> Iterator[Event]:
    folder = source.path
    if not folder.is_dir():
        raise Broken("an episode of BrowserGym is a folder with step_0.pkl.gz in it")
    yield Session(folder.name, "browsergym", model="")
    before: TreePage | None = None
    waiting = ""
    for at, file in _steps(folder):
        step = _record(source, file)
        observation = fields_of(step.get("obs"))
        if not observation:
            yield Left("step without an observation", line=at)
            continue
        page = _page(observation)
        if before is None:
            yield Asked(_goal(observation, folder), page.observation, line=at)
        elif waiting:
            error = page.observation.error
            outage = "environment" if _OUTAGE.search(error) else ""
            yield Returned(waiting, "", outage=outage, page=page.observation, line=at)
        before, waiting = page, str(at)
        action = text(step.get("action")).strip()
        acted = list(_act(action, step, page, waiting, at)) if action else []
        yield from acted
        if not action or isinstance(acted[-1], Ended):
            break
    yield from _end(source, folder)


def _steps(folder: Path) -> list[tuple[int, Path]]:
    found = [(match, file) for file in folder.iterdir() if (match := _STEP.fullmatch(file.name))]
    return sorted((int(match[1]), file) for match, file in found)


def _record(source: Source, file: Path) -> dict[str, Any]:
    try:
        with gzip.open(file) as opened:
            return fields_of(read_pickle(opened.read(LARGEST_DOCUMENT)))
    except (OSError, EOFError, ValueError):
        source.left_out["step that cannot be unpacked"] += 1
        return {}


def _goal(observation: dict[str, Any], folder: Path) -> str:
    if goal := text(observation.get("goal")).strip():
        return goal
    try:
        with gzip.open(folder / "goal_object.pkl.gz") as opened:
            parts = read_pickle(opened.read(LARGEST_DOCUMENT))
    except (OSError, EOFError, ValueError):
        return ""
    listed = parts if isinstance(parts, list | tuple) else []
    return "\n".join(text(table(part).get("text")) for part in listed if table(part).get("type") == "text")


def _page(observation: dict[str, Any]) -> TreePage:
    tree, url = text(observation.get("axtree_txt")), text(observation.get("url"))
    title = re.match(r"RootWebArea '((?:[^'\\]|\\.)*)'", tree)
    error = " ".join(text(observation.get("last_action_error")).split())[:500]
    return page_of(tree or text(observation.get("pruned_html")), url, title[1] if title else "", error)


def _end(source: Source, folder: Path) -> Iterator[Event]:
    file = folder / "summary_info.json"
    summary = table(source.document(file)) if file.is_file() else {}
    if summary.get("err_msg"):
        yield Outage("harness", text(summary["err_msg"]))
    elif summary.get("truncated"):
        yield Ended(False)


def _act(written: str, step: dict[str, Any], page: TreePage, call: str, at: int) -> Iterator[Event]:
    told = fields_of(step.get("agent_info"))
    if why := text(told.get("think")).strip():
        yield Said(why, line=at)
    name, arguments = _read(written)
    if name in _ENDS:
        answer = text(arguments[0]) if arguments else ""
        yield Ended(True, answer if name == _ENDS[0] else f"N/A: {answer}", line=at)
        return
    yield Called(call, name or "act", written, call, _action(written, name, arguments, page), line=at)


def _read(written: str) -> tuple[str, list[Any]]:
    """The name and the arguments of a single call; "" for anything else."""
    try:
        body = ast.parse(written.strip("` \n")).body
        call = body[0].value if len(body) == 1 and isinstance(body[0], ast.Expr) else None
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            return "", []
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        return call.func.id, [ast.literal_eval(each) for each in given]
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return "", []


def _action(written: str, name: str, arguments: list[Any], page: TreePage) -> Action:
    """Ours, by role and name; what has no counterpart is a command of its own."""
    element = page.elements.get(str(arguments[0])) if arguments else None
    if name in _ON_ELEMENTS and element is not None:
        value = arguments[1] if len(arguments) > 1 and name not in ("click", "dblclick") else ""
        shown = "\n".join(map(str, value)) if isinstance(value, list) else str(value)
        return _on(written, _ON_ELEMENTS[name], element, shown)
    if name == "drag_and_drop" and element is not None and len(arguments) > 1:
        onto = page.elements.get(str(arguments[1]))
        return _on(written, "drag", element, f'{onto.role} "{onto.name}"' if onto else "")
    if name == "goto" and arguments:
        return Action(text=written, kind="goto", value=path_of(str(arguments[0])))
    if name == "keyboard_press" and arguments:
        return Action(text=written, kind="press", value=str(arguments[0]))
    if name == "scroll" and len(arguments) > 1:
        down = isinstance(arguments[1], int | float) and arguments[1] > 0
        return Action(text=written, kind="scroll", value="down" if down else "up")
    if name in _PLAIN:
        return Action(text=written, kind=_PLAIN[name])
    return Action(text=written, kind="run", name=name, value=written)


def _on(written: str, kind: str, element: PageElement, value: str) -> Action:
    return Action(text=written, kind=kind, role=element.role, name=element.name, nth=element.nth, value=value)
