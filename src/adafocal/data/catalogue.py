# SPDX-License-Identifier: Apache-2.0
"""Every data set by name: what the command line, recipes and docs read."""

from collections.abc import Callable
from dataclasses import dataclass

from adafocal.data.digits import digits_splits
from adafocal.data.splits import DataSplits


@dataclass(frozen=True)
class DatasetSpec:
    """A data set of the catalogue.

    Attributes:
        name: Name on the command line.
        title: Name in tables and pages.
        source: Where it comes from.
        load: Builds the splits from sizes, noise and seed.
    """

    name: str
    title: str
    source: str
    load: Callable[..., DataSplits]


DATASETS = {
    "digits": DatasetSpec(
        name="digits",
        title="Digits",
        source="scikit-learn, 1,797 images of 8 x 8 pixels, 10 classes (UCI optical recognition of handwritten digits)",
        load=digits_splits,
    ),
}


def load_splits(name: str, *, train_size: int, validation_size: int, noise: float, seed: int) -> DataSplits:
    """Load a data set of the catalogue, split by seed.

    Args:
        name: A key of ``DATASETS``.
        train_size: Samples for training.
        validation_size: Samples for validation; the rest is the test part.
        noise: Standard deviation of Gaussian noise on the inputs, in their units before normalisation.
        seed: Fixes the split and the noise.

    Returns:
        The three parts.

    Raises:
        ValueError: If the name is unknown or an argument is out of range.
    """
    if name not in DATASETS:
        raise ValueError(f"`data.name` must be one of {', '.join(DATASETS)}, got {name!r}.")
    return DATASETS[name].load(train_size=train_size, validation_size=validation_size, noise=noise, seed=seed)
