# SPDX-License-Identifier: Apache-2.0
"""Every loss by name: what the command line, studies, tests and docs read."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from adafocal._checks import shown
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.losses.adafocal import AdaFocalLoss
from adafocal.losses.aurc import AURCLoss
from adafocal.losses.brier import BrierLoss, BrierWeightedLoss
from adafocal.losses.dual_focal import DualFocalLoss
from adafocal.losses.flsd import FLSDLoss, ScheduledFocalLoss
from adafocal.losses.focal import FocalLoss, InverseFocalLoss
from adafocal.losses.logit_norm import LogitNormLoss
from adafocal.losses.margin import MarginSmoothingLoss
from adafocal.losses.mmce import MMCELoss
from adafocal.losses.options import check_options
from adafocal.losses.selective_au import SelectiveAULoss
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
        name="label_smoothing",
        title="Label smoothing (0.05)",
        cls=nn.CrossEntropyLoss,
        formula="-Σ y_c log p_c, y = 0.95 one-hot + 0.05 / C",
        paper="Szegedy et al., CVPR 2016, arXiv:1512.00567",
        year=2016,
        use="One number tames over-confidence; it also blurs what confidence says about the sample.",
        defaults={"label_smoothing": 0.05},
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
        name="flsc531",
        title="FLSc-531",
        cls=ScheduledFocalLoss,
        formula="-(1 - p)^γ log p, γ = 5, 3, 1 from epoch 0, 100, 250",
        paper="Mukhoti et al., NeurIPS 2020, arXiv:2002.09437",
        year=2020,
        use="A schedule for long trainings; call set_epoch, or γ stays at its first value.",
    ),
    LossSpec(
        name="dual_focal",
        title="Dual focal (γ = 5)",
        cls=DualFocalLoss,
        formula="-(1 - p + q)^γ log p, q the next lower probability",
        paper="Tao et al., ICML 2023, arXiv:2305.13665",
        year=2023,
        use="Where focal loss ends under-confident; needs its γ per model and data set.",
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
        name="ada_dual_focal",
        title="AdaFocal on dual focal",
        cls=AdaFocalLoss,
        formula="-(1 ∓ (p - q))^|γ| log p, γ per bin of p - q, adapted on validation data",
        paper="Tao et al., ICML 2023, arXiv:2305.13665; Ghosh et al., NeurIPS 2022, arXiv:2211.11838",
        year=2023,
        use="AdaFocal where the runner-up matters; experimental in its authors' code.",
        defaults={"base": "dual"},
    ),
    LossSpec(
        name="brier",
        title="Brier",
        cls=BrierLoss,
        formula="Σ_c (p_c - y_c)²",
        paper="Brier, Monthly Weather Review 78, 1950",
        year=1950,
        use="A bounded proper loss, robust to confident mistakes; slow to start with many classes.",
    ),
    LossSpec(
        name="bsce_gra",
        title="BSCE-GRA",
        cls=BrierWeightedLoss,
        formula="-||p - y||^γ log p, the norm constant to the gradient",
        paper="Lin et al., CVPR 2025, arXiv:2503.22725",
        year=2025,
        use="A focal-like weight that sees all classes and leaves the gradient's direction alone.",
        detached=True,
    ),
    LossSpec(
        name="mmce",
        title="Cross-entropy + 2 MMCE",
        cls=MMCELoss,
        formula="-log p + λ (Σ_ij b_i b_j k(r_i, r_j))^½ over the batch",
        paper="Kumar et al., ICML 2018",
        year=2018,
        use="A calibration penalty trained directly; needs batches large enough to estimate it.",
        pointwise=False,
        soft_labels=False,
    ),
    LossSpec(
        name="aurc",
        title="Regularized AURC",
        cls=AURCLoss,
        formula="-(1 - m + m α_i) log p, α_i = -ln(1 - rank_i / (n + 1)) of confidence in the batch",
        paper="Zhou et al., arXiv:2505.23463v2",
        year=2025,
        use="When confident mistakes cost most, as in selective prediction.",
        pointwise=False,
    ),
    LossSpec(
        name="selective_au",
        title="Selective AU",
        cls=SelectiveAULoss,
        formula="-α_i log p, α_i = -ln(1 - G(min(c_i, τ))), G the smoothed distribution of confidence",
        paper="Zhou et al., arXiv:2505.23463v4",
        year=2025,
        use="As regularized AURC, with care moved to the unsure samples; call reset when an epoch starts.",
        pointwise=False,
    ),
    LossSpec(
        name="mbls",
        title="Margin-based label smoothing",
        cls=MarginSmoothingLoss,
        formula="-log p + λ mean_c max(0, max_k z_k - z_c - m)",
        paper="Liu et al., CVPR 2022, arXiv:2111.15430",
        year=2022,
        use="Label smoothing that leaves logits free up to a margin.",
    ),
    LossSpec(
        name="logit_norm",
        title="Logit normalisation",
        cls=LogitNormLoss,
        formula="cross-entropy of z / (τ ||z||)",
        paper="Wei et al., ICML 2022, arXiv:2205.09310",
        year=2022,
        use="For out-of-distribution detection; scale its softmax before reading probabilities.",
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
        TypeError: If ``arguments`` are not names and values, or one is of the wrong type.
        ValueError: If the name is unknown, or an argument is not one of the class's or out of range.

    Example:
        >>> make_loss("focal", {"gamma": 1.0}).gamma
        1.0
    """
    if not isinstance(name, str) or name not in LOSSES:
        raise InvalidValueError(f"`loss` must be one of {', '.join(LOSSES)}, got {shown(name)}.")
    if arguments is not None and not isinstance(arguments, Mapping):
        raise InvalidTypeError(f"`loss_args` must be names and values, got {shown(arguments)}.")
    spec = LOSSES[name]
    arguments = {**spec.defaults, **(arguments or {})}
    known = [parameter for parameter in inspect.signature(spec.cls).parameters if parameter not in LEGACY_ARGUMENTS]
    for argument in arguments:
        if argument not in known:
            raise InvalidValueError(f"`loss_args` of {name} must be among {', '.join(known)}, got {argument!r}.")
    if spec.cls is nn.CrossEntropyLoss:  # torch looks at its options in the first step only
        check_options(**arguments)
    return spec.cls(**arguments)


