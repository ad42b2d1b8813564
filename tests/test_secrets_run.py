"""A whole run on an application that shows its secrets in every way: none of them is kept, shown, exported or sent."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lbi.models.testing.improvised import reply
from lbi.models.testing.model_server import Answer, ModelServer
from lbi.models.testing.wire_formats import Json
from running import lbi
from secret_forms import found, texts_in

pytestmark = [pytest.mark.browser, pytest.mark.slow]

USER, PASSWORD, KEY = "ann@vault.example", 'p&ss "w/rd+é=%', "sk-Key/0f+the=Model-4711"
OTHER_PASSWORD, OTHER_KEY = "the-password-of-day-2", "sk-the-key-of-day-2"

LONG = "or ask somebody who knows it for the key, which is kept where nobody looks, and tell whoever comes next"

APPLICATION = """
name = "vault"
start = ["{python}", "{state}/serve.py", "{port}"]

[environ]
VAULT_PASSWORD = "${VAULT_PASSWORD}"

[prepare]
script = '''
import pathlib
pathlib.Path("serve.py").write_text(r\"\"\"
import base64, html, http.server, json, os, sys, urllib.parse
password = os.environ["VAULT_PASSWORD"]
print("the password is", password, flush=True)
print("the password is", repr(password), file=sys.stderr, flush=True)
quoted = urllib.parse.quote(password, safe="")
basic = base64.b64encode(f"ann:{password}".encode()).decode()
shown = [password, quoted, urllib.parse.quote_plus(password), json.dumps(password), repr(password), ascii(password),
         html.escape(password), basic, base64.urlsafe_b64encode(password.encode()).decode(), password.encode().hex(),
         json.dumps({"header": json.dumps(f"Basic {basic}")})]
class Vault(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, query = self.path.partition("?")
        asked = dict(urllib.parse.parse_qsl(query))
        if path == "/in":
            if asked.get("secret") != password:
                return self.say("Wrong", f"<p>wrong password {html.escape(asked.get('secret', ''))}</p>")
            self.send_response(303)
            self.send_header("Location", f"/home?token={quoted}")
            self.send_header("Set-Cookie", "in=yes")
            return self.end_headers()
        if path == "/login":
            return self.say("Log in", '<form action=/in><label>User <input name=user></label><label>Password '
                '<input type=password name=secret></label><button>Sign in</button></form>')
        if "in=yes" not in self.headers.get("Cookie", ""):
            return self.say("Log in first", "<p>nobody is logged in</p>")
        if path == "/missing":
            return self.say("Error", f"<h1>No page for {html.escape(password)}</h1>", 404)
        lines = "".join(f"<li>{html.escape(each)}</li>" for each in shown)
        field = f'<label>Note <input value="{html.escape(password)}"></label>'
        hidden = f'<label>Again <input type=password value="{html.escape(password)}"></label>'
        links = f'<a href="/home?key={quoted}">Key {html.escape(password)}</a> <a href="/missing?{quoted}">Missing</a>'
        button = '<button onclick="alert(document.querySelector(`input`).value)">Tell</button>'
        self.say(f"Vault of {password}", f"{links}<ul>{lines}</ul>{field}{hidden}{button}")
    def say(self, title, body, status=200):
        page = f"<title>{html.escape(title)}</title>{body}".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Vault).serve_forever()
\"\"\")
'''

[login]
form = { url = "/login", steps = [
    'fill(textbox "User", "${VAULT_USER}")',
    'fill(textbox "Password", "${VAULT_PASSWORD}")',
    'click(button "Sign in")',
] }
"""

TASKS = """
name = "vault-tasks"
application = "vault.toml"

