# SPDX-License-Identifier: Apache-2.0
"""The verdict: what it claims of models whose truth is known, and how it is said."""

import json
import math
from dataclasses import replace

import pytest
import torch
from scipy.stats import binom

from adafocal import Outcomes, Predictions
from adafocal._tails import gamma_cdf, gamma_quantile, student_p_value
from adafocal.calibration import evaluate, merge_sums, stream_summary, stream_sums
from adafocal.calibration.catalogue import CATALOGUE
from adafocal.calibration.judge import STATED_GAP, corrected, judge, mean_gap_test
from adafocal.calibration.stream import sums_in_memory
from adafocal.calibration.verdict import CALIBRATED, KINDS, MIXED, OVER, TOO_FEW, UNDER


def drawn(confidence, truth=None, seed=0):
    """Outcomes of these confidences that are right with the chance ``truth``."""
    source = torch.Generator().manual_seed(seed)
    chance = confidence if truth is None else truth
    return Outcomes(confidence=confidence, correct=torch.rand(len(confidence), generator=source) < chance)


def uniform(n, low=0.5, high=1.0, seed=100):
    return low + (high - low) * torch.rand(n, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("truth", "kind"),
    [
        (lambda c: c - 0.1, OVER),
        (lambda c: c + 0.3 * (1 - c), UNDER),
        (lambda c: c - 0.6 * (c - 0.75), MIXED),
        (lambda c: c, CALIBRATED),
    ],
)
def test_the_kind_is_the_truth_where_there_are_many_samples(truth, kind):
    confidence = uniform(5000)

    assert evaluate(drawn(confidence, truth(confidence))).verdict.kind == kind


def test_few_samples_cannot_tell():
    verdict = evaluate(drawn(uniform(30))).verdict

    assert verdict.kind == TOO_FEW
    assert verdict.detectable > STATED_GAP


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_samples_are_too_few_and_go_into_json(n):
    summary = evaluate(Outcomes(confidence=[0.9] * n, correct=[True] * n))

    assert summary.verdict.kind == TOO_FEW
    assert json.loads(json.dumps(summary.to_dict(), allow_nan=False))["verdict"]["kind"] == TOO_FEW


def test_certain_answers_that_are_wrong_are_over_confident():
    verdict = evaluate(Outcomes(confidence=[1.0] * 20, correct=[True] * 19 + [False])).verdict

    assert verdict.kind == OVER
    assert verdict.p_gap == 0.0


def test_certain_answers_that_are_right_are_not_judged_under_confident():
    verdict = evaluate(Outcomes(confidence=[0.995] * 100, correct=[True] * 100)).verdict

    assert verdict.p_gap > 0.5
    assert verdict.kind == CALIBRATED


@pytest.mark.parametrize(("n", "chance"), [(40, 0.9), (100, 0.995), (500, 0.97), (2000, 0.6), (300, 0.05)])
def test_the_p_value_of_equal_confidences_is_that_of_the_binomial_test(n, chance):
    for right in {0, round(n * chance) - 3, round(n * chance), min(n, round(n * chance) + 4), n}:
        outcomes = Outcomes(confidence=torch.full((n,), chance).double(), correct=torch.arange(n) < right)
        exact = min(1.0, 2 * min(binom.cdf(right, n, chance), binom.sf(right - 1, n, chance)))

        found, _ = mean_gap_test(sums_in_memory(outcomes, n_bins=15))

        assert found == pytest.approx(exact, abs=0.012)


@pytest.mark.parametrize("n", [60, 250, 1000])
def test_what_is_detectable_is_detected_half_of_the_time(unchecked_shapes, n):
    confidence = uniform(n, 0.6, 0.99).double()
    least = evaluate(drawn(confidence)).verdict.detectable
    records = [drawn(confidence, confidence - least, seed) for seed in range(400)]
    found = [2 * mean_gap_test(sums_in_memory(record, n_bins=15))[0] <= 0.05 for record in records]

    assert sum(found) / len(found) == pytest.approx(0.5, abs=0.1)


def verdict_alone(record):
    """The verdict without the measures that it does not need."""
    sums = sums_in_memory(record, n_bins=15)
    names = ("overconfidence", "rms_debiased", "p_calibrated")
    values = {name: float(CATALOGUE[name].compute(sums)) for name in names}
    return judge(sums, {**values, "overconfidence_interval": (0.0, 0.0), "rms_interval": (0.0, 0.0)})


@pytest.mark.slow
@pytest.mark.parametrize(("n", "low"), [(50, 0.5), (200, 0.0), (1000, 0.99)])
def test_a_calibrated_model_is_called_miscalibrated_at_most_once_in_twenty(unchecked_shapes, n, low):
    draws = 1000
    claims = sum(
        verdict_alone(drawn(uniform(n, low, seed=seed), seed=seed + 10**6)).miscalibrated for seed in range(draws)
    )

    assert claims <= binom.ppf(0.999, draws, 0.05)


def test_a_calibrated_model_is_seldom_called_miscalibrated(unchecked_shapes):
    claims = [evaluate(drawn(uniform(100, seed=seed), seed=seed + 10**6)).verdict.miscalibrated for seed in range(60)]

    assert sum(claims) <= binom.ppf(0.999, 60, 0.05)


def test_streams_and_weights_that_repeat_rows_come_to_the_same_kind():
    confidence = uniform(3000)
    record = drawn(confidence, confidence - 0.06)
    whole = evaluate(record).verdict
    parts = [stream_sums(record[torch.arange(start, start + 1000)]) for start in (0, 1000, 2000)]
    stream = stream_summary(merge_sums(merge_sums(*parts[:2]), parts[2])).verdict
    weighted = evaluate(Outcomes(confidence=record.confidence, correct=record.correct, weight=torch.full((3000,), 2.0)))

    assert whole.kind == stream.kind == weighted.verdict.kind == OVER
    assert stream.p_gap == pytest.approx(whole.p_gap, rel=0.05)
    # Weights that are all alike change nothing: the effective number of samples is their number.
    assert weighted.verdict.p_gap == pytest.approx(whole.p_gap, rel=1e-6)


