"""What the prompts of stored episodes cost in tokens, beside what an earlier version made of the same requests.

    pip install mistral-common
    python performance/prompts.py RUN [RUN ...] [--before 926ffe4] [--arms baseline backward] [--most 40]

Renders every request for an action that the episodes of these run folders made: by this version and by that of an
earlier commit, in a process of its own. For an arm with examples, those are retrieved anew: five by the page and five
by the instruction, and both versions are given the same. "--arms roll-outs 'with examples'" takes the roll-outs of a
run instead, for runs whose held-out episodes are short. No model is asked. Tokens are counted with Tekken, the
vocabulary of Mistral's models, which mistral-common brings along.

    python performance/prompts.py RUN --show backward/0/NAME --step 3

prints one prompt. The first form prints, for each run and arm, tokens per step of each part of the prompt, the ratio,
tokens per episode, the share of each prompt that begins like the one of the step before, and calls per step.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
#: instead of arms: the roll-outs that a run learnt from, as they were and as if examples had been looked up
ROLLOUTS, WITH_EXAMPLES = "roll-outs", "with examples"
PARTS = ("rules", "knowledge", "history", "page")
Count = Callable[[str], int]
Json = dict[str, Any]
#: run with either version of the package: a file of requests -> the messages of each, one JSON list a line
RENDER = """
import json, sys
from lbi.prompts import render
from lbi.records import Example, Observation, Step, Task, Trajectory
try:
    from lbi.protocols import Fields, Request, Shown
except ModuleNotFoundError:
    from lbi.contracts import Fields, Request, Shown
stored = json.load(open(sys.argv[1]))
trajectories = {name: Trajectory.model_validate(body) for name, body in stored["trajectories"].items()}
requests = stored["requests"]
def examples(asked):
    return tuple(
        Shown(example=Example.model_validate(one["example"]), trajectory=trajectories[one["trajectory"]],
              at=one["at"], why=one["why"], **{name: one[name] for name in ("adds",) if name in Shown.model_fields})
        for one in asked["examples"]
    )
for asked in requests:
    episode = trajectories[asked["episode"]]
    given = dict(task=episode.task, history=episode.steps[: asked["step"]],
                 observation=episode.observations[asked["step"]], actions=stored["actions"], examples=examples(asked))
    if "look_ups" in Fields.model_fields:
        from lbi.protocols import LookUp
        given["look_ups"] = tuple(
            LookUp(step=requests[at]["step"], found=examples(requests[at])) for at in asked["look_ups"]
        )
    fields = Fields(**given)
    messages = render(Request(role="act", fields=fields))
    print(json.dumps([[message.role, message.content] for message in messages]))
"""


def requests_of(run: Path, arms: Sequence[str], most: int) -> Json:
    """{"actions", "trajectories": {name: body}, "requests": [...]} of a run's episodes, for RENDER."""
    from lbi.environments import actions_of
    from lbi.records import Trajectory
    from lbi.retrieval.learnt import LearntRun
    from lbi.retrieval.lookups import asks, look_up_steps

    trajectories: Json = {}
    requests: list[Json] = []
    with LearntRun(run) as learnt:
        agents = {arm.name: arm.agent for arm in learnt.config.evaluation.arms} | {WITH_EXAMPLES: "icl"}
        for arm in arms:
            with_examples = agents.get(arm) == "icl"
            prefix = f"{learnt.seed}/" if arm in (ROLLOUTS, WITH_EXAMPLES) else f"{arm}/{learnt.seed}/"
            kind = "trajectory" if arm in (ROLLOUTS, WITH_EXAMPLES) else "episode"
            for key, episode in learnt._folder.store.under(kind, prefix, Trajectory)[:most]:
                trajectories[key] = episode.model_dump(mode="json")
                first, last = len(requests), None
                for at, step in enumerate(episode.steps):
                    found = ()
                    if with_examples:  # none of the episode's own task
                        found = learnt.index.search(episode.task, step.observation, episode.task.instruction)
                    for one in found:
                        if one.trajectory.id not in trajectories:
                            trajectories[one.trajectory.id] = one.trajectory.model_dump(mode="json")
                    look_ups = look_up_steps(episode.steps[:at], step.observation) if with_examples else []
                    by_page = [one for one in found if one.why == "observation"]
                    asked = at in look_ups and asks(at, last, by_page, step.observation)
                    last = at if asked else last
                    requests.append(
                        {
                            "arm": arm,
                            "episode": key,
                            "step": at,
                            "calls": 1 + asked,
                            "look_ups": [first + one for one in look_ups],
                            "examples": [_example(one) for one in found],
                        }
                    )
        return {"actions": actions_of(learnt.config), "trajectories": trajectories, "requests": requests}


def _example(shown: Any) -> Json:
    return {
        "example": shown.example.model_dump(mode="json"),
        "trajectory": shown.trajectory.id,
        "at": shown.at,
        "why": shown.why,
        "adds": shown.adds,
    }


def rendered(package: Path, requests: Path) -> list[list[tuple[str, str]]]:
    """The messages of each request, as (role, content), by the package in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(package)}
    command = [sys.executable, "-c", RENDER, str(requests)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{package}: {done.stderr.strip().splitlines()[-1]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def parts_of(messages: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The text of each part of a prompt. What goes before the history, the objective, counts as history."""
    parts = dict.fromkeys(PARTS, "")
    for role, content in messages:
        if role == "system":
            parts["rules"] += content
        elif content.startswith(("ADDITIONAL INFORMATION", "MORE EXAMPLES")):
            parts["knowledge"] += content
        elif content.startswith("CURRENT "):
            parts["page"] += content
        else:
            before, mark, page = content.partition("\nCURRENT PAGE:")
            parts["history"] += before
            parts["page"] += mark + page
    return parts


