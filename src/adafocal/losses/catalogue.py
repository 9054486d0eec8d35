# SPDX-License-Identifier: Apache-2.0
"""Every loss by name: what the command line, studies, tests and docs read."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from adafocal.losses.adafocal import AdaFocalLoss
from adafocal.losses.flsd import FLSDLoss
from adafocal.losses.focal import FocalLoss, InverseFocalLoss
from adafocal.losses.topology import TopologyAwareFocalLoss


@dataclass(frozen=True)
class LossSpec:
    """A loss of the catalogue.

    Attributes:
        name: Name on the command line and in studies.
        title: Name in tables and plots.
        cls: The module class, a peer of ``nn.CrossEntropyLoss``.
        formula: The loss of one sample in one line.
        paper: Authors, venue and link.
        year: Year of the paper.
        use: When to use it, in one sentence.
        defaults: Arguments that differ from the class's own defaults.
        pointwise: Whether the loss of a sample depends on that sample alone, not on the rest of the batch.
        soft_labels: Whether class probabilities and label smoothing are defined.
        detached: Whether part of the formula is a constant to the gradient.
        dense: Whether the loss has a meaning for signals, images and volumes alone, (N, C, d1, …).
    """

    name: str
    title: str
    cls: type[nn.Module]
    formula: str
    paper: str
    year: int
    use: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    pointwise: bool = True
    soft_labels: bool = True
    detached: bool = False
    dense: bool = False


def _by_name(*specs: LossSpec) -> dict[str, LossSpec]:
    return {spec.name: spec for spec in specs}


LOSSES = _by_name(
    LossSpec(
        name="cross_entropy",
        title="Cross-entropy",
        cls=nn.CrossEntropyLoss,
        formula="-log p",
        paper="Good, JRSS B 14(1)",
        year=1952,
        use="The baseline; proper, yet over-confident once the training set is fitted.",
    ),
    LossSpec(
        name="focal",
        title="Focal (γ = 3)",
        cls=FocalLoss,
        formula="-(1 - p)^γ log p",
        paper="Lin et al., ICCV 2017, arXiv:1708.02002",
        year=2017,
        use="Simplest remedy for over-confidence; a fixed γ can overshoot.",
        defaults={"gamma": 3.0},
    ),
    LossSpec(
        name="flsd53",
        title="FLSD-53",
        cls=FLSDLoss,
        formula="-(1 - p)^γ(p) log p, γ = 5 for p < 0.2, else 3",
        paper="Mukhoti et al., NeurIPS 2020, arXiv:2002.09437",
        year=2020,
        use="The strongest fixed focal schedule of its paper; needs no validation data.",
    ),
    LossSpec(
        name="inverse_focal",
        title="Inverse focal",
        cls=InverseFocalLoss,
        formula="-(1 + p)^γ log p",
        paper="Wang et al., NeurIPS 2021; Zhou et al., arXiv:2505.23463",
        year=2021,
        use="For under-confident models, and where temperature scaling follows.",
    ),
    LossSpec(
        name="adafocal",
        title="AdaFocal",
        cls=AdaFocalLoss,
        formula="-(1 - p)^γ log p or -(1 + p)^|γ| log p, γ per bin, adapted on validation data",
        paper="Ghosh et al., NeurIPS 2022, arXiv:2211.11838",
        year=2022,
        use="When there is validation data to steer by: calibration is held during training.",
    ),
    LossSpec(
        name="topology_aware_focal",
        title="Topology-aware focal",
        cls=TopologyAwareFocalLoss,
        formula="-(1 - p)^γ log p + λ W(diagram of prediction, diagram of truth)",
        paper="Demir et al., CVPR workshops 2023, arXiv:2304.12223",
        year=2023,
        use="For masks that must have the right pieces, tunnels and cavities; takes CPU time per volume.",
        pointwise=False,
        dense=True,
    ),
)


def make_loss(name: str, arguments: Mapping[str, Any] | None = None) -> nn.Module:
    """Build a loss of the catalogue.

    Args:
        name: A key of ``LOSSES``.
        arguments: Keyword arguments of its class, over the catalogue's defaults.

    Returns:
        A new loss module.

    Raises:
        ValueError: If the name is unknown, or an argument is not one of the class's.

    Example:
        >>> make_loss("focal", {"gamma": 1.0}).gamma
        1.0
    """
    if name not in LOSSES:
        raise ValueError(f"`loss` must be one of {', '.join(LOSSES)}, got {name!r}.")
    spec = LOSSES[name]
    arguments = {**spec.defaults, **(arguments or {})}
    known = [parameter for parameter in inspect.signature(spec.cls).parameters if parameter not in LEGACY_ARGUMENTS]
    for argument in arguments:
        if argument not in known:
            raise ValueError(f"`loss_args` of {name} must be among {', '.join(known)}, got {argument!r}.")
    return spec.cls(**arguments)


LEGACY_ARGUMENTS = ("size_average", "reduce")  # deprecated by torch
