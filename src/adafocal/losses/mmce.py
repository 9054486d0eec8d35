# SPDX-License-Identifier: Apache-2.0
"""Maximum mean calibration error: a differentiable calibration penalty over a batch."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from typing_extensions import Unpack

from adafocal._checks import can_read, check_flag, check_label_values, check_labels_match, check_number, check_tensor
from adafocal._dtypes import at_least_float32, wide_dtype
from adafocal._shapes import ClassIndex, Confidence, Labels, Logits, PerSample, ProbMatrix, Scalar
from adafocal.calibration.ascending import ascending_places
from adafocal.calibration.top_label import unread_top_label
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.losses.base import ClassificationLoss, OtherOptions
from adafocal.losses.catalogue import add_loss
from adafocal.losses.confidence import TopProbability
from adafocal.losses.cross_entropy import output_dtype
from adafocal.losses.derived import Derived, Kept
from adafocal.losses.options import check_ignore_index
from adafocal.losses.pair_sums import PairSums
from adafocal.losses.reduced import IN_CACHE, constant
from adafocal.losses.targets import class_axis

__all__ = ["MMCELoss", "mmce_penalty"]

FEW = 512  # samples whose pairs cost less than sorting them
NARROWEST = 0.005  # exp(1 / width) must be finite with room to spare: float64 ends at a width of 0.0014
ROUNDING = 1e-10  # under the root, so that its slope stays finite where the penalty vanishes


def mmce_formula(confidence: Tensor, correct: Tensor, share: Tensor, *, width: float) -> Scalar:
    """Compute the penalty as a plain graph."""
    energy = laplacian_energy(confidence, share * (correct.to(share.dtype) - confidence), width=width)
    return (energy.clamp_min(0.0) + ROUNDING).sqrt()


def _shares(correct: Tensor, counted: Tensor, *, weighted: bool) -> Tensor:
    groups = [correct & counted, ~correct & counted] if weighted else [counted]
    wide = wide_dtype(counted.device)
    return torch.stack([group.to(wide) / group.sum().clamp_min(1) for group in groups]).sum(dim=0)


def _with_slope(x: Any, correct: Any, share: Any, *, width: float) -> tuple[float, Any]:
    """Compute the penalty of confidences in float64 whose values can be read, and its derivative.

    All are arrays of torch, or of NumPy where they are few: its calls cost a third of torch's.
    """
    pull = (correct - x) * share
    felt, lean = (_running_sums if isinstance(x, Tensor) else _all_pairs)(x, pull, width)
    energy = float(pull @ felt)
    penalty = math.sqrt(max(energy, 0.0) + ROUNDING)
    lean *= pull
    lean /= width
    felt *= share
    lean += felt
    lean *= -(energy >= 0) / penalty
    return penalty, lean


class _Penalty(Derived):
    """The penalty of :func:`mmce_penalty` as a function of the confidences, in float64: b is ``share (o - r)``."""

    def __init__(self, correct: Tensor, share: Tensor, *, width: float) -> None:
        self.correct, self.share, self.width = correct, share, width

    def formula(self, x: Tensor) -> Tensor:
        """Compute it as a plain graph."""
        return mmce_formula(x, self.correct, self.share, width=self.width)

    def value(self, x: Tensor) -> tuple[Tensor, Kept]:
        """Compute it, and its derivative."""
        arrays = (x.detach(), self.correct.to(x.dtype), self.share)
        if len(x) > FEW:
            penalty, slope = _with_slope(*arrays, width=self.width)
        else:
            penalty, few = _with_slope(*(values.numpy() for values in arrays), width=self.width)
            slope = torch.from_numpy(few)
        return x.new_tensor(penalty), (slope,)

    def slope(self, grad: Tensor, x: Tensor, *kept: Any) -> Tensor:
        """Multiply by the derivative."""
        return torch.mul(grad, kept[0])


def _all_pairs(x: np.ndarray, b: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Sum ``b_j exp(-|x_i - x_j| / width)`` over all j, and with the sign of x_i - x_j."""
    rising = np.exp(x / width)  # at most exp(1 / NARROWEST)
    ratio = np.divide.outer(rising, rising)
    kernel = np.minimum(ratio, ratio.T)  # the larger one is above 1
    felt, sign = kernel @ b, np.sign(np.subtract.outer(x, x))
    sign *= kernel
    return felt, sign @ b


