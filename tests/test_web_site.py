"""A real browser on a small site with everything that trips agents up: dialogs, tabs, frames, files, slow pages."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import BrowserContext

from lbi.environments.web import hand
from lbi.environments.web.application import Application, Login, Policy
from lbi.environments.web.browser import SharedBrowser
from lbi.environments.web.environment import WebEnvironment, WebEnvironments
from lbi.errors import EnvironmentFailure, ScoreError, UserError
from lbi.models.images import size_of
from lbi.models.registry import open_model
from lbi.models.testing.model_server import ModelServer
from lbi.observations.parse import parse_observation
from lbi.protocols import Environment, Fields, Outcome, PromptLimits, Request
from lbi.records import Check, Observation, Task
from lbi.storage.run_folder import RunFolder
from serving import served

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PAGES = {
    "/": """<title>Start</title><h1>Start</h1>
      <a href="/form">Form</a> <a href="/secret">Secret</a> <a href="/hop">Hop</a>
      <a href="/dot.png">Picture</a>
      <a href="http://elsewhere.invalid/">Elsewhere</a>
      <button onclick="location = '/secret'">Sneak</button>
      <button onclick="location = 'http://elsewhere.invalid/'">Leave</button>
      <button onclick="document.title = 'gone'">Delete account</button>""",
    "/form": """<title>Form</title><form action="/echo">
      Name: <input name="name"> <label>Size <input type="number" name="size" value="1"></label>
      <select name="kind" aria-label="Kind"><option>defect<option selected>task</select>
      <input type="radio" name="way" value="a" checked> by land <input type="radio" name="way" value="b"> by sea
      <input name="off" aria-label="Off" disabled value="no"> <button>Send</button></form>""",
    "/text": """<title>Text</title><textarea aria-label="Plan">one
  * two</textarea> <textarea aria-label="Note">three</textarea>""",
    "/dialog": """<title>Dialogs</title><p id="out">nothing</p>
      <button onclick="alert('Mind the gap')">Warn</button>
      <button onclick="out.textContent = confirm('Really?') ? 'confirmed' : 'kept'">Ask</button>
      <button onclick="out.textContent = prompt('Who?', 'me')">Prompt</button>""",
    "/tabs": """<title>Tabs</title><a href="/form" target="_blank">New tab</a>
      <button onclick="window.open('/dialog')">Window</button>""",
    "/frame": '<title>Frames</title><iframe src="/inner" title="Inner"></iframe>',
    "/inner": """<p id="out">before</p><button onclick="out.textContent = 'after'">Change</button>
      <a href="/dialog">Onward</a>""",
    "/files": """<title>Files</title><a href="/download">Get it</a> <p id="out">no file</p>
      <input type="file" aria-label="Attach" onchange="out.textContent = this.files[0].name">""",
    "/late": """<title>Late</title><p id="out">empty</p><button onclick="
      fetch('/slow').then(r => r.text()).then(t => out.textContent = 'it came')">Fetch</button>
      <a href="/slow">Slow page</a>""",
    "/typing": """<title>Typing</title><p id="out">empty</p><input aria-label="Filter" oninput="
      clearTimeout(window.timer); window.timer = setTimeout(() =>
        fetch('/slow').then(r => r.text()).then(t => out.textContent = 'it came'), 400)">""",
    "/folded": """<title>Folded</title><div style="cursor: pointer" onclick="box.hidden = !box.hidden">More</div>
      <div id="box" hidden><label>Hidden <input></label></div>
      <div style="position: relative"><button>Below</button>
      <div id="lid" style="position: absolute; inset: 0; background: red"></div></div>""",
    "/leave": """<title>Leave</title><script>addEventListener('beforeunload', e => e.preventDefault())</script>
      <label>Text <input></label> <a href="/">Away</a>""",
    "/memory": """<title>Memory</title><p id="out"></p><script>
      out.textContent = [document.cookie, localStorage.a, sessionStorage.a, window.name].join('|');
      document.cookie = 'a=1'; localStorage.a = sessionStorage.a = window.name = '1';</script>""",
    "/half": """<title>Half</title><p id="out"></p><button id="b" onclick="alert('said \\ud83d')"></button><script>
      document.title = 'Half \\ud83d'; out.textContent = 'half \\udc00 of one, whole \\ud83d\\ude00';
      b.textContent = 'Say \\ud83d'; out.insertAdjacentHTML('afterend',
        '<input aria-label="Name \\ud83d">')</script>""",
    "/secret": "<title>Secret</title>secret",
    "/slow": "<title>Slow</title><h1>Slow</h1>",
}


