"""Labels of several spans: who shares a call, who waits for whom, and what is lost when a part of a reply is bad."""

from __future__ import annotations

import asyncio
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from evaluating import labelled as labelled_and_filtered
from fake_notes import HELP, HOME, MILK, NEW, NOTES, SAVE, title, walk
from lbi.cli.estimate import plan
from lbi.config import Config, Labelling, Synthesis
from lbi.context import RunContext
from lbi.errors import BudgetExceeded, ModelBusy, ModelError, ParseError
from lbi.models import parsing
from lbi.models.middleware.base import MemoryCalls
from lbi.models.middleware.budget import Budget, budgeted
from lbi.models.middleware.cache import cached
from lbi.models.pricing import Prices
from lbi.models.providers.scripted import Scripted
from lbi.monitoring.progress import Progress
from lbi.prompts import estimate_tokens, render
from lbi.protocols import Model, ModelInfo, PromptLimits, Reply, Request
from lbi.records import Document, Example, Trajectory, Usage
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.backward import all_spans
from lbi.synthesis.label_calls import Labels, calls_of, label_spans, spans_to_label
from lbi_offline.model import _ROLES as OFFLINE
from lbi_offline.model import OfflineModel

WAYS = [
    Labelling(whole=whole, together=together, ordered=ordered)
    for whole in (True, False)
    for together in (1, 2, 16)
    for ordered in (True, False)
]
FEW = Labelling(spans="informative")
NAIVE = Labelling(whole=False, together=1, ordered=False, differences=False, spans="all")


@pytest.fixture
async def trajectory() -> Trajectory:
    return await walk("look around", NOTES, MILK, HOME, NOTES, NEW, title("Bread"), SAVE, HOME, HELP)


class Watched:
    """A model that notes its requests, how many are open at once, and which had finished before each began."""

    name, info = "traced", ModelInfo()

    def __init__(self, answer: Callable[[Request], str | Exception] | None = None) -> None:
        self.requests: list[Request] = []
        self.finished: list[Request] = []
        self.before: list[int] = []  # how many had finished when each request came
        self._answer = answer
        self._offline = OfflineModel()

    async def complete(self, request: Request) -> Reply:
        self.requests.append(request)
        self.before.append(len(self.finished))
        await asyncio.sleep(0)
        said = self._answer(request) if self._answer else (await self._offline.complete(request)).text
        if isinstance(said, Exception):
            raise said
        self.finished.append(request)
        return Reply(text=said, model=self.name, usage=Usage(calls=1, input_tokens=4000, cost=0.004))

    async def close(self) -> None:
        pass


def instructions(labels: Labels) -> dict[tuple[int, int], str]:
    assert all(isinstance(said, Example) for said in labels.values())
    return {span: said.instruction for span, said in labels.items() if isinstance(said, Example)}


# which calls


@given(
    st.sets(st.tuples(st.integers(0, 6), st.integers(1, 5)).map(lambda pair: (pair[0], pair[0] + pair[1]))),
    st.sampled_from(WAYS),
)
def test_every_span_is_in_one_call_and_no_call_is_too_large(spans: set[tuple[int, int]], how: Labelling) -> None:
    families = calls_of(sorted(spans), how)
    calls = [call for family in families for call in family]
    assert sorted(span for call in calls for span in call) == sorted(spans)
    assert all(0 < len(call) <= how.together for call in calls)
    assert how.whole or all(len({start for start, _ in call}) == 1 for call in calls)


@pytest.mark.parametrize("kind", ["abstract", "summary"])
@pytest.mark.parametrize("how", WAYS, ids=str)
async def test_labels_are_the_same_however_they_are_asked_for(how, kind, trajectory) -> None:
    spans = all_spans(trajectory)
    one_by_one = await label_spans(OfflineModel(), trajectory, kind, spans, NAIVE)
    assert await label_spans(OfflineModel(), trajectory, kind, spans, how) == one_by_one
    assert list(one_by_one) == spans
    assert all(said.start < said.end for said in one_by_one.values())


async def test_a_span_alone_is_shown_alone(trajectory) -> None:
    model = Watched()
    await label_spans(model, trajectory, "abstract", [(2, 5)], Labelling())
    (request,) = model.requests
    assert (request.fields.start, request.fields.end, request.fields.spans, request.reused) == (2, 5, (), False)


