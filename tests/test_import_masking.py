"""Nothing that a trace says of keys, passwords or people reaches the disk or a model; every value here is made up."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from claude_session import ClaudeSession
from lbi.interop.events import Called, Returned
from lbi.interop.mask_rules import OWN, rules
from lbi.interop.masking import Masker
from lbi.protocols import Reply, Request
from lbi.records import Action, Observation
from lbi.storage.secrets import MASK
from lbi_offline.model import OfflineModel
from running import answer, lbi_here

#: {kind: a value of it}; none was ever anybody's
PLANTED = {
    "anthropic": "sk-ant-api03-Zx9Yw8Vu7Ts6Rq5Po4Nm3Lk2Ji1Hg0Fe9Dc8Ba7",
    "openai": "sk-proj-Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St0Uv1Wx2Yz3",
    "github": "ghp_" + "Q7w8E9r0T1y2U3i4O5p6A7s8D9f0G1h2J3k4",
    "aws": "AKIA" + "QWERTYUIOPASDFGH",
    "slack": "xoxb-123456789012-abcdefGHIJKLmnop",
    "hub": "hf_" + "QwErTyUiOpAsDfGhJkLzXcVbNmQwErTyUi",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJlLW9mLW5vYm9keQ",
    "password": "korrekt-Pferd9Batterie",
    "named": "Zwiebel!Kuchen77",
    "bearer": "opaque.token-4711-of-nobody",
    "database": "Gans4Fuchs",
    "cookie": "0badc0ffee-session-of-nobody",
    "random": "q9W8e7R6t5Y4u3I2o1P0a9S8d7F6g5H4j3K2",
    "mail": "carla.nunez@shop-of-nobody.test",
    "phone": "+49 170 5550123",
    "card": "4929 4212 3460 0821",
    "iban": "DE75512108001245126199",
    "person": "Carla Núñez",
    "home": "carlanunez",
    "address": "93.184.216.34",
}
KEY = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktbm9ib2R5\nc2Vjb25kLWxpbmU=\n-----END OPENSSH PRIVATE KEY-----"
)


def planted() -> ClaudeSession:
    """A session that says all of it: in instructions, arguments, results, thoughts, and what is not understood."""
    p = PLANTED
    home = f"/home/{p['home']}/shop"
    session = ClaudeSession(cwd=home)
    session.ask(f"Early: {p['named']} and {p['bearer']} stand alone. Call {p['phone']}, {p['mail']}; {p['card']}.")
    session.do(
        f"I use {p['anthropic']}.", "Bash", {"command": f"cat {home}/.env"}, f"OPENAI_API_KEY={p['openai']}\n{KEY}"
    )
    call = {
        "url": f"https://shop.test/?access_token={p['bearer']}",
        "headers": {"Authorization": f"Bearer {p['bearer']}"},
    }
    session.do("", "mcp__http__post", {**call, "clientSecret": p["named"]}, f"Set-Cookie: sid={p['cookie']}; Secure")
    session.do("", "Bash", {"command": f"psql postgres://shop:{p['database']}@db/shop"}, f"password: {p['password']}")
    log = f"Author: {p['person']} <{p['mail']}>\n{p['person']} wrote it; {p['home']} on {p['address']}"
    session.do("", "Bash", {"command": "git log"}, log)
    session.do("", "Write", {"file_path": "a.py", "content": f"T = '{p['github']}'\nA = '{p['aws']}'"}, p["slack"])
    session.reply({"type": "thinking", "thinking": f"{p['hub']} {p['jwt']}"}, {"type": "text", "text": p["random"]})
    session.do("", "Bash", {"command": f"echo {p['password']}"}, f"{p['iban']} Gans: {p['password']}", False)
    session.say(f"Done with {p['password']}, {p['named']} and {p['database']}.")
    session.raw(type="hologram", who=p["mail"], of={"apiKey": p["named"], "text": KEY, "deep": [p["openai"]]})
    session.ask(f"Fail, please. {p['mail']}")
    session.do("", "mcp__x__fail", {"token": p["named"]}, f"Error: no {p['mail']} with {p['password']}", True)
    session.say("It failed.")
    return session


def texts_in(folder: Path) -> Iterator[str]:
    """Everything in a folder: each file as it is, and each value of a database unpacked."""
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        yield file.read_bytes().decode("utf-8", "replace")
    for file in folder.rglob("*.db"):
        db = sqlite3.connect(file)
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in db.execute(f'SELECT * FROM "{table}"'):
                yield from (_unpacked(value) for value in row)
        db.close()


def _unpacked(value: Any) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return zstandard.ZstdDecompressor().decompressobj().decompress(value).decode("utf-8", "replace")
    except zstandard.ZstdError:
        return value.decode("utf-8", "replace")


def leaked(texts: Iterator[str]) -> set[str]:
    """The kinds of planted values that are in texts, as they stand or as JSON writes them."""
    values = {**PLANTED, "key": "b3BlbnNzaC1rZXktbm9ib2R5"}
    forms = {kind: {value, json.dumps(value)[1:-1]} for kind, value in values.items()}
    return {kind for text in texts for kind, ways in forms.items() if any(way in text for way in ways)}


@pytest.mark.slow
def test_nothing_planted_reaches_the_disk_or_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, sent = tmp_path / "run", list[str]()
    complete = OfflineModel.complete

    async def watched(self: OfflineModel, request: Request) -> Reply:
        sent.append(request.model_dump_json())
        if len(sent) == 1:  # while the run is open, the newest rows stand in the write-ahead log
            shutil.copytree(run, tmp_path / "open")
        return await complete(self, request)

    monkeypatch.setattr(OfflineModel, "complete", watched)
    file = planted().write(tmp_path / "session of carla.nunez@shop-of-nobody.test.jsonl")
    assert leaked(iter([file.read_text()])) == {*PLANTED, "key"}  # the search finds what is there
    said = answer("import", file, "--out", run, "-q", here=True)
    assert said["kept"] > 3
    assert (tmp_path / "open" / "run.db-wal").stat().st_size > 0
    assert len(sent) > 5
    assert not leaked(iter(sent))
    assert not leaked(texts_in(tmp_path / "open"))
    assert not leaked(texts_in(run))
    assert not leaked(iter([json.dumps(said, ensure_ascii=False)]))
    assert any(MASK in text for text in texts_in(run))


def test_a_dry_run_says_what_would_be_masked_and_where_and_writes_nothing(tmp_path: Path) -> None:
    file = planted().write(tmp_path / "session.jsonl")
    before = sorted(tmp_path.rglob("*"))
    ran = lbi_here("import", file, "--dry-run", cwd=tmp_path)
    assert (ran.returncode, sorted(tmp_path.rglob("*"))) == (0, before)
    assert "personal: e-mail address" in ran.stdout
    assert "session.jsonl: 2 of private key, lines 4, " in ran.stdout
    assert ran.stdout.endswith("At most 13 labels by offline and as many judgements by offline\n")
    assert not leaked(iter([ran.stdout, ran.stderr]))
    said = answer("import", file, "--dry-run", here=True)
    assert said["masked"]["personal: card number"] == 1
    assert said["masked_in"]["session.jsonl"]["personal: card number"] == {"count": 1, "lines": [1]}


def test_ones_own_text_can_be_tried(tmp_path: Path) -> None:
    ran = lbi_here("import", "--mask-test", "mail me: jo@nobody.test, my password is hunter2x")
    assert ran.stdout.startswith("mail me: ••••, my password is ••••\n")
    assert "personal: e-mail address" in ran.stdout
    (tmp_path / "note.txt").write_text("Bare4Word here.\npassword: Bare4Word\n")
    said = answer("import", "--mask-test", tmp_path / "note.txt", here=True)
    assert said["text"] == "•••• here.\npassword: ••••\n"
    assert said["masked"] == {"password": 2}
    assert "nothing was masked" in lbi_here("import", "--mask-test", "an ordinary sentence").stdout


def test_what_is_typed_into_a_field_for_a_password_is_masked_on_every_page() -> None:
    typed = Action(
        text="fill('8', 'Lamp4Shade')", kind="fill", role="textbox", name="Your password:", value="Lamp4Shade"
    )
    page = Observation(text='URL: /\ntextbox "Your password:" [e3]: Lamp4Shade', url="/?next=Lamp4Shade")
    events = [Called("1", "fill", {}, action=typed), Returned("1", "", page=page)]
    masker = Masker()
    list(masker.events(events))
    called, returned = masker.events(events)
    assert isinstance(called, Called)
    assert isinstance(returned, Returned)
    assert called.action is not None
    assert returned.page is not None
    assert (called.action.value, called.action.text) == ("••••", "fill('8', '••••')")
    assert (returned.page.text[-4:], returned.page.url) == ("••••", "/?next=••••")


@pytest.mark.parametrize("kind", PLANTED)
def test_each_is_found_alone(kind: str) -> None:
    beside = {
        "password": "password: {}",
        "named": "client_secret = '{}'",
        "bearer": "Authorization: Bearer {}",
        "database": "mysql://root:{}@host/db",
        "cookie": "Cookie: sid={}",
        "home": "/Users/{}/notes.txt",
        "person": "Signed-off-by: {} <x@y.zz>",
    }
    text = beside.get(kind, "it is {} here").format(PLANTED[kind])
    assert PLANTED[kind] not in Masker().text(text)


@pytest.mark.parametrize(
    "text",
    [
        "token = get_token(request)",
        "password: str = Field(default=None)",
        "self.password = password",
        "max_tokens=4096, 'input_tokens': 1200",
        "api_key=os.environ['OPENAI_API_KEY']",
        "The password is required. The token is invalid.",
        "commit 1f0e3dad99908345f7439f8ffabdffc4a9c3b1de",
        "123e4567-e89b-12d3-a456-426614174000",
        "git clone git@github.com:acme/shop.git",
        "listening on 127.0.0.1:8000, or 10.0.0.3",
        "def test_that_a_name_with_12_and_345_and_678_is_long(): pass",
        "/home/user/app /home/runner/work",
        "1234567890123456",
        "key: value",
    ],
)
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    assert Masker().text(text) == text


def test_both_sets_of_rules_are_used_and_each_of_ours_has_a_name() -> None:
    kinds = {rule.kind for rule in rules()}
    assert "AWS Access Key (detect-secrets)" in kinds
    assert {rule.kind for rule in OWN} < kinds
    found = Masker()
    found.begin("a")
    found.text("key sq0csp-" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0U1v")  # no rule of ours knows these
    assert list(found.totals()) == ["Square OAuth Secret (detect-secrets)"]


def test_without_the_rules_nothing_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "detect_secrets.core.plugins.util", None)
    rules.cache_clear()
    ran = lbi_here("import", planted().write(tmp_path / "a.jsonl"), "--out", tmp_path / "run")
    rules.cache_clear()
    assert ran.returncode == 2
    assert "pip install 'learn-by-interact[import]'" in ran.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("call +49 170 5550123 93.184.216.34", "call ••••"),
        ("paid with 4111 1111 1111 1111 123", "paid with •••• 123"),
        ("to DE89 3704 0044 0532 0130 00 BIC", "to •••• BIC"),
        ("+49 170 5550123 4711", "•••• 4711"),
    ],
)
def test_a_number_is_masked_whatever_stands_behind_it(text: str, left: str) -> None:
    assert Masker().text(text) == left


@example(parts=["+49 170 5550123", "93.184.216.34"])
@example(parts=["+49 170 5550123", "4929 4212 3460 0821"])
@example(parts=["12345", "4929 4212 3460 0821", "12345"])
@given(st.lists(st.sampled_from([*PLANTED.values(), KEY, "password: ", "token=", "Bearer ", "://a:", " ", "\n", "x"])))
@settings(max_examples=30)
def test_what_is_masked_stays_as_it_is_when_it_is_masked_again(parts: list[str]) -> None:
    masker = Masker()
    masker.text(" ".join(parts))  # the first reading, which learns what stands beside names
    once = masker.text(" ".join(parts))
    assert masker.text(once) == once
