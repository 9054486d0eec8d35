# SPDX-License-Identifier: Apache-2.0
"""AdaFocal on 20 Newsgroups, epoch by epoch: gammas, where the training samples are, and the calibration error.

python benchmarks/gamma_dynamics.py --data ~/data [--rates 1 5] [--epochs 50] [--out docs/images/gamma_dynamics.svg]

Draws one column per rate, and writes the numbers beside the picture as CSV.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from adafocal_variants import logits_of, smaller_gp_cnn
from matplotlib.colors import PowerNorm

import adafocal
from adafocal import AdaFocalLoss, Predictions
from adafocal._files import write_rows
from adafocal.calibration import evaluate
from adafocal.calibration.edges import assign_bins
from adafocal.data import DataSplits, load_splits
from adafocal.models import make_model
from adafocal.recipes import get_recipe
from adafocal.training import TrainConfig
from adafocal.training.optimizers import make_optimizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder that holds 20newsgroups")
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0, 5.0])
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/images/gamma_dynamics.svg"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = smaller_gp_cnn(get_recipe("20newsgroups-text_cnn").config, options.data)
    splits = load_splits(config.data, seed=options.seed)
    print(f"adafocal {adafocal.__version__}, torch {torch.__version__}, seed {options.seed}, {options.epochs} epochs")
    histories = {rate: train(config, splits, rate, options) for rate in options.rates}
    draw(histories, options.out)
    rows = [row for history in histories.values() for row in history]
    write_rows(options.out.with_suffix(".csv"), [{name: f"{value:.5g}" for name, value in row.items()} for row in rows])


def train(config: TrainConfig, splits: DataSplits, rate: float, options: argparse.Namespace) -> list[dict[str, float]]:
    """Train in a plain loop and give a row per epoch."""
    torch.manual_seed(options.seed)
    model = make_model(
        config.model,
        config.model_args,
        input_shape=splits.train.inputs.shape[1:],
        n_classes=splits.n_classes,
        vocabulary=splits.vocabulary,
    )
    criterion = AdaFocalLoss(rate=rate, reduction="sum")
    optimizer = make_optimizer(config.optimizer, model)
    history = []
    for epoch in range(options.epochs):
        occupancy = torch.zeros(criterion.n_bins)
        model.train()
        for rows in torch.randperm(len(splits.train)).split(config.batch_size):
            labels = splits.train.labels[rows]
            logits = model(splits.train.inputs[rows])
            optimizer.zero_grad()
            criterion(logits, labels).backward()
            optimizer.step()
            p_true = logits.detach().softmax(1).gather(1, labels[:, None])[:, 0]
            occupancy += torch.bincount(assign_bins(p_true, criterion.edges), minlength=criterion.n_bins)
        validation, test = (
            Predictions(logits=logits_of(model, part.inputs), labels=part.labels)
            for part in (splits.validation, splits.test)
        )
        criterion.observe(validation.logits, validation.labels)
        criterion.adapt()
        found = evaluate(test)
        row = {"rate": rate, "epoch": epoch + 1, "test_error": 1.0 - found.accuracy, "test_ece": found.ece}
        row["test_overconfidence"] = found.overconfidence
        row |= {f"gamma_{i}": value for i, value in enumerate(criterion.gamma.tolist())}
        row |= {f"training_share_{i}": value for i, value in enumerate((occupancy / occupancy.sum()).tolist())}
        history.append(row)
        print(
            f"rate {rate:g} epoch {epoch + 1:2d}  error {100 * row['test_error']:5.2f} %  ECE {100 * found.ece:5.2f} %"
        )
    return history


def draw(histories: dict[float, list[dict[str, float]]], path: Path) -> None:
    """Draw the gammas, the training samples' bins and the calibration error against the epoch."""
    plt.rcParams.update({"svg.hashsalt": "adafocal", "svg.fonttype": "path", "font.size": 8, "axes.linewidth": 0.6})
    figure, axes = plt.subplots(3, len(histories), figsize=(8.6, 6.4), sharex=True, squeeze=False, layout="constrained")
    for column, (rate, history) in zip(axes.T, histories.items(), strict=True):
        epochs = [row["epoch"] for row in history]
        edges = (0.5, epochs[-1] + 0.5, 0.5, 15.5)
        gammas, shares = (
            [[row[f"{what}_{i}"] for row in history] for i in range(15)] for what in ("gamma", "training_share")
        )
        options = {"origin": "lower", "aspect": "auto", "extent": edges, "interpolation": "nearest"}
        of_gamma = column[0].imshow(gammas, cmap="RdBu_r", norm="symlog", vmin=-20, vmax=20, **options)
        of_share = column[1].imshow(shares, cmap="viridis", norm=PowerNorm(0.5, 0, 1), **options)
        column[2].plot(epochs, [100 * row["test_ece"] for row in history], color="#1b6ca8", label="test ECE, %")
        over = [100 * row["test_overconfidence"] for row in history]
        column[2].plot(epochs, over, color="#d1495b", linestyle="--", label="confidence - accuracy, %")
        column[2].axhline(0, color="0.6", linewidth=0.6)
        column[0].set_title(f"rate {rate:g}: gamma per bin")
        column[1].set_title("share of training samples per bin")
        column[2].set_xlabel("epoch")
        column[2].sharey(axes[2, 0])
    for row in axes[:2]:
        row[0].set_ylabel("bin, by confidence")
        for panel in row:
            panel.set_yticks([1, 5, 10, 15])
    axes[2, 0].legend(frameon=False)
    figure.colorbar(of_gamma, ax=axes[0], ticks=[-10, -1, 0, 1, 10])
    figure.colorbar(of_share, ax=axes[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
