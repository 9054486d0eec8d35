# SPDX-License-Identifier: Apache-2.0
"""``adafocal scale``: fit a scaling on validation predictions, apply it to others."""

import numpy as np
from jsonargparse import Namespace
from rich.console import Console
from rich.table import Table
from rich.text import Text

from adafocal._files import check_output
from adafocal._reading import checked, load_record
from adafocal._text import printable
from adafocal.calibration import CalibrationSummary, StreamSums, evaluate, merge_sums, stream_summary, stream_sums
from adafocal.cli.columns import add_columns, names_of
from adafocal.cli.console import PlainConsole
from adafocal.cli.parser import CommandParser
from adafocal.errors import InvalidValueError
from adafocal.measures import MEASURES
from adafocal.outcomes import Outcomes
from adafocal.scaling import METHODS, Temperature, load_scaling
from adafocal.scaling.files import check_suffix
from adafocal.scaling.scores import as_predictions, like
from adafocal.tables.piece import Piece
from adafocal.tables.rewrite import rewrite
from adafocal.tables.source import Source, known_suffix

# Which methods take which option; the options are left out unless given, so that the methods' own defaults hold.
TAKEN_BY = {
    "criterion": ("temperature",),
    "regularization": ("vector", "matrix", "dirichlet"),
    "n_bins": ("temperature", "histogram", "histogram_top_label"),
    "binning": ("histogram", "histogram_top_label"),
}


def main(arguments: list[str]) -> int:
    """Fit or apply a scaling; see ``adafocal scale --help``."""
    options = _parser().parse_args(arguments)
    console = PlainConsole()
    if options.subcommand == "fit":
        _fit(options.fit, console)
    else:
        _apply(options.apply, console)
    return 0


def _fit(options: Namespace, console: Console) -> None:
    given = {name: options[name] for name in TAKEN_BY if options[name] is not None}
    for name in given:
        if options.method not in TAKEN_BY[name]:
            raise InvalidValueError(
                f"`{name}` must go with {' or '.join(TAKEN_BY[name])}, got method {options.method!r}."
            )
    source = Source.of(options.validation)
    check_output("output", options.output, reads=[] if source.path is None else [source.path])
    check_suffix(options.output)
    record = load_record(source, names_of(options))
    predictions = as_predictions(record)
    fitted = METHODS[options.method](predictions, **given)
    fitted.save(options.output)
    if isinstance(fitted, Temperature):
        bound = " (the bound of the search: this set has no finite optimum)" if fitted.at_bound else ""
        console.print(f"temperature {fitted.temperature:.6g}{bound}")
    title = f"{options.method.replace('_', ' ').capitalize()} scaling on the data it was fitted to"
    after = like(record, fitted.apply(predictions))
    show(evaluate(record), evaluate(after), title, console)
    console.print(f"scaling {options.output}")


def _apply(options: Namespace, console: Console) -> None:
    known_suffix(options.output, writes=True)
    source = Source.of(options.predictions)
    reads = [options.scaling, *([] if source.path is None else [source.path])]
    check_output("output", options.output, reads=reads)
    fitted = load_scaling(options.scaling)
    sums: list[tuple[StreamSums, StreamSums]] = []

    def change(piece: Piece) -> tuple[str, np.ndarray]:
        record = checked(piece)
        after = like(record, fitted.apply(as_predictions(record)))
        if isinstance(record, Outcomes) or record.labelled:
            pair = stream_sums(record), stream_sums(after)
            sums[:] = [(merge_sums(sums[0][0], pair[0]), merge_sums(sums[0][1], pair[1]))] if sums else [pair]
        values = after.confidence if isinstance(after, Outcomes) else getattr(after, after.kind)
        return after.kind, values.numpy()

    # A label is needed to say what the scaling did, not to apply it.
    names = names_of(options, unlabelled=options.label is None)
    rows = rewrite(source, names, options.output, change)
    for before, after in sums:
        show(stream_summary(before), stream_summary(after), f"Scaling of {options.scaling}", console)
    console.print(f"{rows:,} predictions {options.output}")


def show(before: CalibrationSummary, after: CalibrationSummary, title: str, console: Console) -> None:
    """Print error, calibration error, likelihood and over-confidence before and after."""
    table = Table(title=Text(printable(f"{title}, {before.n:,} samples")), title_justify="left")
    table.add_column("")
    for measure in ("error", "ece", "nll", "overconfidence"):
        table.add_column(MEASURES[measure].heading, justify="right")
    for name, summary in (("before", before), ("after", after)):
        table.add_row(
            name,
            f"{100 * (1 - summary.accuracy):.2f}",
            f"{100 * summary.ece:.2f}",
            f"{summary.nll:.4f}",
            f"{100 * summary.overconfidence:+.2f}",
        )
    console.print(table)


def _parser() -> CommandParser:
    fit = CommandParser("scale fit", "Fit a scaling on validation predictions.")
    fit.add_argument("validation", type=str, help="A table of validation predictions or outcomes.")
    fit.add_argument("--method", choices=tuple(METHODS), default="temperature", help="How to scale.")
    fit.add_argument("--output", "-o", type=str, required=True, help="The fitted scaling (.json).")
    fit.add_argument(
        "--criterion", type=str, default=None, help="temperature: nll (default), or ece by the papers' grid."
    )
    fit.add_argument(
        "--regularization", type=float, default=None, help="vector, matrix, dirichlet: default by validation."
    )
    add_columns(fit, "confidence", "correct", "cluster")
    fit.add_argument("--n_bins", type=int, default=None, help="temperature by ece, and histogram: bins (default 15).")
    fit.add_argument("--binning", type=str, default=None, help="histogram: equal_mass (default) or equal_width.")
    apply = CommandParser("scale apply", "Apply a fitted scaling to predictions.")
    apply.add_argument("scaling", type=str, help="A file that `adafocal scale fit` wrote.")
    apply.add_argument("predictions", type=str, help="The table to scale; it needs no label, and keeps its columns.")
    add_columns(apply, "confidence", "correct", "cluster")
    apply.add_argument(
        "--output", "-o", type=str, required=True, help="The scaled predictions (.parquet, .npz or .csv)."
    )
    parser = CommandParser("scale", "Scale predictions after training.")
    commands = parser.add_subcommands(required=True)
    commands.add_subcommand("fit", fit, help="fit on validation predictions")
    commands.add_subcommand("apply", apply, help="apply to other predictions")
    return parser
