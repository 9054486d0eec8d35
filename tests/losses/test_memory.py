# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
import torch.nn.functional as F

from adafocal.losses import LOSSES, make_loss


def bytes_kept(loss, logits, labels):
    """Count what is held for backward beyond the logits themselves, which whoever computed them holds as well."""
    held = {}

    def note(tensor):
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        value = loss(logits, labels)
    for tensor in vars(getattr(value.grad_fn, "function", value)).values():  # what a function of ours holds itself
        if isinstance(tensor, torch.Tensor):
            note(tensor)
    value.backward()
    held.pop(logits.untyped_storage().data_ptr(), None)
    return sum(held.values())


@pytest.mark.parametrize("name", [name for name in LOSSES if getattr(LOSSES[name].cls, "has_slope", False)])
def test_losses_of_single_samples_keep_a_few_numbers_beyond_what_cross_entropy_does(name):
    n, n_classes = 256, 500
    logits, labels = torch.randn(n, n_classes, requires_grad=True), torch.randint(n_classes, (n,))
    extra = bytes_kept(make_loss(name), logits, labels) - bytes_kept(F.cross_entropy, logits, labels)
    assert extra <= 4 * n * 4  # four float32 per sample, next to 500 logits


@pytest.mark.parametrize("name", ["selective_au", "aurc", "mmce"])
def test_losses_of_ranks_keep_a_few_numbers_per_voxel(name):
    n, n_classes = 4096, 3
    logits, labels = torch.randn(n, n_classes, requires_grad=True), torch.randint(n_classes, (n,))
    extra = bytes_kept(make_loss(name), logits, labels) - bytes_kept(F.cross_entropy, logits, labels)
    assert extra <= 20 * n * 4  # 20 float32 per sample, next to 64 bins and to 4096 pairs
