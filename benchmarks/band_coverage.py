# SPDX-License-Identifier: Apache-2.0
"""How often the band of a reliability diagram holds all bins at once, and how often the intervals of single bins do.

python benchmarks/band_coverage.py --repeats 10000

Each setting draws confidences and labels; the truth is the mean chance of the samples in each bin. "All single" is the
share of diagrams in which every 95 % interval of a single bin (Wilson) holds: what a band is for.
"""

import argparse
import platform
from datetime import date

import torch
from torch import Tensor

from adafocal.calibration import bin_stats, equal_mass_edges, equal_width_edges, reliability_from_bins

# Number of samples, of bins, how confidences lie, how far chances are from them, weights, bins of equal mass.
SETTINGS = (
    (100, 15, "uniform", "calibrated", False, False),
    (1000, 15, "uniform", "calibrated", False, False),
    (10_000, 15, "uniform", "over-confident", False, False),
    (1000, 15, "sure", "calibrated", False, False),
    (10_000, 15, "sure", "over-confident", False, False),
    (1000, 50, "uniform", "under-confident", False, False),
    (1000, 15, "uniform", "over-confident", False, True),
    (1000, 5, "sure", "under-confident", False, True),
    (1000, 15, "uniform", "over-confident", True, False),
    (10_000, 15, "sure", "calibrated", True, False),
)
SHIFT = {"calibrated": 0.0, "over-confident": -0.7, "under-confident": 0.7}  # of the logit


def main() -> None:
    """Print a table of coverages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10_000, help="data sets per setting")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers")
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(options.seed)
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {date.today()}; {options}")
    print("| samples | bins | confidences | chances | weights | band | all single |")
    print("|--:|---|---|---|---|--:|--:|")
    for setting in SETTINGS:
        n, bins, lie, chances, weighted, mass = setting
        band, single = coverage(*setting, repeats=options.repeats, generator=generator)
        kind = f"{bins} of equal {'mass' if mass else 'width'}"
        weights = "exponential" if weighted else "none"
        print(
            f"| {n:,} | {kind} | {lie} | {chances} | {weights} | {100 * band:.1f} % | {100 * single:.1f} % |",
            flush=True,
        )


def coverage(
    n: int, bins: int, lie: str, chances: str, weighted: bool, mass: bool, *, repeats: int, generator: torch.Generator
) -> tuple[float, float]:
    """Count how often all bins are held: by the band, and by the intervals of single bins."""
    hits = torch.zeros(2)
    for _ in range(repeats):
        hits += torch.tensor(held(n, bins, lie, SHIFT[chances], weighted, mass, generator))
    band, single = (hits / repeats).tolist()
    return band, single


def held(
    n: int, bins: int, lie: str, shift: float, weighted: bool, mass: bool, generator: torch.Generator
) -> tuple[bool, bool]:
    """Draw one data set, and tell whether the band, and all single intervals, hold the truth."""
    confidence = torch.rand(n, dtype=torch.float64, generator=generator)
    if lie == "sure":  # most above 0.9, as of a network
        confidence = 1 - 0.5 * confidence**4
    chance = (confidence.logit(1e-6) + shift).sigmoid()
    happened = torch.rand(n, dtype=torch.float64, generator=generator) < chance
    weight = torch.empty(n, dtype=torch.float64).exponential_(generator=generator) if weighted else None
    edges = equal_mass_edges(confidence, n_bins=bins) if mass else equal_width_edges(bins)
    stats = bin_stats(confidence, happened, edges, sample_weight=weight)
    true = bin_stats(confidence, chance, edges, sample_weight=weight)
    data, truth = reliability_from_bins(stats), true.accuracy[true.count > 0]
    return inside(truth, data.band_low, data.band_high), inside(truth, data.accuracy_low, data.accuracy_high)


def inside(truth: Tensor, low: Tensor | None, high: Tensor | None) -> bool:
    """Tell whether all of it lies within."""
    assert low is not None
    assert high is not None
    return bool(((low <= truth + 1e-12) & (truth <= high + 1e-12)).all())


if __name__ == "__main__":
    main()
