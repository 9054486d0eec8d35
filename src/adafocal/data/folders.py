# SPDX-License-Identifier: Apache-2.0
"""Folders of images: one per class, or one per part with one per class in it."""

from collections.abc import Iterator
from pathlib import Path

from adafocal._text import listed
from adafocal.data.roles import IMAGE_SUFFIXES
from adafocal.errors import InvalidValueError

# What systems and programs leave among somebody's files; names that begin with a point are hidden.
SYSTEM_FOLDERS = {"__MACOSX", "__pycache__", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
LISTING = "val_annotations.txt"
PARTS = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation",
    "dev": "validation", "scaling": "scaling", "test": "test", "testing": "test",
}  # fmt: skip


def part_named(name: object) -> str | None:
    """Find the part that a name means, whatever its case; None for none.

    Example:
        >>> part_named("Val"), part_named("testing"), part_named("cats")
        ('validation', 'test', None)
    """
    return PARTS.get(str(name).strip().lower())


def is_ours(entry: Path) -> bool:
    """Tell whether a file or folder is one that somebody put there, and not one that a program keeps for itself."""
    return not entry.name.startswith(".") and entry.name not in SYSTEM_FOLDERS


def images_in(folder: Path) -> list[Path]:
    """List the images of a folder and of its folders by name."""
    return sorted(_images(folder, deep=True))


def holds_images(folder: Path, *, deep: bool = True) -> bool:
    """Tell whether a folder holds an image, without listing them all."""
    return next(_images(folder, deep=deep), None) is not None


def subfolders(folder: Path) -> list[Path]:
    """List the folders of a folder by name."""
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and is_ours(entry))


def class_folders(path: Path) -> dict[str, list[Path]]:
    """Find the folders of the classes by part: CLASS/*.png is one part ``all``, PART/CLASS/*.png several.

    Returns:
        Folders by part, by the part's folder name, or Tiny-ImageNet's list of images and classes; no part where there
        are no folders with images.

    Raises:
        ValueError: If some folders are named as parts are and others are not.
    """
    folders = [folder for folder in subfolders(path) if (folder / LISTING).exists() or holds_images(folder)]
    if not folders:
        return {}
    named = [folder for folder in folders if part_named(folder.name)]
    if not named or any(holds_images(folder, deep=False) for folder in folders):
        return {"all": subfolders(path)}
    if others := [folder.name for folder in folders if folder not in named]:
        raise InvalidValueError(
            f"Folders of `data.path` must all be parts or all be classes, got {listed(f.name for f in named)} beside "
            f"{listed(others)}: move the others elsewhere, or name parts {listed(PARTS)}."
        )
    lists = {folder: folder / LISTING for folder in named if (folder / LISTING).exists()}
    return {folder.name: [lists[folder]] if folder in lists else subfolders(folder) for folder in named}


def _images(folder: Path, *, deep: bool) -> Iterator[Path]:
    for entry in folder.iterdir():
        if not is_ours(entry):
            continue
        if entry.suffix.lower() in IMAGE_SUFFIXES and entry.is_file():
            yield entry
        elif deep and entry.is_dir() and not entry.is_symlink():
            yield from _images(entry, deep=True)
