"""Where an agent may go and what it may click. Deny is tested first and wins; another site is always denied."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urljoin, urlsplit

from lbi.environments.web.application import Policy


def origin_of(url: str) -> str:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def path_of(url: str) -> str:
    """Path and query of an address: what the rules are tested on."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


class UrlRules:
    """The rules of one site: its own addresses are allowed, but for what its application's policy forbids.

    ``also`` are addresses of other sites for which the same holds.
    """

    def __init__(self, policy: Policy, site: str, also: Sequence[str] = ()) -> None:
        self.origin = origin_of(site)
        self.origins = (self.origin, *(origin_of(other) for other in also))
        self.has_rules = bool(policy.allow_urls or policy.deny_urls)
        self._allow = [re.compile(pattern) for pattern in policy.allow_urls]
        self._deny = [re.compile(pattern) for pattern in policy.deny_urls]
        self._names = [re.compile(pattern) for pattern in policy.deny_names]

    def refuses_url(self, url: str, base: str = "") -> str:
        """Why an address may not be opened; empty if it may."""
        url = urljoin(base or self.origin, url)
        scheme = urlsplit(url).scheme
        if scheme in ("javascript", "about", "blob", "data"):
            return ""
        if origin_of(url) not in self.origins:
            return f"{origin_of(url)} is another site, which may not be opened"
        path = path_of(url)
        if any(rule.search(path) for rule in self._deny):
            return f"{path} may not be opened here"
        if self._allow and not any(rule.search(path) for rule in self._allow):
            return f"{path} may not be opened here"
        return ""

    def refuses_name(self, name: str) -> str:
        """Why an element may not be clicked; empty if it may."""
        return f'"{name}" may not be used here' if any(rule.search(name) for rule in self._names) else ""
