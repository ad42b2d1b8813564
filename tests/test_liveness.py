"""Nothing is scored that did not happen: an application out of order is told from a page that an agent broke."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from lbi.environments import _pool
from lbi.environments._pool import ATTEMPTS, Pool
from lbi.environments.web import liveness, observe, session
from lbi.environments.web.application import load_application
from lbi.environments.web.environment import WebEnvironment, WebEnvironments
from lbi.environments.web.look import Look, NothingSeen
from lbi.errors import EnvironmentFailure
from lbi.protocols import Environment
from lbi.records import Check, Task
from small_application import write_application

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

START = (
    "<title>Start</title><h1>Start</h1><a href=/next>Next</a> <a href=/bad>Bad</a>"
    "<form method=post action=/bad><button>Send</button></form><p id=out></p>"
    "<button onclick=\"fetch('/bad').then(r => r.text()).catch(() => {}).then(() => out.textContent = 'asked')\">"
    "Ask</button>"
)
KINDS = {
    "refuse": "unreachable",
    "close": "dropped",
    "reset": "dropped",
    "cut": "dropped",
    "hang": "timeout",
    "stall": "timeout",
    "500": "server error",
    "503": "server error",
    "bare 502": "server error",
    "204": "server error",
}
PROVOKED = [mode for mode in KINDS if mode != "refuse"]


class FlawedSite:
    """A server on a bare socket, which answers in the ways of one that is out of order. ``modes`` are by path."""

    def __init__(self) -> None:
        self.modes: dict[str, str] = {}
        self.once: dict[str, list[str]] = {}  # modes of the next answers
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._held: list[socket.socket] = []
        self._kept: socket.socket | None = None  # bound to the port, and deaf
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def refuse(self) -> None:
        """Nobody listens any more, and no other program that looks for a free port gets this one."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._kept is None:
            self._kept = socket.socket()
            self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._kept.bind(("127.0.0.1", self.port))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.refuse()
        for held in (*self._held, *filter(None, [self._kept])):
            held.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.settimeout(20)
            text = b""
            while b"\r\n\r\n" not in text:
                chunk = connection.recv(65536)
                if not chunk:
                    return connection.close()
                text += chunk
            path = text.split()[1].decode().partition("?")[0]
            self.asked.append(path)
            queued = self.once.get(path)
            mode = queued.pop(0) if queued else self.modes.get(path, self.modes.get("*", "ok"))
            if path == "/favicon.ico":
                mode = "404"
            self._reply(connection, mode, path)

    def _reply(self, connection: socket.socket, mode: str, path: str) -> None:
        body = START if path in ("/", "/log-in") else f"<title>{path}</title><h1>at {path}</h1><a href=/>Home</a>"
        if mode == "hang":
            self._held.append(connection)
            return
        if mode == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif mode == "204":
            connection.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        elif mode == "bare 502":
            connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        elif mode != "close":
            status = "200 OK" if mode in ("ok", "cut", "stall") else f"{mode} Failed"
            body = body if mode in ("ok", "cut", "stall") else f"<title>{mode}</title><h1>failed with {mode}</h1>"
            length = len(body) + (5000 if mode in ("cut", "stall") else 0)
            head = (
                f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            )
            connection.sendall(head.encode() + body.encode())
            if mode == "stall":
                self._held.append(connection)
                return
            if mode == "cut":
                time.sleep(0.1)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of a test's length."""
    monkeypatch.setattr(session, "NAVIGATION_SECONDS", 3.0)
    monkeypatch.setattr(liveness, "SECONDS", 2.0)
    monkeypatch.setattr(liveness, "PAUSE", 0.05)
    monkeypatch.setattr(_pool, "FIRST_WAIT", 0.01)


@pytest.fixture
def site() -> Iterator[FlawedSite]:
    served = FlawedSite()
    yield served
    served.close()


@pytest_asyncio.fixture(loop_scope="module")
async def environments(site: FlawedSite) -> AsyncIterator[WebEnvironments]:
    opened = WebEnvironments(base_url=site.url)
    yield opened
    await opened.close()


@pytest_asyncio.fixture(loop_scope="module")
async def web(environments: WebEnvironments) -> WebEnvironment:
    return await environments.open()


def task(path: str = "/") -> Task:
    return Task(instruction="try it", environment="site", start_url=path)


def fails(site: FlawedSite, mode: str) -> None:
    """From now on, whatever is asked."""
    if mode == "refuse":
        site.refuse()
    site.modes["*"] = mode


