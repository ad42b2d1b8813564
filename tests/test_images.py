"""Screenshots as models are sent them: made smaller, on every wire, in the estimate, the bill and the cache key."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lbi.cli.estimate import plan
from lbi.config import resolve
from lbi.errors import UserError
from lbi.models.images import scaled, scaled_size, size_of
from lbi.models.middleware.base import MemoryCalls
from lbi.models.middleware.budget import Budget
from lbi.models.middleware.cache import call_key
from lbi.models.middleware.stack import wrapped
from lbi.models.pricing import Prices
from lbi.models.registry import image_tokens, open_model
from lbi.models.testing.model_server import Answer, ModelServer
from lbi.models.testing.wire_formats import Json
from lbi.prompts import render
from lbi.protocols import Fields, Part, PromptLimits, Request
from lbi.records import Document, Observation, Task
from lbi.storage.run_folder import RunFolder

PROVIDERS = ("anthropic", "google", "openai")
TASK = Task(instruction="Close ticket 7", environment="web")


def png(width: int, height: int, colour: str = "red") -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(made, "PNG")
    return made.getvalue()


def request(image: str = "page", role: Any = "act") -> Request:
    return Request(role=role, fields=Fields(task=TASK, observation=Observation(text="button [e1]", image=image)))


def images_sent(asked: Json) -> list[bytes]:
    """Every image in a request, wherever its provider has them."""
    said = json.dumps(asked.get("messages", asked.get("contents")))
    assert said.count("image/png") == len(re.findall(r'"(?:image_url|inlineData|source)": \{', said))
    found = re.findall(r"data:image/png;base64,([\w+/=]+)|\"data\": \"([\w+/=]+)\"", said)
    return [base64.b64decode(one or other) for one, other in found]


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def sent(provider: str, kept: bytes, side: int = 1280, images: tuple[Part, ...] = ("act",)) -> list[bytes]:
    async with ModelServer() as server:
        model = open_model(
            f"{provider}:some",
            base_url=server.url_of(provider),
            limits=PromptLimits(image_side=side, images=images),
            load_image={"page": kept}.__getitem__,
        )
        await model.complete(request())
        await model.close()
    return images_sent(server.requests[0])


async def test_a_screenshot_that_is_small_enough_is_sent_as_it_is(provider: str) -> None:
    kept = png(1280, 900)
    assert await sent(provider, kept) == [kept]


async def test_a_larger_one_is_made_smaller(provider: str) -> None:
    (shown,) = await sent(provider, png(1280, 900), side=640)
    assert size_of(shown, "shown") == (640, 450)
    with Image.open(io.BytesIO(shown)) as image:
        assert image.getpixel((320, 200)) == (255, 0, 0)


async def test_who_is_not_shown_images_is_sent_none(provider: str) -> None:
    assert await sent(provider, png(10, 10), images=("judge",)) == []


@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(64, 2000))
def test_a_size_keeps_its_shape_and_never_grows(width: int, height: int, side: int) -> None:
    found = scaled_size((width, height), side)
    assert max(found) == min(side, max(width, height))
    shrink = min(1.0, side / max(width, height))
    for was, now in zip((width, height), found, strict=True):
        assert now == pytest.approx(max(1, was * shrink), abs=0.5)


@pytest.mark.parametrize("bad", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n short"])
def test_what_is_no_png_is_one_clear_line(bad: bytes) -> None:
    with pytest.raises(UserError, match="image 3f9a of the run is no PNG"):
        scaled(bad, 100, "3f9a")


def test_half_a_png_is_one_clear_line() -> None:
    chance = Image.effect_noise((300, 300), 80.0)
    made = io.BytesIO()
    chance.save(made, "PNG")
    with pytest.raises(UserError, match="image 3f9a of the run cannot be read"):
        scaled(made.getvalue()[:5000], 100, "3f9a")


# the rules, at the examples that the providers give or that follow from their words


@pytest.mark.parametrize(
    ("model", "size", "tokens"),
    [
        ("openai:gpt-4o", (1024, 1024), 765),
        ("openai:gpt-4o", (2048, 4096), 1105),
        ("openai:gpt-4.1-mini", (1024, 1024), 1659),  # 1,024 patches, 1.62 tokens each
        ("openai:gpt-4.1-nano", (4000, 4000), 3779),  # no more than 1,536 patches
        ("openai:gpt-4o-mini", (512, 512), 8500),
        ("openai:never-heard-of", (1280, 900), 1392),  # 1,160 patches at 1.2 are dearer than its tiles
        ("anthropic:claude-sonnet-4-5", (1000, 1000), 1334),
        ("anthropic:claude-sonnet-4-5", (28, 28), 2),
        ("google:gemini-2.5-flash", (384, 384), 258),
        ("google:gemini-2.5-flash", (960, 540), 1548),  # tiles of 360 pixels: 3 x 2
        ("google:gemini-3-pro", (960, 540), 1120),
        ("scripted:file", (960, 540), 1500),
    ],
)
def test_tokens_of_an_image_by_its_providers_rule(model: str, size: tuple[int, int], tokens: int) -> None:
    assert image_tokens(model, size) == tokens


# money and memory


async def test_images_are_in_the_estimate_and_the_reply_is_the_bill() -> None:
    kept = {"page": png(1000, 1000)}
    async with ModelServer([Answer(input_tokens=5000), Answer(flaw="no_usage")]) as server:
        inner = open_model("anthropic:m", base_url=server.anthropic_url, load_image=kept.__getitem__)
        store, prices = MemoryCalls(), Prices({"anthropic:m": (1.0, 0.0)})
        model = wrapped(inner, calls=store, meters=store, prices=prices)
        text_only = request(image="")
        told, untold = await model.complete(request()), await model.complete(request(role="query"))
        await inner.close()
    assert told.usage.cost == pytest.approx(5000e-6)
    without = await _estimated(text_only.model_copy(update={"role": "query"}))
    assert untold.usage.input_tokens == without + 1334


async def _estimated(asked: Request) -> int:
    async with ModelServer([Answer(flaw="no_usage")]) as server:
        inner, store = open_model("anthropic:m", base_url=server.anthropic_url), MemoryCalls()
        model = wrapped(inner, calls=store, meters=store, prices=Prices({"anthropic:m": (1.0, 0.0)}))
        reply = await model.complete(asked)
        await inner.close()
    return reply.usage.input_tokens


async def test_a_budget_counts_images_before_they_are_sent() -> None:
    async with ModelServer() as server:
        prices, reserved = Prices({"anthropic:m": (1.0, 0.0)}), []

        class Watching(Budget):
            async def reserve(self, estimate: float) -> None:
                reserved.append(estimate)
                await super().reserve(estimate)

        for asked in (request(image=""), request()):
            store = MemoryCalls()
            inner = open_model("anthropic:m", base_url=server.anthropic_url, load_image={"page": png(1000, 1000)}.get)  # type: ignore[arg-type]
            await wrapped(inner, calls=store, meters=store, prices=prices, budget=Watching(10)).complete(asked)
            await inner.close()
    assert reserved[1] - reserved[0] == pytest.approx(2 * 1334e-6)  # two bytes a token: the most that it may cost


async def test_the_image_and_its_size_are_part_of_the_key(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run") as run:
        red, blue = run.save_image(png(900, 900)), run.save_image(png(900, 900, "blue"))
        async with ModelServer() as server:
            for side in (900, 300):
                inner = open_model(
                    "openai:m",
                    base_url=server.openai_url,
                    limits=PromptLimits(image_side=side),
                    load_image=run.load_image,
                )
                model = wrapped(inner, calls=run.store, meters=run.store, prices=Prices())
                for image in (red, blue, red):
                    await model.complete(request(image))
                await model.close()
    assert server.served == 4  # of six
    assert len({images_sent(asked)[0] for asked in server.requests}) == 4


def test_without_images_their_size_is_no_part_of_the_key() -> None:
    messages = render(request(image=""))
    assert call_key("m", request(""), messages, 100) == call_key("m", request(""), messages, 200)


@pytest.mark.slow
def test_the_plan_counts_screenshots_where_there_will_be_some() -> None:
    document = [Document(text="Press Close.", source="x")]

    def tokens(**more: Any) -> dict[str, int]:
        raw = {"models": {"default": "anthropic:m", **more.pop("models", {})}, **more}
        return {f"{row.stage}/{row.role}": row.input_tokens for row in plan(resolve(raw, "test"), document, 5, "")}

    without, with_ = tokens(), tokens(web={"screenshots": True})
    assert {name for name in with_ if with_[name] > without[name]} == {
        name for name in with_ if name != "propose/propose"
    }
    calls = with_["attempt/act"] - without["attempt/act"]
    assert calls % image_tokens("anthropic:m", (1280, 900)) == 0
    less = tokens(web={"screenshots": True}, models={"images": ["act"], "image_side": 640})
    assert without["attempt/act"] < less["attempt/act"] < with_["attempt/act"]
    assert less["label/abstract"] == without["label/abstract"]
