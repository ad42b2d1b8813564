"""What one other tool offers on given pages, measured by our program: a line of JSON for each page.

    python performance/coverage_tools.py TOOL CHROMIUM SCRIPT < pages

Run by performance/coverage.py, which gives addresses and the selectors of what to click there, with the Python of an
environment in which the tool is installed. Each tool makes its observation of the page by its own code, and says which
elements have a reference in its text; these are marked for page/actionable.js (``SCRIPT``), which is evaluated in every
frame. Times are of the observation alone, the median of three.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

ROUNDS = 3
SIZE = {"width": 1280, "height": 900}
REST_MS = 1500  # in which a page comes to rest
MARKS = "Symbol.for('coverage.offered')"
MARK = f"one => {{ const all = one.ownerDocument.defaultView; (all[{MARKS}] ??= []).push(one); }}"
MARK_THIS = f"function () {{ const all = this.ownerDocument.defaultView; (all[{MARKS}] ??= []).push(this); }}"
MARK_BIDS = f"""bids => {{
  const wanted = new Set(bids), marked = window[{MARKS}] ??= [];
  const visit = root => {{ for (const one of root.querySelectorAll('*')) {{
    if (wanted.has(one.getAttribute('bid'))) marked.push(one);
    if (one.shadowRoot) visit(one.shadowRoot);
  }} }};
  visit(document);
}}"""


CLICK = "selector => document.querySelector(selector)?.click()"


def expression(script: str) -> str:
    return f"({script})((window[{MARKS}] ?? []).map(one => [one, one]), true)"


def row(url: str, text: str, seconds: list[float], parts: list[Any]) -> dict[str, Any]:
    """One page; the counts of its frames are added up."""
    kept = [part for part in parts if part]
    return {
        "url": url,
        "characters": len(text),
        "seconds": median(seconds),
        **{name: sum(part[name] for part in kept) for name in ("total", "covered")},
        **{name: sum(len(part[name]) for part in kept) for name in ("unusable", "idle")},
    }


def timed(observe: Any) -> tuple[Any, list[float]]:
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        found = observe()
        seconds.append(time.perf_counter() - start)
    return found, seconds


def evaluated(page: Any, script: str) -> list[Any]:
    """The measure in each frame of a page of Playwright's synchronous kind."""
    cdp = page.context.new_cdp_session(page)
    contexts: list[int] = []
    cdp.on("Runtime.executionContextCreated", lambda event: contexts.append(event["context"]["id"]))
    cdp.on(
        "Runtime.executionContextCreated",
        lambda event: None if event["context"]["auxData"].get("isDefault") else contexts.remove(event["context"]["id"]),
    )
    cdp.send("Runtime.enable")
    parts = []
    for context in contexts:
        options = {"contextId": context, "includeCommandLineAPI": True, "returnByValue": True}
        reply = cdp.send("Runtime.evaluate", {"expression": expression(script), **options})
        if "exceptionDetails" in reply:
            raise SystemExit(json.dumps(reply["exceptionDetails"])[:800])
        parts.append(reply["result"].get("value"))
    cdp.detach()
    return parts


def pages(chromium: str, wanted: list[Any]) -> Iterator[tuple[str, Any]]:
    """Each address in a context of its own, as soon as it has come to rest."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-gpu", "--disable-site-isolation-trials"]
        browser = driver.chromium.launch(executable_path=chromium or None, args=options)
        for url, clicks in wanted:
            context = browser.new_context(viewport=SIZE, reduced_motion="reduce")
            page = context.new_page()
            page.goto(url)
            page.wait_for_timeout(REST_MS)
            for selector in clicks:
                page.evaluate(CLICK, selector)
                page.wait_for_timeout(REST_MS / 2)
            yield url, page
            context.close()
        browser.close()


def playwright_mcp(chromium: str, script: str, wanted: list[Any]) -> None:
    """Its snapshot is Playwright's for models, and every [ref=...] in it can be acted on."""
    for url, page in pages(chromium, wanted):
        text, seconds = timed(lambda page=page: page.aria_snapshot(mode="ai"))
        for ref in re.findall(r"\[ref=((?:f\d+)?e\d+)\]", text):
            if handle := page.query_selector(f"aria-ref={ref}"):
                handle.evaluate(MARK)
        print(json.dumps(row(url, text, seconds, evaluated(page, script))), flush=True)


