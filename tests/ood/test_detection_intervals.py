# SPDX-License-Identifier: Apache-2.0
import math
from statistics import NormalDist

import pytest
import torch
from scipy import stats

from adafocal.ood import aupr, auroc, auroc_interval, detection, fpr_at_tpr


def drawn(generator, *, n=100, m=80, shift=1.0):
    return torch.randn(n, generator=generator), torch.randn(m, generator=generator) + shift


def holds(estimate, truth):
    return estimate.low <= truth <= estimate.high


def test_values_are_those_of_the_plain_functions():
    id_scores, ood_scores = drawn(torch.Generator().manual_seed(1))
    result = detection(id_scores, ood_scores, n_resamples=10)
    assert (result.n_id, result.n_ood) == (100, 80)
    assert result.auroc.value == pytest.approx(auroc(id_scores, ood_scores).item())
    assert result.aupr_out.value == pytest.approx(aupr(id_scores, ood_scores).item())
    assert result.aupr_in.value == pytest.approx(aupr(id_scores, ood_scores, positive="id").item())
    assert result.fpr95.value == pytest.approx(fpr_at_tpr(id_scores, ood_scores).item())


def test_with_many_samples_the_variance_is_delongs_by_its_definition():
    id_scores, ood_scores = drawn(torch.Generator().manual_seed(2), n=1200, m=900)
    wins = (ood_scores[:, None] > id_scores).double()
    variance = wins.mean(dim=1).var() / 900 + wins.mean(dim=0).var() / 1200
    estimate = auroc_interval(id_scores, ood_scores)

    half = NormalDist().inv_cdf(0.975) * variance.sqrt().item()
    assert estimate.high - estimate.low == pytest.approx(2 * half, rel=0.02)


def score_test(t, area, wins, quantile):
    """Give how far t is from the AUROC in units of the quantile, by the definition of the interval."""
    own = [wins.mean(dim=axis).var().item() * t * (1 - t) / (area * (1 - area)) for axis in (0, 1)]
    model = t * (1 - t) * 0.5 * ((1 - t) / (2 - t) + t / (1 + t))
    sizes = [wins.shape[1], wins.shape[0]]
    mixed = [max(one, (n * one + 15 * model) / (n + 15)) / n for one, n in zip(own, sizes, strict=True)]
    return abs(area - t) / math.sqrt(sum(mixed)) / quantile


def test_few_samples_borrow_from_the_model_of_hanley_and_mcneil():
    id_scores, ood_scores = drawn(torch.Generator().manual_seed(2), n=200, m=9)
    wins = (ood_scores[:, None] > id_scores).double()
    area = wins.mean().item()
    squares = [wins.mean(dim=0).var().item() / 200, wins.mean(dim=1).var().item() / 9]
    df = sum(squares) ** 2 / (squares[0] ** 2 / 199 + squares[1] ** 2 / 8)
    estimate = auroc_interval(id_scores, ood_scores)

    for end in (estimate.low, estimate.high):
        assert score_test(end, area, wins, stats.t.ppf(0.975, df)) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("n", "m"), [(1000, 20), (20, 1000), (1000, 10)])
def test_the_auroc_interval_holds_the_truth_with_few_samples_against_many(unchecked_shapes, n, m):
    generator = torch.Generator().manual_seed(3)
    truth = NormalDist().cdf(2 / math.sqrt(2))
    hits = sum(holds(auroc_interval(*drawn(generator, n=n, m=m, shift=2.0)), truth) for _ in range(400))

    assert 0.93 <= hits / 400 <= 0.995


@pytest.mark.parametrize(("n", "m"), [(1000, 20), (60, 60), (2000, 100)])
def test_the_interval_of_fpr95_holds_the_truth_with_few_samples(unchecked_shapes, n, m):
    generator, normal = torch.Generator().manual_seed(4), NormalDist()
    truth = 1 - normal.cdf(2.0 + normal.inv_cdf(0.05))
    hits = [holds(detection(*drawn(generator, n=n, m=m, shift=2.0), n_resamples=2).fpr95, truth) for _ in range(200)]

    assert sum(hits) / 200 >= 0.92


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_the_auroc_interval_holds_the_truth_at_its_rate(unchecked_shapes, shift):
    generator = torch.Generator().manual_seed(3)
    truth = NormalDist().cdf(shift / math.sqrt(2))
    hits = sum(holds(auroc_interval(*drawn(generator, n=60, m=40, shift=shift)), truth) for _ in range(500))
    assert 0.93 <= hits / 500 <= 0.98


