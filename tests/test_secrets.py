"""What came from the environment is masked in every form, before it is stored, shown, exported or sent."""

from __future__ import annotations

import ast
import base64
import json
import logging
from io import StringIO
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import lbi
from lbi.cli import FOLDER
from lbi.cli.errors import explained
from lbi.environments.web.application import Application
from lbi.environments.web.login import LogIn
from lbi.errors import ModelError
from lbi.models.middleware.masking import masking
from lbi.models.providers.scripted import Scripted
from lbi.models.registry import open_model
from lbi.models.testing.model_server import Answer, ModelServer
from lbi.monitoring import terminal
from lbi.monitoring.logs import MaskingFormatter
from lbi.prompts import render
from lbi.protocols import Fields, Message, Reply, Request
from lbi.records import Action, Document, Observation, Step, Task, Trajectory, Usage, digest_of
from lbi.storage import secrets
from lbi.storage.files import write_atomically
from lbi.storage.run_folder import RunFolder
from secret_forms import forms, found, texts_in

SECRET = 'p&ss "w/rd+é=%'
KEY = "sk-proj-Zm9vYmFy+/=0123456789abcdef"
SECRETS = [SECRET, KEY, "C:\\temp's\tx  y", "ann@example.com", "hunter2", "Пароль-7", "p😀ss"]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_masked_in_every_form(secret: str) -> None:
    secrets.learn(secret)
    for form in forms(secret):
        text = secrets.mask(f"before {form} after")
        assert secrets.MASK in text, form
        assert len(text) <= len("before •••• after") + 4, text  # of Base64, what belongs to a neighbour too
        assert secrets.mask(text) == text


@pytest.mark.parametrize("before", [b"", b"a", b"ab", b"user:"])
@pytest.mark.parametrize("after", [b"", b"z", b"\n", b":more"])
@pytest.mark.parametrize("width", [0, 4, 20, 76])
def test_base64_is_found_inside_longer_base64_and_over_its_lines(before: bytes, after: bytes, width: int) -> None:
    secrets.learn(SECRET)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(before + SECRET.encode() + after).decode()
        lines = "\n".join(text[at : at + width] for at in range(0, len(text), width)) if width else text
        for form in (lines, json.dumps(lines), lines.rstrip("="), lines.replace("\n", "\r\n")):
            assert secrets.MASK in secrets.mask(form), form
            assert not found(SECRET, secrets.mask(form))


def test_a_secret_is_masked_within_addresses_and_headers() -> None:
    for address in (
        f"https://ann:{quote(KEY, safe='')}@host/x",
        "postgres://ann:p%40ss%2Fword@db:5432/x",
        "https://tok-en-123@host/",
    ):
        secrets.learn_address(address)
    assert secrets.mask("at ann:p@ss/word or p%40ss%2fword, tok-en-123, db") == "at •••• or ••••, ••••, db"
    pair = base64.b64encode(f"ann:{KEY}".encode()).decode()
    assert secrets.mask(f"Basic {pair}") == "Basic ••••"


def test_short_values_are_not_masked_and_told_once() -> None:
    secrets.learn("abc", "MY_PIN")
    assert secrets.mask("abc abc") == "abc abc"
    (line,) = secrets.warnings()
    assert "MY_PIN" in line
    assert "abc" not in line
    assert not secrets.warnings()
    secrets.learn("abcd", "MY_WORD")
    assert secrets.mask("abcd ABCD") == "•••• ABCD"  # in other capitals from 8 characters on


def test_a_key_of_several_lines_is_masked_line_by_line() -> None:
    lines = ["-----BEGIN KEY-----", "MIIEvQIBADANBgkqhkiG9w0BAQEF", "AASCBKcwggSjAgEAAoIBAQC7VJTU", "-----END KEY-----"]
    secrets.learn("\n".join(lines))
    for shown in ("\n".join(lines), "\\n".join(lines), " ".join(lines), lines[1], lines[2]):
        assert not any(line in secrets.mask(shown) for line in lines[1:3])


@pytest.mark.slow
@given(text=st.text(), secret=st.text(min_size=4, max_size=12).filter(lambda text: len(text.strip()) >= 4))
def test_nothing_of_a_secret_is_left_and_masking_twice_is_masking_once(text: str, secret: str) -> None:
    secrets.forget()
    secrets.learn(secret)
    masked = secrets.mask(f"{text}{secret}{text}")
    assert secret.strip() not in masked or secrets.MASK in secret
    assert secrets.mask(masked) == masked
    secrets.forget()


