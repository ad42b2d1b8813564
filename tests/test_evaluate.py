"""Tasks x arms x seeds: what each arm may see, what is run once only, and whose fault a missing score is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from evaluating import evaluated
from fake_environment import LampEnvironment, LampEnvironments, click, fill, walk
from lbi.cli.preflight import check_config
from lbi.config import Arm, resolve
from lbi.context import RunContext
from lbi.errors import BudgetExceeded, ModelError, UserError
from lbi.evaluation.arms import KINDS, examples_for, stratified
from lbi.evaluation.holdout import split_held_out, to_learn_from
from lbi.evaluation.runner import Attempt
from lbi.evaluation.statistics import compare, summarise
from lbi.models.pricing import Prices
from lbi.models.providers.scripted import Scripted
from lbi.monitoring.progress import Progress
from lbi.records import Action, Check, Example, Observation, Result, Step, Task, Trajectory, Verdict
from lbi.report import write_report
from lbi.report.counts import outages
from lbi.storage.run_folder import RunFolder

PAINT = Task(
    name="paint",
    category="lamps",
    level=2,
    instruction='Set the colour of lamp 9 to "blue" and save it',
    environment="lamps",
    check=Check(shows=("9 Old lamp blue",)),
    start_url="/lamps",
)
OTHER = PAINT.model_copy(update={"name": "other", "check": Check(shows=("9 Old lamp pink",))})
UNKNOWABLE = PAINT.model_copy(update={"name": "unknowable", "check": Check(shows=("what nobody can tell",))})
ARMS = (Arm(name="baseline", agent="react"), Arm(name="backward", agent="icl", data="backward"))
Pairs = list[tuple[Example, Trajectory]]


@pytest.fixture
async def examples() -> Pairs:
    trajectory = await walk(
        "paint", fill("Colour", "red"), click("button", "Save"), start_url="/lamps/7", document="guide"
    )
    example = Example(
        kind="abstract",
        instruction='Save with Colour "red" on lamps "7" ("Green lamp")',
        trajectory=trajectory.id,
        start=0,
        end=2,
        document="guide",
    )
    return [(example, trajectory)]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    with RunFolder(tmp_path / "run") as opened:
        yield opened


def shop_of(folder: RunFolder, environments: LampEnvironments | None = None, **evaluation: object) -> RunContext:
    config = resolve({"workers": 2, "evaluation": {"arms": [arm.model_dump() for arm in ARMS], **evaluation}}, "test")
    seen = Progress(Console(file=StringIO()), quiet=True)
    return RunContext(
        folder=folder, config=config, progress=seen, environments=environments or LampEnvironments(), prices=Prices()
    )


def by_key(results: Sequence[Result]) -> dict[tuple[str, str], Result]:
    return {(result.arm, result.task): result for result in results}


# a whole evaluation


async def test_an_example_makes_the_difference_between_the_arms(folder, examples):
    results = by_key(await evaluated(shop_of(folder), [PAINT], 0, examples, []))
    assert {place: result.score for place, result in results.items()} == {
        ("baseline", "paint"): 0.0,
        ("backward", "paint"): 1.0,
    }
    result = results["backward", "paint"]
    assert (result.category, result.level, result.seed, result.fault, result.stop) == ("lamps", 2, 0, "", "done")
    episode = folder.store.get("episode", "backward/0/paint", Trajectory)
    assert episode is not None
    assert (episode.id, len(episode.steps)) == (result.trajectory, result.steps)
    assert {name for step in episode.steps for name in step.examples} == {examples[0][0].id}


async def test_what_was_finished_is_not_run_again(folder, examples):
    first = await evaluated(shop_of(folder), [PAINT, OTHER], 0, examples, [])
    again = LampEnvironments()
    assert await evaluated(shop_of(folder, again), [PAINT, OTHER], 0, examples, []) == first
    assert again.opened == []


async def test_only_what_is_missing_is_run(folder, examples):
    await evaluated(shop_of(folder), [PAINT], 0, examples, [])
    stored = folder.store.get("result", "baseline/0/paint", Result)
    assert stored is not None
    folder.store.put("result", "baseline/0/paint", stored.model_copy(update={"reason": "from before"}))
    results = by_key(await evaluated(shop_of(folder), [PAINT, OTHER], 0, examples, []))
    assert results["baseline", "paint"].reason == "from before"
    assert len(results) == 4


async def test_seeds_are_evaluated_apart(folder, examples):
    results = [r for seed in (0, 1) for r in await evaluated(shop_of(folder), [PAINT], seed, examples, [])]
    assert [result.seed for result in results] == [0, 0, 1, 1]
    assert folder.store.count("result") == 4
    assert [summary.seeds for summary in summarise(results, resamples=10)] == [2, 2]


async def test_the_order_and_number_of_workers_change_no_result(folder, examples, tmp_path):
    one = await evaluated(shop_of(folder), [PAINT, OTHER], 0, examples, [])
    with RunFolder(tmp_path / "other") as other:
        environments = LampEnvironments(pauses=(4, 0))
        two = await evaluated(shop_of(other, environments), [OTHER, PAINT], 0, examples, [])
    assert len(environments.opened) == 2
    assert by_key(one) == by_key(two)


async def test_an_arm_with_extra_steps_gets_them(folder):
    arms = [{"name": "short", "agent": "react"}, {"name": "long", "agent": "react", "step_factor": 2.0}]
    context = shop_of(folder, arms=arms, step_limit=2)
    context._models["offline"] = Scripted(lambda _: "REASON: on\nACTION: " + click("link", "Lamps"))
    results = by_key(await evaluated(context, [PAINT], 0, [], []))
    assert [results[arm, "paint"].steps for arm in ("short", "long")] == [2, 4]
    assert {result.stop for result in results.values()} == {"step_limit"}


async def test_growth_measures_an_arm_at_parts_of_its_data(folder, examples):
    context = shop_of(folder, growth=[0.0, 0.5], growth_arm="backward")
    results = by_key(await evaluated(context, [PAINT], 0, examples, []))
    assert {arm for arm, _ in results} == {"baseline", "backward", "backward @0", "backward @0.5"}
    assert (results["backward @0", "paint"].score, results["backward", "paint"].score) == (0.0, 1.0)


# lineage


async def test_no_task_is_shown_an_example_of_its_own_document(folder, examples):
    own = PAINT.model_copy(update={"document": "guide", "name": "own"})
    await evaluated(shop_of(folder), [own, PAINT], 0, examples, [])
    for name, expected in (("own", set()), ("paint", {examples[0][0].id})):
        episode = folder.store.get("episode", f"backward/0/{name}", Trajectory)
        assert episode is not None
        assert {shown for step in episode.steps for shown in step.examples} == expected


# whose fault


async def test_a_broken_environment_is_tried_again_and_leaves_no_trace(folder, examples):
    environments = LampEnvironments(broken=2)
    context = shop_of(folder, environments)
    results = await evaluated(context, [PAINT], 0, examples, [])
    await context.close()
    assert [result.fault for result in results] == ["", ""]
    assert by_key(results)["backward", "paint"].score == 1.0
    assert folder.store.failures() == []
    assert all(lamps.closed == 1 for lamps in environments.opened)


async def test_an_environment_that_stays_broken_is_never_the_agents_zero(folder, examples):
    results = await evaluated(shop_of(folder, LampEnvironments(broken=99)), [PAINT], 0, examples, [])
    assert {(r.fault, r.stop, r.steps, r.reason) for r in results} == {
        ("environment", "environment_failure", 0, "the lamps are gone")
    }
    assert folder.store.count("episode") == 0
    for summary in summarise(results, resamples=10):
        assert (summary.results, summary.environment_faults) == (0, 1)
    [comparison] = compare(results, [("backward", "baseline")], resamples=10)
    assert comparison.pairs == 0


async def test_a_control_spends_as_the_episode_of_another_arm_and_comes_after_it(folder, examples):
    long = {"name": "long", "agent": "react", "step_factor": 3.0}
    arms = [{"name": "control", "agent": "react", "spends_as": "long"}, {"name": "baseline", "agent": "react"}, long]
    options = {"arms": arms, "step_limit": 1}
    lost = by_key(await evaluated(shop_of(folder, LampEnvironments(broken=99), **options), [PAINT], 0, examples, []))
    assert set(lost) == {("baseline", "paint"), ("long", "paint")}, "nothing says what it may spend"
    results = by_key(await evaluated(shop_of(folder, **options), [PAINT], 0, examples, []))
    calls = {arm: result.usage.calls for (arm, _), result in results.items()}
    assert calls["control"] == calls["long"] > 1
    assert calls["baseline"] == 1


@pytest.mark.parametrize(
    ("arm", "told"),
    [
        ({"agent": "react", "spends_as": "nobody"}, "spends as 'nobody', which is no arm"),
        ({"agent": "react", "spends_as": "control"}, "spends as 'control', which is no arm"),
        ({"agent": "lats", "spends_as": "baseline"}, "decides itself how much it spends; take react or best_of"),
    ],
)
async def test_a_control_that_cannot_spend_as_another_arm_is_told_before_the_run(arm, told):
    arms = [{"name": "baseline", "agent": "react"}, {"name": "control", **arm}]
    with pytest.raises(UserError, match=told):
        await check_config(resolve({"url": "http://127.0.0.1:9", "evaluation": {"arms": arms}}, "test"))


async def test_an_outage_is_counted_by_its_kind_whether_or_not_a_later_attempt_went_well(folder, examples, monkeypatch):
    monkeypatch.setattr(LampEnvironment, "kind", "dropped")
    await evaluated(shop_of(folder, LampEnvironments(broken=2)), [PAINT], 0, examples, [])
    assert outages(folder.store.meters()) == {"dropped": 2}
    results = await evaluated(shop_of(folder, LampEnvironments(broken=99)), [OTHER], 0, examples, [])
    assert {result.reason for result in results} == {"dropped: the lamps are gone"}
    assert outages(folder.store.meters()) == {"dropped": 2 + 3 * len(results)}
    assert [summary.results for summary in summarise(results, resamples=10)] == [0] * len(results)
    page = write_report(folder).read_text()
    assert f"Failures of the environment, by kind: {2 + 3 * len(results)} dropped." in page


async def test_what_was_lost_to_the_environment_is_tried_again_by_the_next_run(folder, examples):
    done = await evaluated(shop_of(folder), [OTHER], 0, examples, [])
    lost = await evaluated(shop_of(folder, LampEnvironments(broken=99)), [PAINT, OTHER], 0, examples, [])
    assert by_key(lost)["backward", "paint"].fault == "environment"
    assert [result for result in lost if result.task == "other"] == done
    again = by_key(await evaluated(shop_of(folder), [PAINT, OTHER], 0, examples, []))
    assert {(place, result.fault) for place, result in again.items()} == {(place, "") for place in by_key(lost)}
    assert again["backward", "paint"].score == 1.0
    assert folder.store.failures() == []


async def test_a_check_that_cannot_be_made_is_the_harnesss_fault(folder, examples):
    results = await evaluated(shop_of(folder), [UNKNOWABLE], 0, examples, [])
    assert {(result.fault, result.reason) for result in results} == {("harness", "nobody can tell")}
    assert [(s.results, s.harness_faults) for s in summarise(results, resamples=10)] == [(0, 1), (0, 1)]


async def test_a_model_that_fails_counts_as_not_solved_and_says_why(folder):
    context = shop_of(folder, arms=[{"name": "baseline", "agent": "react"}])
    context._models["offline"] = Scripted([ModelError("refused")])
    [result] = await evaluated(context, [PAINT], 0, [], [])
    assert (result.score, result.fault, result.stop, result.reason) == (0.0, "model", "model_failure", "refused")
    assert summarise([result], resamples=10)[0].results == 1


async def test_a_spent_budget_stops_and_what_was_done_is_kept(folder):
    context = shop_of(folder, arms=[{"name": "baseline", "agent": "react"}])
    context._models["offline"] = Scripted(
        ['REASON: done\nACTION: finish("")', BudgetExceeded("spent"), BudgetExceeded("")]
    )
    with pytest.raises(ExceptionGroup):
        await evaluated(context, [PAINT, OTHER, UNKNOWABLE], 0, [], [])
    assert folder.store.count("result") == 1
    context._models["offline"] = Scripted(lambda _: 'REASON: done\nACTION: finish("")')
    assert len(await evaluated(context, [PAINT, OTHER, UNKNOWABLE], 0, [], [])) == 3
    assert context._models["offline"].calls == 2


@pytest.mark.parametrize(("votes", "score"), [("yy", 1.0), ("yn", 0.0), ("nn", 0.0)])
async def test_without_a_check_the_committee_decides_together(folder, votes, score):
    config = resolve(
        {"models": {"judges": ["a", "b"]}, "evaluation": {"arms": [{"name": "baseline", "agent": "react"}]}}, "test"
    )
    seen = Progress(Console(file=StringIO()), quiet=True)
    context = RunContext(folder=folder, config=config, progress=seen, environments=LampEnvironments(), prices=Prices())
    context._models["offline"] = Scripted(lambda _: 'REASON: done\nACTION: finish("")')
    for name, vote in zip("ab", votes, strict=True):
        said = "true" if vote == "y" else "false"
        reply = f'{{"reason": "so", "aligned": {said}, "coherent": true, "natural": true, "reasonable": true}}'
        context._models[name] = Scripted([reply], name=name)
    [result] = await evaluated(context, [PAINT.model_copy(update={"check": None})], 0, [], [])
    assert (result.score, result.fault) == (score, "")
    assert ": so" in result.reason


def test_that_all_tasks_are_held_out_and_none_is_left_to_learn_from_is_said(folder):
    context = shop_of(folder)
    context.progress = Progress(said := Console(file=StringIO(), width=500), style="lines")
    only = [Task(instruction=f"Look at lamp {at}", environment="lamps", document="a", quote="lamp") for at in range(3)]
    assert len(split_held_out(context, only)) == 3
    assert to_learn_from(context, only) == []
    assert "nothing is left to learn from" in said.file.getvalue()
    both = [*only, Task(instruction="Look at a room", environment="lamps", document="b", quote="room")]
    context.progress = Progress(said := Console(file=StringIO(), width=500), style="lines")
    assert split_held_out(context, both)
    assert to_learn_from(context, both)
    assert "learn" not in said.file.getvalue()


async def test_a_judge_that_fails_is_the_harnesss_fault(folder):
    context = shop_of(folder, arms=[{"name": "baseline", "agent": "react"}])
    replies = iter(['REASON: done\nACTION: finish("")', ModelError("no judge")])
    context._models["offline"] = Scripted(lambda _: next(replies))
    [result] = await evaluated(context, [PAINT.model_copy(update={"check": None})], 0, [], [])
    assert (result.fault, result.reason) == ("harness", "no judge")


# which tasks

TASKS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(1, 3)).map(
        lambda place: Task(instruction="go", environment="x", category=place[0], level=place[1])
    ),
    max_size=25,
).map(lambda tasks: [task.model_copy(update={"name": f"t{at}"}) for at, task in enumerate(tasks)])


@settings(max_examples=40)
@given(TASKS, st.integers(1, 26), st.integers(0, 3))
def test_a_smaller_choice_of_tasks_is_part_of_a_larger_one(tasks, count, seed):
    some = stratified(tasks, count, seed)
    assert len(some) == len({task.name for task in some}) == min(count, len(tasks))
    assert {task.name for task in some} <= {task.name for task in stratified(tasks, count + 1, seed)}
    if count < len(tasks):
        assert stratified(tasks[::-1], count, seed) == some


@settings(max_examples=40)
@given(TASKS, st.integers(1, 26), st.integers(0, 3))
def test_a_choice_of_tasks_is_spread_evenly_over_categories(tasks, count, seed):
    chosen = Counter(task.category for task in stratified(tasks, count, seed))
    whole = Counter(task.category for task in tasks)
    open_ = [chosen[category] for category in whole if chosen[category] < whole[category]]
    assert not open_ or max(chosen.values()) - min(open_) <= 1


def test_levels_are_spread_within_a_category():
    tasks = [
        Task(instruction="go", environment="x", name=f"{level}{at}", category="a", level=level)
        for level in (1, 2, 3)
        for at in range(4)
    ]
    assert Counter(task.level for task in stratified(tasks, 6)) == {1: 2, 2: 2, 3: 2}


def test_no_count_means_all_tasks_in_their_order():
    tasks = [PAINT, OTHER, UNKNOWABLE]
    assert stratified(tasks, 0) == stratified(tasks, 3) == stratified(tasks, 9) == tasks


# which examples


STEPS = tuple(
    Step(
        observation=Observation(text=f"page {at}", url=f"/{at}"),
        action=Action(text="it", kind="click", role="link", name=str(at)),
    )
    for at in range(3)
)


def pool(count: int) -> Pairs:
    """Four examples of each trajectory: of two spans, of the whole, and composed."""
    found: Pairs = []
    for at in range(count):
        trajectory = Trajectory(
            task=Task(instruction=f"task {at}", environment="x"),
            agent="a",
            steps=STEPS,
            last=STEPS[0].observation,
            stop="done",
        )
        for kind, start, end in (("abstract", 0, 1), ("abstract", 1, 3), ("forward", 0, 3), ("composed", 0, 2)):
            name = f"{kind} {start} of {at}"
            found.append(
                (Example(kind=kind, instruction=name, trajectory=trajectory.id, start=start, end=end), trajectory)
            )
    return found


def spans(pairs: Pairs) -> list[tuple[str, int, int]]:
    return [(example.trajectory, example.start, example.end) for example, _ in pairs]


@pytest.mark.parametrize("data", KINDS)
def test_each_arm_has_examples_of_its_kinds_only(data):
    assert {example.kind for example, _ in examples_for(data, pool(3), 0)} <= set(KINDS[data])
    assert bool(examples_for(data, pool(3), 0)) == (data != "none")


def test_what_a_filter_dropped_is_in_no_arm():
    dropped = [(e.model_copy(update={"verdicts": (Verdict(filter="loop", keep=False),)}), t) for e, t in pool(2)]
    assert examples_for("composed", dropped, 0) == []


@settings(max_examples=40)
@given(st.integers(0, 9), st.integers(0, 5))
def test_shuffling_moves_the_labels_and_nothing_else(count, seed):
    right, shuffled = (examples_for(data, pool(count), seed) for data in ("backward", "shuffled"))
    assert spans(right) == spans(shuffled)
    assert [t for _, t in right] == [t for _, t in shuffled]
    labels, moved = ([example.instruction for example, _ in pairs] for pairs in (right, shuffled))
    assert sorted(labels) == sorted(moved)
    assert examples_for("shuffled", pool(count), seed) == shuffled
    if count >= 5:
        assert labels != moved


@settings(max_examples=40)
@given(st.integers(0, 12), st.floats(0, 1), st.floats(0, 1), st.integers(0, 5))
def test_a_smaller_share_of_the_data_is_part_of_a_larger_one(count, one, other, seed):
    less, more = (examples_for("composed", pool(count), seed, share) for share in sorted((one, other)))
    assert set(spans(less)) <= set(spans(more))
    assert len({t.id for _, t in less}) == (round(min(one, other) * count))


def test_each_cell_has_a_key_of_its_own():
    cells = [
        Attempt(arm, seed, task, share)
        for arm in ARMS
        for seed in (0, 1)
        for task in (PAINT, OTHER)
        for share in (0.5, 1.0)
    ]
    assert len({cell.key for cell in cells}) == len(cells)
