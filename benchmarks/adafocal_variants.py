# SPDX-License-Identifier: Apache-2.0
"""AdaFocal with other settings and other rules: what helps where epochs or validation samples are few?

python benchmarks/adafocal_variants.py [--weight-decay 5e-3] [--epochs 100] [--validation-size 500] [--seeds 5]
python benchmarks/adafocal_variants.py --task 20newsgroups --data ~/data [--variants "shrunk gaps" "5 bins"] ...
python benchmarks/adafocal_variants.py --task mnist --data ~/data --seeds 10 --variants predictive "standard errors" ...

The tasks are the demo's noisy digits, the smaller GP-CNN of docs/results.md, and an MLP on 2,000 images of MNIST or
5,000 of CIFAR-10 for 20 epochs. Prints the test ECE of each variant and its difference to the paper's rule, and NLL
after a temperature and error with their differences to cross-entropy, all paired over seeds. Variants that are classes
here are trials that the library does not offer.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import log
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import adafocal
from adafocal import AdaFocalLoss, Predictions
from adafocal.calibration import BinStats, evaluate
from adafocal.calibration.edges import assign_bins
from adafocal.data import DataSplits, load_splits
from adafocal.losses import update_gammas
from adafocal.losses.update_rule import pooled_gap_of
from adafocal.models import make_model
from adafocal.recipes import get_recipe
from adafocal.scaling import fit_temperature
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


class Steered(AdaFocalLoss):
    """Moves all bins by a step that :meth:`steered` makes of what ``pooled_rate`` gives; the logits are at hand."""

    def observe(self, logits: Tensor, labels: Tensor) -> None:
        self.seen = Predictions(logits=logits, labels=labels)
        super().observe(logits, labels)

    def _pooled_step(self, stats: BinStats, group: Any) -> float:
        pooled = pooled_gap_of(stats)
        step = self.steered(super()._pooled_step(stats, group) + self.rate * pooled, pooled, stats)
        if hasattr(self, "forecast"):
            self.forecast[2] = step  # it learns from the step that was taken
        return step - self.rate * pooled

    def steered(self, step: float, pooled: float, stats: BinStats) -> float:
        raise NotImplementedError


class Bounded(Steered):
    """Takes no larger step than so much of log gamma."""

    def __init__(self, most: float, **settings: Any) -> None:
        super().__init__(**settings)
        self.most = most

    def steered(self, step: float, pooled: float, stats: BinStats) -> float:
        return max(-self.most, min(step, self.most))


class Refining(Steered):
    """Raises no gamma by the pooled gap once NLL after a temperature is above its least by half a percent."""

    least = float("inf")

    def steered(self, step: float, pooled: float, stats: BinStats) -> float:
        nll = scaled_nll(self.seen, fitted_on=self.seen)
        self.least = min(self.least, nll)
        return step if nll <= 1.005 * self.least else min(step, 0.0)


class Tempered(Steered):
    """Steps by the log of the temperature that the validation logits want, at most 1."""

    def steered(self, step: float, pooled: float, stats: BinStats) -> float:
        return max(-1.0, min(log(fit_temperature(self.seen).temperature), 1.0))


def squared_error(stats: BinStats) -> Tensor:
    """Square the standard error of each bin's gap, one right and one wrong answer added so that none is certain."""
    accuracy = (stats.correct_sum + 1) / (stats.count + 2).double()
    return accuracy * (1 - accuracy) / stats.count.double().clamp_min(1)


class InStandardErrors(Steered):
    """Steps by a tenth of the pooled gap's size in standard errors, at most 1: faster where more samples tell it."""

    def steered(self, step: float, pooled: float, stats: BinStats) -> float:
        share = stats.count / stats.count.sum()
        error = float((share.square() * squared_error(stats)).sum().sqrt())
        return max(-1.0, min(0.1 * pooled / error, 1.0))


class Certain(Steered):
    """Leaves out what of the pooled gap its standard error explains: the step times 1 - (error / gap)², or 0."""

    def steered(self, step: float, pooled: float, stats: BinStats) -> float:
        share = stats.count / stats.count.sum()
        error = float((share.square() * squared_error(stats)).sum())
        return step * max(0.0, 1 - error / max(pooled**2, 1e-12))