def test_the_auroc_interval_holds_the_truth_where_separation_is_often_perfect(unchecked_shapes):
    generator = torch.Generator().manual_seed(4)
    truth = NormalDist().cdf(3.5 / math.sqrt(2))
    estimates = [auroc_interval(*drawn(generator, n=15, m=15, shift=3.5)) for _ in range(400)]
    assert sum(estimate.value == 1 for estimate in estimates) > 100
    assert sum(holds(estimate, truth) for estimate in estimates) / 400 >= 0.93


def test_the_bootstrap_intervals_hold_the_truth_near_their_rate(unchecked_shapes):
    generator = torch.Generator().manual_seed(5)
    normal = NormalDist()
    fpr = 1 - normal.cdf(1.5 + normal.inv_cdf(0.05))
    large = drawn(torch.Generator().manual_seed(6), n=1_000_000, m=1_000_000, shift=1.5)
    # Average precision depends on the share of each kind: both kinds are equally many, here and in the samples.
    truth = (aupr(*large).item(), aupr(*large, positive="id").item(), fpr)
    hits = torch.zeros(3)
    for _ in range(200):
        result = detection(*drawn(generator, n=150, m=150, shift=1.5), n_resamples=200)
        hits += torch.tensor([holds(e, t) for e, t in zip(_three(result), truth, strict=True)])
    assert (hits / 200 >= 0.9).all()
    assert (hits / 200 <= 0.99).all()


def _three(result):
    return result.aupr_out, result.aupr_in, result.fpr95


def test_equal_scores_give_equal_intervals_and_a_generator_others():
    id_scores, ood_scores = drawn(torch.Generator().manual_seed(7), n=150, m=120)
    first, second = (detection(id_scores, ood_scores, n_resamples=50) for _ in range(2))
    other = detection(id_scores, ood_scores, n_resamples=50, generator=torch.Generator().manual_seed(9))
    assert first == second
    assert first.aupr_out != other.aupr_out


def test_chunks_of_resamples_do_not_change_the_measures(monkeypatch):
    id_scores, ood_scores = drawn(torch.Generator().manual_seed(7), n=150, m=120)
    whole = detection(id_scores, ood_scores, n_resamples=400)
    monkeypatch.setattr("adafocal.ood.intervals.CHUNK", 1000)
    parts = detection(id_scores, ood_scores, n_resamples=400)
    assert parts.aupr_out.value == whole.aupr_out.value
    assert parts.aupr_out.low == pytest.approx(whole.aupr_out.low, abs=0.03)


def test_all_equal_scores_have_an_honest_interval():
    estimate = auroc_interval(torch.zeros(20), torch.zeros(20))
    assert estimate.value == 0.5
    assert estimate.low < 0.35
    assert estimate.high > 0.65


def test_perfect_separation_has_an_honest_interval():
    result = detection(torch.arange(20.0), torch.arange(20.0) + 50, n_resamples=20)
    assert result.auroc.value == result.auroc.high == 1
    assert 0.8 < result.auroc.low < 0.95
    assert result.fpr95.low == result.fpr95.value == 0
    assert result.fpr95.high == 1  # the true 5 % quantile may lie below all of 20 samples
    assert (result.aupr_out.value, result.aupr_out.low, result.aupr_out.high) == (1, None, None)


def test_with_enough_samples_perfect_separation_bounds_fpr95():
    result = detection(torch.arange(500.0), torch.arange(300.0) + 600, n_resamples=20)
    assert result.fpr95.value == 0
    assert result.fpr95.high == pytest.approx(1 - 0.05 ** (1 / 500), abs=2e-3)  # mid-p, 0 of 500


@pytest.mark.parametrize(("n", "m"), [(99, 200), (200, 99)])
def test_precisions_of_few_samples_have_no_interval(n, m):
    result = detection(*drawn(torch.Generator().manual_seed(1), n=n, m=m), n_resamples=2)
    assert (result.aupr_out.low, result.aupr_in.high) == (None, None)
    assert result.fpr95.low is not None


def test_a_wider_level_gives_a_wider_interval():
    scores = drawn(torch.Generator().manual_seed(8))
    narrow, wide = (auroc_interval(*scores, level=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_one_sample_of_a_kind_is_refused(rejects):
    with rejects(ValueError, "`ood_scores` must hold at least 2 samples for an interval, got 1."):
        detection(torch.zeros(5), torch.zeros(1))


def test_options_out_of_range_are_named(rejects):
    with rejects(ValueError, "`level` must be a number > 0 and < 1, got 1.0."):
        auroc_interval(torch.zeros(5), torch.zeros(5), level=1.0)
    with rejects(ValueError, "`n_resamples` must be an integer >= 2, got 1."):
        detection(torch.zeros(5), torch.zeros(5), n_resamples=1)
