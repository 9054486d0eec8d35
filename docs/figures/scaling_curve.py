# SPDX-License-Identifier: Apache-2.0
"""Draw docs/images/scaling_curve.svg: what scalings leave of the likelihood, against the rows that they are fitted to.

python docs/figures/scaling_curve.py [--out docs/images/scaling_curve.svg]
"""

import argparse
import csv
from pathlib import Path

import matplotlib.pyplot as plt

HERE = Path(__file__).parent
NUMBERS = HERE.parent / "results" / "scaling_sizes.csv"
STYLES = {
    "temperature": ("#1b6ca8", "-"),
    "structured_vector": ("#d1495b", (0, (4, 2))),
    "structured_matrix": ("#66884a", (0, (6, 1, 1, 1))),
    "isotonic": ("0.55", ":"),
    "auto": ("black", "-"),
}


def main() -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE.parent / "images" / "scaling_curve.svg")
    options = parser.parse_args()
    plt.rcParams.update({"svg.hashsalt": "adafocal", "svg.fonttype": "path", "font.size": 8, "axes.linewidth": 0.6})
    with NUMBERS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    sets = list(dict.fromkeys(row["set"] for row in rows))
    figure, grid = plt.subplots(1, len(sets), figsize=(2.3 * len(sets), 2.6), layout="constrained")
    for axes, name in zip(grid, sets, strict=True):
        for method, (colour, dashes) in STYLES.items():
            of_set = [row for row in rows if (row["set"], row["method"]) == (name, method)]
            gains = [100 * (1 - float(row["of_none"])) for row in of_set]
            label, width = method.replace("_", " "), 2.2 if method == "auto" else 1.3
            sizes = [int(row["n"]) for row in of_set]
            axes.plot(sizes, gains, color=colour, linestyle=dashes, linewidth=width, label=label)
        best = max(100 * (1 - float(row["of_none"])) for row in rows if row["set"] == name)
        axes.axhline(0.0, color="0.7", linewidth=0.8)
        axes.set_title(f"{name}, {next(row['classes'] for row in rows if row['set'] == name)} classes", fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set(xscale="log", ylim=(-0.35 * best, 1.1 * best), xticks=[100, 1000, 5000])
        axes.set_xticklabels(["100", "1,000", "5,000"])
        axes.minorticks_off()
    figure.supxlabel("rows fitted to")
    figure.supylabel("NLL saved on other rows, %")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(STYLES), frameon=False)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out, metadata={"Date": None})


if __name__ == "__main__":
    main()
