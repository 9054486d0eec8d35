# SPDX-License-Identifier: Apache-2.0
"""Topology-aware focal loss: focal loss per voxel, and per volume the distance between persistence diagrams."""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor
from typing_extensions import Unpack

from adafocal._checks import check_choice, check_floating, check_integer, check_number, check_same_shape, check_spatial
from adafocal._dtypes import at_least_float32
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.errors import InvalidValueError
from adafocal.losses.base import ClassificationLoss, OtherOptions
from adafocal.losses.catalogue import add_loss
from adafocal.losses.modulate import modulate
from adafocal.losses.targets import soft_target
from adafocal.topology.persistence import CONSTRUCTIONS, in_threads, persistence_diagrams
from adafocal.topology.wasserstein import transport

__all__ = ["TopologyAwareFocalLoss", "topology_loss"]


def topology_loss(
    probs: Logits,
    target: Logits,
    *,
    dims: Sequence[int] | None = None,
    order: float = 2.0,
    construction: str = "V",
    solver: str = "exact",
    epsilon: float | None = None,
    max_points: int = 500,
    workers: int | None = None,
) -> PerSample:
    """Compare the topology of predicted and true masks over all thresholds, per volume.

    It counts components, tunnels and cavities, whatever their place and size: use it beside a loss per voxel, not
    alone. A volume costs a persistence computation on the CPU each for prediction and truth.

    Formula: ``mean over classes of sum over dims of W_order(diagram of probs, diagram of target)``, the diagrams of the
    superlevel sets of the class's probability; the component that never dies ends at 0. See
    :func:`persistence_diagram` and :func:`wasserstein_distance`.

    Args:
        probs: Probabilities of the foreground classes, shape (N, K, d1, …) with one to three spatial axes.
        target: True masks, 0 or 1, or true probabilities, of the shape of ``probs``.
        dims: Homology dimensions, 0 components, 1 tunnels, 2 cavities; by default all that the space has.
        order: Exponent of the Wasserstein distance, >= 1.
        construction: ``V`` joins voxels that share a face, ``T`` also those that share an edge or corner.
        solver: ``exact`` or ``sinkhorn``, by which points of diagrams are matched.
        epsilon: Entropic regularisation of ``sinkhorn``, as a share of the largest cost, by default 0.01.
        max_points: The most persistent points of a diagram that the solver matches, where there are very many.
        workers: Threads; by default one per CPU core that this process may use.

    Returns:
        One value per volume, shape (N,), at least 0; lower is better. A missing or superfluous feature of full
        persistence costs ``sqrt(1 / 2)``. NaN where ``probs`` is not finite.

    Raises:
        ModuleNotFoundError: If cripser or SciPy, or POT for ``sinkhorn``, is not installed.
        TypeError: If an input is not floating point.
        ValueError: If shapes do not fit or an option is out of range.

    Example:
        >>> target = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0]).view(1, 1, 5)
        >>> topology_loss(target.flip(-1), target)  # one component is one component
        tensor([0.])
        >>> topology_loss(torch.tensor([1.0, 1.0, 0.0, 0.4, 0.0]).view(1, 1, 5), target)
        tensor([0.2828])

    Reference:
        Demir, Massaad and Kiziltan, "Topology-aware focal loss for 3D image segmentation", CVPR workshops 2023,
        https://arxiv.org/abs/2304.12223, abstract.
    """
    _check_volumes(probs, target)
    how = transport(order, solver, epsilon, max_points)
    if probs.shape[:2].numel() == 0:
        return probs.new_zeros(probs.shape[0]) + probs.sum()
    predicted = at_least_float32(probs).cpu().flatten(0, 1).unbind()
    true = at_least_float32(target).detach().cpu().flatten(0, 1).unbind()
    finite = [bool(volume.isfinite().all()) for volume in predicted]
    # A step with infinite logits happens under mixed precision, where a NaN loss skips it; no diagram is asked of it.
    usable = [volume if fine else torch.zeros_like(volume) for volume, fine in zip(predicted, finite, strict=True)]
    diagrams = persistence_diagrams(
        [*usable, *true], dims=dims, construction=construction, essential_death=0.0, workers=workers
    )
    chosen = range(probs.ndim - 2) if dims is None else dims
    compared = [
        [(a.points(dim), b.points(dim)) for dim in chosen]
        for a, b in zip(diagrams[: len(true)], diagrams[len(true) :], strict=True)
    ]
    every = [pair for pairs in compared for pair in pairs]
    plans = iter(in_threads(lambda pair: how.plans(*pair), every, workers=workers))
    losses = [
        torch.stack([how.distance(*pair, next(plans)) for pair in pairs]).sum() if fine else volume.sum() * torch.nan
        for pairs, fine, volume in zip(compared, finite, predicted, strict=True)
    ]
    return torch.stack(losses).view(probs.shape[:2]).mean(1).to(probs)


