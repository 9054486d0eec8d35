# SPDX-License-Identifier: Apache-2.0
"""Handwritten digits from scikit-learn: real images that need no download, made hard by pixel noise."""

import torch

from adafocal._checks import require
from adafocal.data.config import DataConfig, share_of
from adafocal.data.splits import DataSplits, Split, stratified_parts, stratified_split


def digits_splits(config: DataConfig, *, seed: int) -> DataSplits:
    """Load the 1,797 images of 8 x 8 pixels, add noise, and split them.

    Args:
        config: Sizes of the parts (300 and 500 unless given; the rest is the test part) and noise, added once to each
            pixel, where pixels span [0, 1].
        seed: Fixes the split and the noise.

    Returns:
        Parts with inputs of shape (N, 1, 8, 8), normalised by the mean and deviation of the training part.

    Raises:
        ValueError: If a size or the noise is out of range.
        ModuleNotFoundError: Without scikit-learn, with the command that installs it.
    """
    source = require("sklearn.datasets", extra="train").load_digits()
    images = torch.from_numpy(source.images).float().unsqueeze(1) / 16.0
    labels = torch.from_numpy(source.target).long()
    images += config.noise * torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
    n = len(labels)
    validation_size = share_of(500 if config.validation_size is None else config.validation_size, n)
    scaling_size = share_of(config.scaling_size, n)
    parts = stratified_split(
        source.target,
        train_size=share_of(300 if config.train_size is None else config.train_size, n),
        validation_size=validation_size + scaling_size,
        test_size=None if config.test_size is None else share_of(config.test_size, n),
        seed=seed,
    )
    mean, deviation = images[parts[0]].mean(), images[parts[0]].std()
    images = (images - mean) / deviation
    train, validation, test = (Split(images[rows], labels[rows], rows) for rows in parts)
    held, scaling = validation, None
    if scaling_size > 0:
        validation, scaling = (
            Split(held.inputs[chosen], held.labels[chosen], held.index[chosen])
            for chosen in stratified_parts(held.labels.numpy(), (validation_size, scaling_size), seed=seed)
        )
    names = tuple(str(name) for name in source.target_names)
    return DataSplits(train, validation, test, names, scaling=scaling, normalised_by=(float(mean), float(deviation)))
