"""Dialogs of a page: one that asks something holds the page up until it is answered."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

from playwright.async_api import Dialog
from playwright.async_api import Error as PlaywrightError

from lbi.environments.web.notes import Notes

ANSWERED_SECONDS = 20.0  # in which what a dialog held up must end, or another one open

Result = TypeVar("Result")


class DialogOpened(Exception):
    """A dialog that asks something holds the page up until it is answered; the call goes on then."""


class Dialogs:
    """Of one browser context."""

    def __init__(self, notes: Notes) -> None:
        self.waiting: Dialog | None = None  # one that waits for an answer
        self.text = ""  # what stands in its box
        self._notes = notes
        self._held_up: set[asyncio.Task[Any]] = set()  # calls that go on when the dialog is answered
        self._asked = asyncio.Event()

    async def unless_asked(self, call: Coroutine[Any, Any, Result]) -> Result:
        """The call's result. Raises DialogOpened if a dialog asks something first; the call goes on after that."""
        if self.waiting is not None:
            call.close()
            raise DialogOpened
        task = asyncio.ensure_future(call)
        asked = asyncio.ensure_future(self._asked.wait())
        try:
            await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
            if not task.done() and self.waiting is None:
                task.cancel()
        if task.done():
            return task.result()
        self._held_up.add(task)
        task.add_done_callback(_forget)
        raise DialogOpened

    async def answer(self, accept: bool, text: str = "") -> None:
        """Answer the dialog that waits, and let what it held up go on. A second one may open."""
        dialog, self.waiting = self.waiting, None
        self._asked.clear()
        if dialog is None:
            return
        with contextlib.suppress(PlaywrightError):
            await (dialog.accept(text) if accept else dialog.dismiss())
        held, self._held_up = self._held_up, set()
        asked = asyncio.ensure_future(self._asked.wait())
        while held - {task for task in held if task.done()} and not asked.done():
            await asyncio.wait(
                {*(task for task in held if not task.done()), asked},
                timeout=ANSWERED_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
        asked.cancel()
        self._held_up |= {task for task in held if not task.done()}

    async def on_dialog(self, dialog: Dialog) -> None:
        with contextlib.suppress(PlaywrightError):
            if dialog.type in ("confirm", "prompt"):
                self.waiting, self.text = dialog, dialog.default_value
                self._asked.set()
                return
            if dialog.type == "beforeunload":
                self._notes.append("the page asked whether to leave it, which was confirmed")
            else:
                self._notes.append(f'a dialog said "{dialog.message}"')
            await dialog.accept()


def _forget(task: asyncio.Task[Any]) -> None:
    """Take the error of a call that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
