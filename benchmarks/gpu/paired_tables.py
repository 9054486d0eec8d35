# SPDX-License-Identifier: Apache-2.0
"""Tables of the stage ``paired``: what each loss reaches, and what it differs by, paired over seeds.

python benchmarks/gpu/paired_tables.py                                  # prints those of docs/results/paired_*.csv
python benchmarks/gpu/paired_tables.py MINE.csv --page PAGE.md          # writes them into a page
python benchmarks/gpu/paired_tables.py MINE.csv --page PAGE.md --check

In a page a table stands between ``<!-- generated: paired NAME -->`` and ``<!-- end -->``. Differences have 95 % t
intervals over seeds; they are bold, and values have arrows, where Holm's correction over the tasks leaves p below
5 %. Of several files that hold a run the last one counts.
"""

import argparse
import csv
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import floor, log10
from pathlib import Path
from statistics import mean

from adafocal.results.comparison import Difference, RankTable
from adafocal.study.ranks import average_ranks
from adafocal.study.statistics import paired_differences, spread

RESULTS = Path(__file__).parents[2] / "docs" / "results"
TITLES = {
    "20newsgroups-bydate": "20NG by date",
    "20newsgroups-pooled": "20NG pooled",
    "encoder": "encoder, 5e-5",
    "encoder-2e-4": "encoder, 2e-4",
    "cifar10": "CIFAR-10",
    "mnist": "MNIST",
    "digits": "digits",
    "digits-weak-decay": "digits, weak decay",
    "digits-100-validation": "digits, 100 rows",
    "hippocampus": "hippocampus",
}
LOSSES = {
    "cross_entropy": "`cross_entropy`",
    "flsd53": "`flsd53`",
    "dual_focal": "`dual_focal`",
    "adafocal": "`adafocal`",
    "adafocal_rate5": "rate 5",
    "adafocal_two_speed": "two-speed",
    "adafocal_predictive": "predictive",
}
SHORT = {
    "cross_entropy": "CE",
    "flsd53": "FLSD-53",
    "dual_focal": "dual",
    "adafocal": "paper's",
    "adafocal_rate5": "rate\u00a05",
    "adafocal_two_speed": "two-speed",
    "adafocal_predictive": "predictive",
}  # where each loss has a column
BASE, PAPER, NEW = "cross_entropy", "adafocal", ("adafocal_rate5", "adafocal_two_speed", "adafocal_predictive")
EPOCHS = ("last", "refined")
NATS = ("nll", "scaled_nll", "best_nll", "temperature")  # all else is in percent
HEADINGS = {
    "error": "error",
    "nll": "NLL",
    "ece": "ECE",
    "brier": "Brier",
    "ece_equal_mass": "ECE, equal mass",
    "overconfidence": "over-confidence",
    "aurc": "AURC",
    "temperature": "T",
    "scaled_nll": "NLL after T",
    "scaled_ece": "ECE after T",
    "scaled_aurc": "AURC after T",
    "best_error": "error after best",
    "best_nll": "NLL after best",
    "best_ece": "ECE after best",
    "best_brier": "Brier after best",
    "best_aurc": "AURC after best",
    "dice": "Dice",
    "ece_foreground": "ECE of the foreground",
    "best_ece_foreground": "ECE of the foreground after T",
}
TRAINED = ("error", "nll", "ece", "brier", "ece_equal_mass", "overconfidence", "aurc")
AFTER = ("temperature", "scaled_nll", "scaled_ece", "scaled_aurc")
AFTER_BEST = ("best_error", "best_nll", "best_ece", "best_brier", "best_aurc")
OF_VOXELS = ("dice", "ece_foreground", "best_ece_foreground")
Key = tuple[str, str, str]  # task, loss and kept epoch
Runs = Mapping[Key, Mapping[int, Mapping[str, str]]]  # then by seed


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, default=sorted(RESULTS.glob("paired_*.csv")))
    parser.add_argument("--page", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; the status is 1 if the page is stale")
    options = parser.parse_args(arguments)
    found = tables(read(options.files))
    if options.page is None:
        print("\n".join(f"## {name}\n\n{text}" for name, text in found.items()))
        return 0
    old = options.page.read_text("utf-8")
    new = filled(old, found)
    if new != old and not options.check:
        options.page.write_text(new, encoding="utf-8")
    return int(new != old and options.check)


def read(files: Iterable[Path]) -> Runs:
    """Read the rows of the test part."""
    runs: dict[Key, dict[int, Mapping[str, str]]] = {}
    for path in files:
        lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
        for row in csv.DictReader(lines):
            if row["data"] == "test":
                runs.setdefault((row["task"], row["loss"], row["kept"]), {})[int(row["seed"])] = row
    return {key: dict(sorted(seeds.items())) for key, seeds in runs.items()}


def filled(page: str, found: Mapping[str, str]) -> str:
    """Put tables between their marks.

    Raises:
        KeyError: If the page asks for a table that there is not.
    """

    def put(mark: re.Match[str]) -> str:
        return f"{mark[1]}{found[mark[2]]}{mark[3]}"

    return re.sub(r"(<!-- generated: paired (.*?) -->\n).*?(<!-- end -->\n)", put, page, flags=re.DOTALL)


def tables(runs: Runs) -> dict[str, str]:
    """Give every table by name."""
    found = {"runs": counted(runs)}
    for task in present(runs, 0, TITLES):
        found[f"{task}, as trained"] = levels(runs, task, TRAINED)
        found[f"{task}, after a temperature"] = levels(runs, task, AFTER)
        found[f"{task}, after the best scaling"] = levels(runs, task, AFTER_BEST, scalings=True)
        if all("dice" in row for key, seeds in runs.items() if key[0] == task for row in seeds.values()):
            found[f"{task}, foreground"] = levels(runs, task, OF_VOXELS)
    trained, after = ("error", "nll", "ece", "brier", "aurc"), AFTER_BEST
    both = ("error", "nll", "ece", "best_nll")
    for kept in EPOCHS:
        found[f"{kept}, ECE"] = overview(runs, kept, "ece", (PAPER, "ece"), scaled="best_ece")
        found[f"{kept}, error"] = overview(runs, kept, "error", (BASE, "error"))
        found[f"{kept}, NLL"] = overview(runs, kept, "nll", (BASE, "best_nll"), scaled="best_nll")
        found[f"{kept}, NLL after the best scaling"] = overview(runs, kept, "best_nll", (BASE, "best_nll"))
        found[f"{kept}, predictive minus the paper's rule"] = differences(runs, kept, (PAPER, both), both, NEW[-1:])
        found[f"{kept}, minus the paper's rule"] = differences(runs, kept, (PAPER, trained), trained)
        found[f"{kept}, minus cross-entropy"] = differences(runs, kept, (BASE, trained), trained)
        found[f"{kept}, as trained minus cross-entropy scaled"] = differences(runs, kept, (BASE, after), trained)
        found[f"{kept}, scaled minus cross-entropy scaled"] = differences(runs, kept, (BASE, after), after)
        found[f"{kept}, scaled minus the paper's rule scaled"] = differences(runs, kept, (PAPER, after), after, NEW)
        found[f"{kept}, goals"] = goals(runs, kept, (PAPER, *NEW))
        found[f"{kept}, goals of two"] = goals(runs, kept, (PAPER, NEW[-1]))
        for measure in ("ece", "nll", "best_nll", "best_ece"):
            found[f"{kept}, ranks by {measure}"] = ranks(runs, kept, measure)
        found[f"{kept}, ranks"] = all_ranks(runs, kept, ("ece", "nll", "error", "best_ece", "best_nll"))
    return found


def present(runs: Runs, place: int, order: Iterable[str]) -> list[str]:
    """Give the tasks (place 0) or losses (1) that there are, in order."""
    return [name for name in order if any(key[place] == name for key in runs)]


def counted(runs: Runs) -> str:
    """Give the number of runs, and the epochs that each took."""
    losses, rows = present(runs, 1, LOSSES), []
    for task in present(runs, 0, TITLES):
        of_task = [runs.get((task, loss, "last"), {}) for loss in losses]
        epochs = sorted({row["epochs"] for seeds in of_task for row in seeds.values()})
        rows.append([TITLES[task], ", ".join(epochs), *(str(len(seeds)) for seeds in of_task)])
    return table(["task", "epochs", *(SHORT[loss] for loss in losses)], rows)


def overview(runs: Runs, kept: str, measure: str, base: tuple[str, str], *, scaled: str = "") -> str:
    """Give means of a measure by task and loss, with an arrow where they differ from the base's by more than chance.

    Cross-entropy after the best scaling comes last, where ``scaled`` names the measure that it has then.
    """
    columns = [(loss, measure) for loss in present(runs, 1, LOSSES)] + [(BASE, scaled)] * bool(scaled)
    cells: dict[str, list[str]] = {task: [] for task in present(runs, 0, TITLES)}
    for loss, name in columns:
        against = {} if (loss, name) == base else compared(runs, kept, (loss, name), base)
        for task, row in cells.items():
            values = [float(run[name]) for run in runs.get((task, loss, kept), {}).values()]
            verdict = against[task].verdict if task in against else ""
            shown = level([mean(values)], name) if values else ""
            row.append(shown + {"better": "\u00a0↓", "worse": "\u00a0↑"}.get(verdict, ""))
    heads = [SHORT[loss] for loss in present(runs, 1, LOSSES)] + [f"{SHORT[BASE]} scaled"] * bool(scaled)
    return table(["task", *heads], [[TITLES[task], *row] for task, row in cells.items()])


def levels(runs: Runs, task: str, measures: Sequence[str], *, scalings: bool = False) -> str:
    """Give mean and standard deviation over seeds, of both epochs."""
    rows = []
    for loss in present(runs, 1, LOSSES):
        for kept in EPOCHS:
            seeds = runs.get((task, loss, kept))
            if seeds:
                epochs = (
                    "last" if kept == "last" else f"refined, {mean(int(r['epoch']) + 1 for r in seeds.values()):.3g}"
                )
                cells = [level([float(row[name]) for row in seeds.values()], name) for name in measures]
                cells += [most_used(row["best"] for row in seeds.values())] * scalings
                rows.append([LOSSES[loss] if kept == "last" else "", epochs, *cells])
    headings = ["loss", "epoch", *(HEADINGS[name] for name in measures), *["scaling"] * scalings]
    return table(headings, rows)


def most_used(names: Iterable[str]) -> str:
    """Say which scalings were chosen, without their penalties, and how often."""
    counts = Counter(name.split(",")[0] for name in names)
    return ", ".join(f"{name} {n}" for name, n in counts.most_common())


def differences(
    runs: Runs,
    kept: str,
    base: tuple[str, Sequence[str]],
    measures: Sequence[str],
    losses: Iterable[str] = LOSSES,
) -> str:
    """Give each loss minus a base, which may be measured otherwise, paired over seeds."""
    rows: dict[tuple[str, str], list[str]] = {}
    for loss in present(runs, 1, losses):
        for name, of_base in zip(measures, base[1], strict=True):
            if (loss, name) != (base[0], of_base):
                for task, found in compared(runs, kept, (loss, name), (base[0], of_base)).items():
                    rows.setdefault((task, loss), []).append(change(found, name))
    ordered = sorted(rows, key=lambda key: (list(TITLES).index(key[0]), list(LOSSES).index(key[1])))
    one = len({loss for _, loss in ordered}) == 1
    shown = [
        [
            TITLES[task] if place == 0 or ordered[place - 1][0] != task else "",
            *[LOSSES[loss]] * (not one),
            *rows[task, loss],
        ]
        for place, (task, loss) in enumerate(ordered)
    ]
    return table(["task", *["loss"] * (not one), *(HEADINGS[name] for name in measures)], shown)


def compared(runs: Runs, kept: str, one: tuple[str, str], base: tuple[str, str]) -> dict[str, Difference]:
    """Compare a loss and measure with another in each task; p-values are corrected over the tasks."""
    gaps: dict[str, dict[int, float]] = {"": {}}
    for task in present(runs, 0, TITLES):
        first, second = (runs.get((task, loss, kept), {}) for loss, _ in (one, base))
        shared = [seed for seed in first if seed in second]
        gaps[""] |= dict.fromkeys(shared, 0.0)
        if len(shared) > 1:
            gaps[task] = {seed: float(first[seed][one[1]]) - float(second[seed][base[1]]) for seed in shared}
    return paired_differences(gaps, baseline="")


def goals(runs: Runs, kept: str, losses: Sequence[str]) -> str:
    """Say where the other rules keep what they are to keep, on average over seeds; bold where they do not."""
    rows = []
    for task in present(runs, 0, TITLES):
        for loss in (name for name in losses if (task, name, kept) in runs):
            ece, papers = means(runs, (task, loss, kept), PAPER, "ece")
            nll, best = means(runs, (task, loss, kept), BASE, "best_nll")
            error, least = means(runs, (task, loss, kept), BASE, "error")
            cells = [
                "" if loss == PAPER else mark(f"{ece / papers:.2f} ×", ece <= papers),
                mark(f"{100 * (nll / best - 1):+.1f} %", nll <= 1.01 * best),
                mark(f"{100 * (error - least):+.1f}", error <= least + 0.005),
            ]
            rows.append(
                [TITLES[task] if loss == PAPER else "", LOSSES[loss], *(cell.replace("-", "−") for cell in cells)]
            )
    heads = ["ECE, of the paper's rule's", "NLL after best, minus cross-entropy's", "error, minus cross-entropy's"]
    return table(["task", "loss", *heads], rows)


def means(runs: Runs, key: Key, base: str, measure: str) -> tuple[float, float]:
    """Give the means of a loss and of another over the seeds that both have; NaN without any."""
    own, other = runs[key], runs.get((key[0], base, key[2]), {})
    shared = [seed for seed in own if seed in other]
    first, second = ([float(some[seed][measure]) for seed in shared] or [float("nan")] for some in (own, other))
    return mean(first), mean(second)


def mark(text: str, kept: bool) -> str:
    return text if kept else f"**{text}**"


def all_ranks(runs: Runs, kept: str, measures: Iterable[str]) -> str:
    """Give average ranks by several measures, and whether Friedman's test tells the losses apart."""
    rows, apart = [], 0.0
    for measure in measures:
        found = ranked(runs, kept, measure)
        if found is not None:
            by_loss = {one.loss: f"{one.rank:.1f}" for one in found.losses}
            rows.append(
                [HEADINGS[measure], *(by_loss[loss] for loss in LOSSES if loss in by_loss), f"{found.p_value:.1g}"]
            )
            apart = found.critical_difference
    if not rows:
        return "Too few tasks or losses to be ranked.\n"
    heading = ["measure", *(SHORT[loss] for loss in present(runs, 1, LOSSES)), "Friedman p"]
    return table(heading, rows) + f"\nCritical difference of two ranks: {apart:.1f}.\n"


def ranked(runs: Runs, kept: str, measure: str) -> RankTable | None:
    """Rank the losses in each task by their mean, and average."""
    values = {
        TITLES[task]: {
            loss: mean(float(row[measure]) for row in runs[task, loss, kept].values())
            for loss in present(runs, 1, LOSSES)
            if (task, loss, kept) in runs
        }
        for task in present(runs, 0, TITLES)
    }
    return average_ranks(values, titles=LOSSES)


def ranks(runs: Runs, kept: str, measure: str) -> str:
    """Give average ranks by a measure, the best loss first."""
    found = ranked(runs, kept, measure)
    if found is None:
        return "Too few tasks or losses to be ranked.\n"
    heading = [one.title for one in found.losses]
    apart = found.critical_difference
    said = f"{found.n_experiments} tasks, Friedman p = {found.p_value:.2g}, critical difference {apart:.2f}."
    return table(heading, [[f"{one.rank:.2f}" for one in found.losses]]) + f"\n{said}\n"


def level(values: Sequence[float], measure: str) -> str:
    """Give mean ± standard deviation, to three digits of the mean."""
    found, factor = spread(values), 1 if measure in NATS else 100
    decimals = places(factor * found.mean)
    after = f" ± {factor * found.std:.{decimals}f}" if found.n > 1 else ""
    return f"{factor * found.mean:.{decimals}f}{after}"


def change(found: Difference, measure: str) -> str:
    """Give a difference with its interval; bold where it is larger than chance."""
    factor, decimals = (1, 3) if measure in NATS else (100, 1 if abs(found.mean) >= 0.0095 else 2)
    low, high = (f"{factor * end:+.{decimals}f}".replace("+", "") for end in (found.low, found.high))
    text = f"{factor * found.mean:+.{decimals}f} [{low}, {high}]".replace("-", "−")
    return text if found.verdict == "not distinguishable" else f"**{text}**"


def places(value: float) -> int:
    """Say how many decimals give three digits, at most four."""
    return min(4, max(0, 2 - floor(log10(abs(value))))) if value else 2


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Give a table in Markdown; numbers are flush right."""
    ruler = ["---" if name in ("task", "loss", "epoch", "scaling", "measure") else "--:" for name in heading]
    return "".join("| " + " | ".join(line) + " |\n" for line in (heading, ruler, *rows))


if __name__ == "__main__":
    sys.exit(main())