def counted(prompts: Sequence[Sequence[tuple[str, str]]], requests: Sequence[Json], arm: str, count: Count) -> Json:
    """Means over an arm's steps: tokens of each part, and what else the table has a row for.

    A prompt is compared with the one before it: of the step before, or of the episode before.
    """
    sums = dict.fromkeys(PARTS, 0)
    shared = shared_within = steps = calls = 0
    episodes: set[str] = set()
    before = ""
    for messages, asked in zip(prompts, requests, strict=True):
        if asked["arm"] != arm:
            continue
        steps += 1
        calls += asked["calls"]
        for part, text in parts_of(messages).items():
            sums[part] += count(text)
        text = "\n\n".join(content for _, content in messages)
        common = count(os.path.commonprefix([before, text]))  # noqa: RUF071 - character by character is meant
        shared += common
        shared_within += common if asked["episode"] in episodes else 0
        episodes.add(asked["episode"])
        before = text
    total = sum(sums.values())
    means: Json = {part: sums[part] / max(1, steps) for part in PARTS}
    return means | {
        "a whole step": total / max(1, steps),
        "an episode": total / max(1, len(episodes)),
        "steps of an episode": steps / max(1, len(episodes)),
        "calls per step": calls / max(1, steps),
        "begins like the prompt before": shared / max(1, total),
        "... of the same episode": shared_within / max(1, total),
    }


@cache
def tokenizer() -> Any:
    import tiktoken

    data = json.loads((files("mistral_common") / "data" / "tekken_240911.json").read_text())
    import base64

    size = data["config"]["default_vocab_size"] - data["config"]["default_num_special_tokens"]
    ranks = {base64.b64decode(entry["token_bytes"]): entry["rank"] for entry in data["vocab"][:size]}
    return tiktoken.Encoding("tekken", pat_str=data["config"]["pattern"], mergeable_ranks=ranks, special_tokens={})


@cache
def tokens(text: str) -> int:
    return len(tokenizer().encode(text, disallowed_special=()))


def table(now: dict[str, Json], before: dict[str, Json], name: str) -> Iterator[str]:
    for arm in now:
        yield f"{arm:30}{'now':>10}{name:>10}{'now/then':>10}"
        for kind, value in now[arm].items():
            other = before[arm][kind]
            if kind in ("begins like the prompt before", "... of the same episode"):
                yield f"  {kind:28}{value:>10.0%}{other:>10.0%}"
            elif kind == "calls per step":
                yield f"  {kind:28}{value:>10.2f}{2.0 if value > 1 else 1.0:>10.2f}"
            else:
                yield f"  {kind:28}{value:>10.1f}{other:>10.1f}{value / other if other else 0:>10.2f}"
    arms = list(now)
    for arm in arms[1:]:
        for kind in ("a whole step", "an episode"):
            ratios = [each[arm][kind] / each[arms[0]][kind] for each in (now, before)]
            yield f"{kind}, {arm} / {arms[0]}".ljust(30) + "".join(f"{ratio:>10.2f}" for ratio in ratios)


def show(stored: Json, episode: str, step: int) -> None:
    """Print the prompt of one step as it is sent."""
    wanted = [
        at for at, asked in enumerate(stored["requests"]) if (asked["episode"], asked["step"]) == (episode, step - 1)
    ]
    if not wanted:
        raise SystemExit(f"there is no step {step} of {episode}; there are: {', '.join(_episodes(stored))}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requests.json"
        file.write_text(json.dumps(stored))
        for role, content in rendered(HERE.parent / "src", file)[wanted[0]]:
            print(f"[{role}]\n{content}\n")


def _episodes(stored: Json) -> Iterator[str]:
    return iter(dict.fromkeys(asked["episode"] for asked in stored["requests"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--before", default="926ffe4", help="a commit of this repository")
    parser.add_argument("--arms", nargs="+", default=["baseline", "backward"])
    parser.add_argument("--most", type=int, default=40, help="episodes of each arm")
    parser.add_argument(
        "--show", metavar="EPISODE", help="print a prompt of it: backward/0/NAME, or 0/TASK/0 of the roll-outs"
    )
    parser.add_argument("--step", type=int, default=1, help="with --show: which step, from 1")
    options = parser.parse_args()
    if options.show:
        arm = options.show.partition("/")[0]
        show(
            requests_of(options.runs[0], [WITH_EXAMPLES if arm.isdecimal() else arm], 10**9), options.show, options.step
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        earlier = Path(folder) / "earlier"
        earlier.mkdir()
        archive = subprocess.run(
            ["git", "archive", options.before, "src"], cwd=HERE.parent, capture_output=True, check=True
        )
        subprocess.run(["tar", "-x", "-C", str(earlier)], input=archive.stdout, check=True)
        for run in options.runs:
            stored = requests_of(run, options.arms, options.most)
            file = Path(folder) / "requests.json"
            file.write_text(json.dumps(stored))
            now, before = (rendered(package / "src", file) for package in (HERE.parent, earlier))
            means = [
                {arm: counted(prompts, stored["requests"], arm, tokens) for arm in options.arms}
                for prompts in (now, before)
            ]
            print(f"\n{run.name}: {len(stored['requests'])} requests, tokens per step")
            print("\n".join(table(means[0], means[1], options.before)))


if __name__ == "__main__":
    main()
