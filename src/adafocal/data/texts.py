# SPDX-License-Identifier: Apache-2.0
"""Texts as sequences of token ids."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from adafocal._checks import require
from adafocal.errors import InvalidValueError

PADDING, UNKNOWN = 0, 1
WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
HEADER = re.compile(r"[A-Za-z][\w-]*: ")


def words(text: str) -> list[str]:
    """Split a text into lower-case words; punctuation is dropped.

    Example:
        >>> words("Don't panic: it's 42!")
        ["don't", 'panic', "it's", '42']
    """
    return WORD.findall(text.lower())


def build_vocabulary(texts: Iterable[str], *, size: int) -> tuple[str, ...]:
    """Number the most frequent words.

    Args:
        texts: Texts of the training part; no others, so that nothing of them leaks into the model.
        size: Words to keep; of equally frequent ones the alphabet decides.

    Returns:
        Words in the order of their ids; ids 0 and 1 are padding and unknown words.

    Example:
        >>> build_vocabulary(["a b a", "b a c"], size=2)
        ('<padding>', '<unknown>', 'a', 'b')
    """
    counts = Counter(word for text in texts for word in words(text))
    frequent = sorted(counts, key=lambda word: (-counts[word], word))[:size]
    return ("<padding>", "<unknown>", *frequent)


def encode_words(texts: Sequence[str], *, vocabulary: Sequence[str], length: int) -> Tensor:
    """Turn texts into ids, cut after ``length`` words and padded behind.

    Args:
        texts: N texts.
        vocabulary: Words in the order of their ids.
        length: Ids per text.

    Returns:
        Ids, int32, shape (N, length).

    Example:
        >>> encode_words(["b x a"], vocabulary=("<padding>", "<unknown>", "a", "b"), length=4)
        tensor([[3, 1, 2, 0]], dtype=torch.int32)
    """
    number = {word: place for place, word in enumerate(vocabulary)}
    ids = np.full((len(texts), length), PADDING, dtype=np.int32)
    for row, text in enumerate(texts):
        found = [number.get(word, UNKNOWN) for word in words(text)[:length]]
        ids[row, : len(found)] = found
    return torch.from_numpy(ids)


def encode_subwords(texts: Sequence[str], *, tokenizer: str, length: int) -> Tensor:
    """Turn texts into ids of a tokenizer of ``transformers``, cut and padded behind.

    Args:
        texts: N texts.
        tokenizer: Hub name or folder.
        length: Ids per text.

    Returns:
        Ids, int32, shape (N, length).

    Raises:
        ValueError: If the tokenizer has no padding.
        OSError: If it cannot be found.
    """
    automatic = require("transformers", extra="text").AutoTokenizer
    encoder = automatic.from_pretrained(tokenizer, padding_side="right", truncation_side="right")
    if encoder.pad_token_id is None:
        raise InvalidValueError(f"`data.tokenizer` must have a padding token, got {tokenizer!r}.")
    ids = encoder(list(texts), padding="max_length", truncation=True, max_length=length)["input_ids"]
    return torch.tensor(ids, dtype=torch.int32)


def without_header(text: str) -> str:
    """Drop what stands before the first blank line of a mail or news post; a text that starts otherwise is kept.

    Example:
        >>> without_header("From: A\\nSubject: B\\n\\nHello")
        'Hello'
    """
    if not HEADER.match(text):
        return text
    return text.partition("\n\n")[2]
