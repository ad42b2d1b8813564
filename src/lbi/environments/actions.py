"""Action text -> Call, or one readable line of why not: ``fill(e12, "text")`` -> Call("fill", target "e12", "text").

Nothing is evaluated: the text is scanned by hand, so a page that talks a model into writing code gains nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lbi.records import sound

KINDS = ("click", "fill", "select", "press", "goto", "back", "scroll", "finish")
ACTIONS = """\
click(e12)                click an element; check boxes and radio buttons too
fill(e12, "text")         replace the text of a text box
select(e12, "option")     choose an option of a combobox or list box by its label
press("Enter")            press a key on the page; press(e12, "Enter") on an element
goto("/path?query")       open an address of this site
back()                    go one page back
scroll("down")            scroll by one screen; "up" or "down"
finish("answer")          end the task; the answer may be empty"""

_CALL = re.compile(r"(?<![\w.])(" + "|".join(KINDS) + r")\s*\(")
_REF = re.compile(r"\[?((?:f\d+)?e\d+)\]?\Z")
_GROUNDED = re.compile(r'(\w+)(?:\s+("(?:[^"\\]|\\.)*"))?(?:\s*#(\d+))?\Z', re.S)
_CLOSING = {'"': '"', "'": "'", "“": "”", "‘": "’", "`": "`"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f"}


@dataclass(frozen=True)
class Target:
    """What an action hits: a reference of the current observation, or role, name and which of several."""

    ref: str = ""
    role: str = ""
    name: str = ""
    nth: int = 0


@dataclass(frozen=True)
class Call:
    """An action that could be read. ``target`` is None where the action has none."""

    kind: str
    target: Target | None = None
    value: str = ""


class UnreadableAction(ValueError):
    """The message is one line for the model."""


@dataclass(frozen=True)
class _Argument:
    text: str
    quoted: bool


def parse_action(text: str) -> Call:
    """Read the first action in ``text``; prose before it ("Action: ..."), code fences and back-ticks are skipped.

    Raises UnreadableAction.
    """
    found = _CALL.search(text)
    if found is None:
        bare = re.fullmatch(r"(?:.*[:\s])?(back|finish)[.`\s]*", text.strip(), re.S)
        if bare:
            return Call(bare[1])
        raise UnreadableAction(f"no action found; write one of: {', '.join(KINDS)}, as in click(e12)")
    return _build(found[1], _arguments(text, found.end()))


def parse_target(text: str) -> Target | None:
    """``e12`` or ``button "Create ticket" #2``; None if it is neither."""
    text = text.strip()
    if ref := _REF.match(text):
        return Target(ref=ref[1])
    grounded = _GROUNDED.match(text)
    if grounded is None or not (grounded[2] or grounded[3]):
        return None
    name = _unescape(grounded[2][1:-1]) if grounded[2] else ""
    return Target(role=grounded[1], name=name, nth=int(grounded[3] or 0))


def _build(kind: str, arguments: list[_Argument]) -> Call:
    texts = [argument.text for argument in arguments]
    if kind in ("goto", "scroll", "finish", "back"):
        value = ", ".join(texts)
        if kind == "goto" and not value:
            raise UnreadableAction('goto needs an address: goto("/path")')
        if kind == "scroll" and value not in ("up", "down"):
            raise UnreadableAction('scroll takes "up" or "down"')
        return Call(kind, value="" if kind == "back" else value)
    if kind == "press" and len(texts) == 1:
        return Call(kind, value=_not_empty(kind, texts[0]))
    if not texts:
        raise UnreadableAction(f"{kind} needs an element: {kind}(e12{'' if kind == 'click' else ', ...'})")
    target = parse_target(texts[0])
    if target is None:
        raise UnreadableAction(f"{texts[0]!r} is no element: use a reference of the observation, such as e12")
    if kind == "click":
        return Call(kind, target)
    if len(texts) < 2:
        raise UnreadableAction(f'{kind} needs a value: {kind}(e12, "...")')
    value = ", ".join(texts[1:])
    return Call(kind, target, _not_empty(kind, value) if kind == "press" else value)


def _not_empty(kind: str, value: str) -> str:
    if not value.strip():
        raise UnreadableAction(f"{kind} needs a key, such as Enter")
    return value.strip()


def _arguments(text: str, at: int) -> list[_Argument]:
    found: list[_Argument] = []
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        if at >= len(text) or text[at] == ")":
            return found
        if text[at] in _CLOSING:
            argument, at = _quoted(text, at)
        else:
            argument, at = _unquoted(text, at, first=not found)
        found.append(argument)


def _quoted(text: str, at: int) -> tuple[_Argument, int]:
    closing = _CLOSING[text[at]]
    end = at + 1
    while end < len(text):
        if text[end] == "\\":
            end += 2
        elif text[end] == closing and _ends_argument(text, end + 1):
            return _Argument(_unescape(text[at + 1 : end]), True), end + 1
        else:
            end += 1
    # the closing quote was forgotten: everything up to the last bracket is meant
    rest = text[at + 1 :].rstrip(" `\n")
    return _Argument(_unescape(rest.removesuffix(")").removesuffix(closing)), True), len(text)


def _ends_argument(text: str, at: int) -> bool:
    """A quote inside the text ('it's here') is not followed by a comma, a bracket or the end."""
    rest = text[at:].lstrip()
    return not rest or rest[0] in ",)"


def _unquoted(text: str, at: int, first: bool) -> tuple[_Argument, int]:
    """``e12``, ``button "Create, or not" #2``, or a value whose quotes were forgotten."""
    if first and (grounded := re.compile(r'\w+\s+"(?:[^"\\]|\\.)*"(?:\s*#\d+)?').match(text, at)):
        return _Argument(grounded[0], False), grounded.end()
    if first and (ref := re.compile(r"\[?\w+\]?(?=\s*[,)])").match(text, at)):
        return _Argument(ref[0], False), ref.end()
    line_end = text.find("\n", at)
    line_end = len(text) if line_end < 0 else line_end
    bracket = text.rfind(")", at, line_end)
    end = bracket if bracket >= 0 else line_end
    return _Argument(text[at:end].strip(), False), end


def _unescape(text: str) -> str:
    """Backslash escapes of JSON and Python; an unknown one keeps its backslash (a Windows path, a regex)."""

    def one(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] == "u" and len(code) == 5:
            return chr(int(code[1:], 16))
        if code in _ESCAPES:
            return _ESCAPES[code]
        return code if code in "\"'\\/`“”‘’" else match[0]

    joined = re.sub(r"\\(u[0-9a-fA-F]{4}|.)", one, text, flags=re.S)
    # JSON writes characters beyond the basic plane as two surrogates
    return sound(joined)
