"""The family ``web``: an application by name or file, or a site that runs already."""

from __future__ import annotations

from collections.abc import Callable

from lbi.config import Config
from lbi.documents import DocumentSource
from lbi.environments.actions import ACTIONS
from lbi.environments.web import WebWorld
from lbi.errors import UserError

__all__ = ["ACTIONS", "EXPLORER", "create", "documents"]

EXPLORER = "explore"


def create(config: Config, save_image: Callable[[bytes], str]) -> WebWorld:
    if not config.application and not config.url:
        raise UserError('nothing to learn: set application = "..." or url = "http://..." in the config')
    return WebWorld(
        config.application,
        base_url=config.url,
        screenshots=config.web.screenshots,
        save_image=save_image,
    )


async def documents(world: WebWorld) -> tuple[DocumentSource, ...]:
    """Those that the application's file names, from the packages it was installed with."""
    return await world.document_sources()
