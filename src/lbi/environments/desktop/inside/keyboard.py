"""Types texts and presses keys, as a person's keyboard does."""

from __future__ import annotations

from .x11 import KEY_PRESS, KEY_RELEASE, Display

_NAMED = {
    "backspace": 0xFF08, "tab": 0xFF09, "enter": 0xFF0D, "escape": 0xFF1B, "delete": 0xFFFF, "home": 0xFF50,
    "left": 0xFF51, "up": 0xFF52, "right": 0xFF53, "down": 0xFF54, "pageup": 0xFF55, "pagedown": 0xFF56, "end": 0xFF57,
    "insert": 0xFF63, "menu": 0xFF67, "print": 0xFF61, "pause": 0xFF13, "space": 0x20, "capslock": 0xFFE5,
    "shift": 0xFFE1, "control": 0xFFE3, "alt": 0xFFE9, "meta": 0xFFEB, "plus": 0x2B, "minus": 0x2D, "comma": 0x2C,
}  # fmt: skip
_ALSO = {
    "return": "enter", "esc": "escape", "del": "delete", "ctrl": "control", "controlleft": "control",
    "cmd": "meta", "ctrlleft": "control", "ctrlright": "control", "shiftleft": "shift", "shiftright": "shift",
    "altleft": "alt", "altright": "alt", "option": "alt", "super": "meta", "win": "meta", "winleft": "meta",
    "command": "meta", "pgup": "pageup", "pgdn": "pagedown", "page_up": "pageup", "page_down": "pagedown",
    "arrowleft": "left", "arrowright": "right", "arrowup": "up", "arrowdown": "down", "ins": "insert",
    "printscreen": "print", "apps": "menu", "prior": "pageup", "next": "pagedown", "super_l": "meta",
    "control_l": "control", "shift_l": "shift", "alt_l": "alt",
}  # fmt: skip


class UnknownKey(ValueError):
    """The message names the key."""


class Keyboard:
    def __init__(self, display: Display) -> None:
        self._display = display
        self._keys: dict[int, tuple[int, bool]] = {}  # keysym -> (key, with shift)
        self._spare: list[int] = []
        for at, syms in enumerate(display.keyboard()):
            key = display.first_key + at
            for level, sym in reversed(list(enumerate(syms[:2]))):
                if sym:
                    self._keys.setdefault(sym, (key, level == 1))
                    if level == 0:
                        self._keys[sym] = (key, False)
            if not any(syms):
                self._spare.append(key)
        self._lent: list[int] = []  # keysyms that stand on spare keys

    def type(self, text: str) -> None:
        """Press the keys of a text, one after the other; those that the keyboard lacks are added to it."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        for start in range(0, len(text), 16):
            part = [_keysym(letter) for letter in text[start : start + 16]]
            self._lend(part)
            for sym in part:
                self._strokes([*([_NAMED["shift"]] if self._keys[sym][1] else []), sym])
            self._display.sync()

    def press(self, keys: str) -> None:
        """Press ``Control+Shift+s`` or ``Enter``. Raises UnknownKey."""
        syms = [keysym_of(name) for name in _parts(keys)]
        self._lend(syms)
        if self._keys[syms[-1]][1] and len(syms) == 1:
            syms.insert(0, _NAMED["shift"])
        self._strokes(syms)
        self._display.sync()

    def hold(self, key: str, *, down: bool) -> None:
        """Press a key without letting it go, or let it go. Raises UnknownKey."""
        sym = keysym_of(key)
        self._lend([sym])
        self._display.fake(KEY_PRESS if down else KEY_RELEASE, self._keys[sym][0])
        self._display.sync()

    def _strokes(self, syms: list[int]) -> None:
        keys = [self._keys[sym][0] for sym in syms]
        for key in keys:
            self._display.fake(KEY_PRESS, key)
        for key in reversed(keys):
            self._display.fake(KEY_RELEASE, key)

    def _lend(self, syms: list[int]) -> None:
        """Put keysyms that the keyboard lacks on its spare keys, in turns."""
        missing = [sym for sym in dict.fromkeys(syms) if sym not in self._keys]
        for sym in missing:
            if len(self._lent) >= len(self._spare):
                old = self._lent.pop(0)
                key = self._keys.pop(old)[0]
            else:
                key = self._spare[len(self._lent)]
            self._lent.append(sym)
            self._keys[sym] = (key, False)
            self._display.set_key(key, sym)
        if missing:
            self._display.sync()


def _parts(keys: str) -> list[str]:
    """``Control+s`` -> Control, s; ``Control++`` ends with the key +."""
    if keys.endswith("++"):
        return [*filter(None, keys[:-2].split("+")), "+"]
    return [part.strip() or part for part in keys.split("+") if part] or ["+"]


def keysym_of(name: str) -> int:
    """Raises UnknownKey."""
    if len(name) == 1:
        return _keysym(name)
    plain = name.strip().lower().replace(" ", "").replace("-", "")
    plain = _ALSO.get(plain, plain)
    if plain in _NAMED:
        return _NAMED[plain]
    if plain.startswith("f") and plain[1:].isdigit() and 1 <= int(plain[1:]) <= 24:
        return 0xFFBD + int(plain[1:])
    raise UnknownKey(f"there is no key {name!r}")


def _keysym(letter: str) -> int:
    if letter in "\n\t":
        return _NAMED["enter" if letter == "\n" else "tab"]
    code = ord(letter)
    return code if 0x20 <= code <= 0x7E or 0xA0 <= code <= 0xFF else 0x01000000 | code
