# SPDX-License-Identifier: Apache-2.0
"""Results of a run that labels every voxel: pooled over all voxels and per case, one case in memory at a time.

Written into the run folder beside the rest::

    validation.parquet, test.parquet   at most about a million voxels, drawn alike from all cases, with their `case`
    cases.csv                          one row per test case: overlap, distance, topology, calibration
    cases.npz                          the best and the worst test case, for the page
"""

from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from torch import Tensor

from adafocal._files import write_rows
from adafocal._ranks import join_over_ranks
from adafocal.data.splits import DataSplits
from adafocal.predictions import Predictions
from adafocal.results.folder import CASE, CASE_TABLE, CASES
from adafocal.scaling import fit_temperature
from adafocal.training.cases import (
    CLASS_ERRORS,
    MEASURES,
    Extremes,
    Rows,
    Shown,
    by_names,
    case_scores,
    mean_intervals,
    mean_scores,
)
from adafocal.training.classifier import Classifier
from adafocal.training.inference import CaseConsumer, predict_voxels
from adafocal.training.voxels import VoxelSums

CALIBRATION, ENDS = ("error", "nll", "ece"), ("", "_scaled")


def dense_results(trainer: Any, classifier: Classifier, folder: Path, *, checkpoint: Path | None) -> dict[str, object]:
    """Run the model over all parts but training; write what the run is to keep and return what it is to report.

    Of several processes each predicts its share of the cases, all know the results, and the first one writes.

    Args:
        trainer: Lightning's trainer that fitted the model.
        classifier: The model and its data.
        folder: The run folder.
        checkpoint: Weights; None takes those of the model.

    Returns:
        ``temperature``; per part a summary of calibration pooled over all voxels, whose intervals and verdict come from
        cases as clusters, because voxels are not independent; ``test_scaled``; and ``segmentation``: per measure the
        mean over test cases, also of the calibration of each class (``class_ece`` and the like), calibration of the top
        label as ``voxels_pooled`` and ``voxels_per_case``, and ``intervals`` over cases of the means. Pooled voxels
        that are not called background have a summary of their own, ``predicted_foreground``.
    """
    splits, n_bins = classifier.splits, classifier.config.n_bins
    pooled: dict[str, VoxelSums] = {}
    samples: dict[str, Predictions] = {}

    def predict(name: str, each: CaseConsumer) -> None:
        part = splits.parts[name]
        samples[name] = predict_voxels(classifier, part, each=each, trainer=trainer, checkpoint=checkpoint)

    for name in splits.parts:
        if name not in ("train", "test"):
            cases = CaseSums(n_bins)
            predict(name, cases.add)
            pooled[name] = cases.pooled()
    temperature = fit_temperature(samples.get("scaling", samples["validation"]))
    table = ScoreTable(classifier, temperature.temperature)
    predict("test", table.add)
    pooled |= {"test": table.before.pooled(), "test_scaled": table.after.pooled()}
    rows, extremes = table.joined()
    if trainer.is_global_zero:
        for name, predictions in samples.items():
            save_voxels(predictions, folder / f"{name}.parquet", splits, name)
        write_rows(folder / CASE_TABLE, rows)
        extremes.save(folder / CASES, splits.class_names)
    summaries = {name: sums.summary() for name, sums in pooled.items()}
    return {
        "temperature": temperature.temperature,
        **summaries,
        "segmentation": _of_cases(rows, splits.class_names) | {"voxels_pooled": _of_voxels(summaries, pooled)},
    }


def _of_cases(rows: Rows, class_names: Sequence[str]) -> dict[str, object]:
    """Average what was measured of each case, with intervals over cases."""
    per_case = [f"{name}{end}" for end in ENDS for name in CALIBRATION]
    classes = [f"{name}{end}" for end in ENDS for name in CLASS_ERRORS]
    return {
        **mean_scores(rows, class_names, [*MEASURES, *classes]),
        "voxels_per_case": {name: sum(row[name] for row in rows) / len(rows) for name in per_case},
        "intervals": mean_intervals(rows, [*MEASURES, *classes, *per_case]),
    }


