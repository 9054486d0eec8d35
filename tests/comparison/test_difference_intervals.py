# SPDX-License-Identifier: Apache-2.0
"""Intervals of differences hold; near calibration error 0, where plain ones fail, too. The full table: benchmarks."""

import math

import pytest
import torch

from adafocal import Outcomes
from adafocal.calibration import evaluate
from adafocal.calibration.rows import Rows, Sampling, rows_of
from adafocal.evaluation.differences import Contrast, Side, ends_of, p_value, room
from adafocal.measures import OF_COMPARISON
from adafocal.selective import aurc


def outcomes(n, generator, scale, tired=0.0):
    """Answers that are over-confident and the same scaled; the truth of both is known."""
    chance = 0.5 + 0.5 * torch.rand(n, dtype=torch.float64, generator=generator)
    correct = torch.rand(n, dtype=torch.float64, generator=generator) < chance - tired
    sure = torch.sigmoid(scale * torch.logit(chance.clamp(max=1 - 1e-9)))
    return [Outcomes(confidence=confidence, correct=correct) for confidence in (sure, chance)]


def sides(records):
    return [Side.of(rows_of(one), Sampling.of(one), n_bins=15) for one in records]


def test_estimates_are_those_of_the_summary_and_influences_have_mean_zero():
    generator = torch.Generator().manual_seed(0)
    for weight in (None, torch.rand(500, generator=generator)):
        (record, _) = outcomes(500, generator, 1.5)
        record = Outcomes(confidence=record.confidence, correct=record.correct, weight=weight)
        (side,) = sides([record])
        summary = evaluate(record)

        for name in ("accuracy", "nll", "brier", "ece_debiased", "overconfidence"):
            assert side.measures[name].value == pytest.approx(getattr(summary, name), abs=1e-9)
        value = aurc(record.confidence, ~record.correct, sample_weight=record.weight)
        assert side.measures["aurc"].value == pytest.approx(float(value), abs=1e-9)
        for one in side.measures.values():
            assert float(side.sampling.mean(one.influence)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", [name for name in OF_COMPARISON if name != "ece_debiased"])
def test_an_influence_is_what_a_little_more_of_a_row_adds(name):
    generator = torch.Generator().manual_seed(0)
    (record, _) = outcomes(60, generator, 1.5)
    plain = torch.ones(60, dtype=torch.float64)
    rows = rows_of(record)
    side = Side.of(rows, Sampling(60, plain), n_bins=15)
    for row in (0, 17, 59):
        heavier = plain.clone()
        heavier[row] += 1e-6
        moved = Side.of(rows, Sampling(60, heavier / heavier.mean()), n_bins=15)
        slope = (moved.measures[name].value - side.measures[name].value) / 1e-6 * 60

        assert float(side.measures[name].influence[row]) == pytest.approx(slope, abs=1e-3)


def coverage(records_of, truth, repeats, names):
    held = dict.fromkeys(names, 0)
    for _ in range(repeats):
        base, side = sides(records_of())
        for name in names:
            low, high = ends_of(name, base, side, paired=True)(0.95)
            held[name] += low <= truth[name] <= high
    return {name: count / repeats for name, count in held.items()}


def test_intervals_hold_for_an_over_confident_model_and_the_same_calibrated():
    generator = torch.Generator().manual_seed(3)
    base, side = sides(outcomes(400_000, generator, 1.5))
    truth = {name: side.measures[name].value - base.measures[name].value for name in OF_COMPARISON}
    found = coverage(
        lambda: outcomes(500, generator, 1.5), truth, 400, ["nll", "brier", "ece_debiased", "overconfidence"]
    )

    assert {name: share for name, share in found.items() if not share > 0.925} == {}
    assert found["nll"] < 0.98
    assert found["brier"] < 0.98


def test_the_interval_of_the_error_is_not_centred_where_one_side_is_near_zero():
    """Debiased, the error of a calibrated model is still above 0 by chance: only its own side gets room for that."""
    generator = torch.Generator().manual_seed(4)
    base, side = sides(outcomes(1000, generator, 1.5))
    low, high = ends_of("ece_debiased", base, side, paired=True)(0.95)
    value = side.measures["ece_debiased"].value - base.measures["ece_debiased"].value

    assert side.measures["ece_debiased"].below > 2 * side.measures["ece_debiased"].above > 0
    assert value - low > 1.15 * (high - value)


@pytest.mark.parametrize("noise", [1.0, 2.0])  # of rows that are independent, and of clusters
@pytest.mark.parametrize("gap", [0.0, 0.2, 0.5, 0.8, 1.2, 2.0, 3.0, 5.0])
def test_the_truth_lies_within_the_room_that_debiasing_is_given(gap, noise):
    """By quadrature: the means of the debiased gap less the room below it, and with that above, hold the true gap."""
    z = torch.linspace(-8, 8, 20_001, dtype=torch.float64)
    weight = (-z.square() / 2).exp() / (-z.square() / 2).exp().sum()
    size, one = (gap * noise + noise * z).abs(), torch.ones_like(z)
    redrawn = math.sqrt(2 / math.pi) * (-size.square() / 2).exp() + size * torch.erf(size / math.sqrt(2))
    debiased = 2 * size - redrawn
    below, above = room(size, noise * one, one)

    assert float(weight @ (debiased - below)) <= gap * noise + 2e-3
    assert float(weight @ (debiased + above)) >= gap * noise - 2e-3
    if gap == 0:
        assert float(weight @ (debiased - below)) == pytest.approx(0, abs=2e-3)
    if gap == 5:
        assert float(weight @ (below + above)) == pytest.approx(0, abs=0.01)


def test_room_for_bias_takes_the_place_of_half_a_tail():
    plain, roomy = (Contrast(0.0, 1.0, 1e9, below=room, above=room) for room in (0.0, 5.0))

    assert plain.ends(0.95)[1] == pytest.approx(1.96, abs=1e-2)
    assert roomy.ends(0.95)[1] - 5 == pytest.approx(1.645, abs=1e-2)
    assert Contrast(2.0, 0.0, 1.0).ends(0.95) == (2.0, 2.0)


@pytest.mark.parametrize("value", [-3.0, -1.0, 0.5, 2.5])
def test_the_p_value_is_where_the_interval_first_leaves_zero_out(value):
    of = Contrast(value, 1.0, 50.0)
    p = p_value(of.ends)

    low, high = of.ends(1 - 1.001 * p)
    assert low > 0 or high < 0
    low, high = of.ends(1 - 0.999 * p)
    assert low < 0 < high
    assert p_value(Contrast(0.0, 1.0, 50.0).ends) == 1.0
    assert p_value(Contrast(100.0, 1.0, 1e6).ends) == 1e-9


def test_clusters_are_summed_before_their_spread_is_taken():
    generator = torch.Generator().manual_seed(0)
    values, cluster = torch.randn(100, dtype=torch.float64, generator=generator), torch.arange(100) // 5
    centred = values - values.mean()
    sums = centred.view(20, 5).sum(dim=1)
    variance, df = Sampling(100, None, cluster).spread(centred)

    assert variance == pytest.approx(float(sums.square().sum()) * 20 / 19 / 100**2)
    assert df <= 19
    assert Sampling(100).spread(centred)[0] == pytest.approx(float(values.var()) / 100)


def test_rows_look_at_each_class_as_the_summary_does():
    rows = rows_of(Outcomes(confidence=torch.tensor([0.8]), correct=torch.tensor([False])))

    assert isinstance(rows, Rows)
    assert len(rows) == 1
    assert float(rows.square) == pytest.approx(0.64)
    assert float(rows.gap) == pytest.approx(0.8)


@pytest.mark.slow
@pytest.mark.parametrize("n", [200, 1000])
def test_intervals_hold_in_a_thousand_data_sets(unchecked_shapes, n):
    generator = torch.Generator().manual_seed(5)
    base, side = sides(outcomes(2_000_000, generator, 1.5, tired=0.03))
    truth = {name: side.measures[name].value - base.measures[name].value for name in OF_COMPARISON}
    found = coverage(lambda: outcomes(n, generator, 1.5, tired=0.03), truth, 1000, OF_COMPARISON)

    assert {name: share for name, share in found.items() if not share > 0.93} == {}
