# SPDX-License-Identifier: Apache-2.0
"""The constants behind the intervals: moments, tails and levels against sums over every outcome."""

import math
from itertools import product
from statistics import NormalDist

import pytest
import torch

from adafocal._tails import gamma_cdf
from adafocal.calibration import (
    BinStats,
    calibration_test,
    overconfidence_interval,
    rms_calibration_interval,
    rms_interval_from_bins,
    wilson_interval,
)
from adafocal.calibration.consistency import debiased_square, resampled_p_value
from adafocal.calibration.intervals import _central_moments, _last, _law, _lower_tail


def chance_of(k, n, p):
    return math.comb(n, k) * p**k * (1 - p) ** (n - k)


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.81])
@pytest.mark.parametrize("n", [2, 3, 7, 20])
def test_the_moments_are_those_of_the_binomial(p, n):
    exact = [sum(chance_of(k, n, p) * (p - k / n) ** m for k in range(n + 1)) for m in range(2, 7)]
    moments = _central_moments(numbers(p), numbers(n))

    assert [float(moment) for moment in moments] == pytest.approx(exact, rel=1e-9, abs=1e-15)


def law_by_hand(scale, direction, confidence, count):
    """Moments of the debiased square over every outcome of every bin."""
    truth = [min(1.0, max(0.0, c - scale * d)) for c, d in zip(confidence, direction, strict=True)]
    outcomes = []
    for happened in product(*(range(n + 1) for n in count)):
        chance = math.prod(chance_of(k, n, p) for k, n, p in zip(happened, count, truth, strict=True))
        accuracy = numbers(*(k / n for k, n in zip(happened, count, strict=True)))
        outcomes.append((chance, float(debiased_square(accuracy, numbers(*confidence), torch.tensor(count)))))
    mean = sum(chance * value for chance, value in outcomes)
    return (mean, *(sum(chance * (value - mean) ** m for chance, value in outcomes) for m in (2, 3)))


