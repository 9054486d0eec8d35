# SPDX-License-Identifier: Apache-2.0
"""Volumes with masks as they lie on a disk: Decathlon tasks, folders of NIfTI files, one npz file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from adafocal._checks import require
from adafocal._files import below, read_json
from adafocal._text import shown
from adafocal.errors import InvalidValueError, MissingFileError
from adafocal.tables.npz import Arrays, open_npz
from adafocal.tables.read import named

SUFFIXES = (".nii.gz", ".nii")
FOLDERS = (("imagesTr", "labelsTr"), ("images", "labels"))
Array: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[Any]]"


@dataclass(frozen=True)
class Case:
    """One volume with its mask.

    Attributes:
        name: Name of the case, unique in its data set.
        image: Intensities, shape (channels, D, H, W).
        mask: Class of each voxel, integers >= 0, shape (D, H, W).
    """

    name: str
    image: Array
    mask: Array


def holds_volumes(path: Path) -> bool:
    """Tell from names whether volumes with masks lie at a path, in one of the layouts of :func:`read_cases`."""
    if path.is_dir() and (path / "dataset.json").is_file() and (path / "imagesTr").is_dir():
        return True
    pairs = [path / folder for names in FOLDERS for folder in names if (path / folder).is_dir()]
    if any(file.name.endswith(SUFFIXES) for folder in pairs for file in folder.iterdir()):
        return True
    arrays = [path] if path.is_file() else sorted(path.glob("*.npz"))
    if len(arrays) != 1 or arrays[0].suffix != ".npz":
        return False
    with named(arrays[0], "data.path", rows=False), open_npz(arrays[0]) as held:
        names = held.names
    masks = [name for name in names if name.endswith("_label") and f"{name.removesuffix('label')}image" in names]
    return "names" in names and bool(masks)


def read_cases(path: str | Path) -> tuple[Iterator[Case], tuple[str, ...]]:
    """Read a data set of volumes, case by case.

    Layouts: a Medical Segmentation Decathlon task (``dataset.json`` beside ``imagesTr`` and ``labelsTr``); a folder
    with NIfTI files of the same names in ``images`` and ``labels``; a folder with one ``.npz`` file, or that file, with
    ``names`` and for each of them arrays ``NAME_image`` and ``NAME_label``. NIfTI files are read by MONAI and turned to
    the axes right, anterior, superior; nothing is resampled.

    Args:
        path: The folder or file.

    Returns:
        The cases, each read when it is asked for, and the names of the classes, empty where the layout has none.

    Raises:
        FileNotFoundError: If there is nothing at the path.
        ValueError: If it is none of the layouts; while reading, if a mask does not fit its image or holds no classes.
        ModuleNotFoundError: For NIfTI files without MONAI, with the command that installs it.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFileError(f"`data.path` must be a folder of volumes, got {str(path)!r}, which is not there.")
    if (path / "dataset.json").is_file():
        return _decathlon(path)
    arrays = [path] if path.is_file() else sorted(path.glob("*.npz"))
    if len(arrays) == 1 and arrays[0].suffix == ".npz":
        return _npz_cases(arrays[0]), ()
    for images, masks in FOLDERS:
        if (path / images).is_dir() and (path / masks).is_dir():
            return _nifti_cases(_pairs(path / images, path / masks)), ()
    raise InvalidValueError(
        "`data.path` must hold a dataset.json, folders images and labels, or one .npz file of volumes, "
        f"got {str(path)!r}."
    )


