# SPDX-License-Identifier: Apache-2.0
"""What data settings name is told from names and a first row, and what data of that kind do not read is refused."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from adafocal.data import DATASETS, DataConfig, load_splits
from adafocal.data.kinds import kind_of
from adafocal.data.used import USED, check_used, only_used, unread


def picture(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (value, 0, 0)).save(path)


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def folders(tmp_path):
    picture(tmp_path / "ants" / "1.PNG")
    picture(tmp_path / "bees" / "1.jpg")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    return tmp_path


def volumes(tmp_path):
    cube = np.zeros((2, 2, 2), np.uint8)
    np.savez(tmp_path / "v.npz", names=np.array(["a"]), a_image=cube, a_label=cube)
    return tmp_path


def arrays(tmp_path, **held):
    np.savez(tmp_path / "d.npz", **held)
    return tmp_path / "d.npz"


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (folders, "images"),
        (lambda p: write(p / "t.csv", "text,label\na b,x\n"), "texts"),
        (lambda p: write(p / "t.tsv", "sentence\tlabel\na b\tx\n"), "texts"),
        (lambda p: write(p / "t.jsonl", '{"text": "a b", "label": 1}\n'), "texts"),
        (lambda p: write(p / "n.csv", "a,b,label\n1.5,red,x\n"), "numbers"),
        (lambda p: write(p / "n.csv", "a;b;class\n1,5;red;x\n"), "numbers"),
        (lambda p: write(p / "n.jsonl", '{"a": 1, "label": 1}\n'), "numbers"),
        (lambda p: write(p / "list.csv", "file,label\na.png,x\n"), "images"),
        (lambda p: arrays(p, x=np.zeros((3, 5)), label=np.arange(3)), "numbers"),
        (lambda p: arrays(p, x=np.zeros((3, 5, 5), np.uint8), label=np.arange(3)), "images"),
        (lambda p: arrays(p, text=np.array(["a", "b"]), label=np.arange(2)), "texts"),
        (volumes, "volumes"),
    ],
)
def test_what_lies_there_tells_the_kind(make, kind, tmp_path):
    assert kind_of(DataConfig(name="mine", path=str(make(tmp_path)))) == kind


def test_the_catalogue_knows_its_kinds_and_code_is_told_by_its_colon():
    assert {spec.kind for spec in DATASETS.values()} == {"digits", "images", "texts", "volumes"}
    assert kind_of(DataConfig(name="cifar10")) == "images"
    assert kind_of(DataConfig(name="package.module:function")) == "own"


def test_every_setting_is_read_by_some_kind():
    assert set().union(*USED.values()) == {field.name for field in dataclasses.fields(DataConfig)}


OTHER = {
    "args": {"n": 1}, "root": "x", "path": "x", "split_column": "part", "group_column": "who", "input_column": "text",
    "feature_columns": ("a",), "label_column": "y", "image_size": 8, "volume_size": (8, 8, 8), "length": 9,
    "tokenizer": "bert", "vocabulary_size": 7, "augment": False, "noise": 0.5,
}  # fmt: skip


@pytest.mark.parametrize("kind", USED)
def test_what_a_kind_does_not_read_is_refused_by_name_and_can_be_reset(kind):
    for name, value in OTHER.items():
        config = DataConfig(name="mine", **{name: value})
        if name in USED[kind]:
            check_used(config, kind)
            continue
        with pytest.raises(ValueError, match=rf"^`data.{name}` must be \S+ for {kind.split('own')[0]}.*, got "):
            check_used(config, kind)
        check_used(only_used(config, kind), kind)
        check_used(config, kind, given=["seed"])
        with pytest.raises(ValueError, match=f"^`data.{name}` "):
            check_used(DataConfig(name="mine", augment=True) if name == "augment" else config, kind, given=[name])


def test_settings_take_each_other_away(rejects):
    with rejects(ValueError, "`data.root` must be null where `data.path` is given, got '/sets'."):
        check_used(DataConfig(name="mine", path="photos", root="/sets"), "images")
    with rejects(ValueError, "`data.vocabulary_size` must be 20000 where `data.tokenizer` is given, got 7."):
        check_used(DataConfig(name="mine", path="x", tokenizer="bert", vocabulary_size=7), "texts")
    with rejects(ValueError, "`data.label_column` must be null for one folder of images per class, got 'y'."):
        check_used(DataConfig(name="mine", path="x", label_column="y"), "images", table=False)
    assert unread(DataConfig(name="mine", path="x"), "texts", table=True)["noise"] == "for texts"


def test_digits_name_the_remedy_for_a_path_and_read_no_length(rejects):
    sentence = (
        "`data.path` must be null for digits, which come with scikit-learn, got 'x': name other data by `data.name`."
    )
    with rejects(ValueError, sentence):
        load_splits(DataConfig(path="x"), seed=0)
    with rejects(ValueError, "`data.length` must be null for digits, which come with scikit-learn, got 9."):
        load_splits(DataConfig(length=9), seed=0)


@pytest.mark.parametrize("size", [0.0, 1.0, 1.5, -0.1, float("nan")])
def test_a_share_lies_between_0_and_1(size):
    with pytest.raises(ValueError, match=r"^`data.test_size` must be a number of samples, or a share between 0 and 1"):
        DataConfig(test_size=size)


def test_shares_are_of_all_rows():
    parts = load_splits(DataConfig(train_size=0.5, validation_size=0.25, scaling_size=0.1, test_size=0.1), seed=0).parts

    assert {name: len(part) for name, part in parts.items()} == {
        "train": 898, "validation": 449, "scaling": 180, "test": 180
    }  # fmt: skip
