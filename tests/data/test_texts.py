# SPDX-License-Identifier: Apache-2.0
import pyarrow
import pyarrow.parquet
import pytest
import torch

from adafocal.data import DataConfig, load_splits
from adafocal.data.texts import build_vocabulary, encode_words, without_header, words


def write(path, texts, labels, column="text"):
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.table({column: texts, "label": labels}), path)


@pytest.fixture
def mails(tmp_path):
    """60 mails of two classes; each has its own word."""
    for part, first, n in (("train", 0, 40), ("test", 40, 20)):
        rows = range(first, first + n)
        texts = [f"From: someone\nSubject: no{row}\n\nMail {'red' if row % 2 else 'blue'} number{row}" for row in rows]
        write(tmp_path / "20newsgroups" / f"{part}-00000-of-00001.parquet", texts, [row % 2 for row in rows])
    return tmp_path


def test_the_vocabulary_comes_from_the_training_part_alone(mails):
    parts = load_splits(DataConfig(name="20newsgroups_bydate", root=str(mails), validation_size=10, length=8), seed=0)
    trained = {f"number{row}" for row in parts.train.index.tolist()}

    assert [len(part) for part in parts.parts.values()] == [30, 10, 20]
    assert parts.vocabulary[:3] == ("<padding>", "<unknown>", "mail")
    assert set(parts.vocabulary[5:]) == trained
    assert parts.train.inputs.shape == (30, 8)
    first = [parts.vocabulary[i] for i in parts.train.inputs[0].tolist()]
    colour = "red" if parts.train.labels[0] else "blue"
    assert first == ["mail", colour, f"number{int(parts.train.index[0])}"] + ["<padding>"] * 5
    assert [parts.vocabulary[i] for i in parts.test.inputs[0].tolist()][:3] == ["mail", "blue", "<unknown>"]


def test_pooled_newsgroups_keep_the_proportions_of_the_papers(mails):
    parts = load_splits(DataConfig(name="20newsgroups", root=str(mails), length=4), seed=0)
    rows = torch.cat([part.index for part in parts.parts.values()])

    assert [len(part) for part in parts.parts.values()] == [45, 3, 12]  # of 60: 15,098 / 900 / 3,999 of 19,997
    assert rows.sort().values.tolist() == list(range(60))
    assert parts.test.labels.tolist() == (parts.test.index % 2).tolist()


def test_hidden_test_labels_are_left_out_and_validation_is_the_test(tmp_path):
    write(tmp_path / "sst2/data/train-0.parquet", [f"good {i}" for i in range(20)], [0, 1] * 10, "sentence")
    write(tmp_path / "sst2/data/validation-0.parquet", ["bad"] * 4, [0, 1, 0, 1], "sentence")
    write(tmp_path / "sst2/data/test-0.parquet", ["unknown"] * 9, [-1] * 9, "sentence")
    parts = load_splits(DataConfig(name="sst2", root=str(tmp_path), validation_size=4), seed=0)

    assert [len(part) for part in parts.parts.values()] == [16, 4, 4]
    assert parts.train.inputs.shape == (16, 64)


def test_classes_by_name_are_numbered_alike_in_all_parts(tmp_path):
    write(tmp_path / "train-0.parquet", ["x"] * 12, ["pear", "apple", "plum"] * 4)
    write(tmp_path / "test-0.parquet", ["x"] * 3, ["plum", "apple", "apple"])
    parts = load_splits(DataConfig(name="fruit", path=str(tmp_path), validation_size=3), seed=0)

    assert parts.class_names == ("apple", "pear", "plum")
    assert parts.test.labels.tolist() == [2, 0, 0]
    assert parts.train.labels.bincount().tolist() == [3, 3, 3]


def test_a_tokenizer_of_transformers_gives_its_ids(mails, tmp_path):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "mail", "red", "blue"])
    )
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path / "tokenizer")
    config = DataConfig(
        name="20newsgroups_bydate",
        root=str(mails),
        validation_size=10,
        length=6,
        tokenizer=str(tmp_path / "tokenizer"),
    )
    parts = load_splits(config, seed=0)

    assert parts.vocabulary is None
    assert parts.test.inputs[1].tolist() == [2, 5, 6, 1, 3, 0]


def test_noise_is_refused_for_texts(mails, rejects):
    config = DataConfig(name="20newsgroups", root=str(mails), noise=0.1)
    with rejects(ValueError, "`data.noise` must be 0 for texts, got 0.1."):
        load_splits(config, seed=0)


def test_long_texts_are_cut_and_rare_words_unknown():
    vocabulary = build_vocabulary(["b b a", "c b a"], size=2)

    assert vocabulary == ("<padding>", "<unknown>", "b", "a")
    assert encode_words(["a b c a b", ""], vocabulary=vocabulary, length=4).tolist() == [[3, 2, 1, 3], [0] * 4]


def test_words_keep_letters_digits_and_apostrophes_of_any_script():
    assert words("L'été, naïve_café 3.5 — ДА!") == ["l'été", "naïve", "café", "3", "5", "да"]


def test_only_headers_are_dropped():
    assert without_header("From: a@b\nOrganization: c\n\nfirst\n\nsecond") == "first\n\nsecond"
    assert without_header("No header here.\n\nsecond") == "No header here.\n\nsecond"
