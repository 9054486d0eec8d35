# SPDX-License-Identifier: Apache-2.0
"""The global-pooling convolutional network for texts (GP-CNN)."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from adafocal._checks import check_integer, check_number
from adafocal.errors import InvalidValueError
from adafocal.models.base import sequence_length


class TextCNN(nn.Module):
    """Three convolutions over word vectors, then the maximum over all places.

    Args:
        input_shape: Shape (L,) of a sequence of token ids; 0 is padding, 1 an unknown word.
        n_classes: Number of classes.
        vocabulary: The words of the ids, padding and unknown first.
        width: Filters of each convolution and units of the layer before the logits.
        kernel_size: Words that a filter sees; also the window of the pooling between convolutions.
        embedding_size: Length of a word vector; None is 100, or that of the vectors in ``glove``.
        dropout: Share of units dropped before the logits.
        glove: File of word vectors, one word and its numbers per line (GloVe's text format); words that it does not
            hold start at zero.
        train_embedding: Whether word vectors are trained; None trains them unless ``glove`` is given.

    Raises:
        ValueError: If an argument is out of range, sequences are too short, or the file holds no word vectors.

    Reference:
        Lin, Chen, Yan: Network in network, ICLR 2014, https://arxiv.org/abs/1312.4400 (global pooling); layers and
        sizes as in Mukhoti et al., NeurIPS 2020, https://arxiv.org/abs/2002.09437, section 5 and its code.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        n_classes: int,
        vocabulary: Sequence[str],
        width: int = 128,
        kernel_size: int = 5,
        embedding_size: int | None = None,
        dropout: float = 0.3,
        glove: str | None = None,
        train_embedding: bool | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("width", width), ("kernel_size", kernel_size)):
            check_integer(name, value, minimum=1)
        check_integer("embedding_size", embedding_size, minimum=1, optional=True)
        check_number("dropout", dropout, low=0.0, high=1.0, open_high=True)
        shortest = 5 * (kernel_size - 1) + 1  # three convolutions and two poolings take so many places each
        if sequence_length(input_shape) < shortest:
            raise InvalidValueError(
                f"`data.length` must be at least {shortest} tokens for text_cnn, got {input_shape[0]}."
            )
        vectors = None if glove is None else word_vectors(glove, vocabulary)
        size = (embedding_size or 100) if vectors is None else vectors.shape[1]
        if vectors is not None and embedding_size not in (None, size):
            raise InvalidValueError(
                f"`embedding_size` must be null or {size}, as the vectors of `glove` have, got {embedding_size}."
            )
        self.embedding = nn.Embedding(len(vocabulary), size, padding_idx=0, _weight=vectors)
        if vectors is None:
            # As small as GloVe's: with torch's N(0, 1) the filters learn random vectors by heart and do not move them.
            nn.init.normal_(self.embedding.weight[1:], std=0.1)
        self.embedding.weight.requires_grad_(glove is None if train_embedding is None else train_embedding)
        self.kernel_size = kernel_size
        self.convs = nn.ModuleList(_ConvOverPlaces(channels, width, kernel_size) for channels in (size, width, width))
        self.hidden = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, n_classes)

    def features(self, inputs: Tensor) -> Tensor:
        """Compute the penultimate layer, shape (N, width), without dropout."""
        places = self.embedding(inputs.long()).transpose(1, 2).unsqueeze(2)
        for i, conv in enumerate(self.convs):
            places = F.relu(conv(F.max_pool2d(places, (1, self.kernel_size), stride=1) if i > 0 else places))
        return F.relu(self.hidden(places.amax(dim=(2, 3))))

    def forward(self, inputs: Tensor) -> Tensor:
        """Classify, by logits of shape (N, C)."""
        logits: Tensor = self.head(self.dropout(self.features(inputs)))
        return logits


class _ConvOverPlaces(nn.Conv1d):
    """A Conv1d of sequences (N, channels, 1, L) whose channels are last in memory, as word vectors lie."""

    def forward(self, places: Tensor) -> Tensor:
        filters = self.weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        return F.conv2d(places, filters, self.bias)


def word_vectors(path: str | Path, vocabulary: Sequence[str]) -> Tensor:
    """Read the vectors of a vocabulary's words from a text file.

    Args:
        path: One word and its numbers per line.
        vocabulary: Words in the order of their ids.

    Returns:
        Vectors of shape (len(vocabulary), D); words that the file does not hold are zero.

    Raises:
        ValueError: If a line of a known word has no numbers or another count of them, or no word is known.
    """
    places = {word: place for place, word in enumerate(vocabulary)}
    table: Tensor | None = None
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            word, *values = line.rstrip().split(" ")
            if word not in places:
                continue
            try:
                vector = torch.tensor([float(value) for value in values])
            except ValueError:
                vector = torch.empty(0)
            table = torch.zeros(len(vocabulary), len(vector)) if table is None else table
            if len(vector) == 0 or len(vector) != table.shape[1]:
                raise InvalidValueError(
                    f"`glove` must hold one word and as many numbers on each line, got line {number}."
                )
            table[places[word]] = vector
    if table is None:
        raise InvalidValueError(f"`glove` must hold words of the data, got {str(path)!r} with none of them.")
    return table
