"""What snippets of computer use call `pyautogui`: the same functions, on this desktop's own mouse and keyboard.

Names and arguments are pyautogui's, so that snippets which were written for it run as they are.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import sys
import time as _time
import types
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

PAUSE = 0.1  # seconds after each call, as in pyautogui
FAILSAFE = True  # says nothing here
LEFT, MIDDLE, RIGHT, PRIMARY, SECONDARY = "left", "middle", "right", "left", "right"


class Point(NamedTuple):
    x: int
    y: int


class Size(NamedTuple):
    width: int
    height: int


@functools.cache
def _hands() -> Any:
    """Display, mouse and keyboard, once something is asked of them."""
    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.path.insert(1, folder)
    x11, mouse, keyboard = (importlib.import_module(f"inside.{name}") for name in ("x11", "mouse", "keyboard"))
    sys.path.remove(folder)
    display = x11.Display(os.environ["DISPLAY"])
    return types.SimpleNamespace(display=display, mouse=mouse.Mouse(display), keyboard=keyboard.Keyboard(display))


def size() -> Size:
    return Size(_hands().display.width, _hands().display.height)


def position() -> Point:
    return Point(*_hands().display.pointer())


def onScreen(x: Any, y: Any = None) -> bool:
    at = _place(x, y)
    return bool(0 <= at.x < _hands().display.width and 0 <= at.y < _hands().display.height)


def moveTo(x: Any = None, y: Any = None, duration: float = 0.0, *_: Any, **__: Any) -> None:
    _hands().mouse.move(*_place(x, y))
    _pause(duration)


def moveRel(xOffset: Any = 0, yOffset: Any = 0, duration: float = 0.0, *_: Any, **__: Any) -> None:
    at = position()
    moveTo(at.x + int(xOffset or 0), at.y + int(yOffset or 0), duration)


def click(
    x: Any = None, y: Any = None, clicks: int = 1, interval: float = 0.0, button: str = "left", *_: Any, **__: Any
) -> None:
    _hands().mouse.move(*_place(x, y))
    for _number in range(int(clicks)):
        _hands().mouse.click(_button(button))
        _time.sleep(interval)
    _pause()


def doubleClick(x: Any = None, y: Any = None, interval: float = 0.0, button: str = "left", *_: Any, **__: Any) -> None:
    click(x, y, 2, interval, button)


def tripleClick(x: Any = None, y: Any = None, interval: float = 0.0, button: str = "left", *_: Any, **__: Any) -> None:
    click(x, y, 3, interval, button)


def leftClick(x: Any = None, y: Any = None, *_: Any, **__: Any) -> None:
    click(x, y)


def rightClick(x: Any = None, y: Any = None, *_: Any, **__: Any) -> None:
    click(x, y, button="right")


def middleClick(x: Any = None, y: Any = None, *_: Any, **__: Any) -> None:
    click(x, y, button="middle")


def mouseDown(x: Any = None, y: Any = None, button: str = "left", *_: Any, **__: Any) -> None:
    _hands().mouse.move(*_place(x, y))
    _hands().mouse.button(_button(button), down=True)
    _pause()


def mouseUp(x: Any = None, y: Any = None, button: str = "left", *_: Any, **__: Any) -> None:
    _hands().mouse.move(*_place(x, y))
    _hands().mouse.button(_button(button), down=False)
    _pause()


def dragTo(
    x: Any = None, y: Any = None, duration: float = 0.0, tween: Any = None, button: str = "left", *_: Any, **__: Any
) -> None:
    _hands().mouse.drag([position(), _place(x, y)], _button(button))
    _pause(duration)


def dragRel(
    xOffset: Any = 0,
    yOffset: Any = 0,
    duration: float = 0.0,
    tween: Any = None,
    button: str = "left",
    *_: Any,
    **__: Any,
) -> None:
    at = position()
    dragTo(at.x + int(xOffset or 0), at.y + int(yOffset or 0), duration, tween, button)


def scroll(clicks: float, x: Any = None, y: Any = None, *_: Any, **__: Any) -> None:
    _turn("up" if clicks > 0 else "down", clicks, x, y)


def hscroll(clicks: float, x: Any = None, y: Any = None, *_: Any, **__: Any) -> None:
    _turn("right" if clicks > 0 else "left", clicks, x, y)


def write(message: Any, interval: float = 0.0, *_: Any, **__: Any) -> None:
    """A text, or a list of letters and names of keys."""
    if isinstance(message, str):
        _hands().keyboard.type(message)
    else:
        for key in message:
            _hands().keyboard.press(key) if len(key) > 1 else _hands().keyboard.type(key)
    _pause(interval)


def press(keys: Any, presses: int = 1, interval: float = 0.0, *_: Any, **__: Any) -> None:
    names = [keys] if isinstance(keys, str) else list(keys)
    for _number in range(int(presses)):
        for name in names:
            _hands().keyboard.press(name)
        _pause(interval)


def hotkey(*keys: Any, **_: Any) -> None:
    names = [name for each in keys for name in ([each] if isinstance(each, str) else each)]
    for name in names:
        _hands().keyboard.hold(name, down=True)
    for name in reversed(names):
        _hands().keyboard.hold(name, down=False)
    _pause()


def keyDown(key: str, *_: Any, **__: Any) -> None:
    _hands().keyboard.hold(key, down=True)
    _pause()


def keyUp(key: str, *_: Any, **__: Any) -> None:
    _hands().keyboard.hold(key, down=False)
    _pause()


@contextlib.contextmanager
def hold(keys: str | Sequence[str], *_: Any, **__: Any) -> Iterator[None]:
    names = [keys] if isinstance(keys, str) else list(keys)
    for name in names:
        keyDown(name)
    try:
        yield
    finally:
        for name in reversed(names):
            keyUp(name)


def sleep(seconds: float) -> None:
    _time.sleep(seconds)


move, drag, typewrite, vscroll, countdown = moveRel, dragRel, write, scroll, sleep


def _turn(direction: str, clicks: float, x: Any, y: Any) -> None:
    _hands().mouse.move(*_place(x, y))
    _hands().mouse.scroll(direction, max(round(abs(clicks)), 1))
    _pause()


def _place(x: Any, y: Any) -> Point:
    """Where a call goes: two numbers, a pair, or where the pointer is."""
    if isinstance(x, Sequence) and not isinstance(x, str):
        x, y = x[0], x[1]
    at = position()
    return Point(at.x if x is None else round(float(x)), at.y if y is None else round(float(y)))


def _button(name: str) -> str:
    return {"primary": "left", "secondary": "right"}.get(name, name)


def _pause(seconds: float = 0.0) -> None:
    _time.sleep(max(PAUSE, seconds))
