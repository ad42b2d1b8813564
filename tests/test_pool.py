"""Environments at work: the urgent first, leases before work, and how busy they were."""

from __future__ import annotations

import asyncio

import pytest

from fake_environment import LampEnvironments
from lbi.environments._pool import ATTEMPTS, Pool
from lbi.errors import EnvironmentFailure
from lbi.monitoring.utilisation import Utilisation
from lbi.storage.leases import WorkKey


def unwanted(error: EnvironmentFailure, last: bool) -> None:
    pytest.fail(str(error))


async def test_the_urgent_come_first_and_others_in_the_order_in_which_they_came():
    pool, done = Pool(LampEnvironments(), 1), []

    def job(name: str):
        async def work(environment: object) -> None:
            await asyncio.sleep(0)
            done.append(name)

        return work

    wanted = [("replay a", 1), ("replay b", 1), ("roll-out a", 0), ("roll-out b", 0)]
    async with asyncio.TaskGroup() as group:
        group.create_task(pool.do(job("first"), failed=unwanted))
        for name, urgency in wanted:
            group.create_task(pool.do(job(name), failed=unwanted, urgency=urgency))
    await pool.close()
    assert done == ["first", "roll-out a", "roll-out b", "replay a", "replay b"]


async def test_environments_stay_open_between_stages_and_are_closed_once():
    environments = LampEnvironments()
    pool = Pool(environments, 2)

    async def work(environment: object) -> None:
        await asyncio.sleep(0)

    for _ in range(5):
        await asyncio.gather(*(pool.do(work, failed=unwanted) for _ in range(4)))
    await pool.close()
    await pool.close()
    assert [lamps.closed for lamps in environments.opened] == [1, 1]


async def test_who_gives_up_waiting_takes_no_environment_along():
    pool, entered, go = Pool(LampEnvironments(), 1), asyncio.Event(), asyncio.Event()

    async def work(environment: object) -> None:
        entered.set()
        await go.wait()

    first = asyncio.create_task(pool.do(work, failed=unwanted))
    await entered.wait()
    second = asyncio.create_task(pool.do(work, failed=unwanted))
    await asyncio.sleep(0)
    go.set()
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    await asyncio.wait_for(pool.do(work, failed=unwanted), 5)
    await pool.close()


class FakeLeases:
    """Leases that are scripted: what each ``take`` says in turn, then "mine"."""

    def __init__(self, *said: str) -> None:
        self.said, self.told = list(said), []

    async def take(self, key: WorkKey) -> str:
        return self.said.pop(0) if self.said else "mine"

    def done(self, key: WorkKey) -> None:
        self.told.append("done")

    def give_up(self, key: WorkKey) -> None:
        self.told.append("give up")

    def free(self, key: WorkKey) -> None:
        self.told.append("free")


@pytest.mark.parametrize(
    ("said", "worked", "told"),
    [((), 1, ["done"]), (("done",), 0, []), (("theirs", "done"), 0, []), (("theirs", "theirs"), 1, ["done"])],
)
async def test_what_another_process_does_is_waited_for_and_not_done(said, worked, told, monkeypatch):
    monkeypatch.setattr("lbi.environments._pool.POLL", 0.0)
    leases, count = FakeLeases(*said), []
    pool = Pool(LampEnvironments(), 1, leases=leases)  # type: ignore[arg-type]

    async def work(environment: object) -> None:
        count.append(1)

    await pool.do(work, failed=unwanted, key=WorkKey("trajectory", "0/a/0"))
    await pool.close()
    assert (len(count), leases.told) == (worked, told)


async def test_a_claim_is_kept_over_attempts_given_up_after_the_last_and_freed_by_a_bug():
    leases, told = FakeLeases(), []
    pool = Pool(LampEnvironments(broken=9), 1, leases=leases)  # type: ignore[arg-type]

    async def work(environment: object) -> None:
        await environment.reset(None)  # type: ignore[attr-defined]

    await pool.do(work, failed=lambda error, last: told.append(last), key=WorkKey("result", "x"))
    assert (told, leases.told) == ([False] * (ATTEMPTS - 1) + [True], ["give up"])

    async def wrong(environment: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await pool.do(wrong, failed=unwanted, key=WorkKey("result", "y"))
    assert leases.told == ["give up", "free"]
    await pool.close()


def test_the_busy_share_is_counted_from_the_first_use_by_the_clock():
    now = [100.0]
    busy = Utilisation(2, clock=lambda: now[0])
    assert busy.share() == (0.0, 0.0, 0.0, 0.0)
    now[0] = 110.0
    busy = Utilisation(2, clock=lambda: now[0])
    with busy.use():
        now[0] += 2
        with busy.use():
            now[0] += 3
    now[0] += 5
    assert busy.share() == (8.0, 20.0, 5.0, 10.0)
