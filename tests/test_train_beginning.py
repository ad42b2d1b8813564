"""What rows begin with in common is run once: the same losses and gradients as of whole rows."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from lbi.training.recipe import Recipe
from lbi.training.rows import Row
from training_model import need_libraries, write_model

pytestmark = [pytest.mark.train, pytest.mark.slow, pytest.mark.filterwarnings("error:.*past_key_values")]

BEGINNING = 50  # tokens that all rows share


def rows_of(vocabulary: int) -> list[Row]:
    chosen = random.Random(0)

    def tokens(count: int) -> list[int]:
        return [chosen.randrange(vocabulary) for _ in range(count)]

    shared = tokens(BEGINNING)
    return [Row([*shared, at, *tokens(5 * at), *tokens(4)], BEGINNING + 1 + 5 * at) for at in range(4)]


def gradients(model: Any, rows: list[Row], *, share: bool) -> tuple[float, Any]:
    import torch

    from lbi.training import beginning, lora
    from lbi.training.scorer import Scorer

    trained = [layer.get_parameter(part) for _, layer in lora._layers(model) for part in ("lora_A", "lora_B")]
    for parameter in trained:
        parameter.grad = None
    total = beginning.learn(Scorer(model), rows, 16, share=share)
    return total, torch.cat([parameter.grad.flatten() for parameter in trained])


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gemma2"])
def test_gradients_are_those_of_whole_rows(kind: str, tmp_path: Path) -> None:
    need_libraries()
    import torch
    from transformers import AutoModelForCausalLM

    from lbi.training import beginning, lora
    from lbi.training.scorer import Scorer

    model = AutoModelForCausalLM.from_pretrained(write_model(tmp_path / kind, kind), dtype=torch.float32)
    lora.add_adapters(model, Recipe(rank=4))
    for _, layer in lora._layers(model):
        torch.nn.init.normal_(layer.lora_B, std=0.1)  # an adapter begins as nothing, with no gradient in its first half
    rows = rows_of(model.config.vocab_size)
    assert beginning.common(rows) == BEGINNING
    assert beginning.can_be_shared(Scorer(model), rows)
    (whole, theirs), (shared, ours) = (gradients(model, rows, share=share) for share in (False, True))
    assert shared == pytest.approx(whole, rel=1e-4)
    assert float(theirs.norm()) > 0
    assert float((ours - theirs).norm() / theirs.norm()) < 1e-3
    with torch.no_grad():
        assert beginning.measure(Scorer(model), rows, share=True) == pytest.approx(whole, rel=1e-4)


def test_a_model_whose_state_is_no_table_of_keys_is_trained_row_by_row(tmp_path: Path) -> None:
    need_libraries()
    import torch
    from transformers import AutoModelForCausalLM, MambaConfig

    from lbi.training import beginning
    from lbi.training.scorer import Scorer

    config = MambaConfig(vocab_size=60, hidden_size=16, state_size=4, num_hidden_layers=2)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    rows = rows_of(60)
    scorer = Scorer(model)
    assert not beginning.can_be_shared(scorer, rows)
    assert beginning.learn(scorer, rows, 16, share=False) > 0


def test_where_little_is_shared_nothing_is() -> None:
    from lbi.training import beginning

    rows = rows_of(60)
    assert beginning.common(rows[:1]) == 0
    assert beginning.common([*rows, Row([99, *rows[0].ids], rows[0].prompt)]) == 0
    # a prompt that is the whole beginning of another keeps one token to tell the first of its reply from
    assert beginning.common([Row(rows[0].ids, BEGINNING), rows[1]]) == BEGINNING - 1
