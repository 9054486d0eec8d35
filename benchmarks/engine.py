# SPDX-License-Identifier: Apache-2.0
"""What the engine costs: epochs of ``adafocal train`` with AdaFocal against a plain loop with cross-entropy.

Both train the same network on the same images in memory in the same order of magnitude of work: forward, backward, SGD
step, then a validation pass. The engine adds Lightning, augmentation off in both, the AdaFocal loss, its statistics and
update, the history, two checkpoints and the TensorBoard log per epoch; the plain loop has none of it. Rounds alternate,
so that a busy machine slows both; what is printed is the median of the ratios with its range.

``python benchmarks/engine.py [--repeats 7] [--threads 2] [--train_size 1000] [--models small_cnn resnet18]``
"""

import argparse
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

from adafocal.data import DataConfig
from adafocal.training.classifier import Classifier
from adafocal.training.config import OptimizerConfig, TrainConfig
from adafocal.training.run import build
from adafocal.training.trainer import make_trainer, quiet_lightning

MODELS = {"small_cnn": 64, "resnet18": 128}


def made_images(folder: Path, train_size: int) -> Path:
    """Write random images of CIFAR's size as an npz data set."""
    generator = np.random.default_rng(0)
    for part, n in (("train", train_size + train_size // 8), ("test", 10)):
        np.savez(
            folder / f"{part}.npz",
            image=generator.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8),
            label=np.arange(n) % 10,
        )
    return folder


def settings(data: Path, model: str, batch_size: int, train_size: int, epochs: int) -> TrainConfig:
    return TrainConfig(
        loss="adafocal",
        model=model,
        data=DataConfig(
            name="random", path=str(data), train_size=train_size, validation_size=train_size // 8, augment=False
        ),
        optimizer=OptimizerConfig(lr=0.01, weight_decay=5e-4, milestones=()),
        epochs=epochs,
        batch_size=batch_size,
        deterministic=False,
    )


def engine_seconds(config: TrainConfig) -> list[float]:
    """Seconds of each epoch of the engine, checkpoint included, but for the first."""
    classifier = build(config)
    marks: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(config, Path(folder), classifier, progress=False)
        trainer.callbacks.insert(0, Marks(marks))
        with quiet_lightning():
            trainer.fit(classifier)
            marks.append(time.perf_counter())
    return [later - earlier for earlier, later in pairwise(marks)][1:]


def plain_seconds(config: TrainConfig) -> list[float]:
    """Seconds of each epoch of a loop as people write it, but for the first."""
    classifier = build(config)
    model, splits = classifier.model, classifier.splits
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    criterion, seconds = nn.CrossEntropyLoss(), []
    for _ in range(config.epochs):
        start = time.perf_counter()
        model.train()
        for rows in torch.randperm(len(splits.train)).split(config.batch_size):
            inputs, labels = prepared(classifier, splits.train.inputs[rows]), splits.train.labels[rows]
            loss = criterion(model(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        correct = 0
        with torch.no_grad():
            for rows in torch.arange(len(splits.validation)).split(config.evaluation_batch_size):
                inputs, labels = prepared(classifier, splits.validation.inputs[rows]), splits.validation.labels[rows]
                correct += (model(inputs).argmax(1) == labels).sum()
        float(correct)
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def prepared(classifier: Classifier, inputs: torch.Tensor) -> torch.Tensor:
    return classifier.prepared(inputs, training=False)


def make_marks() -> type:
    import lightning.pytorch as L

    class Marks(L.Callback):
        """Note when each epoch starts."""

        def __init__(self, marks: list[float]) -> None:
            self.marks = marks

        def on_train_epoch_start(self, trainer: object, pl_module: object) -> None:
            self.marks.append(time.perf_counter())

    return Marks


Marks = make_marks()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--train_size", type=int, default=1000)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    n = options.train_size
    print(f"torch {torch.__version__}, {options.threads} threads, {n} training images, epochs 2 and 3 of 3")
    with tempfile.TemporaryDirectory() as folder:
        data = made_images(Path(folder), options.train_size)
        for model, batch_size in ((model, MODELS[model]) for model in options.models):
            config = settings(data, model, batch_size, options.train_size, epochs=3)
            rounds = []
            for number in range(options.repeats):
                runs = [engine_seconds, plain_seconds]
                timed = {run: statistics.median(run(config)) for run in (runs if number % 2 else runs[::-1])}
                rounds.append((timed[engine_seconds], timed[plain_seconds]))
            ratios = sorted(engine / plain for engine, plain in rounds)
            steps = -(-options.train_size // batch_size)
            added = statistics.median(engine - plain for engine, plain in rounds)
            print(
                f"{model:<10} batch {batch_size:<4} epoch {statistics.median(ratios):.3f} times the plain loop "
                f"[{ratios[0]:.3f}, {ratios[-1]:.3f}]; plain {statistics.median(p for _, p in rounds):.2f} s, added "
                f"{1000 * added / steps:.1f} ms per step"
            )


if __name__ == "__main__":
    main()
