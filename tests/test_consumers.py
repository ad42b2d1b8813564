"""Every export is read by those whom it is for: their own loaders, schemas and parsers, in their pinned versions.

TRL, `datasets` and transformers are of the extra ``train``. Consumers whose requirements exclude one another (or want
several GB that reading data has no use for) are installed without these into an environment of their own by uv, and
see the rest of this one. What reading data never calls is stood in for by an empty module.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from lbi.training.export.choose import Selection
from own_environments import wheel_of
from running import environ
from test_export import export, lesson_of, trajectory_of
from test_export_formats import DROPPED, other_way, with_mistakes
from training_model import need_libraries, write_model, write_tokenizer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

#: of one environment, as they share what they pin
OLDER = (
    *("llamafactory==0.9.5", "axolotl==0.19.0", "verl==0.9.1", "transformers==5.6.0", "tokenizers==0.22.2"),
    *("huggingface_hub==1.9.0", "datasets==4.0.0", "peft==0.18.1", "trl==0.24.0", "dill==0.4.0", "multiprocess"),
    *("xxhash", "pandas", "omegaconf", "antlr4-python3-runtime==4.9.3", "colorama", "fire", "termcolor", "addict"),
    *("einops", "sentencepiece", "tensordict==0.10.0", "pyvers", "orjson", "cloudpickle", "hydra-core", "codetiming"),
    *("posthog", "art"),
)
NEEDED_WHOLE = ("httpx",)  # with what they need
HARBOR = "harbor==0.26.0"
PROGRAMS = Path(__file__).parent / "consumers"  # each asks one consumer


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of the environment with the older pins."""
    need_libraries()
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    if not Path(uv).exists():
        pytest.skip("no uv here")
    folder = tmp_path_factory.mktemp("older") / "venv"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True, timeout=300)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    paths = [sysconfig.get_path("purelib"), *(path for path in sys.path if path.endswith("site-packages"))]
    (site / "below.pth").write_text("\n".join(dict.fromkeys(paths)) + "\n")  # ours come after its own
    shutil.copy(PROGRAMS / "absent.py", site)
    install = [uv, "pip", "install", "-q", "--python", str(python)]
    for packages in (["--no-deps", *OLDER], [*NEEDED_WHOLE]):
        ran = subprocess.run([*install, *packages], capture_output=True, text=True, timeout=900)
        if ran.returncode:
            pytest.skip(f"the consumers cannot be installed here: {ran.stderr.strip().splitlines()[-1]}")
    return python


ALL = Selection(reasons="all")


def asked(python: Path, program: Path, *arguments: str | Path) -> Any:
    """What a program prints last, as JSON."""
    command = [str(python), "-W", "ignore", str(program), *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environ(PYTHONWARNINGS="ignore"))
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout.strip().splitlines()[-1])


def exported(out: Path, fmt: str, **options: Any) -> Any:
    lessons = [with_mistakes(), *(lesson_of(trajectory_of(f"task {n}")) for n in range(20))]
    return export(lessons, out, fmt, split=0.4, **options)


def test_llama_factory_reads_the_rows_and_parses_its_config(older: Path, tmp_path: Path) -> None:
    report = exported(tmp_path / "out", "sharegpt")
    write_model(tmp_path / "model")
    said = asked(older, PROGRAMS / "read_llama_factory.py", tmp_path / "out", tmp_path / "model", tmp_path / "run")
    assert said["rows"] == sum(report.rows.values())
    assert said["cutoff"] == report.lengths.max_length
    assert (said["rank"], said["rate"], said["batch"], said["epochs"]) == (16, 2e-5, 128, 3)


def test_axolotl_parses_its_config_and_learns_the_replies_that_are_marked(older: Path, tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "llama"}')
    report = export(
        [with_mistakes()], tmp_path / "out", "axolotl", rows_are="trajectory", selection=Selection(reasons="all")
    )
    said = asked(older, PROGRAMS / "read_axolotl.py", tmp_path / "out", tmp_path / "model")
    (learned,) = said["said"]
    assert [part.split("\n")[0] for part in learned.split("REASON: ")[1:]] == [
        f"page {n} has a next" for n in (0, 2, 3, 5)
    ]
    assert (said["length"], said["rank"]) == (report.lengths.max_length, 16)


def test_verl_reads_the_rows_and_learns_the_reply_alone(older: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "model")
    report = exported(tmp_path / "out", "verl")
    said = asked(older, PROGRAMS / "read_verl.py", tmp_path / "out", tmp_path / "model")
    assert len(said["said"]) == report.rows["train"]
    assert all(each.startswith("ACTION: click") and each.endswith(")") for each in said["said"])
    assert (said["length"], said["rank"]) == (report.lengths.max_length, 16)


def test_harbor_takes_every_row_as_a_trajectory(tmp_path: Path) -> None:
    """Its models need nothing but pydantic, so the wheel is unpacked and nothing of it is installed."""
    report = exported(tmp_path / "out", "atif")
    file = wheel_of(HARBOR, tmp_path)
    files = [tmp_path / "out" / name for name in report.files]
    lengths = asked(Path(sys.executable), PROGRAMS / "read_harbor.py", file, *files)
    assert len(lengths) == sum(report.rows.values())
    assert sum(length - 2 for length in lengths) == 6 + 20 * 4


# of the extra train


