"""How to log in to an application: headers and cookies for the browser, and actions to do on a page."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from lbi.environments.web.application import Application, expand, secrets_of
from lbi.errors import UserError


class LogIn:
    """A log-in with its secrets filled in. Raises UserError where one is missing."""

    def __init__(self, application: Application) -> None:
        login = application.login
        self.headers = {name: expand(value, application) for name, value in login.headers.items()}
        self.secrets = secrets_of(application)
        self.url = ""
        self.steps: tuple[str, ...] = ()
        if login.basic:
            pair = f"{expand(login.basic.username, application)}:{expand(login.basic.password, application)}"
            self.headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
            self.url = login.basic.url
        if login.form:
            self.url = login.form.url
            self.steps = tuple(expand(step, application) for step in login.form.steps)
        self.state: dict[str, Any] | None = None
        if login.storage_state:
            self.state = _read_state(Path(application.folder, expand(login.storage_state, application)))

    def mask(self, text: str) -> str:
        """``text`` without any secret in it."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def _read_state(path: Path) -> dict[str, Any]:
    try:
        state = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read login.storage_state {path}: {error}") from None
    if not isinstance(state, dict) or "cookies" not in state:
        raise UserError(f"{path} is no storage state of Playwright: it has no cookies")
    return state
