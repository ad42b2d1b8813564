"""A name, a file or an address on the command line -> the environments of that site, and where on it to begin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lbi.cli.shipped import find_application
from lbi.errors import UserError

if TYPE_CHECKING:
    from lbi.environments.web.environment import WebEnvironments

WITHOUT_SCHEME = re.compile(r"(?:localhost|[\w.-]+\.\w+|[\d.]+):\d+(?:/|\Z)")


def open_site(where: str, max_chars: int | None = None) -> tuple[WebEnvironments, str]:
    """The environments, and the address to open: the URL's own, or the application's start page. Raises UserError."""
    from lbi.environments.web.environment import MAX_CHARS, WebEnvironments  # loads the browser's driver

    most = max_chars or MAX_CHARS
    if "://" not in where:
        if WITHOUT_SCHEME.match(where):
            raise UserError(f"{where} is no application; an address needs its scheme: http://{where}")
        environments = WebEnvironments(find_application(where), max_chars=most)
        return environments, environments.application.start_url
    try:
        parts = urlsplit(where)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        known = False
    if not known:
        raise UserError(f"{where} is no address of a site; write one such as http://localhost:3000/path")
    origin = f"{parts.scheme}://{parts.netloc}"
    return WebEnvironments(base_url=origin, max_chars=most), where[len(origin) :] or "/"
