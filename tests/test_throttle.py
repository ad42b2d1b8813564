"""The throttle before a provider: rate limits are learnt and shared, a dead provider is waited for, nothing is lost."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable

import pytest

from lbi.errors import FailureKind, ModelBusy, ModelError, ModelUnavailable
from lbi.models.middleware.base import MemoryCalls
from lbi.models.middleware.circuit_breaker import Pause
from lbi.models.middleware.rate_limit import Bucket, RateLimit
from lbi.models.middleware.retry import Retry, retried
from lbi.models.middleware.stack import wrapped
from lbi.models.middleware.throttle import Throttle
from lbi.models.pricing import Prices
from lbi.models.providers.scripted import Scripted
from lbi.models.registry import open_model
from lbi.models.testing.model_server import Answer, ModelServer
from lbi.protocols import Fields, Model, ModelInfo, Reply, Request
from lbi.records import Left, Observation, Task

REQUEST = Request(
    role="act", fields=Fields(task=Task(instruction="Go", environment="web"), observation=Observation(text="a"))
)
PROVIDERS = ["anthropic", "google", "openai"]
DEAD: list[FailureKind] = ["timeout", "connection", "cut off", "malformed", "overloaded", "server error"]


class Clock:
    """Time that passes when everybody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept = 0.0
        self._until: list[float] = []

    async def until(self, reached: Callable[[], bool]) -> None:
        while not reached():  # noqa: ASYNC110 (nobody tells when virtual time has passed)
            await asyncio.sleep(0)

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        until = self.now + max(seconds, 1e-6)  # what rounding leaves of a wait must end too
        self.slept += seconds
        self._until.append(until)
        for _ in range(20):  # everybody else goes as far as possible
            await asyncio.sleep(0)
        while self.now < until:
            if until == min(self._until):
                self.now = until
            else:
                await asyncio.sleep(0)
        self._until.remove(until)

    def throttle(self, *, reached: bool = True, **options: object) -> Throttle:
        """Of a provider that has answered once in this run, unless it was never ``reached``."""
        throttle = Throttle("provider", clock=self.time, sleep=self.sleep, **options)  # type: ignore[arg-type]
        if reached:
            throttle.circuit_breaker.worked(probe=False)
        return throttle

    def retried(self, model: Model, throttle: Throttle, retry: Retry | None = None) -> Model:
        chance = random.Random(1)
        return retried(model, retry or Retry(), throttle, sleep=self.sleep, clock=self.time, rng=chance)


def sample(n: int) -> Request:
    return REQUEST.model_copy(update={"sample": n})


async def ask(model: Model, count: int) -> list[str]:
    return [reply.text for reply in await asyncio.gather(*(model.complete(sample(n)) for n in range(count)))]


# what a provider states


def test_an_empty_limit_fills_steadily() -> None:
    bucket = Bucket()
    bucket.learn(Left("requests", limit=50, remaining=0, resets_in=10), sent_before=0, started=0)
    assert bucket.wait(1, now=0) == pytest.approx(0.2)
    assert bucket.wait(1, now=0.2) == 0
    assert bucket.wait(50, now=0.2) == pytest.approx(9.8)
    assert bucket.wait(1000, now=10) == 0  # more than there ever is waits for all there is


def test_a_limit_without_its_size_waits_for_the_reset() -> None:
    bucket = Bucket()
    bucket.learn(Left("requests", limit=None, remaining=0, resets_in=10), sent_before=0, started=0)
    assert (bucket.wait(1, now=4), bucket.wait(1, now=10)) == (6, 0)


def test_calls_that_started_later_are_not_in_what_a_reply_says_is_left() -> None:
    bucket = Bucket()
    before = bucket.sent
    for _ in range(3):
        bucket.take(1)  # the first of these is the one whose reply comes; the provider saw only that one
    bucket.learn(Left("requests", limit=10, remaining=3, resets_in=100), before + 1, started=0)
    bucket.take(1)
    assert bucket.wait(1, now=0) > 0


