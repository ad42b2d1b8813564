"""Small pages, one for each kind of control or behaviour: what is seen of it, and that acting on it works.

Each file in tests/pages begins with a comment: `see TEXT` and `not TEXT` are parts of the observation, `do ACTION` is
carried out, `fails ACTION => TEXT` is refused with a message.
"""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lbi.environments.web.environment import WebEnvironment
from lbi.records import Task
from serving import served

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

FOLDER = Path(__file__).parent / "pages"
NAMES = sorted(file.stem for file in FOLDER.glob("*.html"))


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        file = FOLDER / f"{urlsplit(self.path).path.removeprefix('/page/')}.html"
        found = file.is_file()
        data = file.read_bytes() if found else b"<!doctype html><title>None</title>none"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with served(Pages) as address:
        yield address


def script_of(name: str) -> list[tuple[str, str]]:
    comment = (FOLDER / f"{name}.html").read_text("utf-8").removeprefix("<!--").partition("-->")[0]
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in comment.strip().splitlines()]


async def test_there_are_pages_for_every_kind() -> None:
    assert len(NAMES) >= 60
    assert all(any(kind in ("see", "fails") for kind, _ in script_of(name)) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
async def test_a_page_is_seen_and_used(web: WebEnvironment, name: str) -> None:
    seen = await web.reset(Task(instruction="use it", environment="pages", start_url=f"/page/{name}"))
    for kind, what in script_of(name):
        if kind == "see":
            assert what in seen.text, f"{what!r} is not in\n{seen.text}"
        elif kind == "not":
            assert what not in seen.text, f"{what!r} is in\n{seen.text}"
        elif kind == "do":
            seen = (await web.step(what)).observation
            assert not seen.error, f"{what}: {seen.error}"
        else:
            action, _, message = what.partition(" => ")
            seen = (await web.step(action)).observation
            assert message in seen.error, f"{action}: {seen.error!r}"
            assert seen.error
