# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: written whole or not at all, read whole and without running code, and refused where they do not fit."""

import pickle
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adafocal._files import atomic_path
from adafocal._lightning import TorchCheckpointIO
from adafocal.errors import FileError, InvalidValueError

# What a run needs to go on, besides weights.
TO_GO_ON = ("optimizer_states", "lr_schedulers", "loops", "callbacks", "epoch", "global_step")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write a checkpoint whole, so that a full disk never costs the one before, and verify one before it is used."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        """Write a checkpoint.

        Raises:
            OSError: If it cannot be written; what had the name before is as it was.
        """
        try:
            with atomic_path(path) as temporary:
                torch.save(checkpoint, temporary)
        except (OSError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "inline_container" not in str(error):
                raise  # torch reports failed writes as errors of its zip container
            reason = error.strerror if isinstance(error, OSError) else "no space left, or the disk failed"
            raise FileError(
                f"The checkpoint {str(path)!r} could not be written ({reason}); an earlier one is as it was, and the "
                "same command goes on from there."
            ) from error

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint whose every byte is what was written.

        Raises:
            ValueError: If it is damaged or holds code, whatever ``weights_only`` is.
        """
        del weights_only
        return _load(Path(path), map_location)


def read_checkpoint(
    path: Path, module: nn.Module, *, to_go_on: bool = False, without: str | None = None
) -> dict[str, Any]:
    """Read a checkpoint without running code, and check that it is undamaged and holds the weights of a module.

    Args:
        path: The checkpoint.
        module: What it must fit.
        to_go_on: Whether training shall go on from it, for which weights alone do not suffice.
        without: Beginning of names of weights that are left out; None for none.

    Returns:
        The checkpoint, on the CPU.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged, holds code, is that of another model, loss or number of classes, or its weights
            are not finite.
    """
    checkpoint = _load(path, "cpu")
    state = checkpoint.get("state_dict") if isinstance(checkpoint, Mapping) else None
    if not isinstance(state, Mapping):
        raise _unfit(path, "", "a file without `state_dict`")
    expected = module.state_dict()
    if without is not None:
        state = {name: value for name, value in state.items() if not str(name).startswith(without)}
    for name in sorted(expected.keys() ^ state.keys(), key=str):
        raise _unfit(path, "", f"one {'without' if name in expected else 'with'} {name}")
    for name, value in expected.items():
        _check_weight(path, name, state[name], value)
    for name in TO_GO_ON if to_go_on else ():
        if name not in checkpoint:
            raise _unfit(path, " that training can go on from", f"one without `{name}`")
    return {**checkpoint, "state_dict": state}


def _check_weight(path: Path, name: str, found: object, expected: Tensor) -> None:
    if not isinstance(found, Tensor):
        raise _unfit(path, f", with a tensor {name}", type(found).__name__)
    if found.shape != expected.shape:
        raise _unfit(path, f", with {name} of shape {tuple(expected.shape)}", str(tuple(found.shape)))
    # Which of the floating types depends on the precision of the run.
    if found.dtype != expected.dtype and not (found.is_floating_point() and expected.is_floating_point()):
        raise _unfit(path, f", with {name} of dtype {expected.dtype}", str(found.dtype))
    if bool(expected.isfinite().all()) and not bool(found.isfinite().all()):
        raise _unfit(path, f", with finite {name}", "NaN or infinity: the training that wrote it diverged")


def _unfit(path: Path, rule: str, got: str) -> InvalidValueError:
    return InvalidValueError(f"{str(path)!r} must be a checkpoint of this run{rule}, got {got}.")


def check_archive(path: Path) -> None:
    """Compare every byte of a file of ``torch.save`` with the checksums in it, which ``torch.load`` does not.

    Raises:
        OSError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, struct.error: If it is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"the checksum of {damaged} is another")


def _load(path: Path, map_location: Any) -> dict[str, Any]:
    try:
        check_archive(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's guesses about a file that is then refused
            checkpoint: dict[str, Any] = torch.load(path, weights_only=True, map_location=map_location)
        return checkpoint
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except DAMAGES as error:
        raise InvalidValueError(
            f"{str(path)!r} must be a checkpoint of this run, got a file that is damaged or holds more than tensors "
            "and numbers; nothing of it was run."
        ) from error


# What Python's and torch's readers raise on bytes that are no checkpoint.
DAMAGES = (
    *(RuntimeError, ValueError, TypeError, AttributeError, LookupError, EOFError, OSError),
    *(pickle.UnpicklingError, struct.error, zipfile.BadZipFile, zlib.error),
)
