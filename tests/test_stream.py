"""Attempts, labels and replays as a stream: side by side, and the same whoever finishes first."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evaluating import labelled, learn
from fake_environment import LampEnvironments
from lbi.config import Config, resolve
from lbi.context import RunContext
from lbi.errors import ModelUnavailable
from lbi.models.pricing import Prices
from lbi.monitoring.progress import Progress
from lbi.protocols import Reply, Request
from lbi.records import Example, Task, Trajectory
from lbi.rollouts.schedule import at_once, attempt_tasks
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.examples import store_trimmed
from lbi.synthesis.verify import replayer
from lbi_offline.model import OfflineModel

TASKS = [
    Task(instruction=f'Create a new lamp with the name "Lamp {at}" and the colour "red".', environment="lamps")
    for at in range(20)
]


class Dawdling:
    """The offline model; each reply takes a while by chance, and some roles longer than others."""

    name, info = "offline", OfflineModel.info

    def __init__(self, seed: int, slow: str) -> None:
        self._inner, self._chance, self._slow = OfflineModel(), random.Random(seed), slow
        self.asked: list[str] = []

    async def complete(self, request: Request) -> Reply:
        self.asked.append(request.role)
        for _ in range(self._chance.randrange(30 if request.role == self._slow else 3)):
            await asyncio.sleep(0)
        return await self._inner.complete(request)

    async def close(self) -> None:
        pass


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[list[RunFolder]]:
    opened = [RunFolder(tmp_path / str(at)) for at in range(2)]
    yield opened
    for folder in opened:
        folder.close()


def config_of(workers: int, agent: str = "", **synthesis: Any) -> Config:
    made = {"rollouts": 20, "step_limit": 5, "agent": agent, "compose": 0, **synthesis}
    return resolve({"benchmark": "x.toml", "workers": workers, "synthesis": made}, "test")


def shop_of(folder: RunFolder, config: Config, model: Any, pauses: tuple[int, ...] = (0,)) -> RunContext:
    seen = Progress(Console(file=StringIO()), quiet=True)
    environments = LampEnvironments(pauses=pauses)
    context = RunContext(folder=folder, config=config, progress=seen, environments=environments, prices=Prices())
    context._models["offline"] = model
    return context


def dataset(folder: RunFolder) -> dict[str, Any]:
    store = folder.store
    return {
        "trajectory": store.all("trajectory", Trajectory),
        "trimmed": store.all("trimmed", Trajectory),
        "example": store.all("example", Example),
    }


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["explore", "react"])
@pytest.mark.parametrize("seed", range(3))
async def test_the_dataset_is_the_same_whoever_finishes_first(folders, agent, seed):
    model = Dawdling(seed, random.Random(seed).choice(["abstract", "judge", "act"]))
    context = shop_of(folders[0], config_of(1 + seed * 2, agent), model, pauses=(9, 0, 3, 30))
    found = await learn(context, TASKS, 0)
    await context.close()
    plain = shop_of(folders[1], config_of(2, agent), OfflineModel())
    expected = [await store_trimmed(plain, each, 0) for each in await attempt_tasks(plain, at_once(TASKS), 0)]
    expected = [each for each in expected if each.steps]
    await labelled(plain, expected, 0)
    with plain.progress.stage("replay", 0) as stage:
        verify = replayer(plain, 0, stage)
        for each in expected:
            await verify(each)
    await plain.close()
    assert found == expected
    assert dataset(folders[0]) == dataset(folders[1])
    examples = dict(dataset(folders[0])["example"]).values()
    assert {verdict.filter for example in examples for verdict in example.verdicts} >= {"repeat", "replay"}


async def test_labels_and_replays_do_not_wait_for_all_attempts(folders):
    model = Dawdling(0, "abstract")
    context = shop_of(folders[0], config_of(2, "explore"), model, pauses=(1, 40))
    order: list[tuple[str, str]] = []
    put = folders[0].store.put_many

    def noted(kind: str, rows: Any) -> Any:
        rows = list(rows)
        order.extend((kind, key) for key, _ in rows)
        return put(kind, rows)

    folders[0].store.put_many = noted  # type: ignore[method-assign]
    await learn(context, TASKS, 0)
    await context.close()
    kinds = [kind for kind, _ in order]
    last_attempt = max(at for at, kind in enumerate(kinds) if kind == "trajectory")
    assert kinds.index("example") < last_attempt
    assert kinds.index("replay") < last_attempt


async def test_an_error_that_ends_the_run_ends_all_stages_of_the_stream(folders):
    class Gone(Dawdling):
        async def complete(self, request: Request) -> Reply:
            if request.role == "judge":
                raise ModelUnavailable("no key")
            return await super().complete(request)

    context = shop_of(folders[0], config_of(2), Gone(0, ""), pauses=(1,))
    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(learn(context, TASKS, 0), 60)
    await context.close()
    assert raised.value.subgroup(ModelUnavailable) is not None
    assert all(lamps.closed == 1 for lamps in context.environments.opened)  # type: ignore[attr-defined]
    before = dict(dataset(folders[0])["trajectory"])
    again = shop_of(folders[0], config_of(2), Dawdling(0, ""))
    await learn(again, TASKS, 0)
    await again.close()
    assert before.items() <= dict(dataset(folders[0])["trajectory"]).items()


async def test_how_busy_environments_and_models_were_is_known(folders):
    context = shop_of(folders[0], config_of(2, "react"), OfflineModel(), pauses=(3,))
    del context._models["offline"]  # the context's own, which is traced
    await learn(context, TASKS, 0)
    await context.close()
    shares = context.shares()
    environments, models = shares["environments"], shares["models"]
    assert 0 < environments.used <= environments.possible
    assert 0 < environments.some <= environments.elapsed
    assert environments.possible == pytest.approx(2 * environments.elapsed)
    assert 0 < models.some <= models.elapsed
    assert models.used >= models.some
    assert models.possible == 0
