# SPDX-License-Identifier: Apache-2.0
"""Simulate how often the intervals of selective prediction and of out-of-distribution detection hold, in hard settings.

    python benchmarks/small_sample_coverage.py [--simulations 1000] [--seed 0] [--only selective detection]

The truth is that of four million samples of the same distribution (of the precisions: of as many as give the same share
of each kind). A setting counts the simulations in which an interval was given; "none" is the share in which it was not.
"""

import argparse
import platform
import time
from collections.abc import Callable

import torch
from torch import Tensor

import adafocal
from adafocal.ood import aupr, auroc, detection, fpr_at_tpr
from adafocal.selective import augrc, aurc, coverage_at_risk, excess_aurc, risk_at_coverage, selective_summary

Draw = Callable[[int, torch.Generator], tuple[Tensor, Tensor]]
MEASURES = ("risk", "aurc", "excess_aurc", "augrc", "coverage_at_risk", "risk_at_coverage")
KINDS = ("auroc", "fpr95", "aupr_out", "aupr_in")
LARGE = 4_000_000


def normal(n: int, generator: torch.Generator) -> Tensor:
    return torch.randn(n, dtype=torch.float64, generator=generator)


def errors(accuracy: float, distance: float, *, steps: float | None = None) -> Draw:
    """Normal scores, those of right samples higher by a distance; with steps, rounded to that many per unit."""

    def draw(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        wrong = (torch.rand(n, dtype=torch.float64, generator=generator) > accuracy).double()
        score = normal(n, generator) + distance * (1 - wrong)
        return score if steps is None else (score * steps).round() / steps, wrong

    return draw


def calibrated(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Confidences above one half that are true, and the errors."""
    confidence = 1 - 0.5 * torch.rand(n, dtype=torch.float64, generator=generator).square()
    return confidence, (torch.rand(n, dtype=torch.float64, generator=generator) > confidence).double()


def likelihood(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Confidences of a calibrated binary classifier, and the cross-entropy."""
    p = torch.sigmoid(2 * normal(n, generator) + 2)
    of_label = torch.where(torch.rand(n, dtype=torch.float64, generator=generator) < p, p, 1 - p)
    return torch.maximum(p, 1 - p), -of_label.log()


# name: how to draw, samples, risk for coverage_at_risk
SELECTIVE: dict[str, tuple[Draw, int, float]] = {
    "accuracy 95.7 %, N = 300": (errors(0.957, 1.5), 300, 0.03),
    "accuracy 63 %, N = 300": (errors(0.63, 1.0), 300, 0.05),
    "accuracy 90 %, N = 100": (errors(0.9, 1.5), 100, 0.05),
    "accuracy 99 %, N = 1,000": (errors(0.99, 1.5), 1000, 0.005),
    "accuracy 98 %, N = 200": (errors(0.98, 2.0), 200, 0.01),
    "accuracy 70 %, N = 50": (errors(0.7, 1.0), 50, 0.2),
    "accuracy 80 %, N = 1,000": (errors(0.8, 1.2), 1000, 0.1),
    "accuracy 95 %, N = 2,000": (errors(0.95, 1.5), 2000, 0.03),
    "useless score, 90 %, N = 300": (errors(0.9, 0.0), 300, 0.08),
    "ties of 1, 90 %, N = 300": (errors(0.9, 1.2, steps=1), 300, 0.07),
    "ties of 0.25, 80 %, N = 500": (errors(0.8, 1.0, steps=4), 500, 0.1),
    "calibrated, N = 400": (calibrated, 400, 0.1),
    "cross-entropy, N = 300": (likelihood, 300, 0.2),
    "cross-entropy, N = 1,000": (likelihood, 1000, 0.2),
}

Pair = Callable[[int, int, torch.Generator], tuple[Tensor, Tensor]]


def two_normals(distance: float, *, width: float = 1.0, steps: float | None = None) -> Pair:
    def draw(n: int, m: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        both = normal(n, generator), distance + width * normal(m, generator)
        return both if steps is None else tuple((scores * steps).round() / steps for scores in both)  # type: ignore[return-value]

    return draw


def two_exponentials(factor: float) -> Pair:
    def draw(n: int, m: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        one, other = (-torch.rand(k, dtype=torch.float64, generator=generator).clamp_min(1e-12).log() for k in (n, m))
        return one, factor * other

    return draw


DETECTION: dict[str, tuple[Pair, int, int]] = {
    "1,000 and 20, AUROC 0.76": (two_normals(1.0), 1000, 20),
    "1,000 and 20, AUROC 0.92": (two_normals(2.0), 1000, 20),
    "20 and 1,000, AUROC 0.92": (two_normals(2.0), 20, 1000),
    "1,000 and 10, AUROC 0.92": (two_normals(2.0), 1000, 10),
    "1,000 and 50, AUROC 0.98": (two_normals(3.0), 1000, 50),
    "1,000 and 20, wide others": (two_normals(2.0, width=2.0), 1000, 20),
    "1,000 and 20, exponential": (two_exponentials(4.0), 1000, 20),
    "30 and 30, AUROC 0.70": (two_normals(0.75), 30, 30),
    "50 and 50, AUROC 0.92": (two_normals(2.0), 50, 50),
    "200 and 30, ties of 1": (two_normals(1.5, steps=1), 200, 30),
    "150 and 150, AUROC 0.86": (two_normals(1.5), 150, 150),
    "2,000 and 100, AUROC 0.90": (two_normals(1.8), 2000, 100),
    "500 and 500, AUROC 0.98": (two_normals(3.0), 500, 500),
}


class Tally:
    """Counts how often intervals hold a truth."""

    def __init__(self) -> None:
        self.given = self.held = self.below = 0

    def add(self, estimate: object, truth: float) -> None:
        low, high = estimate.low, estimate.high  # type: ignore[attr-defined]
        if low is not None:
            self.given += 1
            self.held += low <= truth <= high
            self.below += high < truth

    def cell(self, simulations: int) -> str:
        if self.given == 0:
            return "none"
        none = f", none {100 * (1 - self.given / simulations):.0f}" if self.given < simulations else ""
        return f"{100 * self.held / self.given:.1f} ({100 * self.below / self.given:.1f}{none})"


def selective_row(draw: Draw, n: int, risk: float, simulations: int, generator: torch.Generator) -> list[str]:
    large = draw(LARGE, generator)
    truths = {
        "risk": large[1].mean(),
        "aurc": aurc(*large),
        "excess_aurc": excess_aurc(*large),
        "augrc": augrc(*large),
        "coverage_at_risk": coverage_at_risk(*large, risk=risk),
        "risk_at_coverage": risk_at_coverage(*large, coverage=0.8),
    }
    tallies = {name: Tally() for name in MEASURES}
    for _ in range(simulations):
        summary = selective_summary(*draw(n, generator), risk=risk)
        for name, tally in tallies.items():
            tally.add(getattr(summary, name), float(truths[name]))
    return [tally.cell(simulations) for tally in tallies.values()]


def detection_row(draw: Pair, n: int, m: int, simulations: int, generator: torch.Generator) -> list[str]:
    large, alike = draw(LARGE, LARGE, generator), max(1, LARGE // (2 * max(n, m)))
    same_shares = draw(alike * n, alike * m, generator)
    truths = (auroc(*large), fpr_at_tpr(*large), aupr(*same_shares), aupr(*same_shares, positive="id"))
    tallies = [Tally() for _ in KINDS]
    for _ in range(simulations):
        result = detection(*draw(n, m, generator), n_resamples=200)
        for name, tally, truth in zip(KINDS, tallies, truths, strict=True):
            tally.add(getattr(result, name), float(truth))
    return [tally.cell(simulations) for tally in tallies]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=("selective", "detection"), default=("selective", "detection"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    print(f"adafocal {adafocal.__version__}, torch {torch.__version__}, 1 thread of {platform.machine()}")
    print(f"{options.simulations} simulations per setting, seed {options.seed}, level 0.95")
    print("percent of intervals that hold (percent that lie below the truth, and of simulations without an interval)")
    for part, settings, names, row in (
        ("selective", SELECTIVE, MEASURES, selective_row),
        ("detection", DETECTION, KINDS, detection_row),
    ):
        if part not in options.only:
            continue
        print(f"\n| setting | {' | '.join(f'`{name}`' for name in names)} |\n|---|{'--:|' * len(names)}")
        # Each setting has a seed of its own, so that the tables can be made apart.
        for index, (name, setting) in enumerate(settings.items()):
            generator = torch.Generator().manual_seed(1000 * options.seed + index)
            cells = row(*setting, options.simulations, generator)  # type: ignore[operator]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
