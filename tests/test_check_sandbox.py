"""The command of a check runs in a sandbox: it reads the state and asks the site, and nothing else of the machine."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lbi.cli.app import app
from lbi.environments.web import check_sandbox, pristine
from lbi.environments.web.application import Application, load_application
from lbi.environments.web.backend import LocalBackend, ManagedApplication
from lbi.environments.web.check_sandbox import CheckSandbox
from lbi.environments.web.checks import evaluate
from lbi.environments.web.remote import RemoteBackend
from lbi.errors import EnvironmentFailure, ScoreError, UserError
from lbi.records import Check
from small_repository import needs_bubblewrap

pytestmark = needs_bubblewrap

SERVE = """
import http.server, pathlib, sqlite3, sys
base = sqlite3.connect("shop.db", isolation_level=None, check_same_thread=False)

class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/add":
            base.execute("INSERT INTO item VALUES ('second')")
            pathlib.Path("last.txt").write_text("second")
        size = int(self.path.partition("=")[2] or 0)
        text = b"x" * size or ",".join(name for name, in base.execute("SELECT name FROM item")).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *words): pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Site).serve_forever()
"""
PREPARE = """
import sqlite3
base = sqlite3.connect("shop.db")
base.executescript("PRAGMA journal_mode = WAL; CREATE TABLE item (name TEXT); INSERT INTO item VALUES ('first')")
"""
FILE = """
name = "shop"
start = ["{python}", "{state}/serve.py", "{port}"]
[environ]
COLOUR = "green"
PIN = "${SHOP_PIN}"
[prepare]
copy = ["serve.py"]
script = '''PREPARE'''
[state]
database = "shop.db"
""".replace("PREPARE", PREPARE)


def write(folder: Path, more: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "serve.py").write_text(SERVE)
    (folder / "app.toml").write_text(FILE + more)
    return folder / "app.toml"


@pytest.fixture
async def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LocalBackend]:
    monkeypatch.setenv("SHOP_PIN", "a-secret-pin")
    started = await ManagedApplication(load_application(write(tmp_path / "app")), tmp_path / "cache").start()
    yield started
    await started.stop()


async def succeeds(backend: LocalBackend | RemoteBackend, code: str, *arguments: str) -> bool:
    status, output = await backend.run_command(["{python}", "-c", code, *arguments])
    print(output)
    return status == 0


class Other:
    """A server of this machine that is not the application's."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Site(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *words: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def other() -> Iterator[Other]:
    running = Other()
    yield running
    running.server.shutdown()
    running.server.server_close()


ASK = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read())"


async def test_a_command_reads_the_state_and_asks_the_site(backend: LocalBackend) -> None:
    await asked_of_site(backend, "/add")
    code = """
import os, pathlib, sqlite3, sys, urllib.request
rows = [name for name, in sqlite3.connect("shop.db").execute("SELECT name FROM item")]
page = urllib.request.urlopen(sys.argv[1], timeout=5).read().decode()
assert rows == ["first", "second"] and page == "first,second", (rows, page)
assert pathlib.Path("last.txt").read_text() == "second"
assert os.path.samefile(os.getcwd(), sys.argv[2]) and sys.argv[1].endswith(":" + sys.argv[3])
assert os.environ["COLOUR"] == "green"
"""
    status, output = await backend.run_command(["{python}", "-c", code, "{url}", "{state}", "{port}"])
    assert (status, output) == (0, "")


async def asked_of_site(backend: LocalBackend, path: str) -> None:
    import urllib.request

    await asyncio.to_thread(lambda: urllib.request.urlopen(backend.url + path, timeout=5).read())


async def test_a_command_writes_nothing_outside(backend: LocalBackend, tmp_path: Path) -> None:
    for place in (tmp_path, Path.home(), Path("/tmp"), Path("/var/tmp"), Path(sys.prefix)):
        file = place / f"lbi-check-wrote-{os.getpid()}"
        await succeeds(backend, "import sys; open(sys.argv[1], 'w').write('x')", str(file))
        assert not file.exists()
    assert not await succeeds(backend, "import sys; open(sys.argv[1] + '/x', 'w')", str(Path.home()))


async def test_what_a_command_changes_in_the_state_is_not_the_applications(backend: LocalBackend) -> None:
    clean = backend.digest()
    code = """
import pathlib, sqlite3
pathlib.Path("serve.py").write_text("gone"); pathlib.Path("new").write_text("x")
base = sqlite3.connect("shop.db"); base.execute("DELETE FROM item"); base.commit()
"""
    assert await succeeds(backend, code)
    assert backend.digest() == clean
    assert backend.query("SELECT name FROM item") == [("first",)]
    assert not (backend.state / "new").exists()
    assert (backend.state / "serve.py").read_text() == SERVE


