# SPDX-License-Identifier: Apache-2.0
"""``adafocal report``: the page of a run or study, from its files alone."""

from adafocal.cli.options import command_parser


def main(arguments: list[str]) -> int:
    """Write the page again; see ``adafocal report --help``."""
    parser = command_parser("report", "Make the HTML page of a run or study again, from its files.")
    parser.add_argument("folder", type=str, help="A run folder or a study folder.")
    parser.add_argument("--output", "-o", type=str, default=None, help="The page (default: FOLDER/report.html).")
    options = parser.parse_args(arguments)

    from adafocal.report import write_page

    print(f"page {write_page(options.folder, options.output)}")
    return 0
