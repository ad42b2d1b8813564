"""A line of an observation made short: addresses cut in the middle, long lists of options to those that matter.

'combobox "Year:" [e3]: "2025" of "2025" | "1990" | … | "2040"' -> '…: "2025" of "2025" | "1990" | "1991" | … 49 more'
"""

from __future__ import annotations

import re
from urllib.parse import unquote

MOST_ADDRESS = 60  # characters
MOST_OPTIONS = 6
_ADDRESS = re.compile(r"(?<= -> )\S+")
_LINK = re.compile(r'"((?:[^"\\]|\\.)*)" \[e\d+\](?: \([^()]*\))? -> (\S+)')
_OPTION = r'(?:[^"|]* )?"(?:[^"\\]|\\.)*"'
_LIST = re.compile(rf"(?<= of ){_OPTION}(?: \| {_OPTION})+(?: \| … (\d+) more)?$")
_ITEM = re.compile(_OPTION)
_CHOSEN = re.compile(rf': ((?:"(?:[^"\\]|\\.)*"(?:, )?)*)(?:none)? of (?={_OPTION})')


def brief_line(line: str, keep: str = "", options: int = MOST_OPTIONS, address: int = MOST_ADDRESS) -> str:
    """The line with no address over ``address`` characters, and no list of more than about ``options`` options.

    What is chosen stays, and so do options that contain ``keep``, with one neighbour on each side.
    """
    if " -> " in line:
        line = _ADDRESS.sub(lambda match: brief_address(match[0], address), line)
    if ' | "' in line and (found := _LIST.search(line)):
        line = line[: found.start()] + _brief_options(line, found, keep, options)
    return line


def brief_address(url: str, limit: int = MOST_ADDRESS) -> str:
    """An address without its middle: where it leads, and how it ends."""
    if len(url) <= limit:
        return url
    end = limit // 3
    return f"{url[: limit - end - 1]}…{url[-end:]}"


def without_telling_addresses(line: str) -> str:
    """The line without the addresses that only repeat what the link is called, or lead nowhere ("#")."""
    return _LINK.sub(lambda link: link[0].partition(" -> ")[0] if _repeats(link[1], link[2]) else link[0], line)


def _repeats(name: str, url: str) -> bool:
    if url == "#":
        return True
    end = re.split(r"[/#]", unquote(url).partition("?")[0].rstrip("/"))[-1]
    return bool(end) and "?" not in url and _plain(end) == _plain(name)


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _brief_options(line: str, found: re.Match[str], keep: str, most: int) -> str:
    items = [item.strip() for item in _ITEM.findall(found[0])]
    if len(items) <= most + 1:
        return found[0]
    before = _CHOSEN.search(line)
    chosen = before[1].count('"') // 2 if before else 0  # those come first in the list
    wanted = set(range(min(chosen, most)))
    if keep:
        near = [at for at, item in enumerate(items) if keep.casefold() in item.casefold()]
        wanted |= {one for at in near[:most] for one in (at - 1, at, at + 1) if 0 <= one < len(items)}
    for at in range(len(items)):
        if len(wanted) >= most:
            break
        wanted.add(at)
    left_out = len(items) - len(wanted) + int(found[1] or 0)
    return " | ".join([*(items[at] for at in sorted(wanted)), f"… {left_out} more"])