class Site(BaseHTTPRequestHandler):
    """Serves PAGES; remembers what was asked for."""

    asked: list[str] = []  # noqa: RUF012 - shared on purpose

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        Site.asked.append(parts.path)
        if parts.path == "/slow":
            time.sleep(0.3)
        if parts.path == "/gate":  # as a busy page: what covers the button is gone at the second visit
            lid = "" if Site.asked.count("/gate") > 1 else '<div style="position: fixed; inset: 0"></div>'
            return self._send(200, f"<title>Gate</title><form action=/echo><button>Enter</button></form>{lid}")
        if parts.path == "/hop":
            return self._send(302, "", {"Location": "/secret"})
        if parts.path == "/download":
            return self._send(200, "12345", {"Content-Disposition": 'attachment; filename="five.txt"'})
        if parts.path == "/echo":
            return self._send(200, f"<title>Echo</title><p>{sorted(parse_qs(parts.query).items())}</p>")
        if parts.path == "/who":
            return self._send(200, f"<title>Who</title><p>key {self.headers.get('X-Key', 'none')}</p>")
        if parts.path == "/dot.png":
            return self._picture()
        self._send(200 if parts.path in PAGES else 404, PAGES.get(parts.path, "<title>Not found</title>"))

    def _picture(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(len(DOT)))
        self.end_headers()
        self.wfile.write(DOT)

    def _send(self, status: int, body: str, headers: dict[str, str] | None = None) -> None:
        data = f"<!doctype html>{body}".encode() if status == 200 and not headers else body.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "text/html", "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with served(Site) as address:
        yield address


def task(path: str, check: Check | None = None) -> Task:
    return Task(instruction="try it", environment="site", start_url=path, check=check)


async def does(web: WebEnvironment, *actions: str) -> Observation:
    """The observation after the last of several actions that must work."""
    outcome: Outcome | None = None
    for action in actions:
        outcome = await web.step(action)
        assert not outcome.observation.error, f"{action}: {outcome.observation.error}"
    assert outcome is not None
    return outcome.observation


async def test_it_meets_the_contract(web: WebEnvironment) -> None:
    assert isinstance(web, Environment)
    seen = await web.reset(task("/form"))
    assert (seen.url, seen.title, seen.digest, seen.error) == ("/form", "Form", "", "")
    assert seen.text.splitlines()[:2] == ["URL: /form", "Title: Form"]
    assert 'textbox "Name:" [e1]' in seen.text
    assert 'radio "by land" [e4] (checked)' in seen.text
    assert (await web.reset(task("/form"))).id == seen.id


async def test_a_form_is_filled_and_sent(web: WebEnvironment) -> None:
    await web.reset(task("/form"))
    seen = await does(
        web,
        'fill(e1, "Ann")',
        'fill(\'spinbutton "Size"\', "7")',
        'select(\'combobox "Kind"\', "defect")',
        "click('radio \"by sea\"')",
    )
    assert 'combobox "Kind" [e3]: "defect" of "defect" | "task"' in seen.text
    outcome = await web.step("click('button \"Send\"')")
    assert outcome.action.grounded == "click('button \"Send\"')"
    assert outcome.observation.url == "/echo?name=Ann&size=7&kind=defect&way=b"
    assert (await does(web, "back()")).url == "/form"


async def test_an_option_is_chosen_without_the_dashes_that_show_where_it_belongs(web: WebEnvironment) -> None:
    await web.reset(task("/form"))
    await web.session.evaluate(
        "['--- story', '— —'].forEach(label => document.querySelector('select').add(new Option(label)))"
    )
    seen = await does(web, 'select(combobox "Kind", "Story")')
    assert parse_observation(seen.text).find("combobox", "Kind").value == "--- story"
    assert (
        parse_observation((await does(web, 'select(combobox "Kind", "— —")')).text).find("combobox", "Kind").value
        == "— —"
    )


