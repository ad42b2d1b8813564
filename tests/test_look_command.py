"""lbi look and lbi check page: what a person is shown of a page, and one line for what cannot be shown."""

from __future__ import annotations

import io
import json
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from lbi.environments.web.application import Application
from lbi.models.images import size_of
from running import lbi_here
from serving import served

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><title>Tasks</title><h1>Tasks</h1><ul id=l><li>Mow</li></ul>
<label>New <input id=n></label><button onclick="l.innerHTML += '<li>' + n.value + '</li>'">Add</button>
<a href="/more">More</a>"""
GAP = """<!doctype html><title>More</title><a href="/">Back</a>
<p id=p>Late</p><script>EventTarget.prototype.addEventListener.call(p, 'click', () => 1)</script>"""

LOGIN = """<!doctype html><title>Log in</title><label>New <input></label>
<label>Password <input type=password></label>"""
EQUAL = """<!doctype html><title>Equal</title><button onclick="p.textContent += ' one'">Go</button>
<button onclick="p.textContent += ' two'">Go</button><p id=p></p>"""


class Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page = {"/": PAGE, "/equal": EQUAL, "/login": LOGIN}.get(self.path, GAP).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with served(Site) as address:
        yield address


def test_look_shows_the_page_and_after_each_action_what_changed(site: str, tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    ran = lbi_here("look", site, 'fill(textbox "New", "Rake")', "click(e2)", "--picture", picture)
    assert (ran.returncode, ran.stderr) == (0, "")
    first, filled, added = ran.stdout.split("\n> ")
    assert first.startswith('URL: /\nTitle: Tasks\nheading "Tasks"\nitem: Mow\ntextbox "New" [e1]\nbutton "Add" [e2]')
    assert filled.splitlines()[:5] == [
        'fill(textbox "New", "Rake")',
        "@5",
        "  item: Mow",
        '- textbox "New" [e1]',
        '+ textbox "New" [e1]: Rake',
    ]
    assert added.splitlines()[:4] == ['click(e2)  =  click(button "Add")', "@5", "  item: Mow", "+ item: Rake"]
    assert ran.stdout.count(" s]\n") == 3
    assert size_of(picture.read_bytes(), "page") == (1280, 900)


def test_look_shows_the_whole_page_where_it_is_told_to(site: str) -> None:
    ran = lbi_here("look", site, "click(e3)", "--whole")
    assert "\nURL: /more\nTitle: More\n" in ran.stdout.partition("> click(e3)")[2]
    assert "\n- " not in ran.stdout
    seen = json.loads(lbi_here("look", site, "click(e3)", "--json").stdout)
    assert seen["last"].startswith("URL: /more")
    assert seen["steps"][0]["error"] == ""


def test_look_names_equal_elements_as_people_count_and_takes_that_back(site: str) -> None:
    equal = json.loads(lbi_here("look", f"{site}/equal", "click(e2)", 'click(2nd button "Go")', "--json").stdout)
    assert [step["named"] for step in equal["steps"]] == ['click(2nd button "Go")', ""]
    assert [step["changed"].splitlines()[-1] for step in equal["steps"]] == ["+ text: two", "+ text: two two"]
    stored = lbi_here("look", f"{site}/equal", 'click(button "Go" #1)')
    assert 'click(button "Go" #1)  =  click(2nd button "Go")' in stored.stdout, "as gold solutions have it"
    assert "+ text: two\n" in stored.stdout


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_a_person_acts_in_the_agents_words_and_what_was_done_comes_out_as_a_solution(
    site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gold, picture = tmp_path / "gold.toml", tmp_path / "page.png"
    lines = [
        'fill(e1, "it\'s \\"new\\"")',
        "click(e99)",
        "jump",
        'find("Mow")',
        f"picture {picture}",
        "",
        "click(e3)",
        "forget",
    ]
    typed(monkeypatch, *lines, f"gold {gold}", "quit", "click(e1)")
    ran = lbi_here("look", "-i", site, "click(e2)")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert '> click(e2)  =  click(button "Add")' in ran.stdout, "actions of the command line come first"
    assert "error: there is no element e99 on this page" in ran.stdout
    assert "lbi: no action found" in ran.stdout
    assert ran.stdout.count('heading "Tasks"\n') == 2, "an empty line shows the page again"
    assert 'left out: click(link "More")' in ran.stdout
    assert ran.stdout.rstrip().endswith(f"written at the end of {gold}")
    assert size_of(picture.read_bytes(), "page") == (1280, 900)
    (task,) = tomllib.loads(gold.read_text())["task"]
    assert task["gold"] == ['click(button "Add")', 'fill(textbox "New", "it\'s \\"new\\"")', 'finish("")']
    assert "start_url" not in task
    again = json.loads(lbi_here("look", site, *task["gold"][:-1], "--json").stdout)
    assert [step["error"] for step in again["steps"]] == ["", ""]
    assert "it's" in again["last"]


def test_the_steps_of_a_log_in_hold_no_password(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(
        monkeypatch,
        'fill(textbox "New", "${WHO_LOGS_IN}")',
        'fill(textbox "Password", "hunter2")',
        "login",
        "again",
        "gold",
    )
    ran = lbi_here("look", "-i", f"{site}/login", WHO_LOGS_IN="clerk-of-the-test")
    assert ran.returncode == 0
    assert "clerk-of-the-test" not in ran.stdout
    told, _, after = ran.stdout.partition("[login.form]")[2].partition("]\n")
    form = tomllib.loads(f"[login.form]{told}]")["login"]["form"]
    assert Application(name="x", base_url=site, login={"form": form}).login.form.url == "/login"
    assert form["steps"] == ['fill(textbox "New", "${WHO_LOGS_IN}")', 'fill(textbox "Password", "${PASSWORD}")']
    (task,) = tomllib.loads(after[after.index("[[task]]") :])["task"]
    assert task["gold"] == ['finish("")'], "the page was opened anew"
    assert task["start_url"] == "/login"


def test_a_name_that_is_not_set_is_told_and_ends_nothing(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, 'fill(e1, "${NOT_SET_HERE}")', "picture", "gold /no/folder/x.toml", "help")
    ran = lbi_here("look", "-i", site)
    assert ran.returncode == 0
    assert "${NOT_SET_HERE} is used but not set" in ran.stdout
    assert "picture takes the name of a PNG file" in ran.stdout
    assert "cannot write /no/folder/x.toml" in ran.stdout
    assert "leave the last action out" in ran.stdout


def test_look_begins_at_the_page_of_the_address(site: str) -> None:
    assert lbi_here("look", f"{site}/more?x=1").stdout.startswith("URL: /more?x=1\n")


def test_an_example_that_is_shipped_is_looked_at_by_its_name() -> None:
    ran = lbi_here("look", "stock")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("URL: /")


def test_look_ends_at_an_action_that_cannot_be_carried_out(site: str) -> None:
    ran = lbi_here("look", site, "click(e99)", "click(e3)")
    assert ran.returncode == 1
    assert "> click(e99)\nerror: there is no element e99 on this page" in ran.stdout
    assert "> click(e3)" not in ran.stdout


def test_an_action_that_does_nothing_says_so(site: str) -> None:
    assert "nothing changed\n" in lbi_here("look", site, 'press("Shift")').stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("look", "localhost:3000"), "http://localhost:3000"),
        (("look", "ftp://x/"), "is no address of a site"),
        (("look", "http://"), "is no address of a site"),
        (("look", "http://x:99999/"), "is no address of a site"),
        (("look", "no-such-application"), "no application 'no-such-application'"),
        (("look", "http://127.0.0.1:1", "klick(e1)"), "no action found"),
        (("look", "http://127.0.0.1:1", "fill(e1)"), "fill needs a value"),
        (("look", "http://127.0.0.1:1", "--picture", "/no/folder/x.png"), "no folder /no/folder"),
        (("look", "http://127.0.0.1:1", "--picture", "/"), "is a folder"),
        (("look", "http://127.0.0.1:9/"), "could not be opened"),
        (("look", "http://127.0.0.1:9/", "-i", "--json"), "--interactive is for people"),
        (("check", "page"), "which page?"),
        (("check", "page", "localhost:3000"), "http://localhost:3000"),
        (("check", "page", "http://127.0.0.1:9/"), "could not be opened"),
    ],
)
def test_what_cannot_be_looked_at_is_told_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    ran = lbi_here(*arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith("lbi: ")
    assert said in line


def test_check_page_prints_the_share_and_what_is_missing(site: str) -> None:
    whole = lbi_here("check", "page", site)
    assert whole.returncode == 0
    assert "3 of 3 that can be acted on have a reference (100.00%)" in whole.stdout
    both = lbi_here("check", "page", site, "--all", "5")
    assert both.returncode == 0, both.stdout
    assert "2 pages, the slowest measured in" in both.stdout
    found = json.loads(lbi_here("check", "page", site, "--json").stdout)
    assert [(page["path"], page["share"], page["missing"]) for page in found["pages"]] == [("/", 1.0, [])]
