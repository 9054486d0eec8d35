# SPDX-License-Identifier: Apache-2.0
"""AdaFocal as its authors state it beside ours, in one loop from the same seeds: how far do the two differ?

python benchmarks/beside_the_authors.py [--seeds 10] [--epochs 100]
python benchmarks/beside_the_authors.py --mnist ~/data [--seeds 5] [--epochs 20]

Along a training by ours, both are given the same logits, gammas and edges: the largest difference of the loss and its
gradient over all steps, of the next gammas over all epochs, and of the edges, which are cut by another rule. Then whole
trainings, each on its own: the final test ECE by ours minus by theirs, beside what a change of the first weights by a
millionth does to theirs. What the authors state, section 4 and algorithm 1 of the paper and the settings that they
published, is written down here anew; nothing is copied.
"""

import argparse
from collections import defaultdict
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import mean, stdev

import torch
from torch import Tensor, nn

import adafocal
from adafocal import AdaFocalLoss, Predictions
from adafocal.calibration import evaluate
from adafocal.calibration.edges import assign_bins, find_bins
from adafocal.data import DataConfig, DataSplits, load_splits
from adafocal.losses import update_gammas
from adafocal.models import make_model
from adafocal.recipes import get_recipe
from adafocal.training import TrainConfig
from adafocal.training.optimizers import make_optimizer

MILLIONTH = 1e-6


@dataclass
class Stated:
    """The loss, the bins and the update as the authors state them."""

    n_bins: int = 15
    gamma: Tensor = field(default_factory=lambda: torch.ones(15))
    edges: Tensor = field(default_factory=lambda: torch.linspace(0, 1, 16)[1:-1])

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Sum focal losses, or inverse ones, each of the gamma of the bin [lower, upper) that holds p of its label."""
        log_p = logits.log_softmax(1).gather(1, labels[:, None]).squeeze(1)
        p = log_p.exp()
        gamma = self.gamma[self.bin_of(p.detach())].to(p.dtype)  # of an exponent in float32 the slope is one
        return -((1 - gamma.sign() * p + 1e-20) ** gamma.abs() * log_p).sum()

    def bin_of(self, p: Tensor) -> Tensor:
        return (p[:, None] >= self.edges).sum(1)

    def adapt(self, logits: Tensor, labels: Tensor) -> None:
        """Cut the bins anew by validation confidences, and move each gamma by its bin's gap."""
        confidence, predicted = logits.softmax(1).max(1)
        edges = equal_mass(confidence, self.n_bins)
        gaps = []
        for lower, upper in pairwise(edges):
            inside = (confidence > lower) & (confidence <= upper)
            gap = confidence[inside].mean() - (predicted == labels)[inside].float().mean()
            gaps.append(gap if inside.any() else torch.zeros(()))
        self.gamma, self.edges = moved(self.gamma, torch.stack(gaps)), edges[1:-1]


def equal_mass(confidence: Tensor, n_bins: int) -> Tensor:
    """Interpolate the sorted confidences at n_bins + 1 even places, from the smallest to the largest."""
    ascending = confidence.sort().values
    place = torch.linspace(0, len(ascending), n_bins + 1, dtype=torch.float64).clamp_max(len(ascending) - 1)
    low = place.floor().long()
    return torch.lerp(ascending[low], ascending[place.ceil().long()], (place - low).to(ascending.dtype))


def moved(gamma: Tensor, gap: Tensor) -> Tensor:
    """Multiply, change sides near 0, and clip: in this order, with lambda 1, S_th 0.2 and bounds -2 and 20."""
    after = []
    for old, step in zip(gamma.tolist(), gap.tolist(), strict=True):
        new = old * torch.tensor(step if old > 0 else -step).exp().item()
        if abs(new) < 0.2:
            new = -0.2 if new > 0 else 0.2
        after.append(min(max(new, -2.0), 20.0))
    return torch.tensor(after)


class Ours(AdaFocalLoss):
    """Ours, adapted in one call."""

    def follow(self, logits: Tensor, labels: Tensor) -> None:
        self.observe(logits, labels)
        self.adapt()


