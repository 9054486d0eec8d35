# SPDX-License-Identifier: Apache-2.0
"""``adafocal list``: what there is to choose from."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from adafocal.cli.parser import CommandParser

# Where each catalogue is, and the lines on an entry below its name.
CATALOGUES: dict[str, tuple[str, str, Callable[[Any], list[str]]]] = {
    "losses": (
        "adafocal.losses",
        "LOSSES",
        lambda loss: [f"{loss.title}: {loss.formula}", f"{loss.paper} ({loss.year})", loss.use],
    ),
    "models": ("adafocal.models", "MODELS", lambda model: [model.title]),
    "datasets": ("adafocal.data", "DATASETS", lambda data: [f"{data.title}: {data.source}"]),
    "recipes": ("adafocal.recipes", "RECIPES", lambda recipe: [recipe.title, recipe.source]),
    "ood_pairs": ("adafocal.recipes.ood", "OOD_PAIRS", lambda it: [f"{it.title}: {', '.join(it.against)}", it.source]),
}


def main(arguments: list[str]) -> int:
    """Print a catalogue; see ``adafocal list --help``."""
    parser = CommandParser("list", "List what there is to choose from.")
    parser.add_argument("catalogue", choices=tuple(CATALOGUES), help="What to list.")
    module, name, lines = CATALOGUES[parser.parse_args(arguments).catalogue]
    entries = getattr(import_module(module), name).values()
    print("\n\n".join("\n  ".join([entry.name, *lines(entry)]) for entry in entries))
    return 0
