# SPDX-License-Identifier: Apache-2.0
"""One scaling per group of rows, drawn towards that of all rows, as far as cross-fitting finds groups to differ."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from adafocal._arrays import ArrayLike, as_array
from adafocal._checks import check_number
from adafocal._reading import Record
from adafocal._text import shown
from adafocal._values import check_predictions
from adafocal.calibration.rows import Sampling, rows_of
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.predictions import Predictions
from adafocal.scaling.crossfit import FOLDS, draw_folds, over_folds, paired, put_back, refused_in_fold, why_not
from adafocal.scaling.files import Described, build_fitted
from adafocal.scaling.sample import most_rows, spread
from adafocal.scaling.scores import as_predictions, like
from adafocal.scaling.temperature import fit_temperature
from adafocal.tables.labels import same_label

Fit = Callable[[Predictions], Described]
BY_GROUP = "by_group"
POOLED = math.inf
# How many rows the rows of all other groups count as in the fit to one: from the most drawn together on.
STRENGTHS = (POOLED, 1000.0, 100.0, 10.0)
ENOUGH = 20_000, 4_000_000  # rows and numbers that choose the strength
SURE = 2.0  # standard errors by which scalings of groups must beat the pooled one
FEWEST = 20  # rows of a group that has a fit of its own


@dataclass(frozen=True, eq=False)
class GroupScaling(Described):
    """A scaling for each group of rows.

    Attributes:
        by: Name of the column of groups, or several joined by commas.
        strength: How many rows those of all other groups count as in the fit to a group; infinite where groups do not
            differ beyond chance, so that all take the pooled scaling.
        pooled: The scaling fitted to all rows: for groups that have none of their own, and rows without a group.
        groups: The scalings of groups, by the group's value.

    Raises:
        TypeError: If ``by`` is not a text.
        ValueError: If ``strength`` is not above 0.
    """

    by: str
    strength: float
    pooled: Described
    groups: Mapping[str, Described] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.by, str):
            raise InvalidTypeError(f"`by` must be what groups are called, a text, got {shown(self.by)}.")
        if self.strength != POOLED:
            check_number("strength", self.strength, low=0.0, open_low=True)

    def of(self, group: str | None) -> Described:
        """The scaling of a group; ``1`` and ``1.0`` are one group."""
        if group is None or group in self.groups:
            return self.pooled if group is None else self.groups[group]
        return next((held for name, held in self.groups.items() if same_label(name, group)), self.pooled)

    def apply(self, predictions: Predictions, groups: ArrayLike | None = None) -> Predictions:
        """Scale each row as its group.

        Args:
            predictions: N predictions.
            groups: The group of each row, N texts in a list or an array; None is a row without one, which the pooled
                scaling takes.

        Returns:
            A new record of the kind that the method gives, labels and features.

        Raises:
            TypeError: If groups are not given.
            ValueError: If there is not one per row, or predictions are not of the classes of the fit.
        """
        self.check(predictions)
        index, names = _coded(groups, predictions.n)
        return _each(predictions, index, [self.of(name) for name in names])

    def content(self) -> dict[str, object]:
        """What its file holds."""
        return {
            "method": BY_GROUP,
            "by": self.by,
            "strength": None if self.strength == POOLED else self.strength,
            "pooled": self.pooled.content(),
            "groups": {name: held.content() for name, held in self.groups.items()},
        }


def fit_by_group(
    predictions: Predictions, groups: ArrayLike, *, fit: Fit = fit_temperature, by: str = "group"
) -> GroupScaling:
    """Fit one scaling per group, drawn towards the scaling of all rows.

    Use it where groups, such as sites or devices, are over-confident to different degrees. Groups that do not differ
    beyond chance take the pooled scaling, so that nothing is lost by asking.

    Formula: the scaling of a group is fitted to all rows, its own with their weights and all others with the weight of
    ``strength`` rows together (a power prior). The strength, of infinity (the pooled fit), 1000, 100 and 10, is the
    largest whose negative log-likelihood in 5-fold cross-fitting is within one standard error of the smallest; the
    pooled fit stays where it is within two. Rows of one cluster are never on both sides. A group of fewer than 20 rows
    has no scaling of its own.

    Args:
        predictions: At least 2 held-out predictions. Their weights count.
        groups: The group of each row, N texts in a list or an array; None is a row without one.
        fit: What fits one scaling, such as ``fit_vector``.
        by: What groups are called in the file.

    Returns:
        The scalings of the groups, and the pooled one.

    Raises:
        TypeError: If groups are not texts.
        ValueError: If there is not one per row, or the fit to all rows refuses them.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0], [0.0, 2.0]]).repeat(40, 1)
        >>> labels = torch.tensor([0, 1, 0, 1, 0, 0, 1, 1]).repeat(10)
        >>> fitted = fit_by_group(Predictions(logits=logits, labels=labels), ["a", "b"] * 40)
        >>> fitted.strength, list(fitted.groups)
        (inf, [])

    Reference:
        Ibrahim and Chen, "Power prior distributions for regression models", Statistical Science 15, 2000. Hastie,
        Tibshirani and Friedman, "The Elements of Statistical Learning", 2nd edition, 2009, section 7.10 (the
        one-standard-error rule).
    """
    check_predictions("predictions", predictions)
    return fit_groups(predictions, groups, fit=fit, by=by).fitted


class Grouped(NamedTuple):
    """A scaling by group; rows as they were, and out of fold by the pooled scaling and by it; or why there are none."""

    fitted: GroupScaling
    rows: Mapping[str, Record]
    why_not: str = ""


def fit_groups(record: Record, groups: ArrayLike, *, fit: Fit, by: str, n_folds: int = FOLDS) -> Grouped:
    """Do what :func:`fit_by_group` does with predictions or outcomes, and keep what was found out of fold."""
    if not callable(fit):
        raise InvalidTypeError(f"`fit` must be a function that fits one scaling, got {shown(fit)}.")
    index, names = _coded(groups, record.n)
    if record.weight is not None and not bool((record.weight > 0).all()):
        held = (record.weight > 0).cpu()
        record, index = record[held.to(record.device)], index[held]
    plain = as_predictions(record)
    pooled = fit(plain)
    alone = GroupScaling(by, POOLED, pooled).with_origin(pooled.origin)
    if (reason := why_not(record, n_folds)) != "":
        return Grouped(alone, {}, reason)
    counts = torch.bincount(index, minlength=len(names)).tolist()
    own = [place for place, name in enumerate(names) if name is not None and counts[place] >= FEWEST]
    rows = spread(record.n, max(2 * n_folds, most_rows(record, ENOUGH)))
    some = record[rows.to(record.device)]
    folds, sampling = draw_folds(some, n_folds), Sampling.of(some)
    try:
        tried = _tried(as_predictions(some), index[rows], own, fit, folds)
    except InvalidValueError as refused:
        return Grouped(alone, {}, refused_in_fold(refused))
    nats = torch.stack([rows_of(like(some, one)).nll for one in tried])
    strength = STRENGTHS[_chosen(nats, sampling)]
    drawn = {} if strength == POOLED else {names[g]: _drawn(plain, index == g, fit, strength) for g in own}
    held_by = {str(name): one for name, one in drawn.items() if one is not None}
    fitted = GroupScaling(by, strength, pooled, held_by).with_origin(pooled.origin)
    out = {"after, pooled": like(some, tried[0]), "after": like(some, _nested(tried, nats, folds, sampling))}
    return Grouped(fitted, {"before": some, **out})


def _tried(plain: Predictions, index: Tensor, own: Sequence[int], fit: Fit, folds: Tensor) -> list[Predictions]:
    """Scale every row out of fold, by each strength."""
    each = [folds == fold for fold in torch.unique(folds).tolist()]
    parts: list[list[Predictions]] = [[] for _ in STRENGTHS]
    for out in each:
        kept, left, theirs = plain[~out], plain[out], index[out]
        pooled, there = fit(kept), set(theirs.tolist())
        for part, strength in zip(parts, STRENGTHS, strict=True):
            mine = [g for g in own if g in there and strength != POOLED]
            found = {g: _drawn(kept, index[~out] == g, fit, strength) or pooled for g in mine}
            part.append(_each(left, theirs, [found.get(g, pooled) for g in range(int(index.max()) + 1)]))
    return [put_back(part, each) for part in parts]


def _chosen(nats: Tensor, sampling: Sampling) -> int:
    """The place of the strength by the likelihoods of rows, (K, N): the first that is near enough to the best."""
    means = torch.stack([sampling.mean(one) for one in nats])
    best = int(means.nan_to_num(nan=math.inf).argmin())
    for place, one in enumerate(nats):
        behind, error = paired(one - nats[best], sampling)
        if behind <= error * (SURE if STRENGTHS[place] == POOLED else 1.0):
            return place
    return best


def _nested(tried: Sequence[Predictions], nats: Tensor, folds: Tensor, sampling: Sampling) -> Predictions:
    """Every row as scaled by the strength that the rows of the other folds choose."""
    return over_folds(folds, lambda kept, out: tried[_chosen(nats[:, kept], sampling.where(kept))][out])


def _drawn(plain: Predictions, mine: Tensor, fit: Fit, strength: float) -> Described | None:
    """Fit to rows of a group, those of all others counting as ``strength`` rows; None where there is nothing to fit."""
    mine = mine.to(plain.device)
    each = torch.ones(plain.n, dtype=torch.float64) if plain.weight is None else plain.weight.double()
    each = each.to(plain.device)
    others = float(each[~mine].sum())
    share = min(1.0, strength * float(each.mean()) / others) if others > 0 else 1.0
    weight = torch.where(mine, each, share * each)
    if not bool((weight[mine] > 0).any()):
        return None
    values = plain.probs if plain.logits is None else plain.logits
    try:
        return fit(
            Predictions(
                **{plain.kind: values}, labels=plain.labels, weight=weight, classes=plain.classes, ragged=plain.ragged
            )
        )
    except InvalidValueError:
        return None


def _each(predictions: Predictions, index: Tensor, scalings: Sequence[Described]) -> Predictions:
    """Scale each row by the scaling of its group."""
    same: dict[int, list[int]] = {}
    for group in torch.unique(index).tolist():
        same.setdefault(id(scalings[group]), []).append(group)
    held = {groups[0]: torch.isin(index, torch.tensor(groups)) for groups in same.values()}
    parts = [scalings[group].apply(predictions[mask.to(predictions.device)]) for group, mask in held.items()]
    return put_back(parts, list(held.values()))


def _coded(groups: ArrayLike | None, n: int) -> tuple[Tensor, list[str | None]]:
    """Number the groups of rows."""
    if groups is None:
        raise InvalidTypeError("`groups` must be given, one per row, for a scaling by group, got none.")
    each = list(groups) if isinstance(groups, (list, tuple)) else as_array("groups", groups).tolist()
    if not isinstance(each, list) or len(each) != n:
        shape = f"{len(each):,}" if isinstance(each, list) else "one value"
        raise InvalidValueError(f"`groups` must have one value per row, {n}, got {shape}.")
    for name in each:
        if name is not None and not isinstance(name, str):
            raise InvalidTypeError(f"`groups` must be texts or None, got {shown(name)}: use str(...) on each.")
    codes: dict[str | None, int] = {}
    index = [codes.setdefault(one, len(codes)) for one in each]
    return torch.tensor(index, dtype=torch.int64), list(codes)


def group_builder(builders: Mapping[str, Callable[..., object]]) -> Callable[..., GroupScaling]:
    """Make what reads the parameters of a saved one, whose scalings are of these methods."""

    def build(*, by: str, strength: float | None, pooled: object, groups: object) -> GroupScaling:
        if not isinstance(by, str) or not isinstance(groups, dict):
            raise InvalidValueError(f"`by` must be a name and `groups` scalings by name, got {shown(by)}.")
        held = {name: _built(f"groups.{name}", one, builders) for name, one in groups.items()}
        return GroupScaling(by, POOLED if strength is None else strength, _built("pooled", pooled, builders), held)

    return build


def _built(name: str, content: object, builders: Mapping[str, Callable[..., object]]) -> Described:
    if not isinstance(content, dict):
        raise InvalidValueError(f"`{name}` must be a fitted scaling, got {shown(content)}.")
    found = build_fitted(content, builders, shown(name))
    if not isinstance(found, Described):
        raise InvalidValueError(f"`{name}` must be a fitted scaling, got {shown(type(found).__name__)}.")
    return found
