"""A browser action and its element -> why it may change something: click on button "Save" -> "a click may send".

What only looks: reading, moving about, filling in what has not been sent, following an ordinary link. Whatever a page
might send something at is taken to do so: only the page knows. A plain link that a script of the page turns into
something else is not recognised, nor a page that saves while somebody types.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

from lbi.environments.web.actions import Call
from lbi.environments.web.url_rules import PORTS, scheme_of
from lbi.observations.parse import Element

#: words of links and addresses that do more than lead somewhere
LASTING = re.compile(
    r"(?<![A-Za-z])(?i:delete|remove|destroy|log[ _-]?out|sign[ _-]?out|log[ _-]?off|reset|clear|submit|save|send|post"
    r"|confirm|pay|approve|revoke|unsubscribe)(?![a-z])"
)
LOOKS = ("hover", "back", "forward", "tab", "scroll", "find", "wait", "finish")
#: of a page, these keys only move about
MOVING = re.compile(r"(?:Shift\+)?Tab|Escape|PageUp|PageDown|Home|End|Shift|Control|Alt|Meta|(?:Control|Meta)\+[AaCc]")
#: a click on one of these only puts the cursor there
TEXT_BOXES = ("textbox", "searchbox", "spinbutton")


def why_it_may_change(call: Call, element: Element | None) -> str:
    """Why an action may change something, in words for the person who is asked; "" if it only looks."""
    if call.kind in LOOKS:
        return ""
    if call.kind == "goto":
        return _of_address("the address", call.value)
    if call.kind in ("fill", "type"):  # a line break in what is typed is the Enter key
        return "a line break that is typed may send what stands there" if _presses_enter(call) else ""
    if call.kind == "press":
        return "" if MOVING.fullmatch(call.value) else "a key may send or change something"
    if call.kind == "select":
        return "a choice may be sent as it is made"
    if call.kind == "click" and element is not None and not call.value:  # no other button, no key held
        return _of_click(element)
    return {"drag": "what is moved may stay there", "upload": "a file may be sent as it is given"}.get(
        call.kind, "a click may send or change something"
    )


def _presses_enter(call: Call) -> bool:
    return call.kind == "type" and "\n" in call.value


def _of_click(element: Element) -> str:
    if element.role in TEXT_BOXES:
        return ""
    leads = element.url and not element.url.startswith("#") and scheme_of(element.url) in ("", *PORTS)
    if not leads:
        return "a click may send or change something"
    return _of_address("the link", f"{element.name} {element.url}")


def _of_address(what: str, address: str) -> str:
    word = LASTING.search(unquote_plus(address))
    return f'{what} says "{word[0]}"' if word else ""
