"""Calls that wait in a provider's batches: half the price, nothing sent twice, nothing lost, whatever happens to us."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evaluating import labelled
from fake_notes import HELP, HOME, MILK, NEW, NOTES, SAVE, title, walk
from lbi.cli.estimate import Planned
from lbi.cli.plan import _priced
from lbi.cli.preflight import _check_batches, check_config
from lbi.config import Config, resolve
from lbi.context import RunContext
from lbi.errors import ModelError, ModelUnavailable, UserError
from lbi.models.middleware.batch_queue import BatchQueue, BatchTiming
from lbi.models.middleware.budget import Budget
from lbi.models.middleware.retry import Retry
from lbi.models.middleware.stack import wrapped
from lbi.models.pricing import Price, Prices
from lbi.models.providers.scripted import Scripted
from lbi.models.registry import open_model
from lbi.models.testing.model_server import Answer, ModelServer
from lbi.models.testing.wire_formats import Json
from lbi.monitoring.progress import Progress
from lbi.protocols import Fields, Model, Request
from lbi.records import Example, Observation, Task
from lbi.storage.run_folder import RunFolder
from lbi_offline.model import OfflineModel

QUICK = BatchTiming(gather=0.05, first=0.02, longest=0.1, patience=5.0)
PRICE = {"m": Price(input=1.0, output=2.0)}
FULL = (100 + 2 * 20) / 1e6  # what an answer of the test server costs: 100 tokens in, 20 out
Asked = Callable[..., Any]


@pytest.fixture(params=["openai", "anthropic", "google"])
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def request(at: int, stage: str = "label", **more: Any) -> Request:
    fields = Fields(task=Task(instruction=f"Task {at}", environment="web"), observation=Observation(text="a page"))
    return Request(role="query", fields=fields, stage=stage, **more)


def said(asked: Json) -> str:
    """The server's answer names the task, so that no reply can come to the wrong call."""
    prompt = str(asked.get("messages") or asked.get("contents"))
    return "about " + prompt[prompt.index("Task ") :].split("\\n")[0].split("'")[0]


@asynccontextmanager
async def opened(
    provider: str, folder: Path, server: ModelServer, **more: Any
) -> AsyncIterator[tuple[Model, RunFolder, list[str]]]:
    lines: list[str] = []
    with RunFolder(folder) as run:
        inner = open_model(f"{provider}:m", base_url=server.url_of(provider))
        batches = inner.info.batches
        assert batches is not None
        queue = BatchQueue(inner.name, batches, run.store, timing=QUICK, say=lines.append)
        given: dict[str, Any] = {"retry": Retry(first=0.01), "batch_parts": ("label", "judge"), **more}
        model = wrapped(inner, calls=run.store, meters=run.store, prices=Prices(PRICE), batch_queue=queue, **given)
        try:
            yield model, run, lines
        finally:
            await model.close()


async def ask(model: Model, *requests: Request) -> list[Any]:
    return await asyncio.gather(*(model.complete(each) for each in requests), return_exceptions=True)


def cost(run: RunFolder) -> float:
    return sum(meter["cost"] for meter in run.store.meters().values())


async def test_what_can_wait_goes_as_one_batch_at_half_the_price(provider: str, tmp_path: Path) -> None:
    async with ModelServer(said) as server, opened(provider, tmp_path, server) as (model, run, lines):
        server.batch_service.latency = 0.3
        replies = await ask(model, *(request(at) for at in range(5)))
    assert [reply.text for reply in replies] == [f"about Task {at}" for at in range(5)]
    assert (server.served, len(server.batch_service.batches), server.batch_service.carried_out) == (0, 1, 5)
    assert [reply.usage.cost for reply in replies] == [pytest.approx(FULL / 2)] * 5
    assert "5 calls wait in the batch" in lines[0]
    with RunFolder(tmp_path) as run:
        assert cost(run) == pytest.approx(5 * FULL / 2)


