"""What every stage works with: the run folder, the config, the models by role, the progress shown."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from lbi.batches import Desk, Rhythm
from lbi.busy import Busy, Share
from lbi.calls import wrapped
from lbi.claims import Claims, Place
from lbi.config import Config
from lbi.contracts import Model, World
from lbi.embed import Embedder
from lbi.errors import EnvironmentFailure
from lbi.gate import Gate
from lbi.models import open_model
from lbi.money import Budget
from lbi.pool import Failed, Pool
from lbi.prices import Prices
from lbi.progress import Seen, Stage
from lbi.retry import Retry
from lbi.store import RunFolder
from lbi.watch import watched
from lbi.wrap import batches_of, endpoint_of, is_free


@dataclass
class Workshop:
    """Opened once for a run; whoever opens it closes it."""

    run: RunFolder
    config: Config
    progress: Seen
    world: World
    prices: Prices
    budget: Budget | None = None
    embedder: Embedder | None = None
    claims: Claims | None = None  # None = no other process can join
    models_busy: Busy = field(default_factory=Busy)
    _pool: Pool | None = None
    rhythm: Rhythm | None = None  # of batches; None = the usual one
    _models: dict[str, Model] = field(default_factory=dict)
    _gates: dict[str, Gate] = field(default_factory=dict)

    @property
    def pool(self) -> Pool:
        """The environments of the run; stages that overlap share them."""
        if self._pool is None:
            self._pool = Pool(self.world, self.config.workers, claims=self.claims)
        return self._pool

    def shares(self) -> dict[str, Share]:
        """How busy the environments and the models were."""
        found = {"models": self.models_busy.share()}
        return found if self._pool is None else {"environments": self._pool.busy.share(), **found}

    @contextlib.asynccontextmanager
    async def turn(self, place: Place, gate: asyncio.Semaphore | None = None) -> AsyncIterator[bool]:
        """Work without an environment, through ``gate``: False where another process has done it."""
        if self.claims is not None:
            async with self.claims.turn(place, gate) as mine:
                yield mine
            return
        async with gate or contextlib.nullcontext():
            yield True

    @property
    def index_folder(self) -> Path:
        """Where the indexes of this process are built."""
        return self.run.path / ("index" if self.run.alone else f"index-{os.getpid()}")

    def model(self, spec: str) -> Model:
        """The model of a config's ``provider:name``, opened once and wrapped (cached, retried, metered, budgeted)."""
        if spec not in self._models:
            inner = open_model(
                spec,
                base_url=self.config.models.base_url if spec.startswith("openai:") else "",
                timeout=self.config.models.timeout,
                limits=self.config.limits,
                load_image=self.run.load_image,
                priced=self.prices.overrides,
            )
            store = self.run.store
            self._models[spec] = wrapped(
                watched(inner, self.models_busy),
                calls=store,
                meters=store,
                prices=self.prices,
                budget=self.budget,
                retry=Retry.of(self.config.models.timeout),
                gate=self._gate(inner),
                desk=self._desk(inner),
                waiting=self.config.models.batch,
            )
            self._note_price(inner)
        return self._models[spec]

    def _gate(self, model: Model) -> Gate:
        """One for all models of a provider at one address."""
        name = " at ".join(filter(None, (model.name.partition(":")[0], endpoint_of(model))))
        return self._gates.setdefault(name, Gate(name, say=self.progress.say))

    def _desk(self, model: Model) -> Desk | None:
        batches = batches_of(model)
        return Desk(model.name, batches, self.run.store, rhythm=self.rhythm, say=self.progress.say) if batches else None

    def waits(self, part: Literal["label", "judge"]) -> bool:
        """Whether a part's calls go to a provider's batches; then as many as there are should be asked at once."""
        models = [self.role("label")] if part == "label" else self.judges
        return part in self.config.models.batch and not all(is_free(model) for model in models)

    def _note_price(self, model: Model) -> None:
        """What the run's money was counted with stays in its folder, one row for each day and price."""
        today = datetime.now(UTC).date().isoformat()
        price = None if is_free(model) else self.prices.of(model.name, today, endpoint_of(model))
        if price is not None:
            self.run.store.put("price", f"{model.name} {price.id}", price)
        elif not is_free(model):
            self.progress.say(
                f"the price of {model.name} is unknown: its tokens are counted, and its money is not; give it under "
                f'[models.prices] as "{model.name}" = [input, output] in US dollars per million tokens'
            )

    def role(self, role: str) -> Model:
        return self.model(self.config.models.of(role))

    @property
    def judges(self) -> list[Model]:
        """The committee; without one, the labelling model alone."""
        return [self.model(spec) for spec in self.config.models.judges or (self.config.models.default,)]

    @property
    def offline(self) -> bool:
        return self.config.models.of("act") == "offline"

    @property
    def restores(self) -> bool:
        """Whether every episode begins with the same state; without that, a replay says nothing."""
        return bool(getattr(self.world, "restores", True))

    def failing(self, kind: str, key: str, stage: Stage) -> Failed:
        """Records failures of the infrastructure under the key of the work; they are never the agent's."""

        def failed(error: EnvironmentFailure, last: bool) -> None:
            self.run.store.fail(kind, key, "environment", str(error))
            stage.fail("environment")

        return failed

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()
        for model in self._models.values():
            await model.close()
        if self.embedder is not None:
            await self.embedder.close()
        await self.world.close()
        if not self.run.alone:
            shutil.rmtree(self.index_folder, ignore_errors=True)


def money_spent(run: RunFolder) -> float:
    """US dollars of all calls of the run so far, earlier processes included."""
    return sum(meter.get("cost", 0.0) for meter in run.store.meters().values())


def calls_without_price(run: RunFolder) -> int:
    """Calls that are no part of ``money_spent``, as nobody knows what they cost."""
    return int(sum(meter.get("unpriced", 0) for meter in run.store.meters().values()))
