"""The offline policy where one works by commands: instruction, history, output and examples -> the next action; labels.

As on pages: it follows the example that explains the goal, with the goal's values, and without one it tries what the
instruction itself names. It is no language model: it runs and shows things, and writes no program.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from lbi.offline.lexical import words
from lbi.protocols import Fields, Shown
from lbi.records import Action, Observation, Step, Trajectory

Move = tuple[str, str]  # action, reason
KINDS = frozenset({"run", "view", "replace", "create", "insert"})
CLOSE_ENOUGH = 0.5  # share of the goal's words that an example must say
LONGEST = 160  # characters of a text that a label quotes
_COMMAND = re.compile(r"`([^`\n]{2,200})`")
_PROMPT = re.compile(r"^\s*(?:\$|>>>|%)\s+(\S.*)$")
_FILE = re.compile(r"[\w./-]*\w\.\w{1,8}\b|\b(?:Makefile|Dockerfile|LICENSE|README)\b")
_QUOTED = re.compile(r"\"([^\"]+)\"|`([^`]+)`")
_QUESTION = re.compile(r"\?\s*$|^(?:what|which|how many|where|who|when)\b", re.IGNORECASE)
#: what a file at the top of a repository says of how it is tested
TESTS = (
    ("pyproject.toml", "python3 -m pytest -q"),
    ("setup.py", "python3 -m pytest -q"),
    ("tests/", "python3 -m pytest -q"),
    ("test_", "python3 -m unittest -q"),
    ("package.json", "npm test"),
    ("Cargo.toml", "cargo test --offline"),
    ("go.mod", "go test ./..."),
    ("Makefile", "make test"),
)
#: programs that a document's line must begin with to be taken for a command
_PROGRAMS = re.compile(
    r"(?:\w+=\S+ )*(?:\./[\w/-]+(?:\.sh)?(?=\s|$)|python3?|pytest|pip|uv|tox|nox|make|npm|npx|node|yarn|"
    r"cargo|go|git|ls|cat|grep|find|bash|sh|ruff|mypy|black|sphinx-build|mkdocs|cmake|ctest|mvn|gradle|bundle|rake)(?:\s|$)"
)


def applies(fields: Fields) -> bool:
    """Whether what is asked about is done by commands."""
    if re.search(r"^run\(", fields.actions, re.MULTILINE):
        return True
    done = fields.trajectory.actions if fields.trajectory else tuple(step.action for step in fields.history)
    return any(action.kind in KINDS for action in done)


# acting


def act(fields: Fields) -> Move:
    """The next action and why."""
    assert fields.task is not None
    assert fields.observation is not None
    goal, history = fields.task.instruction, fields.history
    lesson = _lesson(goal, history, fields.examples)
    if lesson is not None:
        move = _follow(lesson, goal, history)
        return move or _finish(goal, fields.observation, "the example is complete")
    done = {step.action.text for step in history}
    for action, reason in _named(goal, history, fields.observation):
        if action not in done:
            return action, reason
    return _finish(goal, fields.observation, "nothing else is named")


def _lesson(goal: str, history: Sequence[Step], examples: Sequence[Shown]) -> Shown | None:
    """The one that was followed before, else the one whose instruction says most of the goal."""
    last = re.match(r"following (\w+):", history[-1].reason) if history else None
    if last:
        return next((shown for shown in examples if shown.example.id == last[1]), None)
    if history:
        return None
    wanted = set(words(goal))
    scored = [(_fit(wanted, set(words(shown.example.instruction))), -at, shown) for at, shown in enumerate(examples)]
    best = max(scored, key=lambda item: item[:2], default=None)
    return best[2] if best and best[0] >= CLOSE_ENOUGH else None


def _fit(wanted: set[str], said: set[str]) -> float:
    return len(wanted & said) / max(len(wanted | said), 1) if wanted else 0.0


def _follow(lesson: Shown, goal: str, history: Sequence[Step]) -> Move | None:
    """Its next action, with the goal's values in place of its own; None when all of them are done."""
    example = lesson.example
    done = sum(step.reason.startswith(f"following {example.id}:") for step in history)
    own = [action for action in lesson.trajectory.actions[example.start : example.end] if action.kind != "finish"]
    if done >= len(own):
        return None
    text = own[done].text
    mine, theirs = _values(goal), _values(example.instruction)
    if len(mine) == len(theirs):
        for old, new in zip(theirs, mine, strict=True):
            text = text.replace(json.dumps(old, ensure_ascii=False)[1:-1], json.dumps(new, ensure_ascii=False)[1:-1])
    return text, f"following {example.id}: step {done + 1} of {len(own)}"