async def test_a_batch_asks_what_a_call_of_its_own_would_ask(provider: str, tmp_path: Path) -> None:
    async with ModelServer(said) as server:
        async with opened(provider, tmp_path / "a", server) as (model, _, _):
            await ask(model, request(7))
        async with opened(provider, tmp_path / "b", server, batch_parts=()) as (model, _, _):
            await ask(model, request(7))
    (batch,) = server.batch_service.batches.values()
    direct = {name: value for name, value in server.requests[0].items() if name not in ("headers", "path")}
    (row,) = batch.calls
    assert row[{"openai": "body", "anthropic": "params", "google": "request"}[provider]] == direct
    key = row["metadata"]["key"] if provider == "google" else row["custom_id"]
    with RunFolder(tmp_path / "a") as one, RunFolder(tmp_path / "b") as two:
        assert one.store.get_call(key) is not None
        assert two.store.get_call(key) is not None


async def test_what_cannot_wait_is_asked_at_once_at_the_full_price(provider: str, tmp_path: Path) -> None:
    async with ModelServer(said) as server, opened(provider, tmp_path, server, batch_parts=("judge",)) as (model, _, _):
        now = [request(0, stage="attempt"), request(1, stage="label"), request(2, stage="evaluate: judge")]
        replies = await ask(model, *now)
        assert (server.served, len(server.batch_service.batches)) == (3, 0)
        (waited,) = await ask(model, request(3, stage="filter"))
        assert (server.served, len(server.batch_service.batches)) == (3, 1)
        assert [reply.usage.cost for reply in (*replies, waited)] == [pytest.approx(FULL)] * 3 + [
            pytest.approx(FULL / 2)
        ]


async def test_what_is_asked_for_once_more_does_not_wait_again(provider: str, tmp_path: Path) -> None:
    from lbi.prompts import render_again

    async with ModelServer(said) as server, opened(provider, tmp_path, server) as (model, _, _):
        await ask(model, request(0, extra=render_again("nonsense", "unreadable")))
    assert (server.served, len(server.batch_service.batches)) == (1, 0)


