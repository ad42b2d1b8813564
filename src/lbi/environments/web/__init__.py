"""The environments ``web``: an application by name or file, or a site that runs already."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lbi.config import Config
from lbi.documents.corpus import DocumentSource
from lbi.environments import Image
from lbi.environments.web.actions import ACTIONS
from lbi.errors import UserError

if TYPE_CHECKING:
    from lbi.environments import Live
    from lbi.environments.web.environment import WebEnvironments

__all__ = ["ACTIONS", "RESOURCE", "create", "create_live", "documents", "image"]

RESOURCE = "browser"


def create(config: Config, save_image: Callable[[bytes], str]) -> WebEnvironments:
    """Raises UserError where the config names neither an application nor a site."""
    if not config.application and not config.url:
        raise UserError('nothing to learn: set application = "..." or url = "http://..." in the config')
    from lbi.environments.web.check_sandbox import CheckSandbox
    from lbi.environments.web.environment import WebEnvironments  # loads the browser's driver

    return WebEnvironments(
        config.application,
        base_url=config.url,
        screenshots=config.web.screenshots,
        save_image=save_image,
        checks=CheckSandbox(config.shell.backend, unsafe=config.shell.unsafe),
    )


def create_live(config: Config, save_image: Callable[[bytes], str], live: Live) -> tuple[WebEnvironments, str]:
    """As ``create``, for one instruction: a copy of an application that we run, or a site as it is."""
    from lbi.environments.web.environment import WebEnvironments
    from lbi.environments.web.live import application_for
    from lbi.environments.web.window import require_display

    if live.headed:
        require_display()
    application, sentence = application_for(config, live)
    environments = WebEnvironments(
        application, screenshots=config.web.screenshots, save_image=save_image, headless=not live.headed
    )
    return environments, sentence


def image(config: Config) -> Image:
    """A browser beside an application that we start ourselves."""
    if not config.application:
        raise UserError(f"{config.url} is a site that somebody else runs, and in no image: name an application")
    return Image("python:3.12-slim", commands=("playwright install --with-deps chromium",))


async def documents(environments: WebEnvironments) -> tuple[DocumentSource, ...]:
    """The documents that the application's file names, from the packages it was installed with."""
    return await environments.document_sources()
