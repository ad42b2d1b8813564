"""Embeddings over the wire: a server on loopback that answers as OpenAI's does."""

from __future__ import annotations

from collections import Counter

import numpy
import pytest
from aiohttp import web

from lbi.errors import ModelBusy, ModelError, UserError
from lbi.models.embeddings import BATCH, Embedder, open_embedder, unit
from lbi.models.middleware.retry import Retry
from lbi.records import Usage


class Server:
    """Embeds a text as (its length, its vowels), in reverse order of asking; can fail."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status = 200
        self.lost = 0  # vectors left out
        self.url = ""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/embeddings", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"{site.name}/v1"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        texts = (await request.json())["input"]
        self.asked += texts
        if self.status != 200:
            return web.json_response({"error": {"message": "no"}}, status=self.status)
        data = [
            {
                "object": "embedding",
                "index": at,
                "embedding": [float(len(text)), float(sum(c in "aeiou" for c in text))],
            }
            for at, text in enumerate(texts)
        ][self.lost :]
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        return web.json_response({"object": "list", "data": data[::-1], "model": "m", "usage": usage})


@pytest.fixture
async def server():
    running = Server()
    await running.start()
    yield running
    await running.stop()


async def test_vectors_have_length_one_and_the_order_of_the_texts(server):
    spent: list[Usage] = []
    embedder = open_embedder("m", base_url=server.url, spent=spent.append)
    assert isinstance(embedder, Embedder)
    texts = [f"text {'a' * (at % 7)}" for at in range(BATCH + 3)]
    vectors = await embedder.embed(texts)
    await embedder.close()
    assert vectors.shape == (BATCH + 3, 2)
    assert numpy.allclose(numpy.linalg.norm(vectors, axis=1), 1)
    assert numpy.allclose(vectors[2], unit(numpy.array([[7, 3]], dtype=numpy.float32))[0])
    assert [(usage.calls, usage.input_tokens, usage.cost) for usage in spent] == [(1, BATCH, None), (1, 3, None)]


async def test_no_text_is_sent_twice_also_by_another_process(server, tmp_path):
    for texts in (["a", "b", "a"], ["b", "c"]):
        embedder = open_embedder("m", base_url=server.url, cache=tmp_path / "vectors.db")
        assert (await embedder.embed(texts)).shape == (len(texts), 2)
        await embedder.close()
    assert Counter(server.asked) == {"a": 1, "b": 1, "c": 1}


async def test_an_empty_text_and_no_text_are_no_error(server):
    embedder = open_embedder("m", base_url=server.url)
    assert len(await embedder.embed(["", " "])) == 2
    assert len(await embedder.embed([])) == 0
    assert "" not in server.asked
    await embedder.close()


@pytest.mark.parametrize(("status", "lost", "error"), [(400, 0, ModelError), (200, 1, ModelError)])
async def test_a_failure_is_raised_and_nothing_is_remembered(server, tmp_path, status, lost, error):
    embedder = open_embedder("m", base_url=server.url, cache=tmp_path / "vectors.db")
    server.status, server.lost = status, lost
    with pytest.raises(error):
        await embedder.embed(["a", "b"])
    server.status, server.lost = 200, 0
    assert (await embedder.embed(["a", "b"])).shape == (2, 2)
    await embedder.close()


async def test_a_server_that_is_gone_is_busy():
    embedder = open_embedder("m", base_url="http://127.0.0.1:9/v1", retry=Retry(attempts=3, first=0.01))
    with pytest.raises(ModelBusy):
        await embedder.embed(["a"])
    await embedder.close()


def test_a_model_and_a_key_are_needed():
    with pytest.raises(UserError, match=r"models\.embeddings"):
        open_embedder("")
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        open_embedder("text-embedding-3-small")