@pytest.mark.parametrize(
    ("action", "says"),
    [
        ("dance()", "no action found"),
        ("click(e99)", "there is no element e99"),
        ("click('button \"None\"')", 'there is no button "None"'),
        ('fill(\'textbox "Size"\', "7")', 'there is no textbox "Size" on this page; there is a spinbutton "Size"'),
        ('fill(e6, "x")', 'textbox "Off" is disabled'),
        ('fill(e2, "many")', 'takes only numbers, not "many"'),
        ('select(e3, "story")', 'there are: "defect", "task"'),
        ('select(e1, "x")', "has no options"),
        ('fill(e3, "x")', "use select"),
        ('fill(e4, "x")', "use click"),
        ('press("Nokey")', "is no key"),
        ("back()", "no page to go back to"),
        ('goto("http://elsewhere.invalid/")', "is another site"),
    ],
)
async def test_what_cannot_be_done_is_an_observation(web: WebEnvironment, action: str, says: str) -> None:
    before = await web.reset(task("/form"))
    outcome = await web.step(action)
    assert says in outcome.observation.error
    assert "\n" not in outcome.observation.error
    assert outcome.observation.text == before.text
    assert not outcome.done
    assert not (await web.step('press("Tab")')).observation.error


async def test_what_a_prompt_folds_is_found_by_its_reference_and_used_by_what_it_is_called(web: WebEnvironment) -> None:
    before = await web.reset(task("/form"))
    assert (await does(web, 'find("[e3]")')).text == before.text
    assert 'nothing on this page contains "[e99]"' in (await web.step('find("[e99]")')).observation.error
    seen = await does(web, 'select(combobox "Kind", "defect")')
    assert parse_observation(seen.text).find("combobox", "Kind").value == "defect"


async def test_a_text_of_several_lines_is_seen_and_left_with_its_lines(web: WebEnvironment) -> None:
    plan, note = parse_observation((await web.reset(task("/text"))).text).elements
    assert (plan.value, note.value) == ("one\n  * two", "three")
    seen = await does(web, f"fill({plan.ref}, {json.dumps(plan.value + chr(10) + '  * three')})")
    assert parse_observation(seen.text).elements[0].value == "one\n  * two\n  * three"


async def test_a_covered_button_is_an_error_and_no_wait_for_ever(web: WebEnvironment) -> None:
    await web.reset(task("/folded"))
    outcome = await web.step("click('button \"Below\"')")
    assert "is behind what lies over the page" in outcome.observation.error


async def test_what_covers_a_button_for_a_moment_is_waited_for(web: WebEnvironment) -> None:
    await web.reset(task("/folded"))
    await web.session.evaluate("setTimeout(() => lid.remove(), 700)")
    outcome = await web.step("click('button \"Below\"')")
    assert outcome.observation.error == ""


async def test_a_folded_section_opens(web: WebEnvironment) -> None:
    seen = await web.reset(task("/folded"))
    assert "Hidden" not in seen.text
    assert 'textbox "Hidden"' in (await does(web, "click('generic \"More\"')")).text


async def test_dialogs_are_told_and_answered(web: WebEnvironment) -> None:
    await web.reset(task("/dialog"))
    assert 'note: a dialog said "Mind the gap"' in (await does(web, "click('button \"Warn\"')")).text
    seen = await does(web, "click('button \"Ask\"')")
    assert 'dialog "Really?"\n  button "OK" [e1]\n  button "Cancel" [e2]' in seen.text
    assert "a dialog waits for an answer" in (await web.step("back()")).observation.error
    assert "text: confirmed" in (await does(web, "click('button \"OK\"')")).text
    await does(web, "click('button \"Ask\"')")
    assert "text: confirmed" not in (await does(web, "click('button \"Cancel\"')")).text
    seen = await does(web, "click('button \"Prompt\"')")
    assert parse_observation(seen.text).find("textbox", "Answer").value == "me"
    await does(web, 'fill(\'textbox "Answer"\', "you")')
    assert "text: you" in (await does(web, 'press("Enter")')).text


async def test_a_dialog_that_is_open_does_not_outlive_its_episode(web: WebEnvironment) -> None:
    await web.reset(task("/dialog"))
    await does(web, "click('button \"Ask\"')")
    assert (await web.reset(task("/form"))).url == "/form"