async def test_a_command_reads_nothing_of_the_machine(
    backend: LocalBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/id").write_text("a key")
    monkeypatch.setenv("HOME", str(home))
    code = "import os, sys; f = sys.argv[1]; print(os.listdir(f) if os.path.isdir(f) else open(f).read())"
    for file in (home / ".ssh/id", tmp_path / "app/app.toml", "/etc/shadow", __file__, backend.state.parent):
        _, output = await backend.run_command(["{python}", "-c", code, str(file)])
        assert not any(said in output for said in ("a key", "name =", "root:*", "def test_", "owner.lock")), output
    assert not await succeeds(backend, "import os; open(os.path.expanduser('~/.ssh/id'))")
    assert not await succeeds(backend, f"import os; os.kill({os.getpid()}, 0)")
    code = "import os; print([name for name, value in os.environ.items() if 'secret' in value or 'PIN' in name])"
    assert await backend.run_command(["{python}", "-c", code]) == (0, "[]")


async def test_a_command_reaches_no_other_port_of_the_machine(backend: LocalBackend, other: Other) -> None:
    assert await succeeds(backend, ASK, "{url}")
    assert not await succeeds(backend, ASK, f"http://127.0.0.1:{other.port}/")
    assert not await succeeds(backend, ASK, f"http://localhost:{other.port}/")
    through_it = "import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1])); "
    through_it += "c.request('GET', sys.argv[2]); print(c.getresponse().read())"
    await succeeds(backend, through_it, "{port}", f"http://127.0.0.1:{other.port}/")
    assert other.asked == []


async def test_the_way_to_the_site_is_closed_when_the_command_runs(backend: LocalBackend) -> None:
    """Nobody is behind the socket file any more, so no other listening socket can be handed out."""
    code = """
import glob, os, socket
doors = [file for file in glob.glob("/tmp/lbi-check-*/door")]
assert doors
for file in doors:
    try:
        socket.socket(socket.AF_UNIX).connect(file)
    except ConnectionRefusedError:
        continue
    raise SystemExit("somebody is there")
"""
    assert await succeeds(backend, code)


@pytest.mark.slow
async def test_large_replies_and_many_connections_pass(backend: LocalBackend) -> None:
    code = """
import sys, threading, urllib.request
sizes = []
def ask(): sizes.append(len(urllib.request.urlopen(sys.argv[1] + "/?size=700000", timeout=20).read()))
threads = [threading.Thread(target=ask) for _ in range(12)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
assert sizes == [700000] * 12, sizes
"""
    assert await succeeds(backend, code, "{url}")


@pytest.mark.slow
async def test_a_command_that_keeps_all_connections_uses_up_none_of_our_handles(backend: LocalBackend) -> None:
    assert await succeeds(backend, ASK, "{url}")
    before = len(os.listdir("/proc/self/fd"))
    code = """
import socket, sys
kept = []
for _ in range(300):
    kept.append(socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5))
"""
    assert await succeeds(backend, code, "{port}")
    assert await succeeds(backend, ASK, "{url}")
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import time; time.sleep(60)", "did not end within 1 s"),
        ("import os; os.kill(os.getpid(), 9)", "was killed"),
        ("x = bytearray(8 << 30)", "crashed|too much memory"),
        ("raise SystemExit(77)", "cannot tell"),
        ("1 / 0", "crashed"),
    ],
)
async def test_how_a_command_is_stopped_is_never_the_agents_failure(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    if "sleep" in code:
        monkeypatch.setattr(check_sandbox, "COMMAND_SECONDS", 1.0)
    with pytest.raises((ScoreError, EnvironmentFailure), match=said):
        await evaluate(Check(command=("{python}", "-c", code)), "", "/", "", backend)


async def test_of_long_output_the_beginning_and_the_end_are_kept(backend: LocalBackend) -> None:
    status, output = await backend.run_command(["{python}", "-c", "print('begin', 'x' * 9_000_000, 'end')"])
    assert status == 0
    assert (output[:5], output[-3:]) == ("begin", "end")
    assert len(output) < 2_000_000


# what an application's file lets checks see


async def test_the_applications_folder_and_what_its_file_shows_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "apart").mkdir()
    (tmp_path / "apart/verify.py").write_text("print('apart')")
    file = write(tmp_path / "app", '[checks]\nshow = ["../apart/verify.py"]\n').read_text().replace("PIN =", "# PIN =")
    (tmp_path / "app/app.toml").write_text(file)
    (tmp_path / "app/verify.py").write_text("import sys; print('beside'); open(__file__, 'a')")
    started = await ManagedApplication(load_application(tmp_path / "app/app.toml"), tmp_path / "cache").start()
    try:
        apart = tmp_path / "apart/verify.py"
        assert await started.run_command(["{python}", str(apart)]) == (0, "apart")
        status, output = await started.run_command(["{python}", "{folder}/verify.py"])
        assert (status, output[:6]) == (1, "beside")
        assert "Read-only file system" in output
        assert not await succeeds(started, "import sys; open(sys.argv[1])", str(tmp_path / "app/verify.py"))
    finally:
        await started.stop()


