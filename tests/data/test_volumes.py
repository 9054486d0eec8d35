# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
import torch

from adafocal.data import DATASETS, DataConfig, load_splits
from adafocal.data.volume_files import read_cases
from adafocal.data.volumes import mirrored

NAMES = [f"case_{number:02d}" for number in range(12)]


def volume(number: int, channels: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Give noise of a size of its own around a box of class 1 and 2."""
    shape = (9 + number % 3, 20, 7 + number % 2)
    image = np.random.default_rng(number).integers(10, 200, (*shape, channels) if channels else shape)
    label = np.zeros(shape, dtype=np.uint8)
    label[3:6, 4:9, 2:5], label[3:6, 9:12, 2:5] = 1, 2
    return image.astype(np.uint8), label


@pytest.fixture
def npz(tmp_path):
    arrays = {"names": np.array(NAMES)}
    for number, name in enumerate(NAMES):
        arrays[f"{name}_image"], arrays[f"{name}_label"] = volume(number)
    np.savez(tmp_path / "volumes.npz", **arrays)
    return tmp_path / "volumes.npz"


def write_nifti(path, array, spacing=(1.0, 1.0, 1.0)):
    nibabel = pytest.importorskip("nibabel")
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([*spacing, 1.0])), path)


@pytest.fixture
def decathlon(tmp_path):
    """A task with four channels, as that of brain tumours, and masks stored as floats."""
    folder = tmp_path / "Task99_Boxes"
    for number, name in enumerate(NAMES[:4]):
        image, label = volume(number, channels=4)
        write_nifti(folder / "imagesTr" / f"{name}.nii.gz", image)
        write_nifti(folder / "labelsTr" / f"{name}.nii.gz", label.astype(np.float32))
    pairs = [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in NAMES[:4]]
    listed = {"labels": {"0": "background", "1": "edema", "2": "tumour"}, "training": pairs, "test": []}
    (folder / "dataset.json").write_text(json.dumps(listed))
    return folder


def splits_of(path, seed=0, **settings):
    return load_splits(DataConfig(name="volumes", path=str(path), **settings), seed=seed)


def test_cases_are_split_whole_and_by_seed(npz):
    splits = splits_of(npz, scaling_size=1)
    again, other = splits_of(npz, scaling_size=1), splits_of(npz, scaling_size=1, seed=1)
    rows = [part.index.tolist() for part in splits.parts.values()]

    assert list(splits.parts) == ["train", "validation", "scaling", "test"]
    assert [len(part) for part in rows] == [6, 2, 1, 3]
    assert sorted(row for part in rows for row in part) == list(range(12))
    assert [part.index.tolist() for part in again.parts.values()] == rows
    assert [part.index.tolist() for part in other.parts.values()] != rows
    assert splits.case_names == tuple(NAMES)


def test_volumes_are_padded_to_one_size_that_a_network_can_halve_and_padding_does_not_count(npz):
    splits = splits_of(npz)

    assert splits.dense
    assert splits.train.inputs.shape[1:] == (1, 16, 32, 16)
    for row, inputs, labels in zip(splits.train.index, splits.train.inputs, splits.train.labels, strict=True):
        image, label = volume(int(row))
        counted = labels != -100
        assert int(counted.sum()) == label.size
        assert torch.bincount(labels[counted]).tolist() == np.bincount(label.ravel()).tolist()
        assert inputs[0][~counted].eq(0).all()
        order = np.argsort(image.ravel(), kind="stable")
        assert inputs[0][counted][torch.from_numpy(order)].diff().ge(0).all()


def test_intensities_have_mean_0_and_deviation_1_over_the_case_without_its_padding(npz):
    splits = splits_of(npz)
    for inputs, labels in zip(splits.test.inputs, splits.test.labels, strict=True):
        values = inputs[0][labels != -100].double()
        assert abs(float(values.mean())) < 1e-3
        assert abs(float(values.std(correction=0)) - 1) < 1e-3


def test_a_size_cuts_evenly_on_both_sides(npz):
    splits = splits_of(npz, volume_size=(8, 16, 8))
    row = int(splits.train.index[0])
    depth, width = (volume(row)[1].shape[axis] for axis in (0, 2))
    cut = volume(row)[1][(depth - 8) // 2 :, 2:18][:8]
    labels = splits.train.labels[0].numpy()

    assert labels.shape == (8, 16, 8)
    added = (8 - width) // 2
    assert (labels[:, :, added : added + width] == cut).all()


def test_the_batch_is_float32_and_mirrored_with_its_labels():
    inputs = torch.arange(2 * 4 * 2 * 2.0).view(2, 1, 4, 2, 2)
    labels = inputs[:, 0].long()
    seen = [mirrored(inputs, labels) for _ in range(20)]

    assert all(torch.equal(turned[:, 0].long(), masks) for turned, masks in seen)
    assert {bool(torch.equal(turned[0], inputs[0])) for turned, _ in seen} == {True, False}
    assert all(turned[0, 0, 0, 0, 0] in (0.0, 12.0) for turned, _ in seen)


def test_augmentation_can_be_switched_off_and_inputs_are_widened(npz):
    assert splits_of(npz, augment=False).augment is None
    splits = splits_of(npz)
    assert splits.augment is mirrored
    assert splits.transform(splits.train.inputs, training=True).dtype == torch.float32


def test_a_decathlon_task_is_read_with_its_channels_and_class_names(decathlon):
    splits = splits_of(decathlon, validation_size=1, test_size=1)

    assert splits.train.inputs.shape == (2, 4, 16, 32, 16)
    assert splits.class_names == ("background", "edema", "tumour")
    assert sorted(splits.case_names) == NAMES[:4]
    assert splits.train.labels.unique().tolist() == [-100, 0, 1, 2]


def test_a_catalogue_name_finds_the_task_below_the_root(decathlon):
    decathlon.rename(decathlon.parent / "Task04_Hippocampus")
    config = DataConfig(name="hippocampus3d", root=str(decathlon.parent), validation_size=1, test_size=1)

    assert load_splits(config, seed=0).class_names == ("background", "edema", "tumour")
    assert {"hippocampus3d", "brain_tumour3d", "volumes"} <= set(DATASETS)


def test_nifti_files_are_turned_to_one_orientation(tmp_path):
    image, label = volume(0)
    write_nifti(tmp_path / "images/a.nii.gz", image)
    write_nifti(tmp_path / "labels/a.nii.gz", label)
    write_nifti(tmp_path / "images/b.nii", image[::-1], spacing=(-1.0, 1.0, 1.0))
    write_nifti(tmp_path / "labels/b.nii", label[::-1], spacing=(-1.0, 1.0, 1.0))
    first, second = read_cases(tmp_path)[0]

    assert (first.name, second.name) == ("a", "b")
    assert (first.image == second.image).all()
    assert (first.mask == second.mask).all()
    assert (first.image[0] == image).all()


def test_a_mask_that_does_not_fit_its_image_is_refused(rejects, tmp_path):
    np.savez(tmp_path / "v.npz", names=["a"], a_image=np.zeros((4, 4, 4)), a_label=np.zeros((4, 4, 5), dtype=int))
    sentence = (
        "Case 'a' must have an image of shape (channels, D, H, W) and a mask (D, H, W), got (1, 4, 4, 4) and (4, 4, 5)."
    )
    with rejects(ValueError, sentence):
        splits_of(tmp_path)


@pytest.mark.parametrize(("value", "shown"), [(0.5, "0.5"), (-1.0, "-1.0")])
def test_a_mask_of_other_than_classes_is_refused(value, shown, rejects, tmp_path):
    np.savez(tmp_path / "v.npz", names=["a"], a_image=np.zeros((4, 4, 4)), a_label=np.full((4, 4, 4), value))
    with rejects(ValueError, f"Case 'a' must have a mask of integers >= 0, got {shown}."):
        splits_of(tmp_path)


def test_intensities_that_are_not_finite_are_refused(rejects, tmp_path):
    np.savez(tmp_path / "v.npz", names=["a"], a_image=np.full((4, 4, 4), np.nan), a_label=np.zeros((4, 4, 4)))
    with rejects(ValueError, "Case 'a' must have finite intensities, got NaN or infinity."):
        splits_of(tmp_path)


def test_cases_of_different_channels_are_refused(rejects, tmp_path):
    arrays = {"names": ["a", "b"], "a_image": np.zeros((4, 4, 4)), "b_image": np.zeros((2, 4, 4, 4))}
    np.savez(tmp_path / "v.npz", **arrays, a_label=np.zeros((4, 4, 4)), b_label=np.zeros((4, 4, 4)))
    with rejects(ValueError, "All cases must have as many channels as the first, 1, got 2 for 'b'."):
        splits_of(tmp_path)


def test_a_mask_without_image_is_named(rejects, tmp_path):
    write_nifti(tmp_path / "labels/a.nii.gz", volume(0)[1])
    (tmp_path / "images").mkdir()
    sentence = f"`data.path` must hold an image for every mask, got none named 'a' in {tmp_path / 'images'}."
    with rejects(ValueError, sentence):
        splits_of(tmp_path)


def test_a_listed_file_that_is_missing_is_named(rejects, decathlon):
    (decathlon / "imagesTr/case_01.nii.gz").unlink()
    sentence = f"`data.path` must hold all its files, got none at '{decathlon / 'imagesTr/case_01.nii.gz'}'."
    with rejects(FileNotFoundError, sentence):
        splits_of(decathlon)


def test_a_dataset_json_of_another_kind_is_refused(rejects, tmp_path):
    (tmp_path / "dataset.json").write_text('{"labels": {"0": "background"}}')
    sentence = (
        "`data.path` must hold a dataset.json of the Decathlon, with labels and training, "
        f"got {str(tmp_path / 'dataset.json')!r}: KeyError 'training'."
    )
    with rejects(ValueError, sentence):
        splits_of(tmp_path)


def test_a_folder_of_other_things_is_refused(rejects, tmp_path):
    sentence = (
        "`data.path` must hold a dataset.json, folders images and labels, or one .npz file of volumes, "
        f"got {str(tmp_path)!r}."
    )
    with rejects(ValueError, sentence):
        splits_of(tmp_path)


def test_a_folder_that_is_not_there_is_named(rejects, tmp_path):
    sentence = f"`data.path` must be a folder of volumes, got {str(tmp_path / 'x')!r}, which is not there."
    with rejects(FileNotFoundError, sentence):
        splits_of(tmp_path / "x")
    with rejects(
        FileNotFoundError, f"`data.root` must hold a folder hippocampus3d or Task04_Hippocampus, got {str(tmp_path)!r}."
    ):
        load_splits(DataConfig(name="hippocampus3d", root=str(tmp_path)), seed=0)
    with rejects(
        ValueError, "`data.root` or `data.path` must say where the volumes of hippocampus3d lie, got neither."
    ):
        load_splits(DataConfig(name="hippocampus3d"), seed=0)


def test_parts_that_exceed_the_cases_are_refused(rejects, npz):
    with rejects(ValueError, "`data.train_size` must be at most 7, what the other parts leave, got 8."):
        splits_of(npz, train_size=8)
    with rejects(ValueError, "`data.noise` must be 0 for volumes, got 0.1."):
        splits_of(npz, noise=0.1)
    with rejects(ValueError, "`data.volume_size` must hold three sides, got [8, 8]."):
        splits_of(npz, volume_size=(8, 8))


@pytest.mark.data
def test_the_hippocampus_has_260_cases_of_which_a_twentieth_is_foreground(data_root):
    splits = load_splits(DataConfig(name="hippocampus3d", root=str(data_root)), seed=0)
    counted = torch.bincount(splits.train.labels[splits.train.labels != -100])

    assert [len(part) for part in splits.parts.values()] == [156, 39, 65]
    assert splits.train.inputs.shape[1:] == (1, 48, 64, 48)
    assert splits.class_names == ("background", "anterior", "posterior")
    assert 0.94 < float(counted[0] / counted.sum()) < 0.96