[[task]]
name = "look"
category = "looking"
level = 1
instruction = 'Look at the vault of PASSWORD.'
gold = ['finish("yes")']
[task.check]
answer = ["yes"]
"""

CONFIG = """
name = "vault"
application = "vault.toml"
benchmark = "tasks.toml"
workers = 2
[web]
screenshots = true
[models]
images = []
[[documents]]
path = "docs"
[synthesis]
tasks_per_document = 2
rollouts = 3
step_limit = 4
spans_per_trajectory = 3
[evaluation]
step_limit = 3
arms = [{ name = "baseline", agent = "react" }, { name = "backward", agent = "icl", data = "backward" }]
"""


@dataclass
class Setting:
    """A config, what its process is told by its environment, and what it prints and sends."""

    folder: Path
    variables: dict[str, str]
    printed: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    calls: int = 0
    port: int = 0  # of the model server, which is part of a config

    def lbi(self, *arguments: str | Path) -> str:
        ran = lbi(*arguments, **self.variables)
        self.printed += [ran.stdout, ran.stderr]
        assert ran.returncode == 0, ran.stderr + ran.stdout
        return ran.stdout

    def run(self, *more: str | Path) -> None:
        """With a model server that says its key, and keeps the prompts that it gets."""

        def answered(request: Json) -> Answer:
            self.calls += 1
            self.sent.append(json.dumps({**request, "headers": {}}, ensure_ascii=False))
            if self.calls == 1:
                return Answer(status=500, message=f"cannot serve {KEY} and {json.dumps(PASSWORD)}")
            texts = [message["content"] for message in request["messages"]]
            said = reply(texts)
            return Answer(said.replace("matter", f"matter {KEY}") if "ACTION" in said else said)

        async def served() -> None:
            async with ModelServer(answered, keep=False, port=self.port) as server:
                self.port = int(server.url.rpartition(":")[2])
                where = ("--model", "openai:some", "--base-url", server.openai_url)
                await asyncio.to_thread(self.lbi, "run", self.folder / "run.toml", *where, *more)

        asyncio.run(served())


class Collector(BaseHTTPRequestHandler):
    """Takes what telemetry sends."""

    taken: list[str] = []  # noqa: RUF012 - shared on purpose

    def do_POST(self) -> None:
        Collector.taken.append(self.rfile.read(int(self.headers["Content-Length"])).decode("utf-8", "replace"))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def collector() -> object:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def written(folder: Path, password: str) -> Path:
    (folder / "docs").mkdir(parents=True, exist_ok=True)
    (folder / "docs" / "vault.md").write_text(f"# Vault\n\nOpen the vault with {password}, {LONG}.\n")
    tasks = TASKS.replace("PASSWORD", password.replace("'", ""))
    for name, text in (("vault", APPLICATION), ("tasks", tasks), ("run", CONFIG)):
        (folder / f"{name}.toml").write_text(text)
    return folder


def rows_of(out: Path) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(f"file:{out / 'run.db'}?mode=ro", uri=True)) as db:
        kinds = "('lease', 'price')"
        return db.execute(f"SELECT kind, key, id FROM record WHERE kind NOT IN {kinds} ORDER BY kind, key").fetchall()


def test_a_run_keeps_shows_exports_and_sends_no_secret(tmp_path: Path, collector: str) -> None:
    variables = {
        "VAULT_USER": USER,
        "VAULT_PASSWORD": PASSWORD,
        "OPENAI_API_KEY": KEY,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
    }
    setting = Setting(written(tmp_path / "app", PASSWORD), variables)
    out, exports = tmp_path / "out", tmp_path / "exports"
    setting.run("--out", out, "--otel")
    for name in ("trl", "openai", "sharegpt", "jsonl", "parquet"):
        setting.lbi("export", out, "--format", name, "--out", exports / name)
    setting.lbi("report", out)
    calls = json.loads(setting.lbi("calls", out, "--json"))["calls"]
    for call in calls[:3]:
        setting.lbi("calls", out, call["id"], "--json")

    assert len(list((out / "blobs").rglob("*.png"))) > 1
    everything = [*texts_in(out), *texts_in(exports)]
    everything += [("printed", text) for text in setting.printed]
    everything += [("sent", text) for text in setting.sent]
    everything += [("telemetry", text) for text in Collector.taken]
    assert Collector.taken
    leaks = {(where, form) for secret in (USER, PASSWORD, KEY) for where, text in everything
             for form in found(secret, text)}  # fmt: skip
    assert not leaks
    masked = {where.partition(" ")[0] for where, text in everything if "••••" in text or "\\u2022" in text}
    assert {str(out / "run.db"), str(exports / "trl" / "train.jsonl"), "sent", "printed"} <= masked

    before, asked = rows_of(out), setting.calls
    variables |= {"VAULT_PASSWORD": OTHER_PASSWORD, "OPENAI_API_KEY": OTHER_KEY}
    written(tmp_path / "app", OTHER_PASSWORD)
    setting.run("--out", out)
    assert rows_of(out) == before
    assert setting.calls == asked, "calls were asked again with another key"
