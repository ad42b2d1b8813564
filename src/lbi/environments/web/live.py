"""A run's config and an address -> the application that one instruction is carried out on, and what happens to it.

An application that we run is started as a copy of its own. A site that somebody else runs is taken as it is, and only
reset where that is asked for.
"""

from __future__ import annotations

from pydantic import ValidationError

from lbi.config import Config
from lbi.environments import Live
from lbi.environments.web.application import Application, State, load_application, unmanaged
from lbi.errors import UserError
from lbi.storage.names import address_problem, without_password
from lbi.storage.secrets import learn_address


def application_for(config: Config, live: Live) -> tuple[Application, str]:
    """The application, and a sentence on what is acted on and what becomes of changes. Raises UserError."""
    if not config.application and not (config.url or live.base_url):
        raise UserError("the run names neither an application nor a site; give the address of one with --base-url")
    own = load_application(config.application) if config.application else unmanaged(config.url or live.base_url)
    application = _at(own, live.base_url) if live.base_url else own
    if application.managed:
        return application, f"a copy of {application.name}, started for this; what is changed ends with it"
    address = without_password(application.base_url)
    if not live.reset:
        untouched = application.model_copy(update={"state": State()})
        return untouched, f"{address} as it is; nothing is reset, and what is changed stays changed"
    if not application.restores:
        raise UserError(
            f"{application.name} at {address} cannot be reset: its file says nothing of how "
            "(state.reset_request); leave --reset out"
        )
    return application, f"{address}, which is reset first; what is changed afterwards stays changed"


def _at(application: Application, base_url: str) -> Application:
    """The same application, with its log-in and its rules, where somebody else runs it.

    Of what resets it only a request to the site itself is kept: files and databases are those of another place.
    """
    learn_address(base_url)
    if problem := address_problem(base_url):
        raise UserError(f"--base-url {without_password(base_url)}: {problem}")
    elsewhere = {
        **application.model_dump(by_alias=True),
        "folder": application.folder,
        "base_url": base_url.rstrip("/"),
        "start": (),
        "requirements": (),
        "prepare": {},
        "state": {"reset_request": application.state.reset_request},
        "documents": (),
    }
    try:
        return Application.model_validate(elsewhere)
    except ValidationError as error:
        message = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise UserError(f"--base-url: {message}") from None
