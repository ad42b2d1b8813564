"""Applications of every kind are put back: by restart, request and command; page and browser as well as server."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lbi.cli.check import check_application
from lbi.environments.web.application import Application, load_application
from lbi.environments.web.backend import LocalBackend, ManagedApplication
from lbi.environments.web.digests import digest_of_files, digest_of_text
from lbi.environments.web.environment import WebEnvironment, WebEnvironments
from lbi.environments.web.install import install
from lbi.errors import EnvironmentFailure, ScoreError, UserError
from lbi.records import Check, Task

#: keeps a list in its memory, and a file beside it
SERVE = """
import http.server, json, pathlib, sys
port, host = int(sys.argv[1]), sys.argv[2]
items, visits = ["first"], 0

class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global visits
        visits += 1
        if self.path == "/api/state":
            return self.say(json.dumps({"items": items, "visits": visits}), "application/json")
        if self.path == "/worker.js":
            return self.say("", "text/javascript")
        form = '<form method=post action=/add><label>Name <input name=name></label><button>Add</button></form>'
        self.say(f"<title>Items</title><p>{', '.join(items)}</p>{form}")
    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if self.path == "/api/reset":
            items[:] = ["first"]
        elif self.path == "/add":
            items.append(text.partition("=")[2])
            pathlib.Path("last.txt").write_text(items[-1])
        elif self.path == "/leave":
            items.append("left")
        self.send_response(303 if self.path == "/add" else 200)
        self.send_header("Location", "/")
        self.send_header("Content-Length", "0")
        self.end_headers()
    def say(self, text, kind="text/html"):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *words): pass

http.server.ThreadingHTTPServer((host, port), Site).serve_forever()
"""


def write(folder: Path, state: str, host: str = "{host}", start: str = "", more: str = "") -> Path:
    """An application's file with a server beside it that remembers what was added."""
    (folder / "serve.py").write_text(SERVE)
    file = folder / "app.toml"
    command = start or f'["{{python}}", "{{state}}/serve.py", "{{port}}", "{host}"]'
    file.write_text(
        f'name = "items"\nstart = {command}\n[prepare]\ncopy = ["serve.py"]\n[state]\n{state}\n{more}', "utf-8"
    )
    return file


@asynccontextmanager
async def running(file: Path) -> AsyncIterator[LocalBackend]:
    backend = await ManagedApplication(load_application(file), file.parent / "cache").start()
    try:
        yield backend
    finally:
        await backend.stop()


def ask(backend: LocalBackend, path: str, method: str = "GET", data: bytes | None = None) -> str:
    request = urllib.request.Request(backend.url + path, data, method=method)
    with urllib.request.urlopen(request, timeout=10) as reply:
        return str(reply.read().decode())


@pytest.mark.parametrize("how", ['reset = "restart"', 'reset_request = "POST /api/reset"'])
async def test_what_a_server_keeps_in_memory_is_put_back(tmp_path: Path, how: str) -> None:
    file = write(tmp_path, f'{how}\ndigest_url = "/api/state"\ndigest_ignore = ["$.visits"]')
    async with running(file) as backend:
        clean, port = backend.digest(), backend.url
        assert clean == backend.digest() != ""
        for _ in range(2):
            ask(backend, "/add", "POST", b"name=second")
            assert backend.digest() != clean
            await backend.reset()
            assert backend.digest() == clean
            assert "second" not in ask(backend, "/")
            assert backend.url == port
            assert not (backend.state / "last.txt").exists()


async def test_a_reset_that_the_site_refuses_is_no_silent_one(tmp_path: Path) -> None:
    async with running(write(tmp_path, 'reset_request = "PATCH /nowhere"')) as backend:
        with pytest.raises(EnvironmentFailure, match="PATCH /nowhere was answered with 501"):
            await backend.reset()


async def test_the_state_is_told_by_files_and_by_a_command(tmp_path: Path) -> None:
    command = '["{python}", "-c", "import pathlib; print(pathlib.Path(\'last.txt\').exists())"]'
    async with running(write(tmp_path, f'digest_files = ["*.txt"]\ndigest_command = {command}')) as backend:
        clean = backend.digests()
        assert set(clean) == {"files", "digest_command"}
        ask(backend, "/add", "POST", b"name=second")
        changed = backend.digests()
        assert all(changed[part] != clean[part] for part in clean)
        (backend.state / "other.log").write_text("not of the state")
        assert backend.digests() == changed
        await backend.reset()
        assert backend.digests() == clean


