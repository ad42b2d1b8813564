"""Names that become files or keys, and addresses of servers -> what is wrong with them: "../x" -> "may not hold /"."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import urlsplit

LONGEST = 100  # characters of a name; files may have 255 bytes
_HOST = re.compile(r"(?=.{1,253}\.?$)[^\W_](?:[\w.-]*\w)?\.?")


def name_problem(name: str, *, parted: bool = False) -> str:
    """Why a name cannot be that of a file or a key; "" if it can. One that is ``parted`` may hold single slashes."""
    parts = name.split("/") if parted else [name]
    return next(filter(None, map(_part_problem, parts)), "")


def _part_problem(part: str) -> str:
    if not part.strip():
        return "a name must not be empty"
    if len(part) > LONGEST or len(part.encode("utf-8", "replace")) > 2 * LONGEST:
        return f"a name has at most {LONGEST} characters"
    if bad := next((char for char in part if char in "/\\" or _unprintable(char)), ""):
        return f"a name must not hold {bad!r}"
    if part.startswith((".", "-")) or part != part.strip() or part.endswith("."):
        return "a name must not begin with a dot or a hyphen, end with a dot, or have blanks around it"
    return ""


def _unprintable(char: str) -> bool:
    """Control and format characters, line ends, lone surrogates."""
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def same_but_for_case(names: Iterable[str]) -> tuple[str, str] | None:
    """Two names that many file systems take for one: they differ in case, or in how an accent is written."""
    seen: dict[str, str] = {}
    for name in names:
        folded = unicodedata.normalize("NFKC", name).casefold()
        if seen.setdefault(folded, name) != name:
            return seen[folded], name
    return None


def address_problem(address: str) -> str:
    """Why an address is not that of a server or a page of one; "" if it is, or could be."""
    example = "write one such as http://localhost:8000/v1"
    if any(char.isspace() or _unprintable(char) for char in address):
        return f"an address holds no blanks; {example}"
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        return f"no address ({error}); {example}"
    if parts.scheme not in ("http", "https"):
        return f"an address begins with http:// or https://; {example}"
    if "@" in parts.netloc:
        return f"an address holds no user name and no password, as it is stored and shown; {example}"
    if not host or port == 0:
        return f"an address names a host, and a port from 1 to 65535 where one is given; {example}"
    return "" if _is_host(host) else f"{host!r} is no host; {example}"


def without_password(text: str) -> str:
    """Text without the user names and passwords of the addresses in it."""
    return re.sub(r"(?<=://)[^/\s?#]*@", "***@", text)


def page_problem(address: str, site: str = "") -> str:
    """Why an address is not that of a page: a path on the site, or a whole address; of the ``site``, where it is known.

    "" if it is one.
    """
    example = "write a path on the site, such as /list"
    if any(char.isspace() or char == "\\" or _unprintable(char) for char in address):
        return f"an address holds no blanks and no backslashes; {example}"
    if address.startswith("//"):
        return f"two slashes at its beginning lead to another site; {example}"
    if address.startswith("/"):
        return ""
    if problem := address_problem(address):
        return (
            f"neither a path, such as /list, nor an address: {problem}" if "://" in address else f"no path; {example}"
        )
    if site and not address_problem(site) and _origin(address) != _origin(site):
        return f"it is not on the site {site}; {example}"
    return ""


def _origin(address: str) -> tuple[str, str, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _is_host(host: str) -> bool:
    if ":" in host or re.fullmatch(r"[\d.]+", host):
        try:
            ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        return True
    return bool(_HOST.fullmatch(host)) and ".." not in host