def _named(goal: str, history: Sequence[Step], now: Observation) -> Iterable[Move]:
    """What the instruction itself names: commands, files, and the tests."""
    for command in commands_in(goal):
        yield run(command), "the instruction names this command"
    first = history[0].observation if history else now
    files = listed(first)
    for name in dict.fromkeys(_FILE.findall(goal)):
        known = [file for file in files if file == name or file.endswith("/" + name)]
        if known:
            yield view(known[0]), "the instruction names this file"
    if re.search(r"\btests?\b", goal, re.IGNORECASE) and (command := test_command(files)):
        yield run(command), "the instruction speaks of tests"
    wanted = [word for value in _values(goal) for word in re.findall(r"\w{4,}", value)]
    for word in wanted[:2]:
        yield run(f"grep -rn --include='*' -e {word} . | head -20"), f"where {word} is"


def _finish(goal: str, seen: Observation, reason: str) -> Move:
    """The end; a question is answered by the last line that was seen."""
    lines = [line for line in seen.text.splitlines() if line.strip()]
    answer = lines[-1].strip() if _QUESTION.search(goal.strip()) and len(lines) > 2 else ""
    return f"finish({json.dumps(answer[:200], ensure_ascii=False)})", reason


# what a repository offers


def run(command: str) -> str:
    return f"run({json.dumps(command, ensure_ascii=False)})"


def view(path: str) -> str:
    return f"view({json.dumps(path, ensure_ascii=False)})"


def listed(first: Observation) -> list[str]:
    """Paths that the first observation of an episode names, one to a line."""
    lines = first.text.splitlines()
    start = next((at + 1 for at, line in enumerate(lines) if line.startswith("A repository of ")), len(lines))
    return [line for line in lines[start:] if not line.startswith("... and ")]


def test_command(files: Sequence[str]) -> str:
    """How the tests are likely run; "" if nothing tells."""
    found = (command for mark, command in TESTS if any(file.startswith(mark) for file in files))
    return next(found, "")


def commands_in(text: str) -> list[str]:
    """What looks like a command in a text: after a prompt, between back-ticks, or on a line that begins like one."""
    found = [match[1] for line in text.splitlines() if (match := _PROMPT.match(line))]
    found += [code for code in _COMMAND.findall(text) if _PROGRAMS.match(code)]
    for line in text.splitlines():
        bare = re.sub(r"^\s*\d+\t", "", line).strip()  # of a file that is shown with the numbers of its lines
        if _PROGRAMS.match(bare) and len(bare) < 200 and not re.search(r"[.:,;]$| (?:is|are|the|and) ", bare):
            found.append(bare)
    return list(dict.fromkeys(command.split("  #")[0].strip() for command in found))


def _values(text: str) -> list[str]:
    return [quoted or ticked for quoted, ticked in _QUOTED.findall(text)]


# labels


def abstract(trajectory: Trajectory, start: int, end: int) -> str:
    """The task that a span completes: what its actions did, in their order."""
    done = [action for action in trajectory.actions[start:end] if action.kind != "finish"]
    parts = list(dict.fromkeys(_said(action) for action in done if action.kind))
    folder = trajectory.observations[start].url
    where = f" in the folder {folder}" if folder != trajectory.observations[0].url else ""
    text = ", then ".join([parts[0], *(part[0].lower() + part[1:] for part in parts[1:])]) if parts else "Do nothing"
    return f"{text}{where}."


def summary(trajectory: Trajectory, start: int, end: int) -> str:
    """What was seen and done, step by step."""
    seen = trajectory.observations
    parts = [
        f"{_said(action)}: {_outcome(seen[at + 1])}" for at, action in enumerate(trajectory.actions[start:end], start)
    ]
    return f"Replicate the following: {'; '.join(parts)}"


def _said(action: Action) -> str:
    name, value = action.name.replace('"', "'"), _short(action.value)
    if action.kind == "run":
        return f"Run `{value}`"
    if action.kind == "view":
        return f'Show the file "{name}"' + (f" from line {value.split(', ')[0]}" if value else "")
    if action.kind == "create":
        return f'Create the file "{name}" with the text "{value}"'
    if action.kind == "insert":
        return f'Insert "{value}" into the file "{name}"'
    if action.kind == "replace":
        return f'Change the file "{name}" so that it says "{value}"'
    return f'End with "{value}"'


def _short(text: str) -> str:
    text = " ".join(text.split()).replace('"', "'").replace("`", "'")
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def _outcome(seen: Observation) -> str:
    lines = [line for line in seen.text.splitlines()[1:] if line.strip()]
    return _short(seen.error or " / ".join(lines[:3]) or "nothing is said")