async def test_only_what_the_plan_is_about_is_shown(trajectory) -> None:
    model = Watched()
    await label_spans(model, trajectory, "abstract", [(2, 5), (3, 6)], Labelling())
    (request,) = model.requests
    assert (request.fields.start, request.fields.end, request.fields.span_names) == (2, 6, ("0-3", "1-4"))


def test_all_spans_can_be_wanted(trajectory) -> None:
    assert spans_to_label(trajectory, NAIVE, budget=2, seed=0) == all_spans(trajectory)
    assert spans_to_label(trajectory, Labelling(), budget=2, seed=0) == all_spans(trajectory)
    assert 0 < len(spans_to_label(trajectory, FEW, budget=2, seed=0)) <= 2


# in which order, for prompt caches


async def test_the_first_call_of_a_trajectory_is_finished_before_the_others_are_sent(trajectory) -> None:
    model = Watched()
    await label_spans(model, trajectory, "abstract", all_spans(trajectory), Labelling(together=8))
    assert len(model.requests) > 3
    assert model.before == [0] + [1] * (len(model.requests) - 1), "and the others at once"
    beginnings = {render(request)[:-1] for request in model.requests}
    assert len(beginnings) == 1
    assert all(request.reused for request in model.requests)


async def test_calls_of_one_start_are_sent_in_turn_and_each_continues_the_one_before(trajectory) -> None:
    model = Watched()
    how = Labelling(whole=False, together=2)
    await label_spans(model, trajectory, "abstract", all_spans(trajectory), how)
    for start in {request.fields.start for request in model.requests}:
        mine = [request for request in model.requests if request.fields.start == start and request.fields.spans]
        for one, following in pairwise(mine):
            assert model.finished.index(one) < model.before[model.requests.index(following)]
            assert render(following)[: len(render(one)) - 1] == render(one)[:-1]


async def test_without_order_all_are_sent_at_once_and_no_cache_is_paid_for(trajectory) -> None:
    for whole in (True, False):
        model = Watched()
        how = Labelling(whole=whole, together=2, ordered=False)
        await label_spans(model, trajectory, "abstract", all_spans(trajectory), how)
        assert set(model.before) == {0}
        assert not any(request.reused for request in model.requests)


# bad replies


def good(request: Request) -> dict[str, str]:
    return {name: f"Do {name}" for name in request.fields.span_names}


SPANS = [(0, 1), (0, 3), (1, 4)]


async def labelled(model: Scripted | Watched, trajectory: Trajectory) -> Labels:
    return await label_spans(model, trajectory, "abstract", SPANS, Labelling())


async def test_a_bad_part_is_asked_for_once_more_and_alone(trajectory) -> None:
    def answer(request: Request) -> str:
        return json.dumps({"0-3": "Do it all"} if request.extra else {**good(request), "0-3": ""})

    model = Watched(answer)
    found = instructions(await labelled(model, trajectory))
    assert found == {(0, 1): "Do 0-1", (0, 3): "Do it all", (1, 4): "Do 1-4"}
    assert "Answer again for these only: 0-3." in model.requests[1].extra[-1].content


async def test_what_is_bad_twice_is_the_only_failure(trajectory) -> None:
    model = Watched(lambda request: json.dumps({"0-1": "Do 0-1", "span 1-4": "Do 1-4"}))
    found = await labelled(model, trajectory)
    assert isinstance(found.pop((0, 3)), ParseError)
    assert instructions(found) == {(0, 1): "Do 0-1", (1, 4): "Do 1-4"}
    assert len(model.requests) == 2


async def test_a_failed_second_call_costs_only_the_bad_part(trajectory) -> None:
    def answer(request: Request) -> str | Exception:
        return ModelError("refused") if request.extra else json.dumps({**good(request), "1-4": 7})

    found = await labelled(Watched(answer), trajectory)
    assert isinstance(found.pop((1, 4)), ModelError)
    assert instructions(found) == {(0, 1): "Do 0-1", (0, 3): "Do 0-3"}


async def test_an_unreadable_reply_is_asked_for_whole_once_more(trajectory) -> None:
    model = Watched(lambda request: json.dumps(good(request)) if request.extra else "I would rather not")
    assert len(instructions(await labelled(model, trajectory))) == 3
    model = Watched(lambda request: "I would rather not")
    assert all(isinstance(said, ParseError) for said in (await labelled(model, trajectory)).values())
    assert len(model.requests) == 2


