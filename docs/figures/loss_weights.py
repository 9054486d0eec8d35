# SPDX-License-Identifier: Apache-2.0
"""Draw docs/images/loss_weights.svg: what each loss of the catalogue does to cross-entropy, against p_true.

python docs/figures/loss_weights.py [--out docs/images/loss_weights.svg]
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import Tensor

from adafocal.losses import LOSSES, AdaFocalLoss, make_loss

HERE = Path(__file__).parent
LOSS, GRADIENT = "#1b6ca8", "#d1495b"
TOP = 4.2


def batch() -> tuple[Tensor, Tensor]:
    """Give samples of two classes with p_true spread evenly over (0, 1), each labelled with the first class."""
    p = torch.linspace(0.005, 0.995, 397, dtype=torch.float64)
    return torch.stack([p.log(), torch.log1p(-p)], dim=1), torch.zeros(len(p), dtype=torch.int64)


def ratios(name: str) -> tuple[Tensor, Tensor]:
    """Give the loss, and its gradient with respect to the true logit, over those of cross-entropy."""
    criterion = make_loss(name, {"reduction": "none"})
    if isinstance(criterion, AdaFocalLoss):
        criterion.gamma.copy_(torch.linspace(-1.0, 3.0, criterion.n_bins))
    logits, labels = batch()
    values = []
    for loss in (criterion, lambda z, y: F.cross_entropy(z, y, reduction="none")):
        z = logits.clone().requires_grad_()
        losses = loss(z, labels)
        values.append((losses.detach(), torch.autograd.grad(losses.sum(), z)[0][:, 0]))
    (loss_value, gradient), (ce, ce_gradient) = values
    return loss_value / ce, gradient / ce_gradient


def main() -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE.parent / "images" / "loss_weights.svg")
    options = parser.parse_args()
    plt.rcParams.update({"svg.hashsalt": "adafocal", "svg.fonttype": "path", "font.size": 8, "axes.linewidth": 0.6})
    drawn = {name: spec for name, spec in LOSSES.items() if not spec.dense}
    n_rows = -(-len(drawn) // 4)
    figure, grid = plt.subplots(n_rows, 4, figsize=(8.6, 2 * n_rows), sharex=True, sharey=True, layout="constrained")
    for axes in grid.flat[len(drawn) :]:
        axes.remove()
    p = batch()[0][:, 0].exp()
    for axes, (name, spec) in zip(grid.flat, drawn.items(), strict=False):
        loss, gradient = ratios(name)
        axes.axhline(1.0, color="0.7", linewidth=0.8)
        if name != "mmce":  # its penalty is no factor of a sample's cross-entropy
            axes.plot(p, loss.where(loss < 3 * TOP, torch.nan), color=LOSS, linewidth=1.6, label="loss")
        axes.plot(p, gradient, color=GRADIENT, linewidth=1.2, linestyle=(0, (4, 2)), label="gradient")
        axes.set_title(spec.title, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set(xlim=(0, 1), ylim=(-0.5, TOP), xticks=[0, 0.5, 1], yticks=[0, 1, 2, 3, 4])
    figure.supxlabel("p_true")
    figure.supylabel("over that of cross-entropy")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out, metadata={"Date": None})


if __name__ == "__main__":
    main()
