"""check page: how much of what can be acted on has a reference, on one page or on all that a crawl reaches."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict

from lbi.cli.sites import open_site
from lbi.environments.web.coverage import Coverage
from lbi.monitoring.terminal import say
from lbi.records import Task

NEEDED = 0.99  # share of what can be acted on
WHOLE = 10**9  # characters: of a page nothing is left out while it is measured
SHOWN = 40  # kinds of missing elements that are printed


def check_page(where: str, most: int, as_json: bool) -> int:
    """Print what is missing; 1 if a page offers less than 99% of it, or references that cannot be acted on."""
    found = asyncio.run(_measured(where, most, as_json))
    if as_json:
        rows = [asdict(page) | {"share": page.share} for page in found]
        say(json.dumps({"pages": rows, "share": _together(found).share}, indent=2, ensure_ascii=False))
    else:
        _print_missing(found)
    return 1 if any(page.share < NEEDED or page.unusable for page in found) else 0


async def _measured(where: str, most: int, quiet: bool) -> list[Coverage]:
    from lbi.environments.web.crawl import crawl

    environments, start = open_site(where, WHOLE)
    found: list[Coverage] = []
    try:
        web = await environments.open()
        if not most:
            await web.reset(Task(instruction="", environment=web.name, start_url=start))
            found.append(await web.coverage())
            _print_page(found[-1], quiet)
            return found
        async for state, _ in crawl(web, start, most, buttons=environments.restores):
            started = time.monotonic()
            page = await web.coverage()
            page.clicks = state.clicks
            page.seconds = time.monotonic() - started
            found.append(page)
            _print_page(page, quiet)
    finally:
        await environments.close()
    return found


def _print_page(page: Coverage, quiet: bool) -> None:
    if quiet:
        return
    unusable = f", {len(page.unusable)} of them cannot be acted on" if page.unusable else ""
    clicks = "".join(f" > {click}" for click in page.clicks)
    say(
        f"{page.share:7.1%}  {page.covered} of {page.total}, {page.references} references{unusable}, "
        f"{page.seconds:.2f} s  {page.path}{clicks}"
    )


def _together(pages: list[Coverage]) -> Coverage:
    whole = Coverage()
    for page in pages:
        for name in ("total", "covered", "passing", "hovering", "hovering_offered", "references", "unmeasured"):
            setattr(whole, name, getattr(whole, name) + getattr(page, name))
        whole.idle += page.idle
        whole.unusable += page.unusable
        whole.missing += page.missing
        whole.seconds = max(whole.seconds, page.seconds)
    return whole


def _print_missing(pages: list[Coverage]) -> None:
    whole = _together(pages)
    kinds: dict[tuple[str, str, str], list[str]] = {}
    for missing in whole.missing:
        kinds.setdefault((missing.role, missing.selector, missing.why), []).append(missing.name)
    for (role, selector, why), names in list(kinds.items())[:SHOWN]:
        times = f" ({len(names)} times)" if len(names) > 1 else ""
        say(f'missing: {role} "{names[0]}" at {selector}: {why}{times}')
    if len(kinds) > SHOWN:
        say(f"missing: {len(kinds) - SHOWN} more kinds; --json has all")
    for page in pages:
        if page.unusable:
            say(f"cannot be acted on: {', '.join(page.unusable)} on {page.path}")
    if whole.unmeasured:
        say(f"{whole.unmeasured} elements and frames were not measured: too many, or of another site")
    say(
        f"{whole.covered} of {whole.total} that can be acted on have a reference ({whole.share:.2%}); "
        f"of {whole.references} references {len(whole.unusable)} cannot be acted on, {len(whole.idle)} have no reason; "
        f"{whole.passing} that listen pass on; "
        f"{whole.hovering_offered} of {whole.hovering} that listen to the pointer over them have one"
    )
    if len(pages) > 1:
        say(f"{len(pages)} pages, the slowest measured in {whole.seconds:.2f} s")
