"""Training files say what happened, and nothing of one roll-out is on both sides of the split."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbi.errors import UserError
from lbi.models import parsing
from lbi.protocols import Message, PromptLimits
from lbi.records import Action, Document, Example, Observation, Step, StopReason, Task, Trajectory, Verdict
from lbi.training.export.choose import Reasons, Selection
from lbi.training.export.dataset import NOT_ASKED_FOR, RETIRED, ExportReport, write_export
from lbi.training.export.exporters import consumers_of, exporter_names, open_exporter
from lbi.training.export.lengths import Measure, sentences
from lbi.training.export.splits import sides_of
from lbi.training.export.turns import SIDES, TrainingExample

ACTIONS = "click(e12), fill(e12, text), finish(answer)"


def page(number: int, **fields: str) -> Observation:
    return Observation(text=f'heading "Page {number}"\nbutton "Next" [e{number}]', url=f"/page/{number}", **fields)


def trajectory_of(
    name: str, steps: int = 4, stop: StopReason = "step_limit", document: str = "", **task: str
) -> Trajectory:
    action = Action(text="", kind="click", role="button", name="Next")
    return Trajectory(
        task=Task(**({"instruction": f"Go through {name}", "environment": "web", "document": document} | task)),
        agent="react",
        steps=tuple(
            Step(
                observation=page(n),
                reason=f"page {n} has a next",
                action=action.model_copy(update={"text": f"click(e{n})"}),
            )
            for n in range(steps)
        ),
        last=page(steps),
        stop=stop,
    )


def lesson_of(trajectory: Trajectory, start: int = 0, end: int | None = None, **fields: Any) -> TrainingExample:
    end = len(trajectory.steps) if end is None else end
    plain = {"kind": "abstract", "instruction": f"Reach page {end} in {trajectory.task.instruction}"}
    document = fields.pop("of", None)
    return TrainingExample(
        Example(trajectory=trajectory.id, start=start, end=end, **(plain | fields)), trajectory, document
    )


def rows_of(folder: Path, side: str = "train") -> list[dict[str, Any]]:
    file = folder / f"{side}.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def export(
    lessons: Iterable[TrainingExample], out: Path, fmt: str = "trl", split: float = 0.0, **options: Any
) -> ExportReport:
    return write_export(lessons, fmt, out, actions=ACTIONS, split=split, **options)


def said(row: dict[str, Any]) -> str:
    return str(row["completion"][0]["content"])


def test_each_step_of_the_span_is_one_pair_of_the_act_prompt_and_the_reply(tmp_path: Path) -> None:
    report = export([lesson_of(trajectory_of("a"), 1, 3)], tmp_path)
    rows = rows_of(tmp_path)
    assert report.rows == {"train": 2, "validation": 0}
    assert [said(row) for row in rows] == [
        "ACTION: click(e1)",  # without reasons, which were of another objective
        "ACTION: click(e2)",
    ]
    assert [[message["role"] for message in row["prompt"]] for row in rows] == [["system", "user"]] * 2
    assert "Reach page 3" in rows[0]["prompt"][1]["content"]
    assert ACTIONS in rows[0]["prompt"][0]["content"]


def test_history_begins_where_the_span_begins_and_the_future_is_not_in_the_prompt(tmp_path: Path) -> None:
    export([lesson_of(trajectory_of("a"), 1, 4)], tmp_path)
    prompt = rows_of(tmp_path)[1]["prompt"][1]["content"]
    assert "/page/1" in prompt
    assert "Page 2" in prompt
    assert "/page/0" not in prompt
    assert "/page/3" not in prompt


def test_every_reply_can_be_read_back_and_its_target_is_on_the_page_of_its_prompt(tmp_path: Path) -> None:
    export([lesson_of(trajectory_of("a"))], tmp_path)
    for row in rows_of(tmp_path):
        _, action = parsing.act(said(row))
        target = re.search(r"e\d+", action)
        current = row["prompt"][1]["content"].split("CURRENT PAGE:")[1]
        assert target is not None
        assert f"[{target[0]}]" in current


def test_rows_are_asked_and_answered_as_the_tuned_model_will_be(tmp_path: Path) -> None:
    limits = PromptLimits(images=(), observation=200, structured=("act",))
    text = "\n".join([page(0).text, *(f"paragraph: line {number}" for number in range(60))])
    (step,) = (short := trajectory_of("a", 1)).steps
    step = step.model_copy(update={"observation": page(0).model_copy(update={"text": text})})
    long = short.model_copy(update={"steps": (step,)})
    report = export([lesson_of(long, kind="forward")], tmp_path, limits=limits)
    (row,) = rows_of(tmp_path)
    assert report.replies == "json"
    assert json.loads(said(row)) == {"reason": "page 0 has a next", "action": "click(e0)"}
    assert "JSON object" in row["prompt"][0]["content"]
    assert "line 59" not in row["prompt"][1]["content"] or "line 30" not in row["prompt"][1]["content"]
    assert parsing.act(said(row)) == ("page 0 has a next", "click(e0)")


@pytest.mark.parametrize(
    ("reasons", "kind", "learned"),
    [
        ("fitting", "forward", "page 0 has a next"),
        ("fitting", "abstract", ""),  # the agent had another objective when it gave this reason
        ("all", "abstract", "page 0 has a next"),
        ("none", "forward", ""),
    ],
)
@pytest.mark.parametrize("rows_are", ["step", "trajectory"])
def test_a_reason_is_learned_where_the_agent_had_this_instruction(
    tmp_path: Path, reasons: Reasons, kind: str, learned: str, rows_are: str
) -> None:
    lesson = lesson_of(trajectory_of("a", 2), kind=kind)
    options = {"selection": Selection(reasons=reasons), "limits": PromptLimits(images=(), structured=("act",))}
    report = export([lesson], tmp_path, rows_are=rows_are, fmt="jsonl" if rows_are == "step" else "axolotl", **options)
    assert report.without_reason == (0 if learned else 2)
    written = (tmp_path / "train.jsonl").read_text("utf-8")
    assert json.dumps(json.dumps({"reason": learned, "action": "click(e0)"}))[1:-1] in written
    if rows_are == "step":  # told among the steps before, too
        assert ("REASON: page 0 has a next" in written) == bool(learned)


@pytest.mark.parametrize("fmt", ["trl", "openai", "sharegpt", "axolotl", "adp", "atif", "jsonl"])
def test_a_reason_that_does_not_fit_the_instruction_is_in_no_format(tmp_path: Path, fmt: str) -> None:
    """The agent had another instruction, so why it acted is no reason under this one."""
    for kind, there in (("abstract", False), ("forward", True)):
        export([lesson_of(trajectory_of("a"), kind=kind)], tmp_path, fmt)
        assert ("has a next" in (tmp_path / "train.jsonl").read_text()) is there, kind


def test_an_example_ends_with_a_row_that_ends_the_task_but_a_question_does_not(tmp_path: Path) -> None:
    asked = lesson_of(trajectory_of("b"), 0, 1, instruction="How many pages are there?")
    report = export([lesson_of(trajectory_of("a"), 1, 3), asked], tmp_path, ends=True)
    rows = [(said(row).partition("ACTION: ")[2], row["prompt"][1]["content"]) for row in rows_of(tmp_path)]
    assert [action for action, _ in rows] == ["click(e1)", "click(e2)", "finish()", "click(e0)"]
    current = rows[2][1].split("CURRENT PAGE:")[1]
    assert "Page 3" in current  # to which the span's last step led
    assert "click(button" in rows[2][1].split("CURRENT PAGE:")[0]
    assert (report.rows["train"], report.steps["train"]) == (4, 3)


@pytest.mark.parametrize(
    ("spans", "ended"),
    [
        ([(0, 1), (2, 3)], [1]),  # each step is told once, so there is one end
        ([(0, 1), (1, 2), (0, 3), (2, 3)], [1, 3]),  # each twice, so two: behind the longest, and behind a short one
        ([(0, 3), (0, 2), (1, 3), (0, 1), (1, 2), (2, 3)], [1, 2, 3]),
    ],
)
def test_a_set_ends_tasks_as_often_as_roll_outs_end_however_examples_overlap(
    tmp_path: Path, spans: list[tuple[int, int]], ended: list[int]
) -> None:
    lessons = [
        lesson_of(trajectory_of("a"), start, end, instruction=f"Go {end - start} pages on.") for start, end in spans
    ]
    asked = lesson_of(trajectory_of("b"), 0, 3, instruction="How many pages are there?")
    export([*lessons, asked], tmp_path, ends=True)
    ends = [row["prompt"][1]["content"] for row in rows_of(tmp_path) if said(row).endswith("finish()")]
    assert sorted(int(found) for text in ends for found in re.findall(r"Go (\d) pages on", text)) == ended
    assert len(ends) == len(ended), "a question has none"


# bugs that others shipped


def test_what_the_environment_said_is_never_in_the_models_turn(tmp_path: Path) -> None:
    steps = trajectory_of("a").steps
    leaky = steps[1].action.model_copy(update={"text": "click(e1)\nObservation: heading 'Page 2'"})
    moved = trajectory_of("a").model_copy(
        update={"steps": (steps[0], steps[1].model_copy(update={"action": leaky}), *steps[2:])}
    )
    for fmt in ("trl", "openai", "sharegpt"):
        report = export([lesson_of(moved)], tmp_path / fmt, fmt)
        replies = [json.dumps(_models_turn(row)) for row in rows_of(tmp_path / fmt)]
        assert report.left_out == {"action that cannot be read": 1}
        assert len(replies) == 3
        assert not any("Page" in reply or "Observation" in reply or "[e" in reply for reply in replies)


def _models_turn(row: dict[str, Any]) -> Any:
    return row.get("completion") or row.get("messages", [])[-1:] or row["conversations"][-1]["value"]


def test_sub_trajectories_of_one_rollout_are_on_one_side(tmp_path: Path) -> None:
    rollouts = [trajectory_of(f"task {n}", document=f"document {n % 7}") for n in range(40)]
    lessons = [lesson_of(t, start, end) for t in rollouts for start in range(4) for end in range(start + 1, 5)]
    report = export(lessons, tmp_path, "jsonl", split=0.4)
    sides = {side: rows_of(tmp_path, side) for side in ("train", "validation")}
    assert all(sides.values())
    for what in ("trajectory", "document"):
        assert not {row[what] for row in sides["train"]} & {row[what] for row in sides["validation"]}
    assert report.lineages["train"] + report.lineages["validation"] == 7
    assert report.licences == {"unknown": 7}


@pytest.mark.parametrize("stop", ["budget", "step_limit", "model_failure", "environment_failure"])
def test_an_exit_due_to_the_cost_limit_is_not_rewritten_as_success(tmp_path: Path, stop: StopReason) -> None:
    report = export([lesson_of(trajectory_of("a", stop=stop))], tmp_path, "jsonl")
    rows = rows_of(tmp_path)
    assert report.rows["train"] == 4
    assert {row["stop"] for row in rows} == {stop}
    assert not any("finish" in said(row) for row in rows)


def test_a_finish_that_really_happened_is_taught(tmp_path: Path) -> None:
    trajectory = trajectory_of("a", 2, stop="done")
    finish = Action(text='finish("42")', kind="finish", value="42")
    steps = (trajectory.steps[0], trajectory.steps[1].model_copy(update={"action": finish}))
    export([lesson_of(trajectory.model_copy(update={"steps": steps}))], tmp_path)
    assert said(rows_of(tmp_path)[-1]).endswith('ACTION: finish("42")')


def test_an_action_that_failed_is_no_completion_but_stays_in_the_history(tmp_path: Path) -> None:
    trajectory = trajectory_of("a")
    failed = trajectory.steps[2].model_copy(update={"observation": page(2, error="e1 is covered by a dialog")})
    changed = trajectory.model_copy(update={"steps": (*trajectory.steps[:2], failed, trajectory.steps[3])})
    report = export([lesson_of(changed)], tmp_path)
    assert report.left_out == {"action that failed": 1}
    assert not any("click(e1)" in said(row) for row in rows_of(tmp_path))
    history = rows_of(tmp_path)[-1]["prompt"][1]["content"]
    assert history.count("ACTION: click(") == 3  # with the failed one; earlier actions are grounded
    assert "FAILED: e1 is covered by a dialog" in history


def test_an_action_on_an_element_that_the_page_does_not_have_is_left_out(tmp_path: Path) -> None:
    trajectory = trajectory_of("a")
    stale = trajectory.steps[1].model_copy(update={"action": Action(text="click(e77)", kind="click")})
    changed = trajectory.model_copy(update={"steps": (trajectory.steps[0], stale, *trajectory.steps[2:])})
    report = export([lesson_of(changed)], tmp_path)
    assert report.left_out == {"action on an element that is not on the page": 1}


def test_an_element_that_is_cut_off_the_prompts_page_is_told_as_such(tmp_path: Path) -> None:
    (lesson,) = long_lesson({"a": 9_000})
    (step,) = lesson.trajectory.steps
    far = step.observation.model_copy(update={"text": "x" * 9_000 + step.observation.text})
    trajectory = lesson.trajectory.model_copy(update={"steps": (step.model_copy(update={"observation": far}),)})
    small = PromptLimits(observation=5_000, images=())
    report = export([lesson_of(trajectory), lesson_of(trajectory_of("b", 1))], tmp_path, limits=small)
    assert report.left_out == {"action on an element in what prompts.observation cuts off the page": 1}


@pytest.mark.parametrize(
    ("address", "learned"),
    [
        ("/new", True),  # the application's own, to be known by heart
        ("/items/24", False),
        ("/list?page=two", False),
        ("/told/7", True),  # the page says it
    ],
)
def test_an_address_is_typed_only_where_it_can_be_known(tmp_path: Path, address: str, learned: bool) -> None:
    trajectory = trajectory_of("a")
    goto = Action(text=f'goto("{address}")', kind="goto", value=address)
    told = trajectory.steps[1].observation
    told = told.model_copy(update={"text": f'{told.text}\nlink "Seven" [e9] -> /told/7'})
    step = trajectory.steps[1].model_copy(update={"action": goto, "observation": told})
    changed = trajectory.model_copy(update={"steps": (trajectory.steps[0], step, *trajectory.steps[2:])})
    report = export([lesson_of(changed)], tmp_path)
    assert report.left_out == ({} if learned else {"address with a number or a query that nothing tells": 1})
    assert any(f'goto("{address}")' in said(row) for row in rows_of(tmp_path)) is learned


# the split


@given(st.lists(st.integers(0, 30), min_size=1, max_size=30), st.integers(0, 5), st.floats(0.1, 0.9))
@settings(max_examples=30, deadline=None)
def test_adding_examples_moves_none_to_the_other_side(numbers: list[int], seed: int, split: float) -> None:
    lessons = [lesson_of(trajectory_of(f"task {n}", 1)) for n in numbers]
    before = sides_of(lessons[: len(lessons) // 2], split, seed)
    after = sides_of(lessons[::-1], split, seed)
    assert all(after[example] == side for example, side in before.items())


def test_an_instruction_that_is_trained_on_is_not_validated_with(tmp_path: Path) -> None:
    """Two documents may lead to the same steps: the same prompt, and what follows it, would be on both sides."""
    trajectories = [trajectory_of("the same", document=f"d{number}") for number in range(12)]
    lessons = [lesson_of(trajectory, instruction="Reach  page 4") for trajectory in trajectories]
    alone = [lesson_of(trajectory_of(f"task {n}", document=f"d{n}"), instruction=f"Reach {n}") for n in range(12)]
    report = export([*lessons, *alone], tmp_path, "jsonl", split=0.4)
    sides = [{" ".join(row["instruction"].split()) for row in rows_of(tmp_path, side)} for side in SIDES]
    assert len(sides[1]) > 1
    assert not sides[0] & sides[1]
    assert report.left_out["validation example with an instruction that is trained on"] == len(sides[1])
    held_back = [n for n in range(12) if f"Reach {n}" in sides[1]]
    only = [lessons[number] for number in held_back]
    assert export(only, tmp_path / "only", split=0.4).rows["validation"] == 4  # where it is trained on nowhere


def test_a_composed_example_is_on_the_side_of_its_parts_or_left_out(tmp_path: Path) -> None:
    parts = [lesson_of(trajectory_of(f"task {n}", 2)) for n in range(12)]
    sides = sides_of(parts, 0.5, 0)
    joined = trajectory_of("joined", 3)
    lessons = list(parts)
    for number, first in enumerate(parts):
        second = parts[number - 1]
        parents = (first.example.id, second.example.id)
        moved = trajectory_of(f"joined {number}", 3)
        lessons.append(lesson_of(moved, kind="composed", parents=parents))
    composed = sides_of(lessons, 0.5, 0)
    for lesson in lessons[len(parts) :]:
        above = {sides[parent] for parent in lesson.example.parents}
        assert composed[lesson.example.id] == (above.pop() if len(above) == 1 else None)
    orphan = lesson_of(joined, kind="composed", parents=("not among them",))
    assert sides_of([orphan], 0.5, 0) == {orphan.example.id: None}
    assert export([orphan], tmp_path, split=0).rows["train"] == 3


# what is written


def test_openai_weighs_only_the_models_own_turn(tmp_path: Path) -> None:
    export([lesson_of(trajectory_of("a"))], tmp_path, "openai")
    for row in rows_of(tmp_path):
        assert [message.get("weight") for message in row["messages"]] == [None, None, 1]


def test_sharegpt_speaks_of_system_human_and_gpt(tmp_path: Path) -> None:
    export([lesson_of(trajectory_of("a"))], tmp_path, "sharegpt")
    for row in rows_of(tmp_path):
        assert [turn["from"] for turn in row["conversations"]] == ["system", "human", "gpt"]


def test_jsonl_leads_back_to_document_trajectory_span_and_verdicts(tmp_path: Path) -> None:
    document = Document(text="Press next.", source="docs/guide.md", licence="MIT")
    lesson = lesson_of(
        trajectory_of("a", document=document.id),
        1,
        3,
        document=document.id,
        verdicts=(Verdict(filter="loop", keep=True),),
        tier="replayed",
        of=document,
    )
    report = export([lesson], tmp_path, "jsonl")
    row = rows_of(tmp_path)[0]
    assert (row["example"], row["trajectory"]) == (lesson.example.id, lesson.trajectory.id)
    assert (row["document"], row["source"], row["licence"]) == (document.id, "docs/guide.md", "MIT")
    assert (row["span"], row["step"], row["tier"]) == ([1, 3], 1, "replayed")
    assert row["verdicts"][0]["filter"] == "loop"
    assert report.licences == {"MIT": 1}


def test_parquet_holds_the_same_rows_as_jsonl(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    lessons = [lesson_of(trajectory_of(f"task {n}")) for n in range(4)]
    for fmt in ("jsonl", "parquet"):
        export(lessons, tmp_path / fmt, fmt)
    assert parquet.read_table(tmp_path / "parquet" / "train.parquet").to_pylist() == rows_of(tmp_path / "jsonl")


def test_a_missing_pyarrow_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(UserError, match=r"pip install"):
        export([lesson_of(trajectory_of("a"))], tmp_path, "parquet")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fmt", exporter_names())
def test_an_export_replaces_the_one_before_and_leaves_nothing_half_written(tmp_path: Path, fmt: str) -> None:
    if fmt in ("dpo", "trl_masked"):
        pytest.skip("has tests of its own")
    lessons = [lesson_of(trajectory_of(f"task {n}")) for n in range(20)]
    (tmp_path / "mine.txt").write_text("stays")
    export(lessons, tmp_path, "trl", split=0.5)
    report = export(lessons, tmp_path, fmt, split=0.0)
    written = [*report.files, *report.configs, "export.json", "mine.txt"]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(written)
    assert ExportReport.model_validate_json((tmp_path / "export.json").read_text()) == report


def test_what_nobody_asked_for_is_not_told_as_dropped_by_a_filter(tmp_path: Path) -> None:
    lesson = lesson_of(trajectory_of("a"))
    apart = [
        lesson_of(trajectory_of(name), verdicts=(verdict,))
        for name, verdict in (("b", NOT_ASKED_FOR), ("c", RETIRED), ("d", Verdict(filter="loop", keep=False)))
    ]
    assert export([lesson, *apart], tmp_path).left_out == {
        "example dropped by a filter": 1,
        "example of another kind, tier or seed than asked for": 1,
        "example that was retired": 1,
    }


def test_dropped_examples_and_repeated_pairs_are_counted_and_not_written(tmp_path: Path) -> None:
    trajectory = trajectory_of("a", 2)
    dropped = lesson_of(trajectory, verdicts=(Verdict(filter="loop", keep=False, reason="A-B-A-B"),))
    twice = lesson_of(trajectory, kind="summary")
    report = export([lesson_of(trajectory), twice, dropped], tmp_path)
    assert report.rows["train"] == 2
    assert report.left_out == {"example dropped by a filter": 1, "the same as another row": 2}


def test_what_does_not_fit_loses_its_oldest_history_first(tmp_path: Path) -> None:
    trajectory = trajectory_of("a", 12)
    whole = export([lesson_of(trajectory)], tmp_path / "whole")
    longest = max(len(row["prompt"][1]["content"]) for row in rows_of(tmp_path / "whole"))
    shortest = min(
        len(row["prompt"][0]["content"] + row["prompt"][1]["content"]) for row in rows_of(tmp_path / "whole")
    )
    tight = export([lesson_of(trajectory)], tmp_path / "tight", max_chars=shortest + 400)
    last = rows_of(tmp_path / "tight")[-1]["prompt"]
    assert tight.rows == whole.rows
    assert sum(len(message["content"]) for message in last) < shortest + 400 < longest + shortest
    assert "/page/10" in last[1]["content"]
    assert "/page/0" not in last[1]["content"]
    with pytest.raises(UserError, match="longer than max_chars: 12"):
        export([lesson_of(trajectory)], tmp_path / "none", max_chars=100)


# how long rows are


def long_lesson(pages: dict[str, int]) -> list[TrainingExample]:
    """An example of one step each, whose page has so many characters."""
    lessons = []
    for name, size in pages.items():
        trajectory = trajectory_of(name, 1)
        (step,) = trajectory.steps
        seen = page(0).model_copy(update={"text": page(0).text + "\n" + "x" * size})
        steps = (step.model_copy(update={"observation": seen}),)
        lessons.append(lesson_of(trajectory.model_copy(update={"steps": steps})))
    return lessons


def tokens_of(row: dict[str, Any]) -> tuple[int, int]:
    """Of the prompt and of the whole row, by the estimate of two bytes a token and eight around each message."""
    prompt = sum(-(-len(message["content"].encode()) // 2) + 8 for message in row["prompt"])
    return prompt, prompt + -(-len(said(row).encode()) // 2) + 8


def test_an_export_says_its_longest_row_and_the_length_that_a_trainer_needs(tmp_path: Path) -> None:
    report = export(long_lesson({"a": 10, "b": 9_000, "c": 2_000}), tmp_path, split=0.4)
    rows = rows_of(tmp_path) + rows_of(tmp_path, "validation")
    longest = max(tokens_of(row)[1] for row in rows)
    assert (report.lengths.longest_tokens, report.lengths.estimated) == (longest, True)
    assert longest <= report.lengths.max_length < longest + 64
    texts = [sum(len(message["content"]) for message in row["prompt"] + row["completion"]) for row in rows]
    assert report.lengths.longest_characters == max(texts)
    kept = json.loads((tmp_path / "export.json").read_text())["lengths"]
    assert kept == json.loads(report.lengths.model_dump_json())
    (line, *_) = sentences(report.lengths, 3)
    assert f"about {longest:,} tokens (an estimate of 2 to 3 bytes a token; {max(texts):,} characters)" in line


def test_what_fits_by_the_estimate_fits_also_where_pages_are_dense(tmp_path: Path) -> None:
    """Qwen 2.5 makes 1,020 tokens of the first page's text, and 840 of the second's: 2.3 and 2.4 bytes a token."""
    comment = 'link "report" [e23] -> /comment/flag/63/create/\n  link "share" [e24]\n'
    comment += '  link "like (0)" [e25] -> /comment/like/63/create/\n'
    topic = 'generic [e58] around link "When to plant out leeks" [e59] | 2 | 6 Apr \'25\n  link "Growing" [e60]\n'
    for text, tokens in ((comment * 20, 1_020), (topic * 20, 840)):
        measure = Measure()
        said = measure.add([Message(role="user", content=text)], "")
        assert measure.lengths().longest_tokens >= tokens + 2 * 8
        assert tokens / 1.5 < said < tokens * 1.5  # of which all rows' sum is made


@pytest.mark.parametrize("fmt", ["trl", "jsonl"])
def test_rows_that_trl_would_cut_or_drop_are_counted_and_warned_of(fmt: str, tmp_path: Path) -> None:
    sizes = {f"p{size}": size for size in range(0, 4_000, 10)}  # one of them is cut within its reply
    report = export(long_lesson(sizes), tmp_path, fmt)
    (fit,) = report.lengths.fits
    tokens = [tokens_of(row) for row in rows_of(tmp_path)]
    assert (fit.setting, fit.limit) == ("max_length", 1024)
    assert fit.rows_cut == sum(whole > 1024 for _, whole in tokens)
    assert fit.rows_lost == sum(prompt >= 1024 for prompt, _ in tokens)
    assert 0 < fit.rows_lost < fit.rows_cut < len(tokens)
    (warning,) = [line for line in sentences(report.lengths, len(tokens)) if line.startswith("Warning")]
    assert f"max_length=1,024 cuts about {fit.rows_cut} of 400 rows, about {fit.rows_lost} of them lost" in warning
    assert f"Set max_length to {report.lengths.max_length:,} or more" in warning


def test_each_trainers_default_is_its_own(tmp_path: Path) -> None:
    lessons = long_lesson({"a": 1_500, "b": 9_000})
    (factory,) = export(lessons, tmp_path / "sharegpt", "sharegpt").lengths.fits
    (axolotl,) = export(lessons, tmp_path / "axolotl", "axolotl").lengths.fits
    assert (factory.setting, factory.limit, factory.rows_cut, factory.rows_lost) == ("cutoff_len", 2048, 1, 0)
    assert (axolotl.setting, axolotl.limit, axolotl.rows_cut, axolotl.rows_lost) == ("sequence_len", 512, 2, 2)
    report = export(lessons, tmp_path / "openai", "openai")
    (openai,) = report.lengths.fits
    assert (openai.limit, openai.rows_cut, openai.rows_lost) == (65_536, 0, 0)
    assert not any(line.startswith("Warning") for line in sentences(report.lengths, 2))


def test_every_format_says_what_reads_it() -> None:
    for name in exporter_names():
        assert consumers_of(open_exporter(name)), name


def test_a_tokenizer_that_is_named_counts_the_tokens(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    words.enable_truncation(5)
    words.save(str(tmp_path / "tokenizer.json"))
    for name in (str(tmp_path), str(tmp_path / "tokenizer.json")):
        report = export([lesson_of(trajectory_of("a", 1))], tmp_path / "out", tokenizer=name)
        (row,) = rows_of(tmp_path / "out")
        texts = [message["content"] for message in row["prompt"] + row["completion"]]
        assert report.lengths.longest_tokens == sum(len(text.split()) + 8 for text in texts)
        assert (report.lengths.measured_by, report.lengths.estimated) == (name, False)
        assert "about" not in " ".join(sentences(report.lengths, 1))
    (tmp_path / "broken.json").write_text("{")
    for name in (str(tmp_path / "broken.json"), str(tmp_path / "no" / "such.json"), "tiktoken:none"):
        with pytest.raises(UserError) as raised:
            export([lesson_of(trajectory_of("a", 1))], tmp_path / "none", tokenizer=name)
        assert "\n" not in str(raised.value)
        assert not (tmp_path / "none").exists()


@pytest.mark.slow
@pytest.mark.parametrize("rules", ["", "Cutting knowledge date: December. Today: 1 December. " * 5])
def test_what_a_chat_template_adds_is_counted_too(tmp_path: Path, rules: str) -> None:
    """Some begin with rules of their own: a config whose length forgot them would cut rows."""
    pytest.importorskip("transformers")
    from training_model import TEMPLATE, write_tokenizer

    write_tokenizer(tmp_path / "model", rules + TEMPLATE.replace("<eos>", "<eos>\n\n\n\n\n\n\n\n\n\n\n\n"))
    lessons = long_lesson({"a": 10, "b": 3_000})
    masked = export(lessons, tmp_path / "masked", "trl_masked", tokenizer=str(tmp_path / "model"))
    longest = max(len(row["input_ids"]) for row in rows_of(tmp_path / "masked"))
    assert longest <= masked.lengths.longest_tokens <= longest + 4
    steps = export(lessons, tmp_path / "steps", tokenizer=str(tmp_path / "model"), tokenizer_name="tiny")
    assert steps.lengths.longest_tokens == masked.lengths.longest_tokens
    assert steps.lengths.measured_by == "tiny"


def test_bad_requests_are_the_users_errors(tmp_path: Path) -> None:
    lessons = [lesson_of(trajectory_of("a"))]
    with pytest.raises(UserError, match="there is no export format"):
        export(lessons, tmp_path, "csv")
    with pytest.raises(UserError, match="held back"):
        export(lessons, tmp_path, split=1.0)
    with pytest.raises(UserError, match="nothing to export"):
        export([], tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        export(lessons, tmp_path / "file")


def test_an_example_is_never_paired_with_another_trajectory() -> None:
    with pytest.raises(ValueError, match="is of trajectory"):
        TrainingExample(lesson_of(trajectory_of("a")).example, trajectory_of("b"))
