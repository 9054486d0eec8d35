# SPDX-License-Identifier: Apache-2.0
"""Silence about loaders without worker processes and memory without pins, which are right for toys."""

import warnings

warnings.filterwarnings("ignore", message=".*(many workers|treespec|smaller than the logging interval|pin_memory).*")