def test_tokens_count_as_many_as_a_prompt_has() -> None:
    limit = RateLimit()
    said = (Left("requests", 50, 40, 10), Left("input tokens", 1000, 100, 9), Left("output tokens", 500, 400, 1))
    limit.learn(said, {}, started=0)
    assert limit.wait(100, now=0) == 0
    assert limit.wait(200, now=0) == pytest.approx(1)


class Limited:
    """A provider with a bucket of ``limit`` calls that fills in a minute; states what is left, as real ones do."""

    name, info = "limited:m", ModelInfo()

    def __init__(self, clock: Clock, limit: int, latency: float = 2.0, headers: bool = True) -> None:
        self._clock, self._limit, self._latency, self._headers = clock, limit, latency, headers
        self._level, self._at = float(limit), 0.0
        self.refused = self.answered = 0

    async def complete(self, request: Request) -> Reply:
        now = self._clock.now
        self._level = min(self._limit, self._level + (now - self._at) * self._limit / 60)
        self._at = now
        admitted = self._level >= 1
        self._level -= admitted
        left = (Left("requests", self._limit, int(self._level), 60 * (1 - self._level / self._limit)),)
        await self._clock.sleep(self._latency if admitted else 0.1)
        if not admitted:
            self.refused += 1
            raise ModelBusy("slow down", kind="rate limit", left=left if self._headers else ())
        self.answered += 1
        return Reply(text="ok", model=self.name, left=left if self._headers else ())

    async def close(self) -> None:
        pass


async def test_stated_limits_are_used_up_and_hardly_exceeded() -> None:
    clock = Clock()
    provider = Limited(clock, limit=60)
    model = clock.retried(provider, clock.throttle())
    assert await ask(model, 300) == ["ok"] * 300
    ideal = (300 - 60) / 1.0  # a full bucket, then one a second
    assert clock.now < 1.15 * ideal
    assert provider.refused < 300 - 60 + 30  # the first burst, before anything is known, and few after it


async def test_a_server_that_states_no_limits_is_learnt_from_its_refusals() -> None:
    class Narrow(Limited):
        """Takes eight calls at once."""

        flying = 0

        async def complete(self, request: Request) -> Reply:
            if self.flying >= 8:
                self.refused += 1
                raise ModelBusy("no slot", kind="overloaded")
            self.flying += 1
            try:
                await clock.sleep(1.0)
                return Reply(text="ok", model=self.name)
            finally:
                self.flying -= 1

    clock = Clock()
    narrow = Narrow(clock, limit=0)
    model = clock.retried(narrow, clock.throttle(pause=Pause(failures=1000)), Retry(attempts=50))
    assert await ask(model, 200) == ["ok"] * 200
    assert narrow.refused < 2 * 200


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_wait_that_one_task_is_told_holds_for_all_of_them(provider: str) -> None:
    clock = Clock()
    async with ModelServer([Answer(status=429, retry_after=30), "ok"]) as server:
        model = open_model(f"{provider}:any", base_url=server.url_of(provider))
        asked = clock.retried(model, clock.throttle())
        first = asyncio.create_task(asked.complete(sample(0)))
        await clock.until(lambda: clock.slept > 0)
        assert (await asked.complete(sample(1))).text == (await first).text == "ok"
        await model.close()
    assert clock.now >= 30


async def test_a_long_wait_is_said() -> None:
    said: list[str] = []
    clock = Clock()
    model = clock.throttle(say=said.append).of("a model")
    model.rate_limit.learn((Left("requests", None, 0, 120),), {}, started=0)
    await model.enter(tokens=1)
    assert clock.now == 120
    assert said == ["a model: the provider's rate limit is used up; going on in 120 s"]


# the circuit breaker


def failing(times: int, kind: FailureKind = "connection") -> Scripted:
    """Fails so often, and then works."""
    left = iter(range(times))
    return Scripted(lambda request: ModelBusy("gone", kind=kind) if next(left, None) is not None else "ok")


