# SPDX-License-Identifier: Apache-2.0
"""Other shares of the classes than a scaling was fitted on: probabilities under known shares, and shares estimated."""

import torch
from torch import Tensor

from adafocal._arrays import ArrayLike, as_numbers
from adafocal._values import check_predictions
from adafocal.errors import InvalidValueError
from adafocal.predictions import Predictions
from adafocal.scaling.scores import log_scores, same_kind

STEPS, NEAR = 10_000, 1e-8  # of expectation-maximisation
ROUNDING = 1e-3


def shift_prior(predictions: Predictions, *, source: ArrayLike, target: ArrayLike) -> Predictions:
    """Turn probabilities under some shares of the classes into those under others.

    Use it on calibrated predictions where classes are more or less frequent than in the data they were calibrated on,
    and look alike otherwise (label shift). It can change the predicted class.

    Formula: p'(y | x) is proportional to p(y | x) target(y) / source(y).

    Args:
        predictions: N predictions of C classes.
        source: Shares of the classes for which the probabilities hold, C numbers of sum 1.
        target: The shares that are wanted, C numbers of sum 1.

    Returns:
        A new record of the same kind, labels and features.

    Raises:
        TypeError: If shares are no numbers.
        ValueError: If shares are not C numbers of at least 0 with sum 1, a class is wanted whose source share is 0, or
            a row is left with no class.

    Example:
        >>> even = Predictions(probs=torch.tensor([[0.5, 0.5]]))
        >>> shift_prior(even, source=[0.5, 0.5], target=[0.9, 0.1]).probs
        tensor([[0.9000, 0.1000]])

    Reference:
        Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities",
        Neural Computation 14, 2002, equation 2.4.
    """
    check_predictions("predictions", predictions)
    scores = log_scores(predictions)
    ratio = _ratio(_shares("source", source, predictions), _shares("target", target, predictions))
    shifted = scores.double() + ratio.log().to(scores.device)
    lost = shifted.amax(dim=1).isinf()
    if bool(lost.any()):
        row = int(lost.nonzero()[0])
        raise InvalidValueError(
            f"`target` must leave each row a class, got none in row {row}: give each class a share."
        )
    return same_kind(predictions, shifted.to(scores.dtype))


def estimate_prior(predictions: Predictions, *, source: ArrayLike) -> Tensor:
    """Estimate the shares of the classes in unlabelled data from calibrated predictions, by maximum likelihood.

    Formula: the shares q maximise sum_i log sum_y p(y | x_i) q(y) / source(y), which is concave in q, by
    expectation-maximisation: q becomes the mean of the probabilities that :func:`shift_prior` gives under q. Where the
    mean of the predictions is ``source``, q is ``source``.

    Args:
        predictions: N calibrated predictions of the data whose shares are wanted; labels are not looked at. Weights
            count.
        source: Shares of the classes for which the probabilities hold, C numbers of sum 1.

    Returns:
        Shares, float64, shape (C,), of sum 1.

    Raises:
        TypeError: If shares are no numbers.
        ValueError: If ``source`` is not C numbers of at least 0 with sum 1.

    Example:
        >>> sure = Predictions(probs=torch.tensor([[0.99, 0.01], [0.99, 0.01], [0.99, 0.01], [0.01, 0.99]]))
        >>> estimate_prior(sure, source=[0.5, 0.5])
        tensor([0.7551, 0.2449], dtype=torch.float64)

    Reference:
        Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities",
        Neural Computation 14, 2002, equations 2.9 and 2.10. Alexandari, Kundaje and Shrikumar, "Maximum likelihood with
        bias-corrected calibration is hard-to-beat at label shift adaptation", ICML 2020,
        https://arxiv.org/abs/1901.06852 (concavity, and why predictions must be calibrated first).
    """
    check_predictions("predictions", predictions)
    held = _shares("source", source, predictions).to(predictions.device)
    probs = predictions.probs.double() / held.clamp_min(torch.finfo(torch.float64).tiny)
    each = probs.new_ones(len(probs)) if predictions.weight is None else predictions.weight.to(probs)
    each = each / each.sum()
    shares = held
    for _ in range(STEPS):
        mass = probs * shares
        new = each @ (mass / mass.sum(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny))
        new = new / new.sum()
        if bool((new - shares).abs().max() < NEAR):
            break
        shares = new
    return new.cpu()


def _shares(name: str, values: ArrayLike, predictions: Predictions) -> Tensor:
    shares = as_numbers(name, values).double().cpu()
    if shares.shape != (predictions.n_classes,):
        raise InvalidValueError(f"`{name}` must hold {predictions.n_classes} shares, got {tuple(shares.shape)}.")
    bad = ~((shares >= 0) & shares.isfinite())
    if bool(bad.any()):
        raise InvalidValueError(f"`{name}` must hold shares of at least 0, got {float(shares[bad][0]):g}.")
    total = float(shares.sum())
    if abs(total - 1) > ROUNDING:
        raise InvalidValueError(f"`{name}` must sum to 1, got {total:.6g}.")
    return shares / total


def _ratio(source: Tensor, target: Tensor) -> Tensor:
    impossible = (source == 0) & (target > 0)
    if bool(impossible.any()):
        place = int(impossible.nonzero()[0])
        raise InvalidValueError(
            f"`target` must be 0 for class {place}, whose share was 0 before, got {float(target[place]):g}: "
            "nothing is known of that class."
        )
    return torch.where(target > 0, target / source.clamp_min(torch.finfo(torch.float64).tiny), 0.0)
