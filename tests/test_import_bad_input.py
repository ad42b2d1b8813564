"""Traces that are broken, foreign, half written or hostile: a clear line each, and the others are read."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest

from claude_session import ClaudeSession, usual
from lbi.interop import source as reading
from lbi.interop.inert_pickle import Inert, read_pickle
from lbi.interop.reading import format_of
from lbi.interop.source import Source
from running import answer, lbi_here
from test_import import TRACES, done, read


def test_of_several_files_a_bad_one_does_not_stop_the_others(tmp_path: Path) -> None:
    usual().write(tmp_path / "a.jsonl")
    (tmp_path / "b.jsonl").write_bytes(b"\x00\xff" * 100)
    (tmp_path / "c.jsonl").write_text('{"recipe": "cake"}\n')
    (tmp_path / "d.jsonl").write_text("")
    (tmp_path / "e.eval").write_bytes((TRACES / "inspect.eval").read_bytes()[:9000])
    (tmp_path / "notes.json").write_text('{"recipe": "cake"}')
    ran = lbi_here("import", tmp_path, "--out", tmp_path / "run", "-q", "--json")
    said = json.loads(ran.stdout)
    assert ran.returncode == 1
    assert (said["files"], said["trajectories"], said["passed_over"]) == (1, 2, 1)
    assert {Path(file).name for file in said["refused"]} == {"b.jsonl", "c.jsonl", "d.jsonl", "e.eval"}
    assert said["refused"][str(tmp_path / "d.jsonl")] == "it is empty"
    assert "its format is none of" in said["refused"][str(tmp_path / "c.jsonl")]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (b"", "it is empty"),
        (b"not a trace at all\n", "its format is none of atif, browsergym, claude_code"),
        (b'{"schema_version": "ATIF-v1.8", "steps": [', "it is no whole JSON document; perhaps it was cut off"),
        (b'{"schema_version": "ATIF-v1.8", "steps": 7}', "an ATIF trajectory without steps"),
        (b'{"trajectory_format": "mini-swe-agent-1.1"}', "a trajectory of mini-swe-agent without messages"),
        (b"[" * 100_000, "it is no whole JSON document"),
    ],
)
def test_where_nothing_can_be_read_it_is_one_line_and_exit_code_2(written: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "trace").write_bytes(written)
    ran = lbi_here("import", tmp_path / "trace", "--out", tmp_path / "run")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("lbi: no trace could be read: ")
    assert told in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere.jsonl", "--out", "run"], "there is no such file or folder"),
        ([".", "--out", "run"], "no trace is in this folder"),
        ([], "which traces?"),
        (["a.jsonl"], "--out RUN says where to"),
        (["a.jsonl", "--out", "run", "--format", "claude"], "did you mean 'claude_code'?"),
        (["a.jsonl", "--out", "run", "--also", "dreams"], "--also takes headless and sub-agent"),
    ],
)
def test_what_is_asked_for_wrongly_is_told(arguments: list[str], told: str, tmp_path: Path) -> None:
    if "a.jsonl" in arguments:
        usual().write(tmp_path / "a.jsonl")
    ran = lbi_here("import", *arguments, cwd=tmp_path)
    assert ran.returncode == 2
    assert told in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_traces_without_anything_to_learn_from_say_what_they_hold(tmp_path: Path) -> None:
    ran = lbi_here("import", TRACES / "codex.jsonl", "--out", tmp_path / "run")
    assert ran.returncode == 2
    assert "headless session: asked" in ran.stdout
    assert "there is nothing to learn from in these files" in ran.stderr
    assert not (tmp_path / "run").exists()


def test_a_named_format_wins_over_the_content(tmp_path: Path) -> None:
    file = usual().write(tmp_path / "a.jsonl")
    said = answer("import", file, "--dry-run", "--format", "openai_messages", here=True)
    assert (said["formats"], said["trajectories"]) == ({"openai_messages": 1}, 0)
    assert sum(said["not_understood"].values()) == len(file.read_text().splitlines())


@pytest.mark.parametrize("format", ["claude_code", "codex", "otel", "atif"])
def test_a_format_is_known_by_a_first_line_of_over_a_mebibyte(format: str, tmp_path: Path) -> None:
    written = {
        "claude_code": usual().write(tmp_path / "usual.jsonl"),
        "codex": TRACES / "codex.jsonl",
        "otel": TRACES / "otel-otlp.jsonl",
        "atif": TRACES / "atif.json",
    }[format]
    text = written.read_text()
    lines = text.splitlines() if written.suffix == ".jsonl" else [json.dumps(json.loads(text))]
    lines[0] = json.dumps({**json.loads(lines[0]), "long": "x" * (3 << 20)})
    file = tmp_path / "trace"
    file.write_text("\n".join(lines))
    assert format_of(Source(file)) == format


def test_of_a_half_written_last_line_the_rest_is_read_and_it_is_told(tmp_path: Path) -> None:
    session = usual()
    whole, _ = read(session.write(tmp_path / "whole.jsonl"))
    file = session.write(tmp_path / "half.jsonl", end='\n{"type": "assistant", "uuid": "u99", "mess')
    half, counts = read(file)
    assert [done(trajectory) for trajectory in half] == [done(trajectory) for trajectory in whole]
    assert counts.left_out["last line, half written"] == 1


def test_what_is_appended_between_the_two_readings_is_left_for_the_next_import(tmp_path: Path) -> None:
    session = usual()
    source = Source(session.write(tmp_path / "a.jsonl"))
    before = list(source.lines())
    session.ask("And another thing.")
    session.write(tmp_path / "a.jsonl")
    assert list(source.lines()) == before
    assert len(list(Source(tmp_path / "a.jsonl").lines())) == len(before) + 1
    assert not source.left_out


def test_lines_that_are_no_objects_are_counted_and_the_others_read(tmp_path: Path) -> None:
    session = usual()
    lines = session.write(tmp_path / "a.jsonl").read_text().splitlines()
    lines[3:3] = ["{broken", "[1, 2]", "7", ""]
    (tmp_path / "b.jsonl").write_text("\n".join(lines))
    trajectories, counts = read(tmp_path / "b.jsonl")
    assert len(trajectories) == 2
    assert counts.left_out["line that is no JSON"] == 1
    assert counts.left_out["line that is no JSON object"] == 2


def test_a_line_that_is_too_long_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST_LINE", 5_000)
    session = ClaudeSession()
    session.ask("Look.")
    session.do("", "Bash", {"command": "cat all"}, "x" * 50_000)
    session.do("", "Bash", {"command": "ls"}, "a.py")
    session.say("One file.")
    (trajectory,), counts = read(session.write(tmp_path / "a.jsonl"))
    assert done(trajectory) == ['run("ls")', 'finish("One file.")']
    assert counts.left_out["line over 64 MiB"] == 1
    assert counts.left_out["call without a result"] == 1


def test_a_document_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST_DOCUMENT", 1_000)
    ran = lbi_here("import", TRACES / "inspect.json", "--out", tmp_path / "run", "--format", "inspect")
    assert ran.returncode == 2
    assert "is too large to read" in ran.stderr


@pytest.mark.parametrize("kind", ["claude_code", "codex", "openai_messages", "atif", "otel", "openhands"])
def test_values_of_any_other_kind_break_no_reader(kind: str, tmp_path: Path) -> None:
    odd: list[Any] = [None, 7, "text", [], [1], {}, {"type": 3}, [{"type": None}], True, 1e400, "\ud800"]
    keys = "type payload message content uuid role messages input output steps agent attributes context kind".split()  # noqa: SIM905
    start: dict[str, list[dict[str, Any]]] = {
        "claude_code": [{"type": "user", "uuid": "u", "sessionId": "s"}, {"type": "assistant", "uuid": "v"}],
        "codex": [
            {"type": "response_item", "payload": {}},
            {"type": "event_msg", "payload": {"type": "item_completed"}},
        ],
        "openai_messages": [{"messages": []}, {"role": "assistant"}],
        "atif": [{"schema_version": "ATIF-v1.8", "steps": [{"source": "agent"}]}],
        "otel": [{"context": {"span_id": "s"}, "attributes": {"gen_ai.operation.name": "chat"}}],
        "openhands": [{"kind": "ActionEvent", "id": "e", "source": "agent"}],
    }
    lines = [{**line, key: value} for line in start[kind] for key in keys for value in odd]
    (tmp_path / "odd.jsonl").write_text("\n".join(map(json.dumps, lines)))
    ran = lbi_here("import", tmp_path / "odd.jsonl", "--dry-run", "--json", "--format", kind)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["refused"] == {}
    for at in range(0, len(lines), 11):  # and to tell its format fails as little
        (tmp_path / "some.jsonl").write_text("\n".join(map(json.dumps, lines[at : at + 11])))
        format_of(Source(tmp_path / "some.jsonl"))


class _Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch RAN",)


def test_a_pickle_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = read_pickle(pickle.dumps({"obs": {"goal": "Look.", "evil": _Runs()}, "action": "noop()"}))
    assert isinstance(loaded["obs"]["evil"], Inert)
    folder = tmp_path / "episode"
    folder.mkdir()
    for number in range(2):
        with gzip.open(folder / f"step_{number}.pkl.gz", "wb") as file:
            pickle.dump(
                {"obs": {"goal": "Look.", "axtree_txt": "", "url": "", "x": _Runs()}, "action": "noop(1)"}, file
            )
    (folder / "step_2.pkl.gz").write_bytes(b"no gzip")
    (episode,), counts = read(folder)
    assert done(episode) == ["wait()"]
    assert counts.left_out["step that cannot be unpacked"] == 1
    assert not (tmp_path / "RAN").exists()


def test_an_archive_with_a_broken_sample_gives_the_others(tmp_path: Path) -> None:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as archive:
        log = json.loads((TRACES / "inspect.json").read_text())
        archive.writestr("header.json", json.dumps({"eval": log["eval"]}))
        for sample in log["samples"]:
            archive.writestr(f"samples/{sample['id']}_epoch_1.json", json.dumps(sample))
        archive.writestr("samples/broken_epoch_1.json", '{"id": "bro')
    (tmp_path / "log.eval").write_bytes(kept.getvalue())
    trajectories, counts = read(tmp_path / "log.eval")
    assert len(trajectories) == 2
    assert counts.left_out["sample that cannot be unpacked"] == 1


def test_a_file_is_read_in_pieces(tmp_path: Path) -> None:
    """performance/import.py shows it with a file of 200 MB."""
    file = usual().write(tmp_path / "a.jsonl")
    lines = Source(file).lines()
    assert next(lines)[0] == 1
    assert next(lines)[0] == 2
    lines.close()
