# SPDX-License-Identifier: Apache-2.0
"""AdaFocal with other settings and other rules: what helps where epochs or validation samples are few?

python benchmarks/adafocal_variants.py [--weight-decay 5e-3] [--epochs 100] [--validation-size 500] [--seeds 5]
python benchmarks/adafocal_variants.py --task 20newsgroups --data ~/data [--variants "shrunk gaps" "5 bins"] ...

The tasks are the demo's noisy digits and the smaller GP-CNN of docs/results.md. Prints the test ECE of each variant
and its difference to the paper's rule, paired over seeds. ``shrunk gaps`` and ``bins by training quantiles`` are trials
that the library does not offer.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from statistics import mean, stdev

import torch
from torch import Tensor, nn

import adafocal
from adafocal import AdaFocalLoss, Predictions
from adafocal.calibration import BinStats, evaluate
from adafocal.calibration.edges import assign_bins
from adafocal.data import DataSplits, load_splits
from adafocal.losses import update_gammas
from adafocal.models import make_model
from adafocal.recipes import get_recipe
from adafocal.training import TrainConfig
from adafocal.training.optimizers import make_optimizer


class ShrunkGaps(AdaFocalLoss):
    """Moves each bin's gap towards the pooled one, by its standard error (empirical Bayes)."""

    def adapt(self) -> BinStats:
        stats = self._observed.compute(self.n_bins, streaming=False, like=self.edges)
        count = stats.count.double().clamp_min(1)
        pooled = (stats.gap * stats.count).sum() / stats.count.sum()
        accuracy = stats.correct_sum / count
        error = (accuracy * (1 - accuracy)).clamp_min(1 / float(count.mean())) / count  # squared
        spread = ((stats.gap - pooled).square() - error).mean().clamp_min(0)
        gap = pooled + spread / (spread + error) * (stats.gap - pooled)
        self.gamma.copy_(update_gammas(self.gamma, gap, rate=self.rate))
        self.edges.copy_(stats.edges)
        self.reset()
        return stats


class TrainingQuantiles(AdaFocalLoss):
    """Gives a training sample the bin of its quantile among the last epoch's training samples."""

    def __init__(self, **settings: float) -> None:
        super().__init__(**settings)
        self.seen: list[Tensor] = []
        self.training_edges: Tensor | None = None

    def gamma_of(self, p: Tensor) -> Tensor:
        self.seen.append(p.detach().flatten())
        edges = self.edges if self.training_edges is None else self.training_edges
        return self.gamma[assign_bins(p, edges)]

    def adapt(self) -> BinStats:
        stats = super().adapt()
        self.training_edges = torch.quantile(torch.cat(self.seen), torch.arange(1, self.n_bins) / self.n_bins)
        self.seen = []
        return stats


VARIANTS: dict[str, Callable[[], AdaFocalLoss]] = {
    "the paper's rule": AdaFocalLoss,
    "rate 2.5": lambda: AdaFocalLoss(rate=2.5),
    "rate 5": lambda: AdaFocalLoss(rate=5.0),
    "rate 10": lambda: AdaFocalLoss(rate=10.0),
    "start at gamma 3": lambda: AdaFocalLoss(gamma_init=3.0),
    "start at gamma 3, rate 5": lambda: AdaFocalLoss(gamma_init=3.0, rate=5.0),
    "no inverse focal": lambda: AdaFocalLoss(gamma_min=0.2, switch_point=0.0),
    "no inverse focal, rate 5": lambda: AdaFocalLoss(gamma_min=0.2, switch_point=0.0, rate=5.0),
    "bins by training quantiles": TrainingQuantiles,
    "bins by training quantiles, rate 5": lambda: TrainingQuantiles(rate=5.0),
    "shrunk gaps": ShrunkGaps,
    "shrunk gaps, rate 5": lambda: ShrunkGaps(rate=5.0),
    "5 bins": lambda: AdaFocalLoss(n_bins=5),
    "5 bins, rate 5": lambda: AdaFocalLoss(n_bins=5, rate=5.0),
}


def smaller_gp_cnn(config: TrainConfig, root: str) -> TrainConfig:
    """Cut settings of 20 Newsgroups down to the text and network of docs/results.md."""
    data = replace(config.data, root=root, length=100, vocabulary_size=10_000)
    return replace(config, data=data, model_args={"width": 32, "embedding_size": 48})


def config_of(options: argparse.Namespace) -> TrainConfig:
    """Give the task's recipe with the options laid over it."""
    if options.task == "digits":
        config = get_recipe("digits").config
    else:
        config = smaller_gp_cnn(get_recipe("20newsgroups-text_cnn").config, options.data)
    epochs = options.epochs or config.epochs
    optimizer = replace(
        config.optimizer, milestones=tuple(one * epochs // config.epochs for one in config.optimizer.milestones)
    )
    if options.weight_decay is not None:
        optimizer = replace(optimizer, weight_decay=options.weight_decay)
    return replace(config, epochs=epochs, optimizer=optimizer)


def test_ece(config: TrainConfig, splits: DataSplits, criterion: AdaFocalLoss, seed: int, size: int | None) -> float:
    """Train in a plain loop, adapt on ``size`` validation samples and give the test ECE in percent."""
    torch.manual_seed(seed)
    shape = splits.train.inputs.shape[1:]
    model = make_model(
        config.model,
        config.model_args,
        input_shape=shape,
        n_classes=splits.n_classes,
        vocabulary=splits.vocabulary,
    )
    optimizer = make_optimizer(config.optimizer, model)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(config.optimizer.milestones), 0.1)
    few = torch.randperm(len(splits.validation), generator=torch.Generator().manual_seed(seed))[:size]
    inputs, labels = splits.validation.inputs[few], splits.validation.labels[few]
    for _ in range(config.epochs):
        model.train()
        for rows in torch.randperm(len(splits.train)).split(config.batch_size):
            optimizer.zero_grad()
            criterion(model(splits.train.inputs[rows]), splits.train.labels[rows]).backward()
            optimizer.step()
        schedule.step()
        criterion.observe(logits_of(model, inputs), labels)
        criterion.adapt()
    return 100 * evaluate(Predictions(logits=logits_of(model, splits.test.inputs), labels=splits.test.labels)).ece


@torch.no_grad()
def logits_of(model: nn.Module, inputs: Tensor) -> Tensor:
    """Give the logits without dropout."""
    model.eval()
    return torch.cat([model(part) for part in inputs.split(1024)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=["digits", "20newsgroups"], default="digits")
    parser.add_argument("--data", help="folder that holds 20newsgroups")
    parser.add_argument("--weight-decay", type=float)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--validation-size", type=int, help="at most this many validation samples")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = config_of(options)
    print(f"adafocal {adafocal.__version__}, torch {torch.__version__}; test ECE in %, difference to the paper's rule")
    splits = [load_splits(config.data, seed=seed) for seed in range(options.seeds)]
    paper: list[float] = []
    for name in dict.fromkeys(["the paper's rule", *options.variants]):
        found = [
            test_ece(config, splits[seed], VARIANTS[name](), seed, options.validation_size)
            for seed in range(options.seeds)
        ]
        paper = paper or found
        change = [a - b for a, b in zip(found, paper, strict=True)]
        print(
            f"{name:<36} {mean(found):5.2f} ± {stdev(found):.2f}   {mean(change):+5.2f} ± {stdev(change):.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
