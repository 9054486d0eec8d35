# SPDX-License-Identifier: Apache-2.0
"""How much memory and time the test of calibration takes, drawing labels in blocks and all at once.

    python benchmarks/drawn_labels.py [--samples 20000]

Each line is a process of its own. `peak` is what its largest resident size grew by during the call. The p-values of the
two ways are equal: blocks take the same random numbers in the same order.
"""

import argparse
import resource
import subprocess
import sys
import time

import torch

from adafocal.calibration import calibration_test, consistency

ALL_AT_ONCE = 1 << 62


def measure(n: int, n_bins: int, block: int) -> str:
    consistency.DRAWN_AT_A_TIME = block
    confidence = 0.5 + 0.5 * torch.rand(n, generator=torch.Generator().manual_seed(0))
    correct = torch.rand(n, generator=torch.Generator().manual_seed(1)) < confidence
    calibration_test(confidence, correct, n_resamples=9)  # warms up
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    p_value = float(calibration_test(confidence, correct, n_bins=n_bins))
    seconds = time.perf_counter() - start
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return f"{n_bins:>7}{'blocks' if block < ALL_AT_ONCE else 'at once':>10}{peak:>11.1f}{seconds:>9.2f}{p_value:>9.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--one", type=int, nargs=2, metavar=("BINS", "BLOCK"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(measure(options.samples, *options.one))
        return
    print(f"torch {torch.__version__}, {options.samples} samples, 999 draws")
    print(f"{'n_bins':>7}{'drawn':>10}{'peak MiB':>11}{'s':>9}{'p':>9}")
    for n_bins in (15, 100, 500):
        for block in (consistency.DRAWN_AT_A_TIME, ALL_AT_ONCE):
            one = ["--samples", str(options.samples), "--one", str(n_bins), str(block)]
            subprocess.run([sys.executable, __file__, *one], check=True)


if __name__ == "__main__":
    main()
