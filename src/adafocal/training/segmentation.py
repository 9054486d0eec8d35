# SPDX-License-Identifier: Apache-2.0
"""Results of a run that labels every voxel: pooled over all voxels and per case, one case in memory at a time.

Written into the run folder beside the rest::

    validation.parquet, test.parquet   at most about a million voxels, drawn alike from all cases
    cases.csv                          one row per test case: overlap, distance, topology, calibration
    cases.npz                          the best and the worst test case, for the page
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adafocal._checks import require
from adafocal._files import write_rows
from adafocal.data import Split
from adafocal.predictions import Predictions
from adafocal.results.folder import CASE_TABLE, CASES
from adafocal.scaling import fit_temperature
from adafocal.training.batches import TensorBatches
from adafocal.training.cases import Extremes, Shown, case_scores, mean_scores
from adafocal.training.classifier import Classifier
from adafocal.training.voxels import PooledVoxels, VoxelSample, counted_rows

require("lightning.pytorch", extra="train")

import lightning.pytorch as L  # noqa: E402

CALIBRATION = ("error", "nll", "ece")
Consumer = Callable[[Tensor, Tensor, Tensor], None]


class EachCase(L.Callback):
    """Hand inputs, logits and labels of each case to a function while ``Trainer.predict`` runs, and keep none."""

    def __init__(self, consume: Consumer) -> None:
        self.consume = consume

    def on_predict_batch_end(
        self,
        trainer: Any,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Pass the batch on, case by case."""
        for inputs, logits, labels in zip(batch[0].cpu(), outputs.float().cpu(), batch[1].cpu(), strict=True):
            self.consume(inputs, logits, labels)


def dense_results(
    trainer: L.Trainer, classifier: Classifier, folder: Path, *, checkpoint: Path | None
) -> dict[str, object]:
    """Run the model over all parts but training; write what the run is to keep and return what it is to report.

    Of several processes each predicts all cases, and the first one writes.

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
    pooled = {name: PooledVoxels(n_bins=n_bins) for name in splits.parts if name != "train"}
    samples = {
        name: _predict(trainer, classifier, splits.parts[name], pooled[name], checkpoint)
        for name in pooled
        if name != "test"
    }
    temperature = fit_temperature(samples.get("scaling", samples["validation"]))
    pooled["test_scaled"] = PooledVoxels(n_bins=n_bins, temperature=temperature.temperature)
    table = CaseTable(classifier, pooled["test_scaled"])
    samples["test"] = _predict(trainer, classifier, splits.test, pooled["test"], checkpoint, table.add)
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
    """One row of scores per test case, with calibration before and after scaling, and the best and worst case."""

    def __init__(self, classifier: Classifier, scaled: PooledVoxels) -> None:
        self.splits = classifier.splits
        self.scaled = scaled
        self.rows: list[dict[str, Any]] = []
        self.extremes = Extremes()

    def add(self, inputs: Tensor, logits: Tensor, labels: Tensor, own: dict[str, float]) -> None:
        """Add the next case of the test part; ``own`` is its calibration before scaling."""
        place = int(self.splits.test.index[len(self.rows)])
        name = str(place) if self.splits.case_names is None else self.splits.case_names[place]
        scores = case_scores(logits.argmax(0), labels, self.splits.class_names)
        after = self.scaled.add(*counted_rows(logits[None], labels))
        self.rows.append({"case": name, **scores, **own, **{f"{key}_scaled": value for key, value in after.items()}})
        self.extremes.add(Shown(name, scores["dice"], inputs[0], labels, logits.softmax(0)))


def _predict(
    trainer: Any,
    classifier: Classifier,
    split: Split,
    pooled: PooledVoxels,
    checkpoint: Path | None,
    consume: Callable[[Tensor, Tensor, Tensor, dict[str, float]], None] | None = None,
) -> Predictions:
    """Predict a part case by case: pool its voxels, hand each case on, and give a sample of the voxels."""
    sample = VoxelSample(split.labels, seed=classifier.config.seed)
    kept: list[tuple[Tensor, Tensor]] = []

    def each(inputs: Tensor, logits: Tensor, labels: Tensor) -> None:
        rows, flat = counted_rows(logits[None], labels)
        own, chosen = pooled.add(rows, flat), sample.choose(len(flat))
        kept.append((rows[chosen], flat[chosen]))
        if consume is not None:
            consume(inputs, logits, labels, own)

    recorder = EachCase(each)
    trainer.callbacks.append(recorder)
    try:
        batches = TensorBatches(split, classifier.config.batch_size)
        trainer.predict(classifier, batches, return_predictions=False, ckpt_path=checkpoint, weights_only=True)
    finally:
        trainer.callbacks.remove(recorder)
    rows, labels = (torch.cat(parts) for parts in zip(*kept, strict=True))
    return Predictions(logits=rows, labels=labels)
