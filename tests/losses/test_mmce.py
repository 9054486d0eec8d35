# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
import torch.nn.functional as F

from adafocal.calibration import top_label_from_logits
from adafocal.losses import MMCELoss, mmce_penalty
from adafocal.losses.mmce import ROUNDING, laplacian_energy

REFERENCES = ["losses_n48_c3", "losses_n64_c10", "losses_n32_c100"]


def batch(reference, file):
    arrays = reference(file)
    return torch.from_numpy(arrays["logits"]).requires_grad_(), torch.from_numpy(arrays["labels"]), arrays


@pytest.mark.parametrize("file", REFERENCES)
def test_mmce_m_equals_that_of_the_public_code_which_leaves_the_root_out(reference, file):
    logits, labels, arrays = batch(reference, file)
    squared = mmce_penalty(logits, labels, weighted=False).square() - ROUNDING
    squared.backward()
    torch.testing.assert_close(squared.detach(), torch.as_tensor(arrays["mmce_m"]), rtol=1e-5, atol=0)
    torch.testing.assert_close(logits.grad.float(), torch.from_numpy(arrays["mmce_m_grad"]), rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize("file", REFERENCES)
def test_mmce_w_with_its_groups_divided_twice_equals_that_of_the_public_code(reference, file):
    logits, labels, arrays = batch(reference, file)
    confidence, correct = top_label_from_logits(logits, labels)
    pull = correct * (1 - confidence) / correct.sum() ** 2 - ~correct * confidence / (~correct).sum() ** 2
    value = (laplacian_energy(confidence, pull, width=0.4) + 1e-10).sqrt()
    torch.testing.assert_close(value.detach(), torch.as_tensor(arrays["mmce_w"]), rtol=1e-5, atol=0)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("width", [0.4, 0.02])
def test_penalty_is_the_double_sum_of_its_definition(weighted, width):
    logits = torch.randn(40, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(4, (40,))
    confidence, correct = top_label_from_logits(logits, labels)
    if weighted:
        pull = torch.where(correct, (1 - confidence) / correct.sum(), -confidence / (~correct).sum())
    else:
        pull = (correct.double() - confidence) / 40
    kernel = torch.exp(-(confidence[:, None] - confidence).abs() / width)
    expected = (pull @ kernel @ pull + ROUNDING).sqrt()
    actual = mmce_penalty(logits, labels, weighted=weighted, width=width)
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits)[0] for value in (actual, expected)))


def test_balanced_penalty_is_content_with_half_confidence_and_the_plain_one_with_the_accuracy():
    logits = torch.tensor([[2.0, 1.0, 1.0, 1.0, 1.0]]).repeat(20, 1) * torch.log(torch.tensor(4.0))  # confidence 0.5
    labels = torch.tensor([0] * 2 + [1] * 18)
    assert mmce_penalty(logits, labels, weighted=True) < 1e-4
    torch.testing.assert_close(mmce_penalty(logits, labels), torch.tensor(0.4))


def test_loss_is_cross_entropy_plus_the_penalty():
    logits, labels = torch.randn(20, 4), torch.randint(4, (20,))
    expected = F.cross_entropy(logits, labels) + 3.0 * mmce_penalty(logits, labels)
    torch.testing.assert_close(MMCELoss(penalty_weight=3.0)(logits, labels), expected)
    torch.testing.assert_close(MMCELoss(penalty_weight=3.0, reduction="sum")(logits, labels), 20 * expected)


def test_without_penalty_it_is_cross_entropy():
    logits, labels = torch.randn(20, 4), torch.randint(4, (20,))
    torch.testing.assert_close(MMCELoss(penalty_weight=0.0)(logits, labels), F.cross_entropy(logits, labels))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("right", [True, False])
def test_a_batch_that_is_all_right_or_all_wrong_is_finite(right, weighted):
    logits = torch.tensor([[3.0, 0.0], [1.0, 0.0]], requires_grad=True)
    penalty = mmce_penalty(logits, torch.tensor([0, 0] if right else [1, 1]), weighted=weighted)
    penalty.backward()
    assert penalty.isfinite()
    assert logits.grad.isfinite().all()


def test_memory_grows_with_the_samples_not_with_their_pairs():
    # 200 000 pairwise kernels would take 160 GB in float32.
    logits = torch.randn(200_000, 2, requires_grad=True)
    mmce_penalty(logits, torch.randint(2, (200_000,))).backward()
    assert logits.grad.isfinite().all()


def test_bad_settings_are_refused(rejects):
    with rejects(ValueError, "`width` must be a finite number >= 0.005, got 0.0."):
        mmce_penalty(torch.zeros(1, 2), torch.tensor([0]), width=0.0)
    with rejects(ValueError, "`penalty_weight` must be a finite number >= 0, got -1.0."):
        MMCELoss(penalty_weight=-1.0)
