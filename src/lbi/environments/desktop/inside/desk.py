"""One desktop: carries out what is asked of it, by name."""

from __future__ import annotations

import base64
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from . import accessibility, programs, settle, sheets
from .choices import Chooser
from .keyboard import Keyboard
from .mouse import Mouse
from .services import Services, run

Answer = dict[str, Any]
TRIES = 3


class Desk:
    def __init__(self, width: int, height: int) -> None:
        """Raises NotStarted."""
        self.services = Services(width, height)
        self.boot = f"{time.time_ns()}-{os.getpid()}"
        self.mouse = Mouse(self.services.display)
        self.keyboard = Keyboard(self.services.display)
        self.chooser = Chooser(self.services, self.mouse, self.keyboard)
        self._seen = self.services.screen.mark()  # what the screen showed when it was last looked at
        self._stuck: set[tuple[str, str]] = set()  # buttons that stay pressed

    def do(self, request: dict[str, Any]) -> Answer:
        """Raises OSError, ValueError for what cannot be done."""
        work: dict[str, Callable[[dict[str, Any]], Answer]] = {
            "open": self._open,
            "launch": self._launch,
            "run": self._run,
            "look": self._look,
            "act": self._act,
            "settle": self._settle,
            "wait": self._wait,
            "cell": self._cell,
            "end": lambda request: sys.exit(1),
            "picture": lambda request: {"png": base64.b64encode(self.services.screen.png()).decode()},
        }
        return {"boot": self.boot, **work[request["do"]](request)}

    def _open(self, request: dict[str, Any]) -> Answer:
        programs.open_window(self.services, request["name"], request["command"], request.get("seconds", 60.0))
        return {}

    def _launch(self, request: dict[str, Any]) -> Answer:
        """Start a program without waiting for a window of it."""
        run(request["name"], request["command"])
        return {}

    def _run(self, request: dict[str, Any]) -> Answer:
        return programs.run_to_end(request["command"], request.get("seconds", 60.0), apart=request.get("apart", False))

    def _look(self, request: dict[str, Any]) -> Answer:
        self._seen = self.services.screen.mark()
        told = programs.look(self.services)
        for _ in range(TRIES):  # GTK 3's dialog that saves a file shows its button pressed twice
            if not settle.let_go(self.services, told["windows"], self._stuck):
                break
            settle.settle(self.services, 5.0)
            self._seen = self.services.screen.mark()
            told = programs.look(self.services)
        return told

    def _settle(self, request: dict[str, Any]) -> Answer:
        working = request.get("working", settle.WORKING)
        return {"settled": settle.settle(self.services, request.get("seconds", 5.0), working)}

    def _wait(self, request: dict[str, Any]) -> Answer:
        """Until something else is shown than what was looked at last: it may have come as it was thought about."""
        changed = settle.wait_for_change(self.services, request.get("seconds", 3.0), self._seen)
        settle.settle(self.services, 5.0)
        return {"changed": changed}

    def _cell(self, request: dict[str, Any]) -> Answer:
        return {
            "box": sheets.cell_box(self.services.bus, request["to"], request["path"], request["name"], request["box"])
        }

    def _act(self, request: dict[str, Any]) -> Answer:
        """A list of strokes, such as [["move", 10, 20], ["click", "left", 2], ["type", "text"]]; then settle."""
        for at, (name, *arguments) in enumerate(request["strokes"]):
            if at:  # a program may put off what one key means, and take the next one first
                settle.answers(self.services)
            self._stroke(name, arguments)
        return self._settle(request)

    def _replace(self, to: str, path: str, text: str) -> None:
        """Replace all that is in a field, and do it once more where what was there is there still."""
        bus, wanted = self.services.bus, text.rstrip("\n")
        before = accessibility.text_of(bus, to, path)
        for _ in range(2):
            self._choose_all(to, path)
            if text:
                self.keyboard.type(text)
            else:
                self.keyboard.press("Delete")
            settle.answers(self.services)
            now = accessibility.text_of(bus, to, path)
            if now == wanted or not before or (now is not None and before not in now):
                return  # it has it, or makes something else of it
            settle.settle(self.services, 1.0)  # a busy program may not have come to these keys
            if accessibility.text_of(bus, to, path) == wanted:
                return

    def _choose_all(self, to: str, path: str) -> None:
        """Select all that is in a field; some take the keys for it only once they have come to rest."""
        for _ in range(TRIES):
            self.keyboard.press("Control+a")
            settle.answers(self.services)
            if accessibility.all_chosen(self.services.bus, to, path):
                return
            settle.settle(self.services, 1.0)

    def _stroke(self, name: str, arguments: list[Any]) -> None:
        strokes: dict[str, Callable[..., object]] = {
            "move": self.mouse.move,
            "click": self.mouse.click,
            "scroll": self.mouse.scroll,
            "drag": self.mouse.drag,
            "type": self.keyboard.type,
            "press": self.keyboard.press,
            "replace": self._replace,
            "choose": self.chooser.choose,
            "down": lambda key: self.keyboard.hold(key, down=True),
            "up": lambda key: self.keyboard.hold(key, down=False),
            "mousedown": lambda button: self.mouse.button(button, down=True),
            "mouseup": lambda button: self.mouse.button(button, down=False),
            "front": self.services.display.activate,
            "close": self.services.display.close_window,
            "settle": lambda seconds: settle.settle(self.services, seconds),
        }
        strokes[name](*arguments)
