"""What a page shows without words: drawings, swatches, small pictures, and boxes that scroll, in a real browser."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import pytest

from lbi.environments.web.environment import WebEnvironment
from lbi.observations.parse import Page, parse_observation
from lbi.observations.render import render
from lbi.observations.tree import Node
from lbi.records import Task
from serving import served

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

SAY = "document.querySelector('#said').textContent"
COVER = b'<svg xmlns="http://www.w3.org/2000/svg" width="80" height="40"/>'
DOT = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
# a list that scrolls, whose buttons show when the pointer is over a row, and a panel over its right side
BESIDE = """<title>Beside</title><style>body {{ margin: 0 }}
  #list {{ position: fixed; inset: 0; overflow-y: scroll; }} p {{ height: 60px; margin: 0; display: flex; }}
  p b {{ flex: 1 }} p button {{ opacity: 0; }} p:hover button {{ opacity: 1; }}
  aside {{ position: fixed; top: 0; right: 0; bottom: {bottom}; width: 300px; background: silver; }}</style>
  <div id="list"></div><aside><button>Close</button></aside><script>
  for (let i = 1; i < 31; i++) list.innerHTML +=
    `<p onclick="1"><b>Letter ${{i}}</b><button onclick="1">Drop ${{i}}</button></p>`;
  </script>"""
PAGES = {
    "/chart": f"""<title>Chart</title><p id="said">nothing</p><svg width="300" height="120" role="img">
      <defs><text>not shown</text></defs><text x="5" y="115">Mon</text><text x="60" y="115">Tue</text>
      <rect x="5" y="20" width="30" height="80" fill="red" onclick="{SAY} = 'Monday'"></rect>
      <rect x="60" y="50" width="30" height="50" fill="#123456" onclick="{SAY} = 'Tuesday'">
        <title>Tuesday: 5</title></rect>
      <circle id="c" cx="150" cy="50" r="20" fill="none" stroke="blue" stroke-width="6"></circle>
      <a href="/other"><text x="200" y="50">More</text></a>
      <path id="curve" d="M 200 100 C 220 60 260 60 290 100" fill="none" stroke="green" stroke-width="5"></path></svg>
      <script>c.addEventListener('click', () => {{ {SAY} = 'ring'; }});
      curve.addEventListener('click', () => {{ {SAY} = 'curve'; }});</script>""",
    "/icon": """<title>Icon</title><button aria-label="Save">
      <svg width="16" height="16"><path d="M0 0h9v9z"></path></svg>
      </button><p>Text <svg width="16" height="16"><path d="M0 0h9v9z"></path></svg></p>""",
    "/swatches": f"""<title>Swatches</title><p id="said">nothing</p><style>div {{ width: 30px; height: 30px; }}</style>
      <div style="background-color: red" onclick="{SAY} = 'one'"></div>
      <div style="background: #123456" onclick="{SAY} = 'two'"></div>
      <div id="wall" style="background-color: rgb(255, 255, 255)" onclick="{SAY} = 'three'"></div>""",
    "/pictures": f"""<title>Pictures</title><p id="said">nothing</p>
      <style>span, a {{ display: inline-block; width: 20px; height: 20px; }}
      .x {{ background: url(/img/attach-file.png); }}</style>
      <span class="trash" onclick="{SAY} = 'gone'"></span>
      <span class="flex w-4 retweet" onclick="{SAY} = 'again'"></span>
      <span class="x" onclick="{SAY} = 'attached'"></span>
      <span onclick="{SAY} = 'starred'"><img src="/img/star.png" width="20" height="20"></span>
      <label>Number <input value="1"></label>
      <button class="ui-spinner-button ui-spinner-up">&nbsp;</button>
      <button class="ui-spinner-button ui-spinner-down">&nbsp;</button>
      <span class="sc-1a2b3c flex" onclick="{SAY} = 'nameless'"></span>""",
    "/box": f"""<title>Box</title><p id="said">nothing</p>
      <div style="height: 100px; overflow-y: scroll; position: relative">
      <div style="height: 400px">top</div><button onclick="{SAY} = 'far below'">Below</button></div><p>after the box""",
    "/changing": f"""<title>Changing</title><p id="said">nothing</p><style>
      .more {{ content: url(/slow.gif?first); width: 20px; height: 20px; }}
      .more:hover {{ content: url(/slow.gif); width: auto; min-width: 0; }}</style>
      <div onclick="{SAY} = 'beside it'">
        <span class="more" onclick="{SAY} = 'hit'; event.stopPropagation()"></span></div>""",
    "/sliding": f"""<title>Sliding</title><p id="said">nothing</p><style>
      #panel {{ position: fixed; inset: 0; background: white; transform: translateX(100%); transition: transform .3s; }}
      #panel.open {{ transform: none; }} #spin {{ animation: spin .5s infinite; }}
      @keyframes spin {{ to {{ transform: rotate(1turn); }} }}</style>
      <button onclick="panel.className = 'open'">Settings</button><button>Beneath</button><i id="spin">o</i>
      <div id="panel"><button onclick="{SAY} = 'light'">Light</button></div>""",
    "/beside": BESIDE.format(bottom="0"),
    "/above": BESIDE.format(bottom="auto; height: 80px"),
    "/cover": """<title>Cover</title><a href="/box"><img src="/late.svg"></a>
      <a href="/keys"><img src="/never.svg" style="display: none">Keys</a>""",
    "/styled": """<title>Styled</title><p id="said">nothing</p><style>
      .more { content: url(/late.svg?more); } .lost { content: url(/missing.html); }
      .share::before { content: url(/late.svg?share); display: block; }</style><div id="bar"></div><script>
      addEventListener('load', () => { bar.innerHTML = `<span class="lost" onclick="1"></span>
        <span class="more" onclick="1"></span><a class="share" href="/box"></a>`; });</script>""",
    "/keys": """<title>Keys</title><label>Amount <input id="amount" value="7"></label>
      <label>Code <input id="code"></label>
      <script>amount.addEventListener('keydown', event => event.preventDefault());
      code.addEventListener('keyup', () => { code.value = code.value.toUpperCase(); });</script>""",
}


class Handler(BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        page = PAGES.get(self.path, "")
        if self.path == "/slow.gif" or self.path.startswith("/late.svg"):
            time.sleep(0.3)  # the picture under the pointer, or in a link, is on its way
        if self.path == "/never.svg":
            time.sleep(3)
        pictures = {".gif": ("image/gif", DOT), ".svg": ("image/svg+xml", COVER)}
        kind, body = pictures.get(Path(self.path.partition("?")[0]).suffix, ("text/html", page.encode()))
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with served(Handler) as address:
        yield address


async def opened(web: WebEnvironment, path: str) -> Page:
    observation = await web.reset(Task(instruction="", environment="web", start_url=path))
    return parse_observation(observation.text)


async def said_after(web: WebEnvironment, action: str) -> str:
    outcome = await web.step(action)
    assert not outcome.observation.error, outcome.observation.error
    return parse_observation(outcome.observation.text).texts[0]


async def test_the_words_of_a_drawing_are_read_and_its_shapes_can_be_pressed(web: WebEnvironment) -> None:
    page = await opened(web, "/chart")
    assert any("Mon Tue" in text for text in page.texts)
    assert "not shown" not in " ".join(page.texts)
    assert [(e.role, e.name) for e in page.elements] == [
        ("generic", "red rectangle"),
        ("generic", "Tuesday: 5"),
        ("generic", "blue circle"),
        ("link", "More"),
        ("generic", "curve"),
    ]
    assert await said_after(web, 'click(generic "red rectangle")') == "Monday"
    assert await said_after(web, 'click(generic "Tuesday: 5")') == "Tuesday"


async def test_a_ring_and_a_curve_are_pressed_on_their_line(web: WebEnvironment) -> None:
    await opened(web, "/chart")
    assert await said_after(web, 'click(generic "blue circle")') == "ring"
    assert await said_after(web, 'click(generic "curve")') == "curve"


async def test_a_picture_in_a_button_or_in_text_adds_nothing(web: WebEnvironment) -> None:
    page = await opened(web, "/icon")
    assert [(e.role, e.name) for e in page.elements] == [("button", "Save")]
    assert page.texts == ("Text",)


async def test_a_swatch_is_named_by_its_colour(web: WebEnvironment) -> None:
    page = await opened(web, "/swatches")
    assert [e.name for e in page.elements] == ["red", "#123456", "wall white"]
    assert await said_after(web, 'click(generic "#123456")') == "two"


async def test_a_small_picture_is_named_by_what_its_author_called_it(web: WebEnvironment) -> None:
    page = await opened(web, "/pictures")
    names = [element.name for element in page.elements]
    assert names == ["trash", "retweet", "attach file", "star", "Number", "spinner up", "spinner down", ""]
    assert await said_after(web, 'click(generic "star")') == "starred"


async def test_what_lies_beyond_the_edge_of_a_box_that_scrolls_is_brought_in_and_pressed(
    web: WebEnvironment,
) -> None:
    await opened(web, "/box")
    assert await said_after(web, 'click(button "Below")') == "far below"


async def test_a_picture_that_changes_under_the_pointer_is_still_hit(web: WebEnvironment) -> None:
    page = await opened(web, "/changing")
    target = next(element for element in page.elements if element.name == "more")
    assert await said_after(web, f"click({target.ref})") == "hit"


async def test_a_field_that_lets_no_key_through_says_so_and_keeps_its_value(web: WebEnvironment) -> None:
    await opened(web, "/keys")
    outcome = await web.step('fill(textbox "Amount", "12")')
    assert outcome.observation.error == 'textbox "Amount" lets no key through; its value is as before: "7"'
    assert parse_observation(outcome.observation.text).find("textbox", "Amount").value == "7"  # type: ignore[union-attr]
    taken = await web.step('fill(textbox "Code", "ab")')
    assert (taken.observation.error, parse_observation(taken.observation.text).elements[1].value) == ("", "AB")


async def test_a_sentence_before_a_field_is_no_label_of_it() -> None:
    tree = Node("document")
    tree.children = [
        Node("text", "Type the text below into the field and press Submit."),
        Node("textbox", "", "1", hint="answer"),
        Node("text", "City:"),
        Node("textbox", "", "2"),
    ]
    text, _ = render(tree)
    assert 'textbox "answer"' in text
    assert "text: Type the text below" in text
    assert 'textbox "City:"' in text


async def test_a_picture_that_has_no_size_yet_is_waited_for(web: WebEnvironment) -> None:
    page = await opened(web, "/cover")
    assert [(element.role, element.name) for element in page.elements] == [("link", ""), ("link", "Keys")]


async def test_a_picture_that_a_style_sheet_puts_into_an_element_is_waited_for_and_fetched_once(
    web: WebEnvironment,
) -> None:
    """One that cannot be had holds nothing up for longer than it takes to find that out."""
    Handler.asked.clear()
    page = await opened(web, "/styled")
    assert [(element.role, element.name) for element in page.elements] == [("generic", ""), ("link", "")]
    late = [path for path in Handler.asked if path.startswith("/late.svg")]
    assert sorted(late) == ["/late.svg?more", "/late.svg?share"]
    assert Handler.asked.count("/missing.html") <= 2  # what failed is not kept, so it was asked for once more


@pytest.mark.parametrize("path", ["/beside", "/above"])
async def test_what_no_scrolling_brings_out_from_under_a_panel_has_no_reference(web: WebEnvironment, path: str) -> None:
    page = await opened(web, path)
    names = [element.name for element in page.elements if element.ref]
    assert "Close" in names
    assert ("Drop 1" in names, "Drop 30" in names) == ((False, path == "/above"))
    found = await web.coverage()
    assert (found.total, found.covered, found.unusable) == (found.covered, found.covered, [])


async def test_what_slides_in_is_looked_at_when_it_is_there(web: WebEnvironment) -> None:
    page = await opened(web, "/sliding")
    assert [element.name for element in page.elements] == ["Settings", "Beneath"]
    outcome = await web.step('click(button "Settings")')
    page = parse_observation(outcome.observation.text)
    assert [element.name for element in page.elements] == ["Light"]
    assert await said_after(web, 'click(button "Light")') == "light"
