# SPDX-License-Identifier: Apache-2.0
"""What a loss costs a training epoch: processor time and peak memory over cross-entropy's, in a plain loop.

python benchmarks/epoch_cost.py --data ~/data [--tasks mnist 20newsgroups] [--losses adafocal mmce ...] [--repeats 3]

The networks, batches and losses of docs/results.md. An epoch trains, predicts the validation part and, for AdaFocal,
adapts. Each measurement is a process of its own with one thread that runs two epochs and reports the second; each round
measures cross-entropy too. Memory is the peak of the process beyond what it held before the first epoch.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import replace
from statistics import median

import torch
from adafocal_variants import smaller_gp_cnn

import adafocal
from adafocal import AdaFocalLoss
from adafocal.data import load_splits
from adafocal.losses import LOSSES, make_loss
from adafocal.models import make_model
from adafocal.recipes import get_recipe
from adafocal.training import TrainConfig
from adafocal.training.optimizers import make_optimizer

TASKS = ("mnist", "20newsgroups")


def config_of(task: str, root: str, loss: str) -> TrainConfig:
    """Give the settings of docs/results.md."""
    if task == "mnist":
        recipe = get_recipe("digits")
        data = replace(recipe.config.data, name="mnist", root=root, train_size=2000, validation_size=1000, test_size=10)
        config = replace(recipe.config, data=replace(data, noise=0.0), model="small_cnn", model_args={}, batch_size=64)
    else:
        recipe = get_recipe("20newsgroups-text_cnn")
        config = smaller_gp_cnn(recipe.config, root)
    return recipe.with_loss(config, loss)


def measure(task: str, root: str, loss: str) -> dict[str, float]:
    """Run two epochs; give the second's processor seconds and the growth of the peak memory in MiB."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = config_of(task, root, loss)
    splits = load_splits(config.data, seed=0)
    shape = splits.train.inputs.shape[1:]
    model = make_model(
        config.model, config.model_args, input_shape=shape, n_classes=splits.n_classes, vocabulary=splits.vocabulary
    )
    criterion, optimizer = make_loss(loss, config.loss_args), make_optimizer(config.optimizer, model)
    train, validation = (as_floats(part.inputs) for part in (splits.train, splits.validation))
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = 0.0
    for _ in range(2):
        start = time.process_time()
        model.train()
        for rows in torch.randperm(len(splits.train)).split(config.batch_size):
            optimizer.zero_grad()
            criterion(model(train[rows]), splits.train.labels[rows]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            logits = torch.cat([model(part) for part in validation.split(config.batch_size)])
        if isinstance(criterion, AdaFocalLoss):
            criterion.observe(logits, splits.validation.labels)
            criterion.adapt()
        seconds = time.process_time() - start
    return {"seconds": seconds, "mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held) / 1024}


def as_floats(inputs: torch.Tensor) -> torch.Tensor:
    """Give images as the model takes them; tokens as they are."""
    return inputs / 255.0 if inputs.dtype == torch.uint8 else inputs


def apart(task: str, root: str, loss: str) -> dict[str, float]:
    """Measure in a fresh process."""
    command = [sys.executable, __file__, "--data", root, "--measure", task, loss]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder that holds mnist and 20newsgroups")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--losses", nargs="+", choices=list(LOSSES), default=["adafocal"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure[0], options.data, options.measure[1])))
        return
    print(f"adafocal {adafocal.__version__}, torch {torch.__version__}, medians of {options.repeats} rounds")
    ratios = {(loss, task): [] for loss in options.losses for task in options.tasks}
    for _ in range(options.repeats):
        for task in options.tasks:
            peer = apart(task, options.data, "cross_entropy")
            for loss in options.losses:
                ours = apart(task, options.data, loss)
                ratios[loss, task].append((ours["seconds"] / peer["seconds"], ours["mib"] / peer["mib"]))
    print("| loss |" + "".join(f" {task}, time [range] | memory |" for task in options.tasks))
    print("|---|" + "--:|" * 2 * len(options.tasks))
    for loss in options.losses:
        cells = []
        for task in options.tasks:
            times, memory = zip(*ratios[loss, task], strict=True)
            cells += [f"{median(times):.2f} [{min(times):.2f}, {max(times):.2f}]", f"{median(memory):.2f}"]
        print(f"| `{loss}` | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
