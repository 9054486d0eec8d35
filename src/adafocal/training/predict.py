# SPDX-License-Identifier: Apache-2.0
"""Predictions of a finished run on any part of its data, on its corrupted test images, or on other data."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from adafocal._settings import or_meant
from adafocal.data import DataConfig, Split, corrupt
from adafocal.data.foreign import foreign_source, foreign_split
from adafocal.data.kinds import as_read
from adafocal.data.labels import UNLABELLED
from adafocal.data.volumes import IGNORED
from adafocal.errors import InvalidValueError
from adafocal.losses import LOSSES
from adafocal.predictions import Predictions
from adafocal.results.folder import BEST, LAST, RunFolder
from adafocal.training.checkpoints import read_checkpoint
from adafocal.training.classifier import Classifier
from adafocal.training.folder import read_config
from adafocal.training.inference import predict_samples, predict_voxels
from adafocal.training.own import check_trusted, own_code_told
from adafocal.training.run import build


def predict_with(
    folder: str | Path | Classifier,
    *,
    part: str = "test",
    data: DataConfig | None = None,
    corruption: str | None = None,
    severity: int = 3,
    features: bool = False,
    own: Collection[str] = (),
) -> Predictions:
    """Run the classifier of a finished run.

    Args:
        folder: The run folder, or what :func:`load_classifier` made of it.
        part: ``train``, ``validation``, ``scaling`` or ``test``, or a part of other data.
        data: Other data; None takes the run's own.
        corruption: Corrupt the images first, by a name of ``adafocal.data.CORRUPTIONS``.
        severity: Strength of the corruption, 1 to 5.
        features: Whether to keep the penultimate layer, for out-of-distribution scores.
        own: Own code of the run that may be imported, see :func:`load_classifier`.

    Returns:
        Predictions in the order of the part, on the CPU in float32; of volumes at most about a million voxels, drawn
        alike from all cases. Other data whose labels are no classes of the model get label 0 in every row, because a
        record needs labels; out-of-distribution scores do not read them. Images without classes get no labels.

    Raises:
        ValueError: If the run is not finished, the part is unknown, or the data do not fit the model.
        FileNotFoundError: If the other data are not where the settings say.
    """
    classifier = folder if isinstance(folder, Classifier) else load_classifier(folder, own=own)
    found, _ = predict_named(
        classifier, part=part, data=data, corruption=corruption, severity=severity, features=features
    )
    return found


def predict_named(
    classifier: Classifier,
    *,
    part: str,
    data: DataConfig | None,
    corruption: str | None,
    severity: int,
    features: bool,
) -> tuple[Predictions, list[str] | None]:
    """Do what :func:`predict_with` does, and tell which file below the folder of other data each row is, if any."""
    if features and not hasattr(classifier.network, "features"):
        raise InvalidValueError(
            "`features` need a model with a method `features` that gives its penultimate layer, got "
            f"{classifier.config.model} without it."
        )
    splits, names = classifier.splits, None
    if data is not None:
        source = foreign_source(data, part, like=splits, config=classifier.config.data)
        split = foreign_split(source, like=splits, config=classifier.config.data)
        if data.path is not None and isinstance(source.inputs[0], Path):
            folder = Path(data.path) if Path(data.path).is_dir() else Path(data.path).parent
            names = [one.relative_to(folder).as_posix() for one in source.inputs if isinstance(one, Path)]
    elif part in splits.parts:
        split = splits.parts[part]
    else:
        raise InvalidValueError(
            f"`part` must be one of {', '.join(splits.parts)}, got {part!r}{or_meant(part, splits.parts)}"
        )
    if corruption is not None:
        split = _corrupted(split, corruption, severity, seed=classifier.config.seed)
    foreign = not bool((split.labels < splits.n_classes).all())
    unlabelled = not splits.dense and bool((split.labels == UNLABELLED).all())
    if foreign or unlabelled:
        split = replace(split, labels=split.labels.masked_fill(split.labels != IGNORED, 0))
    with own_code_told(classifier.config):
        found = (predict_voxels if splits.dense else predict_samples)(classifier, split, features=features)
    if unlabelled:
        found = Predictions(logits=found.logits, features=found.features, classes=found.classes)
    return found, names


predict_part = predict_with  # of a classifier that is loaded already


def load_classifier(folder: str | Path, *, own: Collection[str] = ()) -> Classifier:
    """Build the classifier of a finished run with its data and its weights.

    Args:
        folder: The run folder.
        own: Names of own code, ``package.module:name``, that may be imported; nothing else of what the folder names is.
            A loss that is not among them is left out.

    Raises:
        ValueError: If the folder holds no finished run, its model or data are own code that ``own`` does not name, or
            its checkpoint is damaged or does not fit its settings.
        FileNotFoundError: If the checkpoint is gone.
        RuntimeError: If own code raises something.
    """
    folder = Path(folder)
    if not RunFolder(folder).finished:
        raise InvalidValueError(f"`run_dir` must hold a finished run, got {str(folder)!r}.")
    config = read_config(folder)
    check_trusted(config, own)
    with_loss = config.loss in LOSSES or config.loss in own
    with own_code_told(config):
        classifier = build(replace(config, data=as_read(config.data)), with_loss=with_loss)
    weights = folder / (BEST if config.select == "best" else LAST)
    checkpoint = read_checkpoint(weights, classifier, without=None if with_loss else "loss.")
    classifier.load_state_dict(checkpoint["state_dict"])
    return classifier.eval()


def _corrupted(split: Split, name: str, severity: int, *, seed: int) -> Split:
    if not isinstance(split.inputs, Tensor) or split.inputs.dtype != torch.uint8:
        got = split.inputs.dtype if isinstance(split.inputs, Tensor) else "images that stay on disk"
        raise InvalidValueError(f"`corruption` needs uint8 images in memory, got {got}.")
    generator = torch.Generator().manual_seed(seed)
    parts = [
        corrupt(images, name, severity=severity, generator=generator) for images in torch.split(split.inputs, 1000)
    ]
    return replace(split, inputs=torch.cat(parts))
