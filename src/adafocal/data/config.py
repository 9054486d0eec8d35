# SPDX-License-Identifier: Apache-2.0
"""What to train on: the settings of a data set."""

from dataclasses import dataclass

from adafocal._checks import check_integer, check_number
from adafocal.errors import InvalidValueError


@dataclass(frozen=True)
class DataConfig:
    """What to train on.

    Args:
        name: A data set of `adafocal list datasets`, or owner/name of any other on the hub; with path, any name.
        root: Folder that holds data sets by name; null reads the catalogue's sets from the hub.
        path: Folder or file of this data set, wherever it lies: Parquet, npz or one folder of images per class.
        train_size: Training samples; null takes all that the other parts leave.
        validation_size: Validation samples, on which AdaFocal adapts; null is the data set's own.
        scaling_size: Samples of a second validation part, for temperature scaling; 0 for none.
        test_size: Test samples; null takes all.
        input_column: Column of images or texts; null finds image, img, text or sentence.
        label_column: Column of classes; null finds label, fine_label, labels or target.
        image_size: Height and width that images are scaled to; null keeps theirs.
        volume_size: Sides that volumes are padded or cut to; null is the largest of each, in multiples of 16.
        length: Tokens of a text, cut or padded; null is the data set's own.
        tokenizer: Tokenizer of transformers by hub name or folder; null splits words and numbers them.
        vocabulary_size: Words that are numbered, the most frequent of the training part.
        augment: Whether training images are shifted and mirrored as is usual for the data set.
        noise: Standard deviation of Gaussian noise added once to each input value, where inputs span [0, 1].
        split_seed: Seed of the split and the noise; null follows the run's seed.
    """

    name: str = "digits"
    root: str | None = None
    path: str | None = None
    train_size: int | None = None
    validation_size: int | None = None
    scaling_size: int = 0
    test_size: int | None = None
    input_column: str | None = None
    label_column: str | None = None
    image_size: int | None = None
    volume_size: tuple[int, int, int] | None = None
    length: int | None = None
    tokenizer: str | None = None
    vocabulary_size: int = 20_000
    augment: bool = True
    noise: float = 0.0
    split_seed: int | None = None

    def __post_init__(self) -> None:
        """Refuse sizes and noise out of range."""
        for name in ("train_size", "validation_size", "test_size", "image_size", "length"):
            check_integer(f"data.{name}", getattr(self, name), minimum=1, optional=True)
        if self.volume_size is not None:
            if len(self.volume_size) != 3:
                raise InvalidValueError(f"`data.volume_size` must hold three sides, got {list(self.volume_size)}.")
            for side in self.volume_size:
                check_integer("data.volume_size", side, minimum=1)
        check_integer("data.scaling_size", self.scaling_size, minimum=0)
        check_integer("data.vocabulary_size", self.vocabulary_size, minimum=1)
        check_number("data.noise", self.noise, low=0.0)
