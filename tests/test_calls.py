"""The wrappers around a model: what is paid, what is remembered, what is tried again, and when it is over."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbi.errors import BudgetExceeded, ModelBusy, ModelError, ParseError, UserError
from lbi.models import parsing
from lbi.models.middleware.base import MemoryCalls
from lbi.models.middleware.budget import Budget, budgeted, parse_budget
from lbi.models.middleware.cache import cached, call_key
from lbi.models.middleware.metering import metered
from lbi.models.middleware.retry import retried
from lbi.models.middleware.stack import Retry, wrapped
from lbi.models.middleware.throttle import Throttle
from lbi.models.pricing import Price, Prices
from lbi.models.providers.scripted import Scripted
from lbi.models.registry import open_model
from lbi.models.testing.model_server import Answer, ModelServer
from lbi.prompts import render
from lbi.protocols import Fields, Message, Model, Reply, Request
from lbi.records import Observation, Task, Usage
from lbi.storage.run_folder import RunFolder

REQUEST = Request(
    role="act",
    fields=Fields(task=Task(instruction="Go", environment="web"), observation=Observation(text="button [e1]")),
    stage="rollout",
)
MILLION = 1_000_000
PRICES = Prices({"scripted:test": (1.0, 10.0)})  # dollars per million tokens
GOOD = "REASON: r\nACTION: back()"


def paying(*replies: str | Exception, usage: Usage | None = None) -> Scripted:
    """A scripted model; with a usage, one whose every reply has it."""
    model = Scripted(replies)
    if usage is not None:
        inner = model.complete

        async def complete(request: Request) -> Reply:
            return (await inner(request)).model_copy(update={"usage": usage})

        model.complete = complete  # type: ignore[method-assign]
    return model


def sample(n: int) -> Request:
    return REQUEST.model_copy(update={"sample": n})


# cached


async def test_a_question_asked_twice_is_sent_once_and_the_hit_costs_nothing() -> None:
    model, store = paying(GOOD), MemoryCalls()
    asked = cached(metered(model, store, PRICES), store, store)
    first, second = await asked.complete(REQUEST), await asked.complete(REQUEST)
    assert (first.text, second.text, model.calls) == (GOOD, GOOD, 1)
    assert first.usage.cost
    assert second.usage.cost == 0
    assert second.usage.input_tokens == first.usage.input_tokens
    assert store.meters["rollout/act"]["hits"] == 1
    assert store.meters["rollout/act"]["calls"] == 1


async def test_the_samples_of_one_prompt_are_calls_of_their_own() -> None:
    model, store = paying("a", "b", "c"), MemoryCalls()
    asked = cached(model, store, store)
    assert [(await asked.complete(sample(n))).text for n in (0, 1, 2, 0)] == ["a", "b", "c", "a"]


async def test_one_question_asked_by_many_at_once_is_sent_once() -> None:
    async with ModelServer() as server:
        model, store = open_model("openai:any", base_url=server.openai_url), MemoryCalls()
        asked = cached(model, store, store)
        replies = await asyncio.gather(*(asked.complete(REQUEST) for _ in range(20)))
        await asked.close()
    assert {reply.text for reply in replies} == {"ok"}
    assert len(server.requests) == 1


async def test_a_failed_call_is_never_an_empty_reply_and_never_remembered() -> None:
    model, store = paying(ModelError("refused"), GOOD), MemoryCalls()
    asked = cached(model, store, store)
    with pytest.raises(ModelError):
        await asked.complete(REQUEST)
    assert not store.calls
    assert (await asked.complete(REQUEST)).text == GOOD


async def test_a_call_that_failed_is_kept_apart_until_it_succeeds(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run") as run:
        model = cached(paying(ModelError("refused"), ModelError("refused"), GOOD), run.store, run.store)
        for _ in range(2):
            with pytest.raises(ModelError):
                await model.complete(REQUEST)
        count = "SELECT (SELECT count(*) FROM call), (SELECT sum(attempts) FROM failed_call)"
        assert run.store._rows(count) == [(0, 2)]
        assert (await model.complete(REQUEST)).text == GOOD
        assert run.store._rows(count) == [(1, None)]


async def test_a_run_that_is_started_again_pays_for_no_call_twice(tmp_path: Path) -> None:
    for replies in ((GOOD,), ()):
        with RunFolder(tmp_path / "run") as run:
            model = wrapped(paying(*replies), calls=run.store, meters=run.store, prices=PRICES, budget=Budget(1))
            reply = await model.complete(REQUEST)
            meter = run.store.meters()["rollout/act"]
        assert reply.text == GOOD
    assert (meter["calls"], meter["hits"], reply.usage.cost) == (1, 1, 0)


async def test_a_call_is_in_the_store_before_its_reply_is_used() -> None:
    class Full(MemoryCalls):
        def put_call(self, *args: object, **kwargs: object) -> None:
            raise UserError("the disk is full")

    asked = cached(paying(GOOD), Full(), MemoryCalls())
    with pytest.raises(UserError, match="full"):
        await asked.complete(REQUEST)


async def test_an_unreadable_reply_and_its_second_try_are_both_remembered() -> None:
    model, store = paying("no action", GOOD), MemoryCalls()
    asked = cached(model, store, store)
    for _ in range(2):
        assert (await parsing.ask(asked, REQUEST, parsing.act))[0] == ("r", "back()")
    assert model.calls == 2


@given(st.data())
def test_whatever_changes_the_question_changes_the_key(data: st.DataObject) -> None:
    messages = render(REQUEST)
    changed_request, changed_messages, model = REQUEST, messages, "m"
    match data.draw(
        st.sampled_from(["sample", "temperature", "max_tokens", "text", "image", "role", "turns", "model"])
    ):
        case "sample" | "max_tokens" as name:
            changed_request = REQUEST.model_copy(update={name: data.draw(st.integers(2000, 3000))})
        case "temperature":
            changed_request = REQUEST.model_copy(update={"temperature": data.draw(st.floats(0.1, 2))})
        case "text":
            last = messages[-1].content + data.draw(st.text(min_size=1))
            changed_messages = (*messages[:-1], Message(role="user", content=last))
        case "image":
            changed_messages = (*messages[:-1], messages[-1].model_copy(update={"images": ("cafe",)}))
        case "role":
            changed_messages = (*messages[:-1], messages[-1].model_copy(update={"role": "assistant"}))
        case "turns":
            changed_messages = (*messages, Message(role="assistant", content=""))
        case _:
            model = "n"
    assert call_key("m", REQUEST, messages) == call_key("m", REQUEST, render(REQUEST))
    assert call_key(model, changed_request, changed_messages) != call_key("m", REQUEST, messages)


def test_the_stage_that_asks_is_no_part_of_the_key() -> None:
    messages = render(REQUEST)
    assert call_key("m", REQUEST, messages) == call_key("m", REQUEST.model_copy(update={"stage": "b"}), messages)


# metered


async def test_tokens_and_money_are_added_up_per_stage_and_role() -> None:
    store = MemoryCalls()
    model = metered(paying("a", "b", usage=Usage(calls=1, input_tokens=MILLION, output_tokens=1000)), store, PRICES)
    reply = await model.complete(REQUEST)
    await model.complete(REQUEST)
    assert reply.usage == Usage(calls=1, input_tokens=MILLION, output_tokens=1000, cost=1.01)
    meter = store.meters["rollout/act"]
    assert (meter["calls"], meter["input_tokens"], meter["cost"], meter["unpriced"]) == (2, 2 * MILLION, 2.02, 0)


async def test_an_unknown_price_is_unknown_and_not_zero() -> None:
    store = MemoryCalls()
    reply = await metered(paying("a"), store, Prices()).complete(REQUEST)
    assert reply.usage.cost is None
    assert store.meters["rollout/act"]["unpriced"] == 1


async def test_a_refused_reply_is_paid_for() -> None:
    store = MemoryCalls()
    failure = ModelError("refused", usage=Usage(calls=1, input_tokens=MILLION, cost=None))
    with pytest.raises(ModelError) as caught:
        await metered(paying(failure), store, PRICES).complete(REQUEST)
    assert caught.value.usage.cost == 1.0
    assert store.meters["rollout/act"]["cost"] == 1.0
    assert store.meters["rollout/act"]["failures"] == 1


async def test_calls_whose_replies_could_not_be_read_are_charged() -> None:
    store, budget = MemoryCalls(), Budget(10)
    usage = Usage(calls=1, input_tokens=MILLION, cost=None)
    model = wrapped(paying("no", "no", usage=usage), calls=store, meters=store, prices=PRICES, budget=budget)
    with pytest.raises(ParseError) as caught:
        await parsing.ask(model, REQUEST, parsing.act)
    assert caught.value.usage.cost == 2.0
    assert budget.spent == 2.0
    assert store.meters["rollout/act"]["cost"] == 2.0


async def test_tokens_that_a_server_does_not_state_are_estimated() -> None:
    async with ModelServer([Answer(flaw="no_usage")]) as server:
        model = metered(open_model("openai:any", base_url=server.openai_url), MemoryCalls(), Prices({"any": (1, 1)}))
        reply = await model.complete(REQUEST)
        await model.close()
    assert reply.usage.input_tokens > 100
    assert reply.usage.cost


async def test_a_free_model_costs_nothing_and_is_not_cached() -> None:
    store, model = MemoryCalls(), Scripted(["a", "b"], free=True)
    asked = wrapped(model, calls=store, meters=store, prices=Prices(), budget=Budget(0))
    assert [(await asked.complete(REQUEST)).text for _ in range(2)] == ["a", "b"]
    assert store.meters["rollout/act"]["cost"] == 0
    assert not store.calls


# prices


def test_a_listed_model_has_a_price_in_which_cached_tokens_are_cheaper_and_written_ones_dearer() -> None:
    full = Prices().cost("anthropic:claude-sonnet-4-5", Usage(calls=1, input_tokens=1000))
    read = Prices().cost("anthropic:claude-sonnet-4-5", Usage(calls=1, input_tokens=1000, cached_tokens=1000))
    written = Prices().cost("anthropic:claude-sonnet-4-5", Usage(calls=1, input_tokens=1000, written_tokens=1000))
    assert full is not None
    assert read is not None
    assert written is not None
    assert 0 < read < full < written


def test_the_users_price_wins_also_without_the_provider_in_the_name() -> None:
    usage = Usage(calls=1, input_tokens=MILLION, output_tokens=MILLION)
    assert Prices({"gpt-4o": (1, 2)}).cost("openai:gpt-4o", usage) == 3
    assert Prices({"openai:gpt-4o": (3, 4)}).cost("openai:gpt-4o", usage) == 7


def test_a_server_of_ones_own_has_no_price_however_its_model_is_called() -> None:
    assert Prices().cost("openai:gpt-4o", Usage(), endpoint="http://127.0.0.1:8000/v1") is None
    assert Prices().knows("openai:gpt-4o")


def test_the_users_price_may_tell_cached_and_written_tokens_apart() -> None:
    usage = Usage(calls=1, input_tokens=3 * MILLION, cached_tokens=MILLION, written_tokens=MILLION)
    assert Prices({"m": (2.0, 9.0)}).cost("a:m", usage) == 6
    assert Prices({"m": Price(input=2.0, output=9.0, cached=0.5, written=3.0)}).cost("a:m", usage) == 5.5


def test_a_price_is_told_with_its_date_and_where_it_is_from() -> None:
    listed = Prices().of("anthropic:claude-sonnet-4-5", "2026-11-22")
    assert listed is not None
    assert listed.cached is not None
    assert listed.written is not None
    assert listed.cached < listed.input < listed.written
    assert (listed.date, listed.source.split()[0]) == ("2026-11-22", "genai-prices")
    usage = Usage(calls=1, input_tokens=1000, output_tokens=1000, cached_tokens=100, written_tokens=200)
    assert listed.cost(usage) == pytest.approx(Prices().cost("anthropic:claude-sonnet-4-5", usage))
    own = Prices({"m": Price(input=1, output=2, date="2026-01-05")}).of("a:m", "2026-11-22")
    assert own is not None
    assert (own.date, own.source) == ("2026-01-05", "config")
    assert Prices().of("a:m", "2026-11-22") is None


async def test_what_is_read_from_and_written_to_a_cache_is_metered_apart() -> None:
    store = MemoryCalls()
    usage = Usage(calls=1, input_tokens=1000, cached_tokens=600, written_tokens=300, cost=None)
    reply = await metered(paying("a", usage=usage), store, PRICES).complete(REQUEST)
    meter = store.meters["rollout/act"]
    assert (meter["cached_tokens"], meter["written_tokens"]) == (600, 300)
    assert (reply.usage + reply.usage).written_tokens == 600


# budgeted


def test_a_budget_with_an_unknown_price_refuses_to_start() -> None:
    with pytest.raises(UserError, match=r"scripted:test.*models\.prices"):
        wrapped(paying(), calls=MemoryCalls(), meters=MemoryCalls(), prices=Prices(), budget=Budget(20))


async def test_no_call_starts_that_could_exceed_the_budget() -> None:
    model, budget = paying(*["a"] * 9, usage=Usage(calls=1, input_tokens=50_000, cost=None)), Budget(0.2)
    asked = budgeted(metered(model, MemoryCalls(), PRICES), budget, PRICES)
    replies = [await asked.complete(sample(n)) for n in range(2)]  # 0.05 each, and about as much in reserve
    assert sum(reply.usage.cost or 0 for reply in replies) == budget.spent == 0.1
    budget.spent += 0.08  # by another model of the run
    with pytest.raises(BudgetExceeded, match=r"0\.20 USD"):
        await asked.complete(sample(3))
    assert model.calls == 2


async def test_what_was_spent_before_counts() -> None:
    asked = budgeted(paying("a"), Budget(1.0, spent=1.0), PRICES)
    with pytest.raises(BudgetExceeded):
        await asked.complete(REQUEST)


@given(costs=st.lists(st.floats(0, 1), min_size=1, max_size=30), limit=st.floats(0.5, 5))
@settings(max_examples=40)
def test_calls_in_flight_never_exceed_the_budget_together(costs: list[float], limit: float) -> None:
    async def run() -> tuple[Budget, float, int]:
        budget, most, done = Budget(limit), 0.0, 0
        flying: list[float] = []

        async def call(cost: float) -> None:
            nonlocal most, done
            await budget.reserve(1.0)  # the estimate; a call turns out cheaper
            flying.append(cost)
            most = max(most, budget.spent + sum(flying))
            await asyncio.sleep(0)
            flying.remove(cost)
            budget.settle(1.0, cost)
            done += 1

        await asyncio.gather(*(call(cost) for cost in costs), return_exceptions=True)
        return budget, most, done

    budget, most, done = asyncio.run(run())
    assert max(budget.spent, most) <= limit + 1e-9
    assert done == len(costs) or budget.spent + 1.0 > limit  # nobody was turned away for money that came back


async def test_the_end_of_the_budget_waits_for_replies_that_are_on_their_way() -> None:
    arrived, sent = asyncio.Event(), asyncio.Event()
    inner = paying(GOOD, usage=Usage(calls=1, cost=0.001))
    complete = inner.complete

    async def slow(request: Request) -> Reply:
        sent.set()
        await arrived.wait()
        return await complete(request)

    inner.complete = slow  # type: ignore[method-assign]
    store, budget = MemoryCalls(), Budget(0.06)
    asked = cached(budgeted(inner, budget, PRICES), store, store)
    first = asyncio.create_task(asked.complete(sample(1)))
    await sent.wait()
    budget.spent += 0.05  # by others: there is no money for a second call now, whatever the first one costs
    second = asyncio.create_task(asked.complete(sample(2)))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not second.done(), "raising now would end the run, and the reply that is on its way with it"
    arrived.set()
    with pytest.raises(BudgetExceeded):
        await second
    assert (await first).text == GOOD
    assert len(store.calls) == 1


async def test_a_call_is_reserved_at_the_dearer_price_of_writing_its_prompt_to_a_cache() -> None:
    def price(written: float) -> Prices:
        return Prices({"scripted:test": Price(input=1.0, output=0.0, written=written)})

    reserved = []
    for written in (1.0, 5.0):
        budget = Budget(0.0)
        with pytest.raises(BudgetExceeded, match="next call may cost") as caught:
            await budgeted(paying(GOOD), budget, price(written)).complete(REQUEST)
        reserved.append(float(str(caught.value).split("may cost ")[1].split(";")[0]))
    assert reserved[1] == pytest.approx(5 * reserved[0], rel=0.1)


async def test_a_refused_reply_uses_up_budget() -> None:
    failure, budget = ModelError("refused", usage=Usage(calls=1, input_tokens=MILLION, cost=None)), Budget(5)
    asked = budgeted(metered(paying(failure), MemoryCalls(), PRICES), budget, PRICES)
    with pytest.raises(ModelError):
        await asked.complete(REQUEST)
    assert budget.spent == 1.0


async def test_a_cancelled_call_counts_with_its_estimate() -> None:
    async with ModelServer([Answer(flaw="hang")]) as server:
        prices, budget = Prices({"any": (1.0, 1.0)}), Budget(1.0)
        asked = budgeted(open_model("openai:any", base_url=server.openai_url), budget, prices)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asked.complete(REQUEST), 0.3)
        await asked.close()
    assert budget.spent > 0


@pytest.mark.parametrize(("text", "dollars"), [("20usd", 20), ("20", 20), ("$0.5", 0.5), (" 3.25 USD ", 3.25)])
def test_a_budget_is_read(text: str, dollars: float) -> None:
    assert parse_budget(text) == dollars


@pytest.mark.parametrize("text", ["", "20eur", "-3", "a lot", "nan"])
def test_a_budget_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="20usd"):
        parse_budget(text)


# retried


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def retried(self, model: Model, retry: Retry | None = None) -> Model:
        return retried(model, retry or Retry(), sleep=self.sleep, clock=lambda: self.now, rng=random.Random(1))


async def test_a_busy_model_is_asked_again_and_what_was_lost_is_charged() -> None:
    time = Time()
    lost = ModelBusy("busy", usage=Usage(calls=1, input_tokens=5, cost=0.5))
    reply = await time.retried(paying(lost, GOOD, usage=Usage(calls=1, cost=0.25))).complete(REQUEST)
    assert (reply.text, reply.usage.cost, len(time.waits)) == (GOOD, 0.75, 1)


async def test_waits_grow_and_are_bounded() -> None:
    time = Time()
    model = paying(*[ModelBusy("busy")] * 9)
    with pytest.raises(ModelBusy, match="gave up after 6 attempts"):
        await time.retried(model).complete(REQUEST)
    assert model.calls == 6
    assert all(wait <= 2**n for n, wait in enumerate(time.waits))


async def test_the_wait_that_the_provider_asks_for_is_kept() -> None:
    time = Time()
    await time.retried(paying(ModelBusy("busy", retry_after=17), GOOD)).complete(REQUEST)
    assert 17 <= time.waits[0] < 18


async def test_no_wait_ends_after_the_deadline() -> None:
    time = Time()
    with pytest.raises(ModelBusy, match="gave up after 1 attempts"):
        await time.retried(paying(ModelBusy("busy", retry_after=1000), GOOD)).complete(REQUEST)
    assert time.waits == []


async def test_a_failure_for_good_is_not_tried_again() -> None:
    model, time = paying(ModelError("refused"), GOOD), Time()
    with pytest.raises(ModelError, match="refused"):
        await time.retried(model).complete(REQUEST)
    assert model.calls == 1


# all of them


async def test_who_waits_for_money_is_not_in_flight_and_uses_up_no_deadline() -> None:
    arrived, throttle, store = asyncio.Event(), Throttle("test"), MemoryCalls()
    inner = paying(GOOD, GOOD, usage=Usage(calls=1, cost=0.001))
    complete = inner.complete

    async def slow(request: Request) -> Reply:
        await arrived.wait()
        return await complete(request)

    inner.complete = slow  # type: ignore[method-assign]
    model = wrapped(inner, calls=store, meters=store, prices=PRICES, budget=Budget(0.06), throttle=throttle)
    calls = [asyncio.create_task(model.complete(sample(n))) for n in range(2)]  # each may cost more than 0.03
    for _ in range(20):
        await asyncio.sleep(0)
    assert throttle.of(model.name).rate_limit.in_flight == 1
    arrived.set()
    assert [reply.text for reply in await asyncio.gather(*calls)] == [GOOD, GOOD]


def _failing_now_and_then() -> Iterator[Answer]:
    chance = random.Random(4)
    faults = [Answer(status=429, retry_after=0), Answer(status=500), Answer(status=529), Answer(flaw="reset")]
    while True:
        yield chance.choice([*faults, Answer(GOOD), Answer(GOOD), Answer("unreadable")])


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_many_calls_through_a_bad_server_end_well_and_the_books_balance(provider: str) -> None:
    answers, store, budget = _failing_now_and_then(), MemoryCalls(), Budget(5)
    async with ModelServer(lambda asked: next(answers)) as server:
        address = server.openai_url if provider == "openai" else server.anthropic_url
        model = wrapped(
            open_model(f"{provider}:any", base_url=address),
            calls=store,
            meters=store,
            prices=Prices({"any": (2.0, 8.0)}),
            budget=budget,
            retry=Retry(attempts=30, first=0.001, longest=0.002),
        )
        asked = [parsing.ask(model, sample(n), parsing.act) for n in range(15)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        await model.close()
    meter = store.meters["rollout/act"]
    usages = [
        each.usage if isinstance(each, ParseError) else each[1] for each in found if not isinstance(each, ModelError)
    ]  # type: ignore[index]
    assert len(usages) == len(found) == 15
    assert sum(usage.calls for usage in usages) == meter["calls"]
    assert sum(usage.cost or 0 for usage in usages) == pytest.approx(meter["cost"]) == pytest.approx(budget.spent)
    assert meter["calls"] + meter["failures"] == len(server.requests)