async def test_what_is_refused_together_is_asked_one_by_one(trajectory) -> None:
    def answer(request: Request) -> str | Exception:
        refused = request.fields.spans or request.fields.end == 3
        return ModelError("refused") if refused else f"Do {request.fields.start}-{request.fields.end}"

    found = await labelled(Watched(answer), trajectory)
    assert isinstance(found.pop((0, 3)), ModelError)
    assert instructions(found) == {(0, 1): "Do 0-1", (1, 4): "Do 1-4"}


async def test_a_busy_model_is_not_asked_for_each(trajectory) -> None:
    model = Watched(lambda request: ModelBusy("busy"))
    assert all(isinstance(said, ModelBusy) for said in (await labelled(model, trajectory)).values())
    assert len(model.requests) == 1


def test_a_part_must_be_a_text_and_keys_may_say_more() -> None:
    parts = parsing.of_spans(parsing.instruction, ["0-1", "0-2", "1-2"])(
        '```json\n{"pages 0-1": "Go", "0-2": ["x"]}\n```'
    )
    assert parts["0-1"] == "Go"
    assert isinstance(parts["0-2"], ParseError)
    assert isinstance(parts["1-2"], ParseError)


# the stage


def context(run: RunFolder, model: Model, how: Labelling, names: tuple[str, ...] = ("repeat", "loop")) -> RunContext:
    config = Config(labelling=how, synthesis=Synthesis(kinds=("abstract", "summary"), filters=names))
    environments: Any = None  # labelling opens no environment
    return RunContext(
        run, config, Progress(Console(file=StringIO()), quiet=True), environments, Prices(), _models={"offline": model}
    )


def rows(run: RunFolder) -> dict[str, Example]:
    return dict(run.store.all("example", Example))


