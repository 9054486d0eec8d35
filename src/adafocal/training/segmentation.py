# SPDX-License-Identifier: Apache-2.0
"""Results of a run that labels every voxel: pooled over all voxels and per case, one case in memory at a time.

Written into the run folder beside the rest::

    validation.parquet, test.parquet   at most about a million voxels, drawn alike from all cases
    cases.csv                          one row per test case: overlap, distance, topology, calibration
    cases.npz                          the best and the worst test case, for the page
"""

from pathlib import Path
from typing import Any

from torch import Tensor

from adafocal._files import write_rows
from adafocal._ranks import join_over_ranks
from adafocal.predictions import Predictions
from adafocal.results.folder import CASE_TABLE, CASES
from adafocal.scaling import fit_temperature
from adafocal.training.cases import Extremes, Shown, case_scores, mean_scores
from adafocal.training.classifier import Classifier
from adafocal.training.inference import predict_voxels
from adafocal.training.voxels import PooledVoxels

CALIBRATION = ("error", "nll", "ece")


def dense_results(trainer: Any, classifier: Classifier, folder: Path, *, checkpoint: Path | None) -> dict[str, object]:
    """Run the model over all parts but training; write what the run is to keep and return what it is to report.

    Of several processes each predicts its share of the cases, all know the results, and the first one writes.

    Args:
        trainer: Lightning's trainer that fitted the model.
        classifier: The model and its data.
        folder: The run folder.
        checkpoint: Weights; None takes those of the model.

    Returns:
        ``temperature``; per part a summary of calibration pooled over all voxels, without intervals, because voxels are
        not independent; ``test_scaled``; and ``segmentation``: per measure the mean over test cases, and calibration as
        ``voxels_pooled`` and ``voxels_per_case``.
    """
    splits, n_bins = classifier.splits, classifier.config.n_bins
    pooled: dict[str, PooledVoxels] = {}
    samples: dict[str, Predictions] = {}

    def predict(name: str, table: CaseTable) -> None:
        samples[name] = predict_voxels(
            classifier, splits.parts[name], each=table.add, trainer=trainer, checkpoint=checkpoint
        )
        table.join()
        pooled[name] = table.pooled

    for name in splits.parts:
        if name not in ("train", "test"):
            predict(name, CaseTable(n_bins))
    temperature = fit_temperature(samples.get("scaling", samples["validation"]))
    table = ScoreTable(classifier, temperature.temperature)
    predict("test", table)
    pooled["test_scaled"] = table.scaled
    if trainer.is_global_zero:
        for name, predictions in samples.items():
            predictions.save(folder / f"{name}.parquet")
        write_rows(folder / CASE_TABLE, table.rows)
        table.extremes.save(folder / CASES, splits.class_names)
    summaries = {name: sums.summary() for name, sums in pooled.items()}
    return {
        "temperature": temperature.temperature,
        **summaries,
        "segmentation": {
            **mean_scores(table.rows, splits.class_names),
            "voxels_pooled": {
                f"{name}{end}": value
                for end, part in (("", "test"), ("_scaled", "test_scaled"))
                for name, value in (
                    *((name, summaries[part][name]) for name in CALIBRATION),
                    ("ece_predicted_foreground", pooled[part].foreground_ece()),
                )
            },
            "voxels_per_case": {
                name: sum(row[name] for row in table.rows) / len(table.rows)
                for end in ("", "_scaled")
                for name in (f"{measure}{end}" for measure in CALIBRATION)
            },
        },
    }


class CaseTable:
    """Sums over the voxels of each case that this process predicts; after :meth:`join`, over those of all cases."""

    def __init__(self, n_bins: int) -> None:
        self.n_bins = n_bins
        self.pooled = PooledVoxels(n_bins=n_bins)
        self.cases: dict[int, Any] = {}

    def add(self, place: int, inputs: Tensor, logits: Tensor, labels: Tensor, rows: Tensor, flat: Tensor) -> None:
        """Add a case: what :func:`~adafocal.training.inference.predict_voxels` hands on."""
        case = PooledVoxels(n_bins=self.n_bins)
        case.add(rows, flat)
        self.cases[place] = case

    def join(self) -> None:
        """Pool the cases of all processes in their order, so that sums are those of one process."""
        for case in join_over_ranks(self.cases).values():
            self.pooled.include(case)


class ScoreTable(CaseTable):
    """One row of scores per test case, with calibration before and after scaling, and the best and worst case."""

    def __init__(self, classifier: Classifier, temperature: float) -> None:
        super().__init__(classifier.config.n_bins)
        self.splits = classifier.splits
        self.scaled = PooledVoxels(n_bins=self.n_bins, temperature=temperature)
        self.rows: list[dict[str, Any]] = []
        self.extremes = Extremes()

    def add(self, place: int, inputs: Tensor, logits: Tensor, labels: Tensor, rows: Tensor, flat: Tensor) -> None:
        """Add a case with its scores."""
        before, after = (
            PooledVoxels(n_bins=self.n_bins),
            PooledVoxels(n_bins=self.n_bins, temperature=self.scaled.temperature),
        )
        own, scaled = before.add(rows, flat), after.add(rows, flat)
        source = int(self.splits.test.index[place])
        name = str(source) if self.splits.case_names is None else self.splits.case_names[source]
        scores = case_scores(logits.argmax(0), labels, self.splits.class_names)
        row = {"case": name, **scores, **own, **{f"{key}_scaled": value for key, value in scaled.items()}}
        self.cases[place] = (before, after, row)
        self.extremes.add(Shown(name, scores["dice"], inputs[0], labels, logits.softmax(0), place))

    def join(self) -> None:
        """Pool the cases of all processes, and find the best and the worst of them."""
        for before, after, row in join_over_ranks(self.cases).values():
            self.pooled.include(before)
            self.scaled.include(after)
            self.rows.append(row)
        found = [case for case in (self.extremes.best, self.extremes.worst) if case is not None]
        self.extremes = Extremes()
        for case in join_over_ranks({case.place: case for case in found}).values():
            self.extremes.add(case)
