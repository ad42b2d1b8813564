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
from lbi.records import Action, Observation, Task, written_element

TIMES = 2  # that everything is changed and put back
TRIES = 40  # actions to find one that changes the server's state
PAGES = 6  # that are tried
PRESSES = 12  # on each
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
PRESSED = ("button", "checkbox", "switch", "menuitem")
SENDS = re.compile(r"\b(?:save|create|add|submit|send|apply|confirm|ok|done|update|post|store)\b", re.IGNORECASE)
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
    tries, pages, waiting = 0, 0, [environment.last.url or "/"]
    known = set(waiting)
    while waiting and pages < PAGES and tries < TRIES:
        here = waiting.pop(0)
        pages += 1
        outcome = await environment.step(f'goto("{here}")')
        page = parse_observation(outcome.observation.text)
        for element in page.elements:
            if element.role == "link" and element.url.startswith(("/", "#")) and element.url not in known:
                known.add(element.url)
                waiting.insert(0 if LEADS_TO_FORMS.search(element.name) else len(waiting), element.url)
        for button in _pressable(page)[:PRESSES]:
            tries += 1
            if tries > TRIES:
                break
            for pressed in await _press(environment, button):
                now = environment.digests()
                parts = [name for name, digest in now.items() if before.get(f"server's {name}") != digest]
                if parts:
                    return [f"server's {name}" for name in parts], f'{pressed.kind}({pressed.role} "{pressed.name}")'
            await environment.step(f'goto("{here}")')  # the button may have led elsewhere
    return [], ""


async def _press(environment: WebEnvironment, button: Element) -> list[Action]:
    """Fill the text boxes of the page and press a button of it; where that opens a form, fill that and send it."""
    before = await _fill(environment)
    done = [(await environment.step(f"click({_written_target(button)})")).action]
    after = await _fill(environment)
    new = [each for each in _pressable(after) if SENDS.search(each.name) and not before.find(each.role, each.name)]
    if new:
        done.append((await environment.step(f"click({_written_target(new[0])})")).action)
    return done


async def _fill(environment: WebEnvironment) -> Page:
    """Fill every empty text box of the page in front."""
    page = parse_observation(environment.last.text)
    for element in page.elements:
        if element.role == "textbox" and not element.value and not element.has("disabled"):
            await environment.step(f'fill({_written_target(element)}, "{PROBE}")')
    return parse_observation(environment.last.text)


def _written_target(element: Element) -> str:
    return written_element(element.role, element.name, element.nth)


def _pressable(page: Page) -> list[Element]:
    """What may change something, the likeliest first."""
    found = [
        element
        for element in page.elements
        if (
            element.role in ("button", "checkbox", "switch", "menuitem") or (element.role == "link" and not element.url)
        )
        and not element.has("disabled")
        and not any(word in element.name.casefold() for word in SKIPPED)
    ]
    return sorted(found, key=lambda each: not (SENDS.search(each.name) or LEADS_TO_FORMS.search(each.name)))
