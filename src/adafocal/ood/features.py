# SPDX-License-Identifier: Apache-2.0
"""Out-of-distribution scores from penultimate-layer features, fitted on training predictions that carry them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from adafocal._checks import check_integer
from adafocal._shapes import Confidence
from adafocal._values import check_predictions, check_unweighted
from adafocal.errors import InvalidValueError
from adafocal.ood.neighbours import kth_cosines
from adafocal.ood.scores import logits_for
from adafocal.predictions import Predictions

EXACT = "donot_use_mm_for_euclid_dist"  # torch's fast way subtracts large squares


@dataclass(frozen=True, eq=False)
class Mahalanobis:
    """A fitted Mahalanobis score.

    Attributes:
        means: Class means of the classes that occur, shape (K, D).
        whitening: Matrix W of shape (D, R) with W Wᵀ the pseudo-inverse of the shared covariance of rank R.
    """

    means: Tensor
    whitening: Tensor

    def score(self, predictions: Predictions) -> Confidence:
        """Measure the squared Mahalanobis distance to the nearest class mean, shape (N,), float64, at least 0."""
        means, whitening = self.means.double(), self.whitening.double()
        white = _features(predictions, means.shape[1]) @ whitening
        distances: Tensor = torch.cdist(white, means @ whitening, compute_mode=EXACT)
        squared: Tensor = distances.amin(dim=1).square()
        return squared


@dataclass(frozen=True, eq=False)
class NearestNeighbour:
    """A fitted nearest-neighbour score.

    Attributes:
        bank: Training features scaled to length 1, shape (N, D); zeros stay zeros.
        k: Which neighbour's distance is the score, from 1.

    Raises:
        ValueError: If ``k`` is below 1 or above N.
    """

    bank: Tensor
    k: int

    def __post_init__(self) -> None:
        check_integer("k", self.k, minimum=1)
        if self.k > len(self.bank):
            raise InvalidValueError(
                f"`k` must be at most the number of training samples, {len(self.bank)}, got {self.k}."
            )

    def score(self, predictions: Predictions) -> Confidence:
        """Measure the distance to the k-th nearest training feature, shape (N,), in [0, 2].

        A feature vector of zeros has no direction and stays zero: it is at distance 1 from all others.
        """
        unit, bank = _unit(_features(predictions, self.bank.shape[1])), self.bank.double()
        # Unit vectors: the squared distance is 2 - 2 cos, and the k-th smallest distance has the k-th largest cosine.
        # Where one is zero, its square is missing from it; a cosine greater by a half says so of the bank.
        cosines = kth_cosines(unit, bank, self.k)
        return (2 - 2 * cosines - (unit == 0).all(dim=1).double()).clamp_min(0).sqrt()


@dataclass(frozen=True, eq=False)
class VirtualLogit:
    """A fitted virtual-logit score (ViM).

    Attributes:
        origin: Point of the feature space where all logits agree best, shape (D,).
        residual: Orthonormal basis of the space that the training features hardly use, shape (D, D - dimension).
        scale: Factor that gives the residual's length the size of a logit.
    """

    origin: Tensor
    residual: Tensor
    scale: float

    def score(self, predictions: Predictions) -> Confidence:
        """Compare the virtual logit with the logits: less the log-sum-exp of the logits, shape (N,), float64."""
        logits = logits_for("vim", predictions)
        virtual = (_features(predictions, self.origin.numel()) - self.origin) @ self.residual.double()
        length: Tensor = torch.linalg.vector_norm(virtual, dim=1)
        return self.scale * length - logits.double().logsumexp(dim=1)


def fit_mahalanobis(train: Predictions) -> Mahalanobis:
    """Fit one Gaussian per class with a shared covariance to training features.

    Formula: min_k (f - m_k)ᵀ S⁺ (f - m_k), with S the within-class covariance (divided by N) and S⁺ its
    pseudo-inverse, so that constant features do no harm: directions without variance do not enter.

    Args:
        train: Training predictions with features of shape (N, D), N >= 2; classes are the labels that occur.

    Returns:
        The fitted score.

    Raises:
        ValueError: If there are no features, fewer than two samples, or no variance within the classes.

    Example:
        >>> corners = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
        >>> train = Predictions(logits=corners, labels=torch.zeros(4).long(), features=corners)
        >>> fit_mahalanobis(train).score(train).round(decimals=4)
        tensor([2., 2., 2., 2.], dtype=torch.float64)

    Reference:
        Lee, Lee, Lee and Shin, "A simple unified framework for detecting out-of-distribution samples and adversarial
        attacks", NeurIPS 2018, https://arxiv.org/abs/1807.03888, equations 1 and 2.

    Differs from the paper: penultimate features only, no input perturbation, no ensemble over layers.
    """
    features = _train_features(train)
    classes, index = torch.unique(train.labels, return_inverse=True)
    count = torch.bincount(index).to(features)
    sums = torch.zeros(len(classes), features.shape[1], dtype=features.dtype, device=features.device)
    means = sums.index_add_(0, index, features) / count[:, None]
    centred = features - means[index]
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(features))
    # Rank by the usual tolerance, relative to the size of the features and not only to their spread within classes.
    size = float(features.square().mean()) * features.shape[1]
    kept = values > size * features.shape[1] * torch.finfo(features.dtype).eps
    if not kept.any():
        raise InvalidValueError("`train` must have features that vary within a class, got features that do not.")
    return Mahalanobis(means, vectors[:, kept] / values[kept].sqrt())


def fit_nearest_neighbour(train: Predictions, *, k: int = 50) -> NearestNeighbour:
    """Keep the training features, scaled to length 1, to measure distances to.

    Formula: the Euclidean distance of ``f / |f|`` to its k-th nearest training feature. ``0 / 0`` is 0, as in the
    authors' code: features of zeros are at distance 1 from every direction and 0 from each other.

    Args:
        train: Training predictions with features of shape (N, D); labels do not enter.
        k: Which neighbour; 50 is the paper's value for CIFAR-10 (200 for CIFAR-100, 1000 for ImageNet).

    Returns:
        The fitted score.

    Raises:
        ValueError: If there are no features, or fewer samples than ``k``.

    Example:
        >>> corners = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
        >>> train = Predictions(logits=corners, labels=torch.zeros(4).long(), features=corners + 1)
        >>> fit_nearest_neighbour(train, k=1).score(train).round(decimals=4)
        tensor([0., 0., 0., 0.], dtype=torch.float64)

    Reference:
        Sun, Ming, Zhu and Li, "Out-of-distribution detection with deep nearest neighbors", ICML 2022,
        https://arxiv.org/abs/2204.06507, section 3.
    """
    return NearestNeighbour(_unit(_train_features(train)), k)


def fit_vim(train: Predictions, *, dimension: int | None = None) -> VirtualLogit:
    """Fit a virtual logit: how far features leave the space that the training features use.

    Formula: ``alpha |R (f - o)| - log sum_c exp(z_c)``. The origin is o = -pinv(W) b of the last layer z = W f + b,
    which is recovered from features and logits by least squares; R projects on the eigenvectors of the second moment
    around o with the smallest eigenvalues; alpha makes the mean virtual logit of ``train`` its mean largest logit.

    Args:
        train: Training predictions with logits and features of shape (N, D), N >= 2.
        dimension: Size of the space that is projected out, in [1, D). By default 1000 where D >= 2048, else 512 where
            D >= 768, else D // 2, as in the authors' code.

    Returns:
        The fitted score.

    Raises:
        ValueError: If logits or features are missing, the logits are not linear in the features, the mean largest
            logit is not positive, the features leave no residual, or ``dimension`` is out of range.

    Example:
        >>> corners = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
        >>> train = Predictions(logits=corners, labels=torch.zeros(4).long(), features=corners)
        >>> fit_vim(train, dimension=1).score(train).shape
        torch.Size([4])

    Reference:
        Wang, Li, Feng and Zhang, "ViM: out-of-distribution with virtual-logit matching", CVPR 2022,
        https://arxiv.org/abs/2203.10807, section 4 and the published code.

    Differs from the paper: W and b are recovered from the predictions; with linearly dependent features they are the
        solution of least norm.
    """
    features = _train_features(train)
    if train.logits is None:
        raise InvalidValueError("`train` must hold logits for the vim score, got probs.")
    d = features.shape[1]
    dimension = _usual_dimension(d) if dimension is None else dimension
    check_integer("dimension", dimension, minimum=1)
    if dimension >= d:
        raise InvalidValueError(f"`dimension` must be below the number of features, {d}, got {dimension}.")
    origin = _origin(features, train.logits.to(features))
    shifted = features - origin
    _, vectors = torch.linalg.eigh(shifted.T @ shifted / len(shifted))
    residual = vectors[:, : d - dimension]
    length = float(torch.linalg.vector_norm(shifted @ residual, dim=1).mean())
    if length <= 1e-6 * float(torch.linalg.vector_norm(shifted, dim=1).mean()):
        raise InvalidValueError(
            f"`train` must have features of rank above `dimension`, {dimension}, got none beyond it."
        )
    largest = float(train.logits.to(features).amax(dim=1).mean())
    if not largest > 0:
        raise InvalidValueError(
            f"`train` must have largest logits with a mean > 0, got {largest:g}: the virtual logit is scaled to it."
        )
    return VirtualLogit(origin, residual, largest / length)


FEATURE_SCORES: Mapping[str, Callable[[Predictions], Mahalanobis | NearestNeighbour | VirtualLogit]] = {
    "mahalanobis": fit_mahalanobis,
    "knn": fit_nearest_neighbour,
    "vim": fit_vim,
}


def _origin(features: Tensor, logits: Tensor) -> Tensor:
    """Recover -pinv(W) b of the linear layer that made ``logits`` from ``features``."""
    middle, centre = features.mean(dim=0), logits.mean(dim=0)
    around, spread = features - middle, logits - centre
    weight = spread.T @ around @ torch.linalg.pinv(around.T @ around, hermitian=True, rtol=1e-12)
    error = torch.linalg.matrix_norm(spread - around @ weight.T)
    # Logits rounded to bfloat16 miss a linear map by 0.002, those of features before their ReLU by 0.5.
    if not float(error) <= 1e-2 * float(torch.linalg.matrix_norm(spread)):
        raise InvalidValueError(
            "`train` must have logits that are linear in its features, got features of another layer."
        )
    origin: Tensor = -torch.linalg.pinv(weight) @ (centre - weight @ middle)
    return origin


def _features(predictions: Predictions, d: int) -> Tensor:
    check_predictions("predictions", predictions)
    if predictions.features is None:
        raise InvalidValueError("`predictions` must hold features for this score, got none.")
    if predictions.features.shape[1] != d:
        raise InvalidValueError(
            f"`predictions` must have {d} features as in training, got {predictions.features.shape[1]}."
        )
    return predictions.features.double()


def _train_features(train: Predictions) -> Tensor:
    check_predictions("train", train)
    check_unweighted("train", train)
    if train.features is None:
        raise InvalidValueError("`train` must hold features, got none.")
    if train.n < 2:
        raise InvalidValueError(f"`train` must hold at least 2 samples, got {train.n}.")
    return train.features.double()


def _unit(features: Tensor) -> Tensor:
    largest = features.abs().amax(dim=1, keepdim=True)
    # A power of two brings the squares within reach and changes no digit.
    near_one = features / torch.exp2(torch.frexp(largest).exponent.to(features) - 1)
    unit: Tensor = near_one / torch.linalg.vector_norm(near_one, dim=1, keepdim=True)
    return torch.where(largest > 0, unit, 0.0)


def _usual_dimension(d: int) -> int:
    """Choose the size of the principal space as the authors do for d features."""
    return 1000 if d >= 2048 else 512 if d >= 768 else d // 2
