"""What somebody else's agent sees, as text -> an observation as ours are, so that it can be compared with them.

- Page URL: http://localhost:3000/new        url: /new
- Page Title: New note                  ->   title: New note
- textbox "Title" [ref=e7]                   textbox "Title" [e7]
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from lbi.records import Observation, sound

LONGEST = 200_000  # characters of what is seen that are looked at
_HEAD = 4_000  # characters in which an address and a title are looked for
_URL = re.compile(r"^[ \t>*-]*(?:current |page )?url\**:\**[ \t]*`?(\S+?)`?[ \t]*$", re.IGNORECASE | re.MULTILINE)
_TITLE = re.compile(r"^[ \t>*-]*(?:page )?title\**:\**[ \t]*(.+?)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_REFERENCE = re.compile(r"\[ref=((?:f\d+)?e\d+)\]")
_LINE = re.compile(r'^([ \t]*)- (?=[a-z]+(?: "| \[|:|$))', re.MULTILINE)


def observation_of(text: str, url: str = "", title: str = "") -> Observation:
    """An observation with the address and the title that the text itself tells, where none are given."""
    text = text[:LONGEST]
    text = text if text.isascii() else sound(text)
    head = text[:_HEAD]
    url = url or _first(_URL, head)
    if _REFERENCE.search(text):
        text = _LINE.sub(r"\1", _REFERENCE.sub(r"[\1]", text))
    return Observation(text=text, url=_path(url), title=sound(title or _first(_TITLE, head)))


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""


def _path(url: str) -> str:
    """Path, query and fragment: our addresses are those within a site."""
    try:
        parts = urlsplit(sound(url))
    except ValueError:
        return ""
    return (parts._replace(scheme="", netloc="").geturl() or "/") if parts.netloc else parts.geturl()
