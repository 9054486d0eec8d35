# SPDX-License-Identifier: Apache-2.0
"""Folders of photos as people have them: what lies among them, of what colours and sizes, in which parts."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from adafocal.data import DataConfig, StoredImages, load_splits
from adafocal.data import inputs as making
from adafocal.data.foreign import foreign_source, foreign_split
from data.own_sets import load, photos, picture, refused


def test_what_programs_leave_there_is_no_data(tmp_path):
    photos(tmp_path)
    for place in (".DS_Store", "ants/.DS_Store", "ants/Thumbs.db", "notes.txt", "ants/._00.png", "bees/desktop.ini"):
        (tmp_path / place).write_bytes(b"\0\1 no image")
    for folder in ("__MACOSX/ants", ".ipynb_checkpoints", "@eaDir"):
        picture(tmp_path / folder / "copy.png")
    (tmp_path / "wasps").mkdir()
    (tmp_path / "wasps" / "Thumbs.db").write_bytes(b"x")
    parts = load(tmp_path)

    assert parts.class_names == ("ants", "bees")
    assert sum(len(part) for part in parts.parts.values()) == 40
    assert parts.notes == ("Folders without images, which are no classes: wasps",)
    assert (parts.train.inputs[:, 0, 0, 0] > 50).long().tolist() == parts.train.labels.tolist()


def test_suffixes_of_any_case_and_folders_in_folders_are_read(tmp_path):
    for number in range(12):
        picture(tmp_path / "cats" / str(2019 + number % 2) / f"{number}.JPG", (10, 0, 0))
        picture(tmp_path / "dogs" / "all" / "of" / f"{number}.Jpeg", (200, 0, 0))
    parts = load(tmp_path)

    assert parts.class_names == ("cats", "dogs")
    assert sum(len(part) for part in parts.parts.values()) == 24
    assert (parts.test.inputs[:, 0, 0, 0] > 100).long().tolist() == parts.test.labels.tolist()


def test_images_of_every_mode_come_as_they_look(tmp_path):
    photos(tmp_path, n=8, size=(4, 4))
    picture(tmp_path / "ants" / "90.png", 77, (4, 4), "L")
    picture(tmp_path / "ants" / "91.png", (9, 9, 9, 0), (4, 4), "RGBA")
    picture(tmp_path / "ants" / "92.jpg", (0, 0, 0, 0), (4, 4), "CMYK")
    Image.fromarray(np.full((4, 4), 0x8000, np.uint16)).save(tmp_path / "ants" / "93.png")
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([50, 60, 70])
    palette.save(tmp_path / "ants" / "94.png", transparency=b"\xff")
    parts = load(tmp_path)
    found = {
        int(row): part.inputs[place, :, 0, 0].tolist()
        for part in parts.parts.values()
        for place, row in enumerate(part.index)
    }

    assert found[8] == [77, 77, 77]
    assert found[9] == [255, 255, 255]
    assert found[10] == [255, 255, 255]
    assert found[11] == [128, 128, 128]
    assert found[12] == [50, 60, 70]
    assert parts.notes[:1] == (
        "Images: 2 made colour, as others are, 2 laid on white where they are transparent, 1 cut from 16 bits to 8, "
        "1 turned from CMYK to RGB",
    )


def test_the_first_image_does_not_decide_for_all_whether_there_are_colours(tmp_path):
    photos(tmp_path)
    picture(tmp_path / "ants" / "00.png", 5, mode="L")

    assert load(tmp_path).train.inputs.shape[1] == 3
    grey = tmp_path / "grey"
    for number in range(20):
        picture(grey / "ab"[number % 2] / f"{number}.png", number, mode="L")
    assert load(grey).train.inputs.shape[1] == 1


def test_photos_are_turned_as_their_cameras_say(tmp_path):
    photos(tmp_path, size=(6, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    pixels = np.zeros((6, 4, 3), np.uint8)
    pixels[-1] = 255  # at the left, once it is turned
    Image.fromarray(pixels).save(tmp_path / "ants" / "00.png", exif=exif)
    parts = load(tmp_path)
    turned = next(
        part.inputs[place] for part in parts.parts.values() for place, row in enumerate(part.index) if int(row) == 0
    )

    assert parts.train.inputs.shape[1:] == (3, 4, 6)
    assert turned[:, :, 0].eq(255).all()
    assert turned[:, :, 1:].eq(0).all()
    assert parts.notes == ("Images: 1 turned upright as their cameras say",)


def test_several_sizes_get_one_that_is_proposed(tmp_path):
    for number in range(20):
        picture(tmp_path / "ab"[number % 2] / f"{number}.png", (0, 0, 0), (100 + number % 3, 90))
    refused(
        tmp_path, r"must have one size, or `data.image_size` must be set, got .* \(3 sizes, .*: `--data.image_size 96`"
    )

    assert load(tmp_path, image_size=96).train.inputs.shape[1:] == (3, 96, 96)


def test_images_that_cannot_be_read_are_counted_and_the_first_is_named(tmp_path):
    photos(tmp_path)
    for number in (3, 5):
        (tmp_path / "bees" / f"{number:02}.png").write_bytes(b"no image")
    refused(
        tmp_path, "got image 23 with .*bees/03.png.*; 1 others cannot be read either: save them anew, or remove them"
    )
    whole = picture(tmp_path / "bees" / "03.png", (9, 9, 9), (50, 50)).read_bytes()
    photos(tmp_path, size=(50, 50))
    (tmp_path / "bees" / "03.png").write_bytes(whole[:60])
    refused(tmp_path, "Images must be readable, got image 23 with .*bees/03.png")


def test_parts_are_taken_as_they_come_whatever_their_case(tmp_path):
    for part, n in (("Train", 10), ("VAL", 6), ("test", 4)):
        photos(tmp_path / part, n=n)
    parts = load(tmp_path)

    assert {name: len(part) for name, part in parts.parts.items()} == {"train": 20, "validation": 12, "test": 8}
    assert parts.how == "as the data come"
    assert parts.validation.index.tolist() == list(range(12))
    more = load(tmp_path, scaling_size=4, validation_size=6, train_size=0.5)
    assert {name: len(part) for name, part in more.parts.items()} == {
        "train": 10, "validation": 6, "scaling": 4, "test": 8
    }  # fmt: skip
    assert not set(more.validation.index.tolist()) & set(more.scaling.index.tolist())


def test_a_class_that_is_not_learned_is_refused_and_one_that_is_not_tested_is_said(tmp_path):
    photos(tmp_path / "train", ("ants", "bees", "wasps"))
    photos(tmp_path / "test", ("ants", "bees"), n=5)
    parts = load(tmp_path)

    assert parts.class_names == ("ants", "bees", "wasps")
    assert parts.notes == ("Classes without a sample in the test part: wasps",)
    assert parts.test.labels.tolist() == [0] * 5 + [1] * 5
    photos(tmp_path / "test", ("moths",), n=3)
    refused(tmp_path, r"training part must hold samples of every class, got none of moths \(3 in other parts\)")


def test_parts_beside_classes_and_one_class_alone_are_refused(tmp_path):
    photos(tmp_path / "one", ("ants",))
    refused(
        tmp_path / "one", "Labels must be names or class indices >= 0, got none in any part: images lie in one folder"
    )
    photos(tmp_path / "two" / "train")
    photos(tmp_path / "two" / "more")
    refused(tmp_path / "two", "must all be parts or all be classes, got train beside more")
    photos(tmp_path / "three" / "val")
    photos(tmp_path / "three" / "valid")
    refused(tmp_path / "three", "Parts must be there once each, got two for validation")


def test_classes_may_be_called_as_parts_are(tmp_path):
    parts = load(photos(tmp_path, ("car", "plane", "train")))

    assert parts.class_names == ("car", "plane", "train")


def test_rare_classes_are_always_learned(tmp_path):
    photos(tmp_path, n=30)
    picture(tmp_path / "moths" / "1.png")
    for seed in range(8):
        parts = load_splits(DataConfig(name="mine", path=str(tmp_path)), seed=seed)
        assert int((parts.train.labels == 2).sum()) == 1
        rows = torch.cat([part.index for part in parts.parts.values()])
        assert rows.sort().values.tolist() == list(range(61))
        assert [len(part) for part in parts.parts.values()] == [43, 6, 12]
    assert "Classes without a sample in the test part: moths" in parts.notes


def listing(folder, rows):
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("filename", "label", "who"), *rows])
    return folder


def test_a_table_may_list_images_and_their_classes(tmp_path):
    for number in range(30):
        picture(tmp_path / "shots" / f"{number}.png", (number, 0, 0))
    rows = [(f"shots/{number}.png", ["cat", "dog"][number % 2], f"p{number // 3}") for number in range(30)]
    listing(tmp_path, rows)
    for path in (tmp_path, tmp_path / "labels.csv"):
        parts = load(path, group_column="who")
        assert parts.class_names == ("cat", "dog")
        assert parts.train.inputs[:, 0, 0, 0].tolist() == parts.train.index.tolist()
        assert parts.train.labels.tolist() == (parts.train.index % 2).tolist()
        groups = [set((part.index // 3).tolist()) for part in parts.parts.values()]
        assert sum(map(len, groups)) == len(set.union(*groups)) == 10


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd.png", "no.png"])
def test_a_list_names_files_beside_it(name, tmp_path):
    picture(tmp_path / "a.png")
    listing(tmp_path, [("a.png", "x", 1), (name, "y", 2)])

    with pytest.raises((ValueError, FileNotFoundError), match=r"Images must lie in|must name files beside the table"):
        load(tmp_path)


def test_a_table_that_lists_no_images_is_said_to_be_left_out(tmp_path):
    photos(tmp_path)
    (tmp_path / "prices.csv").write_text("a,label\n1,2\n")

    assert load(tmp_path).notes == ("prices.csv is not read: it lists no images",)


def test_columns_of_tables_are_refused_for_folders(tmp_path, rejects):
    photos(tmp_path)
    for name in ("label_column", "split_column", "group_column", "input_column"):
        with rejects(ValueError, f"`data.{name}` must be null for one folder of images per class, got 'x'."):
            load(tmp_path, **{name: "x"})


def test_many_or_large_images_stay_encoded(tmp_path, monkeypatch):
    photos(tmp_path)
    decoded = load(tmp_path)
    monkeypatch.setattr(making, "IN_MEMORY", 100)
    parts = load(tmp_path)
    rows = torch.arange(len(parts.train))

    assert isinstance(parts.train.inputs, StoredImages)
    assert torch.equal(next(parts.train.batches([rows]))[0], decoded.train.inputs)
    refused(tmp_path, "`data.noise` must be 0 for data sets that stay on disk, got 0.1", noise=0.1)


def test_other_photos_have_the_models_classes_by_name(tmp_path):
    photos(tmp_path / "mine", ("ants", "bees", "wasps"))
    photos(tmp_path / "other", ("bees", "wasps"), n=3)
    photos(tmp_path / "strange", ("bees", "moths"), n=3)
    config = DataConfig(name="mine", path=str(tmp_path / "mine"))
    like = load_splits(config, seed=0)

    def labels(name):
        other = DataConfig(name="other", path=str(tmp_path / name))
        source = foreign_source(other, "test", like=like, config=config)
        return foreign_split(source, like=like, config=config).labels.tolist()

    assert labels("other") == [1, 1, 1, 2, 2, 2]
    assert labels("strange") == [1, 1, 1, 3, 3, 3]
