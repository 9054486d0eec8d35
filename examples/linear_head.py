# SPDX-License-Identifier: Apache-2.0
"""Train a linear head with AdaFocal on many classes, without ever holding all logits.

AdaFocal is a function of the cross-entropy of each sample, so any kernel that gives that will do. Here it is torch's
`F.linear_cross_entropy`, which multiplies features and head chunk by chunk.

python examples/linear_head.py [--n-classes 2000] [--n 2048] [--epochs 3]
"""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adafocal.losses import AdaFocalLoss, modulate


def adafocal_of_linear(criterion: AdaFocalLoss, features: Tensor, head: nn.Linear, labels: Tensor) -> Tensor:
    """Give the mean AdaFocal loss of `head(features)`, whose logits exist a chunk at a time."""
    ce = F.linear_cross_entropy(
        features,
        head.weight,
        labels,
        linear_bias=head.bias,
        reduction="none",
        options=nn.LinearCrossEntropyOptions(),
    )
    return modulate(ce, criterion.gamma_of).mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-classes", type=int, default=2000)
    parser.add_argument("--n", type=int, default=2048)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    torch.manual_seed(0)
    n_features = 64
    centres = torch.randn(options.n_classes, n_features)
    labels = torch.randint(options.n_classes, (2 * options.n,))
    features = centres[labels] + 0.5 * torch.randn(2 * options.n, n_features)
    train, validation = slice(0, options.n), slice(options.n, None)
    head = nn.Linear(n_features, options.n_classes)
    criterion = AdaFocalLoss()
    optimizer = torch.optim.Adam(head.parameters(), lr=0.02)
    for epoch in range(options.epochs):
        for rows in torch.randperm(options.n).split(512):
            optimizer.zero_grad()
            loss = adafocal_of_linear(criterion, features[train][rows], head, labels[train][rows])
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            for rows in torch.arange(options.n).split(256):
                criterion.observe(head(features[validation][rows]), labels[validation][rows])
        stats = criterion.adapt()
        confidence, accuracy = ((s.sum() / stats.count.sum()).item() for s in (stats.confidence_sum, stats.correct_sum))
        print(f"epoch {epoch}: loss {loss.item():.3f}, confidence {confidence:.3f}, accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