@pytest.mark.parametrize("more", ["", '[checks]\nshow = ["~"]\n'])
async def test_a_home_folder_is_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    file = write(tmp_path / "home", more)
    file.write_text(file.read_text().replace("PIN =", "# PIN ="))
    managed = ManagedApplication(load_application(file), tmp_path / "cache")
    check = Check(command=("{python}", "{folder}/verify.py"))
    said = await pristine.mistakes(check, managed.application, managed, CheckSandbox())
    assert len(said) == 1
    assert "which holds your home folder" in said[0]
    started = await managed.start()
    try:
        with pytest.raises(ScoreError, match="which holds your home folder"):
            await started.run_command(check.command)
    finally:
        await started.stop()


async def test_the_server_of_a_database_is_not_for_checks(tmp_path: Path) -> None:
    application = Application(name="shop", base_url="http://127.0.0.1:9", folder=str(tmp_path))
    with pytest.raises(ScoreError, match=r"\{database_url\} is for the application's own commands"):
        await RemoteBackend(application).run_command(["true", "postgres={database_url}"])


# a site that somebody else runs


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
async def test_a_site_of_somebody_else_is_asked_from_a_view_of_the_files_folder(
    tmp_path: Path, other: Other, host: str
) -> None:
    """0.0.0.0 stands for a host that is not this machine: such a one is asked through a proxy."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app/verify.py").write_text(ASK)
    secret = Other()
    application = Application(name="site", base_url=f"http://{host}:{other.port}", folder=str(tmp_path / "app"))
    backend = RemoteBackend(application)
    try:
        assert await backend.run_command(["{python}", "verify.py", "{url}/state?a=b"]) == (0, "b'ok'")
        assert other.asked == ["/state?a=b"]
        for elsewhere in (f"http://127.0.0.1:{secret.port}/", f"http://{host}:{secret.port}/"):
            assert (await backend.run_command(["{python}", "verify.py", elsewhere]))[0] != 0
        assert secret.asked == []
        assert await succeeds(backend, "open('verify.py', 'w')")
        assert (tmp_path / "app/verify.py").read_text() == ASK
    finally:
        await backend.stop()
        secret.server.shutdown()
        secret.server.server_close()


# machines without a sandbox


@pytest.fixture
def no_bubblewrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.mark.usefixtures("no_bubblewrap")
async def test_without_a_sandbox_that_is_said_before_anything_runs(tmp_path: Path) -> None:
    file = write(tmp_path / "app")
    file.write_text(file.read_text().replace("PIN =", "# PIN ="))
    managed = ManagedApplication(load_application(file), tmp_path / "cache")
    check = Check(command=("{python}", "-c", "pass"))
    with pytest.raises(UserError, match=r"a task's check runs a command.*install bubblewrap.*--unsafe") as told:
        await pristine.mistakes(check, managed.application, managed, CheckSandbox())
    assert "\n" not in str(told.value)
    assert await pristine.mistakes(check, managed.application, managed, CheckSandbox(unsafe=True)) == []
    assert await pristine.mistakes(Check(answer=("x",)), managed.application, managed, CheckSandbox()) == []


@pytest.mark.usefixtures("no_bubblewrap")
async def test_unsafe_runs_on_the_machine_as_it_is(tmp_path: Path) -> None:
    file = write(tmp_path / "app")
    file.write_text(file.read_text().replace("PIN =", "# PIN ="))
    checks = CheckSandbox(unsafe=True)
    started = await ManagedApplication(load_application(file), tmp_path / "cache", checks=checks).start()
    try:
        assert await succeeds(started, "import sys; open(sys.argv[1], 'w')", str(tmp_path / "written"))
        assert (tmp_path / "written").exists()
    finally:
        await started.stop()


@pytest.mark.slow
@pytest.mark.usefixtures("no_bubblewrap")
def test_a_run_says_at_its_start_that_there_is_no_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path / "app")
    file.write_text(file.read_text().replace("PIN =", "# PIN ="))
    task = '[[task]]\nname = "a"\ninstruction = "Add tea."\ncheck = { command = ["{python}", "-c", "pass"] }\n'
    (tmp_path / "tasks.toml").write_text(f'name = "teas"\n{task}')
    (tmp_path / "run.toml").write_text('application = "app/app.toml"\nbenchmark = "tasks.toml"\n')
    refused = CliRunner().invoke(app, ["run", "run.toml", "-q"])
    assert refused.exit_code == 2, refused.output
    assert "install bubblewrap" in refused.output
    assert "--unsafe" in refused.output
    allowed = CliRunner().invoke(app, ["run", "run.toml", "-q", "--dry-run", "--unsafe"])
    assert allowed.exit_code == 0, allowed.output
