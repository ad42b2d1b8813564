"""What the browser knows can be acted on, against what the observation offers: one small page for each kind."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from lbi.environments.web.coverage import measure
from lbi.environments.web.crawl import crawl
from lbi.environments.web.environment import WebEnvironment
from lbi.environments.web.marks import boxes_of
from lbi.models.images import size_of
from lbi.records import Observation, Task
from serving import served

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
    "a hand on the page": ("<style>body{cursor:pointer}</style><p>Text</p><button>Go</button>", 1),
    "the focus": ("<div tabindex=0>Box</div>", 1),
    "a link without address": ("<a onclick='1'>Open</a> <a id=a>Also</a><script>a.onclick = () => 1</script>", 2),
    "editable": ("<div contenteditable>Text</div><div contenteditable=plaintext-only>Text</div>", 2),
    "an editor with roles": ("<div contenteditable role=textbox aria-label=Body><p>Text</p></div>", 1),
    "draggable": ("<ul><li draggable=true>One</li><li draggable=true>Two</li></ul>", 2),
    "a slider for a check box": (
        """<style>.s input{opacity:0;width:0;height:0;position:absolute}
        .s span{display:inline-block;width:40px;height:20px;
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
    "a picture in a button": (
        "<button onclick='1'><svg width=20 height=20><rect width=20 height=20 /></svg></button>",
        1,
    ),
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
    "half under an open menu": (
        """<div style='height:30px;width:200px'><button style='width:150px;height:30px'>Under</button></div>
        <div role=menu style='position:absolute;top:8px;left:0;width:300px;height:26px;background:#fff'>
        <div role=menuitem tabindex=0>Cut</div></div>""",
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
    "folded up": (
        """<button>Fold</button><div style='max-height:0;overflow:hidden'><button>In</button><p onclick='1'>Also</p>
        </div>""",
        1,
    ),
    "a drawer": (
        """<button>Menu</button><nav style='position:fixed;top:0;left:0;width:200px;transform:translateX(-100%)'>
        <a href='/x'>Away</a></nav>""",
        1,
    ),
    "slides": (
        """<div style='width:300px;overflow:hidden'><div style='display:flex;width:900px;transform:translateX(-300px)'>
        <a href='/1' style='flex:none;width:300px'>One</a>
        <a href='/2' style='flex:none;width:300px'>Two</a></div></div>""",
        1,
    ),
    "a board": (
        """<div style='width:400px;overflow:hidden'><div style='display:flex;overflow-x:auto;width:400px'>
        <div style='flex:none;width:300px'><p onclick='1'>One</p></div>
        <div style='flex:none;width:300px'><p onclick='1'>Two</p></div>
        <div style='flex:none;width:300px'><p onclick='1'>Three</p></div></div></div>""",
        3,
    ),
    "no box of its own": ("<a href='/x' style='display:contents'><div>Card</div></a>", -1),
    "a link over lines": (f"<p style='width:120px'>So <a href='/x'>{'many words ' * 5}</a> end</p>", 1),
    "a turned one": ("<button style='transform:rotate(45deg);margin:60px'>Turned</button>", 1),
    "what pops over": (
        """<button popovertarget=p>Open</button><div popover id=p><button>In</button></div>
        <script>p.showPopover()</script>""",
        2,
    ),
    "a frame in a frame": (
        """<iframe width=400 height=200 srcdoc="<iframe srcdoc='<button>Deep</button>'></iframe>
        <a href=/x>Up</a>"></iframe>""",
        2,
    ),
    "a framework's root": (
        """<div id=root><section><div id=c>Card</div></section></div><script>
        for (const type of ['click', 'keydown', 'input', 'focusin']) root.addEventListener(type, () => 1);
        c.onclick = () => {}; c['__reactProps$x1'] = {onClick: () => 1};</script>""",
        2,
    ),
    "a disabled group": (
        "<fieldset disabled><button>Off</button><input aria-label=a></fieldset><button>On</button>",
        1,
    ),
    "a role without a listener": (
        "<div role=button tabindex=0>Go</div><span role=switch aria-checked=true tabindex=0>S</span>",
        2,
    ),
    "several choices": (
        """<select multiple aria-label=a><option>1<option>2</select>
        <input list=l aria-label=b><datalist id=l><option>1</datalist>""",
        2,
    ),
    "a picture that sends": ("<form><input type=image alt=Send width=30 height=30></form>", 1),
    "a link in a button's place": (
        "<label>Dark <input type=checkbox role=switch></label><a href='#' role=button>Go</a>",
        2,
    ),
    "a listener in capture": (
        "<div id=d><p>Text</p></div><script>d.addEventListener('click', () => 1, true)</script>",
        1,
    ),
    "a listener once": ("<div id=d>Text</div><script>d.addEventListener('click', () => 1, {once: true})</script>", 1),
    "a listener removed": (
        """<div id=d>Text</div><script>const f = () => 1; d.addEventListener('click', f);
        d.removeEventListener('click', f)</script>""",
        0,
    ),
    "a listener added twice": (
        """<div id=d>Text</div><script>const f = () => 1; for (const _ of [1, 2]) d.addEventListener('click', f);
        d.removeEventListener('click', f)</script>""",
        0,
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
        -1,
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
    "a handle": (
        "<div style='cursor:grab;width:20px;height:20px' id=h></div><script>h.onpointerdown = () => 1</script>",
        1,
    ),
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
        elif self.path.startswith("/press/"):
            body = list(PRESSED.values())[int(number)] + "<p id=out>nothing</p>"
        else:
            body = SPA if self.path == "/app" else LINKED.get(self.path, "<title>Else</title>")
        page = f"<!doctype html><title>{self.path}</title>{body}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None: ...


#: a body on which `out` says what a press of its first reference did
PRESSED = {
    "check box under its picture": """<style>label{position:relative;display:block;width:90px}
        .o{position:absolute;inset:0;background:#eee}</style>
        <label><input type=checkbox onchange="out.textContent = this.checked"><span class=o>Fancy</span></label>""",
    "field under its label": """<div style='position:relative'><input id=t onfocus="out.textContent = true">
        <label for=t style='position:absolute;inset:0;background:#eee'>Over</label></div>""",
    "region of a picture": """<img usemap="#m" width=60 height=60 src="data:image/svg+xml,<svg
        xmlns='http://www.w3.org/2000/svg' width='60' height='60'/>"><map name=m><area shape=rect coords="30,30,60,60"
        href="#" alt="Region" onclick="out.textContent = true"></map>""",
    "part of a drawing": """<svg width=99 height=30><g onclick="out.textContent = true"><rect width=40 height=20 /></g>
        </svg>""",
    "row out of a box's view": "<div style='height:60px;overflow:auto'><p style='height:200px;margin:0'>Above</p>"
    """<p onclick="out.textContent = true">Row</p></div>""",
    "below a bar that stays": """<header style='position:sticky;top:0;height:60px;background:#eee'>Bar</header>
        <div style='height:2000px'></div><p onclick="out.textContent = true">Far</p>
        <div style='height:2000px'></div>""",
    "a context menu": """<p oncontextmenu="out.textContent = true">Here</p>""",
}

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
const row = (name, n) => `<p onclick="1">${name} ${n}</p>`;
const show = name => { m.innerHTML = `<h1>${name}</h1>` + [1, 2, 3, 4, 5].map(n => row(name, n)).join('') };
</script>"""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with served(Site) as address:
        yield address


async def shown(web: WebEnvironment, kind: str) -> Observation:
    number = list(KINDS).index(kind)
    return await web.reset(Task(instruction="", environment=web.name, start_url=f"/kind/{number}"))


@pytest.mark.parametrize("kind", KINDS)
async def test_everything_that_can_be_acted_on_has_a_reference_that_works(web: WebEnvironment, kind: str) -> None:
    observation = await shown(web, kind)
    found = await web.coverage()
    assert not found.missing, observation.text
    assert not found.unusable, observation.text
    assert (found.covered, found.unmeasured) == (KINDS[kind][1], 0) or KINDS[kind][1] < 0, observation.text
    assert found.references == 0 or KINDS[kind][1] != 0, observation.text
    assert found.total == found.covered


@pytest.mark.parametrize("kind", KINDS)
async def test_what_can_be_acted_on_does_not_depend_on_what_is_offered(web: WebEnvironment, kind: str) -> None:
    await shown(web, kind)
    offered = await web.coverage()
    nothing = await measure(web.session, web.viewing.look, {})
    assert (nothing.total, nothing.covered, nothing.references) == (offered.total, 0, 0)
    assert len(nothing.missing) > 0 or offered.total == 0


async def test_what_is_missing_says_what_it_is_and_why(web: WebEnvironment) -> None:
    await shown(web, "rows")
    refs = {ref: key for ref, key in web.viewing.refs.items() if ref != "e1"}
    found = await measure(web.session, web.viewing.look, refs)
    (missing,) = found.missing
    assert (missing.role, missing.name, missing.selector) == ("tr", "INV-1 Acme", "table > tbody > tr")
    assert missing.why == "listens to the pointer, pointer cursor"
    assert (found.total, found.covered) == (3, 2)


@pytest.mark.parametrize("blind", [False, True])
async def test_a_reference_that_was_covered_or_removed_meanwhile_cannot_be_acted_on(
    web: WebEnvironment, blind: bool
) -> None:
    await shown(web, "two of a kind")
    session = web.session
    await session.evaluate("document.querySelector('div').remove()")
    await session.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<b style=\"position:fixed;inset:0;background:red\"></b>')"
    )
    assert (await web.coverage(blind)).unusable == ["e1", "e2"]


async def test_a_reference_that_does_nothing_is_told_apart(web: WebEnvironment) -> None:
    await shown(web, "two of a kind")
    session = web.session
    await session.evaluate("for (const one of document.querySelectorAll('div')) one.onclick = null")
    found = await web.coverage()
    assert (found.total, found.idle) == (0, ["e1", "e2"])


async def test_the_measure_leaves_nothing_in_the_page(web: WebEnvironment) -> None:
    await shown(web, "a page that scrolls")
    session = web.session
    count = "Object.getOwnPropertySymbols(window).length + Object.keys(window).length"
    await session.evaluate(
        "window.seen = 0; new MutationObserver(all => seen += all.length).observe(document,"
        "{subtree: true, childList: true, attributes: true})"
    )
    before = await session.evaluate(count)
    assert (await web.coverage()).share == 1
    assert await session.evaluate(count) == before
    assert await session.evaluate("[scrollY, seen]") == [0, 0]


@pytest.mark.parametrize("kind", PRESSED)
async def test_what_is_offered_is_pressed_where_it_is(web: WebEnvironment, kind: str) -> None:
    number = list(PRESSED).index(kind)
    await web.reset(Task(instruction="", environment=web.name, start_url=f"/press/{number}"))
    how = ', "right"' if "menu" in kind else ""
    observation = (await web.step(f"click(e1{how})")).observation
    assert (observation.error, "text: true" in observation.text) == ("", True), observation.text


async def test_a_crawl_follows_links_and_what_leads_on_without_an_address(web: WebEnvironment) -> None:
    reached = [(observation.url, state.clicks) async for state, observation in crawl(web, "/", 30, buttons=True)]
    paths = [path for path, clicks in reached if not clicks]
    assert {"/", "/one", "/two", "/app"} <= set(paths)
    assert sum(path.startswith("/item/") for path in paths) == 3  # pages of one kind are alike
    assert {('generic "List"',), ('generic "Board"',), ('button "New"',)} <= {clicks for _, clicks in reached}
    assert not any("Delete" in click for _, clicks in reached for click in clicks)


async def test_a_crawl_presses_no_button_of_a_site_that_is_not_put_back(web: WebEnvironment) -> None:
    clicked = [click async for state, _ in crawl(web, "/app", 9, buttons=False) for click in state.clicks]
    assert clicked
    assert not any(click.startswith("button") for click in clicked)


async def test_the_picture_has_a_box_at_each_reference_and_the_page_notices_nothing(web: WebEnvironment) -> None:
    await shown(web, "a frame")
    session = web.session
    await session.evaluate(
        "window.seen = 0; new MutationObserver(all => seen += all.length).observe(document,"
        "{subtree: true, childList: true, attributes: true})"
    )
    boxes = await boxes_of(web.viewing.look, web.viewing.refs)
    inner = await session.page.frames[1].locator("button").bounding_box()
    assert inner is not None
    assert [round(side) for side in boxes[0][1:]] == [round(inner[side]) for side in ("x", "y", "width", "height")]
    assert [ref for ref, *_ in boxes] == ["e1", "e2"]
    assert size_of(await web.picture(), "page") == (1280, 900)
    assert await session.evaluate("seen") == 0
