"""Training as it is used: a tiny random model, real libraries, a kill in the middle."""

from __future__ import annotations

import json
import re
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from lbi.config import Config
from lbi.errors import UserError
from lbi.storage.run_folder import RunFolder
from lbi.training import checkpoint, curve
from lbi.training.backends.loop import batches, rate_at
from lbi.training.memory import advice, advice_when_memory_runs_out
from lbi.training.recipe import PAPER, Recipe
from running import answer, command, environ, lbi_here
from test_export import lesson_of, trajectory_of
from training_model import need_libraries, write_export, write_gguf, write_model

pytestmark = [
    pytest.mark.train,
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # libraries warn of what they themselves will drop
]

QUICK = Recipe(batch=4, learning_rate=1e-2, epochs=6, max_length=512, precision="fp32", save_every=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_libraries()
    import torch

    torch.set_num_threads(1)  # several wait for one another on a machine that has other work
    return write_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(autouse=True)
def _quiet_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def losses(folder: Path) -> list[float]:
    return [entry["loss"] for entry in curve.read(folder)]


def trained(data: Path, model: Path, out: Path, recipe: Recipe = QUICK) -> dict[str, Any]:
    from lbi.training.run import train

    return train(data, str(model), recipe, out)


# the plan of a training, which needs no library


def test_the_papers_recipe_is_the_default() -> None:
    assert (PAPER.method, PAPER.batch, PAPER.learning_rate, PAPER.warmup) == ("lora", 128, 2e-5, 0.03)
    assert (PAPER.max_length, PAPER.epochs, PAPER.rank) == (8192, 3.0, 16)
    assert PAPER.steps_of(1000) == 24


def test_every_row_is_seen_once_an_epoch_in_an_order_of_its_own() -> None:
    taken = list(batches(10, Recipe(batch=4, epochs=2)))
    assert [len(batch) for batch in taken] == [4, 4, 2, 4, 4, 2]
    epochs = [[row for batch in part for row in batch] for part in (taken[:3], taken[3:])]
    assert [sorted(epoch) for epoch in epochs] == [list(range(10))] * 2
    assert epochs[0] != epochs[1]
    assert taken == list(batches(10, Recipe(batch=4, epochs=2)))
    assert len(list(batches(10, Recipe(batch=4, epochs=2, max_steps=5)))) == 5


def test_the_rate_rises_and_falls_as_transformers_own_schedule_has_it() -> None:
    need_libraries()
    import torch
    from transformers import get_linear_schedule_with_warmup

    recipe, steps = Recipe(learning_rate=1e-3, warmup=0.1), 40
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.AdamW([parameter], lr=1e-3)
    schedule = get_linear_schedule_with_warmup(optimiser, 4, steps)
    theirs = []
    for _ in range(steps):
        theirs.append(schedule.get_last_lr()[0])
        optimiser.step()
        schedule.step()
    assert [rate_at(step, steps, recipe) for step in range(1, steps + 1)] == pytest.approx(theirs)


# the loop


def test_it_overfits_eight_rows_and_says_them_by_heart(model: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    data = write_export(tmp_path / "data", 8)
    recipe = QUICK.model_copy(update={"epochs": 150.0, "batch": 8, "method": "full", "save_every": 1000})
    record = trained(data, model, tmp_path / "tuned", recipe)
    assert record["first_loss"] > 5
    assert record["last_loss"] < 0.05
    tuned = AutoModelForCausalLM.from_pretrained(tmp_path / "tuned", dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "tuned")
    right = 0
    for line in (data / "train.jsonl").read_text().splitlines():
        pair = json.loads(line)
        text = tokenizer.apply_chat_template(pair["prompt"], tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids
        reply = tuned.generate(input_ids=ids, max_new_tokens=40, do_sample=False)[0, ids.shape[1] :]
        right += tokenizer.decode(reply, skip_special_tokens=True).strip() == pair["completion"][0]["content"]
    assert right == 8


def test_peft_reads_the_adapter_and_comes_to_the_same_loss(model: Path, tmp_path: Path) -> None:
    need_libraries("peft")
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from lbi.training.rows import load_rows
    from lbi.training.tokens import ChatTokenizer

    data = write_export(tmp_path / "data", 8, validation=4)
    record = trained(data, model, tmp_path / "adapter")
    assert record["last_loss"] < record["first_loss"] - 0.5
    rows = load_rows(data, ChatTokenizer.load(str(model)), 512).validation
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    tuned = PeftModel.from_pretrained(base, str(tmp_path / "adapter")).eval()
    total = 0.0
    for row in rows:
        labels = [-100] * row.prompt + row.ids[row.prompt :]
        total += float(tuned(input_ids=torch.tensor([row.ids]), labels=torch.tensor([labels])).loss) * row.learned
    assert total / sum(row.learned for row in rows) == pytest.approx(record["validation_loss"], rel=1e-4)


def test_the_loss_is_that_of_transformers_on_the_replies_alone(model: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from lbi.training.rows import load_rows
    from lbi.training.scorer import Scorer
    from lbi.training.tokens import ChatTokenizer

    rows = load_rows(write_export(tmp_path / "data", 5), ChatTokenizer.load(str(model)), 512).train
    other = write_model(tmp_path / "qwen2", "qwen2")  # its head is its table of embeddings
    for folder in (model, other):
        whole = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        for row in rows:
            labels = [-100] * row.prompt + row.ids[row.prompt :]
            theirs = whole(input_ids=torch.tensor([row.ids]), labels=torch.tensor([labels])).loss
            assert float(Scorer(whole).loss(row)) / row.learned == pytest.approx(float(theirs), rel=1e-4)


def test_a_reply_is_learned_with_its_end_mark_and_nothing_of_the_prompt_is(model: Path, tmp_path: Path) -> None:
    from lbi.training.rows import load_rows
    from lbi.training.tokens import ChatTokenizer

    tokenizer = ChatTokenizer.load(str(model))
    (row,) = load_rows(write_export(tmp_path / "data", 1), tokenizer, 512).train
    assert tokenizer.inner.decode(row.ids[row.prompt :]) == "ACTION: click(e0)<eos>\n"
    assert tokenizer.inner.decode(row.ids[: row.prompt]).endswith("<|assistant|>")


def test_killed_and_started_again_it_comes_to_the_same_losses_and_weights(model: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    data = write_export(tmp_path / "data", 24, validation=4)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    recipe = Recipe(batch=2, epochs=4, learning_rate=0.003, precision="fp32", save_every=3, max_length=512)
    trained(data, model, whole, recipe)
    asked = ["--batch", "2", "--epochs", "4", "--learning-rate", "0.003", "--precision", "fp32", "--save-every", "3"]
    arguments = ["train", str(data), "--model", str(model), "--out", str(killed), "--max-length", "512", *asked]
    process = subprocess.Popen(command(*arguments), env=environ(OMP_NUM_THREADS="1"), stderr=subprocess.DEVNULL)
    until = time.monotonic() + 300
    while len(curve.read(killed)) < 7 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was done before it could be killed"
    before = losses(killed)
    assert json.loads((killed / "training.json").read_text())["status"] == "running"
    assert 7 <= len(before) < 48
    trained(data, model, killed, recipe)
    assert losses(killed) == pytest.approx(losses(whole), abs=5e-7)
    assert len(losses(whole)) == 48
    ours, theirs = (load_file(str(folder / "adapter_model.safetensors")) for folder in (killed, whole))
    assert all(abs(ours[name] - theirs[name]).max() < 1e-6 for name in theirs)
    assert [e.get("validation") for e in curve.read(killed)] == [e.get("validation") for e in curve.read(whole)]
    names = {file.name for file in killed.iterdir()}
    assert {"training.json", "losses.jsonl", "adapter_config.json", "adapter.gguf"} <= names
    assert "checkpoint.pt" not in names


def test_a_training_is_not_mixed_with_another_and_a_finished_one_is_not_repeated(model: Path, tmp_path: Path) -> None:
    data, out = write_export(tmp_path / "data", 4), tmp_path / "adapter"
    first = trained(data, model, out)
    written = (out / "adapter_model.safetensors").stat().st_mtime_ns
    assert trained(data, model, out) == first
    assert (out / "adapter_model.safetensors").stat().st_mtime_ns == written
    with pytest.raises(UserError, match=r"another recipe \(rank 16, not 4\)"):
        trained(data, model, out, QUICK.model_copy(update={"rank": 4}))
    trained(data, model, out, QUICK.model_copy(update={"checkpointing": True}))  # decides nothing
    write_export(data, 5)
    with pytest.raises(UserError, match="another training set"):
        trained(data, model, out)


def test_what_failed_before_its_first_checkpoint_stands_in_nobodys_way(model: Path, tmp_path: Path) -> None:
    need_libraries("trl", "peft", "datasets")
    data, torn, out = write_export(tmp_path / "data", 4), tmp_path / "torn", tmp_path / "adapter"
    shutil.copytree(model, torn)
    weights = torn / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:3000])
    for backend in ("loop", "trl"):
        with pytest.raises(UserError, match=r"cannot load the model .*torn: Error while deserializing header"):
            trained(data, torn, out, QUICK.model_copy(update={"backend": backend}))
    assert trained(data, model, out)["status"] == "finished"


def test_two_do_not_train_into_one_folder(model: Path, tmp_path: Path) -> None:
    from lbi.training.run import train

    data, out = write_export(tmp_path / "data", 4), tmp_path / "adapter"
    began: list[int] = []

    def another(step: int, *_: float) -> None:
        began.append(step)
        ran = lbi_here("train", data, "--model", model, "--out", out, "--seed", "1")
        assert (ran.returncode, len(ran.stderr.strip().splitlines())) == (2, 1)
        assert "another lbi train is at work in" in ran.stderr

    train(data, str(model), QUICK.model_copy(update={"max_steps": 1}), out, show=another)
    assert began == [1]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half of it", b"no archive at all"])
def test_a_checkpoint_that_cannot_be_read_is_one_line_and_half_written_ones_go(tmp_path: Path, content: bytes) -> None:
    need_libraries()
    (tmp_path / ".checkpoint.pt.123.part").write_bytes(b"of a training that was killed")
    assert checkpoint.load(tmp_path) is None
    assert not list(tmp_path.iterdir())
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"pt cannot be read \(.*\); delete it to train from the beginning") as told:
        checkpoint.load(tmp_path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(("backend", "most"), [("loop", 60_000), ("loop", 150_000), ("trl", 60_000), ("trl", 150_000)])
def test_a_full_disk_is_one_line_and_the_same_command_continues(
    model: Path, tmp_path: Path, backend: str, most: int
) -> None:
    """Files may have ``most`` bytes: fewer than weights have, or than the optimiser has with them."""
    need_libraries("trl", "peft", "datasets")
    data, out = write_export(tmp_path / "data", 4), tmp_path / "adapter"
    recipe = QUICK.model_copy(update={"backend": backend, "max_steps": 2})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        with pytest.raises(UserError, match=f"cannot write to {out}: .*; make room, and the same command") as told:
            trained(data, model, out, recipe)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(told.value)
    assert trained(data, model, out, recipe)["status"] == "finished"


def test_weights_that_find_no_room_are_told_as_such(model: Path, tmp_path: Path) -> None:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    from lbi.training.folder import advice_when_the_disk_is_full

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(UserError, match="make room"), advice_when_the_disk_is_full(tmp_path):
            save_file({"weights": torch.zeros(10_000)}, tmp_path / "weights.safetensors")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with pytest.raises(SafetensorError), advice_when_the_disk_is_full(tmp_path):
        raise SafetensorError("another header")


def test_a_training_goes_on_by_the_backend_that_began_it(model: Path, tmp_path: Path) -> None:
    from lbi.training.run import prepare, train

    def stop(*_: float) -> None:
        raise KeyboardInterrupt

    data, out = write_export(tmp_path / "data", 4), tmp_path / "adapter"
    with pytest.raises(KeyboardInterrupt):
        train(data, str(model), QUICK, out, show=stop)
    for name, other in (("loop", "trl"), ("trl", "loop")):
        shutil.rmtree(out / "trainer", ignore_errors=True)
        (out / "checkpoint.pt").unlink(missing_ok=True)
        begun = out / "checkpoint.pt" if name == "loop" else out / "trainer" / "checkpoint-1" / "trainer_state.json"
        begun.parent.mkdir(parents=True, exist_ok=True)
        begun.write_bytes(b"{}")
        with pytest.raises(UserError, match=f"holds checkpoints of --backend {name}, which {other} cannot go on from"):
            prepare(data, str(model), QUICK.model_copy(update={"backend": other}), out)
        assert prepare(data, str(model), QUICK, out).backend == name


def test_all_weights_can_be_trained_and_less_memory_gives_the_same(model: Path, tmp_path: Path) -> None:
    data = write_export(tmp_path / "data", 4)
    full = QUICK.model_copy(update={"method": "full", "learning_rate": 1e-3})
    trained(data, model, tmp_path / "full", full)
    assert losses(tmp_path / "full")[-1] < losses(tmp_path / "full")[0]
    assert (tmp_path / "full" / "config.json").is_file()
    for checkpointing in (False, True):
        recipe = QUICK.model_copy(update={"checkpointing": checkpointing})
        trained(data, model, tmp_path / f"{checkpointing}", recipe)
    assert losses(tmp_path / "True") == pytest.approx(losses(tmp_path / "False"), abs=1e-5)


# what can be wrong


def test_a_row_that_is_too_long_is_refused_and_never_cut(model: Path, tmp_path: Path) -> None:
    data = write_export(tmp_path / "data", 8)
    with pytest.raises(UserError, match=r"8 of 8 rows have more than 16 tokens.*none is cut: raise --max-length to"):
        trained(data, model, tmp_path / "adapter", QUICK.model_copy(update={"max_length": 16}))
    assert not (tmp_path / "adapter").exists()


def test_too_little_memory_says_what_to_lower() -> None:
    need_libraries()
    import torch

    recipe = Recipe(method="full", precision="fp32")
    told = r"not enough memory to train; .*--checkpointing"
    with pytest.raises(UserError, match=told) as raised, advice_when_memory_runs_out(recipe):
        torch.empty(1 << 50)  # a petabyte
    assert "--method lora" in str(raised.value)
    assert "--precision bf16" in str(raised.value)
    assert "--checkpointing" not in advice(Recipe(checkpointing=True))
    with pytest.raises(RuntimeError, match="shape"), advice_when_memory_runs_out(Recipe()):
        torch.ones(2, 3) @ torch.ones(2, 3)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--model", "no/such/folder"), "there is no model no/such/folder"),
        (("--model", "no.gguf"), "there is no file no.gguf"),
        (("--model", "{model}", "--method", "qlora"), "QLoRA needs a CUDA GPU"),
        (("--model", "{model}", "--packing"), "packing and QLoRA are done by TRL"),
        (("--model", "{model}", "--rank", "0"), "--rank = 0"),
        (("--model", "{model}", "--method", "lora2"), "--method = lora2"),
        (("--model", "{model}", "--epochs", "inf"), "--epochs = inf"),
        (("--model", "{model}", "--max-length", "16"), "2 of 2 rows have more than 16 tokens"),
        (("--model", "{model}", "--out", "{data}/train.jsonl"), "train.jsonl: it is a file; choose another --out"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], told: str, model: Path, tmp_path: Path) -> None:
    data = write_export(tmp_path / "data", 2)
    given = [each.replace("{model}", str(model)).replace("{data}", str(data)) for each in arguments]
    for more in ([], ["--dry-run"]):
        ran = lbi_here("train", data, "--out", tmp_path / "adapter", *given, *more)
        assert ran.returncode == 2
        assert told in ran.stderr
        assert len(ran.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "adapter").exists()


def test_an_export_of_another_format_and_a_model_that_is_not_talked_to_are_told(model: Path, tmp_path: Path) -> None:
    data = write_export(tmp_path / "data", 2)
    (data / "export.json").write_text('{"format": "openai"}')
    with pytest.raises(UserError, match="lbi train reads trl and jsonl"):
        trained(data, model, tmp_path / "adapter")
    base = write_model(tmp_path / "base")
    told = json.loads((base / "tokenizer_config.json").read_text())
    told.pop("chat_template")
    (base / "tokenizer_config.json").write_text(json.dumps(told))
    with pytest.raises(UserError, match="has no chat template"):
        trained(write_export(tmp_path / "data", 2), base, tmp_path / "adapter")


@pytest.mark.parametrize(
    ("report", "rows", "told"),
    [
        ('{"format": "openai"}', "{}\n", "is an export of the format openai; lbi train reads trl and jsonl"),
        ('{"format": "trl"', "{}\n", "export.json cannot be read"),
        ("[]", "{}\n", "is an export of the format None"),
        ('{"format": "trl"}', "\n", "has no row to train on"),
        ('{"format": "trl"}', '{"prompt": [\n', "train.jsonl: row 1 has no prompt and completion that can be read"),
        ('{"format": "trl"}', '{"prompt": "a", "completion": "b"}\n', "row 1 has no prompt and completion that can be"),
    ],
)
def test_what_cannot_be_trained_on_is_one_line_of_a_dry_run_too(
    model: Path, tmp_path: Path, report: str, rows: str, told: str
) -> None:
    (tmp_path / "export.json").write_text(report)
    (tmp_path / "train.jsonl").write_text(rows)
    for more in ([], ["--dry-run"]):
        ran = lbi_here("train", tmp_path, "--model", model, "--out", tmp_path / "adapter", *more)
        assert (ran.returncode, len(ran.stderr.strip().splitlines())) == (2, 1)
        assert told in ran.stderr


# GGUF


def test_a_gguf_file_is_dequantised_once_trained_on_and_written_back_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_libraries("peft")
    import gguf
    import numpy as np
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = write_model(tmp_path / "qwen2", "qwen2")
    file = write_gguf(folder, tmp_path / "tiny.gguf")
    out = tmp_path / "adapter"
    recipe = QUICK.model_copy(update={"learning_rate": 3e-2})
    record = trained(write_export(tmp_path / "data", 8), file, out, recipe)
    assert record["files"] == ["adapter.gguf", "merged-q8_0.gguf"]
    assert record["last_loss"] < record["first_loss"]
    (kept,) = (tmp_path / "cache" / "lbi" / "weights").iterdir()
    when = kept.stat().st_mtime_ns
    trained(tmp_path / "data", file, tmp_path / "again", recipe)
    assert [each.stat().st_mtime_ns for each in (tmp_path / "cache" / "lbi" / "weights").iterdir()] == [when]

    merged = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(kept), str(out)).merge_and_unload()
    theirs = {name: values.float().numpy() for name, values in merged.state_dict().items()}
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, 2)
    wanted = {names.get_name(name, (".weight", ".bias")): values for name, values in theirs.items()}
    reader = gguf.GGUFReader(out / "merged-q8_0.gguf")
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        assert np.abs(values - wanted[tensor.name]).max() < 0.02 * max(1e-3, np.abs(wanted[tensor.name]).max())
    assert reader.fields["tokenizer.chat_template"].contents()
    adapter = gguf.GGUFReader(out / "adapter.gguf")
    assert adapter.fields["adapter.type"].contents() == "lora"
    assert {tensor.name for tensor in adapter.tensors} >= {"blk.0.attn_q.weight.lora_a", "blk.1.ffn_up.weight.lora_b"}


