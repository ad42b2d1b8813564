"""Files between a page and this machine: what it offers for download, and what it asks for."""

from __future__ import annotations

import contextlib
from pathlib import Path

from playwright.async_api import Download, FileChooser
from playwright.async_api import Error as PlaywrightError

from lbi.environments.web import samples
from lbi.environments.web.notes import Notes
from lbi.environments.web.tabs import Tabs


class Files:
    """Downloads go to ``folder``, and files that are offered for uploads lie there."""

    def __init__(self, folder: Path, tabs: Tabs, notes: Notes) -> None:
        self.folder = folder
        self.offered: Path | None = None  # the file for the next window that asks for one
        self.chosen = 0  # since the page announced a file chooser
        self._tabs = tabs
        self._notes = notes

    async def on_download(self, download: Download) -> None:
        name = Path(download.suggested_filename).name or "download"
        target = self.folder / "downloads" / name
        try:
            await download.save_as(target)
            self._notes.append(f'the file "{name}" was downloaded ({target.stat().st_size} bytes)')
        except (PlaywrightError, OSError):
            self._notes.append(f'the download of "{name}" failed')
        await self._tabs.close_blank(download.url)

    async def on_chooser(self, chooser: FileChooser) -> None:
        file, self.offered = self.offered, None
        with contextlib.suppress(PlaywrightError):
            if file is None:
                accept = await chooser.element.get_attribute("accept") or ""
                file = samples.write(self.folder / "uploads", samples.name_for(accept))
            await chooser.set_files(file)
            self._notes.append(f'a file was asked for; "{file.name}" ({file.stat().st_size} bytes) was chosen')
        self.chosen += 1
        self._tabs.announce()
