"""The Chromium that all environments of a process share: found, launched, and launched again after a crash."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, Playwright, async_playwright
from playwright.async_api import Error as PlaywrightError

from lbi.environments.web.application import Policy
from lbi.environments.web.guard import Guard, Nowhere
from lbi.environments.web.window import require_window
from lbi.errors import EnvironmentFailure, UserError

ON_PATH = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: browsers without any code for windows, which need half the processor time for a page
SHELLS_ON_PATH = ("chromium-headless-shell", "chrome-headless-shell", "headless-shell")
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--guest",
    "--disable-extensions",
    "--disable-component-extensions-with-background-pages",
)
#: pages are drawn although nobody looks at them, so on as few threads as possible
#: (--disable-threaded-compositing saves more, but then no animation frame comes and a click waits for ever)
DRAW_LITTLE = ("--in-process-gpu", "--num-raster-threads=1")
#: all pages belong to one site that we run ourselves, so there is nothing to isolate
ONE_SITE = ("--disable-site-isolation-trials", "--renderer-process-limit=1")
CLOSE_SECONDS = 10.0  # a browser that takes longer to close something no longer answers
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")


def find_chromium(own: str = "", headless: bool = True) -> str:
    """Path of a browser on PATH; "" if Playwright has installed its ``own``. Raises UserError if there is none."""
    if own and (Path(own).exists() or (headless and _own_shell(Path(own)))):
        return ""
    for name in (*SHELLS_ON_PATH, *ON_PATH) if headless else ON_PATH:
        if path := shutil.which(name):
            return path
    if not headless:
        raise UserError(
            "no Chromium with windows found. Get one with `playwright install chromium` (or `apt install chromium`); "
            f"looked for Playwright's own and for {', '.join(ON_PATH)} on PATH, and headless shells have no windows"
        )
    raise UserError(
        "no Chromium found. Get one with `playwright install chromium` (or `apt install chromium-headless-shell`); "
        f"looked for Playwright's own and for {', '.join((*SHELLS_ON_PATH, *ON_PATH))} on PATH"
    )


def _own_shell(own: Path) -> bool:
    """Playwright keeps its headless shell in a folder beside the full browser's."""
    folder = next((parent.parent for parent in own.parents if parent.name.startswith("chromium-")), None)
    return folder is not None and any(folder.glob("chromium_headless_shell-*"))


def _why(message: str) -> str:
    """Of Playwright's words its own first line and what the browser said, not the whole command line."""
    first, *log = message.splitlines() or [""]
    said = [words for line in log if (words := line.partition("[err] ")[2])]
    return " - ".join([first, *said])[:2000]


def is_loopback(url: str) -> bool:
    """Whether an address is on this machine."""
    return (urlsplit(url).hostname or "") in LOOPBACK


def flags(only_loopback: bool) -> list[str]:
    """The browser's command line: without a sandbox only for root, who cannot have one, and offline if possible.

    Pictures are loaded: with imagesEnabled=false a page that is nothing but a picture never answers, and stops the
    browser for everybody.
    """
    options = [*FLAGS, *DRAW_LITTLE]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--no-sandbox")
    if only_loopback:
        options.extend(ONE_SITE)
        options.append("--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost")
    return options


@contextlib.contextmanager
def browser_may_end() -> Iterator[None]:
    """The browser may be killed at any moment: then any call to it fails, which is the infrastructure's failure."""
    try:
        yield
    except PlaywrightError as error:
        raise EnvironmentFailure(f"the browser failed: {str(error).splitlines()[0]}", kind="browser") from error


class SharedBrowser:
    """Opens contexts; starts the browser when the first is asked for, and again after a crash.

    ``guard`` judges what pages request, where a judge was admitted for their context.
    """

    def __init__(
        self,
        only_loopback: bool = True,
        headless: bool = True,
        policy: Policy | None = None,
        also: Sequence[str] = (),
    ) -> None:
        self._also = tuple(also)
        self._policy = policy or Policy()
        self.guard = Guard(self._policy)
        self._nowhere: Nowhere | None = None
        self._flags = flags(only_loopback)
        self._headless = headless
        self._lock = asyncio.Lock()
        self._driver: Playwright | None = None
        self._browser: Browser | None = None
        self._disconnected = asyncio.Event()

    async def lost(self) -> None:
        """Return when a browser that runs now, or is started from now on, has ended."""
        await self._disconnected.wait()

    def _on_disconnected(self, _: Browser) -> None:
        disconnected, self._disconnected = self._disconnected, asyncio.Event()
        disconnected.set()

    async def context(self, site: str = "", **options: Any) -> BrowserContext:
        """A new context, whose pages reach nothing but ``site`` where one is given and what the policy adds to it.

        Raises EnvironmentFailure if the browser cannot be started, UserError if there is none.
        """
        if site:
            self._nowhere = self._nowhere or Nowhere()
            options |= self._nowhere.options(site, self._policy, self._also)
        for attempt in (1, 2):
            browser = await self._connected()
            try:
                return await browser.new_context(**options)
            except PlaywrightError as error:
                if attempt == 2:
                    raise EnvironmentFailure(f"the browser gives no context: {error}") from error
                if browser is self._browser:  # it may still seem connected, as a driver that died reports nothing
                    await self.discard()
        raise AssertionError

    async def discard(self) -> None:
        """Give up a browser that one of its pages stopped; the next context is opened in another."""
        browser, self._browser = self._browser, None
        if browser is not None:
            with contextlib.suppress(PlaywrightError, TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await browser.close()

    async def close(self) -> None:
        browser, self._browser = self._browser, None
        driver, self._driver = self._driver, None
        with contextlib.suppress(PlaywrightError, TimeoutError):  # it is gone already, or never will be
            async with asyncio.timeout(CLOSE_SECONDS):
                if browser:
                    await browser.close()
        if driver:
            await _stop(driver)
        if self._nowhere:
            self._nowhere.close()
            self._nowhere = None

    async def _connected(self) -> Browser:
        async with self._lock:
            if self._browser is None or not self._browser.is_connected():
                self._browser = await self._launched()
            return self._browser

    async def _launched(self) -> Browser:
        """Launched by the present driver, else by a fresh one: drivers may die, and Chromium may crash as it starts."""
        for attempt in (1, 2):
            driver = self._driver = self._driver or await _start()
            try:
                return await self._launch(driver)
            except EnvironmentFailure:
                self._driver = None
                await _stop(driver)
                if attempt == 2:
                    raise
        raise AssertionError

    async def _launch(self, driver: Playwright) -> Browser:
        path = find_chromium(driver.chromium.executable_path, self._headless)
        try:
            browser = await driver.chromium.launch(
                executable_path=path or None, args=self._flags, headless=self._headless
            )
            await self.guard.watch(browser)
        except PlaywrightError as error:
            if not self._headless:
                require_window(str(error))
            raise EnvironmentFailure(f"{path or 'Chromium'} does not start: {_why(str(error))}") from error
        browser.on("disconnected", self._on_disconnected)
        return browser


async def _start() -> Playwright:
    try:
        return await async_playwright().start()
    except Exception as error:  # a driver that ends meanwhile raises a plain Exception
        raise EnvironmentFailure(f"Playwright's driver does not start: {error}") from error


async def _stop(driver: Playwright) -> None:
    with contextlib.suppress(PlaywrightError, TimeoutError):  # it is gone already, or never will be
        async with asyncio.timeout(CLOSE_SECONDS):
            await driver.stop()