@pytest.mark.parametrize("kind", DEAD)
async def test_a_dead_provider_is_paused_said_and_resumed_and_no_call_is_lost(kind: FailureKind) -> None:
    said: list[str] = []
    clock, provider = Clock(), failing(12, kind)
    throttle = clock.throttle(say=said.append, pause=Pause(failures=5, first=10, longest=10_000))
    assert await ask(clock.retried(provider, throttle), 1) == ["ok"]
    assert provider.calls == 13
    assert "does not answer (gone); all its calls wait, next try in 10 s" in said[0]
    assert "answers again after" in said[-1]
    assert len(said) == 1 + 7 + 1  # the pause, each try that failed, the end
    assert clock.now >= 10 * (2**8 - 1)  # each pause is twice as long


async def test_while_a_provider_is_paused_one_call_at_a_time_tries() -> None:
    clock, flying, most = Clock(), 0, 0
    throttle = clock.throttle(pause=Pause(failures=5, first=10))
    dead = True

    class Provider(Limited):
        async def complete(self, request: Request) -> Reply:
            nonlocal flying, most
            flying += 1
            most = max(most, flying) if throttle.circuit_breaker.paused else 0
            await clock.sleep(1)
            flying -= 1
            if dead:
                raise ModelBusy("gone", kind="connection")
            return Reply(text="ok", model=self.name)

    tasks = asyncio.create_task(ask(clock.retried(Provider(clock, 1), throttle, Retry(attempts=9)), 50))
    await clock.until(lambda: clock.now >= 200)
    assert throttle.circuit_breaker.paused
    assert most == 1
    dead = False
    assert await tasks == ["ok"] * 50


async def test_a_provider_that_stays_away_ends_the_run_with_what_to_do() -> None:
    clock = Clock()
    throttle = clock.throttle(say=lambda text: None, pause=Pause(failures=2, first=10, patience=100))
    model = clock.retried(failing(10**6), throttle, Retry(attempts=50))
    found = await asyncio.gather(*(model.complete(sample(n)) for n in range(10)), return_exceptions=True)
    assert {type(each) for each in found} == {ModelUnavailable}
    assert "provider has not answered for" in str(found[0])
    assert "start the same command again" in str(found[0])


async def test_an_address_that_nobody_ever_answered_at_ends_the_run_soon() -> None:
    said: list[str] = []
    clock = Clock()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # taken, and nobody listens
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        model = open_model("openai:mine", base_url=address)
        throttle = Throttle(f"openai at {address}", say=said.append, clock=clock.time, sleep=clock.sleep)
        asked = clock.retried(model, throttle)
        found = await asyncio.gather(*(asked.complete(sample(n)) for n in range(5)), return_exceptions=True)
        await model.close()
    assert {type(error) for error in found} == {ModelUnavailable}
    assert f"openai at {address} could not be reached in 10 s" in str(found[0])
    assert "see that the address is right and that a server runs there" in str(found[0])
    assert "start the same command again" in str(found[0])
    assert "\n" not in str(found[0])
    assert clock.now < 15
    assert len(said) == 1
    assert "trying for 10 s in all" in said[0]


async def test_a_server_that_comes_up_within_its_first_seconds_is_waited_for() -> None:
    clock = Clock()
    model = clock.retried(failing(4), clock.throttle(reached=False, say=lambda text: None))
    assert await ask(model, 3) == ["ok"] * 3
    assert clock.now < 10


@pytest.mark.parametrize("kind", [kind for kind in DEAD if kind != "connection"])
async def test_a_server_that_is_there_and_fails_gets_the_usual_patience_from_its_first_call(kind: FailureKind) -> None:
    clock = Clock()
    throttle = clock.throttle(reached=False, say=lambda text: None, pause=Pause(failures=2, first=10))
    assert await ask(clock.retried(failing(6, kind), throttle), 1) == ["ok"]
    assert clock.now > 100


@pytest.mark.parametrize("failure", [ModelBusy("slow", kind="rate limit"), ModelError("no", kind="bad request")])
async def test_a_provider_that_refuses_is_not_dead(failure: ModelError) -> None:
    clock = Clock()
    throttle = clock.throttle()
    model = clock.retried(Scripted([failure] * 30), throttle)
    await asyncio.gather(*(model.complete(sample(n)) for n in range(5)), return_exceptions=True)
    assert not throttle.circuit_breaker.paused


