"""Reads the arguments of an action after its opening bracket: ``e12, "two\\nlines")`` -> "e12" and two lines of text.

The text is scanned by hand, and forgivingly, as models forget quotes and brackets. Nothing is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lbi.records import ORDINAL, sound

_CLOSING = {'"': '"', "'": "'", "“": "”", "‘": "’", "`": "`"}
_TRIPLE = re.compile(r'("""|\'\'\')(.*?)\1(?=\s*[,)]|\s*\Z)', re.S)
_NAME = re.compile(r"([A-Za-z_]\w*)\s*=(?!=)\s*")
#: an element by role and name, with a number of it before or after it
_NAMED = re.compile(rf'(?:{ORDINAL}\s+)?\w+\s+"(?:[^"\\]|\\.)*"(?:\s+{ORDINAL}|\s*#\d+)?')
_END = re.compile(r"\s*(?:[,)]|\Z)")
MOST = 50  # arguments of one action
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f"}


@dataclass(frozen=True)
class Argument:
    """Its text without quotes and escapes, whether it was written in quotes, and the name before it: text="Ann"."""

    text: str
    quoted: bool
    name: str = ""


def read_arguments(text: str, at: int) -> list[Argument]:
    """The arguments from ``at``, just behind the opening bracket, up to the closing one as far as that can be told."""
    arguments: list[Argument] = []
    while len(arguments) < MOST:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        name = ""
        if named := _NAME.match(text, at):
            name, at = named[1], named.end()
        if at >= len(text) or text[at] == ")":
            return [*arguments, Argument("", False, name)] if name else arguments
        if triple := _TRIPLE.match(text, at):
            arguments.append(Argument(unescape(triple[2]), True, name))
            at = triple.end()
            continue
        if text[at] in _CLOSING:
            argument, at = _quoted(text, at)
        else:
            argument, at = _unquoted(text, at, first=not arguments or bool(name))
        arguments.append(replace(argument, name=name))
    return arguments


def bound(
    kind: str, arguments: Sequence[Argument], names: Mapping[str, Sequence[str]], *, optional_first: bool = False
) -> list[Argument]:
    """The arguments in the order of ``names``, which maps each argument's name to others that are understood.

    Raises ValueError for a name that the action does not have, for one that is given twice, and for a gap. With
    ``optional_first`` the first one may be left out.
    """
    known = {other: name for name, others in reversed(list(names.items())) for other in (name, *others)}
    placed = [argument for argument in arguments if not argument.name]
    given: dict[int, Argument] = {}
    for argument in arguments:
        if not argument.name:
            continue
        if argument.name not in known:
            raise ValueError(f"{kind} has no argument {argument.name!r}; it has: {', '.join(names) or 'none'}")
        at = _place(argument.name, names, len(placed), given)
        if at < len(placed) or at in given:
            raise ValueError(f"{kind} was given its argument {known[argument.name]!r} twice")
        given[at] = argument
    for at in range(len(placed), max(given, default=0)):
        if at not in given and not (optional_first and at == 0):
            raise ValueError(f"{kind} lacks its argument {list(names)[at]!r}")
    return [*placed, *(given[at] for at in sorted(given))]


def _place(name: str, names: Mapping[str, Sequence[str]], placed: int, given: Mapping[int, Argument]) -> int:
    """Which argument a name means: of several that it may mean, the first that is not given yet."""
    meant = [at for at, (own, others) in enumerate(names.items()) if name in (own, *others)]
    exact = [at for at, own in enumerate(names) if name == own]
    free = [at for at in exact or meant if at >= placed and at not in given]
    return (free or meant)[0]


def _quoted(text: str, at: int) -> tuple[Argument, int]:
    closing = _CLOSING[text[at]]
    end = at + 1
    while end < len(text):
        if text[end] == "\\":
            end += 2
        elif text[end] == closing and _ends_argument(text, end + 1):
            return Argument(unescape(text[at + 1 : end]), True), end + 1
        else:
            end += 1
    # the closing quote was forgotten: the argument goes up to the last bracket
    rest = text[at + 1 :].rstrip(" `\n")
    return Argument(unescape(rest.removesuffix(")").removesuffix(closing)), True), len(text)


def _ends_argument(text: str, at: int) -> bool:
    """A quote inside the text ('it's here') is not followed by a comma, a bracket or the end."""
    return _END.match(text, at) is not None


def _unquoted(text: str, at: int, first: bool) -> tuple[Argument, int]:
    """``e12``, ``2nd button "Create, or not"``, or a value whose quotes were forgotten."""
    if first and (named := _NAMED.match(text, at)):
        return Argument(named[0], False), named.end()
    if first and (ref := re.compile(rf"\[?\w+\]?(?=\s*[,)])|{ORDINAL}\s+\w+(?=\s*[,)])").match(text, at)):
        return Argument(ref[0], False), ref.end()
    if number := re.compile(r"\d+(?=\s*[,)])").match(text, at):
        return Argument(number[0], False), number.end()
    line_end = text.find("\n", at)
    line_end = len(text) if line_end < 0 else line_end
    bracket = text.rfind(")", at, line_end)
    end = bracket if bracket >= 0 else line_end
    return Argument(text[at:end].strip(), False), end


def unescape(text: str) -> str:
    """Backslash escapes of JSON and Python; an unknown one keeps its backslash (a Windows path, a regex)."""

    def meaning(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] == "u" and len(code) == 5:
            return chr(int(code[1:], 16))
        if code in _ESCAPES:
            return _ESCAPES[code]
        return code if code in "\"'\\/`“”‘’" else match[0]

    joined = re.sub(r"\\(u[0-9a-fA-F]{4}|.)", meaning, text, flags=re.S)
    # JSON writes characters beyond the basic plane as two surrogates
    return sound(joined)
