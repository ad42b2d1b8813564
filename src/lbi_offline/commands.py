"""The policy where one works by commands: instruction, history, output and examples -> the next action; labels."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from lbi.protocols import Fields, Shown
from lbi.records import Action, Observation, Step, Trajectory
from lbi_offline.goal import Move, finish
from lbi_offline.labels import quotable
from lbi_offline.lexical import is_question, words

KINDS = frozenset({"run", "view", "replace", "create", "insert"})
CLOSE_ENOUGH = 0.5  # share of the goal's words that an example must say
_COMMAND = re.compile(r"((?:\b(?:run|use|type|execute) )?)`([^`\n]{2,200})`", re.IGNORECASE)  # and whether told to
_PROMPT = re.compile(r"^\s*(?:\$|>>>|%)\s+(\S.*)$")
_FILE = re.compile(r"[\w./-]*\w\.\w{1,8}\b|\b(?:Makefile|Dockerfile|LICENSE|README)\b")
_QUOTED = re.compile(r"\"([^\"]+)\"|`([^`]+)`")
_PYTHON = "python3 -m pytest -q"
#: how a repository is tested, by the beginning of the name of a file that it has
TESTS = {"pyproject.toml": _PYTHON, "setup.py": _PYTHON, "tests/": _PYTHON, "package.json": "npm test"}
TESTS |= {"Cargo.toml": "cargo test --offline", "go.mod": "go test ./...", "Makefile": "make test"}
#: programs that a document's line must begin with to be taken for a command
_PROGRAMS = re.compile(
    r"(?:\w+=\S+ )*(?:\./[\w/-]+(?:\.sh)?(?=\s|$)|python3?|pytest|pip|uv|tox|make|npm|npx|node|cargo|go|git|ls|cat|grep"
    r"|find|bash|sh|ruff|mypy|cmake|ctest|mvn|gradle)(?:\s|$)"
)


def applies(fields: Fields) -> bool:
    """Whether what is asked about is done by commands; where there are windows too, what was done or is shown tells."""
    walks = (fields.trajectory, *(shown.trajectory for shown in fields.examples))
    done = {act.kind for walk in walks if walk for act in walk.actions} | {step.action.kind for step in fields.history}
    return bool(done & KINDS) or set(re.findall(r"^(run|click)\(", fields.actions, re.MULTILINE)) == {"run"}


def act(fields: Fields) -> Move:
    """The next action and why; the end, where a question is answered by the last line that was seen."""
    assert fields.task is not None
    assert fields.observation is not None
    goal, done = fields.task.instruction, [step.action.text for step in fields.history]
    own = _substituted(goal, fields.examples)
    follows = bool(own) and done == own[: len(done)]
    if follows and len(done) < len(own):
        return own[len(done)], "as in the example"
    fresh = [move for move in _named(goal, fields.history, fields.observation) if move[0] not in done and not follows]
    lines = [line.strip() for line in fields.observation.text.splitlines() if line.strip()]
    answer = lines[-1][:200] if is_question(goal) and len(lines) > 2 else ""
    return fresh[0] if fresh else (finish(answer), "the example is complete" if follows else "nothing else is named")


def _substituted(goal: str, examples: Sequence[Shown]) -> list[str]:
    """The actions of the example that says most of the goal, with the goal's values in place of its own."""
    wanted = set(words(goal))
    pairs = [(wanted, set(words(shown.example.instruction))) for shown in examples]
    shares = [len(own & label) / max(len(own | label), 1) for own, label in pairs]
    if not shares or max(shares) < CLOSE_ENOUGH:
        return []
    shown = examples[shares.index(max(shares))]
    texts = [a.text for a in shown.trajectory.actions[shown.example.start : shown.example.end] if a.kind != "finish"]
    both = (goal, shown.example.instruction)
    mine, theirs = ([quoted or ticked for quoted, ticked in _QUOTED.findall(text)] for text in both)
    for old, new in zip(theirs, mine, strict=True) if len(mine) == len(theirs) else ():
        texts = [text.replace(json.dumps(old)[1:-1], json.dumps(new)[1:-1]) for text in texts]
    return texts


