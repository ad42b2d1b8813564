"""Takes what a page shows and what on it can be acted on, frames included: page/look.js asked in every document."""

from __future__ import annotations

import gc
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from playwright.async_api import ElementHandle, Frame, Page
from playwright.async_api import Error as PlaywrightError

from lbi.observations.tree import Node, fold

MAX_FRAMES = 40  # of one page that are looked into
_CALL = "window[Symbol.for('lbi.look')]"


@dataclass
class Look:
    """What was seen at one moment."""

    tree: Node  # the references of its nodes are keys of ``places``
    frames: list[Frame] = field(default_factory=list)
    behind: int = 0  # elements that cannot be used, as something lies over the whole page
    cut: int = 0  # elements that were not looked at, as there were too many


@cache
def look_script() -> str:
    """What runs in every document before its own scripts."""
    folder = files("lbi.environments.web").joinpath("page")
    script = folder.joinpath("look.js").read_text("utf-8")
    return script.replace("  // include password.js\n", folder.joinpath("password.js").read_text("utf-8"))


class NothingSeen(Exception):
    """The document was replaced meanwhile; look again."""


async def look(page: Page, evaluate: Callable[[str], Awaitable[Any]]) -> Look:
    """What a page shows; ``evaluate`` gives the value of a script in it. Raises NothingSeen, Playwright's Error."""
    text = await evaluate(f"{_CALL} ? {_CALL}.snapshot() : null")
    if text is None:  # a document that came before the script could be put into it
        await evaluate(look_script())
        text = await evaluate(f"{_CALL}.snapshot()")
    if not isinstance(text, str):
        raise NothingSeen
    holders: dict[int, Node] = {}
    with _kept():
        seen = json.loads(text)
        result = Look(Node("document"), [page.main_frame], seen["behind"], seen["cut"])
        result.tree.children = _nodes(seen["c"], 0, holders)
    if holders:
        await _frames(result, page.main_frame, 0, holders)
    return result


@contextmanager
def _kept() -> Iterator[None]:
    """All that is made meanwhile is kept, so that to look for garbage among it would take as long again."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


async def _frames(result: Look, parent: Frame, number: int, holders: dict[int, Node]) -> None:
    """Put what the frames within a document show into their places."""
    for child in parent.child_frames:
        if len(result.frames) >= MAX_FRAMES:
            return
        try:
            holder = await child.frame_element()
            at = await holder.evaluate("one => one.ownerDocument.defaultView[Symbol.for('lbi.look')].frameIndex(one)")
            node = holders.get(at)
            if node is None:
                continue
            text = await child.evaluate(f"() => {_CALL} ? {_CALL}.snapshot() : null")
            if text is None:
                await child.evaluate(look_script())
                text = await child.evaluate(f"() => {_CALL}.snapshot()")
        except PlaywrightError:
            continue  # it went away meanwhile
        seen = json.loads(text)
        result.frames.append(child)
        result.behind += seen["behind"]
        result.cut += seen["cut"]
        inner: dict[int, Node] = {}
        node.children = _nodes(seen["c"], len(result.frames) - 1, inner)
        if inner:
            await _frames(result, child, len(result.frames) - 1, inner)


def _nodes(items: list[Any], frame: int, holders: dict[int, Node]) -> list[Node]:
    """Nodes of what look.js wrote, without recursion, as pages nest deeply."""
    root: list[Node] = []
    pending: list[tuple[list[Any], list[Node]]] = [(items, root)]
    while pending:
        written, nodes = pending.pop()
        for item in written:
            if isinstance(item, str):
                if text := fold(item):
                    nodes.append(Node("text", text))
                continue
            name = item.get("n")
            node = Node(item["r"], fold(name) if name else "", block="b" in item)
            nodes.append(node)
            if not item.keys() <= _PLAIN:  # most nodes have nothing else
                _details(node, item, frame, holders)
            if children := item.get("c"):
                pending.append((children, node.children))
    return root


_PLAIN = frozenset({"r", "n", "b", "c"})


def _details(node: Node, item: dict[str, Any], frame: int, holders: dict[int, Node]) -> None:
    # pages have tens of thousands of nodes, and most have few of these
    if "i" in item:
        node.ref = f"{frame}:{item['i']}"
    if "u" in item:
        node.url = item["u"]
    if "v" in item:
        node.value = item["v"]
    if "o" in item:
        node.options = [(name, bool(chosen), group) for name, chosen, group, _ in item["o"]]
    if "s" in item:
        node.states = tuple(item["s"])
    if "l" in item:
        node.level = item["l"]
    if "t" in item:
        node.expects = item["t"]
    if "hint" in item:
        node.hint = item["hint"]
    if "g" in item:
        low, high = item["g"]
        node.range = f"{low} to {high}" if low and high else f"from {low}" if low else f"up to {high}"
    if "f" in item:
        node.files = item["f"]
    if "k" in item:
        node.accepts = item["k"]
    if "h" in item:
        node.behind = True
    if "frame" in item:
        holders[item["frame"]] = node


async def handle_of(frames: list[Frame], key: str, what: str = "place") -> ElementHandle | None:
    """The element behind a reference: ``place`` is where a pointer has to go, ``element`` the element itself.

    None if it is gone. Raises Playwright's Error.
    """
    number, _, identity = key.partition(":")
    found = await frames[int(number)].evaluate_handle(f"id => {_CALL}.{what}(id)", int(identity))
    return found.as_element()


async def ask(frames: list[Frame], key: str, what: str, *values: object) -> Any:
    """What ``aim``, ``facts`` or ``scroll`` of look.js says of an element. Raises Playwright's Error."""
    number, _, identity = key.partition(":")
    return await frames[int(number)].evaluate(
        f"([id, ...values]) => {_CALL}.{what}(id, ...values)", [int(identity or 0), *values]
    )
