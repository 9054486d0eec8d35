# SPDX-License-Identifier: Apache-2.0
"""Segment the hippocampus with several losses and seeds, and print the tables of docs/segmentation.md.

Runs that are finished are read, so the command can be stopped and repeated, or shared between processes by loss:

    python benchmarks/hippocampus.py --data ~/data --losses cross_entropy focal --folder runs/hippocampus
    python benchmarks/hippocampus.py --data ~/data --output docs/results/hippocampus_losses.csv
    python benchmarks/hippocampus.py --tables docs/results/hippocampus_losses.csv  # no run, the tables alone
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from monai.losses import DiceLoss
from seeds import ENDS, Runs, print_differences, print_means, read_runs, write_runs
from torch import Tensor
from torch.nn import functional as F

from adafocal.data.volumes import IGNORED
from adafocal.losses.catalogue import LOSSES
from adafocal.recipes import get_recipe
from adafocal.results.run import Summary
from adafocal.training.run import run

FOREGROUND = {"streaming": True, "ignore_predicted": 0}
# What is compared: a loss and its arguments; None are those of the recipe.
VARIANTS = {
    "cross_entropy": ("cross_entropy", None),
    "dice_cross_entropy": ("hippocampus:dice_cross_entropy", None),
    "focal": ("focal", None),
    "topology_aware_focal": ("topology_aware_focal", None),
    "l1_ace": ("l1_ace", None),
    "dice_l1_ace": ("l1_ace", {"base": "hippocampus:dice_cross_entropy"}),
    "nacl": ("nacl", None),
    "adafocal_pooled": ("adafocal", {"streaming": True}),
    "adafocal_foreground": ("adafocal", FOREGROUND),
    "adafocal_per_class": ("adafocal_per_class", FOREGROUND),
    "adafocal_predictive": ("adafocal", {**FOREGROUND, "pooled_rate": "predictive"}),
}
BASELINE = "cross_entropy"
OF_CASES = ("dice", "hausdorff95", "betti0_error", "betti1_error", "betti2_error")
ERRORS = ("class_ace", "class_ece", "class_mce")


def dice_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of the voxels that count plus MONAI's soft Dice loss of all classes over them."""
    known = (labels != IGNORED).unsqueeze(1)
    mask = F.one_hot(labels.clamp(min=0), logits.shape[1]).movedim(-1, 1)
    dice = DiceLoss()(logits.softmax(1) * known, mask * known)
    return F.cross_entropy(logits, labels, ignore_index=IGNORED) + dice


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder that holds hippocampus3d or Task04_Hippocampus")
    parser.add_argument("--recipe", default="hippocampus-unet3d-short")
    parser.add_argument("--losses", nargs="+", default=VARIANTS, choices=VARIANTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--folder", type=Path, default=Path("runs/hippocampus"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, help="write every run's measures into this CSV file")
    parser.add_argument("--tables", type=Path, help="print the tables of such a file instead of running")
    options = parser.parse_args()
    if options.tables is not None:
        print_tables(read_runs(options.tables)[""])
        return
    if options.data is None:
        parser.error("--data is needed to run")
    torch.set_num_threads(options.threads)
    found: Runs = {loss: {} for loss in options.losses}
    for seed in options.seeds:
        for loss in options.losses:
            summary = run(settings(loss, seed, options), options.folder / f"{loss}-s{seed}", progress=False)
            found[loss][seed] = measures(summary)
    if options.output is not None:
        rows = [{"loss": loss, "seed": seed, **row} for loss, seeds in found.items() for seed, row in seeds.items()]
        write_runs(rows, options.output)
        found = read_runs(options.output)[""]  # so that the tables are those of the file, to the last digit
    print_tables(found)


def settings(loss: str, seed: int, options: argparse.Namespace):
    name, arguments = VARIANTS[loss]
    config = get_recipe(options.recipe).settings(name if name in LOSSES else BASELINE)
    config = replace(config, loss=name, loss_args=config.loss_args if arguments is None else arguments)
    return replace(config, seed=seed, data=replace(config.data, root=options.data))


def measures(summary: Summary) -> dict[str, float]:
    """Flatten what a run found: of each measure of cases the class mean and each class, before and after scaling."""
    segmentation = summary.everything["segmentation"]
    found = {"temperature": summary.temperature}
    for name in (*OF_CASES, *(f"{error}{end}" for end in ENDS for error in ERRORS)):
        found |= {name if of == "mean" else f"{name}_{of}": value for of, value in segmentation[name].items()}
    pooled = segmentation["voxels_pooled"]
    for end in ENDS:
        found |= {f"pooled_{name}{end}": pooled[f"{name}{end}"] for name in ("ece", "ece_predicted_foreground", "nll")}
        found[f"case_ece{end}"] = segmentation["voxels_per_case"][f"ece{end}"]
    return found


def print_tables(found: Runs) -> None:
    """Print overlap and topology; calibration before and after temperature; each class; what differs beyond chance."""
    overlap = {"Dice": ("dice", 1, 3), "HD95": ("hausdorff95", 1, 2), "components": ("betti0_error", 1, 2)}
    overlap |= {"tunnels": ("betti1_error", 1, 2), "cavities": ("betti2_error", 1, 2)}
    classes = {"ACE": ("class_ace{end}", 100, 2), "ECE": ("class_ece{end}", 100, 3), "MCE": ("class_mce{end}", 100, 1)}
    each = {
        f"{error}, {name}": (f"class_{error.lower()}{{end}}_{name}", 100, digits)
        for error, digits in (("ACE", 2), ("ECE", 3))
        for name in ("anterior", "posterior")
    }
    voxels = {"ECE, per case": ("case_ece{end}", 100, 2), "ECE, pooled": ("pooled_ece{end}", 100, 2)}
    voxels |= {"ECE, foreground": ("pooled_ece_predicted_foreground{end}", 100, 2), "NLL": ("pooled_nll{end}", 1, 4)}
    voxels |= {"T": ("temperature", 1, 2)}
    for columns in (overlap, classes, each, voxels):
        print_means(found, columns)
    shown = {"Dice": overlap["Dice"], "ACE": ("class_ace", 100, 2), "ACE, scaled": ("class_ace_scaled", 100, 2)}
    shown |= {"ECE": ("class_ece", 100, 3), "ECE, foreground": ("pooled_ece_predicted_foreground", 100, 2)}
    shown |= {"NLL": ("pooled_nll", 1, 4), "NLL, scaled": ("pooled_nll_scaled", 1, 4)}
    if BASELINE in found:
        print_differences(found, shown, baseline=BASELINE)


if __name__ == "__main__":
    main()
