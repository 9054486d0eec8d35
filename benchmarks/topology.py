# SPDX-License-Identifier: Apache-2.0
"""Time forward and backward of the topology-aware focal loss over cripser's own time on the same volumes.

    python benchmarks/topology.py [--sizes 32 64 96] [--batch 1] [--workers 1] [--repeats 5] [--kinds smooth noisy]
    python benchmarks/topology.py --matching    # the solvers: errors of Sinkhorn-Knopp, time of the assignment

Both sides see the same volumes, prediction and truth, in as many threads; they alternate, and the medians of their
ratios are printed. A "noisy" prediction is a shell with independent noise per voxel, as of a network at its start
(a hundred thousand points at 64³); a "smooth" one has the same noise blurred over a few voxels.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cripser
import torch
import torch.nn.functional as F
from torch import Tensor

from adafocal.losses.topology import TopologyAwareFocalLoss
from adafocal.topology.wasserstein import wasserstein_distance

GOAL = 1.3


def shell(size: int) -> Tensor:
    """Give a hollow sphere: one component, one cavity."""
    axis = torch.linspace(-1, 1, size)
    radius = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).norm(dim=0)
    return ((radius > 0.4) & (radius < 0.7)).long()


def make_batch(size: int, batch: int, kind: str) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = shell(size).expand(batch, size, size, size).contiguous()
    noise = torch.randn(batch, 1, size, size, size, generator=generator)
    if kind == "smooth":
        for _ in range(3):
            noise = F.avg_pool3d(noise, 3, stride=1, padding=1)
        noise = noise / noise.std()
    evidence = 2.0 * (2 * labels - 1) + noise[:, 0]
    return torch.stack([-evidence / 2, evidence / 2], dim=1).requires_grad_(), labels


def seconds(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def measure(size: int, batch: int, kind: str, workers: int, repeats: int) -> tuple[float, float]:
    """Give the median seconds of cripser and the median ratio of the loss to it."""
    logits, labels = make_batch(size, batch, kind)
    probs = logits.detach().softmax(1)[:, 1].double()
    volumes = [(-volume).numpy() for volume in (*probs, *labels.double())]
    criterion = TopologyAwareFocalLoss(workers=workers)

    def loss() -> None:
        logits.grad = None
        criterion(logits, labels).backward()

    with ThreadPoolExecutor(workers) as pool:
        alone: list[float] = []
        ratios: list[float] = []
        for _ in range(repeats + 1):
            alone.append(seconds(lambda: list(pool.map(lambda v: cripser.compute_ph(v, maxdim=2), volumes))))
            ratios.append(seconds(loss) / alone[-1])
    return statistics.median(alone[1:]), statistics.median(ratios[1:])


def matching() -> None:
    """Print how far Sinkhorn-Knopp is from the exact distance, and how long an assignment takes."""
    generator = torch.Generator().manual_seed(0)

    def diagram(n: int) -> Tensor:
        points = torch.rand(n, 2, dtype=torch.float64, generator=generator)
        return points.sort(dim=1, descending=True).values

    sizes = torch.randint(5, 61, (100, 2), generator=generator).tolist()
    pairs = [(diagram(n), diagram(m)) for n, m in sizes]
    for epsilon in (0.01, 0.001):
        errors = [
            100 * float(wasserstein_distance(a, b, solver="sinkhorn", epsilon=epsilon) / wasserstein_distance(a, b) - 1)
            for a, b in pairs
        ]
        middle = statistics.median(abs(error) for error in errors)
        print(f"epsilon {epsilon}: {min(errors):+.1f} to {max(errors):+.1f} %, median of the absolute {middle:.1f} %")
    for n in (250, 500, 1000):
        a, b = diagram(n), diagram(n)
        start = time.process_time()
        wasserstein_distance(a, b, max_points=n)
        print(f"{n} and {n} points: {time.process_time() - start:.2f} s of a processor")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64, 96])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--kinds", nargs="+", choices=["smooth", "noisy"], default=["smooth", "noisy"])
    parser.add_argument("--matching", action="store_true", help="the solvers instead")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.matching:
        matching()
        return
    print(f"batch {options.batch}, {options.workers} threads, medians of {options.repeats}; goal: at most {GOAL}")
    print(f"torch {torch.__version__}, cripser {cripser.__version__}, {platform.machine()}")
    print(f"{'size':>4} {'prediction':<10} {'cripser alone':>14} {'loss / cripser':>15}")
    for size in options.sizes:
        for kind in options.kinds:
            alone, ratio = measure(size, options.batch, kind, options.workers, options.repeats)
            print(f"{size:>4} {kind:<10} {1e3 * alone:>11.0f} ms {ratio:>15.2f}", flush=True)


if __name__ == "__main__":
    main()