BAD_ROWS = {
    "a server error": Answer(status=500),
    "not in time": Answer(flaw="expired"),
    "a setting it does not take": Answer(status=400, message="temperature is not supported"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
async def test_a_row_that_failed_is_asked_directly_and_the_others_are_not(
    provider: str, case: str, tmp_path: Path
) -> None:
    first = {"Task 3": BAD_ROWS[case]}

    def answer(asked: Json) -> Answer | str:
        return first.pop("Task 3", said(asked)) if "Task 3" in said(asked) else said(asked)

    async with ModelServer(answer) as server, opened(provider, tmp_path, server) as (model, run, _):
        replies = await ask(model, *(request(at) for at in range(5)))
        assert [reply.text for reply in replies] == [f"about Task {at}" for at in range(5)]
        assert (server.served, server.batch_service.carried_out) == (1, 4)
        assert cost(run) == pytest.approx(4 * FULL / 2 + FULL)


async def test_a_refused_row_is_paid_for_and_not_asked_again(provider: str, tmp_path: Path) -> None:
    script = [Answer(flaw="refused")]
    async with ModelServer(script) as server, opened(provider, tmp_path, server) as (model, run, _):
        (error,) = await ask(model, request(0))
        assert isinstance(error, ModelError)
        assert error.kind == "refused"
        assert (server.served, server.batch_service.carried_out) == (0, 1)
        assert cost(run) == pytest.approx(FULL / 2)


@pytest.mark.parametrize("fate", ["failed", "expired"])
@pytest.mark.parametrize("whose", ["openai", "google"])
async def test_a_batch_that_comes_to_nothing_is_made_up_for_call_by_call(whose: str, fate: Any, tmp_path: Path) -> None:
    async with ModelServer(said) as server, opened(whose, tmp_path, server) as (model, run, lines):
        server.batch_service.fate = fate
        replies = await ask(model, *(request(at) for at in range(3)))
        assert [reply.text for reply in replies] == [f"about Task {at}" for at in range(3)]
        assert (server.served, server.batch_service.carried_out) == (3, 0)
        assert cost(run) == pytest.approx(3 * FULL)
    assert ("too many tokens enqueued" in lines[-1]) == ("at the full price" in lines[-1]) == (fate == "failed")


async def test_a_row_that_names_no_call_is_the_answer_to_none(tmp_path: Path) -> None:
    """Google's rows come in any order: told by their places, replies would go to others' calls."""
    async with ModelServer(said) as server, opened("google", tmp_path, server) as (model, _, lines):
        server.batch_service.nameless = True
        replies = await ask(model, *(request(at) for at in range(3)))
    assert [reply.text for reply in replies] == [f"about Task {at}" for at in range(3)]
    assert server.served == 3
    assert "none of its rows names its call; its 3 calls are made one by one, at the full price" in lines[-1]


async def test_more_than_google_takes_in_one_request_goes_in_halves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbi.models.providers._batches._INLINE", 4_000)
    async with ModelServer(said) as server, opened("google", tmp_path, server) as (model, _, _):
        replies = await ask(model, *(request(at) for at in range(10)))
    assert [reply.text for reply in replies] == [f"about Task {at}" for at in range(10)]
    assert (server.served, server.batch_service.carried_out) == (0, 10)
    assert len(server.batch_service.batches) > 1


async def test_a_batch_that_is_too_large_goes_in_halves(provider: str, tmp_path: Path) -> None:
    async with ModelServer(said) as server, opened(provider, tmp_path, server) as (model, _, _):
        server.batch_service.most = 3
        replies = await ask(model, *(request(at) for at in range(10)))
    assert [reply.text for reply in replies] == [f"about Task {at}" for at in range(10)]
    assert server.served == 0
    assert sorted(len(batch.calls) for batch in server.batch_service.batches.values()) == [2, 2, 3, 3]


async def test_a_batch_whose_name_got_lost_on_the_way_is_found_and_not_sent_again(
    provider: str, tmp_path: Path
) -> None:
    async with ModelServer(said) as server, opened(provider, tmp_path, server) as (model, run, _):
        await ask(model, request(99))  # a batch that was known before
        server.batch_service.lose = 1
        replies = await ask(model, request(0))
        assert replies[0].text == "about Task 0"
        assert (len(server.batch_service.batches), server.batch_service.carried_out, server.served) == (2, 2, 0)
        assert cost(run) == pytest.approx(2 * FULL / 2)


async def test_a_provider_that_is_away_is_waited_for(provider: str, tmp_path: Path) -> None:
    async with ModelServer(said) as server, opened(provider, tmp_path, server) as (model, _, _):
        server.batch_service.latency = 0.1
        server.batch_service.refuse = [503, 429, 500, 503]
        (reply,) = await ask(model, request(0))
        assert reply.text == "about Task 0"
        server.batch_service.refuse = []
        assert len(server.batch_service.batches) == 1


async def test_a_wrong_key_and_a_server_without_batches_end_the_run_in_one_line(provider: str, tmp_path: Path) -> None:
    for status in (401, 404):
        async with ModelServer(said) as server, opened(provider, tmp_path, server) as (model, _, _):
            server.batch_service.refuse = [status]
            (error,) = await ask(model, request(0))
            assert isinstance(error, ModelUnavailable)
            assert "models.batch" in str(error)


async def test_a_budget_is_not_passed_by_a_batch(provider: str, tmp_path: Path) -> None:
    budget = Budget(0.05)
    async with ModelServer(said) as server, opened(provider, tmp_path, server, budget=budget) as (model, run, _):
        replies = await ask(model, *(request(at, max_tokens=4000) for at in range(12)))
        assert all(not isinstance(reply, Exception) for reply in replies)
        assert len(server.batch_service.batches) > 1  # no more at once than there is money for
        assert cost(run) == pytest.approx(budget.spent)


# killed


CHILD = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_batches import *

async def main():
    class Known: url_of = staticmethod(lambda provider: {url!r})
    async with opened({provider!r}, Path({folder!r}), Known) as (model, run, lines):
        replies = await ask(model, *(request(at) for at in range(6)))
        print([reply.text for reply in replies], flush=True)
asyncio.run(main())
"""


def child(provider: str, server: ModelServer, folder: Path) -> subprocess.Popen[str]:
    given = {"tests": str(Path(__file__).parent), "url": server.url_of(provider), "folder": str(folder)}
    code = textwrap.dedent(CHILD).format(provider=provider, **given)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


async def until(true: Callable[[], bool], limit: float = 300.0) -> None:
    """Wait for what another process does, on a machine that may be busy with anything."""
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < limit, "it did not come to that"
        await asyncio.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before its name has arrived", "while it is in work", "when some replies are stored"])
async def test_a_process_that_is_killed_pays_nothing_twice(provider: str, when: str, tmp_path: Path) -> None:
    async with ModelServer(said) as server:
        service = server.batch_service
        # as long as it takes until it is killed, however slow the machine is
        service.latency, service.slow = (
            0.1 if when.startswith("when") else 1e6,
            1e6 if when.startswith("before") else 0.0,
        )
        first = child(provider, server, tmp_path)
        try:
            await until(lambda: len(service.batches) == 1)
            if when.startswith("while"):
                await until(lambda: service.requests >= 4)  # it has looked, so it knows the name
        finally:
            if not when.startswith("when"):
                first.kill()
            out = await asyncio.to_thread(first.communicate)
        if when.startswith("when"):  # as if it had been killed after two of its six
            four = "DELETE FROM call WHERE key IN (SELECT key FROM call ORDER BY key LIMIT 4)"
            with RunFolder(tmp_path) as run:
                run.store.write(lambda db: db.execute(four)).wait()
        else:
            assert out[0] == ""
            with RunFolder(tmp_path) as run:
                (sent,) = run.store.open_batches(f"{provider}:m")
                assert (sent.name == "") == when.startswith("before")
                assert len(sent.keys) == 6
                assert run.store.meters() == {}
        service.latency = service.slow = 0.0
        second = child(provider, server, tmp_path)
        out = await asyncio.to_thread(second.communicate)
    assert eval(out[0]) == [f"about Task {at}" for at in range(6)]
    assert (len(service.batches), service.carried_out, server.served) == (1, 6, 0)
    with RunFolder(tmp_path) as run:
        assert len(run.store._rows("SELECT key FROM call")) == 6
        if not when.startswith("when"):
            assert cost(run) == pytest.approx(6 * FULL / 2)


async def test_a_process_that_is_killed_before_it_could_send_sends_then(provider: str, tmp_path: Path) -> None:
    async with ModelServer(said) as server:
        async with opened(provider, tmp_path, server) as (_, run, _):
            run.store.begin_batch("mark", f"{provider}:m", ["a key", "another"])
        async with opened(provider, tmp_path, server) as (model, run, _):
            replies = await ask(model, request(0), request(1))
            assert [reply.text for reply in replies] == ["about Task 0", "about Task 1"]
            assert run.store.open_batches(f"{provider}:m")[0].mark != "mark"
    assert len(server.batch_service.batches) == 1


# the stage, the plan, and what is refused before anything is done


def context(run: RunFolder, provider: str, server: ModelServer, batch: tuple[str, ...]) -> RunContext:
    name = f"{provider}:m"
    config = resolve(
        {"models": {"default": name, "batch": batch}, "synthesis": {"filters": ["repeat", "committee"]}}, "test"
    )
    environments: Any = None  # labelling opens no environment
    seen = Progress(Console(file=StringIO()), quiet=True)
    return RunContext(run, config, seen, environments, Prices(PRICE), batch_timing=QUICK)


@pytest.mark.parametrize("batch", [("label",), ("judge",), ("label", "judge")], ids=str)
async def test_labels_and_verdicts_are_the_same_by_batches_and_cost_half(
    provider: str, batch: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks = [
        await walk("look around", NOTES, MILK, HOME, NOTES),
        await walk("write", NOTES, NEW, title("Bread"), SAVE, HOME, HELP),
    ]
    offline, replies = OfflineModel(), dict[str, str]()
    found: dict[tuple[str, ...], tuple[list[Example], float, int, int]] = {}
    for way in ((), batch):
        async with ModelServer(lambda asked: replies.get(_prompt(asked), Answer(status=400))) as server:
            variable = {"google": "GOOGLE_GEMINI"}.get(provider, provider.upper())
            monkeypatch.setenv(f"{variable}_BASE_URL", server.url_of(provider))
            with RunFolder(tmp_path / str(way)) as run:
                made = context(run, provider, server, way)
                await _told(made, offline, replies)
                await labelled(made, walks, 0)
                await made.role("label").close()
                stored = [example for _, example in run.store.all("example", Example)]
                assert run.store.failures() == []
                found[way] = stored, cost(run), server.served, server.batch_service.carried_out
    (plain, full, calls, none), (waited, paid, directly, rows) = found[()], found[batch]
    assert [example.model_copy(update={"verdicts": ()}) for example in waited] == [
        example.model_copy(update={"verdicts": ()}) for example in plain
    ]
    assert [[verdict.keep for verdict in e.verdicts] for e in waited] == [[v.keep for v in e.verdicts] for e in plain]
    assert (none, directly + rows) == (0, calls)
    assert (directly == 0) == (len(batch) == 2)
    assert paid == pytest.approx(full * (1 - rows / calls / 2))


async def _told(made: RunContext, offline: OfflineModel, replies: dict[str, str]) -> None:
    """The server says to each prompt what the offline model says to its fields."""
    model: Any = made.role("label")
    complete = model._complete

    async def telling(request: Request) -> Any:
        from lbi.models.providers._provider import turns
        from lbi.prompts import render

        parts = [part.content for role, some in turns(render(request)) if role != "system" for part in some]
        replies["".join("".join(parts).split())] = (await offline.complete(request)).text
        return await complete(request)

    model._complete = telling


def _prompt(asked: Json) -> str:
    """The user's turns of a request, without white space: how messages are joined is each provider's own."""
    texts = []
    for turn in asked.get("messages") or asked["contents"]:
        if turn["role"] == "user":
            content = turn.get("content") or turn["parts"]
            texts += [content] if isinstance(content, str) else [block["text"] for block in content]
    return "".join("".join(texts).split())


async def test_a_provider_without_batches_is_refused_before_anything_is_done() -> None:
    config = resolve({"url": "http://127.0.0.1:1", "models": {"default": "paid:m", "batch": ["judge"]}}, "test")
    with pytest.raises(UserError, match=r'models\.batch holds "judge", and paid:m has no batch'):
        _check_batches(config, "paid:m", Scripted(["ok"], name="paid:m"))
    await check_config(resolve({"url": "http://127.0.0.1:1", "models": {"batch": ["judge", "label"]}}, "test"))


async def test_the_plan_halves_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    row = Planned(
        stage="label", role="abstract", model="openai:gpt-5-mini", calls=3, input_tokens=900, output_tokens=60
    )
    config = Config.model_validate({"models": {"default": row.model}})
    waiting = Config.model_validate({"models": {"default": row.model, "batch": ["label"]}})
    full, half = await _priced(config, row), await _priced(waiting, row)
    now = await _priced(waiting, row.model_copy(update={"stage": "attempt"}))
    assert full.cost is not None
    assert (half.cost, now.cost) == (pytest.approx(full.cost / 2), pytest.approx(full.cost))


@pytest.mark.parametrize("answered", [False, True])
async def test_a_batch_for_an_address_that_nobody_answers_at_ends_as_soon_as_that_is_clear(
    provider: str, answered: bool, tmp_path: Path
) -> None:
    now, slept = [0.0], []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    dead = "http://127.0.0.1:9" + {"openai": "/v1", "anthropic": "", "google": "/v1beta"}[provider]
    with RunFolder(tmp_path / "run") as run:
        model = open_model(f"{provider}:m", base_url=dead)
        assert model.info.batches is not None
        queue = BatchQueue(
            model.name,
            model.info.batches,
            run.store,
            timing=BatchTiming(gather=0.01),
            say=print,
            clock=lambda: now[0],
            sleep=sleep,
            reached=lambda: answered,
        )
        with pytest.raises(ModelUnavailable, match="when it is back" if answered else "see that the address is right"):
            await asyncio.wait_for(queue.ask("a", request(1)), 20)
        await queue.close()
        await model.close()
    assert now[0] > 3000 if answered else now[0] <= 15
