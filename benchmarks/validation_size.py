# SPDX-License-Identifier: Apache-2.0
"""How many validation samples AdaFocal and temperature scaling need: test ECE on the demo's task.

python benchmarks/validation_size.py [--sizes 50 100 200 500] [--seeds 5] [--n-bins 15 5]
"""

import argparse
from dataclasses import replace

import torch

import adafocal
from adafocal import AdaFocalLoss, Predictions
from adafocal.calibration import evaluate
from adafocal.data import DataSplits, load_splits
from adafocal.models import make_model
from adafocal.recipes import get_recipe
from adafocal.scaling import fit_temperature

CONFIG = get_recipe("digits").config


def train(splits: DataSplits, criterion: torch.nn.Module, *, seed: int, size: int) -> tuple[Predictions, Predictions]:
    """Train the demo's network; give predictions of the first ``size`` validation samples and of the test part."""
    torch.manual_seed(seed)
    model = make_model("mlp", {}, input_shape=splits.train.inputs.shape[1:], n_classes=splits.n_classes)
    step = CONFIG.optimizer
    optimizer = torch.optim.SGD(model.parameters(), lr=step.lr, momentum=step.momentum, weight_decay=step.weight_decay)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(step.milestones), step.lr_decay)
    validation = splits.validation.inputs[:size], splits.validation.labels[:size]
    for _ in range(CONFIG.epochs):
        for rows in torch.randperm(len(splits.train)).split(CONFIG.batch_size):
            optimizer.zero_grad()
            criterion(model(splits.train.inputs[rows]), splits.train.labels[rows]).backward()
            optimizer.step()
        schedule.step()
        if isinstance(criterion, AdaFocalLoss):
            with torch.no_grad():
                criterion.observe(model(validation[0]), validation[1])
            criterion.adapt()
    with torch.no_grad():
        test = Predictions(logits=model(splits.test.inputs), labels=splits.test.labels)
        return Predictions(logits=model(validation[0]), labels=validation[1]), test


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 200, 500])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--n-bins", type=int, nargs="+", default=[15, 5])
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"adafocal {adafocal.__version__}, torch {torch.__version__}, seeds 0 to {options.seeds - 1}; test ECE in %")
    found: dict[tuple[str, int], list[float]] = {}
    for seed in range(options.seeds):
        splits = load_splits(replace(CONFIG.data, validation_size=max(options.sizes)), seed=seed)
        shuffled = torch.randperm(len(splits.validation), generator=torch.Generator().manual_seed(seed))
        splits.validation.inputs[:] = splits.validation.inputs[shuffled]
        splits.validation.labels[:] = splits.validation.labels[shuffled]
        scored, test = train(splits, torch.nn.CrossEntropyLoss(), seed=seed, size=max(options.sizes))
        for size in options.sizes:
            few = Predictions(logits=scored.logits[:size], labels=scored.labels[:size])
            found.setdefault(("cross-entropy", size), []).append(evaluate(test).ece)
            found.setdefault(("  and temperature", size), []).append(evaluate(fit_temperature(few).apply(test)).ece)
            for n_bins in options.n_bins:
                _, adapted = train(splits, AdaFocalLoss(n_bins=n_bins), seed=seed, size=size)
                found.setdefault((f"AdaFocal, {n_bins} bins", size), []).append(evaluate(adapted).ece)
        print(f"seed {seed} done", flush=True)
    for (what, size), values in sorted(found.items()):
        percent = 100 * torch.tensor(values)
        print(f"{what:<20} {size:4d} validation samples  {percent.mean():6.2f} ± {percent.std():.2f}")


if __name__ == "__main__":
    main()
