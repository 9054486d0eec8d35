# SPDX-License-Identifier: Apache-2.0
"""Data sets as they lie on a disk: small ones written here, in every layout."""

import json

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from adafocal.data import DataConfig, ImageTransform, StoredImages, load_splits
from adafocal.data.sources import read_source


def png(path, value, size=(6, 5), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)
    return path.read_bytes()


def hub_table(tmp_path, values, labels, names):
    rows = [{"bytes": png(tmp_path / "x.png", (value, 0, 0)), "path": None} for value in values]
    features = {"img": {"_type": "Image"}, "fine_label": {"names": names, "_type": "ClassLabel"}}
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    table = pyarrow.table({"img": rows, "fine_label": pyarrow.array(labels, pyarrow.int64())})
    return table.replace_schema_metadata(metadata)


@pytest.fixture
def parquet(tmp_path):
    """40 red images whose value is their row, in two shards, and 10 for test."""
    folder = tmp_path / "cifar100" / "data"
    folder.mkdir(parents=True)
    for shard in (0, 1):
        rows = range(20 * shard, 20 * shard + 20)
        table = hub_table(tmp_path, rows, [row % 2 for row in rows], ["cat", "dog"])
        pyarrow.parquet.write_table(table, folder / f"train-0000{shard}-of-00002.parquet")
    table = hub_table(tmp_path, range(100, 110), [row % 2 for row in range(10)], ["cat", "dog"])
    pyarrow.parquet.write_table(table, folder / "test-00000-of-00001.parquet")
    return tmp_path


def test_parquet_of_the_hub_is_found_by_root_and_split(parquet):
    config = DataConfig(name="cifar100", root=str(parquet), validation_size=8, scaling_size=4)
    parts = load_splits(config, seed=0)
    rows = torch.cat([parts.train.index, parts.validation.index, parts.scaling.index])

    assert [len(part) for part in parts.parts.values()] == [28, 8, 4, 10]
    assert parts.class_names == ("cat", "dog")
    assert parts.train.inputs.shape == (28, 3, 5, 6)
    assert parts.train.inputs.dtype == torch.uint8
    assert rows.sort().values.tolist() == list(range(40))
    for part in (parts.train, parts.validation, parts.scaling):
        assert part.inputs[:, 0, 0, 0].tolist() == part.index.tolist()
        assert part.labels.tolist() == (part.index % 2).tolist()
        assert part.labels.double().mean() == 0.5
    assert parts.test.inputs[:, 0, 2, 2].tolist() == list(range(100, 110))
    assert parts.transform == ImageTransform((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010), pad=4, flip=True)


def test_without_augmentation_images_are_only_normalised(parquet):
    config = DataConfig(name="cifar100", root=str(parquet), validation_size=8, augment=False)

    assert load_splits(config, seed=0).transform.pad == 0
    assert not load_splits(config, seed=0).transform.flip


def test_the_split_seed_wins_over_the_seed_of_the_run(parquet):
    config = DataConfig(name="cifar100", root=str(parquet), validation_size=8)
    fixed = DataConfig(name="cifar100", root=str(parquet), validation_size=8, split_seed=7)
    rows = [load_splits(settings, seed=seed).train.index.tolist() for settings, seed in
            ((config, 0), (config, 1), (fixed, 0), (fixed, 1), (config, 7))]  # fmt: skip

    assert rows[0] != rows[1]
    assert rows[2] == rows[3] == rows[4]


def test_the_hub_reader_gives_the_same_parts_as_parquet_itself(parquet, monkeypatch, tmp_path):
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    plain = read_source(parquet / "cifar100")
    mapped = read_source(parquet / "cifar100", large=True)

    assert plain.keys() == mapped.keys() == {"train", "test"}
    for name, source in plain.items():
        assert list(mapped[name].inputs) == list(source.inputs)
        assert mapped[name].labels.tolist() == source.labels.tolist()
        assert mapped[name].class_names == source.class_names == ("cat", "dog")


def test_a_name_of_the_hub_is_asked_of_the_hub(parquet, monkeypatch):
    datasets = pytest.importorskip("datasets")
    asked = []
    original = datasets.load_dataset

    def load_dataset(path, **where):
        asked.append((path, where))
        folder = str(parquet / "cifar100/data")
        files = {part: f"{folder}/{part}-*.parquet" for part in ("train", "test")}
        return original("parquet", data_files=files, cache_dir=str(parquet / "cache"))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    parts = load_splits(DataConfig(name="cifar100", validation_size=8), seed=0)
    load_splits(DataConfig(name="somebody/things:small", validation_size=8), seed=0)

    assert asked == [("uoft-cs/cifar100", {"name": None}), ("somebody/things", {"name": "small"})]
    assert parts.train.inputs[:, 0, 0, 0].tolist() == parts.train.index.tolist()


