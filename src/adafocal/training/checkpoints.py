# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: written whole or not at all, read without running code, and refused where they do not fit."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from adafocal._checks import require
from adafocal._files import atomic_path
from adafocal.errors import FileError, InvalidValueError

require("lightning.pytorch", extra="train")

from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO  # noqa: E402

LAST = Path("checkpoints/last.ckpt")
BEST = Path("checkpoints/best.ckpt")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Give a checkpoint its name only once it is written, so that a full disk never costs the one before."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
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


def read_checkpoint(path: Path, module: nn.Module) -> dict[str, Any]:
    """Read a checkpoint without running code, and check that it holds the weights of a module.

    Args:
        path: The checkpoint.
        module: What it must fit.

    Returns:
        The checkpoint, on the CPU.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged, holds code, or is that of another model, loss or number of classes.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's guesses about a file that is then refused
            checkpoint = torch.load(path, weights_only=True, map_location="cpu")
    except FileNotFoundError:
        raise
    except (RuntimeError, ValueError, EOFError, KeyError, OSError, pickle.UnpicklingError) as error:
        raise InvalidValueError(
            f"{str(path)!r} must be a checkpoint of this run, got a file that is damaged or holds more than tensors "
            "and numbers; nothing of it was run."
        ) from error
    state = checkpoint.get("state_dict") if isinstance(checkpoint, Mapping) else None
    if not isinstance(state, Mapping):
        raise InvalidValueError(f"{str(path)!r} must be a checkpoint of this run, got a file without `state_dict`.")
    expected = module.state_dict()
    for name in sorted(expected.keys() ^ state.keys()):
        which = "without" if name in expected else "with"
        raise InvalidValueError(f"{str(path)!r} must be a checkpoint of this run, got one {which} {name}.")
    for name, value in expected.items():
        if state[name].shape != value.shape:
            raise InvalidValueError(
                f"{str(path)!r} must be a checkpoint of this run, with {name} of shape {tuple(value.shape)}, "
                f"got {tuple(state[name].shape)}."
            )
    return dict(checkpoint)
