"""Where an agent may go, what pages may ask for and what may be clicked. Deny is tested first and wins."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote, unquote_plus, urljoin, urlsplit

from lbi.environments.web.application import Policy

PORTS = {"http": 80, "https": 443}
DECODED = 8  # times that an address is decoded at most; nobody but an attacker encodes it twice
#: the browser strips control characters and blanks before an address, and line breaks and tabs anywhere in it
_BEFORE = "".join(map(chr, range(0x21)))
_WITHIN = str.maketrans("", "", "\t\r\n")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_OTHER_SITE = re.compile(r"\^?\(*(?:\?:)?https?\b")
_PLAIN_ORIGIN = re.compile(r"\^?(https?|https\?)://((?:[A-Za-z0-9-]|\\?\.|\\-)+(?::\d+)?)(?=$|/|\\/|\$)")
_UNRESERVED = re.compile(r"%(?:2[dDeE]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA]|5[fF]|7[eE])")


def scheme_of(address: str) -> str:
    """The scheme that the browser reads in an address, in small letters; "" where it is relative."""
    found = _SCHEME.match(address.lstrip(_BEFORE).translate(_WITHIN))
    return found[1].lower() if found else ""


def origin_of(url: str) -> str:
    """Scheme, host and port of an address as the browser writes them, so without its standard port; "" if malformed."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host = host if host.isascii() else host.encode("idna").decode()
    except ValueError:  # UnicodeError is one
        return ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, PORTS.get(parts.scheme)) else "")


def path_of(url: str) -> str:
    """Path and query of an address: what the rules are tested on."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


class UrlRules:
    """The rules of one site: its own addresses are allowed, but for what its application's policy forbids.

    An expression that begins with ``http`` is about whole addresses: in ``allow_urls``, what pages may ask of another
    site. All others are about path and query on the site itself. ``also`` are addresses of other sites for which the
    same holds.
    """

    def __init__(self, policy: Policy, site: str, also: Sequence[str] = ()) -> None:
        self.origin = origin_of(site)
        self.origins = (self.origin, *(origin_of(other) for other in also))
        allow = [pattern for pattern in policy.allow_urls if self.origin not in _plain_origins(pattern)]
        others = [pattern for pattern in allow if _OTHER_SITE.match(pattern)]
        self._allow = [re.compile(pattern) for pattern in allow if pattern not in others]
        self._allow_whole = [re.compile(pattern) for pattern in policy.allow_urls if pattern not in allow]
        self._others = [re.compile(pattern) for pattern in others]
        self._deny = [re.compile(pattern) for pattern in policy.deny_urls]
        self._names = [re.compile(pattern) for pattern in policy.deny_names]
        self.has_names = bool(self._names)

    def refuses_url(self, url: str, base: str = "") -> str:
        """Why an address may not be opened; empty if it may. A malformed one opens nothing, and is left to the browser.

        Its fragment is only looked at for what is denied, as no server sees it.
        """
        try:
            url = urljoin(base or self.origin, url)
            parts = urlsplit(url)
        except ValueError:
            return ""
        if url == "about:blank":
            return ""
        if parts.scheme not in PORTS:
            return f"{parts.scheme}: addresses are not opened, only http and https"
        origin = origin_of(url)
        if origin not in self.origins:
            return f"{origin} is another site, which may not be opened"
        path = path_of(url)
        if self._denies(url) or not self._allows(parts.path or "/", parts.query):
            return f"{path} may not be opened here"
        return ""

    def refuses_request(self, url: str) -> str:
        """Why a page's scripts may not ask for an address; empty if they may."""
        if urlsplit(url).scheme not in PORTS:
            return ""  # data: and blob:, which are parts of the page
        if self._denies(url):
            return f"{path_of(url)} may not be asked for here"
        origin = origin_of(url)
        if origin in self.origins:
            return ""
        # whoever forgets the slash after https://cdn.example means this site, and not cdn.example.elsewhere
        whole = origin + path_of(url)
        found = [match for rule in self._others if (match := rule.match(whole))]
        return "" if any(match.end() >= len(origin) for match in found) else f"{origin} is another site"

    def refuses_frame(self, url: str) -> str:
        """Why an address may not be opened in a frame of a page; empty if it may."""
        return self.refuses_url(url) if origin_of(url) in self.origins else self.refuses_request(url)

    def refuses_name(self, name: str) -> str:
        """Why an element may not be clicked; empty if it may."""
        return f'"{name}" may not be used here' if any(rule.search(name) for rule in self._names) else ""

    def _denies(self, url: str) -> bool:
        parts, origin = urlsplit(url), origin_of(url)
        own = origin in self.origins
        fragments = {"", *(f"#{form}" for form in _decoded(parts.fragment))} if parts.fragment else {""}
        for path in _forms(parts.path or "/"):
            for query in _queries(parts.query):
                for fragment in fragments:
                    tested = path + query + fragment
                    if any(rule.search(origin + tested) for rule in self._deny if _OTHER_SITE.match(rule.pattern)):
                        return True
                    if own and any(rule.search(tested) for rule in self._deny):
                        return True
        return False

    def _allows(self, path: str, query: str) -> bool:
        """Whether a path is allowed however the server decodes it: as the rule was written, and as a file's name."""
        if not self._allow and not self._allow_whole:
            return True
        spelled = _resolved(_UNRESERVED.sub(lambda escape: unquote(escape[0]), path))
        steps = _decoded(path)
        plain = _resolved(steps[-1])
        same_folders = len(steps) <= 2 and not re.search("%(2f|5c)", path, re.IGNORECASE)
        tested = [plain, spelled] if same_folders else [plain]
        wholes = [form + asked for form in tested for asked in _queries(query)]
        return any(
            any(rule.search(whole) for rule in self._allow)
            or any(rule.search(self.origin + whole) for rule in self._allow_whole)
            for whole in wholes
        )


def other_sites(policy: Policy) -> tuple[str, ...] | None:
    """Origins of the other sites that pages may ask; None where an expression does not name them in plain letters."""
    found: list[str] = []
    for pattern in filter(_OTHER_SITE.match, policy.allow_urls):
        origins = _plain_origins(pattern)
        if not origins:
            return None
        found += origins
    return tuple(found)


def _plain_origins(pattern: str) -> tuple[str, ...]:
    plain = _PLAIN_ORIGIN.match(pattern)
    if plain is None:
        return ()
    schemes = ("http", "https") if plain[1].endswith("?") else (plain[1],)
    return tuple(origin_of(f"{scheme}://{plain[2].replace(chr(92), '')}") for scheme in schemes)


def _decoded(text: str) -> list[str]:
    """The text, and what it is each time that it is decoded."""
    forms = [text]
    while len(forms) <= DECODED and (following := unquote(forms[-1], errors="replace")) != forms[-1]:
        forms.append(following)
    return forms


def _forms(path: str) -> Iterable[str]:
    """What a path may be for a server that decodes it once, twice, merges slashes or resolves dots."""
    decoded = _decoded(path)
    return dict.fromkeys([*decoded, *map(_resolved, decoded)])


def _resolved(path: str) -> str:
    path = re.sub(r"[/\\]+", "/", path)
    resolved = posixpath.normpath("/" + path.lstrip("/"))
    return resolved + "/" if path.endswith(("/", "/.", "/..")) and resolved != "/" else resolved


def _queries(query: str) -> Iterable[str]:
    if not query:
        return [""]
    return dict.fromkeys(["?" + query, "?" + unquote_plus(query), "?" + _decoded(query)[-1]])
