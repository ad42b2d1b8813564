"""What a run shares: models as the config wants them."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from lamps import LampWorld
from lbi.config import resolve
from lbi.contracts import Fields, Request
from lbi.prices import Prices
from lbi.progress import Seen
from lbi.records import Document
from lbi.retry import Retry
from lbi.store import RunFolder
from lbi.testing.model_server import Answer, ModelServer
from lbi.workshop import Workshop

REQUEST = Request(role="propose", fields=Fields(document=Document(text="How to close a ticket.", source="guide")))


@pytest.mark.parametrize(("timeout", "sent"), [(0.2, 2), (20.0, 1)])
async def test_a_slow_model_gets_the_time_that_the_config_gives(timeout: float, sent: int, tmp_path: Path) -> None:
    async with ModelServer([Answer("late", latency=1.0), Answer("at once")]) as server:
        models = {"base_url": server.openai_url, "timeout": timeout}
        with RunFolder(tmp_path / "run") as folder:
            seen = Seen(Console(file=StringIO()), quiet=True)
            shop = Workshop(folder, resolve({"models": models}, "test"), seen, LampWorld(), Prices())
            reply = await shop.model("openai:some-model").complete(REQUEST)
            await shop.close()
    assert (reply.text, len(server.requests)) == ("late" if sent == 1 else "at once", sent)


def test_a_call_has_room_for_several_requests_that_take_long() -> None:
    assert Retry.of(900).deadline == 5 * 900
    assert Retry.of(5).deadline == Retry().deadline
