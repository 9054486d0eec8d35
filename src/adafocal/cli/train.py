# SPDX-License-Identifier: Apache-2.0
"""``adafocal train``: one classifier, one run folder, one page."""

from collections.abc import Mapping
from math import isnan
from pathlib import Path

from adafocal._files import safe_name
from adafocal._records import number_at
from adafocal.cli.console import say
from adafocal.cli.options import beginning, parse, train_parser
from adafocal.measures import IN_SHORT, MEASURES, OF_MASKS

SHOWN = (*IN_SHORT, "overconfidence")


def main(arguments: list[str]) -> int:
    """Train one classifier; see ``adafocal train --help``."""
    parser = train_parser("train", "Train one classifier, write its run folder and an HTML page.")
    parser.add_argument("--run_dir", type=str, default=None, help="Run folder (default: runs/RECIPE-LOSS-sSEED).")
    parser.add_argument("--overwrite", type=bool, default=False, help="Delete an earlier run in that folder.")
    parser.add_argument("--progress", type=bool, default=True, help="Show a progress bar.")
    asked = parse(parser, arguments)
    options, config = asked.options, asked.config
    folder = Path(options.run_dir or Path("runs") / safe_name(f"{asked.name}-{config.loss}-s{config.seed}"))
    for title, text in beginning(asked, title=f"{asked.title}, loss {config.loss}, seed {config.seed}").items():
        say(f"{title:<16} {text}")

    from adafocal.report import write_page
    from adafocal.scaling.remedy import titled
    from adafocal.training.folder import first_process
    from adafocal.training.run import run

    summary = run(config, folder, overwrite=options.overwrite, progress=options.progress)
    if not first_process():
        return 0
    for note in summary.notes:
        say(f"{'note on the data':<16} {note}")
    parts = {"validation": "validation", "test": "test", f"test, T = {summary.temperature:.2f}": "test_scaled"}
    best = summary.best_scaling
    if best is not None:
        parts["test, best"] = "best_scaling.test"
    for title, part in parts.items():
        values = {name: number_at(summary.everything, f"{part}.{name}") for name in SHOWN}
        say(f"{title:<16} {_in_words(values)}")
    if best is not None:
        helps = titled(best.method) if best.method else "none helps, so that it stays as trained"
        say(f"best scaling     {helps}; chosen by cross-fitting on {best.rows:,} samples of the {best.part} part")
    if summary.segmentation is not None:
        cases = [name for name, measure in OF_MASKS.items() if measure.place.endswith(".mean")]
        say(f"mean over cases  {_in_words({name: summary.value(MEASURES[name]) for name in cases})}")
    say(f"run folder       {folder}")
    say(f"page             {write_page(folder)}")
    return 0


def _in_words(values: Mapping[str, float]) -> str:
    said = []
    for measure, value in ((MEASURES[name], value) for name, value in values.items() if not isnan(value)):
        sign = "+" if measure.better == "zero" and value >= 0 else ""
        said.append(f"{measure.label} {sign + measure.alone(value):>8}")
    return "   ".join(said)
