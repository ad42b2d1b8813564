"""The formats of an export beside TRL's, what is learned of them, what is chosen, and what lies beside the rows."""

from __future__ import annotations

import ast
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lbi.errors import UserError
from lbi.records import Action, Document, Observation, Verdict
from lbi.training.export.choose import Selection, choose, length_of, parse_mix
from lbi.training.export.dataset import NOT_ASKED_FOR
from lbi.training.export.exporters import exporter_names, open_exporter, rows_of
from lbi.training.export.turns import TrainingExample
from test_export import export, lesson_of, page, trajectory_of
from test_export import rows_of as written

DROPPED = (Verdict(filter="committee", keep=False, reason="not aligned"),)


def with_mistakes() -> TrainingExample:
    """Six steps: the second failed, the fourth repeats the third on the same page."""
    trajectory = trajectory_of("a", 6)
    steps = list(trajectory.steps)
    steps[2] = steps[2].model_copy(update={"observation": page(2, error="covered by a dialog")})
    again = Action(text="click(e3)", kind="click", role="button", name="Next")
    steps[4] = steps[4].model_copy(update={"observation": page(3), "action": again})
    return lesson_of(trajectory.model_copy(update={"steps": tuple(steps)}))


# what is learned


def test_a_step_that_is_repeated_on_the_same_page_is_not_learned(tmp_path: Path) -> None:
    report = export([with_mistakes()], tmp_path)
    assert report.left_out == {"action that failed": 1, "action that was tried on the same page before": 1}
    assert report.rows["train"] == 4


@pytest.mark.parametrize(("fmt", "mark"), [("openai", "weight"), ("axolotl", "training")])
def test_a_trajectory_is_one_row_whose_failed_and_repeated_steps_have_no_loss(
    tmp_path: Path, fmt: str, mark: str
) -> None:
    report = export([with_mistakes()], tmp_path, fmt, rows_are="trajectory")
    (row,) = written(tmp_path)
    replies = [message for message in row["messages"] if message["role"] == "assistant"]
    assert [bool(reply[mark]) for reply in replies] == [True, False, True, True, False, True]
    assert [message["role"] for message in row["messages"]] == ["system", *["user", "assistant"] * 6]
    assert not any(message.get(mark) for message in row["messages"] if message["role"] != "assistant")
    assert (report.rows_are, report.rows["train"], report.steps["train"]) == ("trajectory", 1, 4)
    assert "covered by a dialog" in row["messages"][5]["content"]  # it happened, so it is shown


def test_a_trajectory_that_is_too_long_loses_its_oldest_steps_and_says_so(tmp_path: Path) -> None:
    lesson = lesson_of(trajectory_of("a", 30))
    whole = export([lesson], tmp_path / "whole", "axolotl", rows_are="trajectory")
    most = whole.lengths.longest_characters
    report = export([lesson], tmp_path / "cut", "axolotl", rows_are="trajectory", max_chars=most - 200)
    (row,) = written(tmp_path / "cut")
    lost = report.left_out["oldest step of a conversation longer than max_chars"]
    assert report.steps["train"] == 30 - lost < 30
    assert "Page 0" not in json.dumps(row)
    assert "Page 29" in json.dumps(row)
    assert report.lengths.longest_characters <= most - 200


