"""A page and its observation -> the share of what the browser knows can be acted on that has a reference, and the gaps.

The browser is asked by the debugging protocol (page/actionable.js, which shares nothing with look.js), by these rules:

- *Can be acted on*: links and areas with an address, form controls, summaries, players with controls, labels of a
  control; editable regions; elements that listen to the pointer's buttons or to keys, by attribute or by script;
  ``draggable="true"``; a ``tabindex`` of 0 or more; and where a pointing hand begins (its parent has another cursor).
  Never the document, ``html`` or ``body``; nothing that is disabled, inert, not drawn, transparent, or that no press
  would hit once it is scrolled into view; and no label whose control is drawn, as it does the same. What only listens
  to a pointer passing over it is counted apart. None of this depends on what is offered.
- *Covered*: it has a reference, or its label or labelled control has. A part of an element with a reference is covered
  if it has no listener of its own, or if a press on that reference lands in it.
- *Passed on*: what only listens, or only takes the focus, around elements with references is covered by these, as what
  it hears comes from them (delegation). With a pointing hand, or draggable, it has to have a reference itself, or to
  say nothing beside what they say, or to be filled by one of them. So a card that listens without showing a hand, and
  has no reference, passes for covered if a button in it has one.
- *Missing*: the rest. Of elements in each other with the same words, one is named.
- A reference *cannot be acted on* if what it stands for is gone or covered where it would be pressed; it is *idle*
  if the browser knows no reason why a press should do anything.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from playwright.async_api import Error as PlaywrightError

from lbi.environments.web.look import Look
from lbi.environments.web.session import Session

_FRAME = "window[Symbol.for('lbi.frame')]"
# which references cannot be pressed is asked of look.js, as it is what says where they are pressed
_MEASURE = """(() => {
  const look = window[Symbol.for('lbi.look')], number = %(frame)s, ids = (%(ids)s)[number];
  delete %(frame)s;
  if (!look || !ids) return null;
  const found = (%(script)s)(ids.map(id => [look.element(id), look.place(id)]), %(blind)s);
  if (%(blind)s) return {...found, frame: number};
  const before = [scrollX, scrollY];
  found.unusable = [];
  ids.map(id => look.aim(id)).forEach((aim, at) => { if (aim.gone || 'covered' in aim) found.unusable.push(at); });
  scrollTo({left: before[0], top: before[1], behavior: 'instant'});
  return {...found, frame: number};
})()"""


@dataclass(frozen=True)
class Missing:
    """Something that can be acted on and has no reference."""

    role: str
    name: str
    selector: str
    why: str


@dataclass
class Coverage:
    """What was found on a page. ``covered`` of ``total`` have a reference, ``passing`` of them by what is in them."""

    path: str = ""
    total: int = 0
    covered: int = 0
    passing: int = 0
    hovering: int = 0  # elements that only listen to a pointer over them, and how many of these have a reference
    hovering_offered: int = 0
    references: int = 0
    unusable: list[str] = field(default_factory=list)  # references
    idle: list[str] = field(default_factory=list)  # references
    missing: list[Missing] = field(default_factory=list)
    unmeasured: int = 0  # elements that were too many to be pressed for a trial, and frames of other sites
    seconds: float = 0.0
    clicks: tuple[str, ...] = ()  # by which a state of the page was reached

    @property
    def share(self) -> float:
        """Between 0 and 1; 1 for a page on which nothing can be acted on."""
        return self.covered / self.total if self.total else 1.0


@cache
def script_text() -> str:
    """page/actionable.js as an expression: a function of pairs (element, where it is pressed), and ``blind``."""
    text = files("lbi.environments.web").joinpath("page/actionable.js").read_text("utf-8")
    return "\n".join(line for line in text.splitlines() if not line.startswith("//"))


async def measure(
    session: Session, look: Look, refs: Mapping[str, str], path: str = "", blind: bool = False
) -> Coverage:
    """Compare a page with the references that a look at it gave. Raises Playwright's Error.

    ``blind`` does not ask where a reference is pressed, but tries points all over it, as can be done for observations
    that others make.
    """
    started = time.perf_counter()
    found = Coverage(path, references=len(refs))
    names = {key: ref for ref, key in refs.items()}
    ids: list[list[int]] = [[] for _ in look.frames]
    for key in names:
        frame_number, _, identity = key.partition(":")
        ids[int(frame_number)].append(int(identity))
    for number, frame in enumerate(look.frames):
        await frame.evaluate(f"number => {{ {_FRAME} = number }}", number)
    script = _MEASURE % {"frame": _FRAME, "ids": json.dumps(ids), "script": script_text(), "blind": json.dumps(blind)}
    contexts: list[int] = []
    cdp = await session.context.new_cdp_session(session.page)
    try:
        cdp.on("Runtime.executionContextCreated", lambda event: contexts.append(event["context"]["id"]))
        await cdp.send("Runtime.enable")
        reached = 0
        for context in contexts:
            if (part := await _evaluated(cdp, script, context)) is not None:
                reached += 1
                _add(found, part, lambda at, frame=part["frame"]: names[f"{frame}:{ids[frame][at]}"])
        found.unmeasured += len(look.frames) - reached
    finally:
        with contextlib.suppress(PlaywrightError):
            await cdp.detach()
    found.seconds = time.perf_counter() - started
    return found


async def _evaluated(cdp: Any, script: str, context: int) -> Any:
    reply = await cdp.send(
        "Runtime.evaluate",
        {"expression": script, "contextId": context, "includeCommandLineAPI": True, "returnByValue": True},
    )
    if "exceptionDetails" in reply:
        details = reply["exceptionDetails"]
        raise PlaywrightError(details.get("exception", {}).get("description") or details["text"])
    return reply["result"].get("value")


def _add(found: Coverage, part: dict[str, Any], name_of: Any) -> None:
    found.total += part["total"]
    found.covered += part["covered"]
    found.passing += part["passing"]
    found.hovering += part["hovering"]
    found.hovering_offered += part["hoveringOffered"]
    found.unmeasured += part["beyond"]
    found.idle += [name_of(at) for at in part["idle"]]
    found.unusable += [name_of(at) for at in part["unusable"]]
    found.missing += [Missing(**each) for each in part["missing"]]
