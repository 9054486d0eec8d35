# SPDX-License-Identifier: Apache-2.0
"""What a segmentation looks like: slices with contours, errors over confidence, surfaces, persistence diagrams.

``case_panels`` makes all panels of a run from its ``cases.npz``; the drawing functions take data and axes.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from adafocal._checks import require
from adafocal.errors import InvalidValueError
from adafocal.measures import OF_MASKS
from adafocal.report.figures import draw_diagonal
from adafocal.report.panels import Panel
from adafocal.report.svg import INK, SERIES, Axes, drawn, svg_figure
from adafocal.results.folder import CASES
from adafocal.tables.npz import open_npz
from adafocal.tables.piece import reason

Array: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[Any]]"
KINDS = {"worst": "Worst case", "best": "Best case"}
PLANES = ("sagittal", "coronal", "axial")
DIMENSIONS = ("components", "tunnels", "cavities")
MARKERS = ("o", "^", "s")
PAINT = ((0.86, 0.33, 0.1), (0.2, 0.45, 0.95), (0.12, 0.58, 0.3), (0.6, 0.28, 0.9))  # as SERIES, where pixels are
UNSURE = (1.0, 0.83, 0.2)
SURE = 0.9  # an error of at least such a confidence is counted as made with confidence
SIDE = 100  # pixels of a surface's picture, and samples along each of its rays


def case_panels(folder: str | os.PathLike[str], *, kinds: Sequence[str] = tuple(KINDS), mark: str = "") -> list[Panel]:
    """Make the panels of a run's worst and best case: slices, errors over confidence, surfaces, and diagrams.

    Args:
        folder: A run folder.
        kinds: Which of the two: ``worst``, ``best``.
        mark: Keeps the figures of several runs on one page apart.

    Returns:
        Panels, case by case; none where the folder holds no ``cases.npz``, and of each kind only what the file has
        arrays for: diagrams need cripser in training, errors a run that was made after version 0.2.

    Raises:
        ValueError: If that file is damaged.
    """
    path = Path(folder) / CASES
    if not path.exists():
        return []
    try:
        with open_npz(path) as arrays:
            found = {name: arrays[name] for name in arrays.names if name.partition("_")[0] in ("class", *kinds)}
        names = [str(name) for name in found["class_names"]]
    except (InvalidValueError, KeyError, TypeError) as error:
        raise InvalidValueError(f"{str(path)!r} must hold the cases that training writes: {reason(error)}.") from error
    panels: list[Panel] = []
    for kind in kinds:
        case = {name.removeprefix(f"{kind}_"): value for name, value in found.items() if name.startswith(f"{kind}_")}
        for panel, needs in ((_slices, "image"), (_errors, "confidence"), (_surfaces, "image"), (_diagrams, "diagram")):
            panels += [panel(kind, f"{kind}{mark}", case, names)] if needs in case else []
    return panels


def draw_slice(ax: Axes, image: Array, true: Array, predicted: Array, *, n_classes: int) -> None:
    """Draw a slice of a volume with the contours of every foreground class: solid is true, dashed is predicted.

    Args:
        ax: A matplotlib axis.
        image: Intensities, shape (H, W).
        true: True class of each pixel.
        predicted: Predicted class of each pixel.
        n_classes: Number of classes; 0 is background.
    """
    low, high = np.percentile(image.astype(np.float32), (1, 99.5))
    ax.imshow(image.T, cmap="gray", vmin=low, vmax=max(high, low + 1e-3), origin="lower", interpolation="nearest")
    for number in range(1, n_classes):
        for mask, style in ((true == number, "solid"), (predicted == number, (0, (2, 1.2)))):
            if mask.any() and not mask.all():
                color = SERIES[(number - 1) % len(SERIES)]
                ax.contour(mask.T.astype(np.float32), levels=[0.5], colors=[color], linestyles=[style], linewidths=1.5)
    ax.set_axis_off()


def draw_errors(ax: Axes, image: Array, confidence: Array, wrong: Array) -> None:
    """Draw a slice of a volume, in colour where the model is unsure, with an outline around what it got wrong.

    An outline without colour is an error made with confidence.

    Args:
        ax: A matplotlib axis.
        image: Intensities, shape (H, W).
        confidence: Probability of the predicted class of each pixel, in [0, 1].
        wrong: Whether that class is not the true one, boolean; False where nothing is labelled.
    """
    low, high = np.percentile(image.astype(np.float32), (1, 99.5))
    grey = np.clip((image.astype(np.float32) - low) / max(high - low, 1e-3), 0, 1)
    unsure = np.clip(2 * (1 - confidence.astype(np.float32)), 0, 1)[..., None]  # 1 from a confidence of one half down
    pixels = (1 - unsure) * grey[..., None] + unsure * np.array(UNSURE)
    ax.imshow(pixels.transpose(1, 0, 2), origin="lower", interpolation="nearest")
    if wrong.any() and not wrong.all():
        ax.contour(wrong.T.astype(np.float32), levels=[0.5], colors=[SERIES[0]], linewidths=1.5)
    ax.set_axis_off()


def draw_surface(ax: Axes, mask: Array, frame: Array, *, n_classes: int) -> None:
    """Draw the surfaces of all foreground classes, seen at an angle and lit from the upper left.

    Each ray of an orthographic view ends where it meets the first foreground voxel; the slope of the surface there
    gives its brightness.

    Args:
        ax: A matplotlib axis.
        mask: Class of each voxel, shape (D, H, W).
        frame: Voxels that fill the picture, boolean, so that several masks are drawn at one scale.
        n_classes: Number of classes; 0 is background.
    """
    ndimage = require("scipy.ndimage")
    turned, classes = _turned(mask, frame, n_classes)
    hit = turned > 0.5
    seen = hit.any(axis=0)
    first = np.where(seen, hit.argmax(axis=0), 0)
    before = np.take_along_axis(turned, np.maximum(first - 1, 0)[None], 0)[0]
    at = np.take_along_axis(turned, first[None], 0)[0]
    # Where between two samples the surface lies, so that the slope is smooth.
    depth = first - np.clip((at - 0.5) / np.maximum(at - before, 1e-6), 0, 1)
    depth = ndimage.gaussian_filter(np.where(seen, depth, depth[seen].max() if seen.any() else 0), 1.5)
    slope = np.stack(np.gradient(depth))
    normal = np.concatenate([slope, np.ones((1, *depth.shape))]) / np.sqrt(1 + (slope**2).sum(0))
    light = np.array([-0.45, 0.45, 0.77])
    brightness = 0.35 + 0.65 * np.clip(np.tensordot(light, normal, axes=1), 0, 1)
    which = np.take_along_axis(classes, first[None], 0)[0]
    color = np.array(PAINT)[(which - 1) % len(PAINT)]
    pixels = np.dstack([color * brightness[..., None], seen.astype(np.float64)])
    ax.imshow(pixels.transpose(1, 0, 2), origin="lower", interpolation="bilinear")
    ax.set_axis_off()


def draw_diagram(ax: Axes, points: Array, *, color: str = INK) -> None:
    """Draw birth and death of the features of a probability map; far from the diagonal are those that last.

    Args:
        ax: A matplotlib axis.
        points: Rows (dimension, birth, death).
        color: Colour of the points; their shape tells the dimension.
    """
    draw_diagonal(ax)
    for dim, marker in enumerate(MARKERS):
        chosen = points[points[:, 0] == dim]
        ax.scatter(chosen[:, 1], chosen[:, 2], marker=marker, s=16, color=color, alpha=0.6, linewidths=0)
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="birth", ylabel="death")
    ax.set_aspect("equal")


def _slices(kind: str, mark: str, case: Mapping[str, Array], names: Sequence[str]) -> Panel:
    places, dice = _middle(case["label"]), f"{OF_MASKS['dice'].heading} {float(case['dice']):.3f}"
    with svg_figure(f"slices-{mark}", rows=[], width=6.4, height=3.4) as drawing:
        for axis, (ax, place) in enumerate(zip(drawing.figure.subplots(1, 3), places, strict=True)):
            cut = [case[name].take(place, axis) for name in ("image", "label", "predicted")]
            draw_slice(ax, *cut, n_classes=len(names))
            ax.set_title(f"{PLANES[axis]}, slice {place}")
        patch = require("matplotlib.patches").Patch
        handles = [patch(color=SERIES[place % len(SERIES)], label=drawn(name)) for place, name in enumerate(names[1:])]
        drawing.figure.legend(handles=handles, loc="outside lower center", ncols=len(names))
    title = f"{KINDS[kind]}, {case['name']}"
    caption = f"{dice}. Solid lines are the true mask, dashed lines the predicted one."
    alt = f"{title}, {dice}: slices {places} with contours of {', '.join(names[1:])}."
    return Panel(title, drawing.svg, caption, alt)


def _errors(kind: str, mark: str, case: Mapping[str, Array], names: Sequence[str]) -> Panel:
    wrong = (case["predicted"] != case["label"]) & (case["label"] >= 0)
    places = _middle(wrong)
    with svg_figure(f"errors-{mark}", rows=[], width=6.4, height=3.2) as drawing:
        for axis, (ax, place) in enumerate(zip(drawing.figure.subplots(1, 3), places, strict=True)):
            draw_errors(ax, *(part.take(place, axis) for part in (case["image"], case["confidence"], wrong)))
            ax.set_title(f"{PLANES[axis]}, slice {place}")
    sure = int((wrong & (case["confidence"] >= SURE)).sum())
    title = f"{KINDS[kind]}: errors and confidence"
    truly = ", ".join(f"{name} {int((wrong & (case['label'] == i)).sum()):,}" for i, name in enumerate(names))
    said = (
        f"{int(wrong.sum()):,} voxels are wrong (truly {truly}), {sure:,} of them at a confidence of {SURE:g} or more."
    )
    caption = f"Outlined: wrong. Yellow: unsure, the fuller the less sure. {said}"
    return Panel(title, drawing.svg, caption, f"{title}, in the slices {places} with the most errors. {said}")


def _surfaces(kind: str, mark: str, case: Mapping[str, Array], names: Sequence[str]) -> Panel:
    frame = (case["label"] > 0) | (case["predicted"] > 0)
    with svg_figure(f"surfaces-{mark}", rows=[], width=6.4, height=3.0) as drawing:
        for ax, part in zip(drawing.figure.subplots(1, 2), ("label", "predicted"), strict=True):
            draw_surface(ax, case[part], frame, n_classes=len(names))
            ax.set_title("true" if part == "label" else part)
    voxels = ", ".join(
        f"{name} {int((case['label'] == number).sum())} true and {int((case['predicted'] == number).sum())} predicted"
        for number, name in enumerate(names[1:], start=1)
    )
    title, caption = f"{KINDS[kind]}: surfaces", f"Voxels: {voxels}."
    return Panel(title, drawing.svg, caption, f"{title} of the true and the predicted mask. {caption}")


def _diagrams(kind: str, mark: str, case: Mapping[str, Array], names: Sequence[str]) -> Panel:
    told = []
    with svg_figure(f"diagrams-{mark}", rows=[], width=3.2 * max(2, len(names) - 1), height=3.2) as drawing:
        for number, ax in enumerate(drawing.figure.subplots(1, len(names) - 1, squeeze=False)[0], start=1):
            points = case["diagram"][case["diagram"][:, 0] == number, 1:]
            draw_diagram(ax, points, color=SERIES[(number - 1) % len(SERIES)])
            ax.set_title(drawn(names[number]))
            counts = ", ".join(f"{what} {n}" for n, what in zip(case["alive"][number - 1], DIMENSIONS, strict=True))
            told.append(f"{names[number]}: {counts}")
    caption = (
        "Birth and death of components (circles), tunnels (triangles) and cavities (squares) of the predicted mask as "
        f"its threshold falls from 1 to 0; those that last longest. At 0.5: {'; '.join(told)}."
    )
    title = f"{KINDS[kind]}: persistence"
    return Panel(title, drawing.svg, caption, f"{title} diagrams. At probability 0.5: {'; '.join(told)}.")


def _middle(mask: Array) -> list[int]:
    """Find the slice of each axis with the most foreground."""
    counts = [(mask > 0).sum(axis=tuple(other for other in range(3) if other != axis)) for axis in range(3)]
    return [int(count.argmax()) if count.any() else len(count) // 2 for count in counts]


def _turned(mask: Array, frame: Array, n_classes: int) -> tuple[Array, Array]:
    """Turn the foreground to the viewer: a finer, smoothed volume of it, and the class of its voxels."""
    ndimage = require("scipy.ndimage")
    angle, tilt = np.deg2rad(35), np.deg2rad(25)
    about = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    over = np.array([[np.cos(tilt), 0, np.sin(tilt)], [0, 1, 0], [-np.sin(tilt), 0, np.cos(tilt)]])
    rotation = about @ over
    places = (np.argwhere(frame) if frame.any() else np.argwhere(~frame)) @ rotation
    extent = np.ptp(places, axis=0) + 6
    scale = extent[1:].max() / SIDE
    shape = np.ceil(extent / scale).astype(int)
    offset = rotation @ ((places.min(0) + places.max(0)) / 2 - scale * shape / 2)
    view = {"offset": offset, "output_shape": tuple(shape), "order": 1}
    masks = (ndimage.gaussian_filter((mask == number).astype(np.float32), 0.6) for number in range(1, n_classes))
    parts = [ndimage.affine_transform(one, rotation * scale, **view) for one in masks]
    return sum(parts[1:], parts[0]), 1 + np.argmax(parts, axis=0)
