"""A layer with its adapter, forward and backward, beside the same written as separate operations."""

from __future__ import annotations

import pytest

from lbi.training.recipe import Recipe
from training_model import need_libraries

pytestmark = [pytest.mark.train, pytest.mark.slow]


@pytest.mark.parametrize("of_x", [True, False])  # what a first layer is given needs no gradient
def test_output_and_gradients_are_those_of_separate_operations(of_x: bool) -> None:
    need_libraries()
    import torch

    from lbi.training import lora

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = torch.nn.Linear(6, 10), torch.nn.Linear(10, 3)

        def get_output_embeddings(self) -> torch.nn.Module:
            return self.head

    torch.manual_seed(0)
    model = Model()
    trained = lora.add_adapters(model, Recipe(rank=2, alpha=6))
    first, second = trained
    torch.nn.init.normal_(second)
    x = torch.randn(2, 5, 6, requires_grad=of_x)
    asked = [*([x] if of_x else []), *trained]
    layer = model.layer
    expected = x @ layer.weight.T + layer.bias + 3 * (x @ first.T) @ second.T
    wanted = torch.autograd.grad((expected**2).sum(), asked)
    out = layer(x)
    found = torch.autograd.grad((out**2).sum(), asked)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(found, wanted)
    assert model.head(out).requires_grad
    assert not hasattr(model.head, "lora_A")
