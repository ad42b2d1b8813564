"""The environments ``desktop``: programs with windows, on a private desktop for each episode."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lbi.config import Config
from lbi.documents.corpus import DocumentSource
from lbi.environments.desktop.actions import ACTIONS
from lbi.errors import UserError

if TYPE_CHECKING:
    from lbi.environments.desktop.environment import DesktopEnvironments

__all__ = ["ACTIONS", "RESOURCE", "create", "documents", "family"]

RESOURCE = "desktop"


def family(config: Config) -> str:
    """Windows are seen and acted on as pages are."""
    return "web"


def create(config: Config, save_image: Callable[[bytes], str]) -> DesktopEnvironments:
    """Raises UserError where the config names no desktop, and for what is not installed."""
    if not config.application:
        raise UserError('nothing to learn: set application = "..." to a desktop that is shipped, or to a file')
    if config.shell.unsafe:
        raise UserError("a desktop runs in its sandbox only: it has no use for --unsafe")
    from lbi.environments.desktop.environment import DesktopEnvironments

    return DesktopEnvironments(config.application, screenshots=config.web.screenshots, save_image=save_image)


async def documents(environments: DesktopEnvironments) -> tuple[DocumentSource, ...]:
    """The manuals of its programs, as far as they are installed."""
    return environments.documents