@pytest.mark.parametrize("scale", [0.0, 0.1, 0.6])
@pytest.mark.parametrize(
    ("confidence", "direction", "count"),
    [((0.7,), (1.0,), (12,)), ((0.3, 0.8), (-0.5, 1.2), (5, 9)), ((0.2, 0.6, 0.95), (1.0, -1.0, 0.4), (3, 4, 6))],
)
def test_the_law_of_the_debiased_square_is_that_of_its_outcomes(scale, confidence, direction, count):
    mean, variance, third = law_by_hand(scale, direction, confidence, count)
    square, sd, skewness = _law(numbers(scale), numbers(*direction), numbers(*confidence), torch.tensor(count))
    # The confidences are a sample too: the weighted variance of the squared gaps joins that of the labels.
    truth = [min(1.0, max(0.0, c - scale * d)) for c, d in zip(confidence, direction, strict=True)]
    squares = [(c - p) ** 2 for c, p in zip(confidence, truth, strict=True)]
    variance += sum(n * (s - mean) ** 2 for n, s in zip(count, squares, strict=True)) / sum(count) ** 2

    assert float(square) == pytest.approx(mean, rel=1e-9, abs=1e-12)
    assert float(sd) == pytest.approx(math.sqrt(variance), rel=1e-9)
    assert float(skewness) == pytest.approx(third / variance**1.5, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("skewness", [-2.0, -0.5, -0.02, 0.02, 0.5, 1.0, 2.0])
def test_the_tails_are_those_of_pearsons_third_type(skewness):
    stats = pytest.importorskip("scipy.stats")
    z = torch.linspace(-4, 4, 33, dtype=torch.float64)
    below = gamma_cdf(z, torch.full_like(z, skewness))

    assert below.tolist() == pytest.approx(stats.pearson3.cdf(z.numpy(), skewness).tolist(), abs=1e-9)


def test_without_skewness_the_tails_are_normal():
    z = torch.linspace(-4, 4, 33, dtype=torch.float64)
    expected = [NormalDist().cdf(float(value)) for value in z]

    assert gamma_cdf(z, torch.zeros_like(z)).tolist() == pytest.approx(expected, abs=1e-3)


def test_the_lower_tail_grows_from_none_at_0_to_half_at_three_times_the_noise():
    square = numbers(0.0, 0.1, 0.15, 0.3, 0.4)
    tail = _lower_tail(square, numbers(0.1), 0.9)

    assert tail.tolist() == pytest.approx([0.0, 0.05 / 3, 0.05 / 2, 0.05, 0.05])


@pytest.mark.parametrize("at", [0.0, 0.123456, 1.0, 1.999, 2.0])
def test_the_last_scale_is_found_between_0_and_2(at):
    found = _last(lambda scale: scale <= at, numbers(0.0))

    assert found.item() <= at
    assert found.item() == pytest.approx(at, abs=2 / 32**4 * 1.01)


def test_where_a_condition_never_holds_the_last_scale_is_0():
    assert _last(lambda scale: scale < 0, numbers(0.0)).item() == 0


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize(("right", "n"), [(170, 400), (130, 400), (60, 100)])
def test_the_interval_in_one_bin_ends_where_its_tails_say(right, n, level):
    # One bin at confidence 0.4: the truth lies above it, so that the gap is negative; the ends are tail probabilities.
    stats = BinStats(numbers(), torch.tensor([n]), numbers(0.4 * n), numbers(right))
    low, high = (end.item() for end in rms_interval_from_bins(stats, level=level))
    square = (0.4 - right / n) ** 2 - right / n * (1 - right / n) / (n - 1)
    side = 1.0 if right / n < 0.4 else -1.0

    def below(error):
        mean, sd, skewness = _law(numbers(error), numbers(side), numbers(0.4), torch.tensor([n]))
        return float(gamma_cdf((square - mean) / sd, skewness)), float(mean), float(sd)

    noise = below(0.0)[2]
    lower_tail = {end: (1 - level) / 2 * min(1.0, end**2 / (3 * noise)) for end in (low, high)}
    assert below(high)[0] == pytest.approx(lower_tail[high], abs=1e-3)
    if low > 0:
        assert 1 - below(low)[0] == pytest.approx(1 - level - lower_tail[low], abs=1e-3)


def test_the_debiased_square_takes_the_variance_of_each_mean_away_and_leaves_single_samples_out():
    accuracy, confidence = numbers(0.5, 1.0, 0.25), numbers(0.3, 0.6, 0.75)
    count = torch.tensor([2, 1, 4])
    by_hand = 2 / 7 * (0.04 - 0.25 / 1) + 4 / 7 * (0.25 - 0.25 * 0.75 / 3)

    assert float(debiased_square(accuracy, confidence, count)) == pytest.approx(by_hand)


def test_labels_are_drawn_from_the_seed_0_unless_a_generator_is_given():
    confidence = torch.linspace(0.05, 0.95, 400, dtype=torch.float64)
    correct = torch.rand(400, dtype=torch.float64) < confidence**1.2

    def p_value(generator):
        return float(calibration_test(confidence, correct, n_bins=3, n_resamples=999, generator=generator))

    seeded = [p_value(torch.Generator().manual_seed(seed)) for seed in range(6)]
    assert p_value(None) == seeded[0]
    assert len(set(seeded)) > 3


def test_a_cell_whose_mean_rounding_takes_above_1_is_drawn_as_certain():
    count, confidence_sum = torch.tensor([[3]]), numbers(3.0 + 1e-9)[None]

    assert float(resampled_p_value(count, confidence_sum, numbers(3)[None], n_resamples=9)) == 1.0


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_wilsons_interval_holds_the_chances_whose_score_test_passes(level):
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share, count = numbers(0.0, 0.2, 0.5, 0.93, 1.0), torch.tensor([5, 10, 3, 300, 1])
    for ends in wilson_interval(share, count, level=level):
        inner = (ends > 1e-9) & (ends < 1 - 1e-9)
        score = (share - ends).abs() / (ends * (1 - ends) / count).sqrt()
        assert score[inner].tolist() == pytest.approx([z] * int(inner.sum()))
    low, high = wilson_interval(share, count, level=level)
    assert (low[0].item(), high[4].item()) == pytest.approx((0, 1), abs=1e-12)
    assert bool((low < share)[1:].all())
    assert bool((high > share)[:4].all())
    assert wilson_interval(numbers(0.0), torch.tensor([0]), level=level) == (0, 1)


def test_two_samples_have_an_interval_of_the_mean_gap_and_one_has_none():
    assert overconfidence_interval(numbers(0.5), torch.tensor([1])) == (-1, 1)
    low, high = overconfidence_interval(numbers(0.5, 0.6), torch.tensor([1, 1]))
    half = 1.959964 * math.sqrt(0.005 / 2)

    assert (low.item(), high.item()) == pytest.approx((-0.45 - half, -0.45 + half), abs=1e-6)


def test_bins_of_two_samples_count_in_the_interval_and_bins_of_one_do_not():
    pairs = BinStats(numbers(0.5), torch.tensor([2, 1]), numbers(0.5, 0.9), numbers(0, 0))
    alone = BinStats(numbers(0.5), torch.tensor([2, 0]), numbers(0.5, 0.0), numbers(0, 0))

    assert rms_interval_from_bins(pairs) != (0, 1)
    assert rms_interval_from_bins(alone) == rms_interval_from_bins(
        BinStats(numbers(), torch.tensor([2]), numbers(0.5), numbers(0))
    )


def test_the_interval_starts_at_0_where_drawn_labels_explain_the_gap(monkeypatch):
    # One mistake where five were expected: the smooth law alone calls that an error, drawn labels do not (p = 0.06).
    confidence, correct = torch.full((100,), 0.95, dtype=torch.float64), torch.arange(100) > 0

    assert calibration_test(confidence, correct, n_bins=1).item() > 0.05
    assert rms_calibration_interval(confidence, correct, n_bins=1)[0] == 0
    monkeypatch.setattr("adafocal.calibration.intervals.resampled_p_value", lambda *sums, n_resamples: 0.05)
    assert rms_calibration_interval(confidence, correct, n_bins=1)[0] > 0.01


def test_one_label_is_tested_by_its_chance():
    # One cell per sample: with both labels right the square is the largest there is, whose chance is 0.8 squared.
    p_value = resampled_p_value(
        torch.ones(1, 2, dtype=torch.int64), numbers(0.8, 0.8)[None], numbers(0, 0)[None], n_resamples=9999
    )

    assert float(p_value) == pytest.approx(0.2**2, abs=0.006)


def test_nothing_is_not_tested(rejects):
    with rejects(ValueError, "`confidence` must hold at least one sample, got 0."):
        calibration_test(torch.zeros(0), torch.zeros(0))


def test_the_mean_gap_is_bounded_by_1_on_either_side():
    assert overconfidence_interval(numbers(1, 1, 0.9), torch.tensor([0, 0, 0]))[1] == 1
    assert overconfidence_interval(numbers(0, 0, 0.1), torch.tensor([1, 1, 1]))[0] == -1
