# SPDX-License-Identifier: Apache-2.0
"""Simulate how often the intervals of `adafocal.calibration` hold where samples have weights.

    python benchmarks/weighted_coverage.py [--simulations 2000] [--seed 0] [--weights uniform ...]

Predictors as in `interval_coverage.py`. Weights are drawn beside the samples, or follow the confidence: the least sure
fifth then counts 20 times. The truth is that of the weighted population, by quadrature over 200,000 quantiles.
"""

import argparse
import itertools
import platform
import time
from collections.abc import Callable

import torch
from interval_coverage import LEVEL, PREDICTORS, Gap, Spread, draw, strength_of
from torch import Tensor

import adafocal
from adafocal import Outcomes
from adafocal.calibration.catalogue import CATALOGUE
from adafocal.calibration.stream import sums_in_memory

SIZES = (200, 1_000)
CASES = (("broad, shift", 0.03), ("sharp, temperature", 0.0), ("sharp, temperature", 0.03))
MEASURES = ("accuracy", "overconfidence", "rms_debiased")


def uniform(quantile: Tensor, generator: torch.Generator) -> Tensor:
    """Between 0.2 and 5, whatever the sample."""
    return 0.2 + 4.8 * torch.rand(len(quantile), dtype=torch.float64, generator=generator)


def exponential(quantile: Tensor, generator: torch.Generator) -> Tensor:
    """Exponential, whatever the sample."""
    return torch.empty(len(quantile), dtype=torch.float64).exponential_(generator=generator)


def two_valued(quantile: Tensor, generator: torch.Generator) -> Tensor:
    """1 or 20 with equal chance, whatever the sample."""
    return torch.where(torch.rand(len(quantile), generator=generator) < 0.5, 1.0, 20.0).double()


def unsure(quantile: Tensor, generator: torch.Generator) -> Tensor:
    """20 for the fifth of the samples of lowest confidence, else 1."""
    return torch.where(quantile < 0.2, 20.0, 1.0).double()


WEIGHTS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "uniform": uniform,
    "exponential": exponential,
    "two_valued": two_valued,
    "unsure": unsure,
}


def truths(spread: Spread, gap: Gap, strength: float, weights: str) -> tuple[float, float, float]:
    """Accuracy, over-confidence and root mean square error of the weighted population."""
    quantile = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    # Confidences of `sharp` do not rise with the quantile: the least sure are found by sorting.
    confidence = spread(quantile)
    rank = (confidence.argsort().argsort() + 0.5) / len(quantile)
    weight = unsure(rank, torch.Generator()) if weights == "unsure" else torch.ones_like(quantile)
    share, chance = weight / weight.sum(), gap(confidence, quantile, strength)
    difference = confidence - chance
    squares = (share * difference.square()).sum().sqrt()
    return float((share * chance).sum()), float((share * difference).sum()), float(squares)


def lowest_fifth(spread: Spread) -> float:
    """The confidence below which a fifth of the samples lie."""
    quantile = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    return float(spread(quantile).quantile(0.2))


def coverage(
    name: str, error: float, weights: str, n: int, simulations: int, generator: torch.Generator
) -> list[float]:
    """Give the mean effective share of samples, and for each measure how often its interval holds, and its width."""
    spread, gap = PREDICTORS[name]
    strength = strength_of(spread, gap, error)
    truth, limit = truths(spread, gap, strength, weights), lowest_fifth(spread)
    effective, held, width, rejected = 0.0, [0, 0, 0], [0.0, 0.0, 0.0], 0
    for _ in range(simulations):
        confidence, correct = draw(spread, gap, strength, n, generator)
        weight = WEIGHTS[weights](torch.where(confidence < limit, 0.0, 1.0), generator)
        sums = sums_in_memory(Outcomes(confidence=confidence, correct=correct, weight=weight), n_bins=15)
        effective += sums.n_effective / n
        for place, measure in enumerate(MEASURES):
            ends = CATALOGUE[measure].ends
            assert ends is not None
            low, high = map(float, ends(sums))
            held[place] += low <= truth[place] <= high
            width[place] += high - low
        rejected += error == 0 and float(CATALOGUE["p_calibrated"].compute(sums)) <= 1 - LEVEL
    shares = [part for pair in zip(held, width, strict=True) for part in pair]
    return [one / simulations for one in (effective, *shares, rejected)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", nargs="+", choices=list(WEIGHTS), default=list(WEIGHTS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    print(f"adafocal {adafocal.__version__}, torch {torch.__version__}, 1 thread of {platform.machine()}")
    print(f"{options.simulations} simulations per cell, seed {options.seed}, level {LEVEL}, 15 bins; percent\n")
    print("| weights | predictor | true error | N | effective | accuracy covers | width ", end="")
    print("| over-confidence covers | width ", end="")
    print("| rms covers | width | test rejects at 5 % |\n|---|---|" + "--:|" * 10)
    for index, (weights, (name, error), n) in enumerate(itertools.product(WEIGHTS, CASES, SIZES)):
        if weights in options.weights:
            generator = torch.Generator().manual_seed(1000 * options.seed + index)
            shares = coverage(name, error, weights, n, options.simulations, generator)
            cells = " | ".join(f"{100 * share:.1f}" for share in (shares if error == 0 else shares[:-1]))
            cells += "" if error == 0 else " | "
            print(f"| {weights} | {name} | {100 * error:.0f} | {n:,} | {cells} |", flush=True)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
