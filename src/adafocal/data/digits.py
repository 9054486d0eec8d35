# SPDX-License-Identifier: Apache-2.0
"""Handwritten digits from scikit-learn: real images that need no download, made hard by pixel noise."""

import torch

from adafocal._checks import check_number, require
from adafocal.data.splits import DataSplits, Split, stratified_split


def digits_splits(*, train_size: int, validation_size: int, noise: float, seed: int) -> DataSplits:
    """Load the 1,797 images of 8 x 8 pixels, add noise, and split them.

    Args:
        train_size: Samples for training.
        validation_size: Samples for validation; the rest is the test part.
        noise: Standard deviation of Gaussian noise added once to each pixel, where pixels span [0, 1].
        seed: Fixes the split and the noise.

    Returns:
        Parts with inputs of shape (N, 1, 8, 8), normalised by the mean and deviation of the training part.

    Raises:
        ValueError: If a size or ``noise`` is out of range.
        ModuleNotFoundError: Without scikit-learn, with the command that installs it.
    """
    check_number("noise", noise, low=0.0)
    source = require("sklearn.datasets", extra="train").load_digits()
    images = torch.from_numpy(source.images).float().unsqueeze(1) / 16.0
    labels = torch.from_numpy(source.target).long()
    images += noise * torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
    parts = stratified_split(source.target, train_size=train_size, validation_size=validation_size, seed=seed)
    mean, deviation = images[parts[0]].mean(), images[parts[0]].std()
    images = (images - mean) / deviation
    train, validation, test = (Split(images[rows], labels[rows], rows) for rows in parts)
    return DataSplits(train, validation, test, class_names=tuple(str(name) for name in source.target_names))
