"""MiniWoB++: pages that say themselves what an episode earned; of the wheel where it is installed, else of our own."""

from __future__ import annotations

import asyncio
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from lbi.benchmarks.miniwob import documents, instructions, solver
from lbi.benchmarks.miniwob.environment import MiniwobEnvironments
from lbi.benchmarks.miniwob.site import begun, pages_folder
from lbi.benchmarks.miniwob.solutions import SOLUTIONS
from lbi.cli.options import RunOptions, configured
from lbi.errors import EnvironmentFailure, UserError
from lbi.evaluation.benchmark import load_benchmark
from lbi.protocols import Environment
from lbi.records import Task
from lbi.rollouts.loop import in_parallel, rollout
from running import lbi_here

STEPS = 400  # of a solution: a slider goes by single keys
CORE = """var core = {ept0: null, EPISODE_MAX_TIME: 5}, WOB_DONE_GLOBAL = false, WOB_RAW_REWARD_GLOBAL = 0;
var WOB_REWARD_REASON = null;
Math.seedrandom = seed => { core.seed = seed; };
core.startEpisode = () => { core.cover.style.display = 'block'; };
core.startEpisodeReal = () => { genProblem(); core.ept0 = 1; core.cover.style.display = 'none'; WOB_DONE_GLOBAL = false;
  core.timer = setTimeout(() => core.endEpisode(-1), core.EPISODE_MAX_TIME); };
core.endEpisode = reward => { if (!core.timer) return; clearTimeout(core.timer); core.timer = null;
  WOB_RAW_REWARD_GLOBAL = reward; WOB_DONE_GLOBAL = true; core.startEpisode(); };"""
PAGE = """<title>Click</title><script src="../core/core.js"></script><script>
var genProblem = () => { document.getElementById('query').textContent = 'Click the "okay" button.';
  document.getElementById('area').innerHTML = '<button onclick="core.endEpisode(1)">okay</button>'
    + '<button onclick="core.endEpisode(-1)">no</button><button onclick="core.endEpisode(0.25)">part</button>'; };
window.onload = () => { core.cover = document.getElementById('cover'); core.startEpisode(); };
</script><body><div id="query"></div><div id="area"></div>
<div id="cover" onclick="core.startEpisodeReal()">START</div></body>"""


def _installed() -> bool:
    try:
        return bool(distribution("miniwob"))
    except PackageNotFoundError:
        return False


needs_pages = pytest.mark.skipif(not _installed(), reason="the extra `miniwob` is not installed")


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """A page of our own that keeps to the protocol of MiniWoB's."""
    (tmp_path / "html" / "miniwob").mkdir(parents=True)
    (tmp_path / "html" / "core").mkdir()
    (tmp_path / "html" / "core" / "core.js").write_text(CORE)
    (tmp_path / "html" / "miniwob" / "click-button.html").write_text(PAGE)
    return tmp_path


def task(pages: Path) -> Task:
    return load_benchmark("miniwob:click-button", str(pages)).tasks("miniwob")[0]


def test_tasks_are_chosen_by_name_and_seed(pages: Path) -> None:
    chosen = load_benchmark("miniwob:click-button,click-tab@3,click-tab@0", str(pages)).task
    assert [(each.name, each.start_url) for each in chosen] == [
        ("click-button", "/miniwob/click-button.html?seed=0"),
        ("click-tab@3", "/miniwob/click-tab.html?seed=3"),
        ("click-tab", "/miniwob/click-tab.html?seed=0"),
    ]
    assert len(load_benchmark("miniwob", str(pages)).task) == 125


