"""The exploring agent for repositories: runs what documents and files name, looks into files, and changes some.

Needs no model and knows no project. All episodes share what was tried, which grows between rounds only.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from lbi.agents import Parts
from lbi.offline import commands
from lbi.offline.lexical import words
from lbi.protocols import Decision
from lbi.records import Observation, Step, Task, Trajectory, digest_of

NAME = "try_commands"
ENOUGH = 7  # actions of an episode
LOOK = ("git log --oneline | head -5", "git status --short", "ls -la", "find . -name '*.py' | head -20", "wc -l $(ls)")
_TEXT = re.compile(r"\.(?:py|md|rst|txt|toml|cfg|ini|js|ts|go|rs|java|c|h|cpp|rb|sh|ya?ml|json|html|css)$|^[A-Z]+$")
_LINE = re.compile(r"^ *(\d+)\t(.*)$", re.MULTILINE)
_NAME = re.compile(r"\b(?:def|class|function|func|fn|struct|interface)\s+(\w{3,})")
#: how a remark is written, by the end of a file's name
_REMARK = {"py": "# {}", "sh": "# {}", "toml": "# {}", "cfg": "# {}", "yml": "# {}", "yaml": "# {}", "md": "{}"}
_REMARK |= {"rst": "{}", "txt": "{}"} | dict.fromkeys(("js", "ts", "go", "rs", "java", "c", "h", "cpp"), "// {}")


def create(parts: Parts) -> TryCommands:
    """``parts.sample`` is the seed."""
    return TryCommands(seed=parts.sample)


class TryCommands:
    """Takes what was tried least; what the task's words name counts more."""

    name = NAME

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.tried: Counter[str] = Counter()  # actions, in finished rounds
        self.attempts: Counter[str] = Counter()  # by task
        self._heard: dict[str, None] = {}  # commands that were seen anywhere

    def learn(self, trajectories: Iterable[Trajectory]) -> None:
        """Take in a finished round, in the order of its tasks."""
        for trajectory in trajectories:
            self.attempts[trajectory.task.id] += 1
            self.tried.update(action.text for action in trajectory.actions)
            for observation in trajectory.observations:
                self._heard |= dict.fromkeys(commands.commands_in(observation.text))

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        rng = random.Random(digest_of([self.seed, task.id, self.attempts[task.id], len(history)]))
        done = {step.action.text for step in history}
        if len(history) >= ENOUGH:
            return Decision(action='finish("")', reason="enough for one episode")
        offered = [move for move in self._offered(task, history, observation, rng) if move[0] not in done]
        if not offered:
            return Decision(action='finish("")', reason="nothing left to try here")
        wanted = set(words(f"{task.instruction} {task.quote}"))
        kinds = Counter(step.action.kind for step in history)

        def want(move: tuple[str, str]) -> float:
            kind = move[0].split("(")[0]
            named = len(set(words(move[0])) & wanted) / (1 + len(wanted))
            return 2 * named - self.tried[move[0]] - 0.5 * kinds[kind] + rng.random()

        action, reason = max(offered, key=want)
        return Decision(action=action, reason=reason)

    def _offered(
        self, task: Task, history: Sequence[Step], now: Observation, rng: random.Random
    ) -> list[tuple[str, str]]:
        """Everything that could be tried now, and why."""
        files = commands.listed(history[0].observation if history else now)
        said = commands.commands_in(f"{task.instruction}\n{task.quote}")
        found = [(commands.run(command), "the task names it") for command in said]
        found += [(commands.run(command), "it was seen here") for command in commands.commands_in(now.text)]
        found += [(commands.run(command), "it was seen before") for command in list(self._heard)[:200]]
        if test := commands.test_command(files):
            found.append((commands.run(test), "how the tests are likely run"))
        found += [(commands.run(command), "what there is") for command in LOOK]
        texts = [file for file in files if _TEXT.search(file)]
        found += [(commands.view(file), "what it says") for file in texts]
        found += [(commands.run(f"grep -rn {name} . | head"), "where it is used") for name in _NAME.findall(now.text)]
        if history and history[-1].action.kind == "view" and not now.error:
            found += _changes(history[-1].action.name, now, rng)
        topic = next(iter(words(task.instruction)), "notes")
        found.append((_call("create", f"{topic}.txt", f"{task.instruction}\n"), "something new"))
        return found


def _changes(path: str, shown: Observation, rng: random.Random) -> list[tuple[str, str]]:
    """Small changes of a file that is in view: a remark, a word that stands once."""
    lines = [(int(number), text) for number, text in _LINE.findall(shown.text)]
    form = _REMARK.get(path.rsplit(".", 1)[-1], "")
    if not lines or not form:
        return []
    number, _ = rng.choice(lines)
    found = [(_call("insert", path, number, form.format("looked at here") + "\n"), "a remark")]
    texts = Counter(text for _, text in lines)
    once = [text for text in texts if texts[text] == 1 and len(text.strip()) > 8]
    if once:
        old = rng.choice(once)
        found.append((_call("replace", path, old, f"{old}  {form.format('seen')}"), "a small change"))
    return found


def _call(kind: str, *given: str | int) -> str:
    return f"{kind}({', '.join(json.dumps(each, ensure_ascii=False) for each in given)})"
