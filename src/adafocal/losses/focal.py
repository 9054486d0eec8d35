# SPDX-License-Identifier: Apache-2.0
"""Focal loss, its inverse, and the sample-dependent focal loss FLSD: cross-entropy weighted by p_true."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd import Function

from adafocal._checks import check_number
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.losses.terms import ClassificationLoss, look_up, modulated_cross_entropy


def focal_loss(
    logits: Logits,
    labels: Labels,
    *,
    gamma: float | Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> PerSample:
    """Weight cross-entropy down where the model is already confident of the truth.

    Use it when cross-entropy ends over-confident; a fixed gamma can overshoot into under-confidence, which
    :class:`adafocal.AdaFocalLoss` corrects. Gamma 0 is cross-entropy. A negative gamma is the inverse focal loss,
    so one per-sample tensor can hold both.

    Formula: ``-(1 - p)^gamma log p`` for gamma >= 0 and ``-(1 + p)^|gamma| log p`` for gamma < 0, with p the softmax
    probability of the label; ``sum_c y_c weight(p_c) (-log p_c)`` for soft targets y. The gradient flows through p in
    the weight.

    Args:
        logits: Shape (C,), (N, C) or (N, C, d1, …).
        labels: Class indices of shape (), (N,) or (N, d1, …), or class probabilities of the shape of ``logits``.
        gamma: A number, or a tensor of one gamma per sample with the shape of class-index labels. Treated as constant.
        weight: Weight per class, shape (C,).
        ignore_index: Class index whose samples get loss 0.
        label_smoothing: Share of the target spread evenly over the classes, in [0, 1].

    Returns:
        Losses in nats of shape (), (N,) or (N, d1, …), at least 0; lower is better.

    Raises:
        TypeError: If ``logits`` is not floating point or ``labels`` has a dtype that is neither.
        ValueError: If shapes do not fit or an option is out of range.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
        >>> focal_loss(logits, torch.tensor([0, 0]), gamma=2.0)
        tensor([0.0018, 1.6501])

    Reference:
        Lin, Goyal, Girshick, He and Dollár, "Focal loss for dense object detection", ICCV 2017,
        https://arxiv.org/abs/1708.02002, equation 4. Mukhoti et al., "Calibrating deep neural networks using focal
        loss", NeurIPS 2020, https://arxiv.org/abs/2002.09437, section 3 (multi-class form and calibration).
    """
    return modulated_cross_entropy(
        lambda ce: modulate(ce, _per_element(gamma, ce)),
        logits,
        labels,
        weight=weight,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
    )


def inverse_focal_loss(
    logits: Logits,
    labels: Labels,
    *,
    gamma: float | Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> PerSample:
    """Weight cross-entropy up where the model is confident of the truth.

    The opposite of :func:`focal_loss`: it raises confidence, which helps an under-confident model.

    Formula: ``-(1 + p)^gamma log p`` with p the softmax probability of the label and gamma >= 0.

    Args:
        logits: Shape (C,), (N, C) or (N, C, d1, …).
        labels: Class indices of shape (), (N,) or (N, d1, …), or class probabilities of the shape of ``logits``.
        gamma: A number >= 0, or a tensor of one gamma per sample with the shape of class-index labels.
        weight: Weight per class, shape (C,).
        ignore_index: Class index whose samples get loss 0.
        label_smoothing: Share of the target spread evenly over the classes, in [0, 1].

    Returns:
        Losses in nats of shape (), (N,) or (N, d1, …), at least 0; lower is better.

    Raises:
        TypeError: If ``logits`` is not floating point or ``labels`` has a dtype that is neither.
        ValueError: If shapes do not fit or an option is out of range.

    Example:
        >>> inverse_focal_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([0]), gamma=1.0)
        tensor([1.0397])

    Reference:
        Ghosh, Schaaf and Gormley, "AdaFocal: calibration-aware adaptive focal loss", NeurIPS 2022,
        https://arxiv.org/abs/2211.11838, section 4 (inverse focal loss). Wang, Feng and Zhang, "Rethinking calibration
        of deep neural networks: do not be afraid of overconfidence", NeurIPS 2021, proposed the name.
    """
    return focal_loss(
        logits, labels, gamma=-gamma, weight=weight, ignore_index=ignore_index, label_smoothing=label_smoothing
    )


def flsd_gamma(ce: Tensor, *, thresholds: Sequence[float], gammas: Sequence[float]) -> Tensor:
    """Give the gamma that FLSD assigns to each probability ``exp(-ce)``.

    Args:
        ce: Cross-entropies ``-log p``, nats, any shape.
        thresholds: Ascending probabilities that separate the gammas; a threshold belongs to the interval above it.
        gammas: One gamma more than thresholds, from low to high probability.

    Returns:
        Gammas of the shape of ``ce``, without gradient.
    """
    edges = torch.tensor(thresholds, dtype=ce.dtype, device=ce.device)
    table = torch.tensor(gammas, dtype=ce.dtype, device=ce.device)
    return look_up(table, torch.bucketize((-ce.detach()).exp(), edges, right=True))


class FocalLoss(ClassificationLoss):
    """Focal loss as a module; see :func:`focal_loss` for the formula.

    Args:
        gamma: Focusing parameter; 0 is cross-entropy, negative values are the inverse focal loss.
        weight: Weight per class, shape (C,).
        ignore_index: Class index whose samples do not count.
        reduction: ``none``, ``mean`` or ``sum``.
        label_smoothing: Share of the target spread evenly over the classes, in [0, 1].

    Raises:
        TypeError: If ``gamma`` is not a number.
        ValueError: If an option is out of range.

    Example:
        >>> criterion = FocalLoss(gamma=3.0)
        >>> criterion(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.0002)

    Reference:
        Lin et al., "Focal loss for dense object detection", ICCV 2017, https://arxiv.org/abs/1708.02002, equation 4.
        The default is theirs; the calibration papers use 3.
    """

    def __init__(
        self,
        *,
        gamma: float = 2.0,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight=weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing)
        check_number("gamma", gamma)
        self.gamma = gamma

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Give the unreduced loss of each sample."""
        return self.modulated(lambda ce: modulate(ce, self.gamma), logits, labels)


