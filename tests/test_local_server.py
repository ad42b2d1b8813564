"""The process that runs a local model: real engines with a tiny made-up model, killed in each way that happens."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lbi.errors import ModelBusy, ModelError, ModelUnavailable, UserError
from lbi.models.local import fit
from lbi.models.local.choice import chosen
from lbi.models.local.server import LocalServer, Weights
from lbi.models.local.trial import measure
from lbi.models.local.weights import obtain
from lbi.models.middleware.base import MemoryCalls
from lbi.models.middleware.budget import Budget
from lbi.models.middleware.retry import Retry
from lbi.models.middleware.stack import wrapped
from lbi.models.pricing import Prices
from lbi.models.providers._wire import Wire
from lbi.models.providers.local import Local
from lbi.models.registry import Settings, open_model
from lbi.protocols import PARTS_OF_A_RUN, Fields, Model, PromptLimits, Request
from lbi.records import Document, Observation, Task
from tiny_gguf import need, write_adapter, write_model

pytestmark = pytest.mark.slow
ENGINES = ("llama.cpp", "openvino")
STRUCTURED = PromptLimits(structured=("query", "act"))


def asking(instruction: str = "Go", *, sample: int = 0, temperature: float = 1.0) -> Request:
    fields = Fields(task=Task(instruction=instruction, environment="web"), observation=Observation(text="a page"))
    return Request(role="query", fields=fields, sample=sample, temperature=temperature)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    need("gguf", "xllamacpp", "openvino_genai", "openvino_tokenizers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield write_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@asynccontextmanager
async def opened(
    spec: str, limits: PromptLimits = STRUCTURED, **options: int
) -> AsyncIterator[tuple[Local, list[str]]]:
    """A model that is ready, and the lines that it said. Its replies have room, as it says noise."""
    model, lines = open_model(spec, limits=limits, options={"max_tokens": 2_500, **options}), []
    assert isinstance(model, Local)
    try:
        await model.prepare(lines.append)
        yield model, lines
    finally:
        await model.close()


async def process_of(model: Local) -> int:
    return (await model.server()).pid


async def begun(server: LocalServer) -> None:
    """Wait until it has a process."""
    for _ in range(5_000):
        if server.pid:
            return
        await asyncio.sleep(0.001)
    pytest.fail("no process was started")


async def reply_to(model: Model, request: Request) -> str:
    """Its text. A process that was just killed may still be taken for alive, as by whoever tries again in a run."""
    for _ in range(20):
        try:
            return (await model.complete(request)).text
        except ModelBusy:
            await asyncio.sleep(0.05)
    pytest.fail("no reply after twenty tries")


async def gone(pid: int) -> bool:
    """Whether a process ends within a while."""
    for _ in range(200):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return True
        if stat.rpartition(")")[2].split()[0] == "Z":
            return True
        await asyncio.sleep(0.05)
    return False


# replies


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_reply_is_held_to_its_form_counted_and_read_from_the_cache_again(tiny: Path, engine: str) -> None:
    async with opened(f"local:{tiny}@{engine}") as (model, lines):
        first = await model.complete(asking())
        again = await model.complete(asking())
    assert list(json.loads(first.text)) == ["query"]  # noise, in the form that was asked for
    assert again.text == first.text
    usage = first.usage
    assert usage.input_tokens > 500
    assert usage.output_tokens > 0
    assert usage.cached_tokens == 0
    assert usage.input_tokens - 64 <= again.usage.cached_tokens < usage.input_tokens
    assert f"{engine}, " in lines[-1]


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_prompt_without_a_form_is_answered_freely_and_cut_off_by_name(tiny: Path, engine: str) -> None:
    async with opened(f"local:{tiny}@{engine}", PromptLimits(), max_tokens=5) as (model, _):
        with pytest.raises(ModelError, match="truncated") as failure:
            await model.complete(asking())
    assert failure.value.usage.output_tokens == 5


@pytest.mark.parametrize("engine", ENGINES)
async def test_several_requests_are_in_work_at_once_and_each_gets_its_own_reply(tiny: Path, engine: str) -> None:
    async with opened(f"local:{tiny}@{engine}") as (model, _):
        # a made-up model may well say the same to several: four tasks to which it does not
        alone = {await reply_to(model, asking(f"Task {at}")): f"Task {at}" for at in range(12)}
        together = await asyncio.gather(*(reply_to(model, asking(task)) for task in list(alone.values())[:4]))
    assert len(alone) >= 4
    assert [json.loads(text).keys() for text in together] == 4 * [{"query"}]
    assert len(set(together)) == 4


@pytest.mark.parametrize("engine", ENGINES)
async def test_samples_differ_and_each_is_the_same_again(tiny: Path, engine: str) -> None:
    async with opened(f"local:{tiny}@{engine}") as (model, _):
        said = [await reply_to(model, asking(sample=sample, temperature=1.0)) for sample in (0, 1, 0)]
    assert said[0] == said[2] != said[1]


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_prompt_beyond_the_context_is_too_long_by_name(tiny: Path, engine: str) -> None:
    async with opened(f"local:{tiny}@{engine}") as (model, _):
        with pytest.raises(ModelError) as failure:
            await model.complete(asking("very long " * 2_000))
        assert failure.value.kind == "too long"
        await model.complete(asking())


async def test_an_adapter_changes_what_is_said(tiny: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "tuned.gguf")
    async with opened(f"local:{tiny}@llama.cpp") as (plain, _):
        before = await reply_to(plain, asking())
    async with opened(f"local:{tiny}+{adapter}") as (tuned, _):
        assert await reply_to(tuned, asking()) != before
        assert tuned.name != plain.name


async def test_an_adapter_is_no_model_of_its_own(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="is an adapter; write it behind its model"):
        async with opened(f"local:{write_adapter(tmp_path / 'tuned.gguf')}"):
            pass


async def test_its_calls_cost_nothing_are_kept_and_fit_any_budget(tiny: Path) -> None:
    calls = MemoryCalls()
    async with opened(f"local:{tiny}") as (inner, _):
        model = wrapped(inner, calls=calls, meters=calls, prices=Prices(), budget=Budget(0.0))
        first, again = await model.complete(asking()), await model.complete(asking())
    assert (first.usage.cost, again.text, len(calls.calls)) == (0.0, first.text, 1)
    assert calls.meters["other/query"]["calls"] == 1
    assert calls.meters["other/query"]["unpriced"] == 0


async def test_an_action_is_one_of_those_that_there_are_and_may_hold_quotation_marks(tiny: Path) -> None:
    fields = asking().fields.model_copy(update={"actions": 'fill(e12, "text")   replace a text\nback()   go back'})
    async with opened(f"local:{tiny}@llama.cpp") as (model, _):
        said = [
            json.loads(
                await reply_to(model, Request(role="act", fields=fields, sample=n, temperature=1.5, max_tokens=200))
            )
            for n in range(4)
        ]
    assert [list(each) for each in said] == 4 * [["reason", "action"]]
    assert all(re.match(r"(fill|back)\(", each["action"]) and each["action"].endswith(")") for each in said)


async def test_lists_of_tasks_and_labels_are_held_to_their_form(tiny: Path) -> None:
    document = Document(text="Press Save.", source="x", title="x")
    propose = Request(role="propose", fields=Fields(document=document, count=2, actions="go()"), max_tokens=4000)
    async with opened(f"local:{tiny}@llama.cpp", PromptLimits(structured=("propose",))) as (model, _):
        tasks = json.loads(await reply_to(model, propose))["tasks"]
    assert 1 <= len(tasks) <= 2
    assert all(list(task) == ["instruction", "quote", "ending"] for task in tasks)
    assert all(isinstance(task["ending"], bool) for task in tasks)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_value_is_a_number(tiny: Path, engine: str) -> None:
    request = Request(role="value", fields=asking().fields, max_tokens=2_000)
    async with opened(f"local:{tiny}@{engine}", PromptLimits(structured=PARTS_OF_A_RUN)) as (model, _):
        said = json.loads(await reply_to(model, request))
    assert list(said) == ["reason", "value"]
    assert said["value"] in range(11)
    assert type(said["value"]) is int


# the door


async def test_nobody_is_answered_without_the_key(tiny: Path) -> None:
    server = LocalServer(obtain(chosen(str(tiny)), print), print)
    try:
        address = await server.running()
        for key in ("", "wrong", address.key[:-1]):
            wire = Wire("x", address.url, {"authorization": f"Bearer {key}"}, Settings())
            with pytest.raises(ModelError) as failure:
                await wire.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]})
            await wire.close()
            assert failure.value.kind == "authentication"
        shown = Path(f"/proc/{server.pid}/cmdline").read_bytes() + Path(f"/proc/{server.pid}/environ").read_bytes()
        assert address.key.encode() not in shown
    finally:
        await server.stop()


async def test_a_process_gets_no_key_of_ours(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sesame-open-0123456789")
    async with opened(f"local:{tiny}") as (model, _):
        environ = Path(f"/proc/{await process_of(model)}/environ").read_bytes()
    assert b"sesame" not in environ


# ends


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_process_that_was_killed_is_started_again_and_the_call_is_none_the_worse(
    tiny: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "load", lambda: 0.0)
    async with opened(f"local:{tiny}@{engine}") as (model, lines):
        before, pid = await reply_to(model, asking()), await process_of(model)
        monkeypatch.setattr(fit, "load", lambda: 100.0)  # a machine that is busy by now changes no reply
        os.kill(pid, signal.SIGKILL)
        assert await gone(pid)
        assert await reply_to(model, asking()) == before
        assert await process_of(model) != pid
    assert any("was killed, which the system does where memory runs out; starting it again" in line for line in lines)


async def test_a_call_in_flight_fails_as_the_provider_and_is_made_again(tiny: Path) -> None:
    calls = MemoryCalls()
    async with opened(f"local:{tiny}") as (inner, _):
        pid = await process_of(inner)
        os.kill(pid, signal.SIGSTOP)
        direct = asyncio.create_task(inner.complete(asking()))
        await asyncio.sleep(0.2)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ModelBusy) as failure:
            await direct
        assert failure.value.kind == "connection"
        await reply_to(inner, asking())

        model = wrapped(inner, calls=calls, meters=calls, prices=Prices(), retry=Retry(first=0.01))
        os.kill(pid := await process_of(inner), signal.SIGSTOP)
        call = asyncio.create_task(model.complete(asking()))
        await asyncio.sleep(0.2)
        os.kill(pid, signal.SIGKILL)
        assert json.loads((await call).text)
    assert calls.meters["other/query"]["failures"] == 1
    assert calls.failed == {}


async def test_a_process_that_dies_again_and_again_ends_the_run_by_name(tiny: Path) -> None:
    async with opened(f"local:{tiny}") as (model, _):
        for _ in range(3):
            os.kill(pid := await process_of(model), signal.SIGKILL)
            assert await gone(pid)
            await reply_to(model, asking())
        os.kill(await process_of(model), signal.SIGKILL)
        with pytest.raises(ModelUnavailable, match=r"killed: the process that runs local:tiny.* 4 times within"):
            await reply_to(model, asking())


async def test_a_process_that_hangs_is_ended_and_started_again(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_SLOWEST": 0.0, "_HEALTH": 0.2}.items():
        monkeypatch.setattr(f"lbi.models.providers.local.{name}", value)
    model, lines = open_model(f"local:{tiny}", limits=STRUCTURED, timeout=1.0), []
    assert isinstance(model, Local)
    try:
        await model.prepare(lines.append)
        os.kill(pid := await process_of(model), signal.SIGSTOP)
        with pytest.raises(ModelBusy) as failure:
            await model.complete(asking())
        assert failure.value.kind == "timeout"
        assert await gone(pid)
        assert any("hangs" in line for line in lines)
        assert await process_of(model) != pid
    finally:
        await model.close()


async def test_it_ends_when_it_is_closed_also_while_it_starts(tiny: Path) -> None:
    async with opened(f"local:{tiny}") as (model, _):
        pid = await process_of(model)
    assert await gone(pid)
    model = open_model(f"local:{tiny}", limits=STRUCTURED)
    assert isinstance(model, Local)
    starting = asyncio.create_task(model.prepare(print))
    await asyncio.sleep(0)  # it has begun, and cannot be ready yet
    await model.close()
    with pytest.raises((asyncio.CancelledError, ModelUnavailable)):
        await starting


_HOLD = """
import asyncio, sys
from lbi.models.registry import open_model
async def hold():
    model = open_model(sys.argv[1])
    await model.prepare(lambda line: None)
    print((await model.server()).pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(hold())
"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
async def test_it_ends_with_us_however_we_end(tiny: Path, engine: str, end: signal.Signals) -> None:
    command = [sys.executable, "-c", _HOLD, f"local:{tiny}@{engine}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert not Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].startswith(" Z")
        process.send_signal(end)
    assert await gone(pid)


# what cannot be started


async def test_weights_that_no_engine_can_read_are_told_by_name(tiny: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny.read_bytes()[: tiny.stat().st_size // 2])
    with pytest.raises(ModelUnavailable, match=r"cannot be loaded: local:cut\.gguf#\w+ with llama\.cpp"):
        async with opened(f"local:{cut}"):
            pass


async def test_too_little_memory_ends_the_run_before_a_process_is_started(tiny: Path, monkeypatch) -> None:
    monkeypatch.setattr(fit, "free_memory", lambda: 1_000_000)
    with pytest.raises(
        ModelUnavailable, match=r"too little memory: the model needs about 0\.\d GB and 0\.0 GB are free"
    ):
        async with opened(f"local:{tiny}"):
            pass


async def test_a_process_that_is_killed_while_it_starts_is_told_by_name(tiny: Path) -> None:
    weights = obtain(chosen(str(tiny)), print)
    server = LocalServer(weights, print)
    starting = asyncio.create_task(server.running())
    await begun(server)
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(UserError, match=r"killed: the process that runs local:tiny.* while it started"):
        await starting
    assert isinstance(weights, Weights)


# how fast


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_trial_says_how_fast_it_reads_and_writes(tiny: Path, engine: str) -> None:
    trial = await measure(obtain(chosen(f"{tiny}@{engine}"), print))
    assert trial.engine == engine
    assert trial.prompt_tokens > 2_000
    assert 0.9 * trial.prompt_tokens < trial.again_cached < trial.prompt_tokens
    assert min(trial.read, trial.written, trial.again) > 0
