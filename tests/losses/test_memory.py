# SPDX-License-Identifier: Apache-2.0
import runpy
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from adafocal.losses import AdaFocalLoss, make_loss

EXAMPLES = Path(__file__).parents[2] / "examples"
needs_linear_cross_entropy = pytest.mark.skipif(
    not hasattr(torch.nn, "LinearCrossEntropyOptions"), reason="needs a torch with F.linear_cross_entropy"
)


def bytes_kept(loss, logits, labels):
    held = {}

    def note(tensor):
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        value = loss(logits, labels)
    value.backward()
    return sum(held.values())


@pytest.mark.parametrize("name", ["focal", "inverse_focal", "flsd53", "flsc531", "adafocal"])
def test_focal_family_keeps_a_few_numbers_per_sample_beyond_cross_entropy(name):
    n, n_classes = 256, 500
    logits, labels = torch.randn(n, n_classes, requires_grad=True), torch.randint(n_classes, (n,))
    extra = bytes_kept(make_loss(name), logits, labels) - bytes_kept(F.cross_entropy, logits, labels)
    assert extra <= 4 * n * 4  # four float32 per sample, next to 500 logits


@needs_linear_cross_entropy
def test_adafocal_of_a_linear_head_in_chunks_equals_the_plain_path(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    from linear_head import adafocal_of_linear

    features = torch.randn(300, 16, requires_grad=True)
    labels = torch.randint(200, (300,))
    head, criterion = torch.nn.Linear(16, 200), AdaFocalLoss(n_bins=3)
    criterion.gamma.copy_(torch.tensor([-1.0, 0.5, 3.0]))
    criterion.edges.copy_(torch.tensor([0.002, 0.01]))
    leaves = (features, head.weight, head.bias)
    plain = criterion(head(features), labels)
    chunked = adafocal_of_linear(criterion, features, head, labels)
    torch.testing.assert_close(chunked, plain)
    torch.testing.assert_close(torch.autograd.grad(chunked, leaves), torch.autograd.grad(plain, leaves))


@needs_linear_cross_entropy
def test_linear_head_example_learns(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["linear_head.py", "--n-classes", "50", "--n", "512", "--epochs", "3"])
    runpy.run_path(str(EXAMPLES / "linear_head.py"), run_name="__main__")
    accuracies = [float(line.split("accuracy ")[1]) for line in capsys.readouterr().out.splitlines()]
    assert len(accuracies) == 3
    assert accuracies[-1] > 0.9
