# SPDX-License-Identifier: Apache-2.0
"""Time forward and backward of each loss over `F.cross_entropy`, alternating in one run; prints median ratios.

python benchmarks/losses.py [--repeats 30] [--losses adafocal focal ...]
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from adafocal.losses import LOSSES, make_loss

SIZES = [(128, 10), (8192, 1000), (65536, 21)]
GOALS = {(128, 10): 2.5, (8192, 1000): 1.15, (65536, 21): 1.5}  # for AdaFocal on 2 CPU cores


def seconds_per_step(loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, labels: Tensor, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        logits.grad = None
        loss(logits, labels).backward()
    return (time.perf_counter() - start) / calls


def ratio_to_cross_entropy(
    loss: Callable[[Tensor, Tensor], Tensor], size: tuple[int, int], repeats: int
) -> tuple[float, float, float]:
    """Give the median ratio and its quartiles over pairs of runs, A B A B …, so that drift of the machine cancels."""
    n, n_classes = size
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(n, n_classes, generator=generator, requires_grad=True)
    labels = torch.randint(n_classes, (n,), generator=generator)
    calls = max(1, 2_000_000 // (n * n_classes) // 4)
    seconds_per_step(loss, logits, labels, calls)
    seconds_per_step(F.cross_entropy, logits, labels, calls)
    ratios = [
        seconds_per_step(loss, logits, labels, calls) / seconds_per_step(F.cross_entropy, logits, labels, calls)
        for _ in range(repeats)
    ]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return low, middle, high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--losses", nargs="+", choices=list(LOSSES), default=list(LOSSES))
    options = parser.parse_args()
    print(f"forward + backward, time over F.cross_entropy: median [quartiles] of {options.repeats} pairs")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()} {platform.processor()}")
    print(f"{'loss':<16}" + "".join(f"{f'{n} x {c}':>24}" for n, c in SIZES))
    for name in options.losses:
        cells = [ratio_to_cross_entropy(make_loss(name), size, options.repeats) for size in SIZES]
        print(f"{name:<16}" + "".join(f"{f'{mid:.2f} [{low:.2f}, {high:.2f}]':>24}" for low, mid, high in cells))
    print(f"{'goal (adafocal)':<16}" + "".join(f"{GOALS[size]:>24.2f}" for size in SIZES))


if __name__ == "__main__":
    main()
