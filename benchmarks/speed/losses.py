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


CALLS = (
    "The floor, a function in Python of cross-entropy and its derivative alone, is 1.7 by six calls of torch; module "
    "and checks add 0.2. Each further different call adds 0.09, as its code has left the caches: Brier has seven more, "
    "BSCE-GRA six, logit normalisation ten, margin smoothing and dual focal twenty."
)
FAMILY = (
    "The floor, a function in Python of cross-entropy and its derivative alone, is 1.7; the same with a search of bins "
    "and the powers by fifteen calls of NumPy, without module and checks, 2.8 in the same run."
)
SPREAD = "The quartiles span a factor of two under a load of 6 to 8; on a quieter machine it was 0.99 the day before."
ALLOCATED = "The spread is that of fresh tensors of 32 MB, which cost as much as a pass over them."
VOXELS = (
    "Beside 11.7 ms of cross-entropy lie powers (4.1 ms), bins (3.3 ms), log-softmax and its exponential (5.6 ms), and "
    "a label's number, found among three and put back (4.2 ms)."
)
PAIRS = (
    "The floor, a function in Python of cross-entropy and its derivative alone, is 1.7; all pairs of 128 samples in "
    "float64, passes over their matrix, took 1.4 by torch's calls; some twenty calls of NumPy and torch are the rest."
)
SORTED = "At the goal, within the spread of a busy machine."
LARGER = "The floor, cross-entropy, its derivative, and powers without module and checks, is 1.55 to 1.65."
SEARCH = (
    "The next lower logit takes 1.2 of a log-softmax for the minimum of short rows and 0.3 for which are lower; "
    "turning the rows there and back would cost 0.7 of one and save 1.2, not enough for the goal."
)
ROWS = [
    row("adafocal", (128, 10), 2.5, FAMILY),
    row("adafocal", (1024, 100), 1.6, LARGER),
    row("adafocal", (65536, 21), 1.35, SPREAD),
    row("adafocal", VOLUMES, 2.0, VOXELS),
    row("selective_au", VOLUMES, 8.0),
    row("aurc", VOLUMES, 10.0, SORTED),
    row("mmce", VOLUMES, 10.0, SORTED),
    row("mmce", (128, 10), 5.0, PAIRS),
    row("brier", (128, 10), 2.2, CALLS),
    row("brier", (8192, 1000), 1.5),
    row("bsce_gra", (128, 10), 2.2, CALLS),
    row("bsce_gra", (8192, 1000), 1.0, ALLOCATED),
    row("mbls", (128, 10), 2.2, CALLS),
    row("mbls", (8192, 1000), 1.8, ALLOCATED),
    row("logit_norm", (128, 10), 2.2, CALLS),
    row("logit_norm", (8192, 1000), 2.0, ALLOCATED),
    row("dual_focal", (128, 10), 2.65, CALLS),
    row("dual_focal", (65536, 21), 1.8, SEARCH),
    row("dual_focal", (8192, 1000), 1.8, ALLOCATED),
]