def test_a_data_set_that_the_hub_does_not_give_is_one_sentence(monkeypatch):
    datasets = pytest.importorskip("datasets")

    def load_dataset(path, **where):
        raise ConnectionError("no route to the hub\nmany more lines")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(ValueError, match=r"^`data.name` must be had from the hub .*'ylecun/mnist': no "):
        load_splits(DataConfig(name="mnist"), seed=0)


def test_arrays_of_npz_files_are_grey_images_and_normalised_by_the_training_part(tmp_path):
    generator = np.random.default_rng(0)
    for part, n in (("train", 50), ("test", 20)):
        images = generator.integers(0, 256, (n, 7, 7), dtype=np.uint8)
        np.savez(tmp_path / f"{part}.npz", image=images, label=np.arange(n, dtype=np.uint8) % 5)
    parts = load_splits(DataConfig(name="mnist", path=str(tmp_path), validation_size=10), seed=0)
    inputs = parts.transform(parts.train.inputs)

    assert parts.train.inputs.shape == (40, 1, 7, 7)
    assert parts.class_names == ("0", "1", "2", "3", "4")
    assert float(inputs.mean()) == pytest.approx(0, abs=1e-5)
    assert float(inputs.std(correction=0)) == pytest.approx(1, abs=1e-5)


def test_a_folder_per_class_is_split_in_three_and_named_by_its_folders(tmp_path):
    for name, value in (("ants", 10), ("bees", 200)):
        for i in range(20):
            png(tmp_path / name / f"{i}.png", (value, i, 0))
    parts = load_splits(DataConfig(name="insects", path=str(tmp_path)), seed=0)

    assert [len(part) for part in parts.parts.values()] == [28, 4, 8]
    assert parts.class_names == ("ants", "bees")
    assert (parts.test.inputs[:, 0, 0, 0] > 100).long().tolist() == parts.test.labels.tolist()


def test_folders_per_part_and_class_and_tiny_imagenets_list_are_read(tmp_path):
    for name, value in (("n02", 10), ("n01", 200)):
        for i in range(6):
            png(tmp_path / "train" / name / "images" / f"{name}_{i}.png", (value, i, 0), size=(8, 8))
    lines = []
    for i, name in enumerate(["n01", "n02", "n02"]):
        png(tmp_path / "val" / "images" / f"val_{i}.png", (i, 0, 0), size=(8, 8))
        lines.append(f"val_{i}.png\t{name}\t0\t0\t62\t62")
    (tmp_path / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    png(tmp_path / "test" / "images" / "test_0.png", (0, 0, 0), size=(8, 8))  # no labels: not used
    parts = load_splits(DataConfig(name="tiny_imagenet", path=str(tmp_path), validation_size=4), seed=0)

    assert parts.class_names == ("n01", "n02")
    assert [len(part) for part in parts.parts.values()] == [8, 4, 3]
    assert (parts.train.inputs[:, 0, 0, 0] < 100).long().tolist() == parts.train.labels.tolist()
    assert parts.test.labels.tolist() == [0, 1, 1]
    assert parts.test.inputs[:, 0, 0, 0].tolist() == [0, 1, 2]


def test_images_of_many_sizes_need_a_size(tmp_path, rejects):
    for i in range(12):
        png(tmp_path / "ab"[i % 2] / f"{i}.png", (0, 0, 0), size=(6 + i % 3, 5))
    with pytest.raises(ValueError, match=r"^Images must have one size, or `data.image_size` must be set, got "):
        load_splits(DataConfig(name="mine", path=str(tmp_path)), seed=0)

    assert load_splits(DataConfig(name="mine", path=str(tmp_path), image_size=9), seed=0).train.inputs.shape[1:] == (
        3, 9, 9,
    )  # fmt: skip


def imagenet(tmp_path):
    for part, n in (("train", 6), ("val", 8)):
        for name, value in (("n01", 0), ("n02", 200)):
            for i in range(n):
                image = np.zeros((30 + i, 40, 3), np.uint8)
                image[:, :, 0] = value
                image[:, :, 1] = np.linspace(0, 255, 40).astype(np.uint8)
                path = tmp_path / part / name / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(path)
    return DataConfig(name="imagenet", path=str(tmp_path), validation_size=6, image_size=16)


def test_imagenet_halves_its_validation_part_and_stays_encoded(tmp_path):
    parts = load_splits(imagenet(tmp_path), seed=0)

    assert [len(part) for part in parts.parts.values()] == [12, 6, 10]
    assert not set(parts.validation.index.tolist()) & set(parts.test.index.tolist())
    assert isinstance(parts.train.inputs, StoredImages)
    assert parts.train.inputs.shape == (12, 3, 16, 16)
    for part in parts.parts.values():
        batch = part.inputs[torch.arange(len(part))]
        assert (batch[:, 0, 8, 8] > 100).long().tolist() == part.labels.tolist()


def test_training_crops_are_random_by_seed_and_the_others_are_the_middle(tmp_path):
    parts = load_splits(imagenet(tmp_path), seed=0)
    rows = [torch.arange(5), torch.arange(5, 12)]
    first, again, other = (list(parts.train.batches(rows, seed=seed)) for seed in (0, 0, 1))
    middle = parts.validation.inputs[torch.arange(6)]

    assert [len(labels) for _, labels in first] == [5, 7]
    assert all(torch.equal(a[0], b[0]) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0][0], other[0][0])
    assert torch.equal(next(parts.validation.batches([torch.arange(6)], seed=9))[0], middle)
    assert torch.allclose(middle[0, 1].float().mean(), torch.tensor(127.5), atol=2)