class InverseFocalLoss(ClassificationLoss):
    """Inverse focal loss as a module; see :func:`inverse_focal_loss` for the formula.

    Args:
        gamma: Strength, >= 0; 0 is cross-entropy.
        weight: Weight per class, shape (C,).
        ignore_index: Class index whose samples do not count.
        reduction: ``none``, ``mean`` or ``sum``.
        label_smoothing: Share of the target spread evenly over the classes, in [0, 1].

    Raises:
        TypeError: If ``gamma`` is not a number.
        ValueError: If ``gamma`` is negative or another option is out of range.

    Example:
        >>> criterion = InverseFocalLoss(gamma=1.0)
        >>> criterion(torch.tensor([[0.0, 0.0]]), torch.tensor([0]))
        tensor(1.0397)

    Reference:
        Zhou, Gruber and Popordanoska, "Revisiting reweighted risk for calibration", 2025,
        https://arxiv.org/abs/2505.23463; the default is the gamma of their CIFAR-10 ResNet-50 runs.
    """

    def __init__(
        self,
        *,
        gamma: float = 2.0,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight=weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing)
        check_number("gamma", gamma, low=0.0)
        self.gamma = gamma

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Give the unreduced loss of each sample."""
        return self.modulated(lambda ce: modulate(ce, -self.gamma), logits, labels)


class FLSDLoss(ClassificationLoss):
    """Sample-dependent focal loss: a gamma for each range of p_true. The defaults are FLSD-53.

    Formula: focal loss with gamma 5 where p_true is in [0, 0.2) and gamma 3 where it is in [0.2, 1].

    Args:
        thresholds: Ascending probabilities in (0, 1) that separate the ranges; each belongs to the range above it.
        gammas: One gamma per range, from low to high probability: one more than ``thresholds``.
        weight: Weight per class, shape (C,).
        ignore_index: Class index whose samples do not count.
        reduction: ``none``, ``mean`` or ``sum``.
        label_smoothing: Share of the target spread evenly over the classes, in [0, 1].

    Raises:
        TypeError: If a threshold or gamma is not a number.
        ValueError: If ``thresholds`` are not ascending in (0, 1), the lengths do not fit, or an option is out of range.

    Example:
        >>> criterion = FLSDLoss()
        >>> criterion(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.0002)

    Reference:
        Mukhoti, Kulharia, Sanyal, Golodetz, Torr and Dokania, "Calibrating deep neural networks using focal loss",
        NeurIPS 2020, https://arxiv.org/abs/2002.09437, section 5 (FLSD-53).
    """

    def __init__(
        self,
        *,
        thresholds: Sequence[float] = (0.2,),
        gammas: Sequence[float] = (5.0, 3.0),
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight=weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing)
        self.thresholds = tuple(thresholds)
        self.gammas = tuple(gammas)
        for threshold in self.thresholds:
            check_number("thresholds", threshold, low=0.0, high=1.0, open_low=True, open_high=True)
        for gamma in self.gammas:
            check_number("gammas", gamma)
        if list(self.thresholds) != sorted(set(self.thresholds)):
            raise ValueError(f"`thresholds` must be strictly ascending, got {self.thresholds}.")
        if len(self.gammas) != len(self.thresholds) + 1:
            raise ValueError(
                f"`gammas` must hold one number more than `thresholds`, {len(self.thresholds) + 1}, "
                f"got {len(self.gammas)}."
            )

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Give the unreduced loss of each sample."""
        return self.modulated(
            lambda ce: modulate(ce, flsd_gamma(ce, thresholds=self.thresholds, gammas=self.gammas)), logits, labels
        )


