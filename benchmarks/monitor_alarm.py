# SPDX-License-Identifier: Apache-2.0
"""False alarms of calibration over time in a year of calibrated windows, and how long a drift takes to be found.

python benchmarks/monitor_alarm.py --years 2000

Every year is looked at after each of its windows. In a calibrated one labels are drawn with the confidences, and an
alarm at any time is false. In the others all logits are 0.5 too high from the middle of the year on (over-confident;
the mean gap is printed), and the delay counts windows from then on; a year without an alarm counts as not found.
"""

import argparse
import platform
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import torch
from torch import Tensor

from adafocal.calibration.alarm import evidence, log_means, log_ratios
from adafocal.calibration.edges import assign_equal_width_bins
from adafocal.evaluation.windows import ALARM

N_BINS = 15
DRIFT = 0.5  # of the logit

Draw = Callable[[int, torch.Generator], Tensor]


def uniform(n: int, generator: torch.Generator) -> Tensor:
    """Draw probabilities of a class."""
    return torch.rand(n, dtype=torch.float64, generator=generator)


def sure(n: int, generator: torch.Generator) -> Tensor:
    """Draw confidences of a network: most above 0.9."""
    return 1 - 0.5 * uniform(n, generator) ** 4


def unsure(n: int, generator: torch.Generator) -> Tensor:
    """Draw confidences between 0.4 and 0.8."""
    return 0.4 + 0.4 * uniform(n, generator)


@dataclass(frozen=True)
class Setting:
    """Windows of a year, rows of each, and how confidences lie."""

    windows: int
    rows: int
    draw: Draw


SETTINGS = (
    Setting(52, 100, sure),
    Setting(52, 1000, sure),
    Setting(52, 1000, uniform),
    Setting(52, 1000, unsure),
    Setting(365, 30, sure),
    Setting(365, 200, uniform),
)


def main() -> None:
    """Print a table of rates and delays."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--years", type=int, default=2000, help="calibrated years per setting; a tenth of them drift")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers")
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(options.seed)
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {date.today()}; {options}")
    print("| windows | rows of each | confidences | false alarms | gap after the drift | found | delay, windows |")
    print("|--:|--:|---|--:|--:|--:|---|")
    for one in SETTINGS:
        false = sum(alarm_of(one, 0.0, generator) is not None for _ in range(options.years))
        drifted = [alarm_of(one, DRIFT, generator) for _ in range(max(1, options.years // 10))]
        drifted = [place for place in drifted if place is None or place >= one.windows // 2]  # others were false
        late = sorted(place - one.windows // 2 + 1 for place in drifted if place is not None)
        found = len(late) / len(drifted)
        delay = f"{late[len(late) // 2]}, 90 % within {late[int(0.9 * len(late))]}" if late else "-"
        cells = (
            f"{100 * false / options.years:.2f} %",
            f"{100 * gap(one, generator):.1f} %",
            f"{100 * found:.0f} %",
            delay,
        )
        print(f"| {one.windows} | {one.rows:,} | {one.draw.__name__} | {' | '.join(cells)} |", flush=True)


def alarm_of(setting: Setting, drift: float, generator: torch.Generator) -> int | None:
    """Draw a year, and find the first window after which there is an alarm."""
    confidence = setting.draw(setting.windows * setting.rows, generator)
    window = torch.arange(len(confidence)) // setting.rows
    chance = torch.where(window < setting.windows // 2, confidence, (confidence.logit(1e-9) - drift).sigmoid())
    gap = confidence - (torch.rand(len(chance), dtype=torch.float64, generator=generator) < chance).double()
    place = window * N_BINS + assign_equal_width_bins(confidence, N_BINS)
    parts = torch.cat([-gap[:, None], log_means(confidence, 0.0)], dim=1)
    sums = torch.zeros(setting.windows * N_BINS, parts.shape[1], dtype=torch.float64).index_add_(0, place, parts)
    ratios = [log_ratios(one[:, 0], one[:, 1:]) for one in sums.view(setting.windows, N_BINS, -1)]
    level = torch.tensor(ALARM).log().item()
    return next((place for place, one in enumerate(evidence(ratios, N_BINS)) if one >= level), None)


def gap(setting: Setting, generator: torch.Generator) -> float:
    """Give mean confidence minus mean chance after the drift."""
    confidence = setting.draw(200_000, generator)
    return float((confidence - (confidence.logit(1e-9) - DRIFT).sigmoid()).mean())


if __name__ == "__main__":
    main()
