# SPDX-License-Identifier: Apache-2.0
"""``adafocal evaluate --multilabel``: calibration of every label of models that end in a sigmoid."""

from dataclasses import replace

from jsonargparse import Namespace

from adafocal.cli.columns import bins_of, names_of
from adafocal.cli.output import check_outputs, console_beside, write_json
from adafocal.cli.parser import check_executor, is_given
from adafocal.cli.remedy import how_made
from adafocal.errors import InvalidValueError
from adafocal.evaluation.labels import measure_labels
from adafocal.report.labels_terminal import print_labels
from adafocal.tables.scan import find_files

# What has no meaning here yet: nothing that is given is left aside.
WITHOUT = (
    *("label", "positive_class", "confidence", "correct", "normalize", "ragged", "likelihood", "filter"),
    *("case", "by", "time", "time_unit", "window", "tolerance", "fail_on_alarm", "fail_above", "fail_below", "strict"),
)


def evaluate_labels(options: Namespace, arguments: list[str]) -> int:
    """Measure and print; see ``adafocal evaluate --help``."""
    for name in WITHOUT:
        if is_given(options, name):
            raise InvalidValueError(f"`{name}` must not be given with `--multilabel`, got {options[name]!r}.")
    check_executor(options)
    if options.executor != "local":
        raise InvalidValueError(f"`multilabel` must go with `--executor local`, got {options.executor!r}.")
    n_bins = bins_of(options)
    files = find_files(options.files)
    check_outputs(options, "json", "html", reads=[file.path for file in files if file.path is not None])
    measured = measure_labels(files, replace(names_of(options), several=True), n_bins=n_bins)
    console = console_beside(options.json)
    print_labels(measured, console)
    made = how_made(arguments)
    result = {"files": [str(file) for file in files], "multilabel": True, **measured.summary.to_dict()}
    write_json(options.json, result, console)
    if options.html is not None:
        from adafocal.report.labels_page import write_labels

        write_labels(options.html, measured, files=files, made=made)
        console.print(f"page {options.html}", soft_wrap=True)
    return 0
