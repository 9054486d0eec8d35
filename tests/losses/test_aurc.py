# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
import torch.nn.functional as F

from adafocal.losses import AURCLoss, SelectiveAULoss, confidence_score, soft_rank
from adafocal.losses.aurc import hard_rank
from adafocal.losses.selective_au import _quantile, selective_weights

REFERENCES = ["losses_n48_c3", "losses_n64_c10", "losses_n32_c100"]


def batch(reference, file):
    arrays = reference(file)
    return torch.from_numpy(arrays["logits"]), torch.from_numpy(arrays["labels"]), arrays


@pytest.mark.parametrize("file", REFERENCES)
@pytest.mark.parametrize(("name", "score"), [("MSP", "msp"), ("NegEntropy", "neg_entropy")])
def test_harmonic_aurc_equals_that_of_the_authors_code(reference, file, name, score):
    logits, labels, arrays = batch(reference, file)
    loss = AURCLoss(mixing=1.0, rank_weights="harmonic", score=score)(logits, labels)
    torch.testing.assert_close(loss, torch.as_tensor(arrays[f"aurc_{name}_mean"]), rtol=1e-5, atol=0)


@pytest.mark.parametrize("file", REFERENCES)
def test_selective_au_on_msp_equals_that_of_the_authors_code_call_by_call(reference, file):
    logits, labels, arrays = batch(reference, file)
    criterion = SelectiveAULoss(quantile=0.4, score="msp")
    calls = torch.stack([criterion(logits, labels) for _ in range(3)])
    expected = torch.from_numpy(arrays["selective_au_MSP_q0.4_three_calls"])
    torch.testing.assert_close(calls, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("file", REFERENCES)
def test_selective_au_on_a_score_below_zero_equals_that_of_the_authors_code(reference, file):
    # On probabilities their code leaves the negative entropy below 0, outside the histogram: every sample then has the
    # lowest rank, and the loss is cross-entropy times a constant. Ours moves the score to [0, 1] first.
    logits, labels, arrays = batch(reference, file)
    score = confidence_score(logits, score="neg_entropy")
    histogram = F.one_hot(torch.tensor(0), 64) * len(labels)
    alpha = selective_weights(score - 1.0, torch.ones(len(labels)) > 0, histogram, quantile=0.4, smoothing=0.05)
    expected = torch.from_numpy(arrays["selective_au_NegEntropy_q0.4_three_calls"])[0]
    loss = (alpha * F.cross_entropy(logits, labels, reduction="none")).mean()
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("n", [1, 2, 50])
@pytest.mark.parametrize("temperature", [0.02, 1.0])
def test_soft_rank_is_the_sum_of_steps_of_its_definition(n, temperature):
    values = torch.randn(n, dtype=torch.float64, requires_grad=True)
    x = (values[:, None] - values) / temperature
    step = torch.where(x >= 0, 1 - 0.5 * torch.exp(-x.abs()), 0.5 * torch.exp(-x.abs()))
    expected = 0.5 + step.sum(1)
    actual = soft_rank(values, temperature=temperature)
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(actual.sum(), torch.tensor(n * (n + 1) / 2, dtype=torch.float64))
    weights = torch.randn(n, dtype=torch.float64)
    torch.testing.assert_close(*(torch.autograd.grad((weights * r).sum(), values)[0] for r in (actual, expected)))


def test_soft_rank_becomes_the_rank_and_ties_share_theirs():
    values = torch.tensor([0.5, 0.1, 0.9, 0.5])
    torch.testing.assert_close(soft_rank(values, temperature=1e-4), torch.tensor([2.5, 1.0, 4.0, 2.5]))
    everything = torch.ones(4, dtype=torch.bool)
    torch.testing.assert_close(hard_rank(values, counted=everything), torch.tensor([2.5, 1.0, 4.0, 2.5]))


def test_ranks_are_taken_among_the_samples_that_count():
    values, counted = torch.tensor([0.5, 0.1, 0.9, 0.3]), torch.tensor([True, False, True, True])
    expected = torch.tensor([2.0, 3.0, 1.0])
    torch.testing.assert_close(soft_rank(values, temperature=1e-4, counted=counted)[counted], expected)
    torch.testing.assert_close(hard_rank(values, counted=counted)[counted], expected)


def test_soft_rank_is_finite_for_logits_of_any_size():
    values = torch.tensor([1e4, -1e4, 0.0, 1e4, 1.0], requires_grad=True)
    rank = soft_rank(values, temperature=0.02)
    rank[0].backward()
    torch.testing.assert_close(rank.detach(), torch.tensor([4.5, 1.0, 2.0, 4.5, 3.0]))
    assert values.grad.isfinite().all()


@pytest.mark.parametrize("criterion", [AURCLoss(mixing=0.0), AURCLoss(mixing=0.0, rank_weights="sele")])
def test_without_mixing_it_is_cross_entropy(criterion):
    logits, labels = torch.randn(9, 4), torch.randint(4, (9,))
    torch.testing.assert_close(criterion(logits, labels), F.cross_entropy(logits, labels))


def test_only_the_soft_rank_adds_a_gradient_through_confidence():
    logits, labels = torch.randn(9, 4, dtype=torch.float64, requires_grad=True), torch.randint(4, (9,))
    ce = F.cross_entropy(logits, labels, reduction="none")
    (of_ce,) = torch.autograd.grad(ce.sum(), logits)
    for kind, scaled in (("ln", True), ("soft", False)):
        losses = AURCLoss(mixing=1.0, rank_weights=kind, temperature=0.5, reduction="none")(logits, labels)
        (grad,) = torch.autograd.grad(losses.sum(), logits)
        alpha = (losses / ce).detach()[:, None]
        assert torch.allclose(grad, alpha * of_ce) == scaled


def test_confidence_scores_are_those_of_their_definitions():
    logits = torch.randn(6, 5, dtype=torch.float64)
    p = logits.softmax(1)
    top = p.sort(dim=1).values
    expected = {
        "msp": p.max(1).values,
        "neg_entropy": (p * p.log()).sum(1),
        "margin": top[:, -1] - top[:, -2],
        "max_logit": logits.max(1).values,
        "l2_norm": p.norm(dim=1),
        "neg_gini": p.square().sum(1) - 1,
    }
    for score, values in expected.items():
        torch.testing.assert_close(confidence_score(logits, score=score), values)
    torch.testing.assert_close(
        confidence_score(logits, score="neg_entropy", unit=True), 1 + expected["neg_entropy"] / math.log(5)
    )


def test_selective_weights_follow_the_smoothed_distribution_up_to_the_quantile():
    confidence = torch.tensor([0.2, 0.4, 0.6, 0.8], dtype=torch.float64)
    histogram = torch.tensor([1, 1, 1, 1])
    centres = torch.tensor([0.125, 0.375, 0.625, 0.875], dtype=torch.float64)
    capped = confidence.clamp(max=0.5)  # the median of four
    share = torch.sigmoid((capped[:, None] - centres) / 0.1).mean(1)
    expected = -torch.log(1 - share.clamp(1 / 5, 4 / 5))
    weights = selective_weights(confidence, torch.ones(4, dtype=torch.bool), histogram, quantile=0.5, smoothing=0.1)
    torch.testing.assert_close(weights, expected)


def test_histogram_grows_in_training_alone_and_is_emptied_by_reset():
    criterion = SelectiveAULoss(n_bins=4)
    logits, labels = torch.randn(10, 3), torch.randint(3, (10,))
    criterion(logits, labels)
    criterion(logits, labels)
    assert criterion.count.sum().item() == 20
    criterion.eval()
    criterion(logits, labels)
    assert criterion.count.sum().item() == 20
    criterion.reset()
    assert criterion.count.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: AURCLoss(mixing=1.5), "`mixing` must be a number >= 0 and <= 1, got 1.5."),
        (
            lambda: AURCLoss(rank_weights="log"),
            "`rank_weights` must be one of 'soft', 'harmonic', 'ln', 'sele', got 'log'.",
        ),
        (lambda: AURCLoss(temperature=0.0), "`temperature` must be a finite number > 0, got 0.0."),
        (
            lambda: SelectiveAULoss(score="max_logit"),
            "`score` must be one of 'msp', 'neg_entropy', 'margin', 'l2_norm', 'neg_gini', got 'max_logit'.",
        ),
        (lambda: SelectiveAULoss(quantile=-0.1), "`quantile` must be a number >= 0 and <= 1, got -0.1."),
    ],
)
def test_bad_setting_is_refused(rejects, build, sentence):
    with rejects(ValueError, sentence):
        build()


