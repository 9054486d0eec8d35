# SPDX-License-Identifier: Apache-2.0
"""``adafocal scale``: fit a scaling on validation predictions, apply it to others."""

from jsonargparse import Namespace
from rich.console import Console
from rich.table import Table
from rich.text import Text

from adafocal._files import check_output
from adafocal._reading import load_predictions
from adafocal._text import printable
from adafocal.calibration import evaluate
from adafocal.cli.console import PlainConsole
from adafocal.cli.parser import CommandParser
from adafocal.errors import InvalidValueError
from adafocal.measures import MEASURES
from adafocal.predictions import Predictions
from adafocal.scaling import METHODS, Temperature, load_scaling
from adafocal.scaling.files import check_suffix
from adafocal.tables.source import known_suffix

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
    check_output("output", options.output, reads=[options.validation])
    check_suffix(options.output)
    predictions = load_predictions(options.validation)
    fitted = METHODS[options.method](predictions, **given)
    fitted.save(options.output)
    if isinstance(fitted, Temperature):
        bound = " (the bound of the search: this set has no finite optimum)" if fitted.at_bound else ""
        console.print(f"temperature {fitted.temperature:.6g}{bound}")
    show(
        predictions,
        fitted.apply(predictions),
        f"{options.method.replace('_', ' ').capitalize()} scaling on the data it was fitted to",
        console,
    )
    console.print(f"scaling {options.output}")


def _apply(options: Namespace, console: Console) -> None:
    known_suffix(options.output)
    check_output("output", options.output, reads=[options.scaling, options.predictions])
    fitted, predictions = load_scaling(options.scaling), load_predictions(options.predictions)
    after = fitted.apply(predictions)
    after.save(options.output)
    show(predictions, after, f"Scaling of {options.scaling}", console)
    console.print(f"predictions {options.output}")


def show(before: Predictions, after: Predictions, title: str, console: Console) -> None:
    """Print error, calibration error, likelihood and over-confidence before and after."""
    table = Table(title=Text(printable(f"{title}, {before.n} samples")), title_justify="left")
    table.add_column("")
    for measure in ("error", "ece", "nll", "overconfidence"):
        table.add_column(MEASURES[measure].heading, justify="right")
    for name, predictions in (("before", before), ("after", after)):
        summary = evaluate(predictions)
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
    fit.add_argument("validation", type=str, help="Validation predictions (.parquet, .npz or .csv).")
    fit.add_argument("--method", choices=tuple(METHODS), default="temperature", help="How to scale.")
    fit.add_argument("--output", "-o", type=str, required=True, help="The fitted scaling (.json).")
    fit.add_argument(
        "--criterion", type=str, default=None, help="temperature: nll (default), or ece by the papers' grid."
    )
    fit.add_argument(
        "--regularization", type=float, default=None, help="vector, matrix, dirichlet: default by validation."
    )
    fit.add_argument("--n_bins", type=int, default=None, help="temperature by ece, and histogram: bins (default 15).")
    fit.add_argument("--binning", type=str, default=None, help="histogram: equal_mass (default) or equal_width.")
    apply = CommandParser("scale apply", "Apply a fitted scaling to predictions.")
    apply.add_argument("scaling", type=str, help="A file that `adafocal scale fit` wrote.")
    apply.add_argument("predictions", type=str, help="Predictions to scale.")
    apply.add_argument(
        "--output", "-o", type=str, required=True, help="The scaled predictions (.parquet, .npz or .csv)."
    )
    parser = CommandParser("scale", "Scale predictions after training.")
    commands = parser.add_subcommands(required=True)
    commands.add_subcommand("fit", fit, help="fit on validation predictions")
    commands.add_subcommand("apply", apply, help="apply to other predictions")
    return parser
