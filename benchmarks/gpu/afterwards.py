# SPDX-License-Identifier: Apache-2.0
"""What the logits of a stage say afterwards: every scaling fitted on validation data, and paired differences.

python benchmarks/gpu/afterwards.py runs/gpu [--out docs/results/gpu_scaled.csv]

For each ``STAGE-logits.npz`` of the folder: error, NLL and ECE of the test part as trained and after each scaling, and
what ``adafocal.compare`` says of each loss as trained against cross-entropy after the scaling that does best when it is
fitted on one half of the validation part and measured on the other.
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
    """Measure each run of a stage as trained and after each scaling, and print the differences."""
    rows: list[dict[str, object]] = []
    stage = path.name.removesuffix("-logits.npz")
    with np.load(path) as stored:
        runs = sorted({name.rsplit(".", 1)[0] for name in stored if not name.startswith("labels")})
        tests: dict[str, Predictions] = {}
        for run in runs:
            name, kept = run.rsplit(".", 1)
            loss, seed = name.rsplit("-", 1)
            validation, test = (records(stored, run, part) for part in ("validation", "test"))
            fitted = {method: fit(validation) for method, fit in FITS.items()}
            base = loss == "cross_entropy"
            best = min(FITS, key=lambda method: by_halves(validation, FITS[method])) if base else "none"
            after = {"none": test} | {method: scaling.apply(test) for method, scaling in fitted.items()}
            tests |= {run: test, f"{run} + {best}": after[best]} if base else {run: test}
            for method, predictions in after.items():
                found = evaluate(predictions)
                row = {"stage": stage, "loss": loss, "seed": seed, "kept": kept, "scaling": method}
                rows.append(
                    {**row, "chosen": int(base and method == best), "error": 1 - found.accuracy, "nll": found.nll}
                    | {"ece": found.ece, "ece_debiased": found.ece_debiased, "brier": found.brier}
                )
    show(stage, tests)
    return rows


def records(stored: Any, run: str, part: str) -> Predictions:
    labels = torch.from_numpy(stored[f"labels.{part}"]).long()
    return Predictions(logits=torch.from_numpy(stored[f"{run}.{part}"]).float(), labels=labels)


def by_halves(validation: Predictions, fit: Callable[[Predictions], Any]) -> float:
    """Measure the NLL of a scaling that is fitted on one half of the validation part and read on the other."""
    place = torch.randperm(len(validation), generator=torch.Generator().manual_seed(0))
    first, second = place.chunk(2)
    return sum(
        evaluate(fit(validation[fitted]).apply(validation[read])).nll * len(read)
        for fitted, read in ((first, second), (second, first))
    ) / len(validation)


def show(stage: str, tests: dict[str, Predictions]) -> None:
    """Print differences, paired over the test rows, with 95 % intervals and verdicts that are corrected (Holm)."""
    for kept in ("last", "refined"):
        chosen = {name: one for name, one in tests.items() if name.split(" + ")[0].endswith(f".{kept}")}
        base = next(name for name in chosen if name.startswith("cross_entropy") and " + " in name)
        found = af.compare(chosen, baseline=base)
        print(f"\n{stage}, {kept} epoch, minus {base}")
        for name in chosen:
            if name == base:
                continue
            cells = []
            for measure, one in found[name].versus_baseline.items():
                cells.append(f"{measure} {one.value:+.4f} [{one.low:+.4f}, {one.high:+.4f}] {one.verdict}")
            print(f"  {name}: " + "; ".join(cells))


if __name__ == "__main__":
    main()
