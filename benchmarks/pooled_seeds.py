# SPDX-License-Identifier: Apache-2.0
"""Coverage of the intervals of a diagram that pools the predictions of several seeds for the same test rows.

python benchmarks/pooled_seeds.py --repeats 500

Rows have a logit that all seeds see, and each seed adds noise of its own; what decides a row is the same for all. The
truth of each bin comes from a million rows. "As rows" is what pages show: a row counts once however many seeds predict
it. "As predictions" takes those of the seeds for independent. Bins with 30 rows or more are counted, and single ones.
"""

import argparse
import platform
from datetime import date

import torch
from torch import Tensor

from adafocal import Predictions
from adafocal.calibration import BinStats, bin_stats, merge, reliability_from_bins
from adafocal.results.outcome import Outcome, outcome_of, pooled

N_BINS = 15
FEWEST = 30
# Test rows, seeds, noise of a seed in the logit.
SETTINGS = ((500, 3, 0.3), (2000, 3, 0.3), (2000, 5, 0.1), (2000, 5, 0.5), (2000, 10, 0.3), (10_000, 5, 0.3))


def main() -> None:
    """Print a table of coverages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=500, help="data sets per setting")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers")
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(options.seed)
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {date.today()}; {options}")
    print("| rows | seeds | noise of a seed | as rows | as predictions |")
    print("|--:|--:|--:|--:|--:|")
    for n, seeds, noise in SETTINGS:
        rows, predictions = coverage(n, seeds, noise, repeats=options.repeats, generator=generator)
        print(f"| {n:,} | {seeds} | {noise:g} | {100 * rows:.1f} % | {100 * predictions:.1f} % |", flush=True)


def coverage(
    n: int, seeds: int, noise: float, *, repeats: int, generator: torch.Generator, large: int = 1_000_000
) -> tuple[float, float]:
    """Give the share of bins whose interval holds the truth: with rows that count once, and with all predictions."""
    truth = sums(draw(large, seeds, noise, generator)).accuracy
    hits, total = torch.zeros(2), 0
    for _ in range(repeats):
        runs = draw(n, seeds, noise, generator)
        ours = pooled(runs).stats
        counted = ours.effective >= FEWEST
        total += int(counted.sum())
        for place, stats in enumerate((ours, sums(runs))):
            data, held = reliability_from_bins(stats), counted[stats.count > 0]
            true = truth[stats.count > 0]
            hits[place] += ((data.accuracy_low <= true) & (true <= data.accuracy_high))[held].sum()
    first, second = (hits / total).tolist()
    return first, second


def draw(n: int, seeds: int, noise: float, generator: torch.Generator) -> list[Outcome]:
    """Draw the outcomes of every seed on the same rows, over-confident by a third."""
    shared = 1.5 * torch.randn(n, generator=generator)
    labels = (torch.rand(n, generator=generator) < shared.sigmoid()).long()
    logits = [1.5 * (shared + noise * torch.randn(n, generator=generator)) for _ in range(seeds)]
    return [outcome_of(of_two(one, labels), n_bins=N_BINS) for one in logits]


def of_two(logit: Tensor, labels: Tensor) -> Predictions:
    """Predictions of two classes."""
    return Predictions(logits=torch.stack([torch.zeros_like(logit), logit], dim=1), labels=labels)


def sums(runs: list[Outcome]) -> BinStats:
    """Sum all predictions as if they were independent."""
    total = runs[0].stats
    for run in runs[1:]:
        total = merge(total, bin_stats(run.confidence, run.correct, total.edges))
    return total


if __name__ == "__main__":
    main()