def _check_volumes(probs: Logits, target: Logits) -> None:
    check_floating("probs", probs)
    check_floating("target", target)
    check_same_shape("target", target, "probs", probs)
    check_spatial("probs", probs)
    for name, values in (("probs", probs.detach()), ("target", target)):
        # What is not finite gives NaN: a step with infinite logits happens, and is skipped, under mixed precision.
        outside = ((values < -1e-3) | (values > 1 + 1e-3)) & values.isfinite()
        if outside.any():
            raise InvalidValueError(f"`{name}` must lie in [0, 1], got {float(values[outside][0]):.6g}.")


class TopologyAwareFocalLoss(ClassificationLoss):
    """Focal loss plus the distance between the persistence diagrams of the predicted and the true mask.

    For segmentation, where a mask should have the right number of pieces, tunnels and cavities. It takes time: the
    diagrams are computed on the CPU, about half a second per volume of 64 x 64 x 64 and class. Images, volumes and
    signals only; for two classes from one logit ``z`` per voxel, hand over ``torch.cat([torch.zeros_like(z), z], 1)``.

    Formula: ``-(1 - p)^gamma log p + topology_weight * T`` per voxel, with T the :func:`topology_loss` of its volume.
    So the mean over voxels is the mean focal loss plus ``topology_weight`` times the mean T. ``weight`` weights both
    terms. Voxels of ``ignore_index`` count as background of prediction and truth in T.

    The topology is computed eagerly on the CPU: a compiler breaks the graph there, and ``torch.func`` is not supported.

    Args:
        gamma: Focusing parameter of the focal loss.
        topology_weight: Factor lambda of the topology term, >= 0; 0 is the focal loss. The default keeps it of the size
            of the focal loss at both ends: a missing component costs 0.007, and the thousands of weak features of a
            noisy prediction about 0.2.
        foreground: Classes whose topology counts; by default all but class 0.
        dims: Homology dimensions, 0 components, 1 tunnels, 2 cavities; by default all that the space has.
        order: Exponent of the Wasserstein distance, >= 1.
        construction: ``V`` joins voxels that share a face, ``T`` also those that share an edge or corner.
        solver: ``exact``, or ``sinkhorn``, the entropic transport of the paper, by which points of diagrams are
            matched; see :func:`wasserstein_distance`.
        epsilon: Entropic regularisation of ``sinkhorn``, as a share of the largest cost, > 0, by default 0.01.
        max_points: The most persistent points of a diagram that the solver matches, where there are very many.
        workers: Threads for the volumes of a batch; by default one per CPU core that this process may use.
        ignore_index: Class index whose voxels do not count.
        label_smoothing: Share of the target spread evenly over the classes, in [0, 1]; both terms take the smoothed
            target.

    Example:
        >>> criterion = TopologyAwareFocalLoss(topology_weight=0.1)
        >>> labels = torch.tensor([[0, 1, 1, 0, 0, 0]])
        >>> evidence = torch.tensor([[-9.0, 9.0, 9.0, -9.0, 9.0, -9.0]])
        >>> logits = torch.stack([-evidence, evidence], dim=1)
        >>> criterion.topology(logits, labels)
        tensor([0.7071])
        >>> criterion(logits, labels)
        tensor(3.0707)

    Reference:
        Demir, Massaad and Kiziltan, "Topology-aware focal loss for 3D image segmentation", CVPR workshops 2023,
        https://arxiv.org/abs/2304.12223, abstract: focal loss, Wasserstein distance of diagrams of cubical complexes,
        Sinkhorn-Knopp.

    Differs from the paper: its abstract fixes no more than that. The rest is ours: superlevel sets of each foreground
    class's softmax probability, all homology dimensions, order 2, Euclidean lengths, the diagonal as partner of
    unmatched points, ``epsilon``, the cap on matched points, and gamma and lambda.
    """

    sigmoid_undefined = "which takes images of classes"

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        gamma: float = 2.0,
        topology_weight: float = 0.01,
        foreground: Sequence[int] | None = None,
        dims: Sequence[int] | None = None,
        order: float = 2.0,
        construction: str = "V",
        solver: str = "exact",
        epsilon: float | None = None,
        max_points: int = 500,
        workers: int | None = None,
        **options: Unpack[OtherOptions],
    ) -> None:
        super().__init__(weight, **options)
        _keep_out_of_graphs()
        self.gamma = check_number("gamma", gamma)
        self.topology_weight = check_number("topology_weight", topology_weight, low=0.0)
        self.foreground = foreground
        self.dims = dims
        transport(order, solver, epsilon, max_points)
        self.order, self.solver, self.max_points = order, solver, max_points
        self.epsilon = epsilon if solver == "sinkhorn" else None
        self.construction = check_choice("construction", construction, CONSTRUCTIONS)
        self.workers = check_integer("workers", workers, minimum=1, optional=True)

    def per_sample(self, logits: Logits, labels: Labels) -> PerSample:
        """Compute the loss of each voxel."""
        focal = self.modulated(lambda ce: modulate(ce, self.gamma), logits, labels)
        if self.topology_weight == 0.0:
            return focal
        topology: Tensor = self.topology(logits, labels)
        # Each voxel bears its volume's term with its own weight, so that the mean of the loss is the mean of both.
        share = self.sample_weights(logits, labels)
        added = self.topology_weight * topology.view(-1, *[1] * (focal.ndim - 1)) * share
        return focal + added.to(focal.dtype)

    def topology(self, logits: Logits, labels: Labels) -> PerSample:
        """Measure the topology term of each volume, shape (N,), before ``topology_weight``."""
        check_spatial("logits", logits)
        classes = self._classes(logits.shape[1])
        wide = at_least_float32(logits)
        target = soft_target(wide, labels, label_smoothing=self.label_smoothing, ignore_index=self.ignore_index)
        probs = wide.softmax(1)[:, classes]
        if not labels.is_floating_point():
            probs = torch.where((labels != self.ignore_index).unsqueeze(1), probs, 0.0)
        names = ("dims", "order", "construction", "solver", "epsilon", "max_points", "workers")
        return topology_loss(probs, target[:, classes], **{name: getattr(self, name) for name in names})

    def _classes(self, n_classes: int) -> list[int]:
        if n_classes < 2:
            raise InvalidValueError(f"`logits` must have at least 2 classes, got {n_classes}.")
        classes = list(range(1, n_classes)) if self.foreground is None else list(self.foreground)
        if not classes or any(index not in range(n_classes) for index in classes):
            raise InvalidValueError(
                f"`foreground` must hold class indices in [0, {n_classes}), got {self.foreground!r}."
            )
        return classes


@cache
def _keep_out_of_graphs() -> None:
    """Tell the compiler to leave the topology alone; not when the module is read, since that loads the compiler."""
    TopologyAwareFocalLoss.topology = torch.compiler.disable(TopologyAwareFocalLoss.topology)  # type: ignore


add_loss(
    name="topology_aware_focal",
    title="Topology-aware focal",
    cls=TopologyAwareFocalLoss,
    formula="-(1 - p)^γ log p + λ W(diagram of prediction, diagram of truth)",
    paper="Demir et al., CVPR workshops 2023, arXiv:2304.12223",
    year=2023,
    use="For masks that must have the right pieces, tunnels and cavities; takes CPU time per volume.",
    pointwise=False,
    dense=True,
)
