"""Applications that we install and run: made once, served per worker, put back at every reset, gone afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from lbi.environments.web import database
from lbi.environments.web.application import Application, load_application
from lbi.environments.web.backend import LocalBackend, ManagedApplication
from lbi.environments.web.environment import WebEnvironments
from lbi.environments.web.install import install
from lbi.errors import EnvironmentFailure, ScoreError, UserError
from lbi.records import Check, Task

SERVE = """
import http.server, os, pathlib, sqlite3, sys, urllib.parse
state, port = pathlib.Path(sys.argv[1]), int(sys.argv[2])
base = sqlite3.connect(state / "db/app.db", isolation_level=None, check_same_thread=False)
started = (state / "conf.ini").read_text()

class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        if parts.path == "/add":
            base.execute("INSERT INTO item (name, seen) VALUES (?, ?)", (query["name"], os.urandom(4).hex()))
            (state / "files" / query["name"]).write_text("added")
        if parts.path == "/conf":
            (state / "conf.ini").write_text(query["text"])
        if parts.path == "/die":
            os._exit(3)
        rows = "".join(f"<li>{name}</li>" for name, in base.execute("SELECT name FROM item"))
        page = f"<title>Items</title><p>{started}</p><ul>{rows}</ul><form action=/add>"
        page += "<label>Name <input name=name></label><button>Add</button></form>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(page.encode())
    def log_message(self, *words): pass

