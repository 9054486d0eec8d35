# SPDX-License-Identifier: Apache-2.0
"""Two speeds: what all bins share is followed faster than what sets them apart, by a number or by a forecast."""

import copy
import io
import math
import pickle

import pytest
import torch

from adafocal.losses import AdaFocalLoss, make_loss, update_gammas
from adafocal.losses.forecast import Forecast

RATES = [None, 1.0, 4.0, 0.0, "predictive"]


def batch(seed, n=120, n_classes=4):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(n, n_classes, generator=generator), torch.randint(n_classes, (n,), generator=generator)


def adapted(criterion, *seeds):
    for seed in seeds:
        criterion.observe(*batch(seed))
        criterion.adapt()
    return criterion


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0, 5.0])
@pytest.mark.parametrize("options", [{}, {"base": "dual"}, {"streaming": True}], ids=str)
def test_equal_rates_are_the_papers_rule_bit_for_bit(rate, options):
    paper = adapted(AdaFocalLoss(rate=rate, **options), 0, 1, 2)
    equal = adapted(AdaFocalLoss(rate=rate, pooled_rate=rate, **options), 0, 1, 2)

    assert torch.equal(paper.gamma, equal.gamma)
    assert torch.equal(paper.edges, equal.edges)
    assert list(equal.state_dict()) == ["gamma", "edges"]


def test_two_speeds_by_hand():
    gamma = torch.tensor([1.0, -1.0, 2.0, 1.0], dtype=torch.float64)
    gap = torch.tensor([0.1, 0.3, 0.0, 0.2], dtype=torch.float64)
    moved = update_gammas(gamma, gap, rate=2.0, pooled_rate=10.0, pooled_gap=0.05)
    steps = [0.5 + 2 * (one - 0.05) for one in gap.tolist()]
    expected = [math.exp(steps[0]), -math.exp(-steps[1]), 2 * math.exp(steps[2]), math.exp(steps[3])]

    torch.testing.assert_close(moved, torch.tensor(expected, dtype=torch.float64))
    of_tensor = update_gammas(gamma, gap, rate=2.0, pooled_rate=10.0, pooled_gap=gap.new_tensor([0.05]))
    assert torch.equal(moved, of_tensor)


def test_the_pooled_gap_is_that_of_all_samples_not_the_mean_over_bins():
    # Two bins of 3 and 1 samples: equal confidences share a bin.
    confidence = torch.tensor([0.6, 0.6, 0.6, 0.9])
    correct = torch.tensor([True, False, False, True])
    criterion = AdaFocalLoss(n_bins=2, rate=0.0, pooled_rate=3.0)
    criterion.observe_top_label(confidence, correct)
    stats = criterion.adapt()
    pooled = float(confidence.double().mean() - correct.double().mean())

    assert stats.count.tolist() == [3, 1]
    torch.testing.assert_close(criterion.gamma, torch.full((2,), math.exp(3 * pooled)))


@pytest.mark.parametrize("streaming", [False, True])
def test_the_loss_moves_by_the_pure_rule(streaming):
    criterion = AdaFocalLoss(n_bins=5, rate=0.5, pooled_rate=6.0, streaming=streaming)
    logits, labels = batch(0)
    criterion.observe(logits, labels)
    stats = criterion.adapt()
    pooled = float(logits.softmax(1).amax(1).double().mean() - (logits.argmax(1) == labels).double().mean())

    expected = update_gammas(torch.ones(5), stats.gap, rate=0.5, pooled_rate=6.0, pooled_gap=pooled)
    torch.testing.assert_close(criterion.gamma, expected)
    assert not torch.allclose(criterion.gamma, update_gammas(torch.ones(5), stats.gap, rate=0.5))


def recursive_least_squares(gaps):
    """The rule in matrices, as it is stated: steps, drifts and sensitivities."""
    theta = torch.tensor([0.0, -0.2], dtype=torch.float64)
    spread = torch.diag(torch.tensor([0.02**2, 0.1**2], dtype=torch.float64))
    steps, thetas = [], []
    for place, gap in enumerate(gaps):
        if place > 0:
            spread = spread + torch.diag(torch.tensor([0.004**2, 0.02**2], dtype=torch.float64))
            x = torch.tensor([1.0, steps[-1]], dtype=torch.float64)
            gain = spread @ x / (x @ spread @ x + 0.02**2)
            theta = theta + gain * ((gap - gaps[place - 1]) - x @ theta)
            spread = spread - torch.outer(gain, x @ spread)
        drift, sensitivity = theta.tolist()
        steps.append(min(max(-(gap + drift) / min(sensitivity, -0.05), -1.0), 1.0))
        thetas.append((drift, sensitivity))
    return steps, thetas


@pytest.mark.parametrize(
    "gaps",
    [[0.1, 0.05, 0.02, -0.01, 0.0], [0.3, 0.35, 0.4, 0.45], [0.05, 0.2, 0.3, 0.5], [-0.1, -0.3, -0.2, 0.1]],
    ids=str,
)
def test_the_forecast_is_recursive_least_squares_of_drift_and_sensitivity(gaps):
    steps, thetas = recursive_least_squares(gaps)
    forecast = Forecast()
    for gap, step, theta in zip(gaps, steps, thetas, strict=True):
        forecast = Forecast.of(forecast.after(gap).numbers())
        assert forecast.step == pytest.approx(step, abs=1e-12)
        assert (forecast.drift, forecast.sensitivity) == pytest.approx(theta, abs=1e-12)


