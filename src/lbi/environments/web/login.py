"""How to log in to an application: headers and cookies for the browser, and actions to do on a page."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lbi.environments.web.application import Application, expand, secrets_of
from lbi.errors import UserError
from lbi.storage import secrets

#: of what a log-in left in the browser, this proves who one is; the rest are settings
_TOKEN = re.compile(r"(?=.*\d)\S{12,4096}")

LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")


@dataclass(frozen=True)
class LeftByLogin:
    """What a log-in leaves in the browser; every episode begins with it."""

    state: dict[str, Any] = field(default_factory=dict)  # cookies, local storage, IndexedDB: Playwright's storage state
    session: dict[str, dict[str, str]] = field(default_factory=dict)  # session storage by origin

    @property
    def stored(self) -> bool:
        """Whether there is more than cookies in ``state``."""
        return bool(self.state.get("origins"))


class LogIn:
    """A log-in with its secrets filled in. Raises UserError where one is missing."""

    def __init__(self, application: Application) -> None:
        login = application.login
        self.headers = {name: expand(value, application) for name, value in login.headers.items()}
        secrets_of(application)
        secrets.learn_address(application.base_url)
        self.url = ""
        self.steps: tuple[str, ...] = ()
        if login.basic:
            pair = f"{expand(login.basic.username, application)}:{expand(login.basic.password, application)}"
            secrets.learn(pair)  # in one piece, as its Base64 is another than that of its parts
            secrets.learn(expand(login.basic.password, application))
            self.headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
            self.url = login.basic.url
        if login.form:
            self.url = login.form.url
            self.steps = tuple(expand(step, application, quoted) for step in login.form.steps)
        self._managed = application.managed
        self.state: dict[str, Any] | None = None
        if login.storage_state:
            self.state = _read_state(Path(application.folder, expand(login.storage_state, application)))

    def left_at(self, site: str) -> LeftByLogin:
        """What the file of ``login.storage_state`` leaves at the address ``site``.

        A server of our own has another port in every run, so what the file has of any port of this machine is its.
        """
        if self.state is None:
            return LeftByLogin()
        host = urlsplit(site).hostname or ""
        moves = self._managed and host in LOOPBACK
        origins = [
            {**origin, "origin": site} if moves and urlsplit(origin["origin"]).hostname in LOOPBACK else origin
            for origin in self.state.get("origins", [])
        ]
        cookies = [
            {**cookie, "domain": host} if moves and cookie.get("domain") in LOOPBACK else cookie
            for cookie in self.state["cookies"]
        ]
        session = {
            origin["origin"]: {item["name"]: item["value"] for item in origin["sessionStorage"]}
            for origin in origins
            if origin.get("sessionStorage")
        }
        kept = [{key: value for key, value in origin.items() if key != "sessionStorage"} for origin in origins]
        return LeftByLogin({"cookies": cookies, "origins": kept}, session)


def quoted(value: str) -> str:
    """A value as it is written between the quotation marks of an action."""
    return re.sub(r"[\\\"'`“”‘’]", r"\\\g<0>", value).replace("\n", "\\n")


def _read_state(path: Path) -> dict[str, Any]:
    try:
        state = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read login.storage_state {path}: {error}") from None
    if not isinstance(state, dict) or "cookies" not in state:
        raise UserError(f"{path} is no storage state of Playwright: it has no cookies")
    for value in _stored_values(state):
        if _TOKEN.fullmatch(value):
            secrets.learn(value)
    return state


def _stored_values(state: dict[str, Any]) -> Iterator[str]:
    """The values of cookies and of local storage."""
    origins = state.get("origins")
    stored = [origin.get("localStorage") for origin in origins or () if isinstance(origin, dict)]
    for items in (state["cookies"], *stored):
        for item in items if isinstance(items, list) else ():
            value = item.get("value") if isinstance(item, dict) else None
            yield from [value] if isinstance(value, str) else []
