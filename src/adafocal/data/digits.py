# SPDX-License-Identifier: Apache-2.0
"""Handwritten digits from scikit-learn: real images that need no download, made hard by pixel noise."""

import torch

from adafocal._checks import require
from adafocal.data.config import DataConfig
from adafocal.data.splits import DataSplits, Split, stratified_parts, stratified_split
from adafocal.errors import InvalidValueError


def digits_splits(config: DataConfig, *, seed: int) -> DataSplits:
    """Load the 1,797 images of 8 x 8 pixels, add noise, and split them.

    Args:
        config: Sizes of the parts (300 and 500 unless given; the rest is the test part) and noise, added once to each
            pixel, where pixels span [0, 1].
        seed: Fixes the split and the noise.

    Returns:
        Parts with inputs of shape (N, 1, 8, 8), normalised by the mean and deviation of the training part.

    Raises:
        ValueError: If a size or the noise is out of range, or a path is given.
        ModuleNotFoundError: Without scikit-learn, with the command that installs it.
    """
    if config.path is not None:
        raise InvalidValueError(
            f"`data.path` must be null for digits, which come with scikit-learn, got {config.path!r}: name other data "
            "by `data.name`."
        )
    source = require("sklearn.datasets", extra="train").load_digits()
    images = torch.from_numpy(source.images).float().unsqueeze(1) / 16.0
    labels = torch.from_numpy(source.target).long()
    images += config.noise * torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
    validation_size = 500 if config.validation_size is None else config.validation_size
    parts = stratified_split(
        source.target,
        train_size=300 if config.train_size is None else config.train_size,
        validation_size=validation_size + config.scaling_size,
        test_size=config.test_size,
        seed=seed,
    )
    mean, deviation = images[parts[0]].mean(), images[parts[0]].std()
    images = (images - mean) / deviation
    train, validation, test = (Split(images[rows], labels[rows], rows) for rows in parts)
    held, scaling = validation, None
    if config.scaling_size > 0:
        validation, scaling = (
            Split(held.inputs[chosen], held.labels[chosen], held.index[chosen])
            for chosen in stratified_parts(held.labels.numpy(), (validation_size, config.scaling_size), seed=seed)
        )
    names = tuple(str(name) for name in source.target_names)
    return DataSplits(train, validation, test, names, scaling=scaling, normalised_by=(float(mean), float(deviation)))
