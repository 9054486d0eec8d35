# SPDX-License-Identifier: Apache-2.0
"""Turn finished studies into the tables of docs/results.md, and into small CSV files with a row per run.

python benchmarks/results.py STUDY [STUDY ...] [--out docs/results/NAME.csv] [--pair mnist-emnist_letters]

Several studies are told apart by the names of their folders. ``--pair`` adds the AUROC of what
`adafocal ood --run RUN --pair PAIR` has measured.
"""

import argparse
import csv
import json
import shlex
from pathlib import Path
from statistics import mean, median, stdev

from adafocal import Predictions
from adafocal._files import write_rows
from adafocal.calibration import evaluate, top_label_from_logits
from adafocal.losses import LOSSES
from adafocal.recipes import Recipe, get_recipe
from adafocal.scaling import fit_temperature
from adafocal.selective import aurc

MEASURES = ("error", "ece", "ece_equal_mass", "classwise_ece", "nll")
ECE = ("ece", "ece_after_temperature", "ece_after_temperature_of_least_ece")
PERCENT = ("error", "ece", "ece_equal_mass", "classwise_ece", "aurc")
SCORES = ("entropy", "energy", "mahalanobis", "knn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--pair")
    parser.add_argument("--published", action="store_true", help="show the paper's ECE beside ours")
    options = parser.parse_args()
    runs = sorted(path.parent for study in options.studies for path in study.glob("runs/*/*/summary.json"))
    rows = sorted((row_of(run) for run in runs), key=lambda row: list(LOSSES).index(row["loss"]))
    about(runs)
    print_tables(rows, recipe_of(runs[0]) if options.published else None)
    if options.pair:
        ood = [row for run in runs for row in ood_rows(run, options.pair)]
        print_ood(ood)
        write(options.out and options.out.with_name(f"{options.out.stem}_ood.csv"), ood)
    write(options.out, rows)


def row_of(run: Path) -> dict:
    """Give the numbers of a run as fractions, nats and seconds."""
    summary = json.loads((run / "summary.json").read_text())
    with (run / "metrics.csv").open() as file:
        seconds = median(float(epoch["seconds"]) for epoch in csv.DictReader(file))
    test, scaled = summary["test"], summary["test_scaled"]
    predictions = Predictions.load(run / "test.parquet")
    papers = fit_temperature(Predictions.load(run / "validation.parquet"), criterion="ece")
    confidence, correct = top_label_from_logits(predictions.logits, predictions.labels)
    return {
        "study": run.parents[2].name,
        "experiment": run.parent.name,
        "loss": summary["loss"],
        "seed": summary["seed"],
        **{name: test[name] for name in MEASURES},
        "aurc": float(aurc(confidence, (~correct).double())),
        "temperature": summary["temperature"],
        **{f"{name}_after_temperature": scaled[name] for name in MEASURES[1:]},
        "temperature_of_least_ece": papers.temperature,
        "ece_after_temperature_of_least_ece": evaluate(papers.apply(predictions)).ece,
        "seconds_per_epoch": seconds,
    }


def ood_rows(run: Path, pair: str) -> list[dict]:
    """Give the AUROC of each set and score of a run."""
    loss, seed = run.name.rsplit("-s", 1)
    record = json.loads((run / "ood" / f"{pair}.json").read_text())
    return [
        {"loss": loss, "seed": int(seed), "set": row["ood"], "score": row["score"], "auroc": row["auroc"]["value"]}
        for row in record["results"]
    ]


def recipe_of(run: Path) -> Recipe:
    """Give the recipe that a run's experiment is named by, for the published numbers."""
    return get_recipe(run.parent.name.split("--")[0])


def about(runs: list[Path]) -> None:
    """Print how the runs were made."""
    made = [json.loads((run / "provenance.json").read_text()) for run in runs]
    for command in dict.fromkeys(shlex.join(one["command"][1:]) for one in made):
        print(f"adafocal {command}")
    versions, hardware = made[0]["versions"], made[0]["hardware"]
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    print(f"{hardware['processor']}, {hardware['torch_threads']} thread(s) each; {made[0]['date'][:10]}; ", end="")
    print("commit", ", ".join(dict.fromkeys((one["git"] or "-")[:7] for one in made)), end="\n\n")


