"""`lbi calls`: which calls of a run are listed, what one of them shows, and what is never shown."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from lbi.cli import WIDTH, open_console
from lbi.errors import ModelError
from lbi.models.middleware.cache import cached
from lbi.models.middleware.metering import metered
from lbi.models.pricing import Prices
from lbi.models.providers.scripted import Scripted
from lbi.protocols import Fields, Reply, Request
from lbi.records import Observation, Task, Usage
from lbi.storage.calls import masked
from lbi.storage.run_folder import RunFolder
from running import answer, lbi_here

KEY = "sk-ant-api03-abcdefghijklmnopqrstuv"


def request(stage: str, instruction: str) -> Request:
    fields = Fields(task=Task(instruction=instruction, environment="web"), observation=Observation(text="link [e1]"))
    return Request(role="act", fields=fields, stage=stage)


@pytest.fixture
async def run(tmp_path: Path) -> Path:
    """Three answered calls, one that failed twice, and one that failed first and was answered then."""
    usages = [Usage(calls=1, input_tokens=1000 * n, cached_tokens=100 * n, cost=None, seconds=n) for n in (1, 2, 3)]
    replies: list[Any] = [f"reply {n} with {KEY}" for n in (1, 2, 3)]
    refusals = [ModelError(f"refused {n}", usage=Usage(calls=1, input_tokens=500, cost=None)) for n in (1, 2)]
    inner = Scripted([*replies, *refusals, ModelError("gone for now"), "it came back"])
    complete = inner.complete

    async def counted(asked: Request) -> Reply:
        reply = await complete(asked)
        return reply.model_copy(update={"usage": usages[inner.calls - 1] if inner.calls <= 3 else Usage(calls=1)})

    inner.complete = counted  # type: ignore[method-assign]
    with RunFolder(tmp_path / "run", {}) as folder:
        store = folder.store
        model = cached(metered(inner, store, Prices({"scripted:test": (1.0, 1.0)})), store, store)
        for stage, instruction in (("label", "first"), ("evaluate: baseline", "second"), ("evaluate: rag", "third")):
            await model.complete(request(stage, f"{instruction} {KEY}"))
        for instruction in ("never", "never", "later"):
            with pytest.raises(ModelError):
                await model.complete(request("propose", instruction))
        await model.complete(request("propose", "later"))
    return tmp_path / "run"


def listed(run: Path, *options: str) -> list[dict[str, Any]]:
    return answer("calls", run, *options, here=True)["calls"]  # type: ignore[no-any-return]


def test_all_calls_are_listed_with_tokens_money_and_latency(run: Path) -> None:
    found = answer("calls", run, here=True)
    assert [row["stage"] for row in found["calls"]] == [
        "label",
        "evaluate: baseline",
        "evaluate: rag",
        "propose",
        "propose",
    ]
    first = found["calls"][0]
    assert (first["input_tokens"], first["cached_tokens"], first["seconds"]) == (1000, 100, 1)
    assert first["cost"] == pytest.approx(1000 / 1e6)
    total = found["total"]
    assert (total["calls"], total["failed"], total["cached_tokens"]) == (5, 1, 600)
    assert total["cost"] == pytest.approx(sum(row["cost"] for row in found["calls"]))


def test_calls_are_chosen_by_stage_failure_and_cost_and_sorted(run: Path) -> None:
    assert [row["stage"] for row in listed(run, "--stage", "evaluate")] == ["evaluate: baseline", "evaluate: rag"]
    assert [row["stage"] for row in listed(run, "--stage", "evaluate: rag")] == ["evaluate: rag"]
    (failed,) = listed(run, "--failed")
    assert (failed["failure"], failed["attempts"], failed["input_tokens"]) == ("refused 2", 2, 1000)
    assert failed["cost"] == pytest.approx(1000 / 1e6), "both attempts were paid for"
    assert [row["stage"] for row in listed(run, "--cost", "0.0015")] == ["evaluate: baseline", "evaluate: rag"]
    assert [row["seconds"] for row in listed(run, "--sort", "cost", "--limit", "2")] == [3, 2]
    assert [row["seconds"] for row in listed(run, "--seconds", "2.5")] == [3]
    assert listed(run, "--role", "judge") == []


def test_a_call_shows_its_prompt_and_its_reply(run: Path) -> None:
    first = listed(run)[0]
    shown = answer("calls", run, first["id"][:12], here=True)
    system, *user = shown["messages"]
    assert (system["role"], {message["role"] for message in user}) == ("system", {"user"})
    assert any("first" in message["content"] for message in user)
    assert shown["reply"] == "reply 1 with ••••"
    text = lbi_here("calls", run, first["id"]).stdout
    assert text.index("--- system") < text.index("--- user") < text.index("--- reply\nreply 1")


def test_a_failed_call_shows_its_prompt_and_why_it_failed(run: Path) -> None:
    (failed,) = listed(run, "--failed")
    shown = answer("calls", run, failed["id"], here=True)
    assert shown["reply"] is None
    assert "never" in shown["messages"][1]["content"]
    assert "failed after 2 attempts\nrefused 2" in lbi_here("calls", run, failed["id"]).stdout


def test_no_secret_is_shown(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LBI_APP_PASSWORD", "second")  # too short to be told from a word
    monkeypatch.setenv("MY_TOKEN", "reply 2 with")
    for row in listed(run):
        for shown in (lbi_here("calls", run, row["id"]).stdout, json.dumps(answer("calls", run, row["id"], here=True))):
            assert KEY not in shown
            assert "reply 2 with" not in shown
    assert masked("Authorization: Bearer abcdefghijklmnop.qrst") == "Authorization: Bearer ••••"
    assert masked("a second task, risk-free; bearer of news") == "a second task, risk-free; bearer of news"


def test_the_table_names_what_it_leaves_out(run: Path) -> None:
    said = lbi_here("calls", run, "--limit", "1").stdout
    assert "1 of 5 calls shown, 1 failed" in said
    assert KEY not in said
    assert "No such call is stored" in lbi_here("calls", run, "--role", "judge").stdout


def test_the_table_has_what_there_is_and_loses_no_letter_where_it_is_narrow(run: Path) -> None:
    said = lbi_here("calls", run, "--stage", "evaluate", COLUMNS="120").stdout
    assert "evaluate: baseline  act   scripted:test" in said
    assert "cached" in said.splitlines()[0]
    assert "failure" not in said.splitlines()[0]  # nothing failed there
    assert "…" not in lbi_here("calls", run, COLUMNS="70").stdout


def test_where_there_is_no_terminal_a_line_is_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert open_console().width == WIDTH > 80
    monkeypatch.setenv("COLUMNS", "90")
    assert open_console().width == 90


def test_what_is_not_there_is_named_in_one_line(run: Path, tmp_path: Path) -> None:
    for arguments, part in (
        ((tmp_path / "none",), "no run in"),
        ((run, "zzz"), "no call has an id"),
        ((run, "--sort", "beauty"), "choose one of time, cost, tokens, seconds"),
    ):
        ran = lbi_here("calls", *arguments)
        assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
        assert part in ran.stderr


def test_an_id_that_could_be_several_is_refused(run: Path) -> None:
    with sqlite3.connect(run / "run.db") as db:
        db.execute("UPDATE call SET key = 'aa' || key WHERE stage LIKE 'evaluate%'")
    db.close()
    ran = lbi_here("calls", run, "aa")
    assert ran.returncode == 2
    assert "several calls" in ran.stderr


def test_a_run_of_a_version_without_failed_calls_can_be_looked_into(run: Path) -> None:
    with sqlite3.connect(run / "run.db") as db:
        db.execute("DROP TABLE failed_call")
    db.close()
    assert len(listed(run)) == 4
    assert listed(run, "--failed") == []
