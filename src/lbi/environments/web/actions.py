"""Reads the text of a browser action: ``fill(e12, "text")`` -> Call("fill", Target("e12"), "text").

The text is scanned by hand and never evaluated, so a page that talks a model into writing code gains nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lbi.environments._arguments import Argument, bound, read_arguments, unescape

KINDS = ("click", "fill", "select", "press", "goto", "back", "scroll", "finish")
ACTIONS = """\
At each step you see the page as text: one line per element, with a reference such as [e12] behind those you can act on.
References of earlier pages are no longer valid.

click(e12)                click an element; check boxes and radio buttons too
fill(e12, "text")         replace the text of a text box; write \\n for a line break and \\" for a quotation mark
select(e12, "option")     choose an option of a combobox or list box by its label
press("Enter")            press a key on the page; press(e12, "Enter") on an element
goto("/path?query")       open an address of this site
back()                    go one page back
scroll("down")            scroll by one screen, "up" or "down", on pages that load more then: their text is shown whole
finish("answer")          end the task; the answer may be empty"""

_ELEMENT = ("ref", "target", "id", "element_id", "selector")
#: the arguments of each action by name, and other names for them
NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "click": {"element": _ELEMENT},
    "fill": {"element": _ELEMENT, "text": ("value", "content")},
    "select": {"element": _ELEMENT, "option": ("value", "label", "text")},
    "press": {"element": _ELEMENT, "key": ("keys", "value")},
    "goto": {"url": ("address", "path", "href")},
    "back": {},
    "scroll": {"direction": ("dir",)},
    "finish": {"answer": ("text", "message", "result", "value")},
}
_CALL = re.compile(r"(?<![\w.])(" + "|".join(KINDS) + r")\s*\(")
_REF = re.compile(r"\[?((?:f\d+)?e\d+)\]?\Z")
_GROUNDED = re.compile(r'(\w+)(?:\s+("(?:[^"\\]|\\.)*"))?(?:\s*#(\d+))?\Z', re.S)


@dataclass(frozen=True)
class Target:
    """The element an action is meant for: a reference of the present page, or role, name and number among several."""

    ref: str = ""
    role: str = ""
    name: str = ""
    nth: int = 0


@dataclass(frozen=True)
class Call:
    """An action that could be read. ``target`` is None where the action needs no element."""

    kind: str
    target: Target | None = None
    value: str = ""


class UnreadableAction(ValueError):
    """The message is one line for the model."""


def parse_action(text: str) -> Call:
    """Read the first action in ``text``; prose before it ("Action: ..."), code fences and back-ticks are skipped.

    Raises UnreadableAction.
    """
    call = _CALL.search(text)
    if call is None:
        bare = re.fullmatch(r"(?:.*[:\s])?(back|finish)[.`\s]*", text.strip(), re.S)
        if bare:
            return Call(bare[1])
        raise UnreadableAction(f"no action found; write one of: {', '.join(KINDS)}, as in click(e12)")
    return _build(call[1], read_arguments(text, call.end()))


def parse_target(text: str) -> Target | None:
    """``e12`` or ``button "Create ticket" #2``; None if it is neither."""
    text = text.strip()
    if ref := _REF.match(text):
        return Target(ref=ref[1])
    grounded = _GROUNDED.match(text)
    if grounded is None or not (grounded[2] or grounded[3]):
        return None
    name = unescape(grounded[2][1:-1]) if grounded[2] else ""
    return Target(role=grounded[1], name=name, nth=int(grounded[3] or 0))


def _build(kind: str, arguments: list[Argument]) -> Call:
    if kind == "finish":  # quotes were forgotten around an answer such as total=42
        arguments = [_as_text(each, NAMES[kind]) for each in arguments]
    try:
        arguments = bound(kind, arguments, NAMES[kind], optional_first=kind == "press")
    except ValueError as error:
        raise UnreadableAction(str(error)) from None
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


def _as_text(argument: Argument, names: dict[str, tuple[str, ...]]) -> Argument:
    """An argument without quotes whose name is none of the action's, as the text that it was."""
    known = {name for own, others in names.items() for name in (own, *others)}
    if not argument.name or argument.quoted or argument.name in known:
        return argument
    return Argument(f"{argument.name}={argument.text}", False)


def _not_empty(kind: str, value: str) -> str:
    if not value.strip():
        raise UnreadableAction(f"{kind} needs a key, such as Enter")
    return value.strip()
