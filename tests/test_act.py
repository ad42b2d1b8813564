"""lbi act: one instruction on a copy of the application or on the real one, told, asked about, kept, and its errors."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import lbi
from lbi.config import resolve
from lbi.environments.web.browser import find_chromium
from lbi.environments.web.window import require_display
from lbi.records import Document, Trajectory
from lbi.storage.run_folder import RunFolder
from learnt_run import ActingModel, make_run
from running import answer, command, environ, lbi_here
from small_application import running_application

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TASK = 'Store an item with the name "Flour" on the shelf "bottom"'
WAY = ("click(e2)", """fill('textbox "Name"', "Flour")""", """select('combobox "Shelf"', "bottom")""")
STORES = 'click(button "Store item")'
DONE = 'finish("It is stored.")'


@pytest.fixture(scope="module")
def model() -> Iterator[ActingModel]:
    with ActingModel() as server:
        yield server


@pytest.fixture(scope="module")
def run(model: ActingModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(make_run(tmp_path_factory.mktemp("learnt"), model.url))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The application as people use it: its address and its database."""
    with running_application(tmp_path / "live") as address:
        yield address, tmp_path / "live" / "larder.db"


def items(database: Path) -> list[str]:
    db = sqlite3.connect(database)
    try:
        return [f"{name} {shelf}" for name, shelf in db.execute("SELECT name, shelf FROM item ORDER BY name")]
    finally:
        db.close()


def state_of(run: Path) -> dict[str, bytes]:
    """Every file of a run folder but those of acts; the files of SQLite's that come and go with a reader are none."""
    files = (file for file in run.rglob("*") if file.is_file() and "acts" not in file.relative_to(run).parts)
    return {str(file.relative_to(run)): file.read_bytes() for file in files if not file.name.startswith("run.db-")}


def kept_in(output: str) -> Path:
    found = re.search(r"^Kept in (\S+) ", output, re.MULTILINE)
    assert found, output
    return Path(found[1])


# what is told and kept


def test_an_instruction_is_carried_out_told_and_kept(run: Path, model: ActingModel) -> None:
    before = state_of(run)
    model.takes(*WAY, STORES, DONE, reason="the item is stored there")
    ran = lbi_here("act", run, TASK)
    assert ran.returncode == 0, ran.stderr
    folder = kept_in(ran.stdout)
    shown = 'Store an item with the name "Salt" on the shelf "bottom"'
    first, second, *_, last = re.split(r"\n\n(?= ?\d|Finished)", ran.stdout)
    assert first == (
        "On a copy of larder, started for this; what is changed ends with it.\n"
        f"Agent icl with 2 examples of {run} (arm backward), model openai:acting, at most 5 steps.\n"
    ).rstrip("\n")
    assert second.splitlines() == [
        " 1  Larder  /",
        *(f"    shown   {shown}", "            See how many items there are"),
        "    because the item is stored there",
        """    does    click(link "New item")""",
    ]
    finished, said, spent, kept = last.rstrip("\n").split("\n")
    assert finished == "Finished after 5 steps, as the agent says; nobody has checked it."
    assert said == "Answer: It is stored."
    assert re.fullmatch(r"6 calls, [\d,]+ tokens in, [\d,]+ out, price unknown; [\d.]+ s\.", spent)
    assert kept == f"Kept in {folder} (act.json); `lbi calls {folder}` shows the prompts."
    assert folder.parent == run / "acts"
    assert state_of(run) == before, "the run folder is only read"
    told = json.loads((folder / "act.json").read_text())
    assert (told["status"], told["answer"], told["arm"], told["agent"]) == (
        "finished",
        "It is stored.",
        "backward",
        "icl",
    )
    assert [step["action"] for step in told["steps"]][-2:] == [STORES, DONE]
    assert told["steps"][0]["examples"][0]["instruction"] == shown
    assert told["last"] == {"title": "Larder", "url": "/"}
    act = lbi.load_act(folder)
    assert (act.status, act.instruction, len(act.trajectory.steps)) == ("finished", TASK, 5)
    assert "Flour on the bottom shelf" in act.trajectory.last.text
    calls = answer("calls", folder, here=True)
    assert {(call["role"], call["stage"]) for call in calls["calls"]} == {("act", "act"), ("query", "act")}
    assert not (folder / "index").exists()


