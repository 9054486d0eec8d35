# SPDX-License-Identifier: Apache-2.0
"""What it costs to score the volumes of a test part: processor time over a peer, and memory as cases grow in number.

python benchmarks/volume_evaluation.py [--side 64] [--repeats 7]

Three tables: the calibration of each class and case over MONAI's metric, which is asked for its three reductions; all
sums over the voxels of a case that a run takes, before and after scaling, over one softmax of them and over one forward
pass; and the peak of memory of a process that scores few or many cases, one by one. One thread, medians of ratios
of processor time in pairs of turns.
"""

import argparse
import resource
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "speed"))

import torch
from row import alternating
from torch import Tensor

from adafocal.calibration import case_calibration
from adafocal.metrics import CaseCalibrationError
from adafocal.models import make_model
from adafocal.training.voxels import VoxelSums, counted_rows

N_CLASSES, N_BINS = 3, 15
REDUCTIONS = ("expected", "average", "maximum")


def volume(side: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Draw a case: labels of three boxes, and logits that know them with noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.zeros(side, side, side, dtype=torch.long)
    for number in range(1, N_CLASSES):
        low = number * side // (N_CLASSES + 1)
        labels[low : low + side // 4, low : low + side // 4, low : low + side // 4] = number
    one_hot = torch.nn.functional.one_hot(labels, N_CLASSES).movedim(-1, 0)
    return 4.0 * one_hot + 1.5 * torch.randn(N_CLASSES, side, side, side, generator=generator), labels


def over_monai(logits: Tensor, labels: Tensor, repeats: int) -> str:
    from monai.metrics.calibration import CalibrationErrorMetric

    one_hot = torch.nn.functional.one_hot(labels, N_CLASSES).movedim(-1, 0)[None]

    def peer() -> list[float]:
        found = []
        for reduction in REDUCTIONS:
            metric = CalibrationErrorMetric(num_bins=N_BINS, include_background=False, calibration_reduction=reduction)
            metric(y_pred=logits[None].softmax(1), y=one_hot)
            found.append(float(metric.aggregate()))
        return found

    def ours() -> list[float]:
        found = case_calibration(logits[None], labels[None], n_bins=N_BINS)
        return [found.ece.value, found.ace.value, found.mce.value]

    difference = max(abs(a - b) for a, b in zip(ours(), peer(), strict=True))
    return f"{told(alternating(ours, peer, repeats))} | same numbers to {difference:.1g}"


def all_sums(logits: Tensor, labels: Tensor) -> None:
    rows, flat = counted_rows(logits[None], labels)
    for temperature in (1.0, 1.3):
        VoxelSums.of_case(rows, flat, n_bins=N_BINS, temperature=temperature)


def told(pairs: list[tuple[float, float]]) -> str:
    ratios = sorted(ours / peer for ours, peer in pairs)
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.3g} [{low:.3g}, {high:.3g}]"


def peak(side: int, cases: int) -> float:
    """Peak memory, in MiB, of a process that scores so many cases one by one."""
    command = [sys.executable, __file__, "--side", str(side), "--cases", str(cases)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--cases", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    logits, labels = volume(options.side)
    if options.cases is not None:
        metric = CaseCalibrationError(measure="ace", n_classes=N_CLASSES, n_bins=N_BINS)
        for _ in range(options.cases):
            metric.update(logits[None], labels[None])
        metric.compute()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    print(f"ECE, ACE and MCE of a case over MONAI's three: {over_monai(logits, labels, options.repeats)}")
    network = make_model("unet3d", {"width": 8, "depth": 4}, input_shape=(1, *labels.shape), n_classes=N_CLASSES).eval()
    image = logits[:1][None]
    for name, peer in (
        ("softmax", lambda: logits.softmax(0)),
        ("forward pass of the short recipe", lambda: network(image)),
    ):
        with torch.no_grad():
            found = told(alternating(lambda: all_sums(logits, labels), peer, options.repeats))
        print(f"all sums of a case, before and after scaling, over one {name}: {found}")
    peaks = {cases: peak(options.side, cases) for cases in (2, 20, 200)}
    print("peak MiB by number of cases: " + ", ".join(f"{cases}: {size:.0f}" for cases, size in peaks.items()))


if __name__ == "__main__":
    main()