def test_a_broken_image_is_named(tmp_path):
    for i in range(10):
        png(tmp_path / "ab"[i % 2] / f"{i}.png", (0, 0, 0))
    (tmp_path / "a" / "0.png").write_bytes(b"not an image")
    with pytest.raises(ValueError, match="Images must be readable, got image 0 with "):
        load_splits(DataConfig(name="mine", path=str(tmp_path)), seed=0)


def test_missing_data_and_columns_are_named(parquet, rejects, tmp_path):
    with rejects(
        FileNotFoundError, "`data.path` must be a folder or file of data, got '/nowhere/at/all', which is not there."
    ):
        load_splits(DataConfig(name="x", path="/nowhere/at/all"), seed=0)
    with rejects(FileNotFoundError, f"`data.root` must hold a folder svhn, got {str(tmp_path)!r}."):
        load_splits(DataConfig(name="svhn", root=str(tmp_path)), seed=0)
    config = DataConfig(name="cifar100", root=str(parquet), label_column="coarse")
    with rejects(
        ValueError, "`data.label_column` must be a column of the data, got 'coarse' for columns img, fine_label."
    ):
        load_splits(config, seed=0)
    config = DataConfig(name="cifar100", root=str(parquet), validation_size=20, train_size=21)
    with rejects(ValueError, "`data.train_size` must be at most 20, what the other parts leave, got 21."):
        load_splits(config, seed=0)
    (tmp_path / "empty").mkdir()
    with rejects(
        ValueError,
        "`data.path` must hold Parquet files, .npz files or one folder of images per class, "
        f"got {str(tmp_path / 'empty')!r}.",
    ):
        load_splits(DataConfig(name="x", path=str(tmp_path / "empty")), seed=0)


def test_noise_is_added_once_and_kept(parquet):
    config = DataConfig(name="cifar100", root=str(parquet), validation_size=8, noise=0.5)
    noisy = load_splits(config, seed=0)
    clean = load_splits(DataConfig(name="cifar100", root=str(parquet), validation_size=8), seed=0)

    difference = noisy.train.inputs - clean.train.inputs.float() / 255
    assert float(difference.std()) == pytest.approx(0.5, rel=0.05)
    assert torch.equal(load_splits(config, seed=0).test.inputs, noisy.test.inputs)


def test_other_data_under_the_name_of_a_known_set_are_noted(tmp_path):
    for name in "abc":
        (tmp_path / name).mkdir()
        for number in range(10):
            Image.new("L", (8, 8), 9 * number).save(tmp_path / name / f"{number}.png")
    known = load_splits(DataConfig(name="mnist", path=str(tmp_path), validation_size=6), seed=0)
    mine = load_splits(DataConfig(name="mine", path=str(tmp_path), validation_size=6), seed=0)

    assert "MNIST has 10 classes, these data have 3: name other data by data.name" in known.notes
    assert not any("name other data" in note for note in mine.notes)
