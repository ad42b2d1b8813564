"""Application files: what is wrong with one is said with the key at fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbi.environments._answers import contains
from lbi.environments.web.application import Application, Policy, expand, load_application, secrets_of
from lbi.environments.web.browser import find_chromium, flags
from lbi.environments.web.url_rules import UrlRules
from lbi.errors import UserError


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "app.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('name = "a"\nstart = ["x"]\nheath = "/"', "unknown key 'heath'; did you mean 'health'"),
        ('name = "a"\nstart = ["x"]\n[state]\ndatbase = "x"', "'state.datbase'; did you mean 'database'"),
        ('name = "a"\nstart = ["x"]\n[[documents]]\npaht = "x"', "did you mean 'path'"),
        ('name = "a"\nstart = ["x"]\n[[documents]]\ntitle = "x"', "documents.0: .*either a path"),
        ('name = "a"\nstart = ["x"]\n[[documents]]\ntext = "x"\nformat = "word"', "unknown document format 'word'"),
        ('name = "a"', "give either start"),
        ('name = "a"\nbase_url = "http://x"\nstart = ["x"]', "give either start"),
        ('name = "A B"\nstart = ["x"]', "name"),
        ("name = ", "not valid TOML"),
        ('name = "a"\nstart = ["x"]\n[state]\nignore_columns = ["time"]', "table.column"),
        ('name = "a"\nstart = ["x"]\n[policy]\ndeny_urls = ["("]', "no regular expression"),
        ('name = "a"\nstart = ["x"]\n[login]\nstorage_state = "s"\nheaders = {a = "b"}', "choose one of"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UserError, match=says.replace("(", r"\(").replace("[", r"\[")):
        load_application(written(tmp_path, text))


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no application 'zzz'"):
        load_application("zzz")
    with pytest.raises(UserError, match="cannot read"):
        load_application(tmp_path / "missing.toml")


def test_secrets_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    login = {"basic": {"username": "ann", "password": "${THE_KEY}"}}
    application = Application.model_validate({"name": "a", "start": ["x"], "login": login})
    with pytest.raises(UserError, match="THE_KEY"):
        secrets_of(application)
    monkeypatch.setenv("THE_KEY", "s3")
    assert secrets_of(application) == ("s3",)
    own = application.model_copy(update={"environ": {"THE_KEY": "of-its-own", "PASSED": "${THE_KEY}"}})
    assert expand("<${THE_KEY}>", own) == "<of-its-own>"


@pytest.mark.parametrize(
    ("text", "wanted", "found"),
    [
        ("120 boats", "12", False),
        ("1.12", "12", False),
        ("12.", "12", True),
        ("It is 12, no more", "12", True),
        ("12.5", "12", False),
        ("1,200", "1200", True),
        ("Total:  JANE\nDoe", "jane doe", True),
        ("janet", "jane", False),
        ("x", "", True),
        ("cost: $5", "$5", True),
    ],
)
def test_whole_words_are_contained(text: str, wanted: str, found: bool) -> None:
    assert contains(text, wanted) is found


def test_deny_is_tested_before_allow() -> None:
    rules = UrlRules(Policy(allow_urls=("^/a",), deny_urls=("^/a/b",), deny_names=("^Delete",)), "http://h:1/x")
    assert not rules.refuses_url("/a/c")
    assert rules.refuses_url("/a/b")
    assert rules.refuses_url("b", "http://h:1/a/")
    assert rules.refuses_url("/c")
    assert "another site" in rules.refuses_url("http://h:2/a")
    assert "another site" in rules.refuses_url("//elsewhere/a")
    assert rules.refuses_name("Delete it")
    assert not rules.refuses_name("Undelete")


@pytest.mark.parametrize(
    "url",
    [
        "/a%2fb",
        "/%61/b",
        "/a/x/..%2fb",
        "//h:1/a/b",
        "/a//b",
        "/a%255cb",
        "/a/c?to=%2Fout",
        "http://u:p@H:1/a/b",
        "/a#in",
    ],
)
def test_deny_sees_through_how_an_address_is_written(url: str) -> None:
    policy = Policy(allow_urls=("^/a",), deny_urls=("^/a/b", r"[?&]to=/out", "#in"))
    assert "may not be opened" in UrlRules(policy, "http://h:1").refuses_url(url)


@pytest.mark.parametrize(
    ("url", "allowed"), [("/a", True), ("/%61", True), ("/a/..%2fb", False), ("/a/%252e%252e/b", False)]
)
def test_allow_is_of_what_the_server_reads(url: str, allowed: bool) -> None:
    assert (not UrlRules(Policy(allow_urls=("^/a",)), "http://h:1").refuses_url(url)) is allowed


def test_another_site_is_allowed_by_its_whole_origin_and_for_requests_alone() -> None:
    rules = UrlRules(Policy(allow_urls=("^https://cdn\\.example",)), "HTTP://LocalHost:80/x")
    assert rules.origin == "http://localhost"
    assert not rules.refuses_request("https://cdn.example/x")
    assert rules.refuses_request("https://cdn.example.elsewhere/x")
    assert rules.refuses_request("http://cdn.example/x")
    assert "another site" in rules.refuses_url("https://cdn.example/x")
    assert not rules.refuses_url("http://localhost/any")


def test_a_missing_browser_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="playwright install chromium"):
        find_chromium()
    browser = tmp_path / "chromium"
    browser.touch(mode=0o755)
    assert find_chromium() == str(browser)
    shell = tmp_path / "chromium-headless-shell"
    shell.touch(mode=0o755)
    assert find_chromium() == str(shell)
    assert find_chromium(headless=False) == str(browser)
    own = tmp_path / "ms/chromium-1/chrome"
    own.parent.mkdir(parents=True)
    own.touch()
    assert find_chromium(str(own)) == ""


def test_nothing_leaves_the_machine_where_the_site_is_on_it() -> None:
    assert any("NOTFOUND" in flag for flag in flags(only_loopback=True))
    assert not any("NOTFOUND" in flag for flag in flags(only_loopback=False))
