# SPDX-License-Identifier: Apache-2.0
"""A step of a loss, forward and backward, over one of ``F.cross_entropy`` on the same batch."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from row import Pairs, Row, alternating
from torch import Tensor

from adafocal.losses import AdaFocalLoss, make_loss

VOLUMES = (2, 3, 64, 64, 64)


def step(loss: Callable[[Tensor, Tensor], Tensor], size: tuple[int, ...]) -> Callable[[], None]:
    """Prepare a batch of random logits, shape ``size`` with classes second, and give its step of training."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(size, generator=generator).mul_(3.0).requires_grad_()
    labels = torch.randint(size[1], size[:1] + size[2:], generator=generator)

    def one() -> None:
        logits.grad = None
        loss(logits, labels).backward()

    return one


def row(name: str, size: tuple[int, ...], goal: float, note: str = "") -> Row:
    """Build the row of a loss of the catalogue with its defaults."""

    def pairs(repeats: int) -> Pairs:
        loss = make_loss(name)
        if isinstance(loss, AdaFocalLoss):  # as after some epochs, not all 1
            loss.gamma.copy_(torch.linspace(-1.5, 4.0, loss.n_bins))
        return alternating(step(loss, size), step(F.cross_entropy, size), repeats)

    return Row(f"{name}, {' × '.join(map(str, size))}", "F.cross_entropy", goal, pairs, note)


SMALL = (
    "A function with a derivative of its own costs 1.6 even where it only sums; the rest are some twenty operations "
    "of 2 to 8 µs where cross-entropy takes 80 µs."
)
ALLOCATED = "The spread is that of fresh tensors of 32 MB, which cost as much as a pass over them."
VOXELS = "Powers (3.0 ms), bins (3.3 ms) and expm1 (1.3 ms) of the voxels lie beside 10 ms of cross-entropy."
PAIRS = "Pairs are summed directly in float64; the rest is the fixed cost of small operations."
SORTED = "At the goal, within the spread of a busy machine."
LARGER = "The fixed cost for 128 samples, 0.2 ms, lies beside a cross-entropy of 0.4 ms."
ROWS = [
    row("adafocal", (128, 10), 2.5, SMALL),
    row("adafocal", (1024, 100), 1.6, LARGER),
    row("adafocal", (65536, 21), 1.35),
    row("adafocal", VOLUMES, 2.0, VOXELS),
    row("selective_au", VOLUMES, 8.0),
    row("aurc", VOLUMES, 10.0, SORTED),
    row("mmce", VOLUMES, 10.0, SORTED),
    row("mmce", (128, 10), 5.0, PAIRS),
    row("brier", (128, 10), 2.2, SMALL),
    row("brier", (8192, 1000), 1.5),
    row("bsce_gra", (128, 10), 2.2, SMALL),
    row("bsce_gra", (8192, 1000), 1.0, ALLOCATED),
    row("mbls", (128, 10), 2.2, SMALL),
    row("mbls", (8192, 1000), 1.8, ALLOCATED),
    row("logit_norm", (128, 10), 2.2, SMALL),
    row("logit_norm", (8192, 1000), 2.0, ALLOCATED),
    row("dual_focal", (128, 10), 2.65, "Not worked on yet."),
    row("dual_focal", (65536, 21), 1.8, "Not worked on yet."),
    row("dual_focal", (8192, 1000), 1.8, "Not worked on yet. " + ALLOCATED),
]
