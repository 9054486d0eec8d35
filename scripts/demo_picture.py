# SPDX-License-Identifier: Apache-2.0
"""Draw the README's picture from the demo's study folder.

python scripts/demo_picture.py runs/demo docs/images/demo.png
"""

import sys

import matplotlib.figure

from adafocal.calibration import reliability_from_bins
from adafocal.measures import MEASURES
from adafocal.report.figures import draw_counts, draw_reliability
from adafocal.results.contents import read_contents

COLORS = ("#c2410c", "#2563eb", "#15803d")


def main(folder: str, output: str) -> None:
    """Draw one reliability diagram per loss, side by side."""
    losses = read_contents(folder).experiments[0].losses
    figure = matplotlib.figure.Figure(figsize=(10, 4), layout="constrained")
    axes = figure.subplots(2, len(losses), sharex=True, sharey="row", height_ratios=[3, 1])
    for column, (loss, color) in enumerate(zip(losses, COLORS, strict=True)):
        stats = loss.outcome.stats
        data = reliability_from_bins(stats)
        draw_reliability(axes[0, column], data, color=color)
        draw_counts(axes[1, column], data, color=color)
        axes[0, column].set_title(f"{loss.title}\nECE {100 * loss.mean(MEASURES['ece']):.2f} %, mean over seeds")
    for ax in axes[:, 1:].flat:
        ax.set_ylabel("")
    figure.savefig(output, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