def print_tables(rows: list[dict], recipe: Recipe | None) -> None:
    """Print mean ± standard deviation over seeds; time is the median of an epoch's over cross-entropy's, same seed."""
    groups: dict[tuple[str, str, str], list[dict]] = {}
    for row in rows:
        groups.setdefault((row["loss"], row["study"], row["experiment"].partition("--")[2]), []).append(row)
    several = len({study for _, study, _ in groups}) > 1
    pace = {(row["study"], row["seed"]): row["seconds_per_epoch"] for row in rows if row["loss"] == "cross_entropy"}
    first, second = [], []
    for (loss, study, setting), found in groups.items():
        name = " ".join([f"`{loss}`", *([f"({study})"] if several else []), *([setting] if setting else [])])
        paced = [row for row in found if (row["study"], row["seed"]) in pace]
        ratios = [row["seconds_per_epoch"] / pace[row["study"], row["seed"]] for row in paced]
        papers = [published(recipe, loss)] if recipe else []
        ece = [spread(found, name) for name in ECE]
        first.append([name, str(len(found)), spread(found, "error"), *ece, *papers])
        more = [both(found, measure) for measure in MEASURES[2:]]
        t, area = spread(found, "temperature"), spread(found, "aurc")
        second.append([name, *more, t, area, f"{median(ratios):.2f}" if ratios else ""])
    papers = ["published"] if recipe else []
    markdown(["loss", "runs", "error", "ECE", "ECE after T", "after T of least ECE", *papers], first)
    markdown(["loss", "ECE, equal mass", "class-wise ECE", "NLL", "T", "AURC", "time"], second)


def markdown(head: list[str], rows: list[list[str]]) -> None:
    """Print a table; columns in which no row has anything are left out."""
    kept = [i for i in range(len(head)) if any(row[i] for row in rows)]
    print(f"| {' | '.join(head[i] for i in kept)} |\n|---|{'--:|' * (len(kept) - 1)}")
    for row in rows:
        print(f"| {' | '.join(row[i] for i in kept)} |")
    print()


def published(recipe: Recipe, loss: str) -> str:
    """Give what the papers print, in percent."""
    expected = recipe.expected.get(loss)
    return "" if not expected else f"{expected.ece} → {expected.ece_scaled}"


def both(rows: list[dict], name: str) -> str:
    """Give a measure before → after temperature scaling."""
    return f"{spread(rows, name)}\N{NO-BREAK SPACE}→ {spread(rows, f'{name}_after_temperature')}"


def spread(rows: list[dict], name: str) -> str:
    """Give mean ± standard deviation; percent where the measure is a share."""
    share = name.partition("_after")[0] in PERCENT
    return mean_and_deviation([100 * row[name] if share else row[name] for row in rows])


def mean_and_deviation(values: list[float]) -> str:
    """Give mean ± standard deviation that no line break parts, with one decimal from 10 on and two below."""
    digits = 1 if mean(values) >= 10 else 2
    return f"{mean(values):.{digits}f}" + (
        f"\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{stdev(values):.{digits}f}" if len(values) > 1 else ""
    )


def print_ood(rows: list[dict]) -> None:
    """Print AUROC in percent per loss, mean over the sets of a run, then mean ± standard deviation over seeds."""
    scores = [score for score in SCORES if any(row["score"] == score for row in rows)]
    table = []
    for loss in sorted({row["loss"] for row in rows}, key=list(LOSSES).index):
        seeds = sorted({row["seed"] for row in rows if row["loss"] == loss})
        cells = [f"`{loss}`", str(len(seeds))]
        for score in scores:
            of_score = [row for row in rows if (row["loss"], row["score"]) == (loss, score)]
            over_sets = [100 * mean(row["auroc"] for row in of_score if row["seed"] == seed) for seed in seeds]
            cells.append(mean_and_deviation(over_sets))
        table.append(cells)
    markdown(["loss", "runs", *scores], table)


def write(path: Path | None, rows: list[dict]) -> None:
    """Write rows as CSV, numbers to six digits."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_rows(
        path,
        [{name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()} for row in rows],
    )


if __name__ == "__main__":
    main()