@pytest.mark.parametrize("mode", KINDS)
async def test_a_site_that_fails_as_an_episode_begins_is_an_environment_failure_of_its_kind(
    site: FlawedSite, web: WebEnvironment, mode: str
) -> None:
    fails(site, mode)
    with pytest.raises(EnvironmentFailure) as raised:
        await web.reset(task())
    assert raised.value.kind == KINDS[mode]
    if mode != "refuse":
        assert site.asked.count("/") >= 2


@pytest.mark.parametrize("mode", KINDS)
async def test_so_it_is_in_an_episode_of_the_same_browser(site: FlawedSite, web: WebEnvironment, mode: str) -> None:
    await web.reset(task())
    fails(site, mode)
    with pytest.raises(EnvironmentFailure) as raised:
        await web.reset(task())
    assert raised.value.kind == KINDS[mode]


@pytest.mark.parametrize("mode", [mode for mode in KINDS if mode != "refuse"])
async def test_a_failure_that_is_over_when_asked_again_fails_no_episode(
    site: FlawedSite, web: WebEnvironment, mode: str
) -> None:
    site.once["/"] = [mode]
    seen = await web.reset(task())
    assert seen.title == "Start"
    assert "Next" in seen.text


@pytest.mark.parametrize("mode", [mode for mode in KINDS if mode != "204"])
async def test_a_site_that_dies_in_an_episode_is_no_failure_of_the_agents(
    site: FlawedSite, web: WebEnvironment, mode: str
) -> None:
    await web.reset(task())
    fails(site, mode)
    with pytest.raises(EnvironmentFailure) as raised:
        await web.step("click('link \"Next\"')")
    assert raised.value.kind == KINDS[mode]


@pytest.mark.parametrize("action", ['goto("/bad")', "click('link \"Bad\"')", "click('button \"Send\"')"])
@pytest.mark.parametrize("mode", [*PROVOKED, "404"])
async def test_a_page_that_an_action_broke_is_what_the_agent_sees(
    site: FlawedSite, web: WebEnvironment, mode: str, action: str
) -> None:
    site.modes["/bad"] = mode
    await web.reset(task())
    seen = (await web.step(action)).observation
    if mode in ("404", "500", "503"):
        assert (seen.error, seen.title) == ("", mode)
        assert ("HTTP 50" in seen.text) == (mode != "404")
    elif mode == "bare 502":
        assert "HTTP 502" in seen.text
    elif mode in ("close", "reset", "hang"):
        assert seen.error
        assert "\n" not in seen.error
        assert seen.title == "Start"
    assert not (await web.step('goto("/next")')).observation.error
    assert (await web.step("click('link \"Home\"')")).observation.title == "Start"