async def test_new_tabs_are_followed_and_closed(web: WebEnvironment) -> None:
    await web.reset(task("/tabs"))
    seen = await does(web, "click('link \"New tab\"')")
    assert seen.url == "/form"
    assert "note: a new tab was opened" in seen.text
    assert (await does(web, "back()")).url == "/tabs"
    assert (await does(web, "click('button \"Window\"')")).url == "/dialog"
    assert (await web.reset(task("/tabs"))).url == "/tabs"
    assert "no page to go back to" in (await web.step("back()")).observation.error


async def test_frames_are_seen_and_acted_in(web: WebEnvironment) -> None:
    seen = await web.reset(task("/frame"))
    assert "text: before" in seen.text
    assert "text: after" in (await does(web, "click('button \"Change\"')")).text
    seen = await does(web, "click('link \"Onward\"')")
    assert seen.url == "/frame"
    assert 'button "Warn"' in seen.text


async def test_files_go_both_ways(web: WebEnvironment) -> None:
    await web.reset(task("/files"))
    seen = await does(web, "click('link \"Get it\"')")
    assert 'note: the file "five.txt" was downloaded (5 bytes)' in seen.text
    assert seen.url == "/files"
    seen = await does(web, "click('button \"Attach\"')")
    assert "text: note.txt" in seen.text
    assert "note: a file was asked for" in seen.text


async def test_what_is_on_its_way_is_waited_for(web: WebEnvironment) -> None:
    await web.reset(task("/late"))
    assert "text: it came" in (await does(web, "click('button \"Fetch\"')")).text
    assert (await does(web, "click('link \"Slow page\"')")).title == "Slow"
    assert (await does(web, "back()")).url == "/late"


async def test_a_field_that_asks_only_some_time_after_the_last_key_is_waited_for(web: WebEnvironment) -> None:
    await web.reset(task("/typing"))
    assert "text: it came" in (await does(web, 'fill(\'textbox "Filter"\', "x")')).text


async def test_leaving_a_page_that_objects(web: WebEnvironment) -> None:
    await web.reset(task("/leave"))
    seen = await does(web, 'fill(\'textbox "Text"\', "draft")', "click('link \"Away\"')")
    assert seen.url == "/"


async def test_no_memory_of_the_last_episode(web: WebEnvironment) -> None:
    first = await web.reset(task("/memory"))
    assert "text: |||" in first.text
    assert "text: a=1|1|1|1" in (await does(web, 'goto("/memory")')).text
    assert (await web.reset(task("/memory"))).text == first.text


async def test_another_site_is_never_opened(web: WebEnvironment) -> None:
    await web.reset(task("/"))
    outcome = await web.step("click('link \"Elsewhere\"')")
    assert "is another site" in outcome.observation.error
    outcome = await web.step("click('button \"Leave\"')")
    assert outcome.observation.error
    assert outcome.observation.url == "/"


async def test_checks_are_scored_on_the_open_page(web: WebEnvironment) -> None:
    await web.reset(task("/form"))
    ok = Check(answer=("1,200 boats",), answer_not=("12",), url="^/form$", shows=("by sea", "Size 1"))
    assert await web.score(task("/form", ok), "There are 1200  Boats.") == (1.0, "every condition holds")
    assert (await web.score(task("/form", Check(url="^/other")), ""))[0] == 0.0
    assert (await web.score(task("/form", Check(shows=("by air",))), ""))[0] == 0.0
    for check in (None, Check(), Check(sql="SELECT 1"), Check(command=("true",)), Check(url="(")):
        with pytest.raises(ScoreError):
            await web.score(task("/form", check), "")


async def test_finish_ends_the_episode_with_the_answer(web: WebEnvironment) -> None:
    await web.reset(task("/form"))
    outcome = await web.step('finish("42")')
    assert (outcome.done, outcome.answer) == (True, "42")


# -- rules, log-in, failures: each with environments of its own


async def opened(environments: WebEnvironments, path: str) -> tuple[WebEnvironment, Observation]:
    environment = await environments.open()
    return environment, await environment.reset(task(path))


