# SPDX-License-Identifier: Apache-2.0
"""Between a predictions record and the matrix that scalings work on."""

import torch

from adafocal._dtypes import at_least_float32
from adafocal._shapes import ProbMatrix, SampleWeight
from adafocal._values import check_predictions
from adafocal.errors import InvalidValueError
from adafocal.outcomes import Outcomes
from adafocal.predictions import Predictions
from adafocal.scaling.files import check_of_choices


def log_scores(predictions: Predictions) -> ProbMatrix:
    """Take the logits, or the logarithms of the probabilities, shape (N, C), in float32 or wider.

    A probability of zero counts as the smallest positive normal number of its dtype, so that all logarithms are finite;
    logits are as they are, with -inf for masked classes.
    """
    if predictions.logits is not None:
        return at_least_float32(predictions.logits)
    probs = predictions.probs
    if predictions.ragged:  # what a row does not have, it does not get
        return probs.log()
    return probs.clamp_min(torch.finfo(probs.dtype).tiny).log()


def unmasked_scores(predictions: Predictions, method: str) -> ProbMatrix:
    """Take the log-scores; raise where a class is masked."""
    scores = log_scores(predictions)
    masked = scores.isinf().any(dim=1)
    if masked.any():
        row = int(masked.nonzero()[0])
        raise InvalidValueError(
            f"`predictions` must have no masked class (logit -inf) for {method} scaling, got one in row {row}."
        )
    return scores


def effective_rows(weight: SampleWeight) -> float:
    """How many equal weights would tell as much: Kish's (sum of w)² / sum of w²."""
    weight = weight.double()
    return float(weight.sum().square() / weight.square().sum())


def same_kind(predictions: Predictions, scores: ProbMatrix, *, keep_predicted: bool = False) -> Predictions:
    """Build the record anew with these log-scores: as logits where it held logits, else as probabilities.

    With ``keep_predicted`` the predicted class survives rounding: where scores of a row have become equal, that of the
    predicted class is raised by one unit in the last place.
    """
    values = scores if predictions.logits is not None else scores.softmax(dim=1)
    if keep_predicted:
        top = predictions.predicted[:, None]
        largest, found = values.max(dim=1, keepdim=True)
        lifted = torch.nextafter(largest, torch.full_like(largest, torch.inf))
        values = values.scatter(1, top, torch.where(found == top, largest, lifted))
    return predictions.with_values(**{predictions.kind: values})


def fit_data(predictions: Predictions, method: str, *, several_classes: bool) -> Predictions:
    """Take the rows that count; raise unless there are 2, and labels of 2 classes where the method needs them."""
    check_predictions("predictions", predictions)
    if predictions.ragged:
        check_of_choices(method)
    if predictions.weight is not None and not bool((predictions.weight > 0).all()):
        predictions = predictions[predictions.weight > 0]
    if predictions.n < 2:
        raise InvalidValueError(
            f"`predictions` must hold at least 2 samples to fit {method} scaling, got {predictions.n}."
        )
    first = predictions.labels[0]
    if several_classes and bool((predictions.labels == first).all()):
        raise InvalidValueError(
            f"`labels` must name at least 2 classes to fit {method} scaling, got only class {first}."
        )
    return predictions


def as_predictions(record: Predictions | Outcomes) -> Predictions:
    """Outcomes as predictions of the classes wrong and right; predictions as they are."""
    if isinstance(record, Predictions):
        return record
    return Predictions(probs=record.probs, labels=record.labels, weight=record.weight, cluster=record.cluster)


def like(record: Predictions | Outcomes, scaled: Predictions) -> Predictions | Outcomes:
    """Scaled predictions as the kind of record that they come from."""
    if isinstance(record, Predictions):
        return scaled
    return Outcomes(confidence=scaled.probs[:, 1], correct=record.correct, weight=record.weight, cluster=record.cluster)
