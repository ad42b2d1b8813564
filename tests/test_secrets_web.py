"""Real pages that show secrets: in fields, texts, frames and shadow roots, in what is read and in pictures."""

from __future__ import annotations

import html
import io
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import pytest_asyncio
from PIL import Image, ImageChops

from lbi.environments.web.application import Application
from lbi.environments.web.environment import WebEnvironment, WebEnvironments
from lbi.environments.web.session import Session
from lbi.records import Observation, Task
from lbi.storage import secrets
from serving import served

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

PASSWORD = 'p&ss "w/rd+é=%'
FIELDS = """<title>Fields</title>
<label>Plain <input value="plain words"></label>
<label>Password <input type=password value="hush-one"></label>
<label>Empty <input type=password></label>
<label>Current <input autocomplete="section-a current-password" value="hush-two"></label>
<label>New <input autocomplete="new-password" value="hush-three"></label>
<label>Code <input autocomplete="one-time-code" value="hush-four"></label>
<label>Dots <input style="-webkit-text-security: disc" value="hush-five"></label>
<label>Lines <textarea style="-webkit-text-security: disc">hush-six
hush-seven</textarea></label>
<div contenteditable role=textbox aria-label="Editable" style="-webkit-text-security: disc">hush-eight</div>
<label>Shown <input type=password value="hush-nine" id=shown></label>
<button onclick="shown.type = 'text'">Show password</button>
<label>Named <input name="user_password" value="hush-ten"></label>
<iframe title="Inside" srcdoc="<label>Framed <input type=password value='hush-eleven'></label>"></iframe>
<div id=host></div><script>
host.attachShadow({mode: 'open'}).innerHTML = "<label>Shadowed <input type=password value='hush-twelve'></label>";
</script>"""
#: how a page writes the parameter q
ECHOES = {
    "text": lambda text: f"<p>{html.escape(text)}</p>",
    "split": lambda text: f"<p><b>{html.escape(text[:4])}</b><i>{html.escape(text[4:])}</i></p>",
    "field": lambda text: f'<input aria-label=Echo value="{html.escape(text)}">',
    "area": lambda text: f"<textarea aria-label=Echo>{html.escape(text)}</textarea>",
    "placeholder": lambda text: f'<input aria-label=Echo placeholder="{html.escape(text)}">',
    "chosen": lambda text: f"<select aria-label=Echo><option>{html.escape(text)}</select>",
    "password": lambda text: f'<input aria-label=Echo type=password value="{html.escape(text)}">',
    "base64": lambda text: f"<p>{b64encode(f'ann:{text}'.encode()).decode()}</p>",
    "json": lambda text: f"<pre>{html.escape(json.dumps({'held': text}))}</pre>",
    "frame": lambda text: f'<iframe title=In srcdoc="{html.escape(f"<p>{html.escape(text)}</p>")}"></iframe>',
    "dialog": lambda text: (
        f"<dialog id=d><p>{html.escape(text)}</p><input aria-label=Echo value='{html.escape(text)}'></dialog>"
        "<script>d.showModal()</script>"
    ),
    "gradient": lambda text: (
        '<p style="background: linear-gradient(red, blue); background-clip: text; color: transparent;'
        f' -webkit-text-fill-color: transparent; transition: all 1s">{html.escape(text)}</p>'
    ),
    "svg": lambda text: f"<svg width=400 height=40><text x=5 y=25>{html.escape(text)}</text></svg>",
    "shadow": lambda text: (
        "<div id=host></div><script>host.attachShadow({mode: 'open'}).innerHTML = '<p></p>';"
        f"host.shadowRoot.firstChild.textContent = {json.dumps(text)}</script>"
    ),
}
#: tells in its title what it notices
WATCHED = """<title>calm</title><style>* { transition: all 0.2s }</style><p id=p></p><input id=i><script>
p.textContent = i.value = %s;
const tell = what => () => { document.title = what };
new MutationObserver(tell('changed')).observe(document,
  {subtree: true, childList: true, attributes: true, characterData: true});
new ResizeObserver(() => { window.sizes = (window.sizes || 0) + 1; if (sizes > 1) tell('resized')() }).observe(p);
for (const event of ['transitionrun', 'animationstart', 'focus', 'blur', 'input', 'scroll'])
  addEventListener(event, tell(event), true);
</script>"""


