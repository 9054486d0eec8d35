# SPDX-License-Identifier: Apache-2.0
"""Segment the hippocampus with several losses and seeds, and print the table of docs/segmentation.md.

Runs that are finished are read, so the command can be stopped and repeated, or shared between processes by loss:

    python benchmarks/hippocampus.py --data ~/data --losses cross_entropy focal --folder runs/hippocampus
"""

import argparse
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import torch

from adafocal.recipes import get_recipe
from adafocal.results.run import Summary
from adafocal.training.run import run

ALL = ("cross_entropy", "focal", "topology_aware_focal", "adafocal")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder that holds hippocampus3d or Task04_Hippocampus")
    parser.add_argument("--recipe", default="hippocampus-unet3d-short")
    parser.add_argument("--losses", nargs="+", default=ALL)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--folder", type=Path, default=Path("runs/hippocampus"))
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    summaries = {loss: [] for loss in options.losses}
    for seed in options.seeds:
        for loss in options.losses:
            config = get_recipe(options.recipe).settings(loss)
            config = replace(config, seed=seed, data=replace(config.data, root=options.data))
            summaries[loss].append(run(config, options.folder / f"{loss}-s{seed}", progress=False))
    print_tables(summaries)


def print_tables(summaries: dict[str, list[Summary]]) -> None:
    print("| loss | Dice | HD95, voxels | β0 error | β1 error | β2 error |\n|---|---|---|---|---|---|")
    for loss, found in summaries.items():
        measures = [[s.segmentation[f"betti{dim}_error"]["mean"] for s in found] for dim in range(3)]
        dice, distance = ([s.segmentation[name]["mean"] for s in found] for name in ("dice", "hausdorff95"))
        cells = [spread(dice, 3), spread(distance, 2), *(spread(values, 2) for values in measures)]
        print(f"| `{loss}` | " + " | ".join(cells) + " |")
    print("\n| loss | ECE, pooled | ECE, per case | ECE, predicted foreground | NLL | T |\n|---|---|---|---|---|---|")
    for loss, found in summaries.items():
        pooled, per_case = ([s.segmentation[f"voxels_{kind}"] for s in found] for kind in ("pooled", "per_case"))
        cells = [
            both(pooled, "ece", 100, 2),
            both(per_case, "ece", 100, 2),
            both(pooled, "ece_predicted_foreground", 100, 2),
            both(pooled, "nll", 1, 4),
            spread([s.temperature for s in found], 2),
        ]
        print(f"| `{loss}` | " + " | ".join(cells) + " |")


def both(found: list[dict], name: str, scale: float, digits: int) -> str:
    before, after = ([scale * numbers[name + end] for numbers in found] for end in ("", "_scaled"))
    return f"{spread(before, digits)} → {spread(after, digits)}"


def spread(values: list[float], digits: int) -> str:
    deviation = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{deviation}"


if __name__ == "__main__":
    main()