async def test_a_site_of_somebody_else_is_put_back_where_its_file_says_how(tmp_path: Path) -> None:
    async with running(write(tmp_path, "")) as theirs:
        file = tmp_path / "theirs.toml"
        state = '[state]\nreset_request = "POST /api/reset"\ndigest_url = "/api/state"\ndigest_ignore = ["visits"]'
        file.write_text(f'name = "theirs"\nbase_url = "{theirs.url}"\n{state}')
        environments = WebEnvironments(file)
        assert environments.restores
        backend = await environments._started()
        clean = backend.digest()
        ask(theirs, "/add", "POST", b"name=second")
        assert backend.digest() != clean
        await backend.reset()
        assert backend.digest() == clean
        await backend.stop()
        await environments.close()


@pytest.mark.parametrize(
    ("ignore", "same"),
    [
        (["a.at"], True),
        (["$.a.at"], True),
        (["*.at"], True),
        (["**.at"], True),
        (["a"], False),
        (["b[*].at"], False),
        ([], False),
    ],
)
def test_paths_in_json_do_not_count(ignore: list[str], same: bool) -> None:
    one, other = {"a": {"at": 1}, "b": [{"at": 5, "n": 2}]}, {"b": [{"n": 2, "at": 5}], "a": {"at": 2}}
    if ignore == ["a"]:
        other["b"][0]["n"] = 3  # type: ignore[index]
    assert (digest_of_text(json.dumps(one), ignore) == digest_of_text(json.dumps(other), ignore)) is same


def test_the_whole_of_a_list_or_one_place_in_it_does_not_count() -> None:
    def of(items: list[int], *ignore: str) -> str:
        return digest_of_text(json.dumps({"items": items}), ignore)

    assert of([1, 2], "items[1]") == of([1, 3], "items[1]") != of([2, 3], "items[1]")
    assert of([1, 2], "items[*]") == of([4], "items[*]")


