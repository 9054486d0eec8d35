# SPDX-License-Identifier: Apache-2.0
"""What calibration errors say of the truth and of answers that know less, on samples of 1,000.

python benchmarks/truthful_measures.py --repeats 2000

Chances are uniform on [0, 1], and labels are drawn with them. The truth answers the chance of each sample, the constant
their mean for all, and the coarse answer the middle of the third that the chance lies in. All three are calibrated. The
last one claims 2 % too much. A measure that prefers another answer than the truth is marked.
"""

import argparse
import platform
from datetime import date

import torch
from torch import Tensor

from adafocal.calibration import expected_calibration_error, two_bin_calibration_error

N = 1000
ANSWERS = ("the truth", "a constant", "thirds", "2 % too high")
MEASURES = {
    "ECE, 15 equal-width bins (%)": lambda p, y: 100 * expected_calibration_error(p, y),
    "ECE, equal mass (%)": lambda p, y: 100 * expected_calibration_error(p, y, binning="equal_mass"),
    "ECE, debiased (%)": lambda p, y: 100 * expected_calibration_error(p, y, binning="equal_mass", debias=True),
    "ATB (square, × 10⁴)": lambda p, y: 1e4 * two_bin_calibration_error(p, y),
}


def main() -> None:
    """Print a table of means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2000, help="samples")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers")
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(options.seed)
    values = torch.zeros(options.repeats, len(MEASURES), len(ANSWERS), dtype=torch.float64)
    for repeat in range(options.repeats):
        chance = torch.rand(N, dtype=torch.float64, generator=generator)
        happened = torch.rand(N, dtype=torch.float64, generator=generator) < chance
        for place, answer in enumerate(answers(chance)):
            values[repeat, :, place] = torch.stack([measure(answer, happened) for measure in MEASURES.values()])
    mean, error = values.mean(0), values.std(0) / options.repeats**0.5
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {date.today()}; {options}")
    print(f"| measure | {' | '.join(ANSWERS)} |")
    print("|---|" + "--:|" * len(ANSWERS))
    for name, row, errors in zip(MEASURES, mean.tolist(), error.tolist(), strict=True):
        best = min(row)
        cells = [
            f"{'**' if one == best else ''}{one:.3f}{'**' if one == best else ''} ± {e:.3f}"
            for one, e in zip(row, errors, strict=True)
        ]
        print(f"| {name} | {' | '.join(cells)} |")


def answers(chance: Tensor) -> list[Tensor]:
    """Give the answers of each kind."""
    thirds = ((3 * chance).floor().clamp_max(2) + 0.5) / 3
    return [chance, torch.full_like(chance, 0.5), thirds, (chance + 0.02).clamp_max(1)]


if __name__ == "__main__":
    main()
