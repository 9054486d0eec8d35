# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from scipy.special import softmax

from adafocal.calibration import equal_width_edges
from adafocal.losses import L1ACELoss, l1_ace_penalty
from adafocal.losses.l1_ace import _own


def batch(shape=(3, 4, 5, 6), dtype=torch.float64, sharpness=2.0):
    generator = torch.Generator().manual_seed(1)
    logits = sharpness * torch.randn(shape, generator=generator, dtype=dtype)
    return logits, torch.randint(shape[1], shape[:1] + shape[2:], generator=generator)


def paper(logits, labels, n_bins, binning):
    """The mean over images and classes, voxel by voxel: soft shares are linear between the centres of bins."""
    probs, errors = softmax(logits.numpy(), axis=1), []
    for image, truth in zip(probs, labels.numpy(), strict=True):
        for c, p in enumerate(image):
            y, sums = (truth == c).ravel(), np.zeros((3, n_bins))
            for value, happened in zip(p.ravel(), y, strict=True):
                shares = {max(0, int(np.ceil(value * n_bins)) - 1): 1.0}
                if binning == "soft":
                    place = min(max(value * n_bins - 0.5, 0), n_bins - 1)
                    low = int(place)
                    shares = {low: 1 - (place - low), min(low + 1, n_bins - 1): place - low}
                    shares = {low: 1.0} if len(shares) == 1 else shares
                for b, share in shares.items():
                    sums[:, b] += share, share * value, share * happened
            held = sums[0] >= (0.01 if binning == "soft" else 1)
            gaps = np.abs(sums[1] - sums[2])[held] / sums[0][held]
            errors.append(gaps.mean() if y.any() else 0.0)
    return np.mean(errors)


@pytest.mark.parametrize("binning", ["hard", "soft"])
@pytest.mark.parametrize("n_bins", [1, 7, 20])
@pytest.mark.parametrize("shape", [(3, 4, 30), (2, 3, 5, 6), (2, 2, 3, 4, 5)], ids=str)
def test_it_is_the_formula_of_the_paper_for_every_image(binning, n_bins, shape):
    logits, labels = batch(shape)
    labels[labels == shape[1] - 1] = 0  # of this class nothing is there
    labels[0] = torch.randint(shape[1], labels[0].shape)
    found = l1_ace_penalty(logits, labels, n_bins=n_bins, binning=binning)

    assert found.shape == (shape[0],)
    assert float(found.mean()) == pytest.approx(paper(logits, labels, n_bins, binning), abs=1e-12)


def test_hard_bins_are_those_of_the_measures():
    confidence = torch.tensor([0.05, 0.1, 0.10000001, 0.5, 0.95, 1.0, 0.0], dtype=torch.float64)
    edges = equal_width_edges(20)

    assert _own(confidence, 20)[0][0].tolist() == torch.bucketize(confidence, edges).tolist()


def test_a_calibrated_image_has_no_error_and_a_wrong_one_all():
    logits = torch.zeros(1, 2, 8)
    assert l1_ace_penalty(logits, torch.arange(8)[None] % 2).tolist() == pytest.approx([0.0], abs=1e-7)
    sure = torch.tensor([30.0, -30.0]).view(1, 2, 1).expand(1, 2, 8)
    assert l1_ace_penalty(sure, torch.ones(1, 8, dtype=torch.int64)).tolist() == pytest.approx([0.5])  # class 0 absent


@pytest.mark.parametrize("binning", ["hard", "soft"])
def test_gradients_agree_with_finite_differences(binning):
    logits, labels = batch((2, 3, 4, 3))
    options = {"n_bins": 5, "binning": binning}

    assert torch.autograd.gradcheck(lambda z: l1_ace_penalty(z, labels, **options), logits.requires_grad_(), eps=1e-7)


def test_ignored_voxels_and_the_background_can_be_left_out():
    logits, labels = batch((2, 3, 40))
    labels[:, 30:] = -100
    changed = logits.clone()
    changed[:, :, 30:] = 50 * torch.randn(2, 3, 10)
    torch.testing.assert_close(l1_ace_penalty(logits, labels), l1_ace_penalty(changed, labels))
    torch.testing.assert_close(l1_ace_penalty(logits, labels), l1_ace_penalty(logits[..., :30], labels[..., :30]))

    each = [l1_ace_penalty(logits, labels, include_background=kept) for kept in (True, False)]
    background = torch.cat([logits[:, :1], logits[:, 1:].logsumexp(1, keepdim=True)], dim=1)
    alone = 2 * l1_ace_penalty(background, labels.clamp_max(1)) - l1_ace_penalty(
        background, labels.clamp_max(1), include_background=False
    )
    torch.testing.assert_close(3 * each[0] - 2 * each[1], alone)
    assert l1_ace_penalty(logits, torch.full_like(labels, -100)).tolist() == [0.0, 0.0]


def test_one_hot_labels_are_class_indices_and_smoothing_is_a_soft_label():
    logits, labels = batch()
    soft = torch.nn.functional.one_hot(labels, 4).movedim(-1, 1).double()

    torch.testing.assert_close(l1_ace_penalty(logits, soft), l1_ace_penalty(logits, labels))
    smoothed = l1_ace_penalty(logits, labels, label_smoothing=0.2)
    torch.testing.assert_close(smoothed, l1_ace_penalty(logits, 0.8 * soft + 0.05))


def test_the_loss_is_its_base_plus_the_weighted_penalty():
    logits, labels = batch()
    labels[0, 0] = -100
    for weight in (None, torch.tensor([1.0, 2.0, 0.5, 1.0], dtype=torch.float64)):
        plain = torch.nn.CrossEntropyLoss(weight)(logits, labels)
        shares = (labels != -100).double() if weight is None else weight[labels.clamp_min(0)] * (labels != -100)
        share_of_image = shares.flatten(1).sum(1) / shares.sum()
        expected = plain + 3.0 * (l1_ace_penalty(logits, labels, binning="soft") * share_of_image).sum()

        torch.testing.assert_close(L1ACELoss(weight, penalty_weight=3.0, binning="soft")(logits, labels), expected)


def test_it_calibrates_probabilities_that_are_too_sure():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 2, 500, generator=generator)
    labels = (torch.rand(4, 500, generator=generator) < logits.softmax(1)[:, 1]).long()
    sharpness = torch.tensor(3.0, requires_grad=True)
    optimizer = torch.optim.SGD([sharpness], lr=2.0)
    for _ in range(200):
        optimizer.zero_grad()
        l1_ace_penalty(sharpness * logits, labels, n_bins=10, binning="soft").mean().backward()
        optimizer.step()

    assert float(sharpness.detach()) == pytest.approx(1.0, abs=0.25)


def test_bad_settings_get_one_sentence(rejects):
    with rejects(ValueError, "`n_bins` must be an integer >= 1, got 0."):
        L1ACELoss(n_bins=0)
    with rejects(ValueError, "`binning` must be one of 'hard', 'soft', got 'firm'."):
        L1ACELoss(binning="firm")
    with rejects(TypeError, "`include_background` must be True or False, got 1."):
        L1ACELoss(include_background=1)