def _named(goal: str, history: Sequence[Step], now: Observation) -> Iterable[Move]:
    """What the instruction itself names: commands, files, and the tests."""
    for command in commands_in(goal):
        yield call("run", command), "the instruction names this command"
    files = listed(history[0].observation if history else now)
    for name in dict.fromkeys(_FILE.findall(goal)):
        for file in [file for file in files if file == name or file.endswith("/" + name)][:1]:
            yield call("view", file), "the instruction names this file"
    if re.search(r"\btests?\b", goal, re.IGNORECASE) and (command := test_command(files)):
        yield call("run", command), "the instruction speaks of tests"


def call(kind: str, *given: str | int) -> str:
    """An action in its own form: run("ls -la")."""
    return f"{kind}({', '.join(json.dumps(each, ensure_ascii=False) for each in given)})"


def listed(first: Observation) -> list[str]:
    """Paths that the first observation of an episode names, a line for each folder."""
    folders = (line.partition("/ ") for line in first.text.partition("A repository of ")[2].splitlines()[1:])
    return [f"{at}/{it}".removeprefix("./") for at, _, its in folders for it in its.split(", ") if it[:1] != "("]


def test_command(files: Sequence[str]) -> str:
    """How the tests are likely run; "" if nothing tells."""
    return next((command for mark, command in TESTS.items() if any(file.startswith(mark) for file in files)), "")


def commands_in(text: str) -> list[str]:
    """What looks like a command in a text: after a prompt, between back-ticks, or on a line that begins like one."""
    texts = [match[1] for line in text.splitlines() if (match := _PROMPT.match(line))]
    texts += [c for to, c in _COMMAND.findall(text) if _PROGRAMS.match(c) or (to and re.match(r"[a-z]\S* [^=(]+$", c))]
    for line in text.splitlines():
        code = re.sub(r"^\s*\d+\t", "", line).strip()  # of a file that is shown with the numbers of its lines
        if _PROGRAMS.match(code) and len(code) < 200 and not re.search(r"[.:,;]$| (?:is|are|the|and) ", code):
            texts.append(code)
    return list(dict.fromkeys(command.split("  #")[0].strip() for command in texts))


def abstract(trajectory: Trajectory, start: int, end: int) -> str:
    """The task that a span completes: what its actions did, in their order."""
    done = [action for action in trajectory.actions[start:end] if action.kind not in ("finish", "")]
    deeds = list(dict.fromkeys(_deed(action) for action in done)) or ["Do nothing"]
    folder = trajectory.observations[start].url
    where = f" in the folder {folder}" if folder != trajectory.observations[0].url else ""
    return ", then ".join([deeds[0], *(deed[0].lower() + deed[1:] for deed in deeds[1:])]) + f"{where}."


def summary(trajectory: Trajectory, start: int, end: int) -> str:
    """What was done and seen, step by step."""
    pairs = zip(trajectory.actions[start:end], trajectory.observations[start + 1 : end + 1], strict=True)
    return "Replicate the following: " + "; ".join(f"{_deed(a)}: {quotable(o.error or o.text)}" for a, o in pairs)


def _deed(action: Action) -> str:
    name, value = action.name.replace('"', "'"), quotable(action.value).replace("`", "'")
    deeds = {"run": f"Run `{value}`", "create": f'Create the file "{name}" with the text "{value}"'}
    deeds["view"] = f'Show the file "{name}"' + (f" from line {value.split(', ')[0]}" if value else "")
    deeds["insert"] = f'Insert "{value}" into the file "{name}"'
    deeds["replace"] = f'Change the file "{name}" so that it says "{value}"'
    return deeds.get(action.kind, f'End with "{value}"' if action.kind == "finish" else f"Do {action.grounded}")
