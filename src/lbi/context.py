"""A config and a folder -> what every stage of a run works with: store, environments, models by role, progress."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from lbi.config import Config, with_defaults
from lbi.environments import open_environments
from lbi.environments._pool import Failed, Pool
from lbi.errors import EnvironmentFailure, UserError
from lbi.models.embeddings import Embedder, open_embedder
from lbi.models.middleware.base import batches_of, endpoint_of, is_free
from lbi.models.middleware.batching import Desk, Rhythm
from lbi.models.middleware.budget import Budget
from lbi.models.middleware.retry import Retry
from lbi.models.middleware.stack import wrapped
from lbi.models.middleware.throttle import Gate
from lbi.models.middleware.tracing import traced
from lbi.models.pricing import Prices
from lbi.models.registry import open_model
from lbi.monitoring.progress import Progress, Stage
from lbi.monitoring.telemetry import RUN, Nowhere, Telemetry, span, used
from lbi.monitoring.utilisation import Share, Utilisation
from lbi.protocols import Environments, Model
from lbi.records import Result
from lbi.report import write_report
from lbi.storage.leases import Leases, WorkKey
from lbi.storage.run_folder import RunFolder


@dataclass
class RunContext:
    """Opened once for a run; whoever opens it closes it."""

    folder: RunFolder
    config: Config
    progress: Progress
    environments: Environments
    prices: Prices
    budget: Budget | None = None
    embedder: Embedder | None = None
    leases: Leases | None = None  # None = no other process can join
    models_utilisation: Utilisation = field(default_factory=Utilisation)
    _pool: Pool | None = None
    rhythm: Rhythm | None = None  # of batches; None = the usual one
    _closed: bool = False
    _began: float = field(default_factory=time.monotonic)
    _models: dict[str, Model] = field(default_factory=dict)
    _gates: dict[str, Gate] = field(default_factory=dict)

    @property
    def pool(self) -> Pool:
        """The environments of the run; stages that overlap share them."""
        if self._pool is None:
            self._pool = Pool(self.environments, self.config.workers, leases=self.leases)
        return self._pool

    def shares(self) -> dict[str, Share]:
        """How busy the environments and the models were."""
        found = {"models": self.models_utilisation.share()}
        return found if self._pool is None else {"environments": self._pool.utilisation.share(), **found}

    @contextlib.asynccontextmanager
    async def turn(self, place: WorkKey, gate: asyncio.Semaphore | None = None) -> AsyncIterator[bool]:
        """Work without an environment, through ``gate``: False where another process has done it."""
        if self.leases is not None:
            async with self.leases.turn(place, gate) as mine:
                yield mine
            return
        async with gate or contextlib.nullcontext():
            yield True

    @property
    def index_folder(self) -> Path:
        """Where the indexes of this process are built."""
        return self.folder.path / ("index" if self.folder.alone else f"index-{os.getpid()}")

    def model(self, spec: str) -> Model:
        """The model of a config's ``provider:name``, opened once and wrapped (cached, retried, metered, budgeted)."""
        if spec not in self._models:
            inner = open_model(
                spec,
                base_url=self.config.models.base_url if spec.startswith("openai:") else "",
                timeout=self.config.models.timeout,
                limits=self.config.limits,
                load_image=self.folder.load_image,
                priced=self.prices.overrides,
            )
            store = self.folder.store
            self._models[spec] = wrapped(
                traced(inner, self.models_utilisation),
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
        return (
            Desk(model.name, batches, self.folder.store, rhythm=self.rhythm, say=self.progress.say) if batches else None
        )

    def waits(self, part: Literal["label", "judge"]) -> bool:
        """Whether a part's calls go to a provider's batches; then as many as there are should be asked at once."""
        models = [self.role("label")] if part == "label" else self.judges
        return part in self.config.models.batch and not all(is_free(model) for model in models)

    def _note_price(self, model: Model) -> None:
        """What the run's money was counted with stays in its folder, one row for each day and price."""
        today = datetime.now(UTC).date().isoformat()
        price = None if is_free(model) else self.prices.of(model.name, today, endpoint_of(model))
        if price is not None:
            self.folder.store.put("price", f"{model.name} {price.id}", price)
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
        return bool(getattr(self.environments, "restores", True))

    def failing(self, kind: str, key: str, stage: Stage) -> Failed:
        """Records failures of the infrastructure under the key of the work; they are never the agent's."""

        def failed(error: EnvironmentFailure, last: bool) -> None:
            self.folder.store.fail(kind, key, "environment", str(error))
            stage.fail("environment")

        return failed

    def check_models(self) -> None:
        """A missing key or an unknown name ends the run before any work is done."""
        for role in ("propose", "act", "query", "abstract"):
            self.role(role)
        _ = self.judges

    def write_report(self) -> Path:
        """The times of this process's stages, how busy its resources were, and report.html."""
        for name, seconds in self.progress.times.items():
            self.folder.store.add(name, seconds=seconds)
        for name, share in self.shares().items():
            self.folder.store.add(f"busy: {name}", **share._asdict())
        return write_report(self.folder)

    async def finished(self, results: Sequence[Result]) -> RunOutcome:
        """Close what is open, and write the report of a run that came to its end."""
        await self.close()
        times = {**self.progress.times, "in all": time.monotonic() - self._began}
        return RunOutcome(tuple(results), self.write_report(), times)

    async def close(self) -> None:
        """Harmless when done before."""
        if self._closed:
            return
        self._closed = True
        if self._pool is not None:
            await self._pool.close()
        for model in self._models.values():
            await model.close()
        if self.embedder is not None:
            await self.embedder.close()
        await self.environments.close()
        if self.leases is not None:
            with contextlib.suppress(UserError):
                await self.leases.leave()
        if not self.folder.alone:
            shutil.rmtree(self.index_folder, ignore_errors=True)


@dataclass(frozen=True)
class RunOutcome:
    """What a run came to."""

    results: tuple[Result, ...]
    report: Path
    times: dict[str, float]  # seconds per stage of this process


@contextlib.asynccontextmanager
async def open_context(
    config: Config,
    out: Path,
    progress: Progress | None = None,
    *,
    join: bool = False,
    telemetry: Telemetry | None = None,
) -> AsyncIterator[RunContext]:
    """The context of a run in the folder ``out``. However the run ends, interrupted by hand too, it is reported.

    With ``join``, beside the process that works on the folder already. Raises UserError for a folder of another config.
    """
    if join and config.models.budget is not None:
        raise UserError("a run with a budget takes one process, as only that one knows what it has under way")
    with RunFolder(out, config.identity(), joining=join, complete=with_defaults) as folder:
        shown = progress or Progress()
        shown.watch(money=lambda: money_spent(folder), unpriced=lambda: calls_without_price(folder))
        leases = Leases(folder.store)
        await leases.enter(alone=folder.alone)
        folder.let_in(joined=join)
        context = RunContext(
            folder=folder,
            config=config,
            progress=shown,
            leases=leases,
            environments=open_environments(config, folder.save_image),
            prices=Prices(config.models.prices),
            budget=Budget(config.models.budget, money_spent(folder)) if config.models.budget is not None else None,
            embedder=_embedder(config, folder),
        )
        try:
            context.check_models()
            with contextlib.ExitStack() as cut_short:
                cut_short.callback(_report_what_there_is, context)
                with used(telemetry or Nowhere()), span("run", {RUN: config.name}):
                    yield context
                cut_short.pop_all()
        finally:
            await context.close()


def _report_what_there_is(context: RunContext) -> None:
    """What stopped the run says more than what may now keep its report from being written."""
    with contextlib.suppress(OSError, UserError):
        context.write_report()


def _embedder(config: Config, folder: RunFolder) -> Embedder | None:
    if not config.models.embeddings:
        return None
    return open_embedder(
        config.models.embeddings, base_url=config.models.embeddings_url, cache=folder.path / "embeddings.db"
    )


def money_spent(run: RunFolder) -> float:
    """US dollars of all calls of the run so far, earlier processes included."""
    return sum(meter.get("cost", 0.0) for meter in run.store.meters().values())


def calls_without_price(run: RunFolder) -> int:
    """Calls that are no part of ``money_spent``, as nobody knows what they cost."""
    return int(sum(meter.get("unpriced", 0) for meter in run.store.meters().values()))
