# SPDX-License-Identifier: Apache-2.0
"""A linear head over many classes, with features and labels."""

import torch
from torch import nn

torch.manual_seed(0)
features, labels = torch.randn(32, 16), torch.randint(100, (32,))
head = nn.Linear(16, 100)
