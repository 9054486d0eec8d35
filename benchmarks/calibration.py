# SPDX-License-Identifier: Apache-2.0
"""Time calibration error, update and compute, against torchmetrics and netcal in one run; prints median ratios.

    python benchmarks/calibration.py [--repeats 9] [--threads 2]

Every package gets the same probabilities in the same batches and gives the equal-width ECE in 15 bins. A ratio is the
peer's time over ours of the same round, so that drift of the machine cancels. `state` is what each keeps, in MB.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torchmetrics
from torch import Tensor
from torchmetrics.classification import MulticlassCalibrationError

from adafocal.metrics import CalibrationError

SIZES = [(1_000_000, 10, 10_000), (50_000, 1000, 1_000)]  # samples, classes, batch
N_BINS = 15


def data(n: int, n_classes: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    probs = (3 * torch.randn(n, n_classes, generator=generator)).softmax(dim=1)
    return probs, torch.randint(n_classes, (n,), generator=generator)


def state_size(metric: Any) -> float:
    parts = [getattr(metric, name) for name in metric._defaults]
    tensors = [tensor for part in parts for tensor in (part if isinstance(part, list) else [part])]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) / 1e6


def time_metric(
    make: Callable[[], Any], probs: Tensor, labels: Tensor, batch: int
) -> tuple[float, float, float, float]:
    """Give seconds of update, seconds of compute, the value, and the size of the state in MB."""
    metric = make()
    start = time.perf_counter()
    for rows, row_labels in zip(probs.split(batch), labels.split(batch), strict=True):
        metric.update(rows, row_labels)
    middle = time.perf_counter()
    value = float(metric.compute())
    return middle - start, time.perf_counter() - middle, value, state_size(metric)


def time_netcal(probs: Tensor, labels: Tensor) -> tuple[float, float]:
    from netcal.metrics import ECE

    start = time.perf_counter()
    value = float(ECE(N_BINS).measure(probs.numpy(), labels.numpy()))
    return time.perf_counter() - start, value


def has_netcal() -> bool:
    try:
        import netcal.metrics  # noqa: F401
    except ImportError as error:
        print(f"netcal is left out: {error}")
        return False
    return True


def compare(n: int, n_classes: int, batch: int, repeats: int, netcal: bool) -> None:
    probs, labels = data(n, n_classes)
    makers = {
        "adafocal": lambda: CalibrationError(inputs="probs", n_bins=N_BINS),
        "adafocal, equal mass": lambda: CalibrationError(inputs="probs", n_bins=N_BINS, binning="equal_mass"),
        "torchmetrics": lambda: MulticlassCalibrationError(n_classes, n_bins=N_BINS),
        "torchmetrics, unchecked": lambda: MulticlassCalibrationError(n_classes, n_bins=N_BINS, validate_args=False),
    }
    rounds: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in makers}
    for _ in range(repeats + 1):  # the first round warms up
        for name, make in makers.items():
            rounds[name].append(time_metric(make, probs, labels, batch))
        if netcal:
            seconds, value = time_netcal(probs, labels)
            rounds.setdefault("netcal", []).append((0.0, seconds, value, probs.numel() * 4 / 1e6))
    print(f"\n{n} x {n_classes} in batches of {batch}: medians of {repeats} rounds")
    print(f"{'':<26}{'update s':>10}{'compute s':>11}{'times ours':>12}{'state MB':>10}{'ECE':>10}")
    ours = [update + compute for update, compute, *_ in rounds["adafocal"][1:]]
    for name, results in rounds.items():
        ratio = statistics.median((u + c) / o for (u, c, *_), o in zip(results[1:], ours, strict=True))
        update, compute = (statistics.median(result[part] for result in results[1:]) for part in (0, 1))
        print(f"{name:<26}{update:>10.4f}{compute:>11.4f}{ratio:>12.2f}{results[0][3]:>10.4f}{results[0][2]:>10.6f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    versions = f"torch {torch.__version__}, torchmetrics {torchmetrics.__version__}"
    print(f"{versions}, {options.threads} threads, {platform.machine()}")
    netcal = has_netcal()
    for size in SIZES:
        compare(*size, options.repeats, netcal)


if __name__ == "__main__":
    main()
