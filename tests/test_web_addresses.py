"""Where an agent gets in a real browser, and what its pages reach: two real servers, of which one must see nothing."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from lbi.environments.web.application import Application, Login, Policy
from lbi.environments.web.environment import WebEnvironment, WebEnvironments
from lbi.errors import EnvironmentFailure
from lbi.records import Observation, Task

pytestmark = [pytest.mark.browser, pytest.mark.slow]

#: ELSEWHERE is the other server, SITE the site's own, as "127.0.0.1:PORT"
PAGES = {
    "/": """<title>Start</title><h1>Start</h1><p id=out>nothing</p>
      <a href="/other">Other</a> <a href="/form">Form</a>
      <a href="/secret" target=_blank>Denied tab</a>
      <a href="http://ELSEWHERE/tab" target=_blank>Foreign tab</a>
      <a href="http://ELSEWHERE/tab" target=_blank rel=opener>Foreign tab with opener</a>
      <a href="http://ELSEWHERE/link">Foreign link</a>
      <a href="http://SITE/%73ecret">Encoded link</a> <a href="/x/..%2fsecret">Climbing link</a>
      <a href="/hop?to=/secret">Denied hop</a> <a href="/hop?to=http://ELSEWHERE/hop">Foreign hop</a>
      <a href="/hop?to=/hop?to=http://ELSEWHERE/hop2">Two hops</a>
      <a href="/meta?to=http://ELSEWHERE/meta">Foreign meta</a> <a href="/refresh?to=/secret">Denied refresh</a>
      <a href="/script?to=http://ELSEWHERE/script">Foreign script</a>
      <a href="mailto:ann@example.org">Mail</a> <a href="data:text/html,x">Data</a>
      <a href="javascript:void fetch('/secret')">Fetch by link</a>
      <a href="javascript:void(out.textContent='ran')">Run</a>
      <a href="data:text/plain,four" download="four.txt">Save</a>
      <form action="http://ELSEWHERE/get"><button>Foreign form</button></form>
      <form action="http://ELSEWHERE/post" method=post><button>Foreign post</button></form>
      <form action="/secret" method=post><button>Denied post</button></form>
      <form action="/hop?to=http://ELSEWHERE/after" method=post><button>Posted hop</button></form>
      <form action="/echo" method=post><button>Post</button></form>
      <button onclick="window.open('http://ELSEWHERE/window')">Foreign window</button>
      <button onclick="const w = window.open(''); w.location = 'http://ELSEWHERE/late'">Window first</button>
      <button onclick="window.open('/opens')">Own window</button>
      <button onclick="setTimeout(() => { location = 'http://ELSEWHERE/delayed' }, 1200)">Delayed</button>
      <button onclick="history.pushState({}, '', '/secret')">Push</button>
      <button onclick="location = window.URL.createObjectURL(new Blob(['<title>Blob</title>'], {type: 'text/html'}))">
        Blob</button>
      <a href="#inner">Denied fragment</a>""",
    "/other": "<title>Other</title><a href='/'>Back to start</a>",
    "/secret": "<title>Secret</title>secret",
    "/opens": "<title>Opens</title><script>location = 'http://ELSEWHERE/from-window'</script>",
    "/many": """<title>Many</title><button onclick="for (let i = 0; i < 12; i++) window.open('/other?' + i)">
      Twelve</button>""",
    "/frames": """<title>Frames</title><iframe src="/framed"></iframe><iframe src="http://ELSEWHERE/frame"></iframe>""",
    "/framed": """<a href="http://ELSEWHERE/top" target=_top>Out of frame</a>
      <a href="http://ELSEWHERE/inframe">In frame</a>""",
    "/greedy": """<title>Greedy</title><p id=out>asked</p>
      <link rel=stylesheet href="http://ELSEWHERE/style"><link rel=prefetch href="http://ELSEWHERE/prefetch">
      <script type=speculationrules>{"prefetch": [{"urls": ["/secret", "http://ELSEWHERE/speculated"]}],
        "prerender": [{"urls": ["/secret"]}]}</script>
      <img src="http://ELSEWHERE/picture"><script src="http://ELSEWHERE/library"></script><script>
      for (const way of ['cors', 'no-cors']) fetch('http://ELSEWHERE/fetch', {mode: way}).catch(() => 0);
      fetch('/own').then(reply => reply.text()).then(text => { out.textContent = text; });
      navigator.sendBeacon('http://ELSEWHERE/beacon', 'x'); new EventSource('http://ELSEWHERE/events');
      new WebSocket('ws://ELSEWHERE/socket'); new Worker('/worker.js');
      new Worker(URL.createObjectURL(new Blob(["fetch('http://ELSEWHERE/blob', {mode: 'no-cors'})"])));
      const request = new XMLHttpRequest(); request.open('GET', 'http://ELSEWHERE/xhr'); request.send();
      navigator.serviceWorker.register('/service.js');</script>""",
    "/worker.js": """fetch('http://ELSEWHERE/worker', {mode: 'no-cors'}).catch(() => 0);
      new WebSocket('ws://ELSEWHERE/worker-socket');""",
    "/service.js": """addEventListener('install', () => skipWaiting());
      addEventListener('activate', event =>
        event.waitUntil(fetch('http://ELSEWHERE/service', {mode: 'no-cors'}).catch(() => 0)));""",
    "/own": "own answer",
    "/lib": """<title>Lib</title><p id=out>nothing</p><img src="http://ELSEWHERE/lib/picture"><script>
      fetch('http://ELSEWHERE/lib/data').then(reply => reply.text()).then(text => { out.textContent = text; });
      fetch('http://ELSEWHERE/private/data', {mode: 'no-cors'}).catch(() => 0);</script>""",
    "/names": """<title>Names</title><p id=out>nothing</p>
      <form id=wipe onsubmit="out.textContent = 'wiped'; return false"><input aria-label="Reason">
        <input type=checkbox aria-label="Sure"><button>Delete all rows</button></form>
      <form onsubmit="out.textContent = 'wiped'; return false"><input aria-label="Alone">
        <input type=submit value="Delete rows"></form>
      <form onsubmit="out.textContent = 'searched'; return false"><input aria-label="Query">
        <button>Search</button></form>
      <input aria-label="Outside" form=wipe>
      <div role=menuitem tabindex=0 onclick="out.textContent = 'pressed'">Delete menu <a href="#x">Icon</a></div>
      <label for=hidden><a role=link tabindex=0 onclick="1">Label of it</a></label>
      <button id=hidden onclick="out.textContent = 'labelled'">Delete by label</button>
      <div style="cursor: pointer; padding: 9px" onclick="1" role=button aria-label="Card">
        <button onclick="out.textContent = 'inside'">Delete card</button></div>
      <button accesskey=d onclick="out.textContent = 'accessed'">Delete by key</button>
      <select aria-label="Bulk" onchange="out.textContent = 'chosen'"><option>None<option>Delete many</select>
      <label><input type=radio name=r checked> Keep</label>
      <label><input type=radio name=r onchange="out.textContent = 'chosen'"> Delete these</label>""",
    "/echo": "<title>Echo</title>echo",
    "/fragment": """<title>Fragment</title><p id=out>fresh</p><h2 id=part>Part</h2>
      <button onclick="out.textContent = 'used'">Use</button>""",
    "/pdf": """<title>Forms</title><a href="/form.pdf">Permit</a> <a href="/form.pdf" target=_blank>Permit apart</a>
      <a href="/saved" target=_blank>Saved apart</a>""",
}


class Site(BaseHTTPRequestHandler):
    """Serves PAGES and notes what it was asked for."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        self.server.heard.update({name.lower(): value for name, value in self.headers.items()})
        path, _, query = self.path.partition("?")
        target = query.removeprefix("to=")
        if path == "/hop":
            return self._send(302, "", {"Location": target})
        if path == "/refresh":
            return self._send(200, "<title>Refresh</title>", {"Refresh": f"0; url={target}"})
        if path == "/meta":
            return self._send(200, f'<title>Meta</title><meta http-equiv=refresh content="0; url={target}">')
        if path == "/script":
            return self._send(200, f"<title>Script</title><script>location.assign('{target}')</script>")
        if path == "/form.pdf":
            return self._send(200, "%PDF-1.4\n%%EOF", {"Content-Type": "application/pdf"})
        if path == "/saved":
            return self._send(200, "12345", {"Content-Disposition": 'attachment; filename="five.txt"'})
        kind = "text/javascript" if path.endswith(".js") else "text/html"
        self._send(200, self.server.filled(PAGES.get(path, f"<title>{path}</title>{path}")), {"Content-Type": kind})

    do_POST = do_GET

    def _send(self, status: int, body: str, headers: dict[str, str] | None = None) -> None:
        data = body.encode()
        self.send_response(status)
        every = {"Content-Type": "text/html", "Content-Length": str(len(data)), "Access-Control-Allow-Origin": "*"}
        for name, value in {**every, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Site)
        self.asked: list[str] = []
        self.heard: dict[str, str] = {}
        self.elsewhere = ""
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def filled(self, page: str) -> str:
        return page.replace("ELSEWHERE", self.elsewhere).replace("SITE", self.host)

    def end(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


@pytest.fixture
def site() -> Iterator[Server]:
    server = Server()
    yield server
    server.end()


@pytest.fixture
def elsewhere(site: Server) -> Iterator[Server]:
    server = Server()
    site.elsewhere = server.host
    yield server
    server.end()


@asynccontextmanager
async def opened(site: Server, path: str = "/", **given: Any) -> AsyncIterator[tuple[WebEnvironment, Observation]]:
    environments = WebEnvironments(Application(name="ruled", base_url=site.url, **given))
    try:
        web = await environments.open()
        yield web, await web.reset(Task(instruction="try it", environment="ruled", start_url=path))
    finally:
        await environments.close()


async def does(web: WebEnvironment, *actions: str) -> Observation:
    for action in actions:
        outcome = await asyncio.wait_for(web.step(action), 15)
        assert not outcome.observation.error, f"{action}: {outcome.observation.error}"
    return outcome.observation


async def refused(web: WebEnvironment, action: str, at: str = "/") -> str:
    """The error of an action, told at once, after which the agent is where it was and can go on."""
    outcome = await asyncio.wait_for(web.step(action), 8)
    assert outcome.observation.error, f"{action} went to {outcome.observation.url}"
    assert "\n" not in outcome.observation.error
    assert outcome.observation.url == at, action
    assert not (await web.step('press("Tab")')).observation.error
    return outcome.observation.error


FOREIGN = (
    'link "Foreign link"',
    'link "Foreign hop"',
    'link "Two hops"',
    'link "Foreign tab"',
    'link "Foreign tab with opener"',
    'link "Foreign meta"',
    'link "Foreign script"',
    'button "Foreign form"',
    'button "Foreign post"',
    'button "Posted hop"',
    'button "Foreign window"',
    'button "Window first"',
    'button "Own window"',
)


async def test_another_origin_on_loopback_is_refused_without_any_rule(site: Server, elsewhere: Server) -> None:
    async with opened(site) as (web, _):
        for target in FOREIGN:
            error = await refused(web, f"click('{target}')")
            assert f"{elsewhere.url} is another site" in error, target
            assert len(web.session.tabs) == 1, target
        for address in (
            f"{elsewhere.url}/x",
            f"//{elsewhere.host}/x",
            f"/hop?to={elsewhere.url}/x",
            "http://localhost/",
        ):
            assert "another site" in await refused(web, f'goto("{address}")')
        assert elsewhere.asked == []
        assert (await does(web, "click('link \"Other\"')")).url == "/other"


async def test_a_page_that_goes_elsewhere_later_is_stopped_and_told_of(site: Server, elsewhere: Server) -> None:
    async with opened(site) as (web, _):
        await does(web, "click('button \"Delayed\"')")
        await asyncio.sleep(1.6)
        seen = await does(web, 'press("Tab")')
        assert (seen.url, elsewhere.asked) == ("/", [])
        assert "which was refused" in seen.text


@pytest.mark.parametrize(
    "start", ["/hop?to=ELSEWHERE", "/meta?to=ELSEWHERE", "/script?to=ELSEWHERE", "ELSEWHERE", "//["]
)
async def test_a_foreign_page_is_never_an_episodes_first_one(site: Server, elsewhere: Server, start: str) -> None:
    path = start.replace("ELSEWHERE", f"{elsewhere.url}/first")
    with pytest.raises(EnvironmentFailure, match=r"another site|no address"):
        async with opened(site, path):
            pass
    assert elsewhere.asked == []


DENIED = Policy(deny_urls=("^/secret",))


SPELLED = [
    "/secret",
    "/%73ecret",
    "/%2573ecret",
    "//SITE/secret",
    "/x/../secret",
    "/x/%2e%2e/secret",
    "/x/..%2fsecret",
    "/x/..%5csecret",
    "/.//secret",
    "http://SITE//secret",
    "\\\\secret",
    "/sec\\tret",
    "/se\\ncret",
    "  /secret",
    "HTTP://SITE/secret",
    "http:/secret",
    "http://ann:word@SITE/secret",
    "http://2130706433:PORT/secret",
    "/secret#part",
    "/secret?a=1",
]


async def test_a_denied_address_is_denied_however_it_is_written(site: Server, elsewhere: Server) -> None:
    async with opened(site, policy=DENIED) as (web, _):
        for spelled in SPELLED:
            address = spelled.replace("SITE", site.host).replace("PORT", str(site.server_port))
            error = await refused(web, f'goto("{address}")')
            assert "may not be opened" in error or "another site" in error, spelled
            assert site.asked == ["GET /"], spelled


async def test_a_denied_address_is_denied_by_links_forms_tabs_and_scripts(site: Server, elsewhere: Server) -> None:
    async with opened(site, policy=DENIED) as (web, _):
        for target in (
            'link "Denied tab"',
            'link "Encoded link"',
            'link "Climbing link"',
            'link "Denied hop"',
            'link "Denied refresh"',
            'button "Denied post"',
            'button "Push"',
        ):
            assert "may not be opened here" in await refused(web, f"click('{target}')"), target
        seen = await does(web, "click('link \"Fetch by link\"')")
        assert "/secret may not be asked for here" in seen.text
        assert not [asked for asked in site.asked if "secret" in asked.partition("?")[0]]


async def test_allowed_addresses_are_allowed_as_the_server_reads_them(site: Server, elsewhere: Server) -> None:
    async with opened(site, policy=Policy(allow_urls=("^/$", "^/caf\u00e9", "^/o%20k", "^/other"))) as (web, _):
        for address in ("/caf\u00e9", "/o k", "/%6fther", "/other?q=%2f"):
            await does(web, f'goto("{address}")')
        for address in ("/other/..%2fsecret", "/other%2f..%2fsecret", "/x"):
            await refused(web, f'goto("{address}")', at="/other?q=%2f")


NO_PAGES = [
    "javascript:fetch('/secret')",
    "JaVaScRiPt:fetch('/secret')",
    " \\t javascript:fetch('/secret')",
    "java\\nscript:fetch('/secret')",
    "\x01javascript:fetch('/secret')",
    "data:text/html,<title>data</title>",
    "blob:http://SITE/1",
    "file:///etc/passwd",
    "view-source:http://SITE/",
    "about:version",
    "about:blank#blocked",
    "about:srcdoc",
    "chrome://version",
    "ftp://SITE/x",
    "mailto:ann@example.org",
    "ws://SITE/x",
    "filesystem:http://SITE/x",
    "//[",
    "http://[",
    "http://",
    "http://SITE:99999/",
    "https://%/",
]


async def test_only_http_addresses_are_opened_and_others_are_one_line(site: Server, elsewhere: Server) -> None:
    async with opened(site) as (web, _):
        for address in NO_PAGES:
            error = await refused(web, f'goto("{address.replace("SITE", site.host)}")')
            assert "addresses are not opened" in error or "no address" in error, address
            assert site.asked == ["GET /"], address


async def test_links_of_other_schemes_say_so_and_scripts_of_the_page_run(site: Server, elsewhere: Server) -> None:
    async with opened(site) as (web, _):
        for target, scheme in (('link "Mail"', "mailto"), ('link "Data"', "data"), ('button "Blob"', "blob")):
            assert f"{scheme}: addresses are not opened" in await refused(web, f"click('{target}')")
        assert "text: ran" in (await does(web, "click('link \"Run\"')")).text
        assert '"four.txt" was downloaded' in (await does(web, "click('link \"Save\"')")).text


async def test_frames_lead_nowhere_else(site: Server, elsewhere: Server) -> None:
    async with opened(site, "/frames") as (web, _):
        assert "another site" in await refused(web, "click('link \"Out of frame\"')", at="/frames")
        await web.step("click('link \"In frame\"')")
        assert elsewhere.asked == []


async def test_what_pages_fetch_is_of_their_own_site(
    site: Server, elsewhere: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with opened(site, "/greedy", policy=DENIED) as (web, _):
            await asyncio.sleep(1)
            seen = await does(web, 'press("Tab")')
            assert "text: own answer" in seen.text
            assert elsewhere.asked == []
            assert "/secret" not in " ".join(site.asked)
            assert web._environments.blocked[elsewhere.url] >= 8
    assert [elsewhere.url in line for line in caplog.messages if "another site" in line] == [True]


async def test_other_sites_are_asked_where_the_policy_names_them(
    site: Server, elsewhere: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITE_KEY", "open-sesame")
    login = Login(headers={"X-Key": "${SITE_KEY}"})
    for pattern in (f"^http://127\\.0\\.0\\.1:{elsewhere.server_port}/lib/", r"^http://127\.0\.0\.\d:\d+/lib/"):
        elsewhere.asked.clear()
        policy = Policy(allow_urls=("^/", pattern))
        async with opened(site, "/lib", policy=policy) as (web, seen):
            assert "text: <title>/lib/data" in seen.text
            assert "another site" in await refused(web, f'goto("{elsewhere.url}/lib/data")', at="/lib")
            assert sorted(elsewhere.asked) == ["GET /lib/data", "GET /lib/picture"]
        async with opened(site, "/lib", policy=policy, login=login):
            assert elsewhere.asked.count("GET /lib/picture") == 2
    assert site.heard["x-key"] == "open-sesame"
    assert "x-key" not in elsewhere.heard


async def test_at_most_eight_tabs(site: Server, elsewhere: Server) -> None:
    async with opened(site, "/many") as (web, _):
        outcome = await asyncio.wait_for(web.step("click('button \"Twelve\"')"), 30)
        assert "there are 8 already" in outcome.observation.text
        await asyncio.sleep(1)
        await does(web, 'press("Tab")')
        assert len(web.session.context.pages) == 8
        assert len([asked for asked in site.asked if "/other" in asked]) == 7
        for _ in range(7):
            seen = await does(web, "back()")
        assert seen.url == "/many"


async def test_a_tab_that_became_a_download_closes_by_itself(site: Server, elsewhere: Server) -> None:
    async with opened(site, "/pdf") as (web, _):
        for name in ("Permit", "Permit apart", "Saved apart"):
            seen = await does(web, f"click('link \"{name}\"')")
            assert (seen.url, seen.title) == ("/pdf", "Forms")
            assert "was downloaded" in seen.text
        assert (await does(web, 'goto("/form.pdf")')).url == "/pdf"


async def test_an_address_from_a_blank_page_is_the_sites(site: Server, elsewhere: Server) -> None:
    async with opened(site) as (web, _):
        assert (await does(web, 'goto("about:blank")')).url == "about:blank"
        assert (await does(web, 'goto("/other")')).url == "/other"
        assert (await does(web, 'goto("about:blank")', 'goto("other")')).url == "/other"


async def test_an_address_that_differs_in_its_fragment_is_opened_anew(site: Server, elsewhere: Server) -> None:
    async with opened(site, "/fragment") as (web, _):
        assert "text: used" in (await does(web, "click('button \"Use\"')")).text
        seen = await does(web, 'goto("/fragment#part")')
        assert (seen.url, "text: fresh" in seen.text) == ("/fragment#part", True)
        await does(web, "click('button \"Use\"')")
        assert "text: fresh" in (await does(web, 'goto("#part")')).text
    async with opened(site) as (web, _):
        await does(web, "click('button \"Post\"')", 'goto("#part")')
        assert [asked for asked in site.asked if "/echo" in asked] == ["POST /echo", "GET /echo"]


async def test_a_fragment_may_be_denied(site: Server, elsewhere: Server) -> None:
    async with opened(site, policy=Policy(deny_urls=("#inner",))) as (web, _):
        assert "may not be opened" in await refused(web, "click('link \"Denied fragment\"')")
        assert "may not be opened" in await refused(web, 'goto("/#inner")')


PRESSED = [
    ['press(\'textbox "Reason"\', "Enter")'],
    ['fill(\'textbox "Reason"\', "x")', 'press("Enter")'],
    ['press(\'textbox "Reason"\', "Control+Enter")'],
    ['press(\'textbox "Alone"\', "Enter")'],
    ['press(\'textbox "Outside"\', "Enter")'],
    ['press(\'checkbox "Sure"\', "Enter")'],
    ['press(\'button "Delete all rows"\', "Space")'],
    ['press(\'checkbox "Sure"\', "Tab")', 'press("Space")'],
    ['press(\'checkbox "Sure"\', "Tab")', 'press("Enter")'],
    ["click('button \"Delete all rows\"')"],
    ["click('link \"Icon\"')"],
    ["click('link \"Label of it\"')"],
    ["click('button \"Label of it\"')"],
    ["click('button \"Card\"')"],
    ['press("Alt+d")'],
    ['select(\'combobox "Bulk"\', "Delete many")'],
    ['press(\'radio "Keep"\', "ArrowDown")'],
]


async def test_keys_and_clicks_obey_the_rules_on_names(site: Server, elsewhere: Server) -> None:
    async with opened(site, "/names", policy=Policy(deny_names=("^Delete",))) as (web, _):
        for *before, last in PRESSED:
            await web.reset(Task(instruction="try it", environment="ruled", start_url="/names"))
            if before:
                await does(web, *before)
            outcome = await web.step(last)
            assert "may not be used here" in outcome.observation.error, last
            assert "text: nothing" in outcome.observation.text, last


async def test_keys_that_press_nothing_denied_are_pressed(site: Server, elsewhere: Server) -> None:
    async with opened(site, "/names", policy=Policy(deny_names=("^Delete",))) as (web, _):
        assert "text: searched" in (await does(web, 'press(\'textbox "Query"\', "Enter")')).text
        await does(web, 'press(\'textbox "Reason"\', "a")', 'press("Tab")', 'press("Space")')
