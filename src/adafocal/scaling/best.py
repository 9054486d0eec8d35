# SPDX-License-Identifier: Apache-2.0
"""The scaling that suits the data: chosen by what each does to rows that it was not fitted to, then fitted to all."""

from dataclasses import dataclass

from adafocal._reading import Record
from adafocal._values import check_predictions
from adafocal.outcomes import Outcomes
from adafocal.scaling.catalogue import METHODS, Scaling
from adafocal.scaling.remedy import SAFE, Remedy, find_remedy
from adafocal.scaling.scores import as_predictions


@dataclass(frozen=True, eq=False)
class Choice:
    """A scaling that was chosen and fitted, and why.

    Attributes:
        method: Its name among ``METHODS``.
        fitted: The scaling, fitted to all rows.
        remedy: What every candidate did out of fold.
    """

    method: str
    fitted: Scaling
    remedy: Remedy


def simplest(remedy: Remedy) -> tuple[str, dict[str, object]]:
    """Name what was chosen among the candidates, and the options of its fit."""
    return (SAFE, {}) if remedy.best is None else (remedy.best.method, dict(remedy.best.options))


def choose_scaling(record: Record) -> Choice:
    """Choose a scaling by cross-fitting, and fit it to all rows.

    Every scaling that fits the size of the data is fitted to four fifths of the rows and tried on the rest, in turn. Of
    those within one standard error of the smallest negative log-likelihood the simplest is taken, and temperature
    scaling unless another is better than it by two standard errors: so on few rows it is temperature scaling.

    Args:
        record: Labelled validation predictions or outcomes. Weights count; rows of one cluster are never on both sides.

    Returns:
        The method, the fitted scaling, and what every candidate did.

    Raises:
        TypeError: If ``record`` is none.
        ValueError: If there are fewer than 2 rows.

    Example:
        >>> import torch
        >>> from adafocal import Predictions
        >>> generator = torch.Generator().manual_seed(0)
        >>> logits = torch.randn(400, 3, generator=generator)
        >>> labels = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
        >>> choose_scaling(Predictions(logits=3 * logits, labels=labels)).method
        'temperature'

    Reference:
        Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2nd edition, 2009, section 7.10 (the
        one-standard-error rule).
    """
    if not isinstance(record, Outcomes):
        check_predictions("record", record)
    remedy = find_remedy(record)
    method, options = simplest(remedy)
    return Choice(method, METHODS[method](as_predictions(record), **options), remedy)