async def test_deny_wins_on_links_names_scripts_and_redirects(site: str) -> None:
    rules = Policy(allow_urls=("^/",), deny_urls=("^/secret",), deny_names=("^Delete .*account",))
    environments = WebEnvironments(Application(name="ruled", base_url=site, policy=rules))
    try:
        web, _ = await opened(environments, "/")
        Site.asked.clear()
        for action in (
            'goto("/secret")',
            "click('link \"Secret\"')",
            "click('button \"Sneak\"')",
            "click('link \"Hop\"')",
            "click('button \"Delete account\"')",
        ):
            outcome = await web.step(action)
            assert "may not be" in outcome.observation.error, action
            assert (outcome.observation.url, outcome.observation.title) == ("/", "Start")
        assert "/secret" not in Site.asked
        assert (await does(web, "click('link \"Form\"')")).url == "/form"
    finally:
        await environments.close()


async def test_secrets_log_in_and_are_shown_nowhere(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    application = Application(name="locked", base_url=site, login=Login(headers={"X-Key": "${SITE_KEY}"}))
    with pytest.raises(UserError, match="SITE_KEY"):
        WebEnvironments(application)
    monkeypatch.setenv("SITE_KEY", "open-sesame")
    environments = WebEnvironments(application)
    try:
        web, seen = await opened(environments, "/who")
        assert "text: key ••••" in seen.text
        outcome = await web.step('goto("/echo?name=open-sesame")')
        assert "sesame" not in outcome.model_dump_json()
    finally:
        await environments.close()


async def test_a_form_is_logged_in_through_once(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_USER", "ann-the-user")
    form = {"url": "/form", "steps": ['fill(\'textbox "Name:"\', "${SITE_USER}")', "click('button \"Send\"')"]}
    environments = WebEnvironments(
        Application.model_validate({"name": "forms", "base_url": site, "login": {"form": form}})
    )
    try:
        Site.asked.clear()
        web, seen = await opened(environments, "/memory")
        assert "/echo" in Site.asked
        assert seen.url == "/memory"
        await web.reset(task("/"))
        assert Site.asked.count("/echo") == 1
    finally:
        await environments.close()


def logged_in(site: str, *steps: str) -> WebEnvironments:
    form = {"url": "/gate", "steps": steps}
    return WebEnvironments(Application.model_validate({"name": "gate", "base_url": site, "login": {"form": form}}))


async def test_a_log_in_that_takes_too_long_is_tried_again(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand, "ELEMENT_MS", 500)
    environments = logged_in(site, "click('button \"Enter\"')")
    try:
        Site.asked.clear()
        web = await environments.open()
        with pytest.raises(EnvironmentFailure, match="log-in failed at click"):
            await web.reset(task("/who"))
        assert (await web.reset(task("/who"))).url == "/who"
        assert [path for path in Site.asked if path in ("/gate", "/echo", "/who")] == ["/gate"] * 2 + ["/echo", "/who"]
    finally:
        await environments.close()


async def test_a_log_in_that_the_page_refuses_is_the_configs_fault(site: str) -> None:
    environments = logged_in(site, "click('button \"Exit\"')")
    try:
        web = await environments.open()
        for _ in range(2):
            with pytest.raises(UserError, match=r"log-in failed at click.*no button"):
                await web.reset(task("/who"))
    finally:
        await environments.close()


async def test_halves_of_characters_enter_no_record(web: WebEnvironment, tmp_path: Path) -> None:
    seen = await web.reset(task("/half"))
    assert seen.title == "Half \ufffd"
    assert "half \ufffd of one, whole \U0001f600" in seen.text
    outcomes = [await web.step(f'fill(\'textbox "Name \ufffd"\', "{text}")') for text in ("a\ud83d", "b")]
    outcomes.append(await web.step("click('button \"Say \ufffd\"')"))
    outcomes.append(await web.step("click('button \"Not \ud83d there\"')"))
    assert outcomes[0].action.value == "a\ufffd"
    assert outcomes[2].observation.error == outcomes[1].observation.error == ""
    assert 'said "said \ufffd"' in outcomes[2].observation.text
    assert "Not \ufffd there" in outcomes[3].observation.error
    with RunFolder(tmp_path / "run") as folder:
        for at, outcome in enumerate(outcomes):
            folder.store.put("outcome", str(at), outcome)
            assert folder.store.get("outcome", str(at), Outcome) == outcome


async def test_a_lost_browser_is_the_infrastructures_failure_and_comes_back(site: str) -> None:
    environments = WebEnvironments(base_url=site)
    try:
        web, _ = await opened(environments, "/")
        await environments.browser._browser.close()  # type: ignore[union-attr]
        with pytest.raises(EnvironmentFailure):
            await web.step('goto("/form")')
        assert (await web.reset(task("/form"))).url == "/form"
    finally:
        await environments.close()


@pytest.mark.parametrize("moment", ["new_page", "new_cdp_session"])
async def test_a_browser_that_ends_while_an_episode_begins_is_the_infrastructures_failure_too(
    site: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by killing it at random points: what had just been asked of it failed by an error of its driver's own."""
    environments = WebEnvironments(base_url=site)
    try:
        web = await environments.open()
        asked = getattr(BrowserContext, moment)

        async def ended(context: BrowserContext, *given: object) -> object:
            monkeypatch.setattr(BrowserContext, moment, asked)
            found = await asked(context, *given) if moment == "new_cdp_session" else None
            await environments.browser._browser.close()  # type: ignore[union-attr]
            return found or await asked(context, *given)

        monkeypatch.setattr(BrowserContext, moment, ended)
        with pytest.raises(EnvironmentFailure, match=r"the browser failed: .*closed"):
            await web.reset(task("/form"))
        assert (await web.reset(task("/form"))).url == "/form"
    finally:
        await environments.close()


async def test_a_site_that_is_down_is_the_infrastructures_failure() -> None:
    environments = WebEnvironments(base_url="http://127.0.0.1:9")
    try:
        with pytest.raises(EnvironmentFailure):
            await opened(environments, "/")
    finally:
        await environments.close()


async def test_screenshots_are_handed_over(site: str) -> None:
    kept: list[bytes] = []

    def keep(image: bytes) -> str:
        kept.append(image)
        return "hash"

    environments = WebEnvironments(base_url=site, screenshots=True, save_image=keep)
    try:
        _, seen = await opened(environments, "/")
        assert seen.image == "hash"
        assert kept[0].startswith(b"\x89PNG")
    finally:
        await environments.close()
    await _shown_to_a_model(seen, kept[0])


async def _shown_to_a_model(seen: Observation, screenshot: bytes) -> None:
    """Every provider's request carries the real screenshot, half as large as it was taken."""
    task = Task(instruction="look", environment="site")
    for provider in ("anthropic", "google", "openai"):
        async with ModelServer() as server:
            model = open_model(
                f"{provider}:some",
                base_url=server.url_of(provider),
                limits=PromptLimits(image_side=640),
                load_image={"hash": screenshot}.__getitem__,
            )
            await model.complete(Request(role="act", fields=Fields(task=task, observation=seen)))
            await model.close()
        (asked,) = server.requests
        (found,) = re.findall(r"iVBORw0KGgo[\w+/=]+", json.dumps(asked))
        assert size_of(screenshot, "taken") == (1280, 900)
        assert size_of(base64.b64decode(found), "sent") == (640, 450)


async def test_a_page_that_is_a_picture_answers_like_any_other(web: WebEnvironment) -> None:
    await web.reset(Task(instruction="look", environment="site"))
    outcome = await asyncio.wait_for(web.step('click(link "Picture")'), 30)
    assert (outcome.observation.url, outcome.observation.error) == ("/dot.png", "")
    assert (await web.step("back()")).observation.url == "/"


async def test_a_driver_that_died_is_replaced_whether_the_browser_ran_or_not() -> None:
    others = own_drivers()
    shared = SharedBrowser()
    try:
        await (await shared.context()).close()
        for running in (True, False):
            if not running:
                await shared.discard()
            for driver in own_drivers() - others:
                os.kill(driver, signal.SIGKILL)
            context = await shared.context()
            assert await (await context.new_page()).evaluate("1 + 1") == 2
    finally:
        await shared.close()


def own_drivers() -> set[int]:
    """Process ids of the drivers that this process started."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"run-driver" in (stat.parent / "cmdline").read_bytes():
                found.add(int(stat.parent.name))
    return found
