# SPDX-License-Identifier: Apache-2.0
"""Coverage of the intervals of accuracy and over-confidence where rows belong together, with and without clusters.

python benchmarks/cluster_intervals.py --repeats 2000

Each setting draws clusters whose rows share a part of their logit that the model does not see, so that a cluster is
right or wrong together; the model is calibrated on average, and the true accuracy and gap come from 4 million rows.
"""

import argparse
from dataclasses import replace

import torch
from torch import Tensor

from adafocal import Outcomes
from adafocal.calibration import StreamSums, stream_sums
from adafocal.calibration.catalogue import CATALOGUE

# Number of clusters, mean number of rows of one, whether sizes vary, spread of what a cluster shares (logit), weights.
SETTINGS = (
    (20, 20, False, 1.0, False),
    (50, 20, False, 1.0, False),
    (50, 20, False, 2.0, False),
    (50, 20, True, 1.0, False),
    (50, 20, True, 1.0, True),
    (200, 5, True, 2.0, False),
    (200, 20, False, 0.0, False),
    (1000, 3, True, 1.0, True),
)


def main() -> None:
    """Print a table of coverages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2000, help="data sets per setting")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers")
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(options.seed)
    print("| clusters | rows of one | shared | weights | accuracy | over-confidence | without clusters |")
    print("|--:|--:|--:|---|--:|--:|--:|")
    for clusters, rows, vary, spread, weighted in SETTINGS:
        accuracy, gap = truth(spread, generator)
        hits = torch.zeros(4)
        for _ in range(options.repeats):
            data = draw(clusters, rows, vary, spread, weighted, generator)
            found = stream_sums(Outcomes(**data))
            alone = replace(found, clusters=None)
            hits += torch.tensor([covers(one, accuracy, gap) for one in (found, alone)]).flatten()
        share = 100 * hits / options.repeats
        size, weights = f"{rows}{', vary' if vary else ''}", "exponential" if weighted else "none"
        cells = (f"{share[0]:.1f} %", f"{share[1]:.1f} %", f"{share[2]:.1f} and {share[3]:.1f} %")
        print(f"| {clusters} | {size} | {spread:g} | {weights} | {' | '.join(cells)} |", flush=True)


def draw(
    clusters: int, rows: int, vary: bool, spread: float, weighted: bool, generator: torch.Generator
) -> dict[str, Tensor]:
    """Draw rows of clusters."""
    size = torch.full((clusters,), rows)
    if vary:
        size = torch.poisson(torch.full((clusters,), rows - 1.0), generator=generator).long() + 1
    cluster = torch.arange(clusters).repeat_interleave(size)
    shared = spread * torch.randn(clusters, generator=generator)[cluster]
    logit = 0.5 + torch.randn(len(cluster), generator=generator)
    correct = torch.rand(len(cluster), generator=generator) < (logit + shared).sigmoid()
    data = {"confidence": logit.sigmoid(), "correct": correct, "cluster": cluster}
    if weighted:
        data["weight"] = torch.empty(len(cluster)).exponential_(generator=generator)
    return data


def truth(spread: float, generator: torch.Generator) -> tuple[float, float]:
    """Estimate accuracy and gap from many clusters of one row."""
    data = draw(4_000_000, 1, False, spread, False, generator)
    accuracy = data["correct"].double().mean()
    return float(accuracy), float(data["confidence"].double().mean() - accuracy)


def covers(sums: StreamSums, accuracy: float, gap: float) -> list[bool]:
    """Tell which intervals hold the truth."""
    found = []
    for name, value in (("accuracy", accuracy), ("overconfidence", gap)):
        low, high = CATALOGUE[name].ends(sums)
        found.append(bool(low <= value <= high))
    return found


if __name__ == "__main__":
    main()
