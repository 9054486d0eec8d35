# SPDX-License-Identifier: Apache-2.0
"""``adafocal list``: what there is to choose from."""

from collections.abc import Iterable

from adafocal.cli.parser import CommandParser

CATALOGUES = ("losses", "models", "datasets", "recipes", "ood_pairs")


def main(arguments: list[str]) -> int:
    """Print a catalogue; see ``adafocal list --help``."""
    parser = CommandParser("list", "List what there is to choose from.")
    parser.add_argument("catalogue", choices=CATALOGUES, help="What to list.")
    catalogue = parser.parse_args(arguments).catalogue
    print("\n\n".join("\n".join(entry) for entry in entries(catalogue)))
    return 0


def entries(catalogue: str) -> Iterable[list[str]]:
    """Give the lines of each entry of a catalogue."""
    if catalogue == "losses":
        from adafocal.losses import LOSSES

        return [
            [loss.name, f"  {loss.title}: {loss.formula}", f"  {loss.paper} ({loss.year})", f"  {loss.use}"]
            for loss in LOSSES.values()
        ]
    if catalogue == "models":
        from adafocal.models import MODELS

        return [[model.name, f"  {model.title}"] for model in MODELS.values()]
    if catalogue == "datasets":
        from adafocal.data import DATASETS

        return [[data.name, f"  {data.title}: {data.source}"] for data in DATASETS.values()]
    if catalogue == "ood_pairs":
        from adafocal.recipes.ood import OOD_PAIRS

        pairs = OOD_PAIRS.values()
        return [[pair.name, f"  {pair.title}: {', '.join(pair.against)}", f"  {pair.source}"] for pair in pairs]
    from adafocal.recipes import RECIPES

    return [[recipe.name, f"  {recipe.title}", f"  {recipe.source}"] for recipe in RECIPES.values()]