async def test_a_broken_page_that_comes_while_the_one_before_is_looked_at_is_told_as_such(
    site: FlawedSite, web: WebEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    await web.reset(task())
    site.modes["/bad"] = "bare 502"
    looked = observe.look

    async def overtaken(*given: Any) -> Look:
        monkeypatch.setattr(observe, "look", looked)
        await web.evaluate("location.href = '/bad'")
        raise NothingSeen

    monkeypatch.setattr(observe, "look", overtaken)
    seen = (await web.step('scroll("down")')).observation
    assert (seen.url, "HTTP 502" in seen.text) == ("/bad", True)


@pytest.mark.parametrize("prevented", [False, True])
async def test_a_form_that_was_sent_is_waited_for_however_late_the_browser_begins(
    site: FlawedSite, web: WebEnvironment, prevented: bool
) -> None:
    """It sends forms in a task of its own, which other work may come before."""
    await web.reset(task())
    keeps = "document.forms[0].addEventListener('submit', event => event.preventDefault());" if prevented else ""
    script = f"{keeps} document.forms[0].requestSubmit(); return window[Symbol.for('lbi.watch')].sent !== null;"
    assert await web.evaluate(f"(() => {{ {script} }})()") is True
    await web.session.settle()
    seen = await web.observe()
    assert seen.url == ("/" if prevented else "/bad")


@pytest.mark.parametrize(("mode", "dead"), [("close", True), ("close", False), ("500", False)])
async def test_a_request_of_a_pages_own_script_may_tell_that_the_site_is_dead(
    site: FlawedSite, web: WebEnvironment, mode: str, dead: bool
) -> None:
    await web.reset(task())
    site.modes["*" if dead else "/bad"] = mode
    if dead:
        with pytest.raises(EnvironmentFailure):
            await web.step("click('button \"Ask\"')")
        return
    seen = (await web.step("click('button \"Ask\"')")).observation
    assert not seen.error
    assert "asked" in seen.text


@pytest.mark.parametrize("mode", ["close", "cut", "hang", "500", "bare 502"])
@pytest.mark.parametrize("moment", ["page", "step"])
async def test_a_log_in_that_the_server_fails_is_no_mistake_of_the_config(
    site: FlawedSite, mode: str, moment: str, tmp_path: Path
) -> None:
    (tmp_path / "a.toml").write_text(
        f'name = "a"\nbase_url = "{site.url}"\nlogin.form.url = "/log-in"\n'
        'login.form.steps = ["click(\'link \\"Next\\"\')"]'
    )
    site.modes["/log-in" if moment == "page" else "/next"] = mode
    environments = WebEnvironments(load_application(tmp_path / "a.toml"))
    try:
        web = await environments.open()
        with pytest.raises(EnvironmentFailure) as raised:
            await web.reset(task())
        assert raised.value.kind == KINDS[mode]
        site.modes.clear()
        assert (await web.reset(task())).title == "Start"
    finally:
        await environments.close()


async def test_the_engine_tries_again_later_and_counts_every_failure(
    site: FlawedSite, environments: WebEnvironments, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def slept(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(_pool, "FIRST_WAIT", 1.0)
    monkeypatch.setattr(_pool.asyncio, "sleep", slept)
    fails(site, "503")
    failures: list[tuple[str, bool]] = []

    async def work(environment: Environment) -> None:
        await environment.reset(task())

    pool = Pool(environments, 1)
    await pool.do(work, failed=lambda error, last: failures.append((error.kind, last)))
    await pool.close()
    assert failures == [("server error", False)] * (ATTEMPTS - 1) + [("server error", True)]
    long = [wait for wait in waits if wait >= 1]
    assert long == sorted(long)
    assert len(long) == ATTEMPTS - 1


async def test_a_server_of_ours_that_dies_in_an_episode_is_started_again_for_the_next(tmp_path: Path) -> None:
    write_application(tmp_path)
    environments = WebEnvironments(load_application(tmp_path / "larder.toml"), cache=tmp_path / "cache")
    try:
        web = await environments.open()
        for _ in range(2):
            assert (await web.reset(task())).title == "Larder"
            process = web._backend._server._process  # type: ignore[attr-defined]
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            with pytest.raises(EnvironmentFailure) as raised:
                await web.step("click('link \"New item\"')")
            assert raised.value.kind == "server ended"
            with pytest.raises(EnvironmentFailure):  # and nothing that it left behind is scored
                await web.score(Task(instruction="x", environment="larder", check=Check(answer=("2",))), "2")
    finally:
        await environments.close()


async def test_a_check_that_cannot_look_at_the_database_is_no_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    from lbi.environments.web import database

    monkeypatch.setattr(database, "BUSY", 0.2)
    write_application(tmp_path)
    environments = WebEnvironments(load_application(tmp_path / "larder.toml"), cache=tmp_path / "cache")
    by_sql = Task(instruction="x", environment="larder", check=Check(sql="SELECT count(*) FROM item", equals="2"))
    read = "import sqlite3; print(sqlite3.connect('larder.db', timeout=0.1).execute('SELECT 1 FROM item').fetchall())"
    by_command = Task(instruction="x", environment="larder", check=Check(command=("{python}", "-c", read)))
    try:
        web = await environments.open()
        await web.reset(task())
        file = web._backend.state / "larder.db"  # type: ignore[attr-defined]
        assert (await web.score(by_sql, ""))[0] == (await web.score(by_command, ""))[0] == 1.0
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as holder:
            holder.execute("PRAGMA locking_mode=EXCLUSIVE")
            holder.execute("BEGIN EXCLUSIVE")
            for check in (by_sql, by_command):
                with pytest.raises(EnvironmentFailure) as raised:
                    await web.score(check, "")
                assert raised.value.kind == "check"
        file.unlink()
        with pytest.raises(EnvironmentFailure) as raised:
            await web.score(by_sql, "")
        assert raised.value.kind == "check"
        await web.reset(task())
        assert (await web.score(by_sql, ""))[0] == 1.0
    finally:
        await environments.close()
