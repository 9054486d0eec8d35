# SPDX-License-Identifier: Apache-2.0
"""Out-of-distribution scores from the classifier's output alone. Higher is more out-of-distribution."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from adafocal._dtypes import wide_dtype
from adafocal._shapes import Confidence, ProbMatrix
from adafocal._values import check_predictions
from adafocal.errors import InvalidValueError
from adafocal.predictions import Predictions


def msp_score(predictions: Predictions) -> Confidence:
    """Score by 1 minus the maximum softmax probability: the baseline that every other score is compared with.

    Formula: 1 - max_c p_c, summed over the other classes instead of subtracted from 1, so that predictions with
    probabilities that round to 1 keep their order.

    Args:
        predictions: Logits or probabilities of N samples.

    Returns:
        Scores in [0, 1 - 1/C], shape (N,), float64 where the device has it.

    Example:
        >>> msp_score(Predictions(probs=torch.tensor([[0.75, 0.25]]), labels=torch.tensor([0])))
        tensor([0.2500], dtype=torch.float64)

    Reference:
        Hendrycks and Gimpel, "A baseline for detecting misclassified and out-of-distribution examples in neural
        networks", ICLR 2017, https://arxiv.org/abs/1610.02136, section 2.
    """
    return _without_top(_probs(predictions)).sum(dim=1)


def entropy_score(predictions: Predictions) -> Confidence:
    """Score by the entropy of the predicted probabilities, the score of the AdaFocal experiments.

    Formula: -sum_c p_c log p_c, with 0 log 0 = 0.

    Args:
        predictions: Logits or probabilities of N samples.

    Returns:
        Scores in nats, in [0, log C], shape (N,), float64 where the device has it.

    Example:
        >>> entropy_score(Predictions(probs=torch.tensor([[0.5, 0.5]]), labels=torch.tensor([0])))
        tensor([0.6931], dtype=torch.float64)

    Reference:
        Ghosh, Schaaf and Gormley, "AdaFocal: calibration-aware adaptive focal loss", NeurIPS 2022,
        https://arxiv.org/abs/2211.11838 (out-of-distribution experiments).
    """
    rest = _without_top(_probs(predictions))
    others = rest.sum(dim=1)
    # The top class through log1p of the others keeps its digits where its probability rounds to 1.
    entropy: Tensor = torch.special.entr(rest).sum(dim=1) - (1 - others) * torch.log1p(-others)
    return entropy


def margin_score(predictions: Predictions) -> Confidence:
    """Score by 1 minus the difference of the two largest probabilities.

    Formula: 1 - (p_(1) - p_(2)).

    Args:
        predictions: Logits or probabilities of N samples.

    Returns:
        Scores in [0, 1], shape (N,), float64 where the device has it.

    Example:
        >>> margin_score(Predictions(probs=torch.tensor([[0.75, 0.25]]), labels=torch.tensor([0])))
        tensor([0.5000], dtype=torch.float64)

    Reference:
        Scheffer, Decomain and Wrobel, "Active hidden Markov models for information extraction", IDA 2001 (margin).
    """
    rest = _without_top(_probs(predictions))
    return rest.sum(dim=1) + rest.amax(dim=1)


def max_logit_score(predictions: Predictions) -> Confidence:
    """Score by the negative largest logit; it uses the size of the logits, which the softmax throws away.

    Formula: -max_c z_c.

    Args:
        predictions: Logits of N samples.

    Returns:
        Scores of any size, shape (N,), float64 where the device has it.

    Raises:
        ValueError: If ``predictions`` holds probabilities.

    Example:
        >>> max_logit_score(Predictions(logits=torch.tensor([[3.0, 1.0]]), labels=torch.tensor([0])))
        tensor([-3.], dtype=torch.float64)

    Reference:
        Hendrycks et al., "Scaling out-of-distribution detection for real-world settings", ICML 2022,
        https://arxiv.org/abs/1911.11132, section 3.
    """
    return -logits_for("max_logit", predictions).amax(dim=1)


def energy_score(predictions: Predictions) -> Confidence:
    """Score by the free energy of the logits: a soft version of the negative largest logit.

    Formula: -log sum_c exp(z_c), the energy at temperature 1.

    Args:
        predictions: Logits of N samples.

    Returns:
        Scores of any size, shape (N,), float64 where the device has it.

    Raises:
        ValueError: If ``predictions`` holds probabilities.

    Example:
        >>> energy_score(Predictions(logits=torch.tensor([[0.0, 0.0]]), labels=torch.tensor([0])))
        tensor([-0.6931], dtype=torch.float64)

    Reference:
        Liu, Wang, Owens and Li, "Energy-based out-of-distribution detection", NeurIPS 2020,
        https://arxiv.org/abs/2010.03759, equation 4.
    """
    return -logits_for("energy", predictions).logsumexp(dim=1)


SCORES: Mapping[str, Callable[[Predictions], Tensor]] = {
    "msp": msp_score,
    "entropy": entropy_score,
    "margin": margin_score,
    "max_logit": max_logit_score,
    "energy": energy_score,
}
NEED_LOGITS = ("max_logit", "energy", "vim")


def _probs(predictions: Predictions) -> ProbMatrix:
    check_predictions("predictions", predictions)
    if predictions.logits is None:
        return predictions.probs.to(wide_dtype(predictions.device))
    return predictions.logits.to(wide_dtype(predictions.device)).softmax(dim=1)


def _without_top(probs: ProbMatrix) -> ProbMatrix:
    return probs.scatter(1, probs.argmax(dim=1, keepdim=True), 0.0)


def logits_for(score: str, predictions: Predictions) -> ProbMatrix:
    """Take the logits that a score needs, float64 where the device has it, or say that they are missing."""
    check_predictions("predictions", predictions)
    if predictions.logits is None:
        raise InvalidValueError(f"`predictions` must hold logits for the {score} score, got probs.")
    return predictions.logits.to(wide_dtype(predictions.device))
