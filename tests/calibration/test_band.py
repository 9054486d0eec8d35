# SPDX-License-Identifier: Apache-2.0
"""The band that holds all bins of a reliability diagram at once."""

import importlib.util
from pathlib import Path

import pytest
import torch

from adafocal.calibration import bin_stats, equal_width_edges, merge, reliability_from_bins, simultaneous_band
from adafocal.errors import InvalidValueError

scipy_stats = pytest.importorskip("scipy.stats")


def script(name):
    path = Path(__file__).parents[2] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BENCHMARK = script("band_coverage")


def stats_of(n=1000, seed=0, bins=15):
    generator = torch.Generator().manual_seed(seed)
    confidence = 0.5 + 0.5 * torch.rand(n, generator=generator)
    return bin_stats(confidence, torch.rand(n, generator=generator) < confidence, equal_width_edges(bins))


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_ends_are_those_of_clopper_and_pearson_at_sidaks_level(level):
    stats = stats_of()
    low, high = simultaneous_band(stats, level=level)
    held = stats.count > 0
    tail = (1 - level ** (1 / int(held.sum()))) / 2

    for x, n, bottom, top in zip(stats.correct_sum[held], stats.count[held], low[held], high[held], strict=True):
        assert bottom.item() == pytest.approx(scipy_stats.beta.ppf(tail, x, n - x + 1) if x > 0 else 0, abs=2e-4)
        assert top.item() == pytest.approx(scipy_stats.beta.ppf(1 - tail, x + 1, n - x) if x < n else 1, abs=2e-4)


def test_bins_that_are_empty_all_right_or_all_wrong_have_ends_by_hand():
    stats = bin_stats(torch.tensor([0.2] * 4 + [0.9] * 4), torch.arange(8) >= 4, torch.tensor([0.5, 0.8]))
    low, high = simultaneous_band(stats)

    end = ((1 - 0.95**0.5) / 2) ** 0.25  # of four, none or all
    assert low.tolist() == pytest.approx([0.0, 0.0, end])
    assert high.tolist() == pytest.approx([1 - end, 1.0, 1.0])


def test_it_is_wider_than_the_intervals_of_single_bins_and_streams():
    whole = stats_of()
    data = reliability_from_bins(merge(stats_of(400, 1), stats_of(600, 2)))

    assert bool((data.band_low <= data.accuracy_low).all())
    assert bool((data.band_high >= data.accuracy_high).all())
    low, high = simultaneous_band(whole)
    shown = reliability_from_bins(whole)
    torch.testing.assert_close(shown.band_low, low[whole.count > 0])
    torch.testing.assert_close(shown.band_high, high[whole.count > 0])


def test_weights_count_by_their_effective_number():
    confidence, correct = torch.full((100,), 0.9, dtype=torch.float64), torch.arange(100) < 70
    weight = torch.full((100,), 3.7, dtype=torch.float64)
    plain, same = (
        simultaneous_band(bin_stats(confidence, correct, torch.tensor([0.5]), sample_weight=one))
        for one in (None, weight)
    )

    torch.testing.assert_close(plain, same)


@pytest.mark.parametrize(
    "setting",
    [setting for setting in BENCHMARK.SETTINGS if setting[0] <= 1000],
    ids=lambda one: "-".join(map(str, one)),
)
def test_it_holds_all_bins_at_its_level(unchecked_shapes, setting):
    band, single = BENCHMARK.coverage(*setting, repeats=300, generator=torch.Generator().manual_seed(3))

    assert band >= 0.95 - 3 * (0.05 * 0.95 / 300) ** 0.5
    assert single < 0.9  # what it is for
    assert band > single


def test_bad_arguments_are_refused_in_a_sentence():
    with pytest.raises(InvalidValueError, match=r"`level` must be"):
        simultaneous_band(stats_of(), level=1.0)