@pytest.mark.parametrize("how", [Labelling(together=2, spans="all"), Labelling(whole=False), NAIVE], ids=str)
async def test_a_stage_stopped_anywhere_goes_on_to_the_same_examples_and_pays_for_none_twice(
    how, trajectory, tmp_path
) -> None:
    with RunFolder(tmp_path / "undisturbed") as run:
        store, model = run.store, Watched()
        await labelled_and_filtered(context(run, cached(model, store, store), how), [trajectory], 0)
        expected, calls = rows(run), len(model.requests)
    assert {key.split("/")[2] for key in expected} == {"abstract", "summary", "forward"}
    for stop in (1, calls // 2, calls - 1):
        paid = 0
        with RunFolder(tmp_path / f"stopped {stop}") as run:
            store = run.store
            for room in (stop, calls):
                left = iter(range(room))

                def answer(request: Request, left: Iterator[int] = left) -> str:
                    if next(left, None) is None:
                        raise BudgetExceeded("stopped")
                    return OFFLINE[request.role](request.fields)

                model = Watched(answer)
                with suppress(BaseExceptionGroup):
                    await labelled_and_filtered(context(run, cached(model, store, store), how), [trajectory], 0)
                paid += len(model.finished)
            assert rows(run) == expected
        assert paid == calls


@pytest.mark.parametrize(("how", "reused"), [(Labelling(), True), (NAIVE, False)])
async def test_judges_are_asked_in_order_and_write_to_a_cache_only_where_that_is_wanted(
    how, reused, trajectory, tmp_path
) -> None:
    model = Watched()
    with RunFolder(tmp_path) as run:
        await labelled_and_filtered(context(run, model, how, ("committee",)), [trajectory], 0)
    judged = [request for request in model.requests if request.role == "judge"]
    assert {request.reused for request in judged} == {reused}
    *labelled, _ = [(request.fields.start, request.fields.end) for request in judged]  # the last is the forward one
    abstracts, summaries = labelled[: len(labelled) // 2], labelled[len(labelled) // 2 :]
    assert len(abstracts) > 4
    assert abstracts == summaries == sorted(abstracts), "in order, so that each continues the one before"


async def test_a_bad_part_is_a_failure_of_its_own_key_and_is_made_up_for_later(trajectory, tmp_path) -> None:
    def answer(request: Request) -> str:
        said = OFFLINE[request.role](request.fields)
        if not request.fields.spans or request.role != "abstract":
            return said
        parts = json.loads(said)
        parts.pop(request.fields.span_names[1])
        return json.dumps(parts)

    with RunFolder(tmp_path) as run:
        await labelled_and_filtered(context(run, Watched(answer), FEW), [trajectory], 0)
        (failure,) = run.store.failures("example")
        assert failure["boundary"] == "parse"
        assert failure["key"].startswith(f"0/{trajectory.id}/abstract/")
        assert failure["key"] not in rows(run)
        kept = len(rows(run))
        await labelled_and_filtered(context(run, OfflineModel(), FEW), [trajectory], 0)
        assert run.store.failures("example") == []
        assert rows(run).keys() >= {failure["key"]}
        assert len(rows(run)) == kept + 1


# resuming


async def test_what_was_answered_before_an_interruption_is_not_asked_again(trajectory) -> None:
    """The rest of a call is the same call: its answer is in the store."""
    store, model = MemoryCalls(), Watched()
    asked = cached(model, store, store)
    spans = all_spans(trajectory)
    how = Labelling(together=4)
    whole = await label_spans(asked, trajectory, "abstract", spans, how)
    calls = len(model.requests)
    some = spans[5:11]
    again = await label_spans(asked, trajectory, "abstract", spans, how, missing=some)
    assert again == {span: whole[span] for span in some}
    assert len(model.requests) == calls


async def test_a_budget_that_ends_lets_what_was_sent_come_back_and_be_kept(trajectory) -> None:
    store, model = MemoryCalls(), Watched()
    prices = Prices({"traced": (1.0, 1.0)})
    limited = cached(budgeted(model, Budget(0.05), prices), store, store)
    with pytest.raises(BaseExceptionGroup) as caught:
        await label_spans(limited, trajectory, "abstract", all_spans(trajectory), Labelling(together=1, ordered=False))
    assert caught.group_contains(BudgetExceeded)
    assert 0 < len(model.requests) < len(all_spans(trajectory))
    assert len(store.calls) == len(model.requests)
    asked = len(model.requests)
    with pytest.raises(BaseExceptionGroup):
        await label_spans(limited, trajectory, "abstract", all_spans(trajectory), Labelling(together=1))
    assert all(request not in model.requests[:asked] for request in model.requests[asked:])


# the plan


@pytest.mark.slow
@pytest.mark.parametrize("spans", ["all", "informative"])
@pytest.mark.parametrize("how", [*WAYS, NAIVE], ids=str)
async def test_a_plan_is_an_upper_bound_of_the_calls_and_tokens_of_a_trajectory(how, spans, trajectory) -> None:
    steps = len(trajectory.steps)
    config = Config.model_validate(
        {
            "labelling": {**how.model_dump(), "spans": spans},
            "synthesis": {"step_limit": steps, "spans_per_trajectory": 6, "rollouts": 1, "filters": []},
        }
    )
    (row,) = [row for row in plan(config, [Document(text="Do it.", source="x")], 5, "") if row.stage == "label"]
    model = Watched()
    found = spans_to_label(trajectory, config.labelling, 6, seed=0)
    await label_spans(model, trajectory, "abstract", found, config.labelling)
    assert 0 < len(model.requests) <= row.calls
    limits = PromptLimits(differences=how.differences)
    sent = sum(estimate_tokens(message.content) for request in model.requests for message in render(request, limits))
    assert sent <= row.input_tokens
    assert spans == "informative" or len(model.requests) == row.calls


@pytest.mark.slow
def test_a_plan_counts_the_calls_and_pages_that_the_config_asks_for() -> None:
    def row(**how: Any) -> tuple[int, int]:
        few = FEW.model_copy(update=how)
        config = Config.model_validate({"labelling": few.model_dump(), "synthesis": {"rollouts": 1, "filters": []}})
        (found,) = [row for row in plan(config, [Document(text="Do it.", source="x")], 5, "") if row.stage == "label"]
        return found.calls, found.input_tokens

    assert row()[0] == 1  # the twelve spans of a trajectory
    assert row(together=1)[0] == row(whole=False)[0] == 12
    assert row(differences=False)[1] > row()[1]  # numbers of elements are sent too


def test_the_documents_tell_the_defaults() -> None:
    text = (Path(__file__).parents[1] / "docs" / "labelling.md").read_text()
    told = tomllib.loads("\n".join(re.findall(r"^\| `(\w+ = [^`]+)` \|", text, flags=re.MULTILINE)))
    assert told == Labelling().model_dump()
