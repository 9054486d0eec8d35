# SPDX-License-Identifier: Apache-2.0
"""Several scores on several out-of-distribution sets at once: the rows of a table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from adafocal._checks import check_choice, check_sequence
from adafocal._values import check_predictions, check_unweighted
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.ood.features import FEATURE_SCORES, fit_nearest_neighbour
from adafocal.ood.intervals import Detection, detection
from adafocal.ood.scores import NEED_LOGITS, SCORES
from adafocal.predictions import Predictions


@dataclass(frozen=True, eq=False)
class ComparisonRow:
    """One score on one out-of-distribution set.

    Attributes:
        ood_name: Name of the set.
        score_name: Name of the score.
        detection: How well it detects.
        id_scores: Scores of the in-distribution samples, shape (N,).
        ood_scores: Scores of the out-of-distribution samples, shape (M,).
    """

    ood_name: str
    score_name: str
    detection: Detection
    id_scores: Tensor
    ood_scores: Tensor


def compare_scores(
    in_distribution: Predictions,
    out_of_distribution: Mapping[str, Predictions],
    *,
    train: Predictions | None = None,
    scores: Sequence[str] | None = None,
    k: int = 50,
    level: float = 0.95,
    n_resamples: int = 1000,
) -> list[ComparisonRow]:
    """Measure how well each score detects each out-of-distribution set.

    Args:
        in_distribution: Predictions on test data of the training distribution.
        out_of_distribution: Predictions on other data by name; their labels do not enter.
        train: Training predictions with features, for the scores that need them.
        scores: Names in ``SCORES`` and ``FEATURE_SCORES``; None takes all that the data allow: scores of logits where
            every record holds logits, scores of features where ``train`` is given.
        k: Neighbour of the ``knn`` score.
        level: Coverage of the intervals.
        n_resamples: Bootstrap resamples.

    Returns:
        One row per set and score, in the order of the arguments.

    Raises:
        ValueError: If there is no set, numbers of classes differ, a score is unknown, or a record has weights or lacks
            what a score needs.

    Example:
        >>> import torch
        >>> sure = Predictions(logits=torch.tensor([[9.0, 0.0], [0.0, 8.0]]), labels=torch.tensor([0, 1]))
        >>> unsure = Predictions(logits=torch.tensor([[0.1, 0.0], [0.0, 0.2]]), labels=torch.tensor([0, 0]))
        >>> [row] = compare_scores(sure, {"noise": unsure}, scores=["energy"])
        >>> row.detection.auroc.value
        1.0
    """
    check_predictions("in_distribution", in_distribution)
    check_unweighted("in_distribution", in_distribution)
    if train is not None:
        check_predictions("train", train)
        check_unweighted("train", train)
    if not isinstance(out_of_distribution, Mapping):
        raise InvalidTypeError(
            "`out_of_distribution` must map names to Predictions, "
            f"got {type(out_of_distribution).__name__}: use {{'name': predictions}}."
        )
    if not out_of_distribution:
        raise InvalidValueError("`out_of_distribution` must name at least one set, got none.")
    c = in_distribution.n_classes
    for name, predictions in out_of_distribution.items():
        check_predictions(f"out_of_distribution[{name!r}]", predictions)
        check_unweighted(f"out_of_distribution[{name!r}]", predictions)
        if predictions.n_classes != c:
            raise InvalidValueError(
                f"`out_of_distribution` must have the {c} classes of the in-distribution predictions, "
                f"got {predictions.n_classes} in {name!r}."
            )
    if train is not None and train.n_classes != c:
        raise InvalidValueError(
            f"`train` must have the {c} classes of the in-distribution predictions, got {train.n_classes}."
        )
    if scores is not None:
        check_sequence("scores", scores, of="names")
    chosen = _allowed([in_distribution, *out_of_distribution.values()], train) if scores is None else list(scores)
    for score in chosen:
        check_choice("scores", score, (*SCORES, *FEATURE_SCORES))
    measures = {score: _measure(score, train, k) for score in chosen}
    of_id = {score: measure(in_distribution) for score, measure in measures.items()}
    rows = []
    for name, predictions in out_of_distribution.items():
        for score, measure in measures.items():
            of_ood = measure(predictions)
            result = detection(of_id[score], of_ood, level=level, n_resamples=n_resamples)
            rows.append(ComparisonRow(name, score, result, of_id[score], of_ood))
    return rows


def _allowed(records: Sequence[Predictions], train: Predictions | None) -> list[str]:
    every = [*SCORES, *(() if train is None else FEATURE_SCORES)]
    if all(record.logits is not None for record in (*records, *(() if train is None else (train,)))):
        return every
    return [score for score in every if score not in NEED_LOGITS]


def _measure(score: str, train: Predictions | None, k: int) -> Callable[[Predictions], Tensor]:
    if score in SCORES:
        return SCORES[score]
    if train is None:
        raise InvalidValueError(f"`train` must be given for the {score} score, got None.")
    return fit_nearest_neighbour(train, k=k).score if score == "knn" else FEATURE_SCORES[score](train).score
