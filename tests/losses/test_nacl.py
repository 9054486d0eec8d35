# SPDX-License-Identifier: Apache-2.0
import itertools

import pytest
import torch

from adafocal.losses import NACLLoss, nacl_penalty


def batch(shape=(2, 3, 5, 6), dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(shape, generator=generator, dtype=dtype)
    return logits, torch.randint(shape[1], shape[:1] + shape[2:], generator=generator)


def shares_around(labels, place, n_classes, reach):
    """Count the classes of the voxels in a window that are there and count."""
    ranges = [
        range(max(0, at - reach), min(size, at + reach + 1)) for at, size in zip(place, labels.shape, strict=True)
    ]
    found = [int(labels[other]) for other in itertools.product(*ranges)]
    found = [label for label in found if label != -100]
    return torch.tensor([found.count(c) / len(found) for c in range(n_classes)], dtype=torch.float64)


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("shape", [(2, 3, 7), (2, 3, 4, 5), (1, 2, 3, 4, 3)], ids=str)
def test_it_is_the_formula_of_the_paper_at_every_voxel(shape, kernel_size):
    logits, labels = batch(shape)
    labels[labels == 1] = torch.where(torch.rand(int((labels == 1).sum())) < 0.3, -100, 1)
    found = nacl_penalty(logits, labels, kernel_size=kernel_size)

    for place in itertools.product(*map(range, labels.shape)):
        image, *voxel = place
        if labels[place] == -100:
            assert float(found[place]) == 0.0
            continue
        prior = shares_around(labels[image], voxel, shape[1], kernel_size // 2)
        expected = (prior - logits[(image, slice(None), *voxel)]).abs().mean()
        assert float(found[place]) == pytest.approx(float(expected), abs=1e-12)


def test_within_an_image_it_is_the_authors_window_by_unfolding():
    logits, labels = batch((2, 4, 6, 7))
    columns = torch.nn.Unfold(3)(labels[:, None].double())  # (N, 9, 4 * 5): windows wholly within the image
    prior = torch.stack([(columns == c).double().mean(1) for c in range(4)], dim=1).view(2, 4, 4, 5)
    expected = (prior - logits[:, :, 1:-1, 1:-1]).abs().mean(1)

    torch.testing.assert_close(nacl_penalty(logits, labels)[:, 1:-1, 1:-1], expected)


def test_gradients_agree_with_finite_differences():
    logits, labels = batch((2, 3, 3, 4))

    assert torch.autograd.gradcheck(lambda z: nacl_penalty(z, labels), logits.requires_grad_())


def test_a_masked_class_adds_nothing_and_gets_no_gradient():
    logits, labels = batch()
    labels[labels == 2] = 0
    logits[:, 2] = -torch.inf
    logits.requires_grad_()
    loss = nacl_penalty(logits, labels)
    loss.sum().backward()

    assert bool(loss.isfinite().all())
    assert bool((logits.grad[:, 2] == 0).all())
    torch.testing.assert_close(loss, 2 / 3 * nacl_penalty(logits[:, :2].detach(), labels))


def test_one_hot_labels_are_class_indices_and_smoothing_is_a_soft_label():
    logits, labels = batch()
    soft = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).double()

    torch.testing.assert_close(nacl_penalty(logits, soft), nacl_penalty(logits, labels))
    smoothed = nacl_penalty(logits, labels, label_smoothing=0.3)
    torch.testing.assert_close(smoothed, nacl_penalty(logits, 0.7 * soft + 0.1))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_its_base_plus_the_weighted_penalty(weighted):
    logits, labels = batch()
    labels[0, 0] = -100
    weight = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64) if weighted else None
    shares = (labels != -100).double() if weight is None else weight[labels.clamp_min(0)] * (labels != -100)
    plain = torch.nn.CrossEntropyLoss(weight)(logits, labels)
    expected = plain + 0.1 * (nacl_penalty(logits, labels) * shares).sum() / shares.sum()

    torch.testing.assert_close(NACLLoss(weight)(logits, labels), expected)


@pytest.mark.parametrize("size", [0, 2, 4])
def test_a_window_has_a_middle(size, rejects):
    rule = "an integer >= 1" if size == 0 else "odd"
    with rejects(ValueError, f"`kernel_size` must be {rule}, got {size}."):
        NACLLoss(kernel_size=size)
