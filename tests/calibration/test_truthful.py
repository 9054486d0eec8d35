# SPDX-License-Identifier: Apache-2.0
"""The averaged two-bin calibration error: by hand, by brute force, and no answer better than the truth."""

import numpy as np
import pytest
import torch

from adafocal import Predictions
from adafocal.calibration import (
    evaluate,
    expected_calibration_error,
    merge_sums,
    stream_sums,
    two_bin_calibration_error,
)


def brute_force(confidence, correct, weight=None, points=200_001):
    """Average both bins' squared gaps over thresholds, as the definition says."""
    weight = np.ones(len(confidence)) if weight is None else weight
    total = 0.0
    thresholds = (np.arange(points) + 0.5) / points
    order = np.argsort(confidence)
    gaps = (weight * (confidence - correct))[order] / weight.sum()
    below = np.concatenate([[0.0], np.cumsum(gaps)])[np.searchsorted(confidence[order], thresholds, side="right")]
    total = below**2 + (gaps.sum() - below) ** 2
    return total.mean()


@pytest.mark.parametrize(
    ("confidence", "correct", "error"),
    [
        ([0.5, 0.75], [1, 0], 0.5 * 0.125**2 + 0.25 * (0.25**2 + 0.375**2) + 0.25 * 0.125**2),
        ([0.8] * 10, [1] * 5 + [0] * 5, 0.3**2),  # one confidence: the squared gap, wherever the edge lies
        ([0.0, 1.0], [0, 1], 0.0),
        ([0.0, 1.0], [1, 0], 0.5**2 + 0.5**2),  # two bins of opposite gaps, for every edge
        ([1.0], [0], 1.0),
        ([0.25, 0.25, 0.75, 0.75], [0, 1, 0, 1], 0.5 * (0.125**2 + 0.125**2)),
    ],
)
def test_it_is_what_a_hand_finds(confidence, correct, error):
    found = two_bin_calibration_error(torch.tensor(confidence, dtype=torch.float64), torch.tensor(correct))

    assert found.item() == pytest.approx(error, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_integral_over_the_threshold(seed, weighted):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    confidence = rng.uniform(size=n).round(int(rng.integers(1, 6)))  # with ties
    correct = rng.uniform(size=n) < confidence**2
    weight = rng.exponential(size=n) if weighted else None
    found = two_bin_calibration_error(confidence, correct, sample_weight=weight)

    assert found.item() == pytest.approx(brute_force(confidence, correct, weight), abs=2e-5)


def test_whole_weights_are_repeated_samples():
    rng = np.random.default_rng(1)
    confidence, correct, times = rng.uniform(size=50), rng.uniform(size=50) < 0.5, rng.integers(0, 4, 50)
    again = two_bin_calibration_error(confidence.repeat(times), correct.repeat(times))

    found = two_bin_calibration_error(confidence, correct, sample_weight=times)
    assert found.item() == pytest.approx(again.item(), abs=1e-12)


def test_a_stream_gives_nearly_the_number_of_all_samples_at_once():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(4000, 5, generator=generator)
    data = Predictions(logits=logits, labels=torch.randint(5, (4000,), generator=generator))
    parts = merge_sums(stream_sums(data[torch.arange(1500)]), stream_sums(data[torch.arange(1500, 4000)]))

    assert parts.compute().atb == pytest.approx(evaluate(data).atb, abs=1e-4)


def expected(answer, chance):
    """The mean of the error over labels drawn with these chances: exact, by both labels of few samples."""
    total = 0.0
    for labels in np.ndindex(*[2] * len(chance)):
        weight = np.prod(np.where(labels, chance, 1 - chance))
        total += weight * two_bin_calibration_error(answer, np.array(labels, dtype=bool)).item()
    return total


def test_no_answer_is_better_in_expectation_than_the_truth():
    rng = np.random.default_rng(0)
    for _ in range(4):
        chance = rng.uniform(size=6)
        truth = expected(chance, chance)
        assert truth == pytest.approx((chance * (1 - chance)).sum() / 36, abs=1e-12)
        for answer in (chance.round(), rng.uniform(size=6), (chance + 0.02).clip(0, 1)):
            assert expected(answer, chance) > truth
        # The mean of these very chances is calibrated on these very rows; over other rows it is worse, see below.
        assert expected(np.full(6, chance.mean()), chance) == pytest.approx(truth, abs=1e-12)


def test_ece_prefers_a_constant_to_the_truth_and_the_two_bins_do_not():
    rng = np.random.default_rng(0)
    ece, atb = np.zeros(2), np.zeros(2)
    for _ in range(40):
        chance = rng.uniform(size=1000)
        correct = rng.uniform(size=1000) < chance
        for place, answer in enumerate((chance, np.full(1000, 0.5))):
            ece[place] += expected_calibration_error(answer, correct).item() / 40
            atb[place] += two_bin_calibration_error(answer, correct).item() / 40

    assert ece[1] < 0.5 * ece[0]
    assert atb[0] < atb[1]
