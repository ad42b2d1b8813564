"""The exploring agent for repositories: runs what documents and files name, and looks into files."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from lbi.agents import AgentParts
from lbi.protocols import Decision
from lbi.records import Observation, Step, Task, Trajectory, digest_of
from lbi_offline.commands import KINDS, call, commands_in, listed, test_command
from lbi_offline.goal import Move, finish
from lbi_offline.lexical import words

ENOUGH = 7  # actions of an episode
LOOK = ("git log --oneline | head -5", "git status --short", "ls -la", "find . -name '*.py' | head -20", "wc -l $(ls)")
_TEXT = re.compile(r"\.(?:py|md|rst|txt|toml|cfg|ini|js|ts|go|rs|java|c|h|cpp|rb|sh|ya?ml|json|html|css)$|^[A-Z]+$")
_NAME = re.compile(r"\b(?:def|class|function|func|fn|struct|interface)\s+(\w{3,})")


def create(parts: AgentParts) -> TryCommands:
    return TryCommands(seed=parts.sample)


class TryCommands:
    """Takes what was tried least; what the task's words name counts more."""

    name = "try_commands"

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.tried: Counter[str] = Counter()  # actions, in finished rounds
        self.attempts: Counter[str] = Counter()  # by task
        self._seen: dict[str, None] = {}  # commands that any output named

    def prepare(self, tasks: Sequence[Task]) -> None:
        """Nothing is handed out before a round."""

    def learn(self, trajectories: Iterable[Trajectory]) -> None:
        """Take in a finished round, in the order of its tasks."""
        for trajectory in trajectories:
            self.attempts[trajectory.task.id] += 1
            self.tried.update(action.text for action in trajectory.actions)
            for observation in trajectory.observations:
                self._seen |= dict.fromkeys(commands_in(observation.text))

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        rng = random.Random(digest_of([self.seed, task.id, self.attempts[task.id], len(history)]))
        done = {step.action.text for step in history}
        here = set(re.findall(r"^(\w+)\(", actions, re.MULTILINE)) or KINDS
        moves = [m for m in self._moves(task, history, observation) if m[0] not in done and m[0].split("(")[0] in here]
        if len(history) >= ENOUGH or not moves:
            return Decision(action=finish(), reason="enough for one episode")
        wanted = set(words(f"{task.instruction} {task.quote}"))
        kinds = Counter(step.action.kind for step in history)

        def worth(move: Move) -> float:
            named = len(set(words(move[0])) & wanted) / (1 + len(wanted))
            return 2 * named - self.tried[move[0]] - 0.5 * kinds[move[0].split("(")[0]] + rng.random()

        action, reason = max(moves, key=worth)
        return Decision(action=action, reason=reason)

    def _moves(self, task: Task, history: Sequence[Step], now: Observation) -> list[Move]:
        """Everything that could be tried now, and why."""
        files = listed(history[0].observation if history else now)
        named = [*commands_in(f"{task.instruction}\n{task.quote}"), *commands_in(now.text), *list(self._seen)[:200]]
        searches = [f"grep -rn {name} . | head" for name in _NAME.findall(now.text)]
        commands = dict.fromkeys([*named, *filter(None, [test_command(files)]), *LOOK, *searches])
        moves = [(call("run", command), "to see what it prints") for command in commands]
        moves += [(call("view", file), "to see what it contains") for file in files if _TEXT.search(file)]
        return [*moves, (call("create", "notes.txt", f"{task.instruction}\n"), "something new")]
