# SPDX-License-Identifier: Apache-2.0
"""What to train on: the settings of a data set."""

from dataclasses import dataclass, field
from typing import Any

from adafocal._checks import check_integer, check_number, check_sequence
from adafocal._text import shown
from adafocal.errors import InvalidValueError


@dataclass(frozen=True)
class DataConfig:
    """What to train on.

    Args:
        name: A data set of `adafocal list datasets`, or owner/name of any other on the hub, or
            package.module:function of your own; with path, any name.
        args: Settings of an own function that makes the data, such as `--data.args.n 100`.
        root: Folder that holds data sets by name; null reads the catalogue's sets from the hub.
        path: Folder or file of this data set, wherever it lies: one folder of images per class, a table of texts, of
            numbers or of images' files (Parquet, CSV, TSV, JSON lines, Feather, npz), what `datasets` saved, volumes.
        train_size: Training samples, or their share of the rows that they are drawn from where below 1; null takes all
            that the other parts leave.
        validation_size: Validation samples, on which AdaFocal adapts, or their share; null is the data set's own.
        scaling_size: Samples of a second validation part, for temperature scaling, or their share; 0 for none.
        test_size: Test samples, or their share; null takes all.
        split_column: Column that says each row's part: train, validation, scaling or test; null draws the parts.
        group_column: Column whose values stay together: no patient, author or batch is in two parts; null for none.
        input_column: Column of images or texts; null finds image, img, text or sentence.
        feature_columns: Columns of numbers or categories that are classified; null takes all but the other columns
            named here, where there are no images or texts.
        label_column: Column of classes; null finds label, fine_label, labels, target or class.
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
    args: dict[str, Any] = field(default_factory=dict)
    root: str | None = None
    path: str | None = None
    train_size: int | float | None = None
    validation_size: int | float | None = None
    scaling_size: int | float = 0
    test_size: int | float | None = None
    split_column: str | None = None
    group_column: str | None = None
    input_column: str | None = None
    feature_columns: tuple[str, ...] | None = None
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
        for name in ("train_size", "validation_size", "test_size"):
            _check_size(f"data.{name}", getattr(self, name), minimum=1)
        _check_size("data.scaling_size", self.scaling_size, minimum=0)
        for name in ("image_size", "length"):
            check_integer(f"data.{name}", getattr(self, name), minimum=1, optional=True)
        if self.volume_size is not None:
            if len(self.volume_size) != 3:
                raise InvalidValueError(f"`data.volume_size` must hold three sides, got {list(self.volume_size)}.")
            for side in self.volume_size:
                check_integer("data.volume_size", side, minimum=1)
        if self.feature_columns is not None:
            check_sequence("data.feature_columns", self.feature_columns, of="names of columns")
            if not self.feature_columns or len(set(self.feature_columns)) < len(self.feature_columns):
                raise InvalidValueError(
                    "`data.feature_columns` must name at least one column and none twice, "
                    f"got {shown(list(self.feature_columns))}."
                )
        check_integer("data.vocabulary_size", self.vocabulary_size, minimum=1)
        check_number("data.noise", self.noise, low=0.0)


def _check_size(name: str, value: int | float | None, *, minimum: int) -> None:
    """Raise unless a size is a number of samples or a share of them; None is no size."""
    if isinstance(value, float):
        if not 0 < value < 1:
            raise InvalidValueError(f"`{name}` must be a number of samples, or a share between 0 and 1, got {value:g}.")
        return
    check_integer(name, value, minimum=minimum, optional=minimum > 0)


def share_of(size: int | float, n: int) -> int:
    """Turn a size into a number of samples; a share of n rows is rounded, and is at least one sample.

    Example:
        >>> share_of(0.25, 10), share_of(7, 10), share_of(0.001, 10)
        (2, 7, 1)
    """
    return max(1, round(size * n)) if isinstance(size, float) else size
