# SPDX-License-Identifier: Apache-2.0
import base64
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from adafocal.data.splits import Split
from adafocal.data.stored import StoredImages
from adafocal.predictions import Predictions
from adafocal.training.examples import worst_examples, write_examples

PROBS = torch.tensor([[0.6, 0.4], [0.1, 0.9], [0.2, 0.8], [0.95, 0.05]])
LABELS = torch.tensor([1, 0, 1, 1])  # rows 0, 1 and 3 are wrong
VOCABULARY = ("<padding>", "<unknown>", "red", "green")


@pytest.fixture
def predictions():
    return Predictions(probs=PROBS, labels=LABELS)


def part(inputs):
    return Split(inputs, LABELS, torch.tensor([40, 41, 42, 43]))


def pixels(example):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(example["image"]))))


def test_the_surest_mistakes_come_first_with_row_classes_and_confidence(predictions):
    found = worst_examples(part(torch.zeros(4, 3)), predictions)

    assert found == [
        {"row": 43, "label": 1, "predicted": 0, "confidence": 0.95},
        {"row": 41, "label": 0, "predicted": 1, "confidence": 0.9},
        {"row": 40, "label": 1, "predicted": 0, "confidence": 0.6},
    ]
    assert worst_examples(part(torch.zeros(4, 3)), predictions, n=1) == found[:1]


def test_bytes_of_an_image_are_kept_exactly(predictions):
    images = torch.arange(4 * 3 * 5 * 6).reshape(4, 3, 5, 6).to(torch.uint8)
    first = worst_examples(part(images), predictions)[0]

    np.testing.assert_array_equal(pixels(first), images[3].permute(1, 2, 0).numpy())


def test_floating_point_images_are_stretched_to_their_own_range(predictions):
    images = torch.zeros(4, 1, 2, 2)
    images[3, 0] = torch.tensor([[-1.0, 0.0], [1.0, 3.0]])

    assert pixels(worst_examples(part(images), predictions)[0]).tolist() == [[0, 64], [128, 255]]


def test_images_that_stay_encoded_are_decoded_and_large_ones_made_small(predictions):
    items = [np.full((300, 150, 3), 60 * row, dtype=np.uint8) for row in range(4)]
    stored = StoredImages(items, torch.arange(4), channels=3)
    found = pixels(worst_examples(part(stored), predictions)[0])

    assert found.shape == (64, 32, 3)
    assert set(found.flatten().tolist()) == {180}


def test_tokens_become_words_without_padding_and_unknown_runs_are_one_mark(predictions):
    tokens = torch.tensor([[2, 2, 2, 2], [3, 1, 1, 2], [2, 2, 2, 2], [2, 2, 3, 0]], dtype=torch.int32)
    found = worst_examples(part(tokens), predictions, vocabulary=VOCABULARY)

    assert [example["text"] for example in found[:2]] == ["red red green", "green … red"]


def test_a_long_text_is_cut_after_a_word(predictions):
    text = worst_examples(part(torch.full((4, 500), 2)), predictions, vocabulary=VOCABULARY)[0]["text"]

    assert len(text) <= 280
    assert text == "red " * text.count("red") + "…"
    assert text.count("red") == 69


def test_tokens_of_a_tokenizer_are_decoded(predictions, monkeypatch):
    transformers = pytest.importorskip("transformers")

    class Decoder:
        def decode(self, ids, skip_special_tokens):
            assert skip_special_tokens
            return f"decoded {ids}"

    names = []
    monkeypatch.setattr(
        transformers.AutoTokenizer, "from_pretrained", lambda name: names.append(name) or Decoder(), raising=True
    )
    found = worst_examples(part(torch.full((4, 2), 7)), predictions, tokenizer="some/name")

    assert (names, found[0]["text"]) == (["some/name"], "decoded [7, 7]")


def test_the_file_counts_all_mistakes_and_a_perfect_model_has_none(tmp_path, predictions):
    write_examples(tmp_path / "examples.json", predictions, worst_examples(part(torch.zeros(4, 3)), predictions))
    record = json.loads((tmp_path / "examples.json").read_text())
    perfect = Predictions(probs=PROBS, labels=PROBS.argmax(dim=1))

    assert (record["part"], record["n"], record["mistakes"], len(record["examples"])) == ("test", 4, 3, 3)
    assert worst_examples(part(torch.zeros(4, 1, 8, 8)), perfect) == []


def test_predictions_of_other_samples_are_refused(rejects, predictions):
    short = Split(torch.zeros(3, 2), LABELS[:3], torch.arange(3))
    with rejects(ValueError, "`predictions` must have one row per sample, 3, got 4."):
        worst_examples(short, predictions)