def _decathlon(path: Path) -> tuple[Iterator[Case], tuple[str, ...]]:
    place = path / "dataset.json"
    try:
        listed = read_json(place)
        pairs = {
            _stem(pair["label"]): (below(path, pair["image"], what="Images"), below(path, pair["label"], what="Masks"))
            for pair in listed["training"]
        }
        names = {int(number): str(name) for number, name in listed["labels"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidValueError(
            "`data.path` must hold a dataset.json of the Decathlon, with labels and training, "
            f"got {str(place)!r}: {type(error).__name__} {error}."
        ) from error
    return _nifti_cases(pairs), tuple(names.get(number, str(number)) for number in range(1 + max(names)))


def _pairs(images: Path, masks: Path) -> dict[str, tuple[Path, Path]]:
    """Match images and masks by name."""
    found = {_stem(file): file for file in sorted(images.iterdir()) if file.name.endswith(SUFFIXES)}
    pairs = {}
    for mask in sorted(file for file in masks.iterdir() if file.name.endswith(SUFFIXES)):
        name = _stem(mask)
        if name not in found:
            raise InvalidValueError(
                f"`data.path` must hold an image for every mask, got none named {name!r} in {images}."
            )
        pairs[name] = (found[name], mask)
    if not pairs:
        raise InvalidValueError(
            f"`data.path` must hold NIfTI masks ({' or '.join(SUFFIXES)}), got none in {str(masks)!r}."
        )
    return pairs


def _stem(file: str | Path) -> str:
    name = Path(file).name
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)


def _nifti_cases(pairs: dict[str, tuple[Path, Path]]) -> Iterator[Case]:
    require("nibabel", extra="segmentation")
    transforms = require("monai.transforms", extra="segmentation")
    load = transforms.LoadImage(reader="NibabelReader", image_only=True, ensure_channel_first=True)
    turn = transforms.Orientation(axcodes="RAS", labels=None)
    for name, files in pairs.items():
        for file in files:
            if not file.is_file():
                raise MissingFileError(f"`data.path` must hold all its files, got none at {str(file)!r}.")
        image, mask = (turn(load(file)).numpy() for file in files)
        yield checked_case(name, image, mask[0] if mask.shape[0] == 1 else mask)


def _npz_cases(file: Path) -> Iterator[Case]:
    with named(file, "data.path", rows=False), open_npz(file, "an .npz file of volumes") as arrays:
        names = _array(arrays, "names", file)
        if names.ndim != 1:
            raise InvalidValueError(f"`names` must be one name per case, got shape {names.shape}.")
        for name in names.tolist():
            image, mask = (_array(arrays, f"{name}_{part}", file) for part in ("image", "label"))
            yield checked_case(str(name), image if image.ndim == 4 else image[None], mask)


def _array(arrays: Arrays, name: str, file: Path) -> Array:
    if name not in arrays:
        raise InvalidValueError(f"`data.path` must hold an array {shown(name)}, got none in {str(file)!r}.")
    return arrays[name]


def checked_case(name: str, image: Array, mask: Array) -> Case:
    """Make a case of a mask and an image that fit each other.

    Raises:
        ValueError: If shapes differ, the mask does not hold integers >= 0, or an intensity is not finite.
    """
    if image.ndim != 4 or image.shape[1:] != mask.shape:
        raise InvalidValueError(
            f"Case {name!r} must have an image of shape (channels, D, H, W) and a mask (D, H, W), "
            f"got {tuple(image.shape)} and {tuple(mask.shape)}."
        )
    if image.dtype.kind not in "iuf" or mask.dtype.kind not in "iufb" or 0 in image.shape:
        raise InvalidValueError(
            f"Case {name!r} must have an image and a mask of numbers, got {image.dtype} and {mask.dtype}, "
            f"shape {tuple(image.shape)}."
        )
    with np.errstate(invalid="ignore"):  # of NaN, which is none of what was asked for
        whole = mask.astype(np.int16)
    if (whole != mask).any() or whole.min() < 0:
        wrong = mask[(whole != mask) | (whole < 0)][0]
        raise InvalidValueError(f"Case {name!r} must have a mask of integers >= 0, got {wrong}.")
    if not np.isfinite(image).all():
        raise InvalidValueError(f"Case {name!r} must have finite intensities, got NaN or infinity.")
    return Case(name, image, whole)
