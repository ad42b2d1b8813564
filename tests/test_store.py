"""The run folder: what was acknowledged stays; one process, one config; clear words where it cannot be used."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbi.errors import UserError
from lbi.protocols import Reply
from lbi.records import Action, Document, Observation, Step, Task, Trajectory, Usage
from lbi.storage.run_folder import RunFolder, Store
from running import environ

PAGE = Observation(text="a long page " * 40, url="/", digest="d")
#: what a reader might take for something else than a text
LOOKALIKES = (
    '{"text": "x", "digest": "y"}',
    '{"text_id": "0"}',
    "[1, 2]",
    "null",
    "true",
    "12",
    '"quoted"',
    "\\u0041",
    "",
)
TEXT = st.one_of(st.sampled_from(LOOKALIKES), st.text(max_size=20))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "run.db")
    yield opened
    opened.close()


def task(text: str = "go") -> Task:
    return Task(instruction=text, environment="x")


def trajectory(*pages: Observation) -> Trajectory:
    steps = tuple(Step(observation=page, action=Action(text="click(e1)", kind="click")) for page in pages)
    return Trajectory(task=task(), agent="a", steps=steps, last=pages[-1], stop="done")


# records


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXT, TEXT, TEXT)
def test_what_was_put_comes_back_as_it_was(store, one, other, third):
    page = Observation(text=one, title=other, error=third, digest=other)
    kept = trajectory(page, page.model_copy(update={"text": other}))
    kept = kept.model_copy(update={"task": task(third), "answer": one, "error": other})
    store.put("trajectory", one, kept)
    found = store.get("trajectory", one, Trajectory)
    assert found == kept
    assert found is not None
    assert found.id == kept.id


@pytest.mark.parametrize("text", LOOKALIKES)
def test_a_text_that_looks_like_json_stays_a_text(store, text):
    store.put("task", "k", task(text))
    store.put("document", "k", Document(text=text, source=text, headings=(text,)))
    store.put_call("k", "act", "s", text, text, Reply(text=text, model=text)).wait()
    assert store.get("task", "k", Task) == task(text)
    assert store.get("document", "k", Document) == Document(text=text, source=text, headings=(text,))
    assert store.get_call("k") == Reply(text=text, model=text)


def test_one_page_seen_often_is_stored_once(store, tmp_path):
    store.put("trajectory", "a", trajectory(PAGE, PAGE.model_copy(update={"url": "/b"}), PAGE))
    store.put("trajectory", "b", trajectory(PAGE)).wait()
    with closing(sqlite3.connect(tmp_path / "run.db")) as db:
        assert db.execute("SELECT count(*) FROM text").fetchone() == (1,)
    found = store.get("trajectory", "a", Trajectory)
    assert found is not None
    assert {page.text for page in found.observations} == {PAGE.text}


def test_records_come_in_the_order_of_their_keys_whoever_finished_first(store):
    for key in ("b", "c", "a"):
        store.put("task", key, task(key))
    assert [key for key, _ in store.all("task", Task)] == ["a", "b", "c"]
    assert (store.keys("task"), store.count("task"), store.count("example")) == ({"a", "b", "c"}, 3, 0)
    assert store.get("task", "d", Task) is None


def test_the_same_work_has_one_row(store):
    store.put("task", "k", task("first"))
    store.put("task", "k", task("second"))
    assert store.all("task", Task) == [("k", task("second"))]


def test_several_rows_are_written_together_or_not_at_all(store):
    def rows() -> Iterator[tuple[str, Task]]:
        yield "a", task()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.put_many("task", rows())
    assert store.empty
    store.put("task", "b", task())
    assert store.keys("task") == {"b"}


# failures, calls, meters


def test_a_failure_is_counted_and_gone_with_success(store):
    assert [store.fail("task", "k", "model", said).wait() for said in ("one", "two")] == [1, 2]
    store.fail("example", "k", "parse", "what?")
    assert store.failures("task") == [
        {"kind": "task", "key": "k", "boundary": "model", "message": "two", "attempts": 2}
    ]
    store.put("task", "k", task())
    assert [failure["kind"] for failure in store.failures()] == ["example"]


def test_a_call_is_kept_as_it_was_first_answered(store):
    usage = Usage(calls=1, input_tokens=3, cost=None, seconds=0.5)
    store.put_call("k", "act", "s", "m", "[]", Reply(text="first", model="m", usage=usage)).wait()
    store.put_call("k", "act", "s", "m", "[]", Reply(text="second", model="m")).wait()
    assert store.get_call("k") == Reply(text="first", model="m", usage=usage)
    assert store.get_call("other") is None
    assert not store.empty


def test_meters_add_up(store):
    store.add("act", calls=1, cost=0.25)
    store.add("act", calls=1, cost=0.5)
    store.add("judge", calls=1)
    assert store.meters() == {"act": {"calls": 2, "cost": 0.75}, "judge": {"calls": 1}}


# kill -9

WRITER = """
import sys
from pathlib import Path
from lbi.records import Observation, Task, Trajectory
from lbi.storage.run_folder import RunFolder
store = RunFolder(Path(sys.argv[1]), {"name": "killed"}).store
for n in range(100_000):
    page = Observation(text=f"page {n} " * 200, digest="d")
    task = Task(instruction=str(n), environment="x")
    store.put("trajectory", f"{n:06d}", Trajectory(task=task, agent="a", last=page, stop="done")).wait()
    print(n, flush=True)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], env=environ(), stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("after", [1, 40])