def test_rows_of_clusters_are_worth_less():
    # Each cluster of 50 is right or wrong as one: 20 samples, not 1,000.
    source = torch.Generator().manual_seed(3)
    right = (torch.rand(20, generator=source) < 0.6).repeat_interleave(50)
    record = {"confidence": torch.full((1000,), 0.7), "correct": right}

    together = evaluate(Outcomes(**record, cluster=torch.arange(1000) // 50)).verdict

    assert evaluate(Outcomes(**record)).verdict.miscalibrated
    assert together.kind == TOO_FEW
    assert math.isnan(together.p_bins)


def test_clusters_are_judged_by_their_mean_gap_alone():
    # Clusters of one confidence each, right or wrong nearly as one: single bins would seem to be off either way.
    source = torch.Generator().manual_seed(5)
    centre = torch.linspace(0.55, 0.95, 60).double()
    share = (torch.rand(60, generator=source) < centre - 0.2).double() * 0.8 + 0.1
    right = torch.rand(60, 40, generator=source) < share[:, None]
    record = {"confidence": centre.repeat_interleave(40), "correct": right.flatten()}

    verdict = evaluate(Outcomes(**record, cluster=torch.arange(2400) // 40)).verdict

    assert evaluate(Outcomes(**record)).verdict.under
    assert (verdict.kind, verdict.over, verdict.under) == (OVER, (), ())
    assert verdict.p == verdict.p_gap <= 0.05


def test_many_verdicts_hold_their_level_together():
    # 70 of 100 where 80 are expected: found alone, and nothing beyond chance among 40 groups.
    alone = evaluate(Outcomes(confidence=[0.8] * 100, correct=torch.arange(100) < 70)).verdict
    bad = evaluate(Outcomes(confidence=[0.8] * 100, correct=torch.arange(100) < 30)).verdict

    together = corrected({**{f"group {place}": alone for place in range(40)}, "bad": bad})

    assert alone.kind == bad.kind == OVER
    assert [name for name, one in together.items() if one.miscalibrated] == ["bad"]
    assert together["group 0"].kind == TOO_FEW
    assert together["bad"].n_judged == 41


def test_where_it_is_over_and_where_under_confident_is_said():
    confidence = uniform(20_000, 0.0)
    truth = torch.where(confidence > 0.6, confidence - 0.15, confidence + 0.15).clamp(0, 1)
    verdict = evaluate(drawn(confidence, truth)).verdict

    ((low, high),) = verdict.over
    assert (low, high) == (pytest.approx(0.6, abs=0.07), pytest.approx(1.0, abs=0.02))
    assert verdict.under[0][0] == pytest.approx(0.0, abs=0.02)
    assert f"over-confident at {low:.2f} to {high:.2f}" in str(verdict)


def test_the_cost_is_the_calibration_part_of_the_squared_error():
    confidence = torch.full((40_000,), 0.9)
    verdict = evaluate(drawn(confidence, torch.full((40_000,), 0.7))).verdict

    # Brier score of the event: 0.7 * 0.01 + 0.3 * 0.81 = 0.25, of which 0.2 ** 2 is miscalibration.
    assert verdict.cost == pytest.approx(0.04, rel=0.05)
    assert verdict.cost_share == pytest.approx(0.16, rel=0.05)
    assert "16 %" in str(verdict)


def test_words_are_those_of_the_event():
    logits = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0))
    labels = (torch.rand(2000, generator=torch.Generator().manual_seed(1)) < 0.2).long()
    verdict = evaluate(Predictions(logits=logits, labels=labels), positive_class=1).verdict

    assert verdict.headline(of_class=True) == "Probabilities are too high"
    assert "probability exceeds share by" in " ".join(verdict.sentences(of_class=True))
    assert "confidence" not in " ".join(verdict.sentences(of_class=True))


def test_every_kind_has_words_with_its_numbers():
    confidence = uniform(4000)
    truths = [confidence - 0.1, confidence + 0.3 * (1 - confidence), confidence - 0.6 * (confidence - 0.75), confidence]
    verdicts = [evaluate(drawn(confidence, truth)).verdict for truth in truths] + [evaluate(drawn(uniform(20))).verdict]

    assert [verdict.kind for verdict in verdicts] == list(KINDS)
    for verdict in verdicts:
        assert str(verdict).lower().startswith(verdict.kind)
        assert verdict.to_dict()["text"] == str(verdict)


def test_an_interval_that_leaves_out_zero_without_a_claim_is_explained():
    verdict = replace(evaluate(drawn(uniform(4000))).verdict, gap=0.02, gap_interval=(0.001, 0.04))

    assert "which two tests together may show by chance" in str(verdict)
    assert "which the verdicts together may show by chance" in str(replace(verdict, n_judged=9))


def test_the_quantile_undoes_the_law():
    for skewness in (-1.5, 0.0, 0.3, 2.0):
        z = gamma_quantile(0.99, skewness)
        assert float(gamma_cdf(torch.tensor([z]).double(), torch.tensor([skewness]).double())) == pytest.approx(
            0.99, abs=1e-6
        )


def test_the_p_value_of_a_t_statistic_is_close():
    from scipy.stats import t

    for df in (3, 10, 50):
        for value in (0.5, 2.0, 3.0):
            assert student_p_value(value, df) == pytest.approx(2 * t.sf(value, df), rel=0.1)
