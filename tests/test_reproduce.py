"""`lbi reproduce TABLE`: the arms of a table are measured where they are missing, and written beside the paper's."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

import lbi.context
import lbi.rollouts.set_up
from fake_environment import LampEnvironments
from lbi.cli.reproduce import reproduce
from lbi.cli.run import OutputOptions, RunOptions
from lbi.cli.train_arms import NO_TRAINING, Training
from lbi.config import Config
from lbi.errors import UserError
from lbi.evaluation.reproduce import PAPER_MODELS, name_of, paper_table, paper_tables, written
from lbi.protocols import Environments
from lbi.records import Example, Result, Trajectory, Usage
from lbi.storage.run_folder import RunFolder
from serving import served
from test_extend import BENCHMARK, DOCUMENTS

QUIET = OutputOptions(quiet=True)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    async def no_documents(config: Config, environments: Environments) -> tuple[()]:
        return ()

    async def no_check(config: Config) -> None:
        return None

    monkeypatch.setattr(lbi.context, "open_environments", lambda config, save_image: LampEnvironments())
    monkeypatch.setattr(lbi.rollouts.set_up, "own_documents", no_documents)
    for room in ("run", "plan"):
        monkeypatch.setattr(f"lbi.cli.{room}.check_config", no_check)
    monkeypatch.setattr("lbi.cli.plan.open_environments", lambda config, save_image: LampEnvironments())
    monkeypatch.setattr("lbi.cli.plan.own_documents", no_documents)
    (tmp_path / "painting.toml").write_text(BENCHMARK)
    documents = "\n".join(
        f"[[documents]]\ntitle = {json.dumps(each['title'])}\ntext = {json.dumps(each['text'])}" for each in DOCUMENTS
    )
    file = tmp_path / "lamps.toml"
    file.write_text(
        'benchmark = "painting.toml"\nworkers = 2\n[synthesis]\nrollouts = 3\nstep_limit = 4\ntasks_per_document = 1\n'
        f"compose = 2\n[evaluation]\ntasks = 2\nstep_limit = 3\n{documents}\n"
    )
    return file


def results(out: Path) -> dict[str, Result]:
    with RunFolder(out, writing=False) as folder:
        return dict(folder.store.all("result", Result))


def test_a_table_is_measured_and_another_adds_its_arms(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = RunOptions(config, tmp_path / "run")
    assert reproduce("retrieval", options, QUIET) == 0
    first = results(tmp_path / "run")
    arms = {row.arm.name for row in paper_table("retrieval").arms}
    assert {result.arm for result in first.values()} == arms
    told = capsys.readouterr().out
    text = (tmp_path / "run" / "tables" / "retrieval.md").read_text()
    assert text in told
    [by_page] = [line for line in text.splitlines() if line.startswith("| by the page |")]
    assert "16.3 / 23.5 / 8.7 / 14.6" in by_page
    assert by_page.split("|")[7].strip() == "2", "held-out tasks"
    with RunFolder(tmp_path / "run", writing=False) as folder:
        examples = [example for _, example in folder.store.all("example", Example) if example.kind == "abstract"]
    kept = {(e.instruction, e.trajectory, e.start, e.end) for e in examples if all(v.keep for v in e.verdicts)}
    assert 0 < int(by_page.split("|")[2]) <= len(kept)
    assert "With fewer than 20 tasks" in text
    assert reproduce("lengths", options, QUIET) == 0
    after = results(tmp_path / "run")
    assert first.items() < after.items(), "what was measured is not measured again"
    assert {result.arm for result in after.values()} == arms | {"short", "medium", "long"}
    told = (tmp_path / "run" / "tables" / "lengths.md").read_text()
    [long] = [line for line in told.splitlines() if line.startswith("| long |")]
    assert long.split("|")[2].strip() == "0", "no roll-out has ten steps"
    assert "Without any example, so they say nothing of such: " in told
    [named] = [line for line in told.splitlines() if line.startswith("Without any example")]
    assert "long" in named
    assert "short" not in named
    assert reproduce("retrieval", options, QUIET) == 0
    assert results(tmp_path / "run") == after


class MadeUpMeaning(BaseHTTPRequestHandler):
    """Answers as /v1/embeddings does. To it, colours mean the same as rooms, and everything else something else."""

    def do_POST(self) -> None:
        texts = json.loads(self.rfile.read(int(self.headers["content-length"])))["input"]
        alike = [any(word in text.lower() for word in ("colour", "room", "attic")) for text in texts]
        data = [{"index": at, "embedding": [float(yes), float(not yes)]} for at, yes in enumerate(alike)]
        body = json.dumps({"data": data, "usage": {"prompt_tokens": len(texts)}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return None


def test_arms_rank_by_words_by_vectors_and_by_both(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with served(MadeUpMeaning) as url:
        settings = ['models.embeddings="made-up"', f'models.embeddings_url="{url}/v1"']
        assert reproduce("ranking", RunOptions(config, out, settings=settings), QUIET) == 0
    with RunFolder(out, writing=False) as folder:
        examples = {example.id: example for _, example in folder.store.all("example", Example)}
        episodes = dict(folder.store.all("episode", Trajectory))
    assert {result.arm for result in results(out).values()} == {"baseline", "lexical", "dense", "hybrid"}

    def shown(arm: str) -> list[str]:
        walked = next(walk for key, walk in episodes.items() if key.startswith(f"{arm}/"))
        return [examples[id_].instruction for id_ in walked.steps[0].examples]

    assert all("lamp" in instruction for instruction in shown("lexical"))
    assert shown("lexical")
    assert shown("dense")[0].startswith("Open rooms"), "it has no word of the request"
    # what fits only by words, or only by meaning, fits too little by both together
    assert shown("hybrid") not in (shown("lexical"), shown("dense"))


def test_a_table_that_ranks_by_vectors_needs_what_makes_them(config: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"-s 'models\.embeddings=\"local\"'"):
        reproduce("ranking", RunOptions(config, tmp_path / "run"), QUIET)


def result(arm: str, task: int, score: float, fault: str = "") -> Result:
    values: dict[str, Any] = {"fault": fault, "score": score}
    return Result(
        task=f"t{task}", arm=arm, seed=0, steps=2, usage=Usage(calls=3, input_tokens=100), stop="done", **values
    )


def test_what_failed_by_environment_or_harness_is_no_number_beyond_a_tenth() -> None:
    stored = [result("baseline", task, float(task < 5)) for task in range(30)]
    stored += [result("backward", task, float(task < 15), "harness" if task > 25 else "") for task in range(30)]
    stored += [result("by the page", task, float(task < 15), "environment" if task > 27 else "") for task in range(30)]
    lines = {
        line.split("|")[1].strip(): line
        for line in written("retrieval", paper_table("retrieval"), stored, {}).splitlines()
        if line.startswith("|")
    }
    assert "no number: 4 of 30 episodes failed" in lines["backward"]
    assert "not run" in lines["by the instruction"]
    cells = [cell.strip() for cell in lines["by the page"].split("|")]
    assert cells[2] == "53.6%"
    assert cells[4].startswith("+")
    assert (cells[6], cells[7], cells[8], cells[9]) == ("28", "2.0", "3.0", "100")


def test_nothing_is_compared_with_a_reference_that_has_no_number() -> None:
    stored = [result("baseline", task, float(task < 5), "environment" if task > 24 else "") for task in range(30)]
    stored += [result("backward", task, float(task < 15)) for task in range(30)]
    text = written("retrieval", paper_table("retrieval"), stored, {})
    (backward,) = [line for line in text.splitlines() if line.startswith("| backward |")]
    cells = [cell.strip() for cell in backward.split("|")]
    assert cells[2] == "50.0%"
    assert cells[4:6] == ["", ""]
    assert "baseline has no number, so none is compared with it." in text


def test_a_control_says_how_near_its_tokens_come_to_those_with_examples() -> None:
    tokens = {"baseline": 50, "baseline, extra steps": 95, "best of three": 140, "backward": 100}
    stored = [
        result(arm, task, 0.0).model_copy(update={"usage": Usage(calls=1, input_tokens=spent)})
        for arm, spent in tokens.items()
        for task in range(3)
    ]
    stored.append(result("best of three", 3, 0.0, "harness").model_copy(update={"usage": Usage(input_tokens=9_000)}))
    (line,) = [line for line in written("control", paper_table("control"), stored, {}).splitlines() if "times" in line]
    assert line == (
        "Tokens of an episode, times those of backward: baseline 0.50, baseline, extra steps 0.95, best of three 1.40 "
        "(about as many: baseline, extra steps)."
    )
    assert "times those" not in written("control", paper_table("control"), stored[:6], {})


def test_a_table_in_which_all_arms_are_alike_says_that_it_tells_nothing() -> None:
    stored = [result(row.arm.name, task, 0.0) for row in paper_table("k").arms for task in range(30)]
    assert "this table tells nothing at this size" in written("k", paper_table("k"), stored, {})


def test_tables_are_listed_and_an_unknown_one_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce("", RunOptions(None), QUIET) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in paper_tables())
    with pytest.raises(UserError, match="no table 'retrival'; did you mean \"retrieval\""):
        reproduce("retrival", RunOptions(None), QUIET)


def test_every_arm_of_a_table_differs_from_the_others_and_has_a_number_for_each_benchmark() -> None:
    for table in paper_tables().values():
        told_apart = {
            f"{row.arm.model_copy(update={'name': ''}).model_dump_json()} {row.trained} {row.apart}"
            for row in table.arms
        }
        assert len(told_apart) == len(table.arms)
        reported = [row.reported(model) for row in table.arms for model in PAPER_MODELS]
        assert all(len(numbers) in (0, len(table.benchmarks)) for numbers in reported)
    same_name = [row.arm for table in paper_tables().values() for row in table.arms]
    assert len({arm.name for arm in same_name}) == len(set(same_name)), "tables share a run folder"


def test_every_table_is_found_by_the_papers_name_too() -> None:
    named = {"table2", "table3", "table4", "table5", "table6", "table7", "figure2", "figure3"}
    tables = paper_tables()
    assert {table.paper for table in tables.values()} - {""} == named
    assert all(paper_table(name).paper == name for name in named)
    assert name_of("Table 4") == "retrieval"


def test_what_is_measured_in_a_run_of_its_own_is_paired_with_the_others(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert reproduce("seeding", RunOptions(config, out), QUIET) == 0
    assert {each.arm for each in results(out).values()} == {"baseline", "backward"}
    apart = results(out / "from-pages-alone")
    assert {each.arm for each in apart.values()} == {"from pages alone"}
    assert {each.task for each in apart.values()} == {each.task for each in results(out).values()}
    with RunFolder(out / "from-pages-alone", writing=False) as folder:
        assert folder.config["synthesis"]["seeding"] == "environment"
        examples = [each for _, each in folder.store.all("example", Example) if each.kept and each.kind == "abstract"]
    rows = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]]
        for line in (out / "tables" / "seeding.md").read_text().splitlines()
        if line.startswith("|")
    }
    assert rows["arm"][-1] == "Claude: WebArena"
    assert [rows[name][-1] for name in ("baseline", "from pages alone", "backward")] == ["35.8", "39.6", "48.0"]
    assert 0 < int(rows["from pages alone"][0]) <= len(examples)
    assert rows["from pages alone"][3].startswith(("+", "-")), "the difference to the baseline of the other run"
    assert reproduce("seeding", RunOptions(config, out), QUIET) == 0
    assert results(out / "from-pages-alone") == apart


def test_two_runs_without_held_out_tasks_of_their_own_cannot_be_compared(config: Path, tmp_path: Path) -> None:
    alone = RunOptions(config, tmp_path / "run", settings=['benchmark=""'])
    with pytest.raises(UserError, match="name some in benchmark"):
        reproduce("seeding", alone, QUIET)
    same = RunOptions(config, tmp_path / "run", settings=['synthesis.seeding="environment"'])
    with pytest.raises(UserError, match="which is what 'from pages alone' is to differ in"):
        reproduce("seeding", same, QUIET)
    assert not (tmp_path / "run").exists()


def test_a_part_that_is_left_out_has_to_be_named(config: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"evaluation\.part names none"):
        reproduce("table7", RunOptions(config, tmp_path / "run"), QUIET)


@pytest.mark.parametrize("name", [name for name in paper_tables() if name != "part"])
def test_every_table_is_foretold(name: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dry = OutputOptions(quiet=True, dry_run=True, as_json=True)
    settings = ['models.embeddings="made-up"', 'models.embeddings_url="http://127.0.0.1:9/v1"']
    options = RunOptions(config, tmp_path / "run", settings=settings if name == "ranking" else ())
    training = Training("qwen2.5-coder-0.5b") if paper_table(name).trains else NO_TRAINING
    assert reproduce(name, options, dry, training) == 0
    told = json.loads(capsys.readouterr().out)
    stages = {row["stage"] for plan in (told, *told.get("runs", ())) for row in plan["stages"]}
    assert {f"evaluate: {row.arm.name}" for row in paper_table(name).arms} <= stages
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["filters", "kinds", "tiers", "control", "spans"])
def test_a_table_of_ours_is_measured(name: str, config: Path, tmp_path: Path) -> None:
    assert reproduce(name, RunOptions(config, tmp_path / "run"), QUIET) == 0
    text = (tmp_path / "run" / "tables" / f"{name}.md").read_text()
    assert "not run" not in text
    assert {result.arm for result in results(tmp_path / "run").values()} == {
        row.arm.name for row in paper_table(name).arms
    }


def test_an_arm_whose_model_gave_no_usable_replies_is_named() -> None:
    stored = [result(row.arm.name, task, 0.0) for row in paper_table("in-context").arms for task in range(4)]
    failed = [
        r.model_copy(update={"stop": "model_failure"}) if r.arm == "lats" and r.task != "t0" else r for r in stored
    ]
    table = written("in-context", paper_table("in-context"), failed, {})
    assert "Ended by replies of the model that could not be used: lats (3 of 4)." in table
    assert "Ended by replies" not in written("in-context", paper_table("in-context"), stored, {})
