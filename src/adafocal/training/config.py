# SPDX-License-Identifier: Apache-2.0
"""Every setting of a training run, typed; the command line, recipes and studies are made from it."""

import argparse
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from adafocal._checks import check_integer, check_number
from adafocal.data.config import DataConfig
from adafocal.errors import InvalidValueError


@dataclass(frozen=True)
class OptimizerConfig:
    """How to step.

    Args:
        name: Optimiser.
        lr: Learning rate at the start.
        momentum: Momentum of SGD.
        weight_decay: L2 penalty (decoupled for adamw).
        schedule: How the learning rate falls: `steps` at the milestones, `cosine` to zero at the last epoch.
        milestones: Epochs after which the learning rate is multiplied by `lr_decay`.
        lr_decay: Factor at each milestone.
        warmup_epochs: Epochs over which the learning rate rises linearly at the start.
        clip_norm: Bound on the gradient norm; null for none.
    """

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-3
    schedule: Literal["steps", "cosine"] = "steps"
    milestones: tuple[int, ...] = (50, 75)
    lr_decay: float = 0.1
    warmup_epochs: int = 0
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        """Refuse numbers out of range."""
        check_number("optimizer.lr", self.lr, low=0.0, open_low=True)
        check_number("optimizer.momentum", self.momentum, low=0.0, high=1.0, open_high=True)
        check_number("optimizer.weight_decay", self.weight_decay, low=0.0)
        check_number("optimizer.lr_decay", self.lr_decay, low=0.0, open_low=True)
        check_integer("optimizer.warmup_epochs", self.warmup_epochs, minimum=0)
        check_number("optimizer.clip_norm", self.clip_norm, low=0.0, open_low=True, optional=True)


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one run.

    Args:
        loss: A loss of `adafocal list losses`, or package.module:Class of your own.
        loss_args: Settings of the loss, such as `--loss_args.rate 0.5`.
        model: A model of `adafocal list models`, or package.module:function of your own.
        model_args: Settings of the model, such as `--model_args.width 128`.
        data: What to train on.
        optimizer: How to step.
        epochs: Passes over the training data.
        batch_size: Samples per step, over all processes.
        seed: Seed of initialisation, order of samples and, unless data.split_seed is set, the split.
        n_bins: Bins of the calibration errors that are logged.
        ema: Decay per step of a moving average of the weights, which is then what is measured and kept; null for none.
        monitor: Validation metric, lower is better, that `early_stopping` and the best checkpoint go by;
            val_nll_scaled is the likelihood after a temperature fitted to the same rows: refine, then calibrate.
        early_stopping: Epochs without a better `monitor` after which training ends; null never ends early.
        select: Weights that predictions are made with: of the last epoch, or of the one with the best `monitor`.
        precision: Lightning's precision; AdaFocal's state stays in float32 in all of them.
        deterministic: Refuse operations that are not reproducible.
        compile: Compile the model with torch.compile.
        accelerator: Lightning's accelerator: auto, cpu, gpu, mps, ...
        devices: Devices per node, or auto; each has a process of its own.
        num_nodes: Machines, started by torchrun or a cluster's scheduler.
        strategy: Lightning's strategy: auto, ddp, fsdp, ...
        logger: tensorboard, none, or any of Lightning's by name, such as wandb, mlflow or csv. metrics.csv is always
            written.
        logger_args: Settings of the logger, such as `--logger_args.project NAME`.
    """

    loss: str = "adafocal"
    loss_args: dict[str, Any] = field(default_factory=dict)
    model: str = "mlp"
    model_args: dict[str, Any] = field(default_factory=dict)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    epochs: int = 100
    batch_size: int = 32
    seed: int = 0
    n_bins: int = 15
    ema: float | None = None
    monitor: Literal["val_nll", "val_nll_scaled", "val_error", "val_ece"] = "val_nll"
    early_stopping: int | None = None
    select: Literal["last", "best"] = "last"
    precision: Literal["32-true", "16-mixed", "bf16-mixed", "bf16-true", "64-true"] = "32-true"
    deterministic: bool = True
    compile: bool = False
    accelerator: str = "cpu"
    devices: int | str = 1
    num_nodes: int = 1
    strategy: str = "auto"
    logger: str = "tensorboard"
    logger_args: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse counts out of range."""
        check_integer("epochs", self.epochs, minimum=1)
        check_integer("batch_size", self.batch_size, minimum=1)
        check_integer("seed", self.seed, minimum=0)
        check_integer("n_bins", self.n_bins, minimum=1)
        check_number("ema", self.ema, low=0.0, high=1.0, open_high=True, optional=True)
        check_integer("early_stopping", self.early_stopping, minimum=1, optional=True)
        if self.devices != "auto":
            check_integer("devices", self.devices, minimum=1)
        check_integer("num_nodes", self.num_nodes, minimum=1)
        if self.ema is not None and "fsdp" in self.strategy:
            raise InvalidValueError(f"`ema` must be null where `strategy` shards the weights, got {self.ema}.")

    @property
    def evaluation_batch_size(self) -> int:
        """Samples per batch where no gradient is kept."""
        return 8 * self.batch_size


NESTED = ("data", "optimizer")  # what other settings hold depends on the loss or the model
# How a run is carried out, not what it computes: a run may be resumed with other values of these.
CARRIED_OUT = ("compile", "accelerator", "devices", "num_nodes", "strategy", "logger", "logger_args")


def plain(config: TrainConfig) -> dict[str, Any]:
    """Turn the settings into plain dictionaries, lists and numbers, as YAML holds them."""
    settings: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return settings


def dotted(
    settings: Mapping[str, object], *, within: Collection[str] | None = None, prefix: str = ""
) -> dict[str, object]:
    """Name nested settings by dotted names, as flags do: those within the given ones, or (None) within all."""
    flat: dict[str, object] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and (within is None or name in within):
            flat |= dotted(value, within=within, prefix=f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def from_plain(settings: Mapping[str, Any]) -> TrainConfig:
    """Build the settings from what :func:`plain` gave, each of its type.

    Raises:
        ValueError: If they are no settings of a run.
    """
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(TrainConfig)
    try:
        return from_options(parser, parser.parse_object(dict(settings)))
    except (argparse.ArgumentError, ValueError, TypeError) as error:
        raise InvalidValueError(" ".join(str(error).split())) from error


def from_options(parser: Any, options: Any) -> TrainConfig:
    """Build the settings from what a parser of :class:`TrainConfig` has parsed; what else it has is left aside."""
    # jsonargparse renamed it in 4.49; the older name warns there.
    made = (parser.instantiate if hasattr(parser, "instantiate") else parser.instantiate_classes)(options)
    return TrainConfig(**{name: made[name] for name in TrainConfig.__dataclass_fields__})