def test_a_temperature_of_zero_is_refused(rejects):
    with rejects(ValueError, "`temperature` must be a finite number > 0, got 0.0."):
        soft_rank(torch.tensor([0.1, 0.2]), temperature=0.0)
    with rejects(ValueError, "`temperature` must be a finite number > 0, got 0.0."):
        AURCLoss(temperature=0.0)


def test_selective_weights_end_at_the_shares_that_the_count_allows():
    # Four samples: no share below 1/5 or above 4/5, however far a confidence lies from the histogram.
    confidence, counted = torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=torch.float64), torch.ones(4, dtype=torch.bool)
    for histogram in (torch.tensor([4, 0]), torch.tensor([0, 4])):
        end = selective_weights(confidence, counted, histogram, quantile=1.0, smoothing=1e-3)
        assert end.tolist()[2:] == pytest.approx([-math.log(1 - 4 / 5)] * 2)
        assert end.tolist()[:2] == pytest.approx([-math.log(1 - 1 / 5)] * 2)


@pytest.mark.parametrize("quantile", [0.0, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_quantile_of_those_that_count_is_that_of_torch(quantile, n):
    values, counted = torch.rand(8, dtype=torch.float64), torch.arange(8) < n

    found = _quantile(values, counted, quantile)
    torch.testing.assert_close(found, values[:n].quantile(quantile).reshape(1))


def test_the_histogram_of_the_selective_loss_grows_in_training_and_is_emptied_with_the_epoch():
    criterion, logits, labels = SelectiveAULoss(n_bins=4), torch.randn(7, 3), torch.tensor([0, 1, 2, 0, 1, 2, -100])
    criterion(logits, labels)
    criterion(logits, labels)
    counted = criterion.count.clone()
    criterion.eval()
    criterion(logits, labels)

    assert counted.sum() == 12
    assert torch.equal(criterion.count, counted)
    criterion.set_epoch(1)
    assert criterion.count.sum() == 0
