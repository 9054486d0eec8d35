# SPDX-License-Identifier: Apache-2.0
"""Peak memory and time of one AdaFocal step on a linear head: all logits at once, and a chunk at a time.

python benchmarks/losses_linear_head.py [--n 8192] [--n-classes 32768] [--n-features 512]
"""

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
from linear_head import adafocal_of_linear

from adafocal.losses import AdaFocalLoss

PATHS = ("plain", "chunked")


def one_step(path: str, n: int, n_classes: int, n_features: int) -> tuple[float, float]:
    """Give seconds, and the growth of the peak memory of this process in MiB."""
    torch.manual_seed(0)
    features, labels = torch.randn(n, n_features, requires_grad=True), torch.randint(n_classes, (n,))
    head, criterion = nn.Linear(n_features, n_classes), AdaFocalLoss()
    criterion(head(features[:4]), labels[:4]).backward()  # allocate the gradients beforehand
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    if path == "plain":
        loss = criterion(head(features), labels)
    else:
        loss = adafocal_of_linear(criterion, features, head, labels)
    loss.backward()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return time.perf_counter() - start, grown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=8192)
    parser.add_argument("--n-classes", type=int, default=32768)
    parser.add_argument("--n-features", type=int, default=512)
    parser.add_argument("--path", choices=PATHS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    size = (options.n, options.n_classes, options.n_features)
    if options.path:
        print(*one_step(options.path, *size))
        return
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads; logits {options.n} x {options.n_classes} ",
        end="",
    )
    print(f"would take {options.n * options.n_classes * 4 / 2**20:.0f} MiB in float32")
    sizes = ["--n", str(size[0]), "--n-classes", str(size[1]), "--n-features", str(size[2])]
    for path in PATHS:
        command = [sys.executable, __file__, *sizes, "--path", path]
        seconds, grown = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        print(f"{path:<8} {float(seconds):6.2f} s, peak memory + {float(grown):6.0f} MiB")


if __name__ == "__main__":
    main()
