# SPDX-License-Identifier: Apache-2.0
"""Draw docs/images/growth.svg: processor time of evaluation against the number of rows, from 10,000 to ten million.

python docs/figures/growth.py [--measure] [--out docs/images/growth.svg]

With --measure the numbers of docs/results/growth.csv are taken anew: ten classes, one thread, the least of three calls.
"""

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from adafocal import Predictions
from adafocal.calibration import evaluate, smooth_calibration_error
from adafocal.losses import AdaFocalLoss
from adafocal.selective import aurc

HERE = Path(__file__).parent
NUMBERS = HERE.parent / "results" / "growth.csv"
SIZES = [10**4, 10**5, 10**6, 10**7]
CLASSES, BATCH = 10, 10_000
STYLES = {
    "evaluate": ("#1b6ca8", "-"),
    "observe in batches, adapt": ("#d1495b", (0, (4, 2))),
    "aurc": ("#66884a", (0, (6, 1, 1, 1))),
    "smooth_calibration_error": ("0.45", ":"),
}


def calls(n: int) -> dict[str, Callable[[], object]]:
    """What is timed, of as many rows."""
    logits = 3 * torch.randn(n, CLASSES, generator=torch.Generator().manual_seed(n))
    labels = torch.randint(CLASSES, (n,), generator=torch.Generator().manual_seed(n + 1))
    record = Predictions(probs=logits.softmax(dim=1), labels=labels)
    confidence, correct = record.confidence, record.correct

    def observed() -> None:
        loss = AdaFocalLoss()
        for batch in zip(logits.split(BATCH), labels.split(BATCH), strict=True):
            loss.observe(*batch)
        loss.adapt()

    functions = (
        lambda: evaluate(record),
        observed,
        lambda: aurc(confidence, ~correct),
        lambda: smooth_calibration_error(confidence, correct),
    )
    return dict(zip(STYLES, functions, strict=True))


def measure() -> None:
    """Take the numbers anew."""
    torch.set_num_threads(1)
    with NUMBERS.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["what", "rows", "seconds"])
        for n in SIZES:
            for what, call in calls(n).items():
                taken = []
                for _ in range(3):
                    start = time.process_time()
                    call()
                    taken.append(time.process_time() - start)
                writer.writerow([what, n, f"{min(taken):.4g}"])
                file.flush()


def main() -> None:
    """Measure where asked, and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--out", type=Path, default=HERE.parent / "images" / "growth.svg")
    options = parser.parse_args()
    if options.measure:
        measure()
    plt.rcParams.update({"svg.hashsalt": "adafocal", "svg.fonttype": "path", "font.size": 8, "axes.linewidth": 0.6})
    with NUMBERS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    figure, axes = plt.subplots(figsize=(4.6, 3.0), layout="constrained")
    for what, (colour, dashes) in STYLES.items():
        taken = [float(row["seconds"]) for row in rows if row["what"] == what]
        axes.plot(SIZES, taken, color=colour, linestyle=dashes, linewidth=1.4, marker="o", markersize=2.5, label=what)
    axes.plot(SIZES, [n * 1e-8 for n in SIZES], color="0.8", linewidth=0.8, zorder=0)
    axes.annotate("10 ns a row", (2e4, 2e-4), (0, -3), textcoords="offset points", color="0.5", va="top", fontsize=7)
    axes.set(xscale="log", yscale="log", xlabel="rows of ten classes", ylabel="processor time, s", xticks=SIZES)
    axes.set_xticklabels([f"{n:,}" for n in SIZES])
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out, metadata={"Date": None})


if __name__ == "__main__":
    main()
