# SPDX-License-Identifier: Apache-2.0
"""A causal language model trained with AdaFocal, without ever holding (tokens x vocabulary) logits.

The text is made up: every word has four successors, so that a model can know how sure it may be.

python examples/language_model.py
"""

import torch
from torch import Tensor, nn

from adafocal import AdaFocalLoss
from adafocal.calibration import binned_error, top_label_from_features
from adafocal.losses import linear_cross_entropy

VOCABULARY, CHUNK = 2048, 512  # CHUNK x VOCABULARY logits exist at a time


class Model(nn.Module):
    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, width)  # the head as well: tied weights
        nn.init.normal_(self.words.weight, std=0.2)
        self.memory = nn.GRU(width, width, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        embedded = self.words(tokens)
        return embedded + self.memory(embedded)[0]


def text(n: int, length: int, successors: Tensor) -> Tensor:
    tokens = [torch.randint(VOCABULARY, (n,))]
    for _ in range(length - 1):
        chosen = torch.multinomial(torch.tensor([0.7, 0.1, 0.1, 0.1]).expand(n, 4), 1)[:, 0]
        tokens.append(successors[tokens[-1], chosen])
    return torch.stack(tokens, dim=1)


def main() -> None:
    torch.manual_seed(0)
    successors = torch.randint(VOCABULARY, (VOCABULARY, 4))
    train, validation = text(768, 33, successors), text(128, 33, successors)
    model, criterion = Model(), AdaFocalLoss(streaming=True)  # sums, however many tokens
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    for epoch in range(5):
        for tokens in train.split(64):
            optimizer.zero_grad()
            ce = linear_cross_entropy(model(tokens[:, :-1]), model.words.weight, tokens[:, 1:], chunk_size=CHUNK)
            criterion.from_cross_entropy(ce, tokens[:, 1:]).backward()
            optimizer.step()
        features = model(validation[:, :-1]).detach()
        top = top_label_from_features(features, model.words.weight, validation[:, 1:], chunk_size=CHUNK)
        criterion.observe_top_label(*top)  # confidence and correctness of every token
        stats = criterion.adapt()
        accuracy = 100 * (stats.weight * stats.accuracy).sum()
        print(f"epoch {epoch}: accuracy {accuracy:.1f} %, equal-mass ECE {100 * binned_error(stats):.1f} %")


if __name__ == "__main__":
    main()