@pytest.mark.train
def test_trl_loads_the_rows_and_learns_the_replies_alone(tmp_path: Path) -> None:
    need_libraries("trl", "datasets")
    from datasets import load_dataset
    from transformers import AutoTokenizer
    from trl import DPOConfig, SFTConfig, SFTTrainer, TrlParser

    model = write_model(tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(model)
    report = exported(tmp_path / "out", "trl")
    (settings,) = TrlParser((SFTConfig,)).parse_args_and_config(
        ["--config", str(tmp_path / "out" / "trl.yaml"), "--bf16", "false", "--output_dir", str(tmp_path / "run")],
        return_remaining_strings=False,
        fail_with_unknown_args=False,
    )
    assert settings.max_length == report.lengths.max_length
    settings.max_length = 1 << 14  # one token per byte here
    settings.eval_strategy = "no"
    data = load_dataset(str(tmp_path / "out"))  # as `trl sft` does, with all that lies there
    assert {side: len(rows) for side, rows in data.items()} == report.rows
    trainer = SFTTrainer(str(model), args=settings, train_dataset=data["train"], processing_class=tokenizer)
    for row in trainer.train_dataset:
        said = tokenizer.decode([token for token in row["labels"] if token != -100])
        assert said.startswith("ACTION: click")
        assert said.count("ACTION") == 1

    lesson = lesson_of(trajectory_of("a", 3))
    export([other_way(lesson), other_way(lesson, verdicts=DROPPED)], tmp_path / "dpo", "dpo")
    TrlParser((DPOConfig,)).parse_args_and_config(
        ["--config", str(tmp_path / "dpo" / "trl.yaml"), "--bf16", "false", "--output_dir", str(tmp_path / "run")],
        return_remaining_strings=False,
        fail_with_unknown_args=False,
    )
    (pair,) = load_dataset(str(tmp_path / "dpo"))["train"]
    assert pair["chosen"] != pair["rejected"]

    export([with_mistakes()], tmp_path / "masked", "trl_masked", tokenizer=str(model))
    (row,) = load_dataset(str(tmp_path / "masked"))["train"]
    trainer = SFTTrainer(str(model), args=settings, train_dataset=load_dataset(str(tmp_path / "masked"))["train"])
    assert list(trainer.train_dataset[0]["labels"]) == list(row["labels"])


@pytest.mark.train
def test_datasets_reads_card_and_rows_with_one_schema_from_the_first(tmp_path: Path) -> None:
    need_libraries("datasets")
    from datasets import load_dataset

    report = exported(tmp_path / "out", "datasets")
    data = load_dataset(str(tmp_path / "out"))
    assert {side: len(rows) for side, rows in data.items()} == report.rows
    assert data["train"].features == data["validation"].features
    assert data["train"][0]["completion"][0]["role"] == "assistant"
    for fmt in ("jsonl", "axolotl", "openai", "sharegpt", "adp"):
        exported(tmp_path / fmt, fmt)
        read = load_dataset("json", data_files=str(tmp_path / fmt / "train.jsonl"), split="train")
        lines = (tmp_path / fmt / "train.jsonl").read_text().splitlines()
        assert len(read) == len(lines)
        assert {tuple(json.loads(line)) for line in lines} == {tuple(read.column_names)}


@pytest.mark.train
def test_the_program_for_unsloth_is_python_whose_settings_trl_takes(tmp_path: Path) -> None:
    """Unsloth itself starts on a GPU only."""
    need_libraries("trl")
    import ast

    from trl import SFTConfig

    report = exported(tmp_path / "out", "trl")
    tree = ast.parse((tmp_path / "out" / "unsloth_train.py").read_text())
    (call,) = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "SFTConfig"]
    given = {each.arg: ast.literal_eval(each.value) for each in call.keywords if each.arg}
    settings = SFTConfig(**given | {"output_dir": str(tmp_path / "run"), "bf16": False})
    assert (settings.max_length, settings.learning_rate) == (report.lengths.max_length, 2e-5)


def test_openai_and_the_agent_data_protocol_have_the_shape_that_their_schemas_ask_for(tmp_path: Path) -> None:
    """Neither ships a checker: OpenAI's is its server, ADP's lies in a repository. Rules as these state them."""
    exported(tmp_path / "openai", "openai", rows_are="trajectory")
    for line in (tmp_path / "openai" / "train.jsonl").read_text().splitlines():
        (key, messages), *more = json.loads(line).items()
        assert (key, more) == ("messages", [])
        assert {message["role"] for message in messages} == {"system", "user", "assistant"}
        assert messages[-1]["role"] == "assistant"
        assert {message.get("weight") for message in messages if message["role"] == "assistant"} <= {0, 1}
    exported(tmp_path / "adp", "adp")
    for line in (tmp_path / "adp" / "train.jsonl").read_text().splitlines():
        row = json.loads(line)
        assert set(row) == {"schema_version", "id", "content", "details"}
        calls = [each["tool_call_id"] for each in row["content"] if each["class_"] == "api_action"]
        results = [each["tool_call_id"] for each in row["content"] if "tool_call_id" in each and "source" in each]
        assert calls == results
        assert len(set(calls)) == len(calls) > 0
        for before, after in zip(row["content"], row["content"][1:], strict=False):
            if before["class_"] == "api_action":
                assert after["tool_call_id"] == before["tool_call_id"]
        sources = {each["source"] for each in row["content"] if each["class_"] == "text_observation"}
        assert sources <= {"system", "user", "assistant"}