class Both(Ours):
    """Trains by ours and notes how far what is stated differs, given the same logits, gammas and edges."""

    def __init__(self) -> None:
        super().__init__(reduction="sum")
        self.found: dict[str, float] = defaultdict(float)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        stated = Stated(gamma=self.gamma.clone(), edges=self.edges.clone())
        for dtype in (torch.float32, torch.float64):
            same = logits.detach().to(dtype).requires_grad_()
            ours, theirs = super().forward(same, labels), stated(same, labels)
            mine, other = (torch.autograd.grad(loss, same)[0] for loss in (ours, theirs))
            name = str(dtype).removeprefix("torch.")
            p = 1 + torch.expm1(-nn.functional.cross_entropy(same.detach(), labels, reduction="none"))
            stated_p = same.detach().log_softmax(1).gather(1, labels[:, None]).squeeze(1).exp()
            alike = torch.equal(find_bins(p, self.edges.to(dtype)), stated.bin_of(stated_p))
            name += "" if alike else ", p within rounding of an edge"
            self.note(f"loss, {name}", abs(float(ours.detach() / theirs.detach()) - 1))
            self.note(f"gradient, {name}", float((mine - other).norm() / other.norm()))
        return super().forward(logits, labels)

    def follow(self, logits: Tensor, labels: Tensor) -> None:
        before, stated = self.gamma.clone(), Stated(gamma=self.gamma.clone())
        self.observe(logits, labels)
        gap = self.adapt().gap
        moved_on = moved(before, gap)
        # A gap of exactly 0, such as that of an empty bin, leaves a gamma in its place here, and turns it there.
        self.note("gammas from one gap", float((update_gammas(before, gap) - moved_on)[gap != 0].abs().max()))
        stated.adapt(logits, labels)
        self.note("edges", float((self.edges - stated.edges).abs().max()))
        p = logits.softmax(1).gather(1, labels[:, None]).squeeze(1)
        others = assign_bins(p, self.edges) != stated.bin_of(p)
        self.note("share of samples in another bin", float(others.float().mean()))
        self.note("gammas from each one's edges", float((self.gamma - stated.gamma).abs().max()))

    def note(self, name: str, value: float) -> None:
        self.found[name] = max(self.found[name], value)


class Theirs(Stated):
    def follow(self, logits: Tensor, labels: Tensor) -> None:
        self.adapt(logits, labels)


def train(config: TrainConfig, splits: DataSplits, criterion: Ours | Theirs, *, seed: int, change: float = 0) -> float:
    """Train in a plain loop on the summed loss, gradients clipped to 2 as theirs, and give the test ECE in percent."""
    torch.manual_seed(seed)
    prepare = splits.transform or (lambda inputs: inputs)
    parts = {name: (prepare(part.inputs), part.labels) for name, part in splits.parts.items()}
    inputs, labels = parts["train"]
    model = make_model(config.model, config.model_args, input_shape=inputs.shape[1:], n_classes=splits.n_classes)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for values in model.parameters():
            values.mul_(1 + change * torch.randn(values.shape, generator=generator))
    optimizer = make_optimizer(config.optimizer, model)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(config.optimizer.milestones), 0.1)
    for _ in range(config.epochs):
        model.train()
        for rows in torch.randperm(len(labels), generator=generator).split(config.batch_size):
            optimizer.zero_grad()
            criterion(model(inputs[rows]), labels[rows]).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 2.0)
            optimizer.step()
        schedule.step()
        criterion.follow(logits_of(model, parts["validation"][0]), parts["validation"][1])
    found = Predictions(logits=logits_of(model, parts["test"][0]), labels=parts["test"][1])
    return 100 * evaluate(found).ece


@torch.no_grad()
def logits_of(model: nn.Module, inputs: Tensor) -> Tensor:
    model.eval()
    return torch.cat([model(part) for part in inputs.split(1024)])


def compared(config: TrainConfig, seeds: int) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Give the largest differences along trainings by ours, and the final ECE of each training."""
    largest: dict[str, float] = defaultdict(float)
    ece: dict[str, list[float]] = defaultdict(list)
    for seed in range(seeds):
        splits, both = load_splits(config.data, seed=seed), Both()
        ece["ours"].append(train(config, splits, both, seed=seed))
        ece["theirs"].append(train(config, splits, Theirs(), seed=seed))
        ece["theirs, weights changed"].append(train(config, splits, Theirs(), seed=seed, change=MILLIONTH))
        for name, value in both.found.items():
            largest[name] = max(largest[name], value)
    return dict(largest), dict(ece)


def config_of(options: argparse.Namespace) -> TrainConfig:
    """Give the digits of scikit-learn with an MLP, or 2,000 of MNIST with a small CNN."""
    config = get_recipe("digits").config
    if options.mnist:
        data = DataConfig(name="mnist", root=options.mnist, train_size=2000, validation_size=1000)
        config = replace(config, data=data, model="small_cnn")
    epochs = options.epochs or (20 if options.mnist else config.epochs)
    milestones = tuple(one * epochs // config.epochs for one in config.optimizer.milestones)
    return replace(config, epochs=epochs, optimizer=replace(config.optimizer, milestones=milestones))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", help="folder that holds mnist")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = config_of(options)
    print(f"adafocal {adafocal.__version__}, torch {torch.__version__}; {options.seeds} seeds, {config.epochs} epochs")
    largest, ece = compared(config, options.seeds)
    print("largest difference, given the same logits and gammas; of loss and gradient relative")
    for name, value in largest.items():
        print(f"  {name:<46} {value:.2g}")
    print("final test ECE, %")
    for name, values in ece.items():
        print(f"  {name:<34} {mean(values):5.2f} ± {stdev(values) if len(values) > 1 else 0:.2f}")
    for name in ("ours", "theirs, weights changed"):
        change = [a - b for a, b in zip(ece[name], ece["theirs"], strict=True)]
        spread = stdev(change) if len(change) > 1 else 0
        print(f"  {name + ' - theirs':<34} {mean(change):+5.2f} ± {spread:.2f}, largest {max(map(abs, change)):.2f}")


if __name__ == "__main__":
    main()