@pytest.mark.parametrize(
    ("selection", "complaint"),
    [
        ("click-buton", "miniwob has no task 'click-buton'; nearest: click-button"),
        ("click-button@10", "the seeds of a task are 0 to 9"),
        ("click-button@x", "the seeds of a task are 0 to 9"),
    ],
)
def test_a_task_that_there_is_not_is_one_line(pages: Path, selection: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        load_benchmark(f"miniwob:{selection}", str(pages))


def test_a_folder_without_pages_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no pages of MiniWoB\+\+"):
        pages_folder(str(tmp_path))


def test_a_run_needs_no_config_file(pages: Path) -> None:
    config, out = configured(RunOptions(Path("miniwob:click-button,click-tab@1"), checkout=pages))
    assert (config.environment, config.benchmark) == ("miniwob", "miniwob:click-button,click-tab@1")
    assert [arm.agent for arm in config.evaluation.arms] == ["react"]
    assert out == Path("runs/miniwob-click-button-click-tab-1")


def test_the_limit_of_time_is_lifted_and_the_seed_is_the_addresses() -> None:
    page = begun("<body>x</body>", 7)
    assert "seedrandom(7)" in page
    assert "EPISODE_MAX_TIME = 2000000000" in page
    assert page.endswith("</body>")


@pytest.mark.browser
@pytest.mark.slow
async def test_an_episode_ends_when_the_page_says_so_and_scores_what_the_page_gave(pages: Path) -> None:
    environments = MiniwobEnvironments(str(pages), False, lambda image: "")
    environment = await environments.open()
    try:
        for button, score in (("okay", 1.0), ("no", 0.0), ("part", 0.25)):
            first = await environment.reset(task(pages))
            assert 'text: Click the "okay" button.' in first.text
            await asyncio.sleep(0.05)  # ten times the page's own limit
            assert (await environment.score(task(pages), ""))[0] == 0
            outcome = await environment.step(f'click(button "{button}")')
            assert outcome.done
            assert (await environment.score(task(pages), ""))[0] == score
        await environment.reset(task(pages))
        left = await environment.step('goto("/miniwob/")')
        assert not left.done
        assert (await environment.score(task(pages), ""))[0] == 0, "who leaves the page has not solved its problem"
        await environment.reset(task(pages))
        assert (await environment.step('finish("")')).done
        assert (await environment.score(task(pages), ""))[0] == 0
    finally:
        await environments.close()


@pytest.mark.browser
@pytest.mark.slow
async def test_a_page_that_begins_no_episode_is_the_infrastructures_failure(pages: Path) -> None:
    (pages / "html" / "core" / "core.js").write_text("broken(")
    environments = MiniwobEnvironments(str(pages), False, lambda image: "")
    environment = await environments.open()
    try:
        with pytest.raises(EnvironmentFailure, match="did not begin an episode"):
            await environment.reset(task(pages))
    finally:
        await environments.close()


@pytest.mark.browser
@pytest.mark.slow
def test_the_benchmark_is_proved_by_its_solution_and_by_doing_nothing(pages: Path) -> None:
    ran = lbi_here("check", "benchmark", "miniwob:click-button", pages, "--quiet")
    assert (ran.returncode, "1 of 1 passed" in ran.stdout) == (0, True)


@needs_pages
@pytest.mark.browser
@pytest.mark.slow
async def test_every_page_of_the_wheel_starts_says_its_instruction_and_gives_nothing_for_nothing() -> None:
    wrong: list[str] = []

    async def one(environment: Environment, each: Task) -> None:
        observation = await environment.reset(each)
        score, _ = await environment.score(each, "")
        if score or each.instruction[:12].split()[0] not in observation.text:
            wrong.append(each.name)

    await run(load_benchmark("miniwob").tasks("miniwob"), one)
    assert not wrong


@needs_pages
@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("one_of", [3, pytest.param(1, marks=pytest.mark.sweep)])
async def test_solutions_score_through_our_own_actions_and_observations(one_of: int) -> None:
    wrong: list[str] = []

    async def one(environment: Environment, each: Task) -> None:
        agent = solver(each)
        assert agent is not None
        await rollout(environment, agent, each, STEPS)
        if (await environment.score(each, ""))[0] != 1:
            wrong.append(each.name)

    solved = [each for each in load_benchmark("miniwob").tasks("miniwob") if each.name in SOLUTIONS]
    await run(solved[::one_of], one)
    assert not wrong
    assert len(SOLUTIONS) >= 80


async def run(tasks: list[Task], work: object) -> None:
    environments = MiniwobEnvironments("", False, lambda image: "")
    failures: list[str] = []
    try:
        await in_parallel(
            environments,
            tasks,
            work,  # type: ignore[arg-type]
            workers=3,
            failed=lambda each, error, last: failures.append(f"{each.name}: {error}"),
        )
    finally:
        await environments.close()
    assert not failures


def test_solutions_are_of_tasks_that_there_are() -> None:
    assert SOLUTIONS.keys() <= instructions().keys()


@pytest.mark.browser
@pytest.mark.slow
async def test_a_run_may_look_at_it_before_there_is_a_task(pages: Path) -> None:
    environments = MiniwobEnvironments(str(pages), False, lambda image: "")
    environment = await environments.open()
    try:
        observation = await environment.reset(Task(instruction="", environment="miniwob"))
        assert "miniwob" in observation.text
        sources = await documents(environments)
        learnt_on = {source.start_url for source in sources}
        assert len(learnt_on) == len(sources) > len(instructions())
        measured = {task.start_url for name in instructions() for task in load_benchmark(f"miniwob:{name}").task}
        assert not learnt_on & measured, "what is learnt on is none of what is measured"
    finally:
        await environments.close()
