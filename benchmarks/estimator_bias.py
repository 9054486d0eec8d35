# SPDX-License-Identifier: Apache-2.0
"""Mean of each estimator of calibration error over simulated data sets of known error: what its bias is.

python benchmarks/estimator_bias.py [--simulations 200] [--seed 0]
"""

import argparse
from functools import partial

import torch
from interval_coverage import PREDICTORS, SIZES, draw, strength_of

import adafocal
from adafocal.calibration import (
    expected_calibration_error,
    ks_calibration_error,
    smooth_calibration_error,
    sweep_calibration_error,
)

ERRORS = (0.0, 0.03)
ESTIMATORS = {
    "ece": expected_calibration_error,
    "ece_equal_mass": partial(expected_calibration_error, binning="equal_mass"),
    "ece_debiased": partial(expected_calibration_error, binning="equal_mass", debias=True),
    "ece_sweep": sweep_calibration_error,
    "smooth_ece": smooth_calibration_error,
    "ks": ks_calibration_error,
    "mce": partial(expected_calibration_error, norm="max"),
    "rms": partial(expected_calibration_error, binning="equal_mass", norm="l2"),
    "rms_debiased": partial(expected_calibration_error, binning="equal_mass", norm="l2", debias=True),
}


def true_mean_gap(name: str, error: float) -> float:
    """Give the ``l1`` error without bins of the predictor whose root mean square error is ``error``."""
    spread, gap = PREDICTORS[name]
    quantile = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    confidence = spread(quantile)
    return (confidence - gap(confidence, quantile, strength_of(spread, gap, error))).abs().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--predictor", choices=list(PREDICTORS), default="sharp, temperature")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(options.seed)
    print(f"adafocal {adafocal.__version__}, torch {torch.__version__}; predictor {options.predictor};")
    print(f"mean over {options.simulations} simulations, seed {options.seed}, 15 bins; percent\n")
    print("| true rms | true l1 | N | " + " | ".join(ESTIMATORS) + " |")
    print("|--:|--:|--:|" + "--:|" * len(ESTIMATORS))
    for error in ERRORS:
        spread, gap = PREDICTORS[options.predictor]
        strength = strength_of(spread, gap, error)
        mean_gap = true_mean_gap(options.predictor, error)
        for n in SIZES:
            totals = dict.fromkeys(ESTIMATORS, 0.0)
            for _ in range(options.simulations):
                event = draw(spread, gap, strength, n, generator)
                for name, estimator in ESTIMATORS.items():
                    totals[name] += estimator(*event).item() / options.simulations
            means = " | ".join(f"{100 * total:.2f}" for total in totals.values())
            print(f"| {100 * error:.0f} | {100 * mean_gap:.2f} | {n:,} | {means} |", flush=True)


if __name__ == "__main__":
    main()