def test_nothing_is_left_on_the_next_copy(run: Path, model: ActingModel) -> None:
    for _ in range(2):
        model.takes(*WAY, STORES, DONE)
        told = answer("act", run, TASK, here=True)
    page = lbi.load_act(told["folder"]).trajectory.last.text
    assert page.count("Flour on the bottom shelf") == 1


def test_json_goes_to_stdout_and_the_steps_to_stderr(run: Path, model: ActingModel, tmp_path: Path) -> None:
    model.takes(DONE)
    ran = lbi_here("act", run, TASK, "--json", "--out", tmp_path / "mine")
    told = json.loads(ran.stdout)
    assert (told["folder"], told["status"]) == (str(tmp_path / "mine"), "finished")
    assert " 1  Larder  /" in ran.stderr
    quiet = lbi_here("act", run, TASK, "--quiet")
    assert len(quiet.stdout.splitlines()) == 1, "only where it is kept"


def test_the_steps_are_used_up_and_the_exit_code_says_so(run: Path, model: ActingModel) -> None:
    model.takes(*WAY)
    ran = lbi_here("act", run, TASK, "--steps", 2)
    assert ran.returncode == 4
    assert "\nNot finished: the steps were used up (2); more with --steps.\n" in ran.stdout
    assert lbi.load_act(kept_in(ran.stdout)).status == "step limit"


def test_what_cannot_be_done_is_not_called_finished(run: Path, model: ActingModel) -> None:
    model.takes("finish('N/A: nobody sells flour')")
    ran = lbi_here("act", run, TASK)
    assert ran.returncode == 1
    assert "\nNot done: the agent says, after 1 step, that it cannot be: N/A: nobody sells flour\n" in ran.stdout
    assert lbi.load_act(kept_in(ran.stdout)).status == "impossible"


def test_an_error_of_an_action_is_told_and_costs_a_step(run: Path, model: ActingModel) -> None:
    model.takes("click(e99)", DONE)
    ran = lbi_here("act", run, TASK)
    assert "    but     there is no element e99 on this page" in ran.stdout
    assert json.loads((kept_in(ran.stdout) / "act.json").read_text())["steps"][0]["error"].startswith("there is no")


def test_a_model_that_cannot_be_read_fails_and_what_was_done_is_kept(run: Path, model: ActingModel) -> None:
    model.takes("click(e2)")
    ran = lbi_here("act", run, TASK)
    assert ran.returncode == 1
    assert "\nFailed after 1 step: expected a line" in ran.stdout
    act = lbi.load_act(kept_in(ran.stdout))
    assert (act.status, len(act.trajectory.steps)) == ("failed", 1)


def test_an_application_that_goes_away_fails_and_what_was_done_is_kept(
    run: Path, model: ActingModel, tmp_path: Path
) -> None:
    with running_application(tmp_path / "gone") as address:
        model.takes("click(e2)", "click(e3)", DONE)
        done = lbi.act(run, TASK, base_url=address, on_step=lambda step, after: kill(address))
    assert (done.status, len(done.trajectory.steps)) == ("failed", 1)
    assert "out of order" in done.error
    assert lbi.load_act(done.folder).error == done.error


def kill(address: str) -> None:
    """End the process that listens at an address."""
    port = int(address.rpartition(":")[2])
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if line[1:4] == ["serve.py", "larder.db", str(port)]:
            os.kill(int(process.name), signal.SIGKILL)


# the application that people use


def test_the_real_application_is_taken_as_it_is(run: Path, model: ActingModel, site: tuple[str, Path]) -> None:
    address, database = site
    for _ in range(2):
        model.takes(*WAY, STORES, DONE)
        ran = lbi_here("act", run, TASK, "--base-url", address)
        assert ran.returncode == 0, ran.stderr
    assert f"On {address} as it is; nothing is reset, and what is changed stays changed.\n" in ran.stdout
    assert items(database).count("Flour bottom") == 2