def modulate(ce: Tensor, gamma: float | Tensor) -> Tensor:
    """Turn cross-entropy into the focal loss of the given gamma, elementwise.

    Formula: ``base^|gamma| ce`` with base ``1 - exp(-ce)`` for gamma >= 0 and ``1 + exp(-ce)`` for gamma < 0.

    Args:
        ce: Cross-entropies ``-log p`` in [0, inf], nats, any shape.
        gamma: A number, or a tensor that broadcasts to ``ce``; treated as constant.

    Returns:
        Losses of the shape of ``ce``. First and second derivatives with respect to ``ce`` are finite, also at p = 1
        with 0 < gamma < 1.

    Example:
        >>> modulate(torch.tensor([0.6931]), 1.0)
        tensor([0.3465])
    """
    if isinstance(gamma, Tensor):
        gamma = gamma.detach()
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return _composed(ce, gamma)
    loss: Tensor = _Modulate.apply(ce, gamma)  # type: ignore[no-untyped-call]
    return loss


def _per_element(gamma: float | Tensor, ce: Tensor) -> float | Tensor:
    """Give per-sample gammas a class axis where ``ce`` has one."""
    if isinstance(gamma, Tensor) and 0 < gamma.ndim == ce.ndim - 1:
        return gamma.unsqueeze(1)
    return gamma


class _Modulate(Function):
    """Keep the derivative instead of the graph of a dozen elementwise steps: one product in backward."""

    @staticmethod
    def forward(ctx, ce: Tensor, gamma: float | Tensor) -> Tensor:  # type: ignore[no-untyped-def, override]
        minus_q = torch.neg(ce).expm1_()  # p - 1, without cancellation
        base = _base(minus_q, gamma)
        weight = base.pow(abs(gamma))
        # d(weight · ce) / d(ce) = weight · (1 + gamma · p · ce / base). Where the truth itself is masked with -inf,
        # p · ce is 0 · inf; its limit is 0.
        slope = minus_q.add_(1.0).mul_(ce).nan_to_num_(0.0).mul_(gamma).div_(base).mul_(weight).add_(weight)
        ctx.save_for_backward(ce, slope)
        ctx.gamma = gamma
        return weight.mul_(ce)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def, override]
        ce, slope = ctx.saved_tensors
        if torch.is_grad_enabled():  # double backward: the derivative must be differentiable itself
            return torch.autograd.grad(_composed(ce, ctx.gamma), ce, grad, create_graph=True)[0], None
        return grad * slope, None


def _composed(ce: Tensor, gamma: float | Tensor) -> Tensor:
    """Give what ``_Modulate`` gives as a plain graph: for compilers, functional transforms and double backward."""
    return _base(torch.expm1(-ce), gamma).pow(abs(gamma)) * ce


def _base(minus_q: Tensor, gamma: float | Tensor) -> Tensor:
    """Give 1 - p for gamma >= 0 and 1 + p for gamma < 0, from p - 1; never 0, so that powers have derivatives."""
    if isinstance(gamma, Tensor):
        base = (minus_q + (1.0 - gamma.sign())).abs()
    else:
        base = minus_q + 2.0 if gamma < 0 else -minus_q
    return base.clamp_min(torch.finfo(minus_q.dtype).tiny)
