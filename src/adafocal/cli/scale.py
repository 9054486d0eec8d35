# SPDX-License-Identifier: Apache-2.0
"""``adafocal scale``: fit a scaling on validation predictions, apply it to others."""

from functools import partial

from jsonargparse import Namespace
from rich.console import Console

from adafocal._files import check_output
from adafocal.cli.columns import add_columns, names_of
from adafocal.cli.console import PlainConsole
from adafocal.cli.parser import CommandParser
from adafocal.cli.scale_apply import apply
from adafocal.cli.scale_auto import AUTO, choose_method
from adafocal.cli.scale_fit import fit_and_tell
from adafocal.cli.scale_rows import read_rows
from adafocal.errors import InvalidValueError
from adafocal.scaling import METHODS, Temperature
from adafocal.scaling.catalogue import ALIASES
from adafocal.scaling.crossfit import FOLDS
from adafocal.scaling.files import check_suffix
from adafocal.tables.source import Source

# Which methods take which option; the options are left out unless given, so that the methods' own defaults hold.
TAKEN_BY = {
    "criterion": ("temperature",),
    "regularization": ("vector", "matrix", "dirichlet", "structured_vector", "structured_matrix"),
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
        apply(options.apply, console)
    return 0


def _fit(options: Namespace, console: Console) -> None:
    given = {name: options[name] for name in TAKEN_BY if options[name] is not None}
    method = ALIASES.get(options.method, options.method)
    for name in given:
        if method not in TAKEN_BY[name]:
            raise InvalidValueError(
                f"`{name}` must go with {' or '.join(TAKEN_BY[name])}, got method {options.method!r}."
            )
    source = Source.of(options.validation)
    check_output("output", options.output, reads=[] if source.path is None else [source.path])
    check_suffix(options.output)
    rows = read_rows(source, names_of(options))
    if method == AUTO:
        method, given = choose_method(rows.record, console)
    fitted = fit_and_tell(
        rows, source, partial(METHODS[method], **given),  # type: ignore[arg-type]
        method=method, options=given, by=options.by, folds=options.folds, console=console,
    )  # fmt: skip
    fitted.save(options.output)
    if isinstance(fitted, Temperature):
        bound = " (the bound of the search: this set has no finite optimum)" if fitted.at_bound else ""
        console.print(f"temperature {fitted.temperature:.6g}{bound}")
    console.print(f"scaling {options.output}")


def _parser() -> CommandParser:
    fit = CommandParser("scale fit", "Fit a scaling on validation predictions.")
    fit.add_argument("validation", type=str, help="A table of validation predictions or outcomes.")
    fit.add_argument(
        "--method",
        choices=(*METHODS, *ALIASES, AUTO),
        default="temperature",
        help="How to scale; auto chooses by cross-fitting.",
    )
    fit.add_argument("--output", "-o", type=str, required=True, help="The fitted scaling (.json).")
    fit.add_argument(
        "--criterion", type=str, default=None, help="temperature: nll (default), or ece by the papers' grid."
    )
    fit.add_argument(
        "--regularization",
        type=float,
        default=None,
        help="vector, matrix, dirichlet: default by validation; structured_vector, structured_matrix: by size.",
    )
    add_columns(fit, "confidence", "correct", "cluster", "by")
    fit.add_argument("--n_bins", type=int, default=None, help="temperature by ece, and histogram: bins (default 15).")
    fit.add_argument("--binning", type=str, default=None, help="histogram: equal_mass (default) or equal_width.")
    fit.add_argument(
        "--folds", type=int, default=FOLDS, help="Of the numbers out of fold that are printed; 0 for none."
    )
    applied = CommandParser("scale apply", "Apply a fitted scaling to predictions.")
    applied.add_argument("scaling", type=str, help="A file that `adafocal scale fit` wrote.")
    applied.add_argument("predictions", type=str, help="The table to scale; it needs no label, and keeps its columns.")
    add_columns(applied, "confidence", "correct", "cluster", "by")
    applied.add_argument(
        "--prior",
        type=str,
        nargs="+",
        default=None,
        help="Shares of the classes in these data: estimate, uniform, CLASS=SHARE ..., or a .json or .csv file.",
    )
    applied.add_argument(
        "--output", "-o", type=str, required=True, help="The scaled predictions (.parquet, .npz or .csv)."
    )
    parser = CommandParser("scale", "Scale predictions after training.")
    commands = parser.add_subcommands(required=True)
    commands.add_subcommand("fit", fit, help="fit on validation predictions")
    commands.add_subcommand("apply", applied, help="apply to other predictions")
    return parser
