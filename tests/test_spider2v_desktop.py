"""Spider2-V's tasks on a private desktop: begun and judged by scripts, with a terminal, a browser and an editor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lbi.benchmarks import spider2v
from lbi.benchmarks.spider2v.environment import Spider2VEnvironment, Spider2VEnvironments
from lbi.config import Config
from lbi.errors import EnvironmentFailure, ScoreError
from needs_desktop import needs_desktop
from spider2v_checkout import EXAMPLES, long, named, without_index, write_checkout

pytestmark = needs_desktop


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    without_index(tmp_path, monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_checkout(tmp_path / "checkout")


@asynccontextmanager
async def opened(checkout: Path) -> AsyncIterator[Spider2VEnvironment]:
    config = Config(environment="spider2v", benchmark="spider2v:dbt", checkout=str(checkout))
    environments = spider2v.create(config, lambda png: "")
    assert isinstance(environments, Spider2VEnvironments)
    try:
        yield await environments.open()
    finally:
        await environments.close()


def test_scripts_begin_and_judge_an_episode_on_a_desktop_of_its_own(checkout: Path) -> None:
    tasks = named(checkout)

    async def tried() -> None:
        async with opened(checkout) as environment:
            seen = await environment.reset(tasks["dbt-77777777"])
            assert 'window "Terminal"' in seen.text, "the terminal that the script asked for is there"
            outcome = await environment.step('run("pwd; cat project.txt; cd ..")')
            assert "note: | /home/user/projects\nnote: | views" in outcome.observation.text, "as in the task's terminal"
            assert (await environment.score(tasks["dbt-77777777"], ""))[0] == 0
            outcome = await environment.step(
                "run(\"pwd; cd projects; echo tables > project.txt; python -c 'import sys; print(sys.prefix)'\")"
            )
            assert "note: | /home/user\nnote: | /" in outcome.observation.text, "cd carries over"
            assert "/interpreters/one" in outcome.observation.text, "of the environment that conda activates"
            assert outcome.observation.digest != seen.digest
            assert (await environment.score(tasks["dbt-77777777"], ""))[0] == 1
            noisy = await environment.step('run("mkdir -p ~/.npm/_logs && date > ~/.npm/_logs/$(date +%N).log")')
            assert noisy.observation.digest == outcome.observation.digest, "what programs log is no state"
            failed = await environment.step('run("cat nowhere; exit 4")')
            assert "exit code 4" in failed.observation.text
            hidden = await environment.step(f'run("ls -d {checkout} /work; ls ~/eval.sh")')
            assert f"cannot access '{checkout}'" in hidden.observation.text, "neither golds nor metrics are to be seen"

            again = await environment.reset(tasks["dbt-88888888"])
            assert (await environment.step('run("cat ~/projects/project.txt")')).observation.text.count("| views") == 1
            assert again.digest == seen.digest
            with pytest.raises(ScoreError, match=r"eval\.sh ended with 3: it said nothing"):
                await environment.score(tasks["dbt-88888888"], "")

    asyncio.run(tried())


def test_a_script_that_is_lost_fails_its_own_task_and_no_other(checkout: Path) -> None:
    tasks = named(checkout)

    async def tried() -> None:
        async with opened(checkout) as environment:
            (checkout / EXAMPLES / "dbt" / long("7") / "init.sh").unlink()
            with pytest.raises(EnvironmentFailure, match="dbt-77777777 could not be set up"):
                await environment.reset(tasks["dbt-77777777"])
            await environment.reset(tasks["dbt-88888888"])
            (checkout / EXAMPLES / "dbt" / long("8") / "eval.sh").unlink()
            with pytest.raises(ScoreError, match=r"eval\.sh of the checkout cannot be read: No such file"):
                await environment.score(tasks["dbt-88888888"], "")

    asyncio.run(tried())