def test_ids_and_our_own_words_survive_a_secret_that_is_like_them() -> None:
    """A short number is found in many an id, and a user may be called like a kind of action."""
    action = Action(text="click(e1)", kind="click", role="button", name="Go")
    task = Task(instruction="click it", environment="click")
    trajectory = Trajectory(
        task=task, agent="react", steps=(Step(observation=Observation(text="x"), action=action),),
        last=Observation(text="y"), stop="done",
    )  # fmt: skip
    for value in ("click", "done", trajectory.id[:4], "react"):
        secrets.learn(value)
    kept = secrets.masked({"trajectory": "0123456789abcdef", "kind": "click", "name": "click here"})
    assert kept == {"trajectory": "0123456789abcdef", "kind": "click", "name": "•••• here"}
    assert Trajectory.model_validate(secrets.masked(trajectory.model_dump(mode="json"))).stop == "done"


def test_no_id_is_made_of_a_secret() -> None:
    """So none can be guessed from it, and a run that goes on with another key has the same ids."""
    ids = []
    for key in (KEY, "another-key-of-another-day"):
        secrets.forget()
        secrets.learn(key, "OPENAI_API_KEY")
        document = Document(text=f"use {key} to log in", source="a.md")
        task = Task(instruction=f"Log in with {key}", environment="x", document=document.id)
        ids.append((document.id, task.id, digest_of([key]), digest_of({"url": f"http://u:{key}@host"})))
    assert ids[0] == ids[1]


def test_what_is_stored_is_masked_and_has_the_same_id(tmp_path: Path) -> None:
    secrets.learn(SECRET, "PASSWORD")
    task = Task(instruction=f"Log in with {SECRET}", environment="x")
    with RunFolder(
        tmp_path / "run", {"name": "x", "models": {"base_url": f"http://ann:{quote(SECRET)}@host/"}}
    ) as folder:
        store = folder.store
        store.put("task", "a", task)
        store.fail("task", "b", "environment", f"cannot log in with {json.dumps(SECRET)}").wait()
        messages = json.dumps([{"role": "user", "content": SECRET, "images": []}])
        store.put_call("k", "act", "s", "m", messages, Reply(text=f"I use {SECRET}", model="m")).wait()
        store.fail_call("l", "act", "s", "m", messages, f"wrong: {SECRET}", Usage()).wait()
        assert store.get("task", "a", Task) == Task(instruction="Log in with ••••", environment="x")
        stored = store.get("task", "a", Task)
        assert stored is not None
        assert stored.id == task.id
        write_atomically(folder.path / "more.json", json.dumps({"held": SECRET, "count": 5}).encode())
        assert json.loads((folder.path / "more.json").read_text()) == {"held": "••••", "count": 5}
    leaks = {where: forms for where, text in texts_in(tmp_path) if (forms := found(SECRET, text))}
    assert not leaks


async def test_prompts_and_replies_hold_no_secret() -> None:
    secrets.learn(SECRET)
    task = Task(instruction=f"Log in with {SECRET}", environment="x")
    seen = Observation(text=f"Basic {base64.b64encode(f'ann:{SECRET}'.encode()).decode()}")
    extra = (Message(role="user", content=f"once more: {SECRET}"),)
    messages = render(Request(role="act", fields=Fields(task=task, observation=seen), extra=extra))
    assert "".join(message.content for message in messages).count("••••") == 3
    assert not any(found(SECRET, message.content) for message in messages)
    model = masking(Scripted([f"you said {json.dumps(SECRET)}"]))
    assert (await model.complete(Request(role="act", fields=Fields(task=task, observation=seen)))).text == (
        'you said "••••"'
    )


async def test_a_server_that_echoes_the_key_in_any_form_is_quoted_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    said = " ".join(forms(SECRET)) + SECRET * 40  # the quotation is cut within the key
    task = Task(instruction="look", environment="x")
    async with ModelServer([Answer(status=400, message=said)]) as server:
        model = open_model("openai:some", base_url=server.openai_url)
        with pytest.raises(ModelError) as caught:
            await model.complete(Request(role="act", fields=Fields(task=task, observation=Observation(text="x"))))
        await model.close()
    assert "••••" in str(caught.value)
    assert not found(SECRET, str(caught.value))
    assert "p&s" not in str(caught.value)


