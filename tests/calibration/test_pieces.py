# SPDX-License-Identifier: Apache-2.0
"""Where samples and cells are summed piece by piece, the pieces change nothing."""

import math

import numpy as np
import pytest
import torch

from adafocal import Predictions
from adafocal.calibration import evaluate
from adafocal.calibration.ascending import AscendingEvents
from adafocal.calibration.bins import BinStats
from adafocal.calibration.cells import distinct_cells
from adafocal.calibration.sweep import rising_bins
from adafocal.calibration.truthful import averaged_two_bins
from adafocal.scaling import fit_temperature
from adafocal.scaling.root import nll_derivatives
from adafocal.tables.numbers import IN_CACHE, class_after_class

PIECES = ("bins.IN_CACHE", "bins.PIECE", "stream.IN_CACHE")


def record(n: int = 700, *, weighted: bool = False) -> Predictions:
    generator = torch.Generator().manual_seed(0)
    logits = (2 * torch.randn(n, 4, generator=generator)).round(decimals=1)  # rounded, so that some are equal
    labels = torch.multinomial((logits / 2).softmax(dim=1), 1, generator=generator)[:, 0]
    weight = torch.randint(0, 4, (n,), generator=generator).float() if weighted else None
    return Predictions(logits=logits, labels=labels, weight=weight)


def numbers(summary: object) -> list[float]:
    return [float(number) for row in summary.to_frame().itertuples(index=False) for number in row[1:]]  # type: ignore[attr-defined]


@pytest.mark.parametrize("weighted", [False, True])
def test_small_pieces_come_to_the_summary_of_large_ones(monkeypatch, weighted):
    whole = evaluate(record(weighted=weighted))
    for name in PIECES:
        monkeypatch.setattr(f"adafocal.calibration.{name}", 13)
    pieces = evaluate(record(weighted=weighted))

    assert numbers(pieces) == pytest.approx(numbers(whole), rel=1e-11, abs=1e-14, nan_ok=True)
    assert pieces.verdict.kind == whole.verdict.kind
    assert whole.verdict.over
    for side in ("over", "under"):
        assert np.ravel(getattr(pieces.verdict, side)) == pytest.approx(np.ravel(getattr(whole.verdict, side)))


def test_a_fall_of_accuracy_between_two_pieces_is_seen(monkeypatch):
    monkeypatch.setattr("adafocal.calibration.bins.IN_CACHE", 2)
    confidence = torch.linspace(0.1, 0.8, 8)
    rising = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]).bool()
    falling = torch.tensor([0, 0, 0, 1, 0, 1, 1, 1]).bool()  # from the second piece to the third

    assert rising_bins(distinct_cells(confidence, rising), most=8).n_bins == 8
    assert rising_bins(distinct_cells(confidence, falling), most=8).n_bins < 8


def test_the_two_bin_error_crosses_pieces_with_empty_cells(monkeypatch):
    monkeypatch.setattr("adafocal.calibration.bins.IN_CACHE", 2)
    count = torch.tensor([0, 1, 0, 0, 1, 0])
    sums = (torch.tensor([0, 0.5, 0, 0, 0.75, 0]).double(), torch.tensor([0, 1, 0, 0, 0, 0]).double())
    cells = BinStats(torch.linspace(0.1, 0.9, 5), count, *sums)

    # G is 0 below 1/2, -1/4 up to 3/4 and 1/8 from there: 1/2 (1/8)^2 + 1/4 ((1/4)^2 + (3/8)^2) + 1/4 (1/8)^2
    assert float(averaged_two_bins(cells)) == pytest.approx(0.5 / 64 + 0.25 * (1 / 16 + 9 / 64) + 0.25 / 64)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("shift", [0.0, -3.0])
def test_parts_of_what_is_sorted_and_the_ends_of_its_runs(dtype, shift):
    values = torch.tensor([0.5, 0.25, 0.5, 1.0, 0.25, 0.5]).to(dtype) + shift
    events = torch.tensor([1, 0, 0, 1, 1, 1]).bool()
    ordered = AscendingEvents(values, events)

    assert ordered.ends(torch.tensor([0, 1, 2, 5])).tolist() == [2, 2, 5, 6]
    assert torch.equal(ordered.part(slice(2, 6))[0], values.sort().values[2:])
    assert torch.equal(ordered.part(torch.tensor([5, 0]))[0], values[[3, 1]])
    assert [int(ordered.part(slice(*ends))[1].sum()) for ends in ((0, 2), (2, 5), (5, 6))] == [1, 2, 1]


@pytest.mark.parametrize("n", [1, IN_CACHE - 1, IN_CACHE, 2 * IN_CACHE + 3])
def test_rows_are_turned_in_memory_alone(n):
    rows = np.arange(3 * n, dtype=np.float32).reshape(n, 3)
    turned = class_after_class(rows)

    assert np.array_equal(turned, rows)
    assert turned.T.flags.c_contiguous
    assert class_after_class(turned) is turned


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_temperature_of_float32_is_the_root_in_float64(scale):
    some = record(weighted=True)
    scores = scale * some.log_probs
    fitted = fit_temperature(Predictions(logits=scores, labels=some.labels, weight=some.weight)).temperature
    slope, curvature = nll_derivatives(scores, some.labels, some.weight, 1 / fitted)

    assert abs(slope * fitted / curvature) < 1e-12
    assert math.isclose(fitted, scale * fit_temperature(some).temperature, rel_tol=1e-5)