def _running_sums(x: Tensor, b: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Give what :func:`_all_pairs` does, in O(N log N), for x in float64; of equal x any order has a sign."""
    order = ascending_places(x.detach())[1]
    sums, sent = PairSums(x.index_select(0, order) / width), b.index_select(0, order)
    below, above = sums.below(sent), sums.above(sent)
    felt, lean = (torch.empty_like(x).scatter_(0, order, part) for part in (below + above - sent, below - above))
    return felt, lean


def laplacian_energy(position: Confidence, coefficient: Confidence, *, width: float) -> Scalar:
    """Sum over pairs, ``sum_ij b_i b_j exp(-|x_i - x_j| / width)``, in O(N log N), for positions in [0, 1].

    Args:
        position: x, shape (N,), in [0, 1]; use float64 for narrow widths.
        coefficient: b, shape (N,).
        width: Decay length, at least 0.005 in float64.

    Returns:
        A scalar, at least 0 but for rounding.
    """
    order = position.detach().argsort()
    x, b = position[order] / width, coefficient[order]
    # For i < j the kernel is exp(x_i) exp(-x_j): one running sum meets every pair.
    earlier = (b * x.exp()).cumsum(0) - b * x.exp()
    return b.square().sum() + 2.0 * (b * torch.exp(-x) * earlier).sum()


def mmce_penalty(
    logits: ProbMatrix, labels: ClassIndex, *, weighted: bool = False, width: float = 0.4, ignore_index: int = -100
) -> Scalar:
    """Measure how much confidence and correctness disagree over a batch, smoothly enough to train on.

    Add it to cross-entropy (:class:`MMCELoss` does) or use it alone to watch calibration. Small batches estimate it
    poorly.

    Formula: ``sqrt(sum_ij b_i b_j k(r_i, r_j))`` with r the top-label confidence, ``k(r, s) = exp(-|r - s| / width)``
    and, with o = 1 for a correct sample and 0 else, ``b_i = (o_i - r_i) / n``. ``weighted`` balances correct and wrong
    samples instead: ``b_i = (1 - r_i) / n_correct`` for correct and ``-r_i / n_wrong`` for wrong ones.

    The double sum is defined over all pairs, yet costs O(N log N) time and O(N) memory here: with the samples sorted by
    confidence the kernel of each pair is a product of two factors, so running sums hold all of it.

    Args:
        logits: Shape (N, C).
        labels: Class indices of shape (N,).
        weighted: Whether correct and wrong samples weigh the same (MMCE_w) or each sample does (MMCE_m). MMCE_w is 0
            where every confidence is 0.5, whatever the accuracy; keep it for networks that are mostly right.
        width: Width of the kernel, a difference of confidences, at least 0.005.
        ignore_index: Class index whose samples do not count.

    Returns:
        A scalar of at least 0; 0 is calibrated, lower is better. 1e-5 for a batch of nothing.

    Raises:
        TypeError: If ``logits`` is not floating point or ``labels`` does not hold class indices.
        ValueError: If shapes do not fit or ``width`` is out of range.

    Example:
        >>> logits = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
        >>> mmce_penalty(logits, torch.tensor([0, 1]))
        tensor(0.2311)

    Reference:
        Kumar, Sarawagi and Jain, "Trainable calibration measures for neural networks from kernel mean embeddings",
        ICML 2018, https://proceedings.mlr.press/v80/kumar18a.html, equations 4 and 6.

    Differs from the paper: the widely used public code (Mukhoti et al. 2020) leaves the root out of MMCE_m; in MMCE_w
    it divides by the size of each group twice, and gives 0 when a group is empty. Here both follow the paper.
    """
    check_number("width", width, low=NARROWEST)
    check_flag("weighted", weighted)
    check_ignore_index(ignore_index)
    if isinstance(labels, Tensor) and not labels.is_floating_point():
        check_labels_match(logits, labels)
        if logits.ndim != 2:
            raise InvalidValueError(f"`logits` must have shape (N, C), got {tuple(logits.shape)}.")
    return _penalty(logits, labels, weighted=weighted, width=width, ignore_index=ignore_index)


def _penalty(logits: Logits, labels: Labels, *, weighted: bool, width: float, ignore_index: int) -> Scalar:
    """Compute the penalty over all samples of logits of any shape."""
    check_tensor("labels", labels)
    if labels.is_floating_point():
        raise InvalidTypeError("`labels` must be class indices for MMCELoss, got probabilities.")
    check_labels_match(logits, labels)
    axis = class_axis(logits)
    if can_read(labels):
        check_label_values(labels, logits.shape[axis], ignore_index=ignore_index)
        wide = at_least_float32(logits)
        known, correct = unread_top_label(wide.detach(), labels)
        confidence = TopProbability(known, axis)(wide)
    else:
        confidence, correct = unread_top_label(logits, labels)
    confidence, correct = confidence.flatten().to(wide_dtype(logits.device)), correct.flatten()
    counted = (labels != ignore_index).flatten()
    share = _shares(correct, counted, weighted=weighted)
    if can_read(confidence):
        penalty = _Penalty(correct, share, width=width)(confidence)
    else:
        penalty = mmce_formula(confidence, correct, share, width=width)
    return penalty.to(output_dtype(logits))


class MMCELoss(ClassificationLoss):
    """Cross-entropy plus a calibration penalty over the batch; see :func:`mmce_penalty`.

    Each sample that counts carries the whole penalty, so ``mean`` is mean cross-entropy plus ``penalty_weight`` times
    the penalty. All pixels of a dense batch are its samples.

    Args:
        penalty_weight: Factor lambda of the penalty, >= 0; 0 is cross-entropy.
        weighted: Whether correct and wrong samples weigh the same (MMCE_w) or each sample does (MMCE_m). From scratch
            MMCE_w can keep a network from training, as it asks for confidence near 0.5 while most samples are wrong.
        width: Width of the kernel, a difference of confidences, at least 0.005.

    Raises:
        TypeError: If a setting is of the wrong type, or labels are class probabilities, for which correctness has no
            meaning.
        ValueError: If a setting is out of range.

    Example:
        >>> criterion = MMCELoss(penalty_weight=1.0)
        >>> criterion(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1]))
        tensor(1.0443)

    Reference:
        Kumar, Sarawagi and Jain, "Trainable calibration measures for neural networks from kernel mean embeddings",
        ICML 2018, https://proceedings.mlr.press/v80/kumar18a.html. The default weight is that of Mukhoti et al., 2020.

    Differs from the paper: its experiments train with MMCE_w; see ``weighted`` for why that is not the default.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        penalty_weight: float = 2.0,
        weighted: bool = False,
        width: float = 0.4,
        **options: Unpack[OtherOptions],
    ) -> None:
        super().__init__(weight, **options)
        self.penalty_weight = check_number("penalty_weight", penalty_weight, low=0.0)
        self.weighted = check_flag("weighted", weighted)
        self.width = check_number("width", width, low=NARROWEST)

    has_slope = True

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the loss of each sample, the penalty included."""
        ce = self.cross_entropy(logits, labels)
        penalty = _penalty(logits, labels, weighted=self.weighted, width=self.width, ignore_index=self.ignore_index)
        share = self.sample_weights(logits, labels)
        return (ce + self.penalty_weight * penalty.to(ce.dtype) * share).to(output_dtype(logits))

    def in_one_step(self, logits: Logits, labels: Labels) -> bool:
        """Whether :meth:`with_slope` can take this batch, all of it at once: its pairs are few."""
        few = super().in_one_step(logits, labels) and logits.ndim == 2 and len(labels) <= FEW
        return few and logits.numel() <= IN_CACHE

    def with_slope(self, logits: Tensor, place: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        """Compute losses of the whole batch, and the derivative of their sum."""
        n, top = len(place), logits.argmax(dim=1, keepdim=True)  # the lowest of equal ones
        log_p = torch.log_softmax(logits, 1)
        ce, p = log_p.gather(1, place).neg_(), log_p.gather(1, top).exp_()
        correct, confidence = (top == place).squeeze(1), p.numpy()[:, 0].astype(np.float64)
        share = _shares(correct, torch.ones_like(correct), weighted=True).numpy() if self.weighted else 1 / max(n, 1)
        penalty, pull = _with_slope(confidence, correct.numpy(), share, width=self.width)
        # The derivative of the largest probability p by the logits is p times the difference of one-hot and softmax.
        pull *= confidence * (self.penalty_weight * n * factor)
        rest, to_top = (torch.from_numpy(each).to(ce.dtype).unsqueeze(1) for each in (factor - pull, pull))
        to_label = constant(-factor, ce.dtype).expand_as(rest)
        by_logits = log_p.exp_().mul_(rest).scatter_add_(1, place, to_label).scatter_add_(1, top, to_top)
        return ce.add_(self.penalty_weight * penalty), by_logits


add_loss(
    name="mmce",
    title="Cross-entropy + 2 MMCE",
    cls=MMCELoss,
    formula="-log p + λ (Σ_ij b_i b_j k(r_i, r_j))^½ over the batch",
    paper="Kumar et al., ICML 2018",
    year=2018,
    use="A calibration penalty trained directly; needs batches large enough to estimate it.",
    pointwise=False,
    soft_labels=False,
)
