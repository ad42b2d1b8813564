"""What a trace says and its reader does not know is counted by its type and kept, in every format."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lbi.interop.importing import NotUnderstood
from lbi.storage.run_folder import RunFolder
from test_import import TRACES, done, imported, read, seen

SMELL = {"type": "smell", "of": "roses"}  # a part of a message that no format has
Json = dict[str, Any]


def lines_of(name: str) -> list[Json]:
    return [json.loads(line) for line in (TRACES / name).read_text().splitlines()]


def written(file: Path, lines: list[Json]) -> Path:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def codex(folder: Path) -> Path:
    text = (TRACES / "codex.jsonl").read_text().replace('"source": "exec"', '"source": "cli"')
    holograms = [{"type": kind, "payload": {"type": "hologram"}} for kind in ("hologram", "event_msg", "response_item")]
    message = {"type": "message", "role": "assistant", "content": [SMELL]}
    more = [*holograms, {"type": "response_item", "payload": message}]
    file = folder / "rollout.jsonl"
    file.write_text(text + "".join(json.dumps(line) + "\n" for line in more))
    return file


def openhands(folder: Path) -> Path:
    there = folder / "conversation"
    shutil.copytree(TRACES / "openhands", there)
    message = {"role": "user", "content": [{"type": "text", "text": "Reserve another lamp."}, SMELL]}
    more = [
        {"kind": "HologramEvent", "id": "h1", "source": "agent"},
        {"kind": "MessageEvent", "id": "h2", "source": "user", "llm_message": message},
    ]
    for at, event in enumerate(more, 900):
        (there / "events" / f"event-00{at}-x.json").write_text(json.dumps(event))
    return there


def atif(folder: Path) -> Path:
    trajectory = json.loads((TRACES / "atif.json").read_text())
    trajectory["steps"][-1] |= {"hologram": 6}
    trajectory["steps"] += [{"source": "ghost"}, {"source": "agent", "message": [SMELL]}]
    return written(folder / "atif.json", [trajectory])


def inspect(folder: Path) -> Path:
    log = json.loads((TRACES / "inspect.json").read_text())
    log["samples"][0]["messages"] += [{"role": "ghost"}, {"role": "assistant", "content": [SMELL]}]
    return written(folder / "inspect.json", [log])


def mini_swe_agent(folder: Path) -> Path:
    trajectory = json.loads((TRACES / "mini-swe-agent.traj.json").read_text())
    trajectory["messages"] += [{"role": "ghost"}, {"role": "assistant", "content": [SMELL]}]
    return written(folder / "a.traj.json", [trajectory])


def openai_messages(folder: Path) -> Path:
    call = {"id": "c1", "function": {"name": "reserve", "arguments": "{}"}}
    return written(
        folder / "log.jsonl",
        [
            {"role": "user", "content": [{"type": "text", "text": "Reserve a lamp."}, SMELL]},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "Reserved."},
            {"role": "assistant", "content": "Done."},
            {"type": "hologram"},
        ],
    )


def otel(folder: Path) -> Path:
    spans = lines_of("otel-console.jsonl")
    chat = next(span for span in spans if span["attributes"].get("gen_ai.operation.name") == "chat")
    messages = json.loads(chat["attributes"]["gen_ai.output.messages"])
    messages[0]["parts"].append(SMELL)
    chat["attributes"]["gen_ai.output.messages"] = json.dumps(messages)
    other = json.loads(json.dumps(chat))
    other["context"]["span_id"], other["attributes"] = "0xother", {"gen_ai.operation.name": "levitate"}
    return written(folder / "spans.jsonl", [*spans, other])


@pytest.mark.parametrize(
    ("make", "unknown"),
    [
        (codex, {"hologram": 1, "event hologram": 1, "item hologram": 1, "part smell": 1}),
        (openhands, {"HologramEvent": 1, "part smell": 1}),
        (atif, {"field of a step: hologram": 1, "step of ghost": 1, "part smell": 1}),
        (inspect, {"message of role ghost": 1, "part smell": 1}),
        (mini_swe_agent, {"message of role ghost": 1, "part smell": 1}),
        (openai_messages, {"hologram": 1, "part smell": 1}),
        (otel, {"span: levitate": 1, "part smell": 1}),
    ],
)
def test_it_is_counted_and_kept_as_it_is(make: Callable[[Path], Path], unknown: dict[str, int], tmp_path: Path) -> None:
    said = imported(make(tmp_path), "--out", tmp_path / "run")
    assert said["not_understood"] == unknown
    with RunFolder(tmp_path / "run", writing=False) as folder:
        kept = {record.type: record.body for _, record in folder.store.all("not understood", NotUnderstood)}
    assert kept.keys() == unknown.keys()
    assert json.loads(kept["part smell"]) == SMELL


# trees and what was made shorter, in formats other than Claude Code's


def test_what_openhands_did_from_an_earlier_event_on_begins_there(tmp_path: Path) -> None:
    there = tmp_path / "conversation"
    shutil.copytree(TRACES / "openhands", there)
    events = [json.loads(file.read_text()) for file in sorted((there / "events").glob("*.json"))]
    first = next(event for event in events if event["kind"] == "ObservationEvent")
    call = next(event for event in events if event.get("tool_call_id") == first["tool_call_id"])
    (before, *_), counts = read(there)
    again = {**call, "id": "again", "parent_id": first["id"], "tool_call_id": "c9", "thought": [], "timestamp": "9"}
    result = {**first, "id": "seen", "parent_id": "again", "tool_call_id": "c9"}
    shorter = {"kind": "Condensation", "id": "short", "source": "environment", "parent_id": "seen"}
    for at, event in enumerate((again, result, shorter), 900):
        (there / "events" / f"event-00{at}-x.json").write_text(json.dumps(event))
    trajectories, more = read(there)
    branch = trajectories[-1]
    assert done(branch)[0] == done(before)[0]
    assert branch.observations[0].text == seen(before)[1], "what was seen at the event that it goes on from"
    assert more.left_out["bookkeeping: Condensation"] == counts.left_out["bookkeeping: Condensation"] + 1


def test_what_codex_made_shorter_is_not_read_again(tmp_path: Path) -> None:
    text = (TRACES / "codex.jsonl").read_text().replace('"source": "exec"', '"source": "cli"')
    (tmp_path / "whole.jsonl").write_text(text)
    lines = text.splitlines()
    told = [line["payload"] for line in map(json.loads, lines) if line["type"] == "response_item"]
    compacted = {"type": "compacted", "payload": {"message": "Summary", "replacement_history": told}}
    (tmp_path / "compacted.jsonl").write_text("\n".join([*lines, json.dumps(compacted)]))
    once, _ = read(tmp_path / "whole.jsonl")
    twice, counts = read(tmp_path / "compacted.jsonl")
    assert [done(each) for each in twice] == [done(each) for each in once]
    assert counts.left_out["bookkeeping: compacted"] == 1
