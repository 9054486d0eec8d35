# SPDX-License-Identifier: Apache-2.0
"""``adafocal study``: a grid of recipes, settings, losses and seeds, compared in tables and on one page."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from jsonargparse import Namespace
from rich.console import Console

from adafocal._files import safe_name
from adafocal._locks import working_on
from adafocal._settings import check_installed, or_meant
from adafocal._text import shown
from adafocal.cli.console import PlainConsole
from adafocal.cli.options import DEFAULT_RECIPE, Asked, beginning, early_options, parse, train_parser
from adafocal.cli.parser import CommandParser, check_executor, first_word
from adafocal.errors import InvalidValueError
from adafocal.recipes import get_recipe
from adafocal.results.comparison import Comparison
from adafocal.results.folder import TABLES, StudyFolder
from adafocal.study.losses import StudyLoss, read_loss
from adafocal.study.plan import Experiment, Run, Study, grid_points
from adafocal.training.config import NESTED, TrainConfig, dotted, plain
from adafocal.workers.executor import Executor

DESCRIPTION = """Train a grid of recipes, settings, losses and seeds, compare the losses, and write tables and one page.

adafocal study PLAN.yaml takes all options from a file; flags after it win. What is finished is not run again, and what
was cut is resumed, by the same command. --compare FOLDER FOLDER ... trains nothing and compares what is finished."""
LOSSES = ["cross_entropy", "flsd53", "adafocal"]
OF_COMPARING = {"compare", "baseline", "study_dir", "config"}
LONGEST = 60  # characters of a folder's name
LISTED = 8  # experiments that are told of before they begin
Planned: TypeAlias = tuple[Experiment, Asked]
Losses: TypeAlias = dict[str, StudyLoss]  # by name in the study


def main(arguments: list[str]) -> int:
    """Train a grid and compare; see ``adafocal study --help``."""
    parser = _parser()
    if first_word(arguments) is not None:
        arguments = ["--config", *arguments]
    asked = parse(parser, arguments)
    options = asked.options
    losses = _losses(options)
    _check_used(asked, losses)

    console = PlainConsole()
    if options.compare:
        return _compare(options, console)
    check_installed("lightning")  # which the workers import, and this process does not
    planned = _planned(parser, arguments, options, losses)
    study = _study(planned, options, losses)
    from adafocal.study.terminal import print_plan

    executor = _executor(options, study.runs)
    study.check_folder()
    print_plan(study, console)
    _print_beginnings(planned, console)
    if options.dry_run:
        return 0
    return _run(study, executor, console)


def _check_used(asked: Asked, losses: Losses) -> None:
    """Refuse what a study would not read."""
    options = asked.options
    unread = {"seed": "give --seeds"} if "seed" in asked.asked else {}
    if options.recipes and "recipe" in asked.asked:
        unread["recipe"] = "give it among --recipes"
    if "loss" in asked.asked and options.loss not in {one.loss for one in losses.values()}:
        unread["loss"] = f"it must be among --losses, {', '.join(losses)}"
    if options.compare:
        unread |= {name: "--compare trains nothing" for name in asked.asked - OF_COMPARING}
    for name, remedy in sorted(unread.items()):
        raise InvalidValueError(f"`{name}` must be left out here, got {shown(options.get(name, 'it'))}: {remedy}.")


def _losses(options: Namespace) -> Losses:
    """The losses by their names in the study."""
    read = [read_loss(value) for value in options.losses]
    losses = {one.name: one for one in read}
    if not read or len(losses) < len(read):
        raise InvalidValueError(
            f"`losses` must hold at least one value and none twice, got {[one.name for one in read]}."
        )
    return losses


def _run(study: Study, executor: Executor, console: Console) -> int:
    from adafocal.study.execute import execute
    from adafocal.study.results import write_results

    with working_on(study.folder, "study_dir", inside=study.places()):
        study.write()
        failures = execute(study.runs, executor=executor, console=console)
        if any(run.finished for run in study.runs):
            folder = StudyFolder(study.folder)
            _show(folder, write_results(study, failures, folder=folder), console)
    for failure in failures:
        place = study.run_folder(failure.experiment, failure.loss, failure.seed)
        console.print(f"failed: {place}: {failure.reason}")
    return 1 if failures else 0


def _compare(options: Namespace, console: Console) -> int:
    from adafocal.study.compare import compare_folders

    names = "-".join(Path(folder).resolve().name for folder in options.compare)
    folder = StudyFolder(Path(options.study_dir or Path("runs") / f"compare-{_short(names)}"))
    with working_on(folder.path, "study_dir", inside=[TABLES]):
        _show(folder, compare_folders(options.compare, folder, baseline=options.baseline), console)
    return 0


def _show(folder: StudyFolder, comparison: Comparison, console: Console) -> None:
    from adafocal.report import write_page
    from adafocal.study.tables import write_tables
    from adafocal.study.terminal import print_comparison

    write_tables(folder / TABLES, comparison)
    print_comparison(comparison, console)
    console.print(f"tables {folder / TABLES}")
    console.print(f"page {write_page(folder)}")


def _parser() -> CommandParser:
    parser = train_parser("study", DESCRIPTION)
    parser.add_argument("--recipes", nargs="+", type=str, default=None, help="Several recipes, in place of --recipe.")
    parser.add_argument(
        "--losses",
        nargs="+",
        type=str | dict[str, Any],
        default=LOSSES,
        help="Losses of `adafocal list losses` or package.module:Class of your own, with arguments as in "
        "'focal(gamma=1)'; in a file also {loss: focal, loss_args: {gamma: 1}, name: mine}.",
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="Seeds; runs of a seed are paired.")
    parser.add_argument(
        "--grid", type=dict[str, Any], default={}, help="Values of any setting, such as --grid.data.noise '[0.1,0.3]'."
    )
    parser.add_argument("--baseline", type=str, default=None, help="Loss to compare with (default: the first).")
    parser.add_argument("--study_dir", type=str, default=None, help="Study folder (default: runs/study-RECIPE).")
    parser.add_argument("--dry_run", action="store_true", help="Show the plan; run and write nothing.")
    parser.add_argument("--compare", nargs="+", type=str, default=None, help="Compare finished studies or runs.")
    parser.add_argument("--executor", type=str, default="local", help="local, or ray for a Ray cluster.")
    parser.add_argument("--workers", type=int, default=None, help="Runs at a time (default: one per core or device).")
    parser.add_argument("--cores", type=int, default=None, help="Cores of each run (default: its share; on Ray, 1).")
    parser.add_argument("--ray_address", type=str, default=None, help="A running cluster, such as auto.")
    return parser


def _planned(parser: CommandParser, arguments: list[str], options: Namespace, losses: Losses) -> list[Planned]:
    points = grid_points(options.grid)
    # One loss alone is the one that --loss_args mean.
    named, loss = early_options(arguments)
    if loss is None and len(losses) == 1:
        loss = next(iter(losses.values())).loss
    planned = []
    for recipe in options.recipes or [named]:
        _check_names(points[0], get_recipe(recipe or DEFAULT_RECIPE).config)
        for point in points:
            flags = [f"--{name}={v if isinstance(v, str) else json.dumps(v)}" for name, v in point.items()]
            asked = parse(parser, [*arguments, *flags], early=(recipe, loss))
            _check_loss_args(asked, [one.loss for one in losses.values()])
            planned.append((Experiment(asked.recipe.name, asked.config, point), asked))
    return planned


def _study(planned: Sequence[Planned], options: Namespace, losses: Losses) -> Study:
    names = dict.fromkeys(asked.name for _, asked in planned)
    baseline = options.baseline or next(iter(losses))
    return Study(
        experiments=tuple(experiment for experiment, _ in planned),
        losses=tuple(losses),
        seeds=tuple(options.seeds),
        baseline=baseline if baseline in losses else read_loss(baseline).name,
        folder=Path(options.study_dir or Path("runs") / f"study-{_short(safe_name('-'.join(names)))}"),
        named={name: one for name, one in losses.items() if one.title},
    )


def _print_beginnings(planned: Sequence[Planned], console: Console) -> None:
    """Say of each experiment what will be trained, and of data what a recipe changes."""
    for experiment, asked in planned[:LISTED]:
        said = beginning(asked, title=experiment.title)
        for title, text in said.items():
            console.print(f"{title:<16} {text}", markup=False, highlight=False)
    if len(planned) > LISTED:
        console.print(f"and {len(planned) - LISTED} experiments more", highlight=False)


def _executor(options: Namespace, runs: Sequence[Run]) -> Executor:
    from adafocal._checks import check_integer
    from adafocal.study.execute import local_executor, wants_accelerator
    from adafocal.workers.on_ray import RayExecutor

    check_executor(options)
    for name in ("workers", "cores"):
        check_integer(name, options[name], minimum=1, optional=True)
    if options.executor == "local":
        return local_executor(runs, options.workers, options.cores)
    return RayExecutor(options.workers, options.ray_address, options.cores or 1, wants_accelerator(runs))


def _check_names(point: dict[str, object], config: TrainConfig) -> None:
    settings = dotted(plain(config), within=NESTED)
    # What these hold depends on something else, the loss or the model.
    free = tuple(f"{name}." for name, value in settings.items() if isinstance(value, dict))
    for name in point:
        if name in ("loss", "seed") or not (name in settings or name.startswith(free)):
            raise InvalidValueError(
                f"`grid` must name settings that `adafocal train --help` shows, got {name!r}{or_meant(name, settings)}"
            )


def _check_loss_args(asked: Asked, losses: Sequence[str]) -> None:
    """Refuse settings of a loss that no run has."""
    config = asked.config
    if config.loss not in losses and config.loss_args != asked.recipe.settings(config.loss).loss_args:
        raise InvalidValueError(
            f"`loss_args` are those of --loss, which must be among the losses {', '.join(losses)}, got {config.loss!r}."
        )


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}-and-more"