@pytest.mark.slow
def test_labels_of_trl_masked_are_exactly_the_replies_that_are_to_be_learned(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from transformers import AutoTokenizer

    from training_model import write_tokenizer

    write_tokenizer(tmp_path / "model")
    export([with_mistakes()], tmp_path / "out", "trl_masked", tokenizer=str(tmp_path / "model"))
    (row,) = written(tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    learned = [token for token in row["labels"] if token != -100]
    said = [f"ACTION: click(e{n})<eos>\n" for n in (0, 2, 3, 5)]
    assert tokenizer.decode(learned) == "".join(said)
    assert all(label in (-100, token) for label, token in zip(row["labels"], row["input_ids"], strict=True))
    with pytest.raises(UserError, match="name the model's tokenizer"):
        export([with_mistakes()], tmp_path / "none", "trl_masked")


def test_a_template_that_shows_earlier_replies_otherwise_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from training_model import TEMPLATE, write_tokenizer

    forgetful = TEMPLATE.replace("{{ m['content'] }}", "{{ m['content'] if loop.last else 'cut' }}")
    write_tokenizer(tmp_path / "model", forgetful)
    with pytest.raises(UserError, match="shows a reply otherwise when the conversation goes on"):
        export([with_mistakes()], tmp_path / "out", "trl_masked", tokenizer=str(tmp_path / "model"))


# preferences


def other_way(lesson: TrainingExample, **fields: Any) -> TrainingExample:
    """The same task and pages, and another first action."""
    first, *rest = lesson.trajectory.steps
    seen = Observation(text=page(0).text + '\nlink "Away" [e99]', url="/page/0")
    first = first.model_copy(update={"observation": seen})
    here = lesson.trajectory.model_copy(update={"steps": (first, *rest)})
    away = first.model_copy(update={"action": Action(text="click(e99)", kind="click", role="link", name="Away")})
    there = lesson.trajectory.model_copy(update={"steps": (away, *rest)})
    instruction = {"instruction": "Reach page 1", "kind": "forward"}
    trajectory = there if fields.get("verdicts") else here
    return lesson_of(trajectory, 0, 1, **(instruction | fields))


def test_a_preference_has_one_prompt_and_two_different_replies(tmp_path: Path) -> None:
    lesson = lesson_of(trajectory_of("a", 3))
    kept, dropped = other_way(lesson), other_way(lesson, verdicts=DROPPED)
    report = export([kept, dropped], tmp_path, "dpo")
    (row,) = written(tmp_path)
    assert report.rows_are == "pair"
    assert [part["role"] for part in row["prompt"]] == ["system", "user"]
    assert row["chosen"][0]["content"].endswith("ACTION: click(e0)")
    assert row["rejected"][0]["content"].endswith("ACTION: click(e99)")
    export([kept], tmp_path / "trl", "trl")
    assert row["prompt"] == written(tmp_path / "trl")[0]["prompt"]


@pytest.mark.parametrize("verdicts", [(), (NOT_ASKED_FOR,), (*DROPPED, NOT_ASKED_FOR)])
def test_what_nobody_asked_for_is_not_worse_than_what_was_kept(tmp_path: Path, verdicts: tuple[Verdict, ...]) -> None:
    lesson = lesson_of(trajectory_of("a", 3))
    with pytest.raises(UserError, match="nothing to export"):
        export([other_way(lesson), other_way(lesson, verdicts=verdicts)], tmp_path, "dpo")


def test_replies_that_do_the_same_are_no_preference(tmp_path: Path) -> None:
    lesson = lesson_of(trajectory_of("a", 3))
    kept = other_way(lesson)
    same = TrainingExample(kept.example.model_copy(update={"verdicts": DROPPED, "end": 2}), kept.trajectory)
    with pytest.raises(UserError, match="nothing to export"):
        export([kept, same], tmp_path, "dpo")


# choosing


def spans(lessons: list[TrainingExample]) -> Counter[str]:
    return Counter(length_of(lesson) for lesson in lessons)


def many() -> list[TrainingExample]:
    lengths = [2] * 30 + [6] * 20 + [12] * 10
    return [lesson_of(trajectory_of(f"task {n}", length)) for n, length in enumerate(lengths)]


def test_a_size_is_kept_to_and_a_smaller_one_is_a_part_of_a_larger(tmp_path: Path) -> None:
    sets = []
    for size in (20, 50):
        report = export(many(), tmp_path / str(size), selection=Selection(rows=size, seed=3))
        assert report.rows["train"] == size
        sets.append([json.dumps(row) for row in written(tmp_path / str(size))])
        assert report.left_out["row beyond the size that was asked for"] == 300 - size
    assert sets[1][:20] == sets[0]
    other = export(many(), tmp_path / "other", selection=Selection(rows=20, seed=4))
    assert other.rows["train"] == 20
    assert [json.dumps(row) for row in written(tmp_path / "other")] != sets[0]
    by_tokens = export(many(), tmp_path / "tokens", selection=Selection(tokens=5_000))
    assert 5_000 <= by_tokens.tokens["train"] < 5_000 + by_tokens.lengths.longest_tokens


def test_a_size_limits_validation_by_its_share(tmp_path: Path) -> None:
    whole = export(many(), tmp_path / "whole", split=0.4)
    assert whole.rows["validation"] > 20
    small = export(many(), tmp_path / "small", split=0.4, selection=Selection(rows=30))
    assert small.rows == {"train": 30, "validation": 20}  # 0.4 of 50
    by_tokens = export(many(), tmp_path / "tokens", split=0.4, selection=Selection(tokens=9_000))
    assert 6_000 <= by_tokens.tokens["validation"] < 6_000 + by_tokens.lengths.longest_tokens


def test_a_mix_of_lengths_has_the_shares_of_steps_that_were_asked_for() -> None:
    left_out: Counter[str] = Counter()
    chosen = choose(many(), Selection(mix=parse_mix("short=1,medium=1,long=2")), left_out)
    steps = Counter[str]()
    for lesson in chosen:
        steps[length_of(lesson)] += lesson.example.end
    assert steps["long"] == pytest.approx(2 * steps["short"], abs=12)
    assert steps["medium"] == pytest.approx(steps["short"], abs=12)
    assert steps["long"] > 90
    assert left_out["example beyond the mix of lengths"] == 60 - len(chosen)
    assert spans(choose(many(), Selection(mix=parse_mix("long=1")), left_out)) == {"long": 10}
    for text in ("short", "tiny=1", "short=-1", "short=0", "short=x", "short=nan", "short=inf"):
        with pytest.raises(UserError):
            parse_mix(text)


def test_a_mix_with_a_length_that_no_example_has_says_which_there_are() -> None:
    lessons = [lesson_of(trajectory_of(f"task {n}", 2 if n else 6)) for n in range(4)]
    with pytest.raises(UserError, match="asks for long examples, of which there are none; there are 3 short, 1 medium"):
        choose(lessons, Selection(mix=parse_mix("short=1,long=1")), Counter())


def test_diversity_takes_every_way_to_act_once_before_any_a_second_time() -> None:
    lessons = [lesson_of(trajectory_of(f"task {n}", 2)) for n in range(20)]
    rare = lesson_of(trajectory_of("rare", 3))
    for seed in range(5):
        chosen = choose([*lessons, rare], Selection(diverse=True, seed=seed), Counter())
        assert rare.example.id in {lesson.example.id for lesson in chosen[:2]}
        assert len(chosen) == 21


def test_shuffled_instructions_are_all_there_and_with_other_steps() -> None:
    lessons = many()
    chosen = choose(lessons, Selection(shuffled=True), Counter())
    before = {lesson.trajectory.id: lesson.example.instruction for lesson in lessons}
    after = {lesson.trajectory.id: lesson.example.instruction for lesson in chosen}
    assert sorted(before.values()) == sorted(after.values())
    assert sum(before[name] == after[name] for name in before) < 10


# what lies beside the rows


@pytest.mark.parametrize("fmt", ["trl", "dpo", "sharegpt", "axolotl", "verl"])
def test_configs_have_a_length_that_cuts_no_row_and_the_papers_recipe(tmp_path: Path, fmt: str) -> None:
    if fmt == "verl":
        pytest.importorskip("pyarrow")
    lesson = lesson_of(trajectory_of("a", 3))
    lessons = [other_way(lesson), other_way(lesson, verdicts=DROPPED)]
    report = export(lessons, tmp_path, fmt)
    assert report.configs
    texts = "\n".join((tmp_path / name).read_text() for name in report.configs)
    assert str(report.lengths.max_length) in texts
    assert report.lengths.max_length >= report.lengths.longest_tokens
    assert "0.00002" in texts
    assert "0.03" in texts
    assert {"128", "16"} <= set(texts.replace("=", " ").replace(",", " ").split())
    for name in report.configs:
        if name.endswith(".py"):
            ast.parse((tmp_path / name).read_text())
        if name == "trl.yaml":
            assert f"trl {'dpo' if fmt == 'dpo' else 'sft'} --config trl.yaml" in texts


def test_a_data_set_has_a_card_that_says_what_is_in_it(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    made_by = {
        "act": "openai:gpt-5",
        "label": "openai:gpt-5",
        "judges": ["openai:a", "openai:b"],
        "offline": False,
        "prompts": {"act": "0123456789abcdef"},
        "contamination": {"tasks": 21, "duplicates": 1, "nearest": 0.52},
    }
    lessons = [lesson_of(trajectory_of(f"task {n}", document=f"d{n}"), tier="replayed") for n in range(8)]
    report = export(lessons, tmp_path, "datasets", split=0.4, made_by=made_by)
    text = (tmp_path / "README.md").read_text()
    for told in (
        f"| rows | {report.rows['train']} | {report.rows['validation']} |",
        "replayed 8",
        "openai:a, openai:b",
        "prompt act: 0123456789abcdef",
        "21 held-out tasks: 1 have an exact or near duplicate",
        "unknown 8",
        "path: train.parquet",
    ):
        assert told in text, told
    export(lessons, tmp_path, "datasets", split=0.4)
    assert "Not compared with any held-out task." in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(
    ("licence", "told"),
    [("Apache-2.0", "license: apache-2.0\n"), ("BSD-Trac", "license: other\nlicense_name: bsd-trac\n")],
)
def test_a_licence_is_told_by_the_name_that_a_hub_knows(tmp_path: Path, licence: str, told: str) -> None:
    pytest.importorskip("pyarrow")
    document = Document(source="guide", text="text", licence=licence)
    lesson = lesson_of(trajectory_of("a", document=document.id), document=document.id, of=document)
    export([lesson], tmp_path, "datasets")
    assert told in (tmp_path / "README.md").read_text()


def test_every_format_says_what_a_row_of_it_is_and_refuses_others(tmp_path: Path) -> None:
    for name in exporter_names():
        if name != "trl_masked":  # one that writes tokens is complete only with a tokenizer
            assert rows_of(open_exporter(name)), name
    with pytest.raises(UserError, match="the format trl has no row for a trajectory; it has one for each: step"):
        export([with_mistakes()], tmp_path, "trl", rows_are="trajectory")