def test_the_first_steps_of_the_forecast_by_hand():
    first = Forecast().after(0.1)
    assert (first.n_seen, first.gap, first.step) == (1, 0.1, 0.5)
    assert Forecast().after(0.5).step == 1.0
    assert Forecast().after(-0.5).step == -1.0
    # Expected 0.1 - 0.2 · 0.5 = 0, seen 0.04; variances 4.16e-4 and 0.0104.
    second = first.after(0.04)
    spread = 4.16e-4 + 0.0104 * 0.25 + 4e-4
    assert second.drift == pytest.approx(0.04 * 4.16e-4 / spread)
    assert second.sensitivity == pytest.approx(-0.2 + 0.04 * 0.0104 * 0.5 / spread)


def test_a_forecast_meets_a_gap_that_drifts():
    # Over-fitting adds 0.03 per epoch, a step of 1 takes 0.1 away: the gap is brought to nearly nothing, and held.
    gap, forecast = 0.1, Forecast()
    for _ in range(12):
        forecast = forecast.after(gap)
        gap += 0.03 - 0.1 * forecast.step

    assert abs(gap) < 2e-3
    assert forecast.step == pytest.approx(0.3, abs=0.05)


def test_predictive_moves_by_its_forecast_of_the_pooled_gap():
    criterion = AdaFocalLoss(n_bins=5, rate=0.5, pooled_rate="predictive")
    expected, forecast = torch.ones(5), Forecast()
    for seed in range(3):
        logits, labels = batch(seed)
        criterion.observe(logits, labels)
        gap = criterion.adapt().gap
        pooled = float(logits.softmax(1).amax(1).double().mean() - (logits.argmax(1) == labels).double().mean())
        forecast = forecast.after(pooled)
        expected = update_gammas(expected, gap, rate=0.5, pooled_rate=forecast.step / pooled, pooled_gap=pooled)
        torch.testing.assert_close(criterion.gamma, expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(criterion.forecast, forecast.numbers(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("pooled_rate", RATES)
def test_a_resumed_loss_continues_the_trajectory(pooled_rate):
    unbroken = adapted(AdaFocalLoss(pooled_rate=pooled_rate), 0, 1)
    file = io.BytesIO()
    torch.save(unbroken.state_dict(), file)
    file.seek(0)
    resumed = AdaFocalLoss(pooled_rate=pooled_rate)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    others = [resumed, copy.deepcopy(unbroken), pickle.loads(pickle.dumps(unbroken))]
    adapted(unbroken, 2, 3)
    for other in others:
        adapted(other, 2, 3)
        for name, values in unbroken.learned.items():
            assert torch.equal(values, other.learned[name])
    if pooled_rate == "predictive":
        assert not torch.equal(unbroken.forecast, Forecast().numbers())


def test_what_was_kept_before_there_were_two_speeds_still_loads():
    old = {"gamma": torch.full((15,), 2.0), "edges": torch.linspace(0.1, 0.9, 14)}
    for pooled_rate in (None, 5.0):
        criterion = AdaFocalLoss(pooled_rate=pooled_rate)
        criterion.load_state_dict(old)
        assert torch.equal(criterion.gamma, old["gamma"])
    pickled = AdaFocalLoss()
    del vars(pickled)["pooled_rate"]
    assert torch.equal(adapted(pickled, 0).gamma, adapted(AdaFocalLoss(), 0).gamma)
    with pytest.raises(RuntimeError, match="forecast"):
        AdaFocalLoss(pooled_rate="predictive").load_state_dict(old)


@pytest.mark.parametrize("cast", ["half", "bfloat16", "float"])
def test_casting_leaves_the_forecast_as_it_is(cast):
    criterion = adapted(AdaFocalLoss(pooled_rate="predictive"), 0)
    before = criterion.forecast.clone()
    getattr(criterion, cast)()

    assert criterion.forecast.dtype == torch.float64
    assert torch.equal(criterion.forecast, before)


def test_a_pass_without_counted_predictions_leaves_the_forecast():
    criterion = AdaFocalLoss(pooled_rate="predictive", ignore_predicted=0)
    criterion.observe(torch.tensor([[3.0, 0.0]]), torch.tensor([0]))
    criterion.adapt()

    assert torch.equal(criterion.forecast, Forecast().numbers())
    assert torch.equal(criterion.gamma, torch.ones(15))


def test_two_speeds_are_shown_and_made_by_name():
    assert "rate=1.0, pooled_rate=predictive" in repr(make_loss("adafocal", {"pooled_rate": "predictive"}))
    assert make_loss("ada_dual_focal", {"pooled_rate": 10}).pooled_rate == 10


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [
        (-1.0, ValueError, "-1.0"),
        (math.nan, ValueError, "nan"),
        (math.inf, ValueError, "inf"),
        ("fast", ValueError, "'fast'"),
        (True, TypeError, "True"),
        ([1.0], TypeError, "[1.0]"),
    ],
)
def test_a_pooled_rate_out_of_range_is_refused(rejects, value, error, shown):
    rule = "None or a finite number >= 0"
    with rejects(error, f"`pooled_rate` must be {rule} or 'predictive', got {shown}."):
        AdaFocalLoss(pooled_rate=value)
    with rejects(error, f"`pooled_rate` must be {rule}, got {shown}."):
        update_gammas(torch.ones(2), torch.zeros(2), pooled_rate=value, pooled_gap=0.0)


def test_the_pure_rule_wants_the_pooled_gap_that_a_pooled_rate_needs(rejects):
    with rejects(ValueError, "`pooled_gap` must be given with `pooled_rate`, got None."):
        update_gammas(torch.ones(2), torch.zeros(2), pooled_rate=2.0)
    with rejects(ValueError, "`pooled_gap` must be a number >= -1 and <= 1, got 2.0."):
        update_gammas(torch.ones(2), torch.zeros(2), pooled_rate=2.0, pooled_gap=2.0)
    assert torch.equal(update_gammas(torch.ones(2), torch.zeros(2), pooled_gap=0.5), torch.ones(2))
