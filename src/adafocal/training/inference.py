# SPDX-License-Identifier: Apache-2.0
"""The one loop that runs a model over a split, and what is kept of it: of samples all, of voxels a sample."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adafocal._lightning import L
from adafocal._ranks import join_over_ranks, over_ranks
from adafocal.data import Split
from adafocal.errors import InvalidValueError
from adafocal.predictions import Predictions
from adafocal.training.batches import TensorBatches
from adafocal.training.classifier import Classifier
from adafocal.training.voxels import VoxelSample, counted_rows

# Takes inputs, logits in float32, labels, and features where they are asked for, of each batch.
Consumer = Callable[[Tensor, Tensor, Tensor, Tensor | None], None]
# Takes place, inputs, logits and labels of a case, and its voxels that count: logits (M, C) and labels (M,).
CaseConsumer = Callable[[int, Tensor, Tensor, Tensor, Tensor, Tensor], None]


@torch.no_grad()
def infer(
    classifier: Classifier,
    split: Split,
    consume: Consumer,
    *,
    trainer: Any = None,
    checkpoint: Path | None = None,
    features: bool = False,
) -> None:
    """Run the model over a split, in its order, and hand on each batch, of which nothing else is kept.

    With Lightning's trainer that fitted the model, precision, processes and weights (None: the model's own) are the
    trainer's, and each process runs over its share; without, as for a model loaded from its folder, this process does
    all. ``features`` asks for the penultimate layer, without a trainer.
    """
    if trainer is None:
        model: Any = classifier.network  # every model of the catalogue has features()
        size = 1 if classifier.splits.dense else classifier.config.evaluation_batch_size
        for inputs, labels in TensorBatches(split, size):
            ready = classifier.prepared(inputs, training=False)
            penultimate = model.features(ready).float() if features else None
            consume(inputs, classifier(ready).float(), labels, penultimate)
        return
    # A part with fewer samples than there are processes is predicted by each, rather than refused after a training.
    few = trainer.world_size > len(split)
    batches = TensorBatches(split, classifier.config.batch_size) if few else classifier.measuring_batches(split)
    recorder = _EachBatch(consume)
    trainer.callbacks.append(recorder)
    try:
        trainer.predict(classifier, batches, return_predictions=False, ckpt_path=checkpoint, weights_only=True)
    finally:
        trainer.callbacks.remove(recorder)


def ranks_of(trainer: Any, split: Split) -> int:
    """Count the processes that a split is shared out over."""
    return 1 if trainer is None or trainer.world_size > len(split) else int(trainer.world_size)


class _EachBatch(L.Callback):
    def __init__(self, consume: Consumer) -> None:
        self.consume = consume

    def on_predict_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self.consume(batch[0], outputs.float(), batch[1], None)


def predict_samples(
    classifier: Classifier, split: Split, *, trainer: Any = None, checkpoint: Path | None = None, features: bool = False
) -> Predictions:
    """Predict all samples of a split, in its order, on the CPU, in every process; see :func:`infer`."""
    found: list[Tensor] = []
    kept: list[Tensor] = []

    def keep(_: Tensor, logits: Tensor, __: Tensor, penultimate: Tensor | None) -> None:
        found.append(logits)
        if penultimate is not None:
            kept.append(penultimate.flatten(1))

    infer(classifier, split, keep, trainer=trainer, checkpoint=checkpoint, features=features)
    logits, ranks = torch.cat(found), ranks_of(trainer, split)
    if ranks > 1:
        gathered = over_ranks(logits.flatten().to(classifier.device)).view(-1, *logits.shape[1:])
        order = torch.cat([torch.arange(len(split))[rank::ranks] for rank in range(ranks)])
        logits = torch.empty_like(gathered).index_copy_(0, order.to(gathered.device), gathered)
    penultimate = torch.cat(kept) if features else None
    _check_converged(logits)
    classes = classifier.splits.names
    return Predictions(logits=logits.cpu(), labels=split.labels.cpu(), features=penultimate, classes=classes)


def _check_converged(logits: Tensor) -> None:
    if bool((logits.isnan() | logits.isposinf()).any()):
        raise InvalidValueError(
            "The training must end with finite numbers, got logits that are NaN or infinite: it diverged. Lower "
            "`optimizer.lr`, bound the gradient by `optimizer.clip_norm`, or look at the loss for what gives NaN."
        )


def predict_voxels(
    classifier: Classifier,
    split: Split,
    *,
    each: CaseConsumer | None = None,
    trainer: Any = None,
    checkpoint: Path | None = None,
    features: bool = False,
) -> Predictions:
    """Predict volumes case by case, each process its share, and keep a sample of all voxels; see :func:`infer`.

    The sample is in the order of the cases, on the CPU, in every process, and the same for any number of processes;
    its clusters are the places of the cases in the split.
    """
    sample = VoxelSample(split.labels, seed=classifier.config.seed)
    ranks = ranks_of(trainer, split)
    places = iter(range(0 if ranks == 1 else trainer.global_rank, len(split), ranks))
    kept: dict[int, list[Tensor]] = {}

    def keep(inputs: Tensor, logits: Tensor, labels: Tensor, penultimate: Tensor | None) -> None:
        for row, (volume, scores, truth) in enumerate(zip(inputs.cpu(), logits.cpu(), labels.cpu(), strict=True)):
            place = next(places)
            rows, flat = counted_rows(scores[None], truth)
            chosen = sample.choose(len(flat), place)
            kept[place] = [rows[chosen], flat[chosen], torch.full_like(chosen, place)]
            if penultimate is not None:
                kept[place].append(counted_rows(penultimate[row : row + 1].cpu(), truth)[0][chosen])
            if each is not None:
                each(place, volume, scores, truth, rows, flat)

    infer(classifier, split, keep, trainer=trainer, checkpoint=checkpoint, features=features)
    cases = join_over_ranks(kept)
    rows, labels, case, *penultimate = (torch.cat(parts) for parts in zip(*cases.values(), strict=True))
    _check_converged(rows)
    return Predictions(
        logits=rows,
        labels=labels,
        features=penultimate[0] if features else None,
        cluster=case,
        classes=classifier.splits.names,
    )
