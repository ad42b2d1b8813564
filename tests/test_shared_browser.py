"""The browser that all environments share: started again where it crashed as it started."""

import os
import shutil
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from lbi.environments.web.browser import SHELLS_ON_PATH, SharedBrowser, find_chromium
from lbi.errors import EnvironmentFailure

pytestmark = pytest.mark.browser


async def _crashing(folder: Path, times: int) -> None:
    """A browser first on PATH that crashes as it starts, ``times`` times, and is the real one from then on."""
    async with async_playwright() as driver:
        real = find_chromium(driver.chromium.executable_path)
    if not real:
        pytest.skip("Playwright's own Chromium is installed, which is taken before any on PATH")
    starts = folder / "starts"
    script = folder / SHELLS_ON_PATH[0]
    script.write_text(
        f'#!/bin/sh\necho start >> "{starts}"\n'
        f'[ "$(wc -l < "{starts}")" -gt {times} ] || kill -SEGV $$\nexec "{shutil.which(real)}" "$@"\n'
    )
    script.chmod(0o755)


async def test_a_browser_that_crashes_as_it_starts_is_started_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _crashing(tmp_path, times=1)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    browser = SharedBrowser()
    try:
        page = await (await browser.context()).new_page()
        assert await page.evaluate("1 + 1") == 2
    finally:
        await browser.close()
    assert (tmp_path / "starts").read_text().count("start") == 2


async def test_a_browser_that_always_crashes_is_a_failure_of_infrastructure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _crashing(tmp_path, times=1000)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    browser = SharedBrowser()
    try:
        with pytest.raises(EnvironmentFailure, match="does not start") as failed:
            await browser.context()
        assert "--disable-" not in str(failed.value)  # what it said, not its command line
    finally:
        await browser.close()
