# SPDX-License-Identifier: Apache-2.0
"""Coverage of the 95 % interval of a mean over cases, beside that of the plain t interval.

python benchmarks/case_intervals.py --repeats 4000

Values are drawn once per case: normal; lognormal, as errors of cases are that are skewed to the right, with standard
deviation 0.5 and 1 of the logarithm; Beta(8, 1.5), as Dice is that is skewed to the left; and a case in ten that fails,
ten times as far off as the others.
"""

import argparse
import math
from collections.abc import Callable
from statistics import NormalDist

import torch
from torch import Tensor

from adafocal._estimate import mean_over_cases
from adafocal._tails import student_quantile

Draw = Callable[[tuple[int, int]], Tensor]
CASES = (3, 5, 10, 20, 60)


def laws() -> dict[str, tuple[Draw, float]]:
    """What values of cases are drawn from, with its mean."""
    beta = torch.distributions.Beta(8.0, 1.5)
    return {
        "normal": (lambda shape: 0.1 + 0.02 * torch.randn(shape), 0.1),
        "lognormal 0.5": (lambda shape: 0.05 * (0.5 * torch.randn(shape)).exp(), 0.05 * math.exp(0.125)),
        "lognormal 1": (lambda shape: 0.05 * torch.randn(shape).exp(), 0.05 * math.exp(0.5)),
        "Beta(8, 1.5)": (lambda shape: beta.sample(torch.Size(shape)), 8 / 9.5),
        "one in ten fails": (failing, 0.9 * 0.03 + 0.1 * 0.3),
    }


def failing(shape: tuple[int, int]) -> Tensor:
    """Draw errors around 0.03, one in ten around 0.3."""
    level = torch.where(torch.rand(shape) < 0.1, 0.3, 0.03)
    return level * (1 + 0.2 * torch.randn(shape))


def main() -> None:
    """Print a table of coverages and of the ratio of the lengths."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=4000, help="sets of cases per setting")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    print("| values | cases | covers | t interval covers | times as long |")
    print("|---|--:|--:|--:|--:|")
    for name, (draw, truth) in laws().items():
        for n in CASES:
            found = [judged(values, truth) for values in draw((options.repeats, n)).double().tolist()]
            ours, plain, longer = (torch.tensor(column, dtype=torch.float64) for column in zip(*found, strict=True))
            shares = f"{100 * float(ours.mean()):.1f} % | {100 * float(plain.mean()):.1f} %"
            print(f"| {name} | {n} | {shares} | {float(longer.median()):.2f} |", flush=True)


def judged(values: list[float], truth: float) -> tuple[bool, bool, float]:
    """Tell whether our interval and the t interval hold the truth, and how much longer ours is."""
    found, n = mean_over_cases(values), len(values)
    spread = float(torch.tensor(values, dtype=torch.float64).std())
    half = student_quantile(NormalDist().cdf(1.959964), n - 1) * spread / math.sqrt(n)
    assert found.low is not None
    assert found.high is not None
    return found.low <= truth <= found.high, abs(found.value - truth) <= half, (found.high - found.low) / (2 * half)


if __name__ == "__main__":
    main()