def loss_title(name: str, arguments: Mapping[str, Any] | None = None) -> str:
    """Give the name of a loss in tables and plots, with the numbers that it was trained with.

    Args:
        name: A key of ``LOSSES``; any other name is given back.
        arguments: Arguments over the catalogue's defaults.

    Returns:
        The catalogue's title, with the numbers in it replaced by those of ``arguments``.

    Raises:
        TypeError: If ``name`` is not a string, or ``arguments`` are not names and values.

    Example:
        >>> loss_title("focal"), loss_title("focal", {"gamma": 2.0})
        ('Focal (γ = 3)', 'Focal (γ = 2)')
    """
    if not isinstance(name, str):
        raise InvalidTypeError(f"`name` must be a string, got {shown(name)}.")
    if arguments is not None and not isinstance(arguments, Mapping):
        raise InvalidTypeError(f"`arguments` must be names and values, got {shown(arguments)}.")
    if name not in LOSSES:
        return name
    spec = LOSSES[name]
    title = spec.title
    usual = {p.name: p.default for p in inspect.signature(spec.cls).parameters.values()} | dict(spec.defaults)
    for argument, value in (arguments or {}).items():
        before = usual.get(argument)
        if all(isinstance(number, (int, float)) for number in (before, value)):
            title = re.sub(rf"(?<![\d.]){re.escape(f'{before:g}')}(?![\d.])", f"{value:g}", title)
    return title


LEGACY_ARGUMENTS = ("size_average", "reduce")  # deprecated by torch
