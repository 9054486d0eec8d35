# SPDX-License-Identifier: Apache-2.0
"""``adafocal ood``: how well scores tell other data from the training distribution."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from adafocal._estimate import Estimate
from adafocal._files import write_text
from adafocal.ood import FEATURE_SCORES, SCORES, ComparisonRow, compare_scores, comparison_record
from adafocal.predictions import Predictions

COLUMNS = (("auroc", "AUROC %"), ("aupr_out", "AUPR-out %"), ("aupr_in", "AUPR-in %"), ("fpr95", "FPR95 %"))


def main(arguments: list[str]) -> int:
    """Compare scores on one or more sets; see ``adafocal ood --help``."""
    options = _parser().parse_args(arguments)
    train = None if options.train is None else Predictions.load(options.train)
    rows = compare_scores(
        Predictions.load(options.id),
        {name: Predictions.load(path) for name, path in _names(options.ood).items()},
        train=train,
        scores=options.scores,
        k=options.k,
        level=options.level,
        n_resamples=options.n_resamples,
    )
    show(rows, options.level, Console(soft_wrap=True))
    if options.json is not None:
        settings = {
            "id": options.id,
            "train": options.train,
            "level": options.level,
            "n_resamples": options.n_resamples,
        }
        results = [comparison_record(row) for row in rows]
        write_text(options.json, json.dumps(settings | {"results": results}, indent=2) + "\n")
    if options.html is not None:
        from adafocal.report.ood_page import write_ood_page

        command = shlex.join(["adafocal", "ood", *arguments])
        write_ood_page(rows, options.html, id_name=Path(options.id).stem, level=options.level, command=command)
        print(f"page {options.html}")
    return 0


def show(rows: Sequence[ComparisonRow], level: float, console: Console) -> None:
    """Print a table per set, with one line per score and intervals."""
    for name in dict.fromkeys(row.ood_name for row in rows):
        of_set = [row for row in rows if row.ood_name == name]
        sizes = of_set[0].detection
        title = f"{name} ({sizes.n_ood}) against in-distribution ({sizes.n_id}), [{100 * level:g} % intervals]"
        table = Table(title=escape(title), title_justify="left")
        table.add_column("score", no_wrap=True)
        for _, heading in COLUMNS:
            table.add_column(heading, justify="right", no_wrap=True)
        for row in of_set:
            table.add_row(row.score_name, *(_cell(getattr(row.detection, measure)) for measure, _ in COLUMNS))
        console.print(table)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="adafocal ood",
        description="Measure how well scores tell out-of-distribution from in-distribution predictions.",
        exit_on_error=False,
    )
    parser.add_argument("--id", type=str, required=True, help="Predictions on test data of the training distribution.")
    parser.add_argument(
        "--ood", type=str, nargs="+", required=True, help="Predictions on other data; labels do not matter."
    )
    parser.add_argument(
        "--train", type=str, default=None, help="Training predictions with features, for feature scores."
    )
    known = ", ".join([*SCORES, *FEATURE_SCORES])
    parser.add_argument("--scores", type=str, nargs="+", default=None, help=f"Among {known} (default: all possible).")
    parser.add_argument("--k", type=int, default=50, help="Neighbour of the knn score.")
    parser.add_argument("--level", type=float, default=0.95, help="Coverage of the intervals.")
    parser.add_argument("--n_resamples", type=int, default=1000, help="Bootstrap resamples.")
    parser.add_argument("--json", type=str, default=None, help="Write the numbers, as fractions, to this file.")
    parser.add_argument("--html", type=str, default=None, help="Write a page with ROC curves and histograms.")
    return parser


def _names(paths: Sequence[str]) -> dict[str, str]:
    """Name each file by its stem, or by its path where stems repeat."""
    stems = [Path(path).stem for path in paths]
    return {path if stems.count(stem) > 1 else stem: path for path, stem in zip(paths, stems, strict=True)}


def _cell(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.2f}\n\\[{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"
