# SPDX-License-Identifier: Apache-2.0
"""The options that say what the columns of a table are, alike in every command."""

from typing import Any

from jsonargparse import Namespace

from adafocal.cli.parser import CommandParser
from adafocal.tables.columns import Names

HELP = {
    "probs": "Column, prefix or comma-separated columns of probabilities.",
    "logits": "Column, prefix or comma-separated columns of logits.",
    "label": "Column of class indices or names.",
    "confidence": "Column of the probability that an answer is right (default confidence).",
    "correct": "Column of whether it was right (default correct).",
    "weight": "Column of how much each row counts.",
    "positive_class": "The class whose probability is meant, by index, name or label.",
    "cluster": "Column of what rows belong to, such as a document: intervals are those of clusters, all else stays.",
    "case": "Column of cases, such as a scan or patient: calibration per case, its mean over cases, the worst first.",
    "time": "Column of dates or timestamps (ISO 8601; UTC where no zone is said): calibration over time.",
    "time_unit": "What numbers in it count since 1970: s, ms, us or ns.",
    "by": "Column of groups, or several joined by commas.",
    "likelihood": "Of evaluation logs: log-likelihoods as they are (sum, the default, as acc of the harness), "
    "divided by the length of the choice in characters (character, as acc_norm), bytes (byte, as acc_bytes) or tokens "
    "(token).",
    "filter": "Of evaluation logs: which filter of the answers is read, where there are several.",
}
SINGLE = ("probs", "logits", "label", "weight", "positive_class")
OF_LOGS = ("likelihood", "filter")


def add_columns(parser: CommandParser, *options: str, without: tuple[str, ...] = ()) -> None:
    """Add the options of a table of predictions, and others by name."""
    for name in (*SINGLE, *options, *OF_LOGS):
        if name not in without:
            parser.add_argument(f"--{name}", type=str, default=None, help=HELP[name])
    parser.add_argument(
        "--normalize", action="store_true", help="Divide every row of probabilities by its sum, whatever it is."
    )
    parser.add_argument(
        "--ragged", action="store_true", help="Each row has choices of its own: lists of any length, -inf for none."
    )


def add_bins(parser: CommandParser) -> None:
    """Add the number of bins, by both of its names."""
    bins = parser.add_mutually_exclusive_group()
    bins.add_argument("--n_bins", type=int, default=15, help="Number of bins.")
    bins.add_argument("--bins", type=int, default=None, help="Another name of --n_bins.")


def bins_of(options: Namespace) -> int:
    """The number of bins, checked under the name that it was given by."""
    from adafocal._checks import check_integer

    name = "n_bins" if options.bins is None else "bins"
    check_integer(name, options[name], minimum=1)
    return int(options[name])


def column_options(options: Namespace, *more: str, without: tuple[str, ...] = ()) -> list[str]:
    """The options of a table as they were given, for another command."""
    names = [name for name in (*SINGLE, *more, *OF_LOGS) if name not in without and options.get(name) is not None]
    switches = [f"--{name}" for name in ("normalize", "ragged") if options[name]]
    return [f"--{name}={options[name]}" for name in names] + switches


def names_of(options: Namespace, unlabelled: bool = False, of_event: bool = False) -> Names:
    """What the options say of the columns."""
    given: dict[str, Any] = {name: options.get(name) for name in HELP if name not in ("positive_class", "case")}
    given["cluster"] = given["cluster"] or options.get("case")
    return Names(
        **given,
        positive=options.get("positive_class"),
        normalize=options.normalize,
        ragged=options.ragged,
        unlabelled=unlabelled,
        of_event=of_event,
    )