print("serving", port, flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", port), Site).serve_forever()
"""

PREPARE = f'''
import pathlib, sqlite3
for name in ("db", "files"):
    pathlib.Path(name).mkdir()
base = sqlite3.connect("db/app.db")
base.execute("PRAGMA journal_mode = JOURNAL")
base.executescript("""CREATE TABLE item (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, seen TEXT);
    CREATE TABLE log (n INTEGER); INSERT INTO log VALUES (0);
    INSERT INTO item (name, seen) VALUES ('first', 'never');""")
base.close()
pathlib.Path("conf.ini").write_text("as shipped")
pathlib.Path("files/kept").write_text("kept")
pathlib.Path("serve.py").write_text({SERVE!r})
with open({{count!r}}, "a") as count:
    count.write("x")
'''


def application(tmp_path: Path, journal: str = "DELETE", **changes: object) -> Application:
    script = PREPARE.replace("JOURNAL", journal).replace("{count!r}", repr(str(tmp_path / "count")))
    data: dict[str, object] = {
        "name": "items",
        "start": ["{python}", "{state}/serve.py", "{state}", "{port}"],
        "start_timeout": 20.0,
        "prepare": {"script": script},
        "state": {
            "database": "db/app.db",
            "ignore_tables": ["log"],
            "ignore_columns": ["item.seen"],
            "after_restore": ["UPDATE log SET n = {n}"],
            "restart_on": ["conf.ini"],
        },
    }
    return Application.model_validate(data | changes)


@pytest_asyncio.fixture(params=["DELETE", "WAL"])
async def backend(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[LocalBackend]:
    started = await ManagedApplication(application(tmp_path, request.param), tmp_path / "cache").start()
    yield started
    await started.stop()
    await started.stop()
    assert not started.state.exists()


def get(backend: LocalBackend, path: str) -> str:
    with urllib.request.urlopen(backend.url + path, timeout=10) as reply:
        return str(reply.read().decode())


def names(backend: LocalBackend) -> list[object]:
    return [row[0] for row in backend.query("SELECT name FROM item ORDER BY id")]


async def test_reset_undoes_rows_and_files(backend: LocalBackend) -> None:
    clean = backend.digest()
    get(backend, "/add?name=second")
    (backend.state / "files/kept").write_text("spoilt")
    (backend.state / "files/new").mkdir()
    (backend.state / "files/new/deep").write_text("x")
    assert names(backend) == ["first", "second"]
    assert backend.digest() != clean
    await backend.reset()
    assert names(backend) == ["first"]
    assert backend.digest() == clean
    assert "second" not in get(backend, "/")
    assert sorted(os.listdir(backend.state / "files")) == ["kept"]
    assert (backend.state / "files/kept").read_text() == "kept"
    assert backend.query("SELECT n FROM log") == [(1,)]


async def test_reset_is_fast(backend: LocalBackend) -> None:
    seconds = []
    for number in range(5):
        get(backend, f"/add?name=n{number}")
        start = time.perf_counter()
        await backend.reset()
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.1
    assert names(backend) == ["first"]


async def test_the_digest_ignores_what_it_is_told_to(backend: LocalBackend) -> None:
    clean = backend.digest()
    with sqlite3.connect(backend.state / "db/app.db") as base:
        base.execute("UPDATE item SET seen = 'today'")
        base.execute("UPDATE log SET n = 7")
    base.close()
    assert backend.digest() == clean
    with sqlite3.connect(backend.state / "db/app.db") as base:
        base.execute("UPDATE item SET name = 'other'")
    base.close()
    assert backend.digest() != clean


async def test_a_changed_setting_restarts_the_server(backend: LocalBackend) -> None:
    address = backend.url
    get(backend, "/conf?text=changed")
    await backend.reset()
    assert backend.url == address
    assert "as shipped" in get(backend, "/")
    assert (backend.state / "conf.ini").read_text() == "as shipped"


async def test_a_snapshot_is_returned_to(backend: LocalBackend) -> None:
    get(backend, "/add?name=second")
    token, digest = await backend.snapshot(), backend.digest()
    get(backend, "/add?name=third")
    await backend.restore(token)
    assert names(backend) == ["first", "second"]
    assert backend.digest() == digest
    assert sorted(os.listdir(backend.state / "files")) == ["kept", "second"]
    await backend.reset()
    assert names(backend) == ["first"]
    await backend.restore(token)
    await backend.rebase()
    get(backend, "/add?name=third")
    await backend.reset()
    assert names(backend) == ["first", "second"]


async def test_queries_only_read(backend: LocalBackend) -> None:
    for sql in ("DELETE FROM item", "nonsense", "SELECT 1; SELECT 2"):
        with pytest.raises(ScoreError):
            backend.query(sql)
    assert names(backend) == ["first"]


async def test_commands_run_in_the_state_folder(backend: LocalBackend) -> None:
    code = "import os, sys; print(os.path.exists('conf.ini'), sys.argv[1]); sys.exit(4)"
    assert await backend.run_command(["{python}", "-c", code, "{port}"]) == (4, f"True {backend.url.split(':')[-1]}")
    with pytest.raises(ScoreError):
        await backend.run_command(["./no-such-program"])


@pytest.mark.parametrize("locked", ["source", "target"])
def test_a_locked_database_is_waited_for_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locked: str
) -> None:
    monkeypatch.setattr(database, "BUSY", 0.2)
    for name in ("source", "target"):
        with contextlib.closing(sqlite3.connect(tmp_path / name)) as base:
            base.execute("CREATE TABLE item (name TEXT)")
    with contextlib.closing(sqlite3.connect(tmp_path / locked, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(EnvironmentFailure, match="locked"):
            database.copy_database(tmp_path / "source", tmp_path / "target")
    database.copy_database(tmp_path / "source", tmp_path / "target")


async def test_two_workers_share_nothing_but_the_preparation(tmp_path: Path) -> None:
    managed = ManagedApplication(application(tmp_path), tmp_path / "cache")
    one, two = await asyncio.gather(managed.start(), managed.start())
    try:
        get(one, "/add?name=second")
        assert names(two) == ["first"]
        assert one.digest() != two.digest()
        assert (tmp_path / "count").read_text() == "x"
    finally:
        await one.stop()
        await two.stop()


def test_a_half_made_state_is_made_again(tmp_path: Path) -> None:
    app = application(tmp_path)
    made = install(app, tmp_path / "cache")
    (made.pristine.parent / "made").unlink()
    (made.pristine / "rubbish").touch()
    again = install(app, tmp_path / "cache")
    assert not (again.pristine / "rubbish").exists()
    install(app, tmp_path / "cache")
    assert (tmp_path / "count").read_text() == "xx"


async def test_a_server_that_ends_at_once_is_quoted(tmp_path: Path) -> None:
    app = application(tmp_path, start=["{python}", "-c", "import sys; sys.exit('bad luck')"])
    with pytest.raises(UserError, match="bad luck"):
        await ManagedApplication(app, tmp_path / "cache").start()


def test_a_preparation_that_fails_is_quoted(tmp_path: Path) -> None:
    app = application(tmp_path, prepare={"script": "raise SystemExit('no way')"})
    with pytest.raises(UserError, match="no way"):
        install(app, tmp_path / "cache")
    with pytest.raises(UserError, match=r"made no db/app\.db"):
        install(application(tmp_path, prepare={"script": "pass"}), tmp_path / "cache")


async def test_a_server_that_died_is_noticed(backend: LocalBackend) -> None:
    with pytest.raises(OSError):
        get(backend, "/die")
    for _ in range(100):
        try:
            backend.check()
        except EnvironmentFailure:
            return
        await asyncio.sleep(0.02)
    pytest.fail("nobody noticed")


def test_no_server_outlives_us(tmp_path: Path) -> None:
    """Killed without a chance to clean up."""
    (tmp_path / "app.json").write_text(application(tmp_path).model_dump_json())
    code = f"""
import asyncio, os, pathlib, signal
from lbi.environments.web.application import Application
from lbi.environments.web.backend import ManagedApplication
app = Application.model_validate_json(pathlib.Path({str(tmp_path / "app.json")!r}).read_text())
async def main():
    backend = await ManagedApplication(app, pathlib.Path({str(tmp_path / "cache")!r})).start()
    print(backend._server._process.pid, backend.state, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    pid = int(done.stdout.split()[0])
    for _ in range(200):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return
        except OSError:
            return
        time.sleep(0.02)
    pytest.fail("the server is still there")


@pytest.mark.browser
async def test_an_episode_is_acted_and_scored(tmp_path: Path) -> None:
    environments = WebEnvironments(application(tmp_path), cache=tmp_path / "cache")
    sql = Check(sql="SELECT count(*) FROM item WHERE name = 'boat'", equals="1")
    task = Task(instruction="Add a boat", environment="items", check=sql)
    try:
        web = await environments.open()
        first = await web.reset(task)
        assert first.digest
        assert await web.score(task, "") == (0.0, "the database says '0', not '1'")
        await web.step('fill(\'textbox "Name"\', "boat")')
        token = await web.snapshot()
        outcome = await web.step("click('button \"Add\"')")
        assert "boat" in outcome.observation.text
        assert outcome.observation.digest != first.digest
        assert (await web.score(task, ""))[0] == 1.0
        assert (await web.restore(token)).digest == first.digest
        assert await web.reset(task) == first
        with pytest.raises(EnvironmentFailure, match="is gone"):
            await web.step('goto("/die")')
    finally:
        await environments.close()


def test_shipped_applications_are_valid() -> None:
    from lbi.environments.web.application import shipped_applications

    for name in shipped_applications():
        assert load_application(name).name == name
