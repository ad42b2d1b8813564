"""What was imported is carried out again where an environment of one's own can, and then it is verified like ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from claude_session import ClaudeSession
from lbi.interop.again import carried_out
from lbi.records import Action, Example, Observation, Step, Task, Trajectory
from lbi.storage.run_folder import RunFolder
from running import answer
from small_repository import needs_bubblewrap, repository


def session_of(shop: str) -> ClaudeSession:
    """Two attempts: one that does what it says on the repository of small_repository, and one that cannot have."""
    session = ClaudeSession(cwd=shop)
    session.ask("Greet with a full stop.")
    session.do("", "Bash", {"command": f"cd {shop} && python3 -m unittest"}, "Ran 1 test in 0.001s\n\nOK")
    edit = {
        "file_path": f"{shop}/src/greeter.py",
        "old_string": '"Hello, " + name',
        "new_string": '"Hello, " + name + "."',
    }
    session.do("", "Edit", edit, "The file has been updated.")
    session.do("", "Bash", {"command": "python3 -m unittest"}, "Exit code 1\nFAILED (failures=1)", True)
    session.say("It greets with a full stop; the test wants none.")
    session.ask("Show the licence.")
    session.do("", "Read", {"file_path": f"{shop}/LICENCE"}, "1\tAll rights reserved")
    session.say("All rights are reserved.")
    return session


@pytest.mark.slow
@needs_bubblewrap
def test_what_a_repository_can_do_again_is_replayed_and_the_rest_is_not(tmp_path: Path) -> None:
    shop = repository(tmp_path / "shop")
    config = tmp_path / "lbi.toml"
    config.write_text(
        f'environment = "shell"\n[shell]\nrepository = "{shop}"\n[synthesis]\ncompose = 0\n'
        '[labelling]\nspans = "informative"\n'
    )
    file = session_of("/home/carla/shop").write(tmp_path / "session.jsonl")
    said = answer("import", file, "--out", tmp_path / "run", "--config", config, "-q", here=True)
    assert (said["trajectories"], said["carried_out_again"]) == (2, 1)
    with RunFolder(tmp_path / "run", writing=False) as folder:
        kept = [each for _, each in folder.store.all("example", Example) if each.kept and each.kind == "abstract"]
        walks = {walk.id: walk for _, walk in folder.store.all("trajectory", Trajectory)}
        originals = [walk for _, walk in folder.store.all("imported", Trajectory)]
    tiers = {walks[each.trajectory].task.instruction: each.tier for each in kept if each.trajectory in walks}
    assert tiers == {"Greet with a full stop.": "replayed"}
    again = walks[next(each.trajectory for each in kept)]
    assert again.observations[1].digest != again.observations[2].digest  # the edit was made
    assert "FAILED (failures=1)" in again.observations[3].text
    assert originals[0].observations[3].text == "Exit code: 1\nFAILED (failures=1)"


class Scripted:
    """An environment whose steps lead to what it is told."""

    name, actions = "scripted", ""

    def __init__(self, *seen: Observation) -> None:
        self.seen = list(seen)

    async def reset(self, task: Task) -> Observation:
        return self.seen.pop(0)

    async def step(self, action: str) -> object:
        from lbi.protocols import Outcome

        return Outcome(action=Action(text=action, kind="run", value=action), observation=self.seen.pop(0))

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        return 0.0, ""

    async def close(self) -> None:
        return None


def one_step(text: str, error: str = "", url: str = "") -> Trajectory:
    step = Step(observation=Observation(text=""), action=Action(text='run("x")', kind="run", value="x"))
    last = Observation(text=text, error=error, url=url)
    return Trajectory(task=Task(instruction="", environment="tools"), agent="a", steps=(step,), last=last, stop="done")


@pytest.mark.parametrize(
    ("expected", "seen", "alike"),
    [
        (one_step("Exit code: 0\nok"), Observation(text="Folder: .\nExit code: 0\nfine", digest="d"), True),
        (one_step("Exit code: 0\nok"), Observation(text="Folder: .\nExit code: 1\nno", digest="d"), False),
        (one_step("ok"), Observation(text="anything", digest="d"), True),
        (one_step("ok"), Observation(text="", error="no such file"), False),
        (one_step("no", error="no such file"), Observation(text="", error="missing"), True),
        (one_step("page", url="/ticket/7"), Observation(text="page", url="/ticket/12"), True),
        (one_step("page", url="/ticket/7"), Observation(text="page", url="/login"), False),
    ],
)
async def test_only_what_has_the_same_outcome_is_taken(expected: Trajectory, seen: Observation, alike: bool) -> None:
    again = await carried_out(Scripted(Observation(text="start", digest="s"), seen), expected)  # type: ignore[arg-type]
    assert (again is not None) == alike
    if again is not None:
        assert (again.last, again.observations[0].digest) == (seen, "s")