def test_names_of_files_are_part_of_the_state(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/a.txt").write_text("x")
    before = digest_of_files(tmp_path, ["**/*.txt"])
    (tmp_path / "deep/a.txt").rename(tmp_path / "deep/b.txt")
    assert digest_of_files(tmp_path, ["**/*.txt"]) != before


async def test_modes_links_folders_and_kinds_are_put_back(tmp_path: Path) -> None:
    (tmp_path / "made.py").write_text(
        "import os, pathlib\nfor name in ('empty', 'full'): pathlib.Path(name).mkdir()\n"
        "for name in ('full/a', 'full/b', 'full/c', 'locked'): pathlib.Path(name).write_text(name)\n"
        "os.symlink('full/a', 'link'); os.symlink('full', 'way')\n"
        "os.chmod('full/b', 0o640); os.chmod('locked', 0o400)\n"
    )
    file = write(tmp_path, "")
    file.write_text(
        file.read_text().replace('["serve.py"]', '["serve.py", "made.py"]\ncommand = ["{python}", "made.py"]')
    )
    outside = tmp_path / "outside"
    outside.write_text("not of the state")
    async with running(file) as backend:
        clean = described(backend.state)
        for _ in range(2):
            os.chmod(backend.state / "full/b", 0o755)
            os.rmdir(backend.state / "empty")
            os.unlink(backend.state / "full/a")
            (backend.state / "full/a").mkdir()
            (backend.state / "full/a/deep").write_text("x")
            os.unlink(backend.state / "full/c")
            os.symlink(outside, backend.state / "full/c")
            os.unlink(backend.state / "link")
            os.symlink(outside, backend.state / "link")
            os.unlink(backend.state / "way")
            (backend.state / "way/below/deeper").mkdir(parents=True)
            os.unlink(backend.state / "locked")
            os.mkdir(backend.state / "more")
            await backend.reset()
            assert described(backend.state) == clean
            token = await backend.snapshot()
            os.unlink(backend.state / "full/b")
            os.symlink(outside, backend.state / "full/b")
            os.mkdir(backend.state / "more")
            await backend.restore(token)
            assert described(backend.state) == clean
            await backend.reset()
        assert outside.read_text() == "not of the state"


def described(root: Path) -> dict[str, tuple[int, str]]:
    """Mode and content of everything in a folder."""
    found = {}
    for path in sorted(root.rglob("*")):
        content = str(path.readlink()) if path.is_symlink() else path.read_text() if path.is_file() else ""
        found[str(path.relative_to(root))] = (path.lstat().st_mode, content)
    return found


# what an application is made of


def test_what_is_copied_is_known_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/page.html").write_text("one")
    (tmp_path / "seed.py").write_text("import pathlib; pathlib.Path('made').write_text('by seed')")
    file = tmp_path / "app.toml"
    prepare = '[prepare]\ncopy = ["site", "seed.py"]\ncommand = ["{python}", "{state}/seed.py"]'
    file.write_text(f'name = "copied"\nstart = ["x"]\n{prepare}')
    first = install(load_application(file), tmp_path / "cache").pristine
    assert sorted(os.listdir(first)) == ["made", "seed.py", "site"]
    assert install(load_application(file), tmp_path / "cache").pristine == first
    (tmp_path / "site/page.html").write_text("two")
    second = install(load_application(file), tmp_path / "cache").pristine
    assert second != first
    assert (second / "site/page.html").read_text() == "two"


def test_a_file_to_copy_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "app.toml"
    file.write_text('name = "copied"\nstart = ["x"]\n[prepare]\ncopy = ["nowhere"]')
    with pytest.raises(UserError, match=r"prepare.copy names .*nowhere"):
        install(load_application(file), tmp_path / "cache")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('start = ["x"]\n[state]\nreset_request = "/api/reset"', 'write a method and a path, "POST /api/reset"'),
        ('start = ["x"]\n[state]\ndigest_url = "api"', "write a path on the site"),
        ('start = ["x"]\n[state]\nreset = "again"', "state.reset"),
        ('start = ["x"]\n[state]\ndatabase = "a.db"\ndatabase_url = "mysql://x/y"', "not both"),
        ('start = ["x"]\n[state]\ndatabase_url = "oracle://x/y"', "postgresql:// or mysql://"),
        ('start = ["x"]\n[prepare]\ncopi = ["x"]', "did you mean 'copy'"),
        ('base_url = "http://x"\n[state]\nreset = "restart"', "run by somebody else"),
        ('base_url = "http://x"\n[prepare]\ncopy = ["x"]', "run by somebody else"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "app.toml"
    file.write_text(f'name = "a"\n{text}')
    with pytest.raises(UserError, match=said):
        load_application(file)


# who can reach the server

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says which addresses a process listens on")


@LINUX
async def test_a_server_within_reach_of_others_is_named(tmp_path: Path) -> None:
    async with running(write(tmp_path, "", host="0.0.0.0")) as backend:
        assert backend.exposed() == (f"0.0.0.0:{backend.url.rpartition(':')[2]}",)


@LINUX
@pytest.mark.parametrize("host", ["", "0.0.0.0", "127.0.0.1"])
async def test_a_python_server_is_held_to_this_machine(tmp_path: Path, host: str) -> None:
    start = f'["{{python}}", "{{loopback}}", "{{state}}/serve.py", "{{port}}", "{host}"]'
    async with running(write(tmp_path, "", start=start)) as backend:
        assert backend.exposed() == ()
        assert "first" in ask(backend, "/")
        with socket.socket() as probe:  # another address of this machine, which a server of all interfaces answers on
            assert probe.connect_ex(("127.0.0.2", int(backend.url.rpartition(":")[2]))) != 0


# checks


@pytest.mark.parametrize(
    ("code", "score"),
    [
        ("pass", 1.0),
        ("raise SystemExit(1)", 0.0),
        ("raise SystemExit('the item is missing')", 0.0),
        ("assert 1 == 2, 'not yet'", 0.0),
        ("raise SystemExit(77)", None),
        ("print('no state'); raise SystemExit(77)", None),
        ("1 / 0", None),
        ("import nowhere", None),
        ("import os; os.kill(os.getpid(), 9)", None),
        ("import os; os.abort()", None),
        ("raise SystemExit(127)", None),
    ],
)
async def test_a_verifier_that_crashes_or_cannot_tell_is_never_the_agents_failure(
    tmp_path: Path, code: str, score: float | None
) -> None:
    from lbi.environments.web.checks import evaluate

    async with running(write(tmp_path, "")) as backend:
        check = Check(command=("{python}", "-c", code))
        if score is None:
            with pytest.raises((ScoreError, EnvironmentFailure), match="command"):
                await evaluate(check, "", "/", "", backend)
        else:
            assert (await evaluate(check, "", "/", "", backend))[0] == score


async def test_a_check_knows_where_the_site_is(tmp_path: Path) -> None:
    async with running(write(tmp_path, "")) as backend:
        code = "import sys; raise SystemExit(sys.argv[1:] != [sys.argv[3], sys.argv[2], sys.argv[3]])"
        assert (await backend.run_command(["{python}", "-c", code, "{url}", "{folder}", backend.url]))[0] == 0


# the browser

BROWSER = pytest.mark.browser
MEMORY = """<title>Memory</title><p id=out></p><script>
const say = async () => {
  const bases = (await indexedDB.databases()).map((base) => base.name);
  const workers = (await navigator.serviceWorker.getRegistrations()).length;
  out.textContent = [document.cookie, {...localStorage}.a, {...sessionStorage}.a, window.name, bases,
    await caches.keys(), workers].map(String).join('|') + location.hash;
};
addEventListener('hashchange', say); say();
</script><button onclick="fill()">Fill</button><script>
async function fill() {
  document.cookie = 'a=1; path=/'; localStorage.a = sessionStorage.a = window.name = 'x';
  await new Promise((done) => { const o = indexedDB.open('base'); o.onsuccess = () => { o.result.close(); done(); }; });
  await caches.open('cache'); await navigator.serviceWorker.register('/worker.js'); await say();
}
addEventListener('pagehide', () => navigator.sendBeacon('/leave'));
</script>"""
#: how a site remembers who is logged in, in the browser
REMEMBERS = {
    "cookie": ("document.cookie = 'pass=1; path=/'", "document.cookie.includes('pass=1')"),
    "local": ("localStorage.pass = 1", "localStorage.pass"),
    "session": ("sessionStorage.pass = 1", "sessionStorage.pass"),
    "both": ("localStorage.pass = sessionStorage.pass = 1", "localStorage.pass && sessionStorage.pass"),
    "indexed": (
        "await new Promise((done) => { const o = indexedDB.open('who', 1);"
        "o.onupgradeneeded = () => o.result.createObjectStore('s').put('1', 'pass');"
        "o.onsuccess = () => { o.result.close(); done(); }; })",
        "(await indexedDB.databases()).length && await new Promise((done) => { const o = indexedDB.open('who', 1);"
        "o.onsuccess = () => { const got = o.result.transaction('s').objectStore('s').get('pass');"
        "got.onsuccess = () => { o.result.close(); done(got.result); }; }; })",
    ),
}
LOCKER = """<title>Locker</title><div id=app></div><script>
async function draw() {
  if (%s) app.innerHTML = '<h1>Lockers</h1><button onclick="leave()">Sign out</button>';
  else app.innerHTML = '<label>User <input></label><button onclick="enter()">Sign in</button>';
}
async function enter() { %s; await draw(); }
function leave() { localStorage.clear(); sessionStorage.clear(); document.cookie = 'pass=; max-age=0'; draw(); }
draw();
</script>"""


@pytest.fixture
def site() -> Iterator[tuple[str, list[str]]]:
    """Address and requests of a site with a page that remembers, and one to log in for each way of remembering."""
    seen: list[str] = []

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            way = self.path[1:].partition("?")[0]
            text = LOCKER % (REMEMBERS[way][1], REMEMBERS[way][0]) if way in REMEMBERS else MEMORY
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript" if way == "worker.js" else "text/html")
            self.end_headers()
            self.wfile.write(b"" if way == "worker.js" else text.encode())

        def do_POST(self) -> None:
            seen.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()


@asynccontextmanager
async def browsing(application: Application) -> AsyncIterator[WebEnvironment]:
    environments = WebEnvironments(application)
    try:
        yield await environments.open()
    finally:
        await environments.close()


def episode(start_url: str = "") -> Task:
    return Task(instruction="", environment="site", start_url=start_url)


@BROWSER
@pytest.mark.slow
@pytest.mark.parametrize("start", ["/memory", "/memory#/settings"])
async def test_nothing_of_an_episode_is_left_in_the_browser(site: tuple[str, list[str]], start: str) -> None:
    async with browsing(Application(name="site", base_url=site[0])) as environment:
        first = await environment.reset(episode(start))
        for _ in range(2):
            filled = (await environment.step('click(button "Fill")')).observation
            while "cache|1" not in filled.text:  # a service worker is registered in its own time
                filled = (await environment.step("wait()")).observation
            assert "a=1|x|x|x|base|cache|1" in filled.text
            again = await environment.reset(episode(start))
            assert again.text == first.text


@BROWSER
async def test_a_start_page_with_a_fragment_is_loaded_anew(site: tuple[str, list[str]]) -> None:
    async with browsing(Application(name="site", base_url=site[0])) as environment:
        await environment.reset(episode("/memory#/settings"))
        await environment.evaluate("document.title = 'of the last episode'")
        assert (await environment.reset(episode("/memory#/settings"))).title == "Memory"


@BROWSER
async def test_a_page_that_is_left_sends_nothing_after_the_reset(site: tuple[str, list[str]]) -> None:
    async with browsing(Application(name="site", base_url=site[0])) as environment:
        await environment.reset(episode("/memory"))
        await environment.evaluate("setInterval(() => fetch('/leave', {method: 'POST', keepalive: true}), 20); 1")
        await environment._episodes.leave()
        await asyncio.sleep(0.2)  # for what was on its way
        sent = len(site[1])
        await asyncio.sleep(0.3)
        assert len(site[1]) == sent


@BROWSER
@pytest.mark.slow
async def test_what_a_page_makes_of_an_answer_is_waited_for(tmp_path: Path) -> None:
    """A page that is drawn from what it fetches was often seen empty, most of all in a fresh tab."""
    late = """<title>Late</title><p id=out>nothing</p><script>
      (async () => { const reply = await fetch('/api/state'); const found = await reply.json();
        await Promise.resolve(); out.textContent = found.items.join(); })();</script>"""
    file = write(tmp_path, "")
    serve = (tmp_path / "serve.py").read_text()
    form = serve[serve.index("        form = ") : serve.index("    def do_POST")]
    (tmp_path / "serve.py").write_text(serve.replace(form, f"        self.say({late!r})\n"))
    async with browsing(load_application(file)) as environment:
        pages = [(await environment.reset(episode())).text for _ in range(8)]
        assert ["first" in page for page in pages] == [True] * 8


@BROWSER
@pytest.mark.slow
@pytest.mark.parametrize("way", REMEMBERS)
async def test_a_log_in_by_a_form_lasts_over_resets(site: tuple[str, list[str]], way: str) -> None:
    login = {"form": {"url": f"/{way}", "steps": ['fill(textbox "User", "ann")', 'click(button "Sign in")']}}
    data = {"name": "site", "base_url": site[0], "login": login, "start_url": f"/{way}"}
    async with browsing(Application.model_validate(data)) as environment:
        pages = [await environment.reset(episode()) for _ in range(3)]
        assert ["Lockers" in page.text for page in pages] == [True] * 3, pages
        assert pages[0] == pages[1] == pages[2]
        if way in ("session", "both"):  # who signs out is signed out, also on the next page
            await environment.step('click(button "Sign out")')
            assert "Sign in" in (await environment.step(f'goto("/{way}?again")')).observation.text
            assert "Lockers" in (await environment.reset(episode())).text


@BROWSER
@pytest.mark.slow
@pytest.mark.parametrize("way", ["cookie", "local", "session", "both"])
async def test_a_log_in_by_a_stored_state_lasts_over_resets(
    site: tuple[str, list[str]], way: str, tmp_path: Path
) -> None:
    items = [{"name": "pass", "value": "1"}]
    cookie = {"name": "pass", "value": "1", "domain": "127.0.0.1", "path": "/", "expires": -1}
    cookie |= {"httpOnly": False, "secure": False, "sameSite": "Lax"}
    stored: dict[str, object] = {"origin": site[0], "localStorage": items if way in ("local", "both") else []}
    stored |= {"sessionStorage": items} if way in ("session", "both") else {}
    state = {"cookies": [cookie] if way == "cookie" else [], "origins": [stored]}
    (tmp_path / "state.json").write_text(json.dumps(state))
    file = tmp_path / "site.toml"
    file.write_text(
        f'name = "site"\nbase_url = "{site[0]}"\nstart_url = "/{way}"\n[login]\nstorage_state = "state.json"'
    )
    async with browsing(load_application(file)) as environment:
        pages = [await environment.reset(episode()) for _ in range(3)]
        assert ["Lockers" in page.text for page in pages] == [True] * 3
        assert pages[0] == pages[1] == pages[2]


# the proof of it


@BROWSER
@pytest.mark.slow
async def test_the_check_of_an_application_proves_that_everything_is_put_back(tmp_path: Path) -> None:
    state = 'reset_request = "POST /api/reset"\ndigest_url = "/api/state"\ndigest_ignore = ["visits"]'
    found = await check_application(str(write(tmp_path, state)))
    assert "put back twice: cookies" in found
    assert """server's /api/state (click(button "Add"))""" in found
    assert "Note" not in found


@BROWSER
@pytest.mark.slow
async def test_the_check_of_an_application_says_which_part_was_not_put_back(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not put back: page: .*; server's /api/state\. .*restart"):
        await check_application(str(write(tmp_path, 'digest_url = "/api/state"\ndigest_ignore = ["visits"]')))


@BROWSER
@pytest.mark.slow
async def test_the_check_of_an_application_says_what_is_missing(tmp_path: Path) -> None:
    found = await check_application(str(write(tmp_path, 'reset = "restart"', host="0.0.0.0")))
    assert "no state digest, so fewer than half of the examples survive" in found
    assert "digest_url" in found
    assert "listens on 0.0.0.0:" in found
    assert "{loopback}" in found