class Site(BaseHTTPRequestHandler):
    """Echoes what it is asked for."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        name, text = parts.path.strip("/"), asked.get("q", "")
        if name in ECHOES:
            return self._send(f"<title>Echo</title><h1>Before</h1>{ECHOES[name](text)}<p>After</p>")
        if name == "watched":
            return self._send(WATCHED % json.dumps(text))
        if name == "login":
            return self._send(
                "<title>Log in</title><form action=/in><label>User <input name=user></label>"
                "<label>Password <input type=password name=secret></label><button>Sign in</button></form>"
            )
        if name == "in":
            right = asked == {"user": "ann.of-the-tests", "secret": PASSWORD}
            return self._send(f"<title>{'Welcome' if right else 'Wrong'}</title>")
        self._send(FIELDS)

    def _send(self, body: str) -> None:
        data = f"<!doctype html>{body}".encode()
        self.send_response(200)
        for name, value in {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with served(Site) as address:
        yield address


PICTURES: list[bytes] = []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def web(site: str) -> AsyncIterator[WebEnvironment]:
    def keep(png: bytes) -> str:
        PICTURES.append(png)
        return "picture"

    environments = WebEnvironments(base_url=site, screenshots=True, save_image=keep)
    yield await environments.open()
    await environments.close()


async def seen(web: WebEnvironment, path: str) -> tuple[Observation, Image.Image]:
    PICTURES.clear()
    observation = await web.reset(Task(instruction="look", environment="site", start_url=path))
    return observation, Image.open(io.BytesIO(PICTURES[-1])).convert("RGB")


async def test_password_fields_read_as_a_mask_whatever_they_hold(web: WebEnvironment) -> None:
    observation, _ = await seen(web, "/fields")
    assert "plain words" in observation.text
    assert "hush" not in observation.text
    for name in ("Password", "Current", "New", "Code", "Dots", "Lines", "Shown", "Named", "Framed", "Shadowed"):
        assert any(f'"{name}"' in line and "••••" in line for line in observation.text.splitlines()), name
    assert any('"Empty"' in line and "••••" not in line for line in observation.text.splitlines())
    shown = (await web.step("click('button \"Show password\"')")).observation
    assert "hush" not in shown.text
    typed = (await web.step('fill(\'textbox "Empty"\', "my own words")')).observation
    assert "my own words" not in typed.text
    assert any('"Empty"' in line and "••••" in line for line in typed.text.splitlines())
    assert await web.session.evaluate("document.querySelectorAll('input')[2].value") == "my own words"


@pytest.mark.parametrize("echo", ECHOES)
async def test_a_page_shows_no_secret_in_text_or_picture(web: WebEnvironment, echo: str) -> None:
    """The pictures of two pages that differ in the secret alone are one and the same."""
    other = 'q&zz "x/se+é=%'
    for value in (PASSWORD, other):
        secrets.learn(value)
    address = f"/{echo}?q={quote(PASSWORD, safe='')}"
    observation, picture = await seen(web, address)
    told = observation.model_dump_json()
    assert not secrets.holds_secret(told)
    assert "p&ss" not in told.replace("\\", "") or echo == "split"
    _, again = await seen(web, f"/{echo}?q={quote(other, safe='')}")
    if echo in ("field", "area", "placeholder", "password"):  # which are of one width
        assert ImageChops.difference(picture, again).getbbox() is None
    secrets.forget()
    _, open_ = await seen(web, address)
    if echo == "password":  # is covered whatever it holds
        assert ImageChops.difference(picture, open_).getbbox() is None
        assert dark(picture) > 1000
    else:
        assert dark(open_) < dark(picture)
        assert not shows_letters(picture, open_)


def dark(picture: Image.Image) -> int:
    """Pixels that are black."""
    return picture.convert("L").histogram()[0]


def shows_letters(covered: Image.Image, open_: Image.Image) -> bool:
    """Whether, where the pictures differ, the covered one is anything but black (edges may lie within a pixel)."""
    differs = ImageChops.difference(covered, open_).convert("L").point(lambda value: 255 if value else 0)
    black = covered.convert("L").point(lambda value: 255 if value == 0 else 0)
    changed = differs.histogram()[255]
    return ImageChops.multiply(differs, black).histogram()[255] < 0.9 * changed


async def test_a_page_does_not_notice_that_it_is_covered(web: WebEnvironment) -> None:
    secrets.learn(PASSWORD)
    observation, picture = await seen(web, f"/watched?q={quote(PASSWORD, safe='')}")
    assert dark(picture) > 1000
    assert observation.title == "calm"
    again = (await web.step('scroll("down")')).observation
    session = web.session
    assert await session.evaluate("document.title") == "calm"
    assert await session.evaluate("document.adoptedStyleSheets.length + CSS.highlights.size") == 0
    assert again.title == "calm"


async def test_a_log_in_types_what_its_records_do_not_hold(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_PASSWORD", PASSWORD)
    monkeypatch.setenv("SITE_USER", "ann.of-the-tests")
    steps = [
        'fill(textbox "User", "${SITE_USER}")',
        "fill('textbox \"Password\"', '${SITE_PASSWORD}')",
        'click(button "Sign in")',
    ]
    login = {"form": {"url": "/login", "steps": steps}}
    environments = WebEnvironments(Application.model_validate({"name": "in", "base_url": site, "login": login}))
    try:
        web = await environments.open()
        visited: list[str] = []
        observe = web.viewing.observe

        async def noted(session: Session, error: str = "") -> Observation:
            visited.append((await observe(session, error)).model_dump_json())
            return web.viewing.last

        monkeypatch.setattr(web.viewing, "observe", noted)
        await web.reset(Task(instruction="look", environment="site", start_url="/text?q=nothing"))
        assert any('"title":"Welcome"' in each for each in visited), visited
        assert not any(secrets.holds_secret(each) for each in visited)
        assert any("secret=••••" in each for each in visited)
        outcome = await web.step(f'goto("/text?q={quote(PASSWORD)}")')
        assert not secrets.holds_secret(outcome.model_dump_json())
        assert "••••" in outcome.observation.text
        assert outcome.action.text == 'goto("/text?q=••••")'
    finally:
        await environments.close()
