# SPDX-License-Identifier: Apache-2.0
"""From a data set's name to its parts: read, split, and made into what a network takes."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from adafocal._text import listed
from adafocal.data.catalogue import OTHER, DatasetSpec, get_dataset
from adafocal.data.classes import aligned, check_classes, class_names, count_classes, notes_on
from adafocal.data.config import DataConfig
from adafocal.data.features import Features
from adafocal.data.folders import part_named
from adafocal.data.inputs import feature_splits, image_splits, text_splits
from adafocal.data.kinds import layout_of
from adafocal.data.layout import Layout
from adafocal.data.own import is_made, make_data
from adafocal.data.parts import draw_parts, in_parts
from adafocal.data.sources import Source, read_hub, read_layout
from adafocal.data.splits import DataSplits
from adafocal.data.used import check_used
from adafocal.data.volumes import volume_splits
from adafocal.errors import InvalidValueError


def load_splits(config: DataConfig, *, seed: int) -> DataSplits:
    """Load a data set and split it by seed.

    Args:
        config: Which data set, where it lies, and the sizes of its parts.
        seed: Fixes split and noise, unless ``config.split_seed`` does.

    Returns:
        Disjoint parts with the class shares of what they were drawn from. Images are uint8 and decoded, texts are
        token ids, tables of numbers and categories are inputs already; ``transform`` turns batches into inputs.

    Raises:
        FileNotFoundError: If the data are not where the settings say.
        ValueError: If the name is unknown, a setting is not used by such data, the sizes do not fit them, or they are
            no images, texts, numbers or volumes.
        RuntimeError: If own code that makes the data raises something.
    """
    seed = seed if config.split_seed is None else config.split_seed
    if is_made(config):
        return _made_splits(config, seed=seed)
    spec = get_dataset(config)
    if spec.load is not None:
        if spec.kind is not None:
            check_used(config, spec.kind)
        return spec.load(config, seed=seed)
    layout = layout_of(config)
    if layout is not None:
        check_used(config, layout.kind, table=layout.in_table)
        if layout.form == "volumes":
            return volume_splits(config, seed=seed)
    sources, left_out = aligned(canonical(_read(spec, layout, config)), config.label_column)
    kind = kind_of_source(next(iter(sources.values())))
    if layout is None:
        check_used(config, kind)
    if config.split_column is not None:
        spec = replace(spec, own=True, scheme="official", test_parts=OTHER.test_parts)
    drawn = draw_parts(spec, config, in_parts(sources, config.split_column), seed=seed)
    names = class_names(sources)
    counts = count_classes(drawn.parts, len(names))
    if spec.own:
        check_classes(counts, names)
    used = {id(source) for source, _ in drawn.parts.values()}
    left_out += [part for part, source in sources.items() if id(source) not in used and spec.scheme != "pooled"]
    make = {"texts": text_splits, "numbers": feature_splits, "images": image_splits}[kind]
    made = make(spec, config, drawn.parts, names, seed=seed)
    read = [note for source in sources.values() for note in source.notes]
    unused = () if layout is None else layout.left_out
    notes = [*unused, *read, *([f"Parts that are not used: {listed(left_out)}"] if left_out else []), *made.notes]
    if spec.classes not in (None, len(names)):
        notes.append(
            f"{spec.title} has {spec.classes} classes, these data have {len(names)}: name other data by data.name"
        )
    return replace(made, how=drawn.how, notes=tuple(dict.fromkeys([*notes, *notes_on(counts, names)])))


def _made_splits(config: DataConfig, *, seed: int) -> DataSplits:
    """Take the data that a function of the user's own makes: images and texts as if they had been read from files."""
    check_used(config, "own")
    made = make_data(config, seed=seed)
    if isinstance(made, DataSplits):
        return made
    kind = kind_of_source(made.parts["train"][0])
    check_used(config, f"own_{kind}")
    make = {"texts": text_splits, "images": image_splits}[kind]
    return replace(make(OTHER, config, made.parts, made.names, seed=seed), how=made.how)


def kind_of_source(source: Source) -> str:
    """Tell what was read: ``images``, ``texts`` or ``numbers``."""
    if isinstance(source.inputs, Features):
        return "numbers"
    first = source.inputs[0]
    if not isinstance(first, (str, bytes, Path, np.ndarray)):
        raise InvalidValueError(f"`data.input_column` must hold images or texts, got {type(first).__name__}.")
    return "texts" if isinstance(first, str) else "images"


def canonical(sources: Mapping[str, Source]) -> dict[str, Source]:
    """Name the parts as we do: ``train``, ``validation``, ``scaling`` and ``test``; others keep their names.

    Raises:
        ValueError: If two mean the same part.
    """
    found: dict[str, Source] = {}
    for name, source in sources.items():
        part = part_named(name) or name
        if part in found:
            raise InvalidValueError(f"Parts must be there once each, got two for {part} among {listed(sources)}.")
        found[part] = source
    return found


def read_sources(config: DataConfig) -> dict[str, Source]:
    """Read the parts of a data set as they are stored, by name.

    Raises:
        FileNotFoundError: If the data are not where the settings say.
        ValueError: If the name is unknown or the data set is made, not read.
    """
    return _read(get_dataset(config), layout_of(config), config)


def _read(spec: DatasetSpec, layout: Layout | None, config: DataConfig) -> dict[str, Source]:
    if layout is None:
        return read_hub(spec.hub or config.name, config)
    return read_layout(layout, config, large=spec.large)