def test_queries_and_keys_of_a_llama_are_in_the_order_of_gguf(model: Path, tmp_path: Path) -> None:
    """A rotation pairs channel i with i + half in transformers and 2i with 2i + 1 in GGUF."""
    import gguf
    import numpy as np

    trained(write_export(tmp_path / "data", 4), model, tmp_path / "adapter")
    from safetensors.numpy import load_file

    stored = load_file(str(tmp_path / "adapter" / "adapter_model.safetensors"))
    theirs = stored["base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"].reshape(4, 16, -1)
    (ours,) = [
        tensor.data.reshape(4, 16, -1)
        for tensor in gguf.GGUFReader(tmp_path / "adapter" / "adapter.gguf").tensors
        if tensor.name == "blk.0.attn_q.weight.lora_b"
    ]
    assert np.array_equal(ours[:, 0::2], theirs[:, :8])
    assert np.array_equal(ours[:, 1::2], theirs[:, 8:])


# TRL


def test_trl_comes_to_the_same_losses_and_goes_on_where_it_was_stopped(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rows are in every batch, so that their order decides nothing; stopped in the middle, as by Ctrl-C."""
    need_libraries("trl", "peft", "datasets")
    from lbi.training.run import train

    data = write_export(tmp_path / "data", 8)
    recipe = QUICK.model_copy(
        update={"method": "full", "batch": 8, "epochs": 6.0, "learning_rate": 1e-3, "save_every": 2}
    )
    trained(data, model, tmp_path / "loop", recipe)
    monkeypatch.setattr(curve, "EVERY", 0.0)

    def stop(step: int, *_: float) -> None:
        if step == 3:
            raise KeyboardInterrupt

    by_trl = recipe.model_copy(update={"backend": "trl"})
    with pytest.raises(KeyboardInterrupt):
        train(data, str(model), by_trl, tmp_path / "trl", show=stop)
    assert len(losses(tmp_path / "trl")) == 3
    record = trained(data, model, tmp_path / "trl", by_trl)
    assert record["backend"] == "trl"
    assert losses(tmp_path / "trl") == pytest.approx(losses(tmp_path / "loop"), abs=2e-3)
    assert losses(tmp_path / "trl")[-1] < losses(tmp_path / "trl")[0] - 0.1


def test_trl_writes_an_adapter_as_our_loop_does(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need_libraries("trl", "peft", "datasets")
    from safetensors.numpy import load_file

    data = write_export(tmp_path / "data", 4)
    recipe = QUICK.model_copy(update={"max_steps": 2, "packing": True, "checkpointing": True})
    trained(data, model, tmp_path / "loop", recipe.model_copy(update={"packing": False}))
    record = trained(data, model, tmp_path / "trl", recipe.model_copy(update={"backend": "trl"}))
    assert record["files"] == ["adapter.gguf"]
    assert record["steps"] == record["planned_steps"] == 2
    assert capsys.readouterr().out == ""  # it is for what --json prints
    ours, theirs = (load_file(str(tmp_path / name / "adapter_model.safetensors")) for name in ("loop", "trl"))
    assert {name: values.shape for name, values in ours.items()} == {n: v.shape for n, v in theirs.items()}


def test_trl_is_told_of_as_our_loop_is_and_one_seed_gives_one_adapter(model: Path, tmp_path: Path) -> None:
    need_libraries("trl", "peft", "datasets")
    from safetensors.numpy import load_file

    data = write_export(tmp_path / "data", 6, validation=3)
    recipe = QUICK.model_copy(update={"epochs": 1.2, "batch": 2})  # 4 steps here, and 3 where epochs are cut off
    for number, name in enumerate(("loop", "trl", "again")):
        trained(data, model, tmp_path / name, recipe.model_copy(update={"backend": "trl" if number else "loop"}))
    ours, theirs = (curve.read(tmp_path / name) for name in ("loop", "trl"))
    assert [entry["step"] for entry in theirs] == [entry["step"] for entry in ours] == [1, 2, 3, 4]
    assert [e["step"] for e in theirs if "validation" in e] == [e["step"] for e in ours if "validation" in e] == [3, 4]
    assert sum(entry["tokens"] for entry in theirs[:3]) == sum(entry["tokens"] for entry in ours[:3])  # an epoch's
    assert theirs[2]["validation"] == pytest.approx(ours[2]["validation"], abs=0.2)
    first, second = (load_file(str(tmp_path / name / "adapter_model.safetensors")) for name in ("trl", "again"))
    assert all((first[name] == second[name]).all() for name in first)


# from a run folder


def test_a_run_is_exported_trained_on_and_its_report_shows_the_curve(model: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    lessons = [lesson_of(trajectory_of(f"task {number}", document=f"d{number}")) for number in range(24)]
    with RunFolder(run, Config(url="http://127.0.0.1:9").identity()) as folder:
        for number, lesson in enumerate(lessons):
            folder.store.put("trajectory", f"0/t{number}/0", lesson.trajectory)
            folder.store.put("example", f"0/t{number}/abstract/000-004", lesson.example)
    asked = ["--batch", "4", "--epochs", "1", "--learning-rate", "0.01", "--validation", "0.3", "--max-chars", "4000"]
    arguments = ["train", run, "--model", model, "--allow-offline", "--diverse", "--size", "12", *asked]
    dry = lbi_here(*arguments, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "train: 12 rows of " in dry.stdout
    assert "3 steps of up to 4 rows, 12 rows 1 times" in dry.stdout
    assert re.search(r"Longest row: [\d,]+ tokens of .*tiny, of at most 8,192", dry.stdout)
    assert re.search(r"\d+ rows for validation, measured after each epoch", dry.stdout)
    assert not (run / "adapter").exists()
    ran = lbi_here(*arguments, "--json")
    assert ran.returncode == 0, ran.stderr
    record = json.loads(ran.stdout)
    assert record["rows"]["train"] == 12
    assert (record["steps"], record["status"]) == (3, "finished")
    assert "step 3 of 3" in ran.stderr
    exported = json.loads((run / "adapter" / "data" / "export.json").read_text())
    assert exported["lengths"]["estimated"] is False  # counted by the model's own tokenizer
    again = answer("train", run / "adapter" / "data", "--model", model, "--batch", "6", "--dry-run", here=True)
    assert (again["steps"], again["data"]["rows"]) == (6, exported["rows"])  # 12 rows three times
    report = (run / "report.html").read_text()
    assert "3 of 3 steps" in report
    assert "Loss of adapter by step" in report
    assert record["export"]["made_by"]["offline"] is True
    assert exported["lengths"]["measured_by"] == str(model)
    rows = (run / "adapter" / "data" / "train.jsonl").read_bytes()
    other = lbi_here(*arguments, "--seed", "1")
    assert other.returncode == 2
    assert "holds a training with another training set" in other.stderr
    assert (run / "adapter" / "data" / "train.jsonl").read_bytes() == rows  # what the adapter was made of
    assert {file.name for file in (run / "adapter").glob(".*")} == {".lock"}