def test_nothing_shown_holds_a_secret(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    secrets.learn(SECRET)
    terminal.say(f"wrong password {SECRET}")
    console = terminal.open_console()
    console.file = StringIO()
    console.width = 20  # the secret is longer than what is left of its line
    console.print(f"the password is {SECRET}", markup=False)
    record = logging.LogRecord("x", logging.WARNING, "f", 1, "cannot use %s", (SECRET,), None)
    lines = [capsys.readouterr().out, console.file.getvalue(), MaskingFormatter("%(message)s").format(record)]
    token = FOLDER.set(tmp_path)
    try:
        raise ZeroDivisionError(f"divided by {SECRET}")
    except ZeroDivisionError as error:
        line, _ = explained(error)
    finally:
        FOLDER.reset(token)
    lines += [line, next(tmp_path.glob("traceback-*.txt")).read_text()]
    assert all("••••" in each for each in lines), lines
    assert not any(found(SECRET, each) for each in lines)


def test_what_a_log_in_needs_is_known_as_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SITE_PASSWORD", SECRET)
    state = {
        "cookies": [{"name": "session", "value": "s3ss10n-t0ken-value"}, {"name": "theme", "value": "dark"}],
        "origins": [{"origin": "x", "localStorage": [{"name": "jwt", "value": "eyJhbGciOiJIUzI1NiJ9.e30"}]}],
    }
    (tmp_path / "state.json").write_text(json.dumps(state))
    logins = [
        {"headers": {"X-Key": "Bearer ${SITE_PASSWORD}"}},
        {"basic": {"username": "ann", "password": "${SITE_PASSWORD}"}},
        {"storage_state": str(tmp_path / "state.json")},
    ]
    for login in logins:
        LogIn(Application.model_validate({"name": "x", "base_url": "http://host", "login": login}))
    shown = f"{SECRET} {base64.b64encode(f'ann:{SECRET}'.encode()).decode()} s3ss10n-t0ken-value dark"
    assert secrets.mask(f"{shown} eyJhbGciOiJIUzI1NiJ9.e30") == "•••• •••• •••• dark ••••"


def test_variables_with_telling_names_are_secrets_whoever_reads_them(tmp_path: Path) -> None:
    environ = {
        "HF_TOKEN": "hf_0123456789",
        "POSTGRES_PASSWORD": "postgres",  # an ordinary word would be missing everywhere
        "SSL_KEY_FILE": "/etc/ssl/key.pem",
        "DATABASE_URL": "postgres://ann:db-password-1@host/x",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=otel-header-1,x=y",
        "EDITOR": "some-editor-1",
    }
    secrets.learn_usual(environ)
    text = "hf_0123456789 postgres /etc/ssl/key.pem db-password-1 otel-header-1 some-editor-1"
    assert secrets.mask(text) == "•••• postgres /etc/ssl/key.pem •••• •••• some-editor-1"


def test_a_hostile_text_takes_no_longer_than_its_length() -> None:
    """Each would take minutes if a run of characters were tried from each of its places to its end."""
    secrets.learn(SECRET)
    for part in ("\\", "&", "%25", "&amp;", " ", "p ", "p&ss ", "0", "&#0000", "\\u00"):
        text = part * (200_000 // len(part))
        assert secrets.mask(text) == text


def test_every_variable_that_is_named_by_a_config_is_read_where_it_is_learnt() -> None:
    """A variable whose name is no constant of ours may hold anything."""
    package = Path(lbi.__file__).parent
    reads = {}
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            named = isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.environ.get", "os.getenv")
            if named and not isinstance(node.args[0], ast.Constant):  # type: ignore[union-attr, attr-defined]
                reads[file.relative_to(package).as_posix()] = ast.unparse(node)
    assert reads.keys() == {
        "storage/secrets.py",
        "models/registry.py",  # whether paid requests are forbidden
        "models/providers/_provider.py",  # an address, whose password is learnt
        "monitoring/telemetry.py",  # an address too
    }, reads


def test_the_console_is_still_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(terminal.open_console(), Console)
