"""A run folder with something of everything that a report shows, in which all text attacks whoever shows it."""

from __future__ import annotations

import json

from lbi.protocols import Reply
from lbi.records import (
    Action,
    Check,
    Document,
    Example,
    Observation,
    Result,
    Step,
    Task,
    Trajectory,
    Usage,
    Verdict,
    Vote,
)
from lbi.storage.run_folder import RunFolder

# each breaks out of another place: text, attribute, script element, JSON, comment, style, template, link
ATTACKS = (
    "<script>window.ran='script'</script>",
    "</script><script>window.ran='close'</script>",
    "<img src=x onerror=\"window.ran='img'\">",
    '"><svg onload="window.ran=1">',
    '\'"}],"x":[{"',
    "<!--<script>",
    "</style></title></textarea></template>",
    "{{ 7*7 }}{% raw %}",
    "[x](javascript:window.ran='link')",
    "javascript:window.ran='bare'",
    "\\u003cscript\\u003e \u2028 & &lt;b&gt;",
)
EVIL = " ".join(ATTACKS)
CONFIG = {
    "name": "demo",
    "application": "trac",
    "models": {"default": "offline", "judges": ["openai:judge"]},
    "seeds": [0],
    "evaluation": {"reference": "baseline", "arms": [{"name": "baseline"}, {"name": "backward"}]},
}


def seen(text: str, error: str = "") -> Observation:
    return Observation(text=text, url="/newticket", title=f"New {EVIL}", digest="d", error=error)


def trajectory(
    task: Task, agent: str, *, steps: int = 3, text: str = EVIL, examples: tuple[str, ...] = ()
) -> Trajectory:
    click = Action(text="click(e1)", kind="click", role="button", name=EVIL)
    usage = Usage(calls=1, input_tokens=1000, output_tokens=20, cached_tokens=300, cost=0.25)
    turns = [
        Step(
            observation=seen(f"page {n} {text}"), reason=f"because {EVIL}", action=click, usage=usage, examples=examples
        )
        for n in range(steps)
    ]
    last = seen(f"last {text}", error=f"no such element {EVIL}")
    return Trajectory(task=task, agent=agent, steps=tuple(turns), last=last, stop="done", answer=f"42 {EVIL}")


def add_synthesis(run: RunFolder) -> list[Example]:
    store = run.store
    document = Document(text="How to.", source="wiki/Tickets", title=f"Guide {EVIL}", headings=(EVIL,))
    task = Task(instruction=f"Proposed {EVIL}", environment="web", document=document.id, quote=EVIL)
    rollout = trajectory(task, "explore")
    store.put("document", "00000", document)
    store.put("task", f"{document.id}/0", task)
    store.put("trajectory", f"{task.id}/0", rollout)
    vote = Vote(model="openai:judge", aligned=True, coherent=False, natural=True, reasonable=True, reason=EVIL)
    good = Example(
        kind="abstract",
        instruction=f"Kept {EVIL}",
        trajectory=rollout.id,
        start=0,
        end=2,
        verdicts=(Verdict(filter="repeat", keep=True),),
        tier="replayed",
    )
    bad = Example(
        kind="summary",
        instruction=f"Dropped {EVIL}",
        trajectory=rollout.id,
        start=1,
        end=3,
        verdicts=(
            Verdict(filter="repeat", keep=True),
            Verdict(filter="committee", keep=False, reason=EVIL, votes=(vote,)),
            Verdict(filter="replay", keep=False, reason="another state"),
        ),
    )
    for example in (good, bad):
        store.put("example", f"{rollout.id}/{example.kind}/{example.start}-{example.end}", example)
    store.fail("trajectory", "x/0", "environment", f"browser gone {EVIL}")
    store.fail("task", "y", "parse", f"no JSON {EVIL}")
    store.add("rollout", seconds=75.0, calls=3, input_tokens=3000, output_tokens=60, cost=0.0, done=1)
    store.put_call("k", "act", "rollout", "offline", "[]", Reply(text="click(e1)", model="offline"))
    return [good, bad]


def add_evaluation(run: RunFolder, examples: list[Example]) -> None:
    for number, name in enumerate(("create", "close", "find")):
        check = Check(answer=(EVIL,))
        task = Task(
            instruction=f"Held out {name} {EVIL}", environment="web", name=name, category=EVIL, level=1, check=check
        )
        run.store.put("heldout", name, task)
        for arm in ("baseline", "backward"):
            key = f"{arm}/0/{name}"
            episode = trajectory(task, arm, examples=tuple(example.id for example in examples))
            fault = "environment" if (number, arm) == (2, "baseline") else ""
            run.store.put("episode", key, episode)
            result = Result(
                task=name,
                category=EVIL,
                level=1,
                arm=arm,
                seed=0,
                score=float(arm == "backward"),
                steps=3,
                usage=episode.usage,
                fault=fault,
                reason=f"scorer: {EVIL}",
                trajectory=episode.id,
            )
            run.store.put("result", key, result)
    summary = {
        "growth": [{"examples": 0, "rate": 0.2, "low": 0.1, "high": 0.3}, {"examples": 50, "rate": 0.5}],
        "contamination": [{"task": "create", "nearest": EVIL, "score": 0.9, "duplicate": "near"}],
        "notes": [f"note {EVIL}"],
    }
    (run.path / "summary.json").write_text(json.dumps(summary))
