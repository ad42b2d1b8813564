"""What the browser knows can be acted on, against what the observation offers: one small page for each kind."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import pytest_asyncio

from lbi.environments.web.coverage import Coverage, measure
from lbi.environments.web.crawl import crawl
from lbi.environments.web.environment import WebEnvironment, WebEnvironments
from lbi.records import Observation, Task

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

#: each page's body, and how many things on it can be acted on
KINDS: dict[str, tuple[str, int]] = {
    "native controls": (
        """<a href="/x">Link</a> <button>Go</button> <input aria-label="a"> <input type=checkbox aria-label="b">
        <input type=radio aria-label="c"> <input type=range aria-label="d"> <input type=file aria-label="e">
        <select aria-label="f"><option>1</select> <textarea aria-label="g"></textarea> <input type=submit>
        <input type=hidden> <details><summary>More</summary>text</details> <button disabled>Off</button>""",
        11,
    ),
    "an attribute": ('<div onclick="1">Open</div>', 1),
    "a listener": ("<div id=d>Open</div><script>d.addEventListener('click', () => 1)</script>", 1),
    "a press of the button": ("<div id=d>Open</div><script>d.addEventListener('mousedown', () => 1)</script>", 1),
    "a pointer": ("<div id=d>Open</div><script>d.addEventListener('pointerup', () => 1)</script>", 1),
    "a touch": ("<div id=d>Open</div><script>d.addEventListener('touchstart', () => 1)</script>", 1),
    "a context menu": ("<div id=d>Open</div><script>d.oncontextmenu = () => 1</script>", 1),
    "a double click": ("<table><tr><td ondblclick='1'>Edit</td></tr></table>", 1),
    "keys": ("<div id=d tabindex=-1>Press</div><script>d.addEventListener('keydown', () => 1)</script>", 1),
    "a key by attribute": ("<div onkeydown='1'>Press</div>", 0),
    "a hand": ('<div><div style="cursor:pointer">Atlas</div></div>', 1),
    "a hand in a table": ('<table><tr style="cursor:pointer"><td>Atlas</td><td>12</td></tr></table>', 1),
    "a hand on the page": ('<style>body{cursor:pointer}</style><p>Text</p><button>Go</button>', 1),
    "the focus": ('<div tabindex=0>Box</div>', 1),
    "a link without address": ("<a onclick='1'>Open</a> <a id=a>Also</a><script>a.onclick = () => 1</script>", 2),
    "editable": ("<div contenteditable>Text</div><div contenteditable=plaintext-only>Text</div>", 2),
    "an editor with roles": ("<div contenteditable role=textbox aria-label=Body><p>Text</p></div>", 1),
    "draggable": ("<ul><li draggable=true>One</li><li draggable=true>Two</li></ul>", 2),
    "a slider for a check box": (
        """<style>.s input{opacity:0;width:0;height:0;position:absolute}.s span{display:inline-block;width:40px;height:20px;
        background:#888;cursor:pointer}</style><label class=s><input type=checkbox><span></span></label> Wifi""",
        1,
    ),
    "a check box under its picture": (
        """<style>label{position:relative;display:block;width:90px}.o{position:absolute;inset:0;background:#eee}</style>
        <label><input type=checkbox><span class=o>Fancy</span></label>""",
        1,
    ),
    "an upload by its label": ("<label>Choose<input type=file style='display:none'></label>", 1),
    "a delegated list": (
        """<ul id=l><li>One</li><li>Two</li><li>Three</li></ul>
        <script>l.addEventListener('click', event => event.target.closest('li'))</script>""",
        1,
    ),
    "a root that listens": (
        """<div id=root><div><button>Save</button></div></div>
        <script>for (const type of ['click', 'keydown', 'mousedown']) root.addEventListener(type, () => 1)</script>""",
        2,
    ),
    "a card with a button": (
        "<div onclick='1' style='cursor:pointer'><h3>Card</h3><p>Words</p><button onclick='1'>Delete</button></div>",
        2,
    ),
    "a button in a tag": ("<span onclick='1' style='cursor:pointer'>bug <i onclick='1'>x</i></span>", 2),
    "a picture in a button": ("<button onclick='1'><svg width=20 height=20><rect width=20 height=20 /></svg></button>", 1),
    "a link around nothing": ("<a href='/x' style='display:block;width:60px;height:20px;background:red'></a>", 1),
    "a drawing": (
        """<svg width=99 height=30><g onclick='1'><rect width=40 height=20 /></g>
        <a href='/x'><text x=50 y=15>Go</text></a></svg>""",
        2,
    ),
    "a canvas": ("<canvas id=c width=90 height=40></canvas><script>c.addEventListener('click', () => 1)</script>", 1),
    "a map": (
        """<img usemap="#m" src="data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='60' height='60'/>"
        width=60 height=60><map name=m><area shape=rect coords="0,0,60,60" href="/x" alt="Region"></map>""",
        1,
    ),
    "a player": ("<video controls width=300 height=80></video>", 1),
    "a shadow": (
        """<x-y></x-y><script>customElements.define('x-y', class extends HTMLElement { constructor() { super();
        this.attachShadow({mode: 'open'}).innerHTML = '<button>In</button><span id=s>Also</span><slot></slot>';
        this.shadowRoot.getElementById('s').addEventListener('click', () => 1); } })</script>""",
        2,
    ),
    "a slot": (
        """<x-z><b onclick='1'>Slotted</b></x-z><script>customElements.define('x-z', class extends HTMLElement {
        constructor() { super(); this.attachShadow({mode: 'open'}).innerHTML = '<p><slot></slot></p>'; } })</script>""",
        1,
    ),
    "a frame": ("<iframe srcdoc='<button>In</button><div onclick=1>Also</div>' width=300 height=90></iframe>", 2),
    "a box that scrolls": (
        "<div style='height:60px;overflow:auto'>" + "".join(f"<p onclick='1'>Row {n}</p>" for n in range(9)) + "</div>",
        9,
    ),
    "a page that scrolls": ("<div style='height:3000px'></div><button>Far</button>", 1),
    "below a bar": (
        """<header style='position:fixed;top:0;left:0;right:0;height:60px;background:#eee'>Bar</header>
        <button>Under it</button><div style='height:3000px'></div><button>Far</button>""",
        1,
    ),
    "under an open menu": (
        """<div style='position:relative'><button>Menu</button><ul role=menu style='position:absolute;top:20px;left:0;
        margin:0;width:300px;height:90px;background:#fff;z-index:2'><li role=menuitem tabindex=0>Cut</li></ul></div>
        <p style='margin:0'><button>Hidden</button></p>""",
        2,
    ),
    "behind a dialog": (
        """<button>Behind</button><dialog id=d><button>Close</button></dialog><script>d.showModal()</script>""",
        1,
    ),
    "behind a cover": (
        """<button>Behind</button><div style='position:fixed;inset:0;background:#0008'><div style='margin:90px'>
        <button>Close</button></div></div>""",
        1,
    ),
    "inert": ("<div inert><button>Off</button></div><button>On</button>", 1),
    "not drawn": (
        """<button style='display:none'>a</button><button style='visibility:hidden'>b</button>
        <button style='opacity:0'>c</button><button style='position:absolute;left:-9999px'>d</button>
        <a href='/x' style='position:absolute;width:1px;height:1px;overflow:hidden;clip:rect(0 0 0 0)'>skip</a>
        <button style='pointer-events:none'>e</button><button>On</button>""",
        1,
    ),
    "hidden from readers only": ("<div aria-hidden=true><button>Seen</button></div>", 1),
    "tabs": (
        """<div role=tablist><button role=tab aria-selected=true>A</button><button role=tab tabindex=-1>B</button></div>
        <div role=tabpanel tabindex=0>Panel</div>""",
        3,
    ),
    "a tree": (
        """<ul role=tree tabindex=0 id=t><li role=treeitem>One<ul role=group><li role=treeitem>Two</ul></ul>
        <script>t.addEventListener('keydown', () => 1); t.addEventListener('click', () => 1)</script>""",
        0,
    ),
    "a grid": (
        """<table role=grid><tr><td role=gridcell tabindex=0>a</td><td role=gridcell tabindex=-1>b</td></tr></table>
        <script>document.querySelector('table').onclick = () => 1</script>""",
        2,
    ),
    "a list of choices": (
        """<div role=combobox tabindex=0 aria-expanded=true aria-controls=o>Pick</div>
        <ul role=listbox id=o><li role=option onclick='1'>One</li><li role=option onclick='1'>Two</li></ul>""",
        3,
    ),
    "a slider of its own": ("<div role=slider tabindex=0 aria-valuenow=3 style='width:99px;height:20px'></div>", 1),
    "a handle": ("<div style='cursor:grab;width:20px;height:20px' id=h></div><script>h.onpointerdown = () => 1</script>", 1),
    "stopped clicks": (
        "<div onclick='event.stopPropagation()'><p>Words</p><button>Go</button></div>",
        2,
    ),
    "rows": (
        """<table><tr onclick='1' style='cursor:pointer'><td><input type=checkbox onclick='1' aria-label=Pick></td>
        <td>INV-1</td><td><a href='/x'>Acme</a></td></tr></table>""",
        3,
    ),
    "a long name": (f"<div onclick='1' style='cursor:pointer'>{'word ' * 300}</div>", 1),
    "two of a kind": ("<div onclick='1'>A</div><div onclick='1'>B</div>", 2),
}


class Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        number = self.path.rpartition("/")[2]
        if self.path.startswith("/kind/"):
            body = list(KINDS.values())[int(number)][0]
        else:
            body = SPA if self.path == "/app" else LINKED.get(self.path, "<title>Else</title>")
        page = f"<!doctype html><title>{self.path}</title>{body}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None: ...


LINKED = {
    "/": "<a href='/one'>One</a> <a href='/item/1'>1</a> <a href='/app'>Application</a>",
    "/one": "<h1>One</h1><a href='/'>Home</a> <a href='/two'>Two</a>",
    "/two": "<h1>Two</h1><a href='/one'>One</a>",
    "/item/1": "<h1>Item</h1>" + "".join(f"<a href='/item/{n}'>{n}</a> " for n in range(2, 20)),
}
LINKED |= {f"/item/{n}": f"<h1>Item {n}</h1><button>Keep {n}</button>" for n in range(2, 20)}
SPA = """<nav><div onclick="show('A')" style="cursor:pointer">List</div><div onclick="show('B')" style="cursor:pointer">
Board</div><button onclick="show('C')">New</button><button onclick="document.title = 'gone'">Delete all</button></nav>
<main id=m></main><script>
const show = name => { m.innerHTML = `<h1>${name}</h1>` + [1, 2, 3, 4, 5].map(n => `<p onclick="1">${name} ${n}</p>`).join('') };
</script>"""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def web(site: str) -> AsyncIterator[WebEnvironment]:
    environments = WebEnvironments(base_url=site)
    yield await environments.open()
    await environments.close()


async def shown(web: WebEnvironment, kind: str) -> Observation:
    number = list(KINDS).index(kind)
    return await web.reset(Task(instruction="", environment=web.name, start_url=f"/kind/{number}"))


@pytest.mark.parametrize("kind", KINDS)
async def test_everything_that_can_be_acted_on_has_a_reference_that_works(web: WebEnvironment, kind: str) -> None:
    observation = await shown(web, kind)
    found = await web.coverage()
    assert not found.missing, observation.text
    assert not found.unusable, observation.text
    assert (found.covered, found.unmeasured) == (KINDS[kind][1], 0) or KINDS[kind][1] == 0, observation.text
    assert found.total == found.covered
