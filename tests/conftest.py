"""Tests stay on this machine: no request that costs money, no socket to anywhere but loopback, no key to be found."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from hypothesis import settings

from lbi.cli import FOLDER
from lbi.models.registry import FORBID_VARIABLE, paid_requests_forbidden
from lbi.storage import secrets

if TYPE_CHECKING:
    from lbi.environments.web.environment import WebEnvironment

# how long an example takes says something of the machine's load, nothing of the code
settings.register_profile("lbi", deadline=None)
settings.load_profile("lbi")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each worker begins with its part of the long tests: none of them is left for the end, while the others wait."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [item for item in items if item.get_closest_marker("long")]
    rest = [item for item in items if not item.get_closest_marker("long")]
    size = len(items) // workers  # as they are handed out: in order, to each as many
    items[:] = []
    for worker in range(workers):
        mine = long[worker::workers]
        others = len(rest) if worker == workers - 1 else max(0, size - len(mine))
        items += mine + rest[:others]
        rest = rest[others:]


@pytest.fixture(scope="session", autouse=True)
def offline() -> Iterator[None]:
    """Every test, and every process a test starts, is kept from paid requests; this process also from the network."""
    with pytest.MonkeyPatch.context() as patch, paid_requests_forbidden():
        patch.setenv(FORBID_VARIABLE, "1")
        keys = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY")
        for variable in (*keys, "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL"):
            patch.delenv(variable, raising=False)
        _keep_sockets_local(patch)
        patch.setattr("lbi.environments._pool.FIRST_WAIT", 0.0)  # what fails here does not mend itself by waiting
        yield


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> Iterator[None]:
    """What one test keeps secret is an ordinary word in the next, which is in no run folder yet."""
    yield
    secrets.forget()
    FOLDER.set(None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def web(site: str) -> AsyncIterator[WebEnvironment]:
    """An environment on the ``site`` that a module of tests serves, in one browser for all of them."""
    from lbi.environments.web.environment import WebEnvironments

    environments = WebEnvironments(base_url=site)
    yield await environments.open()
    await environments.close()
    await environments.close()  # harmless


def _keep_sockets_local(patch: pytest.MonkeyPatch) -> None:
    for name in ("connect", "connect_ex", "sendto"):
        patch.setattr(socket.socket, name, _checked(getattr(socket.socket, name)))
    look_up = socket.getaddrinfo

    def checked_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        _check(host)
        return look_up(host, *args, **kwargs)

    patch.setattr(socket, "getaddrinfo", checked_look_up)


def _checked(call: Any) -> Any:
    def checked(self: socket.socket, *args: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _check(args[-1][0])  # the address is the last argument of all three
        return call(self, *args)

    return checked


def _check(host: Any) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return
    try:
        local = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        pytest.fail(f"a test looked up or called {name}; tests stay on this machine")
    if not (local.is_loopback or local.is_unspecified):
        pytest.fail(f"a test called {name}; tests stay on this machine")
