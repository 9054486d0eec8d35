# SPDX-License-Identifier: Apache-2.0
"""What the logits of a stage say afterwards: every scaling fitted on validation data, and paired differences.

python benchmarks/gpu/afterwards.py runs/gpu [--out FILE.csv]

For each ``STAGE-logits.npz`` of the folder: what ``adafocal.compare`` says of each loss as trained, seed 0, against
cross-entropy after temperature; and error, NLL and ECE of the test part as trained and after each scaling.
"""

import argparse
import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import adafocal as af
from adafocal import Predictions
from adafocal.calibration import evaluate
from adafocal.scaling import fit_dirichlet, fit_matrix, fit_temperature, fit_vector

FITS: dict[str, Callable[[Predictions], Any]] = {
    "temperature": fit_temperature,
    "vector": fit_vector,
    "matrix": fit_matrix,
    "dirichlet": fit_dirichlet,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for path in sorted(options.folder.glob("*-logits.npz")) for row in scaled(path)]
    if options.out is not None:
        with options.out.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            table.writeheader()
            table.writerows(
                {name: f"{value:.5g}" if isinstance(value, float) else value for name, value in row.items()}
                for row in rows
            )


def scaled(path: Path) -> list[dict[str, object]]:
    """Print the differences between the runs of a stage, and measure each as trained and after each scaling."""
    rows: list[dict[str, object]] = []
    stage = path.name.removesuffix("-logits.npz")
    with np.load(path) as stored:
        runs = sorted({name.rsplit(".", 1)[0] for name in stored if not name.startswith("labels")})
        parts = {run: [records(stored, run, part) for part in ("validation", "test")] for run in runs}
    show(stage, parts)
    for run, (validation, test) in parts.items():
        name, kept = run.rsplit(".", 1)
        loss, seed = name.rsplit("-", 1)
        for method, predictions in {"none": test, **after(validation, test)}.items():
            found = evaluate(predictions)
            row = {"stage": stage, "loss": loss, "seed": seed, "kept": kept, "scaling": method}
            numbers = {"nll": found.nll, "ece": found.ece, "ece_debiased": found.ece_debiased, "brier": found.brier}
            rows.append({**row, "error": 1 - found.accuracy, **numbers})
    return rows


def after(validation: Predictions, test: Predictions) -> dict[str, Predictions]:
    return {method: fit(validation).apply(test) for method, fit in FITS.items()}


def records(stored: Any, run: str, part: str) -> Predictions:
    labels = torch.from_numpy(stored[f"labels.{part}"]).long()
    return Predictions(logits=torch.from_numpy(stored[f"{run}.{part}"]).float(), labels=labels)


def show(stage: str, parts: dict[str, list[Predictions]]) -> None:
    """Print differences, paired over the test rows, with 95 % intervals and verdicts that are corrected (Holm)."""
    for kept in ("last", "refined"):
        tests = {run.split("-")[0]: test for run, (_, test) in parts.items() if run.endswith(f".{kept}")}
        base, (validation, test) = f"cross_entropy-0.{kept}", parts[f"cross_entropy-0.{kept}"]
        found = af.compare({base: fit_temperature(validation).apply(test), **tests}, baseline=base)
        print(f"\n{stage}, {kept} epoch, minus cross-entropy after temperature", flush=True)
        for name in tests:
            cells = [
                f"{measure} {one.value:+.4f} [{one.low:+.4f}, {one.high:+.4f}] {one.verdict}"
                for measure, one in found[name].versus_baseline.items()
            ]
            print(f"  {name}: " + "; ".join(cells), flush=True)


if __name__ == "__main__":
    main()