def _of_voxels(summaries: dict[str, dict[str, object]], pooled: dict[str, VoxelSums]) -> dict[str, object]:
    found: dict[str, object] = {}
    for end in ENDS:
        part = f"test{end}"
        found |= {f"{name}{end}": summaries[part][name] for name in CALIBRATION}
        foreground = pooled[part].of_foreground()
        found[f"ece_predicted_foreground{end}"] = foreground and foreground["ece"]
        found[f"predicted_foreground{end}"] = foreground
    return found


def save_voxels(predictions: Predictions, path: Path, splits: DataSplits, part: str) -> None:
    """Write voxels with the name of their case, by its place among those of the part."""
    assert predictions.cluster is not None
    names = [case_name(splits, part, place) for place in range(len(splits.parts[part]))]
    rows = Predictions(logits=predictions.logits, labels=predictions.labels, classes=predictions.classes)
    rows.save(path, **{CASE: [names[place] for place in predictions.cluster.tolist()]})


def case_name(splits: DataSplits, part: str, place: int) -> str:
    """Name a case of a part; one without a name by its row of the source."""
    source = int(splits.parts[part].index[place])
    return str(source) if splits.case_names is None else splits.case_names[source]


class CaseSums:
    """Sums over the voxels of each case that this process predicts, whose logits are divided by the temperature."""

    def __init__(self, n_bins: int, temperature: float = 1.0) -> None:
        self.n_bins = n_bins
        self.temperature = temperature
        self.cases: dict[int, VoxelSums] = {}

    def add(self, place: int, inputs: Tensor, logits: Tensor, labels: Tensor, rows: Tensor, flat: Tensor) -> None:
        """Add a case: what :func:`~adafocal.training.inference.predict_voxels` hands on."""
        sums = VoxelSums.of_case(rows, flat, n_bins=self.n_bins, temperature=self.temperature, case=place)
        self.cases[place] = sums

    def pooled(self) -> VoxelSums:
        """Pool the cases of all processes in their order, so that sums are those of one process."""
        return reduce(VoxelSums.merge, join_over_ranks(self.cases).values())


class ScoreTable:
    """One row of scores per test case, with calibration before and after scaling, and the best and worst case."""

    def __init__(self, classifier: Classifier, temperature: float) -> None:
        self.splits, n_bins = classifier.splits, classifier.config.n_bins
        self.before, self.after = CaseSums(n_bins), CaseSums(n_bins, temperature)
        self.rows: dict[int, dict[str, Any]] = {}
        self.extremes = Extremes()

    def add(self, place: int, inputs: Tensor, logits: Tensor, labels: Tensor, rows: Tensor, flat: Tensor) -> None:
        """Add a case with its scores."""
        for sums in (self.before, self.after):
            sums.add(place, inputs, logits, labels, rows, flat)
        names = self.splits.class_names
        own: dict[str, float] = {}
        classes: dict[str, list[float]] = {}
        for end, sums in zip(ENDS, (self.before, self.after), strict=True):
            found = sums.cases[place]
            own |= {f"{key}{end}": value for key, value in found.compute().items()}
            classes |= {f"{key}{end}": values for key, values in found.of_classes().items()}
        name = case_name(self.splits, "test", place)
        scores = case_scores(logits.argmax(0), labels, names)
        self.rows[place] = {"case": name, **scores, **own, **by_names(classes, names)}
        self.extremes.add(Shown(name, scores["dice"], inputs[0], labels, logits, place))

    def joined(self) -> tuple[list[dict[str, Any]], Extremes]:
        """Gather the rows of all processes, and the best and the worst of all cases."""
        extremes, found = Extremes(), (self.extremes.best, self.extremes.worst)
        for case in join_over_ranks({case.place: case for case in found if case is not None}).values():
            extremes.add(case)
        return list(join_over_ranks(self.rows).values()), extremes
