# SPDX-License-Identifier: Apache-2.0
"""Estimators where a side, an empty bin or a shape without batch decides."""

import pytest
import torch

from adafocal.calibration import (
    sweep_calibration_error,
    sweep_edges,
    top_label_from_logits,
    top_label_from_probs,
    wilson_interval,
)
from adafocal.calibration.top_label import unread_top_label


@pytest.mark.parametrize("level", [0.0, 1.0, 1.5, -0.1])
def test_a_level_is_no_end_of_its_range(rejects, level):
    with rejects(ValueError, f"`level` must be a number > 0 and < 1, got {level}."):
        wilson_interval(torch.tensor([0.5]), torch.tensor([10]), level=level)


def sweep_by_hand(confidence, correct):
    """Sizes and right answers of the most equal-mass bins whose accuracy does not fall; equal values share a bin."""
    order = confidence.argsort()
    values, happened = confidence[order].tolist(), correct[order].tolist()
    n, best = len(values), [n_of_all(happened)]
    for n_bins in range(2, n + 1):
        cuts = [values[-(-k * n // n_bins) - 1] for k in range(1, n_bins)]
        bins = [[] for _ in range(n_bins)]
        for value, right in zip(values, happened, strict=True):
            bins[sum(value > cut for cut in cuts)].append(right)
        shares = [sum(part) / len(part) for part in bins if part]
        if shares != sorted(shares):
            break
        best = [n_of_all(part) for part in bins if part]
    return best


def n_of_all(part):
    return len(part), sum(part)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("values", [5, 1000])
def test_the_sweep_takes_the_last_number_of_bins_before_accuracy_falls(seed, values):
    generator = torch.Generator().manual_seed(seed)
    confidence = torch.randint(1, values, (12,), generator=generator) / values
    correct = torch.rand(12, generator=generator) < confidence
    edges = sweep_edges(confidence, correct).tolist()
    bins = {}
    for value, right in zip(confidence.tolist(), correct.tolist(), strict=True):
        bins.setdefault(sum(value > edge for edge in edges), []).append(right)

    # Where every single confidence rises already, no coarser cut is searched.
    by_value = [correct[confidence == value].double().mean().item() for value in confidence.unique().tolist()]
    if by_value == sorted(by_value):
        assert len(bins) == len(by_value)
    else:
        assert [n_of_all(bins[place]) for place in sorted(bins)] == sweep_by_hand(confidence, correct)


def test_nothing_has_no_sweep(rejects):
    for estimator in (sweep_calibration_error, sweep_edges):
        with rejects(ValueError, "`confidence` must hold at least one sample, got 0."):
            estimator(torch.zeros(0), torch.zeros(0))


@pytest.mark.parametrize("shape", [(3,), (5, 3), (5, 40), (2, 3, 4), (2, 3, 4, 2), (2, 20, 4)])
@pytest.mark.parametrize("label", [0, 2])
def test_logits_of_every_shape_have_the_top_label_of_their_rows(shape, label):
    logits = torch.randn(shape, dtype=torch.float64)
    rows = logits[None] if len(shape) == 1 else logits.movedim(1, -1).reshape(-1, shape[1])
    labels = torch.full(shape[2:] if len(shape) == 1 else (shape[0], *shape[2:]), label)
    labels = labels if len(shape) > 1 else torch.tensor(label)
    expected = rows.softmax(1).amax(1), rows.argmax(1) == label
    for confidence, correct in (
        top_label_from_logits(logits, labels),
        unread_top_label(logits, labels),
        top_label_from_probs(logits.softmax(min(1, len(shape) - 1)), labels),
    ):
        assert confidence.shape == correct.shape == labels.shape
        torch.testing.assert_close(confidence.flatten(), expected[0])
        assert torch.equal(correct.flatten(), expected[1])


@pytest.mark.parametrize("n_classes", [2, 15, 16, 17, 40])
def test_of_equal_logits_the_first_class_is_the_answer(n_classes):
    logits = torch.zeros(2, n_classes)
    _, correct = top_label_from_logits(logits, torch.tensor([0, 1]))

    assert correct.tolist() == [True, False]


def test_a_probability_that_rounding_takes_above_1_is_a_confidence_of_1():
    above = torch.nextafter(torch.tensor(1.0), torch.tensor(2.0)).item()

    assert top_label_from_probs(torch.tensor([[above, 0.0]]), torch.tensor([0]))[0].tolist() == [1.0]
