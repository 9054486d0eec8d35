# SPDX-License-Identifier: Apache-2.0
"""``adafocal predict``: predictions of a finished run on its own, corrupted or other data."""

from pathlib import Path

from adafocal.cli.console import say
from adafocal.cli.own import add_own, own_of
from adafocal.cli.parser import CommandParser, check_goes_with


def main(arguments: list[str]) -> int:
    """Write a file of predictions; see ``adafocal predict --help``."""
    parser = CommandParser(
        "predict", "Predict with a finished run: on a part of its data, on corrupted images, or on other data."
    )
    parser.add_argument("run_dir", type=str, help="Folder of a finished run.")
    parser.add_argument("--output", "-o", type=str, required=True, help="Predictions to write: .parquet, .npz or .csv.")
    parser.add_argument("--part", type=str, default=None, help="Part of the data (default: test).")
    parser.add_argument("--name", type=str, default=None, help="Other data: a name of `adafocal list datasets`.")
    parser.add_argument("--root", type=str, default=None, help="Other data: the folder that holds data sets by name.")
    parser.add_argument(
        "--path",
        type=str,
        default=None,
        help="Other data: their folder or file; images need no classes.",
    )
    parser.add_argument("--corruption", type=str, default=None, help="Corrupt the images, such as gaussian_noise.")
    parser.add_argument("--severity", type=int, default=None, help="Strength of the corruption, 1 to 5 (default 3).")
    parser.add_argument("--features", type=bool, default=False, help="Keep the penultimate layer, for adafocal ood.")
    add_own(parser)
    options = parser.parse_args(arguments)
    other = options.name or options.path
    check_goes_with(options, ["severity"], "--corruption", given=options.corruption is not None)
    check_goes_with(options, ["root"], "--name", given=options.name is not None)

    from adafocal._files import check_output
    from adafocal.data import DataConfig
    from adafocal.results.folder import own_files
    from adafocal.tables.source import known_suffix
    from adafocal.training.predict import load_classifier, predict_named

    known_suffix(options.output, writes=True)
    check_output("output", options.output, reads=own_files(Path(options.run_dir)))
    own = own_of(options, [options.run_dir])
    data = DataConfig(name=options.name or "other", root=options.root, path=options.path) if other else None
    predictions, names = predict_named(
        load_classifier(options.run_dir, own=own),
        part=options.part or "test",
        data=data,
        corruption=options.corruption,
        severity=3 if options.severity is None else options.severity,
        features=options.features,
    )
    predictions.save(options.output, **({} if names is None else {"file": names}))
    say(f"{predictions.n} predictions in {options.output}")
    return 0