class Counting(BaseHTTPRequestHandler):
    resets = 0

    def do_GET(self) -> None:
        body = b"<title>Counter</title><h1>Counter</h1>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        type(self).resets += 1
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


def test_a_site_is_reset_only_where_that_is_asked_for(model: ActingModel, tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Counting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    run = asyncio.run(make_run(tmp_path, model.url))
    file = tmp_path / "app" / "larder.toml"
    file.write_text(file.read_text() + '\nreset_request = "POST /reset"\n')
    try:
        model.takes(DONE, DONE)
        assert lbi_here("act", run, "Look", "--base-url", address).returncode == 0
        assert Counting.resets == 0
        ran = lbi_here("act", run, "Look", "--base-url", address, "--reset")
        assert ran.returncode == 0
        assert f"On {address}, which is reset first; what is changed afterwards stays changed.\n" in ran.stdout
        assert Counting.resets == 1
    finally:
        server.shutdown()
        server.server_close()


def test_a_run_that_another_process_works_on_can_be_used(run: Path, model: ActingModel) -> None:
    model.takes(DONE)
    with RunFolder(run):
        assert lbi_here("act", run, TASK).returncode == 0


def test_a_run_that_cannot_be_written_needs_out(run: Path, model: ActingModel, tmp_path: Path) -> None:
    acts = run / "acts"
    acts.mkdir(exist_ok=True)
    aside = acts.rename(run / "aside")
    acts.write_text("no folder")
    try:
        ran = lbi_here("act", run, TASK)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert "--out" in ran.stderr
        model.takes(DONE)
        assert lbi_here("act", run, TASK, "--out", tmp_path / "there").returncode == 0
    finally:
        acts.unlink()
        aside.rename(acts)


def test_another_arm_and_another_agent(run: Path, model: ActingModel) -> None:
    model.takes(DONE)
    told = answer("act", run, TASK, "--arm", "baseline", here=True)
    assert (told["agent"], told["steps"][0]["examples"]) == ("react", [])
    assert model.queries == 0
    model.takes(DONE)
    assert answer("act", run, TASK, "--agent", "rag", here=True)["agent"] == "rag"
    assert "To store something" in model.prompts[0]


def test_secrets_are_in_nothing_that_is_shown_or_kept(run: Path, model: ActingModel, tmp_path: Path) -> None:
    secret = "correct-horse-9x"
    model.takes(f"""find("{secret}")""", f'finish("{secret}")')
    ran = lbi_here("act", run, f"Look for {secret}", "--out", tmp_path / "kept", LARDER_PASSWORD=secret)
    assert ran.returncode == 0
    assert secret not in ran.stdout + ran.stderr
    assert "••••" in ran.stdout
    for file in (tmp_path / "kept").rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes(), file
    with RunFolder(tmp_path / "kept", writing=False) as folder:
        trajectory = folder.store.get("episode", "act", Trajectory)
    assert trajectory is not None
    assert trajectory.answer == "••••"


# asking first


class Typist:
    """Somebody at a terminal in which lbi runs."""

    def __init__(self, *arguments: str | Path) -> None:
        # whoever starts the tests in the background has them ignore Ctrl-C, and what they start too
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._terminal, inner = pty.openpty()
        self.process = subprocess.Popen(
            command(*arguments), stdin=inner, stdout=inner, stderr=inner, env=environ(), start_new_session=True
        )
        os.close(inner)
        self.text = ""
        self._seen = 0

    def sees(self, words: str, seconds: float = 60.0) -> None:
        """Read until the words are there, behind what was seen before."""
        until = time.monotonic() + seconds
        while words not in self.text[self._seen :]:
            assert self._read(until), f"never saw {words!r} in {self.text[self._seen :]!r}"
        self._seen = self.text.index(words, self._seen) + len(words)

    def types(self, line: str) -> None:
        os.write(self._terminal, f"{line}\n".encode())

    def __enter__(self) -> Typist:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(60)
        os.close(self._terminal)

    def ends(self) -> int:
        while self._read(time.monotonic() + 60):
            pass
        return self.process.wait(60)

    def _read(self, until: float) -> bool:
        ready, _, _ = select.select([self._terminal], [], [], max(until - time.monotonic(), 0))
        try:
            read = os.read(self._terminal, 65_536) if ready else b""
        except OSError:  # the other end is closed
            read = b""
        self.text += re.sub("\x1b\\[[0-9;]*m|\r", "", read.decode(errors="replace"))
        return bool(read)


ASKS = """    asks    click(button "Store item")  (a click may send or change something)\n"""


def test_what_may_change_something_is_asked_about(run: Path, model: ActingModel, site: tuple[str, Path]) -> None:
    address, database = site
    model.takes(*WAY, STORES, DONE)
    with Typist("act", run, TASK, "--base-url", address, "--confirm") as typist:
        typist.sees("a choice may be sent as it is made")
        typist.sees("[q]uit: ")
        typist.types("y")
        typist.sees(ASKS)
        assert "Flour bottom" not in items(database)
        typist.sees("[q]uit: ")
        typist.types("perhaps")
        typist.sees("[q]uit: ")
        typist.types("yes")
        assert typist.ends() == 0, typist.text
        assert typist.text.count("    asks  ") == 2, "a link, a text and the end ask nothing"
        assert "Flour bottom" in items(database)


def test_no_is_told_to_the_agent_and_nothing_is_done(run: Path, model: ActingModel, site: tuple[str, Path]) -> None:
    address, database = site
    model.takes("click(e2)", STORES, 'finish("I may not.")')
    with Typist("act", run, TASK, "--base-url", address, "--confirm") as typist:
        typist.sees(ASKS)
        typist.sees("[q]uit: ")
        typist.types("n")
        assert typist.ends() == 0, typist.text
        assert "    but     the person you act for did not allow this action" in typist.text
        assert "did not allow this action" in model.prompts[-1]
        assert items(database) == ["Honey bottom", "Rice top"]


def test_all_asks_no_more(run: Path, model: ActingModel, site: tuple[str, Path]) -> None:
    model.takes(*WAY, STORES, DONE)
    with Typist("act", run, TASK, "--base-url", site[0], "--confirm") as typist:
        typist.sees("[q]uit: ")
        typist.types("a")
        assert typist.ends() == 0, typist.text
        assert typist.text.count("    asks  ") == 1
        assert "Flour bottom" in items(site[1])


@pytest.mark.parametrize("how", ["q", "control-c", "control-d"])
def test_whoever_is_asked_can_stop_it(how: str, run: Path, model: ActingModel, site: tuple[str, Path]) -> None:
    model.takes("click(e2)", STORES, DONE)
    with Typist("act", run, TASK, "--base-url", site[0], "--confirm") as typist:
        typist.sees("[q]uit: ")
        if how == "control-c":
            os.killpg(typist.process.pid, signal.SIGINT)
        else:
            os.write(typist._terminal, b"\x04" if how == "control-d" else b"q\n")
        assert typist.ends() == 130, typist.text
        act = lbi.load_act(kept_in(typist.text))
        assert (act.status, len(act.trajectory.steps)) == ("stopped", 1)
        assert items(site[1]) == ["Honey bottom", "Rice top"]


def test_what_was_done_can_be_read_while_it_goes_on_and_after_a_kill(
    run: Path, model: ActingModel, tmp_path: Path
) -> None:
    model.takes("click(e2)", STORES, DONE)
    out = tmp_path / "kept"
    with Typist("act", run, TASK, "--confirm", "--out", out) as typist:
        typist.sees("[q]uit: ")
        for _ in range(2):
            act = lbi.load_act(out)
            assert (act.status, [step.action.kind for step in act.trajectory.steps]) == ("running", ["click"])
            assert act.trajectory.last.title == "New item"
            os.killpg(typist.process.pid, signal.SIGKILL)
            typist.process.wait(60)
        typist.ends()


def test_there_is_somebody_to_ask_or_nothing_is_opened(run: Path, model: ActingModel) -> None:
    model.takes(DONE)
    ran = subprocess.run(
        command("act", run, TASK, "--confirm"), stdin=subprocess.DEVNULL, env=environ(), capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == (
        "lbi: --confirm asks in the terminal, and stdin is none; run it in a terminal, or leave it out\n"
    )
    assert model.prompts == []


# what would be shown


def test_a_dry_run_shows_what_would_be_retrieved_and_keeps_nothing(run: Path, model: ActingModel) -> None:
    model.takes(DONE)
    before, acts = state_of(run), list((run / "acts").iterdir())
    ran = lbi_here("act", run, TASK, "--dry-run")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(
        "It would act on a copy of larder, started for this; what is changed ends with it.\nPage: Larder  /\n"
    )
    assert " 1  found by the page, replayed, " in ran.stdout
    assert (model.prompts, model.queries) == ([], 0)
    assert state_of(run) == before
    assert list((run / "acts").iterdir()) == acts


# bad input


@contextmanager
def without_display() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DISPLAY", raising=False)
        patch.delenv("WAYLAND_DISPLAY", raising=False)
        yield


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("{empty}", TASK), "no run in"),
        (("{run}", TASK, "--arm", "backwards"), 'no arm "backwards"; did you mean "backward"?'),
        (("{run}", TASK, "--agent", "iclo"), "icl"),
        (("{run}", TASK, "--seed", "7"), "has no examples of seed 7"),
        (("{run}", TASK, "--arm", "forward"), 'has no examples of seed 0 for the arm "forward"'),
        (("{run}", TASK, "--model", "nobody:x"), "nobody"),
        (("{run}", TASK, "--model", "anthropic:claude-sonnet-4-5"), "ANTHROPIC_API_KEY"),
        (("{run}", TASK, "--base-url", "localhost:80"), "http://"),
        (("{run}", TASK, "--base-url", "http://127.0.0.1:9"), "could not be opened"),
        (("{run}", TASK, "--base-url", "http://127.0.0.1:9", "--reset"), "cannot be reset"),
        (("{run}", TASK, "--headed"), "there is no display"),
        (("{run}", TASK, "--out", "{run}"), "holds a run already"),
        (("{run}", TASK, "--steps", "501"), "1 to 500 steps"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(
    arguments: tuple[str, ...], said: str, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    before = [*state_of(run), *(run / "acts").glob("*")]
    with without_display():
        ran = lbi_here("act", *(each.format(run=run, empty=tmp_path / "empty") for each in arguments))
    assert (ran.returncode, ran.stdout.splitlines()[2:]) == (2, [])
    assert ran.stderr.splitlines()[-1].startswith("lbi: ")
    assert said in ran.stderr
    assert len([line for line in ran.stderr.splitlines() if line.startswith("lbi: ")]) == 1
    assert [*state_of(run), *(run / "acts").glob("*")] == before
    assert list((tmp_path / "empty").iterdir()) == []


def test_an_empty_instruction_is_refused(run: Path) -> None:
    ran = lbi_here("act", run, " ")
    assert (ran.returncode, "INSTRUCTION" in ran.stderr or "empty" in ran.stderr) == (2, True)
    with pytest.raises(lbi.UserError, match="the instruction is empty"):
        lbi.act(run, " ")


def test_an_act_is_not_written_over_another(run: Path, model: ActingModel, tmp_path: Path) -> None:
    model.takes(DONE)
    assert lbi_here("act", run, TASK, "--out", tmp_path / "one").returncode == 0
    ran = lbi_here("act", run, TASK, "--out", tmp_path / "one")
    assert ran.returncode == 2
    assert "holds an act already; choose another --out" in ran.stderr
    assert lbi.load_act(tmp_path / "one").status == "finished"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("mine")
    ran = lbi_here("act", run, TASK, "--out", tmp_path / "mine")
    assert (ran.returncode, "holds something already" in ran.stderr) == (2, True)
    assert [file.read_text() for file in (tmp_path / "mine").iterdir()] == ["mine"]


# in Python


def test_the_same_in_python(run: Path, model: ActingModel, site: tuple[str, Path]) -> None:
    model.takes(*WAY, STORES, DONE)
    asked: list[tuple[str, str]] = []
    seen: list[str] = []

    def confirm(action: str, why: str) -> bool:
        asked.append((action, why))
        return "Store" not in action

    done = lbi.act(
        run, TASK, base_url=site[0], confirm=confirm, on_step=lambda step, after: seen.append(step.action.kind)
    )
    assert asked[-1] == (STORES, "a click may send or change something")
    assert (done.status, done.answer, done.submission) == ("finished", "It is stored.", "")
    assert seen == ["click", "fill", "select", "click", "finish"]
    assert items(site[1]) == ["Honey bottom", "Rice top"]
    with pytest.raises(lbi.UserError, match="no act in"):
        lbi.load_act(run)


def test_the_snippet_of_the_page_on_using_works(run: Path, model: ActingModel, site: tuple[str, Path]) -> None:
    model.takes(*WAY, STORES, DONE)
    snippet = Path(__file__).parents[1] / "docs" / "snippets" / "use.py"
    ran = subprocess.run(
        [sys.executable, str(snippet), str(run), TASK, site[0]], env=environ(), capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert re.fullmatch(r'1\. Store an item with the name "Salt" .*\(by the query, \d+ tokens\)', lines[0])
    assert lines[2].strip() == """/: click(link "New item")"""
    assert lines[-2] == "finished after 5 steps: It is stored."
    assert items(site[1]) == ["Flour bottom", "Honey bottom", "Rice top"]


# a repository


def test_of_a_repository_the_patch_is_kept_and_only_what_writes_is_asked_about(
    model: ActingModel, tmp_path: Path
) -> None:
    repository = tmp_path / "plants"
    repository.mkdir()
    (repository / "README.md").write_text("# Plants\n")
    run = tmp_path / "run"
    models = {"default": "openai:acting", "base_url": model.url}
    config = resolve({"environment": "shell", "shell": {"repository": str(repository)}, "models": models}, "test")
    with RunFolder(run, config.identity()) as folder:
        folder.store.put("document", "00000", Document(text="Plants", source="README.md"))
    model.takes('run("cat README.md | head -3")', 'create("moss.txt", "green")', 'finish("")')
    with Typist("act", run, "Add moss", "--arm", "baseline", "--confirm") as typist:
        typist.sees("(it writes moss.txt)")
        typist.sees("[q]uit: ")
        typist.types("y")
        assert typist.ends() == 0, typist.text
    assert "On a copy of plants, made for this; what is changed ends with it." in typist.text
    act = lbi.load_act(kept_in(typist.text))
    assert "+green" in act.submission
    assert (act.folder / "submission.patch").read_text() == act.submission
    assert not (repository / "moss.txt").exists()
    refused = lbi_here("act", run, "x", "--arm", "baseline", "--base-url", "http://127.0.0.1:9")
    assert (refused.returncode, "has no address to open" in refused.stderr) == (2, True)


# a browser that can be seen


def test_a_window_needs_a_display_and_a_browser_that_has_windows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    require_display({"DISPLAY": ":0"}, "linux")
    require_display({"WAYLAND_DISPLAY": "wayland-0"}, "linux")
    require_display({}, "darwin")
    with pytest.raises(lbi.UserError, match="there is no display"):
        require_display({"DISPLAY": ""}, "linux")
    shell = tmp_path / "chromium-headless-shell"
    shell.write_text("")
    shell.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_chromium() == str(shell)
    with pytest.raises(lbi.UserError, match="no Chromium with windows found"):
        find_chromium(headless=False)
