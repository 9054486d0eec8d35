# SPDX-License-Identifier: Apache-2.0
"""Scores of single cases of a segmentation, and the best and worst of them for people to look at."""

import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from adafocal._estimate import mean_over_cases
from adafocal._files import atomic_path
from adafocal._records import to_plain
from adafocal.calibration.case_stats import ERRORS
from adafocal.data.volumes import IGNORED
from adafocal.measures import OF_MASKS
from adafocal.topology.masks import betti_numbers, dice_score, hausdorff_distance_95
from adafocal.topology.persistence import PersistenceDiagram, persistence_diagrams

CLASS_ERRORS = tuple(f"class_{name}" for name in ERRORS)
MEASURES = tuple(
    name
    for name, measure in OF_MASKS.items()
    if measure.place == f"segmentation.{name}.mean" and name not in CLASS_ERRORS
)
Rows: TypeAlias = Sequence[Mapping[str, Any]]
AT_MOST_1 = ("dice", "error", "ece", "class_")
MOST_PERSISTENT = 200  # points of a diagram that are kept, per class and dimension


def case_scores(predicted: Tensor, labels: Tensor, class_names: Sequence[str]) -> dict[str, float]:
    """Compare masks of each foreground class: ``MEASURE_CLASS`` for every measure, and its mean over the classes.

    Args:
        predicted: Predicted class of each voxel, shape (D, H, W).
        labels: True class, of the same shape; -100 where a voxel does not count, in either mask.
        class_names: Names of the classes; the first is background.

    Returns:
        Dice as a fraction, Hausdorff-95 in voxels, errors of the Betti numbers; NaN where a class is in neither mask.
    """
    by_class = [
        _mask_scores((predicted == number) & (labels != IGNORED), labels == number)
        for number in range(1, len(class_names))
    ]
    return by_names(
        {measure: [found[place] for found in by_class] for place, measure in enumerate(MEASURES)}, class_names
    )


def by_names(scores: Mapping[str, Sequence[float]], class_names: Sequence[str]) -> dict[str, float]:
    """Name the scores of each foreground class as columns: ``MEASURE``, their mean, and ``MEASURE_CLASS``."""
    columns: dict[str, float] = {}
    for measure, values in scores.items():
        columns[measure] = _mean(values)
        columns |= {f"{measure}_{name}": value for name, value in zip(class_names[1:], values, strict=True)}
    return columns


def mean_scores(
    rows: Rows, class_names: Sequence[str], measures: Sequence[str] = MEASURES
) -> dict[str, dict[str, float | None]]:
    """Average each measure over cases, for the class mean (``mean``) and each class; None without a value."""
    columns = {"mean": "", **{name: f"_{name}" for name in class_names[1:]}}
    return {
        measure: {name: to_plain(_mean([row[f"{measure}{end}"] for row in rows])) for name, end in columns.items()}
        for measure in measures
    }


def mean_intervals(rows: Rows, measures: Sequence[str]) -> dict[str, list[float | None]]:
    """Give lower and upper end of the 95 % interval of each mean over cases; None of fewer than three cases."""
    intervals = {}
    for measure in measures:
        high = 1.0 if measure.startswith(AT_MOST_1) else math.inf
        found = mean_over_cases([row[measure] for row in rows], low=0.0, high=high)
        intervals[measure] = [found.low, found.high]
    return intervals


def _mask_scores(predicted: Tensor, true: Tensor) -> tuple[float, ...]:
    errors = [abs(a - b) for a, b in zip(betti_numbers(predicted), betti_numbers(true), strict=True)]
    absent = not predicted.any() and not true.any()
    return (
        dice_score(predicted, true),
        hausdorff_distance_95(predicted, true),
        *(math.nan if absent else float(error) for error in errors),
    )


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


@dataclass(frozen=True, eq=False)
class Shown:
    """A case as the page shows it.

    Attributes:
        name: Name of the case.
        dice: Mean overlap over the foreground classes.
        image: First channel, shape (D, H, W).
        labels: True classes.
        logits: What the model gave, shape (C, D, H, W).
        place: Its place among the cases; of equals the first is shown.
    """

    name: str
    dice: float
    image: Tensor
    labels: Tensor
    logits: Tensor
    place: int

    @property
    def probs(self) -> Tensor:
        """Class probabilities, shape (C, D, H, W), which only a case that is kept needs."""
        return self.logits.softmax(0)


class Extremes:
    """Keep the case with the largest and the one with the smallest mean Dice of those that come by."""

    def __init__(self) -> None:
        self.best: Shown | None = None
        self.worst: Shown | None = None

    def add(self, case: Shown) -> None:
        """Look at a case; one without any foreground, whose Dice is NaN, is passed over."""
        if self.best is None or case.dice > self.best.dice or math.isnan(self.best.dice):
            self.best = case
        if self.worst is None or case.dice < self.worst.dice or math.isnan(self.worst.dice):
            self.worst = case

    def save(self, path: str | Path, class_names: Sequence[str]) -> None:
        """Write both to an ``.npz`` file, cut to the voxels that count.

        Arrays ``best_…`` and ``worst_…``: ``name``, ``dice``, ``image``, ``label``, ``predicted``, ``confidence``, the
        probability of what is predicted, in [0, 1], which older versions did not write, and ``diagram``, rows (class,
        dimension, birth, death) of the superlevel sets of each foreground class's probability, at most
        ``MOST_PERSISTENT`` per class and dimension, with ``alive``, the Betti numbers at probability 0.5. Without
        cripser, of the extra ``topology``, the last two are missing.
        """
        arrays: dict[str, Any] = {"class_names": np.array(class_names)}
        for kind, case in (("best", self.best), ("worst", self.worst)):
            if case is not None:
                arrays |= {f"{kind}_{name}": value for name, value in _arrays(case).items()}
        with atomic_path(path) as temporary:
            np.savez_compressed(temporary, **arrays)


def _arrays(case: Shown) -> dict[str, np.ndarray]:
    counted, probs = (case.labels != IGNORED).nonzero(), case.probs
    box = tuple(slice(int(low), int(high) + 1) for low, high in zip(counted.amin(0), counted.amax(0), strict=True))
    arrays = {
        "name": np.array(case.name),
        "dice": np.array(case.dice),
        "image": case.image[box].half().numpy(),
        "label": case.labels[box].to(torch.int16).numpy(),
        "predicted": probs.argmax(0)[box].to(torch.int16).numpy(),
        "confidence": probs.amax(0)[box].half().numpy(),
    }
    if importlib.util.find_spec("cripser") is not None:
        diagrams = persistence_diagrams(list(probs[(slice(1, None), *box)].float()), essential_death=0.0)
        arrays["alive"] = np.array([diagram.betti(0.5) for diagram in diagrams])
        arrays["diagram"] = torch.cat([_points(diagram, number) for number, diagram in enumerate(diagrams, 1)]).numpy()
    return arrays


def _points(diagram: PersistenceDiagram, number: int) -> Tensor:
    """List rows (class, dimension, birth, death) of the most persistent points of each dimension."""
    rows = []
    for dim in range(3):
        points = diagram.points(dim)
        kept = (points[:, 0] - points[:, 1]).topk(min(MOST_PERSISTENT, len(points))).indices
        rows.append(F.pad(F.pad(points[kept], (1, 0), value=dim), (1, 0), value=number))
    return torch.cat(rows)