async def test_a_try_that_is_cancelled_leaves_the_next_one_to_another() -> None:
    clock = Clock()
    throttle = clock.throttle(say=lambda text: None, pause=Pause(failures=1, first=10))
    stuck: list[int] = []

    class Provider(Limited):
        asked = 0

        async def complete(self, request: Request) -> Reply:
            self.asked += 1
            if self.asked == 1:
                raise ModelBusy("gone", kind="connection")
            if self.asked == 2:
                stuck.append(request.sample)
                await asyncio.Event().wait()
            return Reply(text="ok", model=self.name)

    model = clock.retried(Provider(clock, 1), throttle)
    tasks = [asyncio.create_task(model.complete(sample(0)))]
    await clock.until(lambda: throttle.circuit_breaker.paused)
    tasks.append(asyncio.create_task(model.complete(sample(1))))
    await clock.until(lambda: bool(stuck))
    tasks.pop(stuck[0]).cancel()
    assert (await tasks[0]).text == "ok"
    assert not throttle.circuit_breaker.paused


async def test_models_of_one_provider_share_the_pause_and_not_the_limits() -> None:
    throttle = Clock().throttle()
    throttle.of("a").rate_limit.learn((Left("requests", 50, 0, 10),), {}, 0)
    assert throttle.of("a").rate_limit.wait(1, 0) > 0
    assert throttle.of("b").rate_limit.wait(1, 0) == 0
    assert throttle.of("a").circuit_breaker is throttle.of("b").circuit_breaker is throttle.circuit_breaker


async def test_waiting_at_the_throttle_uses_up_no_patience_of_a_call() -> None:
    clock, provider = Clock(), failing(20)
    throttle = clock.throttle(say=lambda text: None, pause=Pause(failures=2, first=100, longest=100))
    model = clock.retried(provider, throttle, Retry(attempts=4, deadline=60))
    assert (await model.complete(REQUEST)).text == "ok"
    assert clock.now > 1000


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_over_the_wire_every_call_ends_well_though_the_server_was_gone(provider: str) -> None:
    said: list[str] = []
    gone = iter([Answer(flaw=flaw) for flaw in ("reset", "cut_off", "malformed", "not_json", "reset") * 6])
    async with ModelServer(lambda asked: next(gone, Answer("ok"))) as server:
        store = MemoryCalls()
        model = wrapped(
            open_model(f"{provider}:any", base_url=server.url_of(provider)),
            calls=store,
            meters=store,
            prices=Prices(),
            retry=Retry(first=0.001),
            throttle=Throttle(provider, say=said.append, pause=Pause(first=0.001)),
        )
        assert await ask(model, 25) == ["ok"] * 25
        await model.close()
    assert "does not answer" in said[0]
    assert "answers again" in said[-1]
    assert len(server.requests) == 30 + 25


# patience


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_what_no_call_could_get_round_stops_at_once(provider: str) -> None:
    for status in (401, 402, 404):
        async with ModelServer([Answer(status=status)]) as server:
            model = open_model(f"{provider}:any", base_url=server.url_of(provider))
            with pytest.raises(ModelUnavailable, match="start the same command again"):
                await retried(model, Retry()).complete(REQUEST)
            await model.close()
        assert len(server.requests) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_deadline_ends_an_attempt_that_is_under_way(provider: str) -> None:
    async with ModelServer([Answer(flaw="hang")]) as server:
        model = open_model(f"{provider}:any", base_url=server.url_of(provider))
        with pytest.raises(ModelBusy, match="deadline passed; gave up after 1 attempts"):
            await retried(model, Retry(deadline=0.2)).complete(REQUEST)
        await model.close()


async def test_a_cancelled_call_leaves_its_place_to_others() -> None:
    throttle = Throttle("provider")
    async with ModelServer([Answer(flaw="hang")]) as server:
        model = open_model("openai:any", base_url=server.openai_url)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(retried(model, Retry(), throttle).complete(REQUEST), 0.2)
        await model.close()
    assert throttle.of("openai:any").rate_limit.in_flight == 0
