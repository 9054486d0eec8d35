# SPDX-License-Identifier: Apache-2.0
"""Optimisers and schedules of the learning rate, from settings."""

import torch
from torch import nn
from torch.optim import lr_scheduler

from adafocal.training.config import OptimizerConfig


def make_optimizer(config: OptimizerConfig, model: nn.Module) -> torch.optim.Optimizer:
    """Build the optimiser that the settings name."""
    if config.name == "sgd":
        return torch.optim.SGD(
            model.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
        )
    cls = torch.optim.Adam if config.name == "adam" else torch.optim.AdamW
    return cls(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)


def make_schedule(
    config: OptimizerConfig, optimizer: torch.optim.Optimizer, *, epochs: int
) -> lr_scheduler.LRScheduler:
    """Build the schedule that the settings name; it steps once per epoch.

    Epoch k of a warm-up of w epochs has (k + 1) / (w + 1) of the learning rate; milestones count from the first epoch
    all the same.
    """
    warmup = config.warmup_epochs
    if config.schedule == "cosine":
        main: lr_scheduler.LRScheduler = lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(epochs - warmup, 1))
    else:
        milestones = [max(epoch - warmup, 0) for epoch in config.milestones]
        main = lr_scheduler.MultiStepLR(optimizer, milestones, gamma=config.lr_decay)
    if warmup == 0:
        return main
    rise = lr_scheduler.LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup)
    return lr_scheduler.SequentialLR(optimizer, [rise, main], milestones=[warmup])
