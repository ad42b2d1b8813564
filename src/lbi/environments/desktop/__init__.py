"""The environments ``desktop``: programs with windows, on a private desktop for each episode."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lbi.config import Config
from lbi.documents.corpus import DocumentSource
from lbi.environments import Image
from lbi.environments.desktop.actions import ACTIONS
from lbi.errors import UserError

if TYPE_CHECKING:
    from lbi.environments.desktop.environment import DesktopEnvironments

__all__ = ["ACTIONS", "RESOURCE", "create", "documents", "family", "image"]

RESOURCE = "desktop"
BASE_IMAGE = "python:3.12-slim-bookworm"  # of the Debian whose programs the shipped desktops' settings are for
#: Docker's and Podman's own words. No capability is added: namespaces are made as by any user of the system
MAY_MAKE_NAMESPACES = ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined")


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


def image(config: Config) -> Image:
    """Debian's packages of the programs, and the right to make namespaces, in which a desktop is private."""
    from lbi.environments.desktop.application import load_desktop, shipped_desktops
    from lbi.environments.desktop.session import needed_packages

    if config.application not in shipped_desktops():
        raise UserError(
            f"the desktop {config.application} is a file of your own, and its home folder in no image; those that "
            f"are shipped can be: {', '.join(shipped_desktops())}"
        )
    return Image(
        BASE_IMAGE,
        packages=needed_packages(load_desktop(config.application)),
        security=MAY_MAKE_NAMESPACES,
        memory=6144,
    )


async def documents(environments: DesktopEnvironments) -> tuple[DocumentSource, ...]:
    """The manuals of its programs, as far as they are installed."""
    return environments.documents
