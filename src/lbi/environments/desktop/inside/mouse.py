"""Moves the pointer and presses its buttons."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from .x11 import BUTTON_PRESS, BUTTON_RELEASE, MOTION, Display

BUTTONS = {"left": 1, "middle": 2, "right": 3}
_WHEEL = {"up": 4, "down": 5, "left": 6, "right": 7}
NOTCHES = 5  # of the wheel, in one scroll


class Mouse:
    def __init__(self, display: Display) -> None:
        self._display = display

    def move(self, x: int, y: int) -> None:
        self._display.fake(MOTION, 0, self._within(x, self._display.width), self._within(y, self._display.height))
        self._display.sync()

    def click(self, button: str = "left", times: int = 1) -> None:
        """All in one piece: on a busy machine, clicks sent one by one come too far apart to be a double click."""
        number = BUTTONS[button]
        self._display.fake_at_once(*[(BUTTON_PRESS, number), (BUTTON_RELEASE, number)] * times)
        self._display.sync()

    def button(self, button: str, *, down: bool) -> None:
        self._display.fake(BUTTON_PRESS if down else BUTTON_RELEASE, BUTTONS[button])
        self._display.sync()

    def scroll(self, direction: str, notches: int = NOTCHES) -> None:
        for _ in range(notches):
            self._display.fake(BUTTON_PRESS, _WHEEL[direction])
            self._display.fake(BUTTON_RELEASE, _WHEEL[direction])
        self._display.sync()

    def drag(self, points: Sequence[Sequence[int]], button: str = "left") -> None:
        """Along a line of points, in small steps, as programs begin to drag after some way only."""
        self.move(*points[0])
        self.button(button, down=True)
        for (x, y), (to_x, to_y) in itertools.pairwise(points):
            for part in range(1, 9):
                self.move(x + (to_x - x) * part // 8, y + (to_y - y) * part // 8)
        self.button(button, down=False)

    @staticmethod
    def _within(value: int, size: int) -> int:
        return min(max(int(value), 0), size - 1)
