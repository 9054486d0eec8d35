# SPDX-License-Identifier: Apache-2.0
"""``adafocal ood``: how well scores tell other data from the training distribution."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

from jsonargparse import Namespace
from rich.console import Console
from rich.table import Table
from rich.text import Text

from adafocal._checks import check_choice
from adafocal._estimate import Estimate
from adafocal._files import check_output, child, write_text
from adafocal._reading import load_predictions
from adafocal._text import printable
from adafocal.cli.columns import add_columns, names_of
from adafocal.cli.console import PlainConsole, say
from adafocal.cli.own import FLAGS, add_own, own_of
from adafocal.cli.parser import CommandParser, check_goes_with, is_given
from adafocal.errors import InvalidValueError
from adafocal.measures import OF_DETECTION
from adafocal.ood import FEATURE_SCORES, SCORES, ComparisonRow, compare_scores, comparison_record
from adafocal.results.folder import RunFolder

DEFAULT_K = 50  # neighbour of the knn score


def main(arguments: list[str]) -> int:
    """Compare scores on one or more sets; see ``adafocal ood --help``."""
    options = _parser().parse_args(arguments)
    _check_together(options)
    if options.run is not None:
        return compare_runs(options)
    for output in ("json", "html"):
        reads = [options.id, *options.ood, *([options.train] if options.train else [])]
        check_output(output, options[output], reads=reads)
    names = replace(names_of(options, unlabelled=options.label is None), features=True)
    train = None if options.train is None else load_predictions(options.train, names)
    rows = compare_scores(
        load_predictions(options.id, names),
        {name: load_predictions(path, names) for name, path in _names(options.ood).items()},
        train=train,
        scores=options.scores,
        k=neighbour(options),
        level=options.level,
        n_resamples=options.n_resamples,
    )
    show(rows, options.level, PlainConsole())
    if options.json is not None:
        write_record(options.json, rows, options, id=options.id, train=options.train)
    if options.html is not None:
        from adafocal.report.ood_page import write_ood_page

        command = shlex.join(["adafocal", "ood", *arguments])
        write_ood_page(rows, options.html, id_name=Path(options.id).stem, level=options.level, command=command)
        say(f"page {options.html}")
    return 0


def _check_together(options: Namespace) -> None:
    """Raise unless the options are those of files or those of runs: nothing that is given is left aside."""
    of_runs = ("pair", "against", "root", *FLAGS)
    of_files = ("id", "ood", "train", "json", "html", "logits", "probs", "label", "normalize")
    theirs, others = ("run", of_files) if options.run is not None else ("id` and `--ood", of_runs)
    for name in others:
        if is_given(options, name):
            where = ": each run keeps its numbers in its folder `ood`" if name in ("json", "html") else ""
            raise InvalidValueError(f"`--{name}` must not be given with `--{theirs}`, got {options[name]!r}{where}.")
    if options.run is None and (options.id is None or options.ood is None):
        raise InvalidValueError("`--run`, or both of `--id` and `--ood`, must be given.")
    if options.run is not None and (options.pair is None) == (options.against is None):
        raise InvalidValueError("`--run` needs one of `--pair` and `--against`.")


def neighbour(options: Namespace) -> int:
    """Read ``--k``, which goes with the score that counts neighbours."""
    check_goes_with(options, ["k"], "--scores knn", given=options.scores is None or "knn" in options.scores)
    return DEFAULT_K if options.k is None else int(options.k)


def compare_runs(options: Namespace) -> int:
    """Compare the test part of finished runs with other data; each run keeps its numbers in ``ood/``."""
    from adafocal.recipes.ood import OOD_PAIRS
    from adafocal.training.ood import compare_run

    if options.pair is not None:
        check_choice("pair", options.pair, tuple(OOD_PAIRS))
    against = OOD_PAIRS[options.pair].against if options.pair else options.against
    settings = {name: getattr(options, name) for name in ("root", "scores", "level", "n_resamples")}
    settings["k"] = neighbour(options)
    console, values = PlainConsole(), []
    for run in options.run:  # all of them, before the first is worked on
        if not RunFolder(Path(run)).finished:
            raise InvalidValueError(f"`run` must hold finished runs, got {run!r}.")
        if options.pair is not None:
            check_trained_on(run, OOD_PAIRS[options.pair].trained_on)
        check_output("run", _record_of(run, options))
    own = own_of(options, options.run)
    for run in options.run:
        rows = compare_run(run, against, own=own, **settings)
        console.print(f"\n{run}")
        show(rows, options.level, console)
        write_record(_record_of(run, options), rows, options, run=str(run))
        loss = RunFolder(Path(run)).summary.loss
        values += [(loss, row.ood_name, row.score_name, row.detection.auroc.value) for row in rows]
    if len(options.run) > 1:
        show_spread(values, console)
    return 0


def _record_of(run: str, options: Namespace) -> Path:
    return child(run, "ood", options.pair or "against", suffix=".json")


def check_trained_on(run: str, name: str) -> None:
    """Raise unless a run was trained on the data set that a pair is for."""
    data = RunFolder(Path(run)).settings.data
    if data.name != name:
        raise InvalidValueError(f"`pair` must be for the data of the run, {data.name}, got one for {name}.")


def write_record(path: str | Path, rows: Sequence[ComparisonRow], options: Namespace, **about: object) -> None:
    """Write the numbers as fractions, with curves of bounded size."""
    settings = about | {"level": options.level, "n_resamples": options.n_resamples}
    results = [comparison_record(row) for row in rows]
    write_text(path, json.dumps(settings | {"results": results}, indent=2) + "\n")


def show_spread(values: Sequence[tuple[str, str, str, float]], console: Console) -> None:
    """Print AUROC per loss, set and score: mean and standard deviation over the runs of the loss."""
    scores = list(dict.fromkeys(score for _, _, score, _ in values))
    table = Table(title=f"{OF_DETECTION['auroc'].heading}, mean ± standard deviation over runs", title_justify="left")
    for heading in ("loss", "set", "runs"):
        table.add_column(heading, no_wrap=True)
    for score in scores:
        table.add_column(score, justify="right", no_wrap=True)
    for loss, name in dict.fromkeys((loss, name) for loss, name, _, _ in values):
        found = [[100 * v for lo, na, sc, v in values if (lo, na, sc) == (loss, name, score)] for score in scores]
        cells = [f"{mean(v):.1f}" + (f" ± {stdev(v):.1f}" if len(v) > 1 else "") for v in found]
        table.add_row(Text(printable(loss)), Text(printable(name)), str(len(found[0])), *cells)
    console.print(table)


def show(rows: Sequence[ComparisonRow], level: float, console: Console) -> None:
    """Print a table per set, with one line per score and intervals."""
    for name in dict.fromkeys(row.ood_name for row in rows):
        of_set = [row for row in rows if row.ood_name == name]
        sizes = of_set[0].detection
        title = f"{name} ({sizes.n_ood}) against in-distribution ({sizes.n_id}), [{100 * level:g} % intervals]"
        table = Table(title=Text(printable(title)), title_justify="left")
        table.add_column("score", no_wrap=True)
        for measure in OF_DETECTION.values():
            table.add_column(measure.heading, justify="right", no_wrap=True)
        for row in of_set:
            table.add_row(row.score_name, *(_cell(getattr(row.detection, measure)) for measure in OF_DETECTION))
        console.print(table)


def _parser() -> CommandParser:
    parser = CommandParser("ood", "Measure how well scores tell out-of-distribution from in-distribution predictions.")
    parser.add_argument("--id", type=str, default=None, help="Predictions on test data of the training distribution.")
    parser.add_argument(
        "--ood", type=str, nargs="+", default=None, help="Predictions on other data; labels do not matter."
    )
    parser.add_argument(
        "--train", type=str, default=None, help="Training predictions with features, for feature scores."
    )
    parser.add_argument("--run", type=str, nargs="+", default=None, help="Finished runs, in place of predictions.")
    parser.add_argument("--pair", type=str, default=None, help="With --run: a pair of `adafocal list ood_pairs`.")
    parser.add_argument(
        "--against",
        type=str,
        nargs="+",
        default=None,
        help="With --run: data sets by name or path, or corruptions such as gaussian_noise-5.",
    )
    add_columns(parser, without=("weight", "positive_class"))
    parser.add_argument("--root", type=str, default=None, help="With --run: folder that holds data sets by name.")
    known = ", ".join([*SCORES, *FEATURE_SCORES])
    parser.add_argument("--scores", type=str, nargs="+", default=None, help=f"Among {known} (default: all possible).")
    parser.add_argument("--k", type=int, default=None, help="Neighbour of the knn score (default 50).")
    parser.add_argument("--level", type=float, default=0.95, help="Coverage of the intervals.")
    parser.add_argument("--n_resamples", type=int, default=1000, help="Bootstrap resamples.")
    add_own(parser)
    parser.add_argument("--json", type=str, default=None, help="Write the numbers, as fractions, to this file.")
    parser.add_argument("--html", type=str, default=None, help="Write a page with ROC curves and histograms.")
    return parser


def _names(paths: Sequence[str]) -> dict[str, str]:
    """Name each file by its stem, or by its path where stems repeat."""
    stems = [Path(path).stem for path in paths]
    return {path if stems.count(stem) > 1 else stem: path for path, stem in zip(paths, stems, strict=True)}


def _cell(estimate: Estimate) -> Text:
    if estimate.low is None or estimate.high is None:
        return Text(f"{100 * estimate.value:.2f}")
    return Text(f"{100 * estimate.value:.2f}\n[{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]")
