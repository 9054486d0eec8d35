# SPDX-License-Identifier: Apache-2.0
"""``adafocal report``: the page of a run or study, or its figures for a paper, from its files alone."""

from pathlib import Path

from adafocal.cli.console import say
from adafocal.cli.parser import CommandParser, check_goes_with


def main(arguments: list[str]) -> int:
    """Write the page again, or figures; see ``adafocal report --help``."""
    parser = CommandParser("report", "Make the HTML page of a run or study again, or figures for a paper.")
    parser.add_argument("folder", type=str, help="A run folder or a study folder.")
    parser.add_argument(
        "--output", "-o", type=str, default=None, help="The page (default: FOLDER/report.html, or none with --figures)."
    )
    parser.add_argument("--figures", type=str, default=None, help="Folder for figures that fit a two-column paper.")
    parser.add_argument("--format", type=str, default=None, help="Of the figures: pdf (default), svg or png.")
    parser.add_argument("--column", type=str, default=None, help="Width of the figures: single (default) or double.")
    options = parser.parse_args(arguments)
    check_goes_with(options, ["format", "column"], "--figures", given=options.figures is not None)

    from adafocal._files import check_output, check_output_folder
    from adafocal.report import write_figures, write_page
    from adafocal.results.folder import PAGE, own_files

    page = options.output or (None if options.figures is not None else Path(options.folder) / PAGE)
    check_output("output", page, reads=own_files(Path(options.folder)))
    check_output_folder("figures", options.figures)
    if options.figures is not None:
        kind, width = options.format or "pdf", options.column or "single"
        for path in write_figures(options.folder, options.figures, file_format=kind, column=width):
            say(f"figure {path}")
    if options.figures is None or options.output is not None:
        say(f"page {write_page(options.folder, options.output)}")
    return 0
