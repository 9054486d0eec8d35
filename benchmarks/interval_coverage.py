# SPDX-License-Identifier: Apache-2.0
"""Simulate how often the intervals of `adafocal.calibration` hold, and how often the test rejects a calibrated model.

    python benchmarks/interval_coverage.py [--simulations 1000] [--seed 0] [--predictors "broad, shift" ...]

Predictors of known error: a confidence is drawn, and the label is right with a known probability given it. The true
root mean square calibration error is that of the predictor itself, without bins, exact by construction (shift) or by
quadrature over 200,000 quantiles (the others).
"""

import argparse
import itertools
import platform
import time
from collections.abc import Callable

import torch
from torch import Tensor

import adafocal
from adafocal.calibration import calibration_test, overconfidence_interval, rms_calibration_interval

SIZES = (500, 2_000, 10_000)
ERRORS = (0.0, 0.01, 0.03, 0.10)
LEVEL = 0.95


def broad(quantile: Tensor) -> Tensor:
    """Confidences spread evenly over [0.5, 1]."""
    return 0.5 + 0.5 * quantile


def sharp(quantile: Tensor) -> Tensor:
    """Confidences of an accurate binary classifier: half above 0.95, a tenth below 0.70."""
    return torch.sigmoid((3.0 + 1.8 * torch.special.ndtri(quantile)).abs())


def shift(confidence: Tensor, quantile: Tensor, strength: float) -> Tensor:
    """Over-confident by the same amount everywhere."""
    return confidence - strength


def temperature(confidence: Tensor, quantile: Tensor, strength: float) -> Tensor:
    """Over-confident as a network trained too long: logits too large."""
    return torch.sigmoid(torch.logit(confidence) * (1 - strength))


def wave(confidence: Tensor, quantile: Tensor, strength: float) -> Tensor:
    """Over-confident on one half of the samples and under-confident on the other, by the same amount in all."""
    return (confidence - strength * torch.sin(2 * torch.pi * quantile)).clamp(0, 1)


Spread = Callable[[Tensor], Tensor]
Gap = Callable[[Tensor, Tensor, float], Tensor]
PREDICTORS: dict[str, tuple[Spread, Gap]] = {
    "broad, shift": (broad, shift),
    "broad, wave": (broad, wave),
    "sharp, shift": (sharp, shift),
    "sharp, temperature": (sharp, temperature),
}


def strength_of(spread: Spread, gap: Gap, error: float) -> float:
    """Find the strength at which the predictor has this root mean square error, by bisection."""
    quantile = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    confidence = spread(quantile)
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        reached = (gap(confidence, quantile, middle) - confidence).square().mean().sqrt()
        low, high = (middle, high) if reached < error else (low, middle)
    return low if error else 0.0


def true_bias(spread: Spread, gap: Gap, strength: float) -> float:
    quantile = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    confidence = spread(quantile)
    return (confidence - gap(confidence, quantile, strength)).mean().item()


def draw(spread: Spread, gap: Gap, strength: float, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    quantile, chance = torch.rand(2, n, dtype=torch.float64, generator=generator).clamp_min(1e-12)
    confidence = spread(quantile)
    return confidence, chance < gap(confidence, quantile, strength)


def coverage(
    spread: Spread, gap: Gap, error: float, n: int, simulations: int, generator: torch.Generator
) -> tuple[float, float, float, float, float]:
    """Give shares: interval covers, lies below the truth, lies above it, mean width; over-confidence covers."""
    strength = strength_of(spread, gap, error)
    bias = true_bias(spread, gap, strength)
    below = above = bias_held = width = 0.0
    for _ in range(simulations):
        confidence, correct = draw(spread, gap, strength, n, generator)
        low, high = (end.item() for end in rms_calibration_interval(confidence, correct, level=LEVEL))
        below += high < error
        above += low > error
        width += high - low
        low, high = (end.item() for end in overconfidence_interval(confidence, correct, level=LEVEL))
        bias_held += low <= bias <= high
    shares = (simulations - below - above, below, above, width, bias_held)
    return tuple(share / simulations for share in shares)  # type: ignore[return-value]


def rejections(spread: Spread, n: int, simulations: int, generator: torch.Generator) -> float:
    """Give the share of calibrated data sets that the test rejects at the level 0.05."""
    rejected = 0
    for _ in range(simulations):
        confidence, correct = draw(spread, shift, 0.0, n, generator)
        rejected += calibration_test(confidence, correct, n_resamples=199, generator=generator).item() <= 0.05
    return rejected / simulations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--predictors", nargs="+", choices=list(PREDICTORS), default=list(PREDICTORS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    print(f"adafocal {adafocal.__version__}, torch {torch.__version__}, 1 thread of {platform.machine()}")
    print(f"{options.simulations} simulations per cell, seed {options.seed}, level {LEVEL}, 15 bins; percent\n")
    print("| predictor | N | true error | rms interval covers | below | above | mean width | over-confidence covers |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    # Each cell has a seed of its own, so that a part of the table can be simulated alone.
    for index, (name, n, error) in enumerate(itertools.product(PREDICTORS, SIZES, ERRORS)):
        if name in options.predictors:
            generator = torch.Generator().manual_seed(1000 * options.seed + index)
            shares = coverage(*PREDICTORS[name], error, n, options.simulations, generator)
            cells = " | ".join(f"{100 * share:.1f}" for share in shares)
            print(f"| {name} | {n:,} | {100 * error:.0f} | {cells} |", flush=True)
    print("\n| calibrated predictor | N | test rejects at 5 % |\n|---|--:|--:|")
    for index, (spread, n) in enumerate(itertools.product((broad, sharp), SIZES)):
        if any(PREDICTORS[name][0] is spread for name in options.predictors):
            generator = torch.Generator().manual_seed(1000 * options.seed + 500 + index)
            share = rejections(spread, n, options.simulations, generator)
            print(f"| {spread.__name__} | {n:,} | {100 * share:.1f} |", flush=True)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
