"""Proves that a reset puts everything back: page, browser and server are changed, reset, and compared part by part.

Of a part that was not put back it says the first difference: 'local storage: + {"theme": "dark"}'.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from lbi.environments.web.database import timeless
from lbi.environments.web.environment import WebEnvironment
from lbi.observations.normalise import normalise
from lbi.observations.parse import Element, Page, parse_observation
from lbi.protocols import Outcome
from lbi.records import Observation, Task

TIMES = 2  # that everything is changed and put back
TRIES = 30  # actions to find one that changes the server's state
PAGES = 6  # that are tried
PROBE = "lbi-probe"
#: writes to every store that a page has
CHANGE = f"""(async () => {{
  const done = [];
  const attempt = async (name, write) => {{ try {{ await write(); done.push(name); }} catch (error) {{}} }};
  await attempt("cookies", () => {{ document.cookie = "{PROBE}=1; path=/"; }});
  await attempt("local storage", () => localStorage.setItem("{PROBE}", "1"));
  await attempt("session storage", () => sessionStorage.setItem("{PROBE}", "1"));
  await attempt("window.name", () => {{ window.name = "{PROBE}"; }});
  await attempt("IndexedDB", () => new Promise((resolve, reject) => {{
    const opening = indexedDB.open("{PROBE}", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("s").put(1, "k");
    opening.onsuccess = () => {{ opening.result.close(); resolve(); }};
    opening.onerror = opening.onblocked = reject;
  }}));
  await attempt("caches", async () => {{ await (await caches.open("{PROBE}")).put("/{PROBE}", new Response("1")); }});
  return done;
}})()"""
#: what is in them; -1 for a store of a database that another page holds
STORED = """(async () => {
  const found = {};
  const attempt = async (name, read) => { try { found[name] = await read(); } catch (error) {} };
  await attempt("local storage", () => ({...localStorage}));
  await attempt("session storage", () => ({...sessionStorage}));
  await attempt("window.name", () => window.name);
  await attempt("IndexedDB", async () => {
    const all = {};
    for (const {name} of await indexedDB.databases()) {
      const base = await new Promise((resolve, reject) => {
        const opening = indexedDB.open(name);
        opening.onsuccess = () => resolve(opening.result);
        opening.onerror = opening.onblocked = reject;
      });
      all[name] = {};
      for (const store of base.objectStoreNames) all[name][store] = await new Promise((resolve) => {
        const asked = base.transaction(store).objectStore(store).getAll();
        asked.onsuccess = () => resolve(JSON.stringify(asked.result));
        asked.onerror = () => resolve("?");
      });
      base.close();
    }
    return all;
  });
  await attempt("caches", async () => {
    const all = {};
    for (const name of (await caches.keys()).sort())
      all[name] = (await (await caches.open(name)).keys()).map((request) => new URL(request.url).pathname).sort();
    return all;
  });
  await attempt("service workers", async () =>
    (await navigator.serviceWorker.getRegistrations()).map((one) => new URL(one.scope).pathname).sort());
  return found;
})()"""
SKIPPED = ("cancel", "close", "back", "search", "log out", "logout", "sign out", "delete account")
LEADS_TO_FORMS = re.compile(r"\b(?:new|add|create|edit|write|post|publish|compose|settings|profile)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Proof:
    """What was changed and what of it was not put back, each as "part" or "part: difference"."""

    first: Observation
    changed: tuple[str, ...]
    kept: tuple[str, ...]


async def prove(environment: WebEnvironment, start_url: str = "") -> Proof:
    """Change everything that can be changed and reset, twice. Raises EnvironmentFailure, UserError."""
    task = Task(instruction="", environment=environment.name, start_url=start_url)
    first = await environment.reset(task)
    before = await _parts(environment, first)
    again = await _parts(environment, await environment.reset(task))
    # a token that the site sets anew at every visit says nothing of the episode before
    anew = {part for part in before.keys() & again.keys() if ": " in part and before[part] != again[part]}
    kept = list(_differences(before, again, anew, "before anything was changed, "))
    changed: dict[str, None] = {}
    for _ in range(TIMES):
        if kept:
            break
        changed |= dict.fromkeys(await environment.evaluate(CHANGE) or ())
        found, how = await _change_server(environment, before)
        changed |= dict.fromkeys(f"{part} ({how})" for part in found)
        kept += _differences(before, await _parts(environment, await environment.reset(task)), anew, "")
    return Proof(first, tuple(changed), tuple(kept))


async def _parts(environment: WebEnvironment, seen: Observation) -> dict[str, str]:
    """Everything that an episode begins with, by its part; of a store in the browser, by its name: "cookies: id"."""
    stored: dict[str, Any] = await environment.evaluate(STORED) or {}
    stored["cookies"] = {cookie["name"]: cookie["value"] for cookie in await environment.cookies()}
    parts = {"page": normalise(seen)}
    for name, content in sorted(stored.items()):
        entries = content if isinstance(content, dict) else {str(each): "" for each in _listed(content)}
        parts |= {f"{name}: {key}": timeless(json.dumps(value, sort_keys=True)) for key, value in entries.items()}
    return parts | {f"server's {name}": digest for name, digest in environment.digests().items()}


def _listed(content: object) -> list[object]:
    return content if isinstance(content, list) else [content] if content else []


def _differences(before: dict[str, str], after: dict[str, str], anew: Collection[str], when: str) -> Iterator[str]:
    for part in [*before, *(after.keys() - before.keys())]:
        was, now = before.get(part), after.get(part)
        if was == now or (part in anew and was is not None and now is not None):
            continue
        if part == "page":
            lines = difflib.ndiff((was or "").splitlines(), (now or "").splitlines())
            shown = next((line for line in lines if line.startswith(("+ ", "- "))), "")
            yield f"{when}page: {shown[:120]}"
        elif part.startswith("server's"):
            yield f"{when}{part}"
        else:
            what = "is there still" if was is None else "is missing" if now is None else "is another"
            yield f"{when}{part} {what}"


async def _change_server(environment: WebEnvironment, before: dict[str, str]) -> tuple[list[str], str]:
    """Fill forms and press buttons until the server's state is another: (parts that changed, the action)."""
    if not environment.digests():
        return [], ""
    tries, pages, waiting = 0, 0, [""]
    known = {""}
    while waiting and pages < PAGES and tries < TRIES:
        address = waiting.pop(0)
        pages += 1
        outcome = await environment.step(f'goto("{address}")') if address else None
        page = parse_observation((outcome.observation if outcome else environment.last).text)
        for element in page.elements:
            if element.role == "link" and element.url.startswith("/") and element.url not in known:
                known.add(element.url)
                waiting.insert(0 if LEADS_TO_FORMS.search(element.name) else len(waiting), element.url)
        here = address or page.url or "/"
        for number in range(len(_buttons(page))):
            tries += 1
            if tries > TRIES:
                break
            if number:  # the button before may have led elsewhere
                await environment.step(f'goto("{here}")')
            pressed = await _fill_and_press(environment, number)
            now = environment.digests()
            parts = [name for name, digest in now.items() if before.get(f"server's {name}") != digest]
            if parts and pressed is not None:
                done = pressed.action
                return [f"server's {name}" for name in parts], f'{done.kind}({done.role} "{done.name}")'
    return [], ""


async def _fill_and_press(environment: WebEnvironment, number: int) -> Outcome | None:
    """Fill every text box of the page in front, and press its button of this number."""
    page = parse_observation(environment.last.text)
    for element in page.elements:
        if element.role in ("textbox", "searchbox") and not element.value:
            await environment.step(f'fill({element.ref}, "{PROBE}")')
    buttons = _buttons(parse_observation(environment.last.text))
    return await environment.step(f"click({buttons[number].ref})") if number < len(buttons) else None


def _buttons(page: Page) -> list[Element]:
    return [
        element
        for element in page.elements
        if element.role == "button" and not any(word in element.name.casefold() for word in SKIPPED)
    ]
