# SPDX-License-Identifier: Apache-2.0
"""``adafocal list``: what there is to choose from."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from adafocal._own import Offer, offers
from adafocal._text import printable
from adafocal.cli.parser import CommandParser
from adafocal.cli.printed import printed

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

OFFERED = {"losses": "loss", "models": "model", "datasets": "data.name"}  # what packages may add to


def main(arguments: list[str]) -> int:
    """Print a catalogue; see ``adafocal list --help``."""
    parser = CommandParser("list", "List what there is to choose from.")
    parser.add_argument("catalogue", choices=tuple(CATALOGUES), help="What to list.")
    catalogue = parser.parse_args(arguments).catalogue
    loaded = CATALOGUES[catalogue][0] in sys.modules
    shown = entries(catalogue) if loaded else list(printed()["catalogues"][catalogue])
    if catalogue in OFFERED:
        shown += [_offered(one) for one in offers(OFFERED[catalogue], [name for name, *_ in shown])]
    print("\n\n".join("\n  ".join(entry) for entry in shown))
    return 0


def entries(catalogue: str) -> list[list[str]]:
    """Give what is printed of each entry of a catalogue, from the catalogue itself: its name, and lines."""
    module, name, lines = CATALOGUES[catalogue]
    return [[entry.name, *lines(entry)] for entry in getattr(import_module(module), name).values()]


def _offered(offer: Offer) -> list[str]:
    """What an installed package offers, which nothing here imports."""
    state = f"cannot be used: {offer.refused}" if offer.refused else offer.value
    return [printable(offer.name), printable(f"of the package {offer.package}: {state}")]
