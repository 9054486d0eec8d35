# SPDX-License-Identifier: Apache-2.0
"""Diagrams that pool seeds take a test row for one row, however many seeds predict it."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from adafocal import Outcomes, Predictions, plot
from adafocal.calibration import reliability_from_bins
from adafocal.report.plots import bins_of
from adafocal.results.outcome import outcome_of, pooled

path = Path(__file__).parents[2] / "benchmarks" / "pooled_seeds.py"
spec = importlib.util.spec_from_file_location("pooled_seeds", path)
BENCHMARK = importlib.util.module_from_spec(spec)
spec.loader.exec_module(BENCHMARK)


def run(seed=0, n=200, labels=None, cluster=None):
    generator = torch.Generator().manual_seed(seed)
    probs = torch.rand(n, 3, generator=generator).softmax(1)
    labels = torch.multinomial(probs, 1, generator=generator)[:, 0] if labels is None else labels
    return outcome_of(Predictions(probs=probs, labels=labels, cluster=cluster), n_bins=5)


def test_seeds_that_agree_are_worth_one_of_them():
    one = run()
    both = pooled([one, one, one])

    torch.testing.assert_close(both.stats.count, 3 * one.stats.count.double())
    torch.testing.assert_close(both.stats.effective, one.stats.count.double())
    for name in ("accuracy", "accuracy_low", "accuracy_high", "band_low", "band_high"):
        torch.testing.assert_close(
            getattr(reliability_from_bins(both.stats), name), getattr(reliability_from_bins(one.stats), name)
        )
    for pair in zip(both.class_stats, one.class_stats, strict=True):
        torch.testing.assert_close(pair[0].effective, pair[1].count.double())


def test_seeds_that_put_rows_in_different_bins_are_worth_more_than_one_and_less_than_all():
    first = run()
    second = run(seed=1, labels=first.labels)
    both = pooled([first, second]).stats

    more, less = both.effective > both.count / 2 - 1e-9, both.effective < both.count + 1e-9
    assert bool(more.all())
    assert bool(less.all())
    rows = [set(torch.where(torch.bucketize(one.confidence, both.edges) == 2)[0].tolist()) for one in (first, second)]
    twice, once = len(rows[0] & rows[1]), len(rows[0] ^ rows[1])
    assert both.effective[2].item() == pytest.approx((2 * twice + once) ** 2 / (4 * twice + once))


def test_rows_that_differ_count_as_many_as_one_run_has():
    both = pooled([run(0), run(1)]).stats

    torch.testing.assert_close(both.effective, both.count / 2)


def test_errors_of_pooled_runs_are_those_of_all_predictions():
    first = run()
    second = run(seed=1, labels=first.labels)
    both = pooled([first, second])

    plain = BENCHMARK.sums([first, second])
    torch.testing.assert_close(both.stats.compute(), plain.compute())
    assert both.n == 400


def test_rows_of_clusters_have_no_intervals_of_single_bins():
    clustered = run(cluster=torch.arange(200) // 10)
    data = bins_of(clustered.stats, clustered.independent)

    assert not clustered.independent
    assert not pooled([clustered, clustered]).independent
    assert bool(data.accuracy_low.isnan().all())
    assert data.band_low is None
    assert bins_of(clustered.stats, True).band_low is not None
    assert replace(clustered, independent=True).independent


@pytest.mark.parametrize("setting", [(1000, 5, 0.1), pytest.param((1000, 10, 0.3), marks=pytest.mark.slow)])
def test_intervals_of_pooled_seeds_hold_and_those_of_all_predictions_do_not(unchecked_shapes, setting):
    rows, predictions = BENCHMARK.coverage(
        *setting, repeats=30, generator=torch.Generator().manual_seed(1), large=200_000
    )

    assert rows >= 0.93
    assert predictions < 0.85


def test_the_notebooks_diagram_of_clusters_has_no_bars_either():
    confidence, correct = torch.rand(200), torch.rand(200) < 0.5
    for cluster, bars in ((None, True), (torch.arange(200) // 10, False)):
        axes = plot.reliability(Outcomes(confidence=confidence, correct=correct, cluster=cluster))
        (segments,) = axes.containers[1].lines[2]
        assert any(len(segment) == 2 for segment in segments.get_segments()) == bars