def test_a_killed_process_loses_nothing_that_was_acknowledged(after, tmp_path):
    with start(WRITER, tmp_path / "run") as process:
        assert process.stdout is not None
        for _ in range(after):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().splitlines()
    said = after + sum(line.isdigit() for line in rest[:-1])
    with RunFolder(tmp_path / "run", {"name": "killed"}) as folder:
        found = folder.store.all("trajectory", Trajectory)
    assert len(found) >= said
    assert [key for key, _ in found] == [f"{n:06d}" for n in range(len(found))]
    assert all(kept.last.text == f"page {int(key)} " * 200 for key, kept in found)


# one process, one config

HOLDER = """
import sys, time
from pathlib import Path
from lbi.storage.run_folder import RunFolder
with RunFolder(Path(sys.argv[1]), {}):
    print("open", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_with_the_first_ones_number(tmp_path):
    with start(HOLDER, tmp_path / "run") as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(UserError, match=f"in use by process {process.pid} on {os.uname().nodename}; "):
            RunFolder(tmp_path / "run", {})
        RunFolder(tmp_path / "run", writing=False).close()
        process.kill()
    RunFolder(tmp_path / "run", {}).close()


def test_a_folder_can_be_opened_again_after_it_was_closed_or_refused(tmp_path):
    with RunFolder(tmp_path, {"a": 1}) as folder:
        folder.store.put("task", "k", task())
        with pytest.raises(UserError, match=f"process {os.getpid()} on "):
            RunFolder(tmp_path)
    for config in ({"a": 2}, {"a": 2}):
        with pytest.raises(UserError, match="another config"):
            RunFolder(tmp_path, config)
    RunFolder(tmp_path, {"a": 1}).close()


def test_another_config_is_refused_and_the_difference_named(tmp_path):
    with RunFolder(tmp_path, {"same": [1], "changed": 1, "gone": None, "left": 2}) as folder:
        folder.store.put("task", "k", task())
    with pytest.raises(UserError, match=r"\(different: changed, left, new\)"):
        RunFolder(tmp_path, {"same": [1], "changed": 2, "new": 3})
    with RunFolder(tmp_path) as folder:
        assert folder.config["changed"] == 1


def test_another_price_is_no_other_config_and_is_kept(tmp_path):
    with RunFolder(tmp_path, {"models": {"default": "a:b", "prices": {}}}) as folder:
        folder.store.put("task", "k", task())
    RunFolder(tmp_path, {"models": {"default": "a:b", "prices": {"a:b": [1, 2]}}}).close()
    with RunFolder(tmp_path) as folder:
        assert folder.config["models"]["prices"] == {"a:b": [1, 2]}
    with pytest.raises(UserError, match="different: models"):
        RunFolder(tmp_path, {"models": {"default": "a:c", "prices": {}}})


def test_a_start_that_did_nothing_binds_nobody(tmp_path):
    RunFolder(tmp_path, {"a": 1}).close()
    with RunFolder(tmp_path, {"a": 2}) as folder:
        assert folder.config == {"a": 2}


# where it cannot be used


def test_reading_a_run_that_is_not_there_makes_none(tmp_path):
    with pytest.raises(UserError, match="no run in"):
        RunFolder(tmp_path / "none", writing=False)
    assert not (tmp_path / "none").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(UserError, match="cannot use the run folder"):
            RunFolder(place)


@pytest.mark.slow
def test_a_read_only_folder_is_named(tmp_path):
    if os.geteuid() == 0:  # nothing is read-only for root
        again = [sys.executable, str(Path(__file__).parent / "as_user.py"), "-m", "pytest", "-p", "no:cacheprovider"]
        done = subprocess.run([*again, f"{__file__}::test_a_read_only_folder_is_named"], capture_output=True, text=True)
        if done.returncode and "namespace" in done.stderr:
            pytest.skip("root may make no namespaces here")
        assert "1 passed" in done.stdout, done.stdout[-3000:] + done.stderr[-2000:]
        return
    tmp_path.chmod(0o500)
    try:
        for place in (tmp_path, tmp_path / "run"):
            with pytest.raises(UserError, match="cannot use the run folder"):
                RunFolder(place)
    finally:
        tmp_path.chmod(0o700)


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "run.db").write_text("this is a shopping list, not a database, and a long one at that " * 9)
    with pytest.raises(UserError, match=r"run\.db is damaged \(file is not a database\)"):
        RunFolder(tmp_path)
    (tmp_path / "run.db").unlink()
    RunFolder(tmp_path).close()


def test_a_database_that_cannot_be_written_says_that_nothing_is_lost(tmp_path, store):
    store.put("task", "k", task()).wait()
    reader = Store(tmp_path / "run.db", writing=False)
    with pytest.raises(UserError, match="nothing finished is lost"):
        reader.put("task", "l", task()).wait()
    with pytest.raises(UserError, match="cannot be written"):
        reader.fail("task", "l", "model", "x").wait()
    assert reader.keys("task") == {"k"}
    reader.close()


# images


def test_an_image_is_kept_once_under_its_hash(tmp_path):
    with RunFolder(tmp_path) as folder:
        names = [folder.save_image(png) for png in (b"one", b"two", b"one")]
        assert names[0] == names[2] != names[1]
        assert folder.load_image(names[1]) == b"two"
    assert len(list((tmp_path / "blobs").rglob("*.*"))) == 2