def browsergym(chromium: str, script: str, wanted: list[Any]) -> None:
    """Its accessibility tree as text, with the marks for what is visible and clickable, and every [bid] in it."""
    import browsergym.core.observation as observation  # type: ignore[import-not-found]
    from browsergym.utils.obs import flatten_axtree_to_str  # type: ignore[import-not-found]

    def observe(page: Any) -> str:
        observation._pre_extract(page)
        snapshot = observation.extract_dom_snapshot(page)
        tree = observation.extract_merged_axtree(page)
        properties = observation.extract_dom_extra_properties(snapshot, scale_factor=1)
        observation._post_extract(page)
        return str(flatten_axtree_to_str(tree, properties, with_visible=True, with_clickable=True))

    for url, page in pages(chromium, wanted):
        text, seconds = timed(lambda page=page: observe(page))
        bids = re.findall(r"^\s*\[(\w+)\] ", text, re.M)
        for frame in page.frames:
            frame.evaluate(MARK_BIDS, bids)
        print(json.dumps(row(url, text, seconds, evaluated(page, script))), flush=True)


def before(chromium: str, script: str, wanted: list[Any]) -> None:
    """Our own observation at an earlier commit, whose sources are on PYTHONPATH: Playwright's snapshot, rendered."""
    from lbi.observations.aria import parse_aria  # type: ignore[import-not-found]

    from lbi.observations.render import render

    def observe(page: Any, origin: str) -> tuple[str, dict[str, str]]:
        text, refs = render(parse_aria(page.aria_snapshot(mode="ai")), origin, 10**9)
        return f"URL: {page.url[len(origin) :]}\nTitle: {page.title()}\n{text}", refs

    for url, page in pages(chromium, wanted):
        origin = "/".join(url.split("/")[:3])
        (text, refs), seconds = timed(lambda page=page, origin=origin: observe(page, origin))
        for ref in refs.values():
            if handle := page.query_selector(f"aria-ref={ref}"):
                handle.evaluate(MARK)
        print(json.dumps(row(url, text, seconds, evaluated(page, script))), flush=True)


@contextmanager
def debugged(chromium: str) -> Iterator[str]:
    """A browser to connect to, and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-site-isolation-trials"]
        size = f"--window-size={SIZE['width']},{SIZE['height']}"
        process = subprocess.Popen(
            [chromium, *options, size, f"--remote-debugging-port={port}", f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(200):
                try:
                    urllib.request.urlopen(f"{address}/json/version", timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield address
        finally:
            process.kill()
            process.wait()


async def _browser_use(address: str, script: str, wanted: list[Any]) -> None:
    from browser_use import BrowserSession  # type: ignore[import-not-found]
    from browser_use.dom.service import DomService  # type: ignore[import-not-found]

    session = BrowserSession(cdp_url=address, viewport=SIZE, minimum_wait_page_load_time=0.1)
    await session.start()
    for url, clicks in wanted:
        await session.navigate_to("about:blank")  # or the marks of another state of the document would stay
        await session.navigate_to(url)
        await asyncio.sleep(REST_MS / 1000)
        found = await session.get_or_create_cdp_session()
        send = found.cdp_client.send
        for selector in clicks:
            click = f"({CLICK})({json.dumps(selector)})"
            await send.Runtime.evaluate(params={"expression": click}, session_id=found.session_id)
            await asyncio.sleep(REST_MS / 2000)
        seconds = []
        for _ in range(ROUNDS):
            service = DomService(session, viewport_threshold=None)  # the whole page, as the others see it
            start = time.perf_counter()
            state, _, _ = await service.get_serialized_dom_tree()
            text = state.llm_representation()
            seconds.append(time.perf_counter() - start)
        parts = []
        for node in state.selector_map.values():
            resolved = await send.DOM.resolveNode(
                params={"backendNodeId": node.backend_node_id}, session_id=found.session_id
            )
            await send.Runtime.callFunctionOn(
                params={"objectId": resolved["object"]["objectId"], "functionDeclaration": MARK_THIS},
                session_id=found.session_id,
            )
        reply = await send.Runtime.evaluate(
            params={"expression": expression(script), "includeCommandLineAPI": True, "returnByValue": True},
            session_id=found.session_id,
        )
        parts.append(reply["result"].get("value"))
        print(json.dumps(row(url, text, seconds, parts)), flush=True)
    await session.kill()


def browser_use(chromium: str, script: str, wanted: list[Any]) -> None:
    """Its own text of the page, and the elements of its selector map; of the top frame only."""
    with debugged(chromium) as address:
        asyncio.run(_browser_use(address, script, wanted))


TOOLS = {"browser-use": browser_use, "browsergym": browsergym, "playwright-mcp": playwright_mcp, "before": before}


def main() -> None:
    tool, chromium, script = sys.argv[1:4]
    TOOLS[tool](chromium, Path(script).read_text("utf-8"), json.load(sys.stdin))


if __name__ == "__main__":
    main()