PREDICTIVE = {"pooled_rate": "predictive"}
VARIANTS: dict[str, Callable[[], nn.Module]] = {
    "cross-entropy": nn.CrossEntropyLoss,
    "the paper's rule": AdaFocalLoss,
    "two-speed": lambda: AdaFocalLoss(pooled_rate=10.0),
    "predictive": lambda: AdaFocalLoss(**PREDICTIVE),
    "two-speed, steps of at most 0.3": lambda: Bounded(0.3, pooled_rate=10.0),
    "predictive, steps of at most 0.3": lambda: Bounded(0.3, **PREDICTIVE),
    "predictive, steps of at most 0.15": lambda: Bounded(0.15, **PREDICTIVE),
    "predictive, gamma of at most 5": lambda: AdaFocalLoss(gamma_max=5.0, **PREDICTIVE),
    "predictive, steps 0.3, gamma 5": lambda: Bounded(0.3, gamma_max=5.0, **PREDICTIVE),
    "two-speed, refining": lambda: Refining(pooled_rate=10.0),
    "predictive, refining": lambda: Refining(**PREDICTIVE),
    "standard errors": lambda: InStandardErrors(pooled_rate=1.0),
    "two-speed, certain": lambda: Certain(pooled_rate=10.0),
    "predictive, certain": lambda: Certain(**PREDICTIVE),
    "log of the temperature": lambda: Tempered(pooled_rate=1.0),
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
    if options.task in ("digits", "mnist", "cifar10"):
        config = get_recipe("digits").config
        if options.task != "digits":
            size = {"mnist": 2000, "cifar10": 5000}[options.task]
            data = replace(config.data, name=options.task, root=options.data, noise=0.0, augment=False)
            data = replace(data, train_size=size, validation_size=1000)
            optimizer = replace(config.optimizer, milestones=(10, 15))
            config = replace(config, data=data, epochs=20, batch_size=64, optimizer=optimizer)
    else:
        config = smaller_gp_cnn(get_recipe("20newsgroups-text_cnn").config, options.data)
    epochs = options.epochs or config.epochs
    optimizer = replace(
        config.optimizer, milestones=tuple(one * epochs // config.epochs for one in config.optimizer.milestones)
    )
    if options.weight_decay is not None:
        optimizer = replace(optimizer, weight_decay=options.weight_decay)
    return replace(config, epochs=epochs, optimizer=optimizer)


def trained(config: TrainConfig, splits: DataSplits, criterion: nn.Module, seed: int, size: int | None) -> list[float]:
    """Train in a plain loop and adapt on ``size`` validation samples; give test ECE, NLL after T, and error."""
    torch.manual_seed(seed)
    prepare = splits.transform or (lambda inputs: inputs)
    model = make_model(
        config.model,
        config.model_args,
        input_shape=prepare(splits.train.inputs[:1]).shape[1:],
        n_classes=splits.n_classes,
        vocabulary=splits.vocabulary,
    )
    optimizer = make_optimizer(config.optimizer, model)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(config.optimizer.milestones), 0.1)
    few = torch.randperm(len(splits.validation), generator=torch.Generator().manual_seed(seed))[:size]
    inputs, labels = prepare(splits.validation.inputs[few]), splits.validation.labels[few]
    rows_of = prepare(splits.train.inputs)
    for _ in range(config.epochs):
        model.train()
        for rows in torch.randperm(len(splits.train)).split(config.batch_size):
            optimizer.zero_grad()
            criterion(model(rows_of[rows]), splits.train.labels[rows]).backward()
            optimizer.step()
        schedule.step()
        if isinstance(criterion, AdaFocalLoss):
            criterion.observe(logits_of(model, inputs), labels)
            criterion.adapt()
    validation = Predictions(logits=logits_of(model, inputs), labels=labels)
    test = Predictions(logits=logits_of(model, prepare(splits.test.inputs)), labels=splits.test.labels)
    found = evaluate(test)
    return [100 * found.ece, scaled_nll(test, fitted_on=validation), 100 * (1 - found.accuracy)]


def scaled_nll(predictions: Predictions, *, fitted_on: Predictions) -> float:
    """Measure NLL after a temperature that other predictions gave."""
    scaled = fit_temperature(fitted_on).apply(predictions)
    return float(F.cross_entropy(scaled.logits, scaled.labels))


@torch.no_grad()
def logits_of(model: nn.Module, inputs: Tensor) -> Tensor:
    """Give the logits without dropout."""
    model.eval()
    return torch.cat([model(part) for part in inputs.split(1024)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=["digits", "20newsgroups", "mnist", "cifar10"], default="digits")
    parser.add_argument("--data", help="folder that holds 20newsgroups, mnist and cifar10")
    parser.add_argument("--weight-decay", type=float)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--validation-size", type=int, help="at most this many validation samples")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0, help="to confirm what others have found")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = config_of(options)
    print(f"adafocal {adafocal.__version__}, torch {torch.__version__}; ECE and error in %; differences paired")
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    splits = {seed: load_splits(config.data, seed=seed) for seed in seeds}
    found: dict[str, list[list[float]]] = {}
    for name in dict.fromkeys(["cross-entropy", "the paper's rule", *options.variants]):
        found[name] = [trained(config, splits[seed], VARIANTS[name](), seed, options.validation_size) for seed in seeds]
        ece, nll, error = zip(*found[name], strict=True)
        cells = [f"ECE {mean(ece):5.2f} ± {stdev(ece):.2f}"]
        cells += [difference(found[name], found.get("the paper's rule"), 0, "paper's", 2)]
        cells += [f"NLL after T {mean(nll):.3f}", difference(found[name], found["cross-entropy"], 1, "CE's", 3)]
        cells += [f"error {mean(error):.2f}", difference(found[name], found["cross-entropy"], 2, "CE's", 2)]
        print(f"{name:<36} " + "  ".join(cells), flush=True)


def difference(
    one: Sequence[Sequence[float]], other: Sequence[Sequence[float]] | None, place: int, of: str, n: int
) -> str:
    """Show mean and standard deviation of a difference over seeds."""
    if other is None or one is other:
        return ""
    change = [a[place] - b[place] for a, b in zip(one, other, strict=True)]
    return f"(- {of}: {mean(change):+.{n}f} ± {stdev(change):.{n}f})"


if __name__ == "__main__":
    main()
