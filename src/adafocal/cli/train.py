# SPDX-License-Identifier: Apache-2.0
"""``adafocal train``: one classifier, one run folder, one page."""

from pathlib import Path

from adafocal._files import safe_name
from adafocal.cli.console import say
from adafocal.cli.options import parse, train_parser
from adafocal.training.config import from_options


def main(arguments: list[str]) -> int:
    """Train one classifier; see ``adafocal train --help``."""
    parser = train_parser("train", "Train one classifier, write its run folder and an HTML page.")
    parser.add_argument("--run_dir", type=str, default=None, help="Run folder (default: runs/RECIPE-LOSS-sSEED).")
    parser.add_argument("--overwrite", type=bool, default=False, help="Delete an earlier run in that folder.")
    parser.add_argument("--progress", type=bool, default=True, help="Show a progress bar.")
    options = parse(parser, arguments)
    config = from_options(parser, options)
    folder = Path(options.run_dir or Path("runs") / safe_name(f"{options.recipe}-{config.loss}-s{config.seed}"))

    from adafocal.report import write_page
    from adafocal.training.folder import first_process
    from adafocal.training.run import run

    summary = run(config, folder, overwrite=options.overwrite, progress=options.progress)
    if not first_process():
        return 0
    parts = {"validation": "validation", "test": "test", "test_scaled": f"test, T = {summary['temperature']:.2f}"}
    for part, title in parts.items():
        numbers = summary[part]
        say(
            f"{title:<16} error {100 * numbers['error']:6.2f} %   ECE {100 * numbers['ece']:6.2f} %   "
            f"NLL {numbers['nll']:.4f}   confidence - accuracy {100 * numbers['overconfidence']:+.2f} %"
        )
    if "segmentation" in summary:
        means = {name: values["mean"] for name, values in summary["segmentation"].items() if "mean" in values}
        say(
            "mean over cases  "
            + "   ".join(f"{name} {value:.3f}" for name, value in means.items() if value is not None)
        )
    say(f"run folder       {folder}")
    say(f"page             {write_page(folder)}")
    return 0
