"""What a run shares: models as the config wants them."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from fake_environment import LampEnvironments
from lbi.config import resolve
from lbi.context import RunContext
from lbi.models.middleware.retry import Retry
from lbi.models.pricing import Prices
from lbi.models.testing.model_server import Answer, ModelServer
from lbi.monitoring.progress import Progress
from lbi.protocols import Fields, Request
from lbi.records import Document
from lbi.storage.run_folder import RunFolder

REQUEST = Request(role="propose", fields=Fields(document=Document(text="How to close a ticket.", source="guide")))


@pytest.mark.slow
@pytest.mark.parametrize(("timeout", "sent"), [(0.2, 2), (20.0, 1)])
async def test_a_slow_model_gets_the_time_that_the_config_gives(timeout: float, sent: int, tmp_path: Path) -> None:
    async with ModelServer([Answer("late", latency=1.0), Answer("at once")]) as server:
        models = {"base_url": server.openai_url, "timeout": timeout}
        with RunFolder(tmp_path / "run") as folder:
            seen = Progress(Console(file=StringIO()), quiet=True)
            context = RunContext(folder, resolve({"models": models}, "test"), seen, LampEnvironments(), Prices())
            reply = await context.model("openai:some-model").complete(REQUEST)
            await context.close()
    assert (reply.text, len(server.requests)) == ("late" if sent == 1 else "at once", sent)


def test_a_call_has_room_for_several_requests_that_take_long() -> None:
    assert Retry.of(900).deadline == 5 * 900
    assert Retry.of(5).deadline == Retry().deadline
