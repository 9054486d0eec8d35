# SPDX-License-Identifier: Apache-2.0
"""Write what copies a catalogue or measured results: tables of pages, helps, and the fields of a summary.

python scripts/generated.py           # writes them
python scripts/generated.py --check   # says which are out of date; exits with 1 if any is
"""

import argparse
import contextlib
import csv
import importlib
import inspect
import io
import json
import os
import re
import runpy
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, stdev
from unittest import mock

import torch

from adafocal.calibration.catalogue import CATALOGUE
from adafocal.cli import COMMANDS, MODULES
from adafocal.cli.catalogues import CATALOGUES, entries
from adafocal.cli.printed import PRINTED, WITHIN
from adafocal.losses import LOSSES
from adafocal.measures import MEASURES
from adafocal.models import MODELS
from adafocal.models.catalogue import GIVEN, ModelSpec
from adafocal.recipes import RECIPES

ROOT = Path(__file__).parents[1]
IMAGES = {"input_shape": (3, 32, 32), "n_classes": 10}
MEASURED = "Measured here, test part, "  # begins the part of a recipe's docstring that is generated, up to its end
SUMMARY = ROOT / "src" / "adafocal" / "calibration" / "summary.py"
PAIRED = ROOT / "docs" / "results_paired.md"
SIZES = (
    "        n_bins: Number of bins of every binned error but the sweep's.\n",
    "    n_bins: int\n",
)  # what is before them
# Recipe's file: where it was measured, and the page that gives command, hardware and versions.
RESULTS = {
    "cifar.py": ("cifar10.csv", "ResNet-18 of width 8 on 10,000 images, 20 epochs"),
    "digits.py": ("mnist.csv", "on MNIST: small CNN, 2,000 images without noise, 20 epochs"),
    "newsgroups.py": ("20newsgroups.csv", "GP-CNN without GloVe, 100 words, vocabulary of 10,000"),
}
HARDWARE = "2 CPU cores (AMD EPYC), one thread per run, torch 2.13.0, lightning 2.6.6, 2026-11"


def main() -> int:
    """Write or check every generated part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    old = {path: text for path, text in generated().items() if path.read_text("utf-8") != text}
    for path, text in old.items():
        print(f"{path.relative_to(ROOT)} {'is out of date: python scripts/generated.py' if check else 'written'}")
        if not check:
            path.write_text(text, encoding="utf-8")
    return int(check and bool(old))


def generated() -> dict[Path, str]:
    """Give every file that holds generated parts, as it should be."""
    pages = {"losses.md": {"losses": losses()}, "measuring.md": {"measures": measures()}}
    pages |= {"models.md": {"models": models(), "recipes": recipes()}, "speed.md": {"speeds": speeds()}}
    found = {}
    for page, tables in pages.items():
        path = ROOT / "docs" / page
        text = path.read_text("utf-8")
        for name, table in tables.items():
            begin, end = f"<!-- generated: {name} -->\n", "<!-- end -->\n"
            before, rest = text.split(begin)
            text = before + begin + table + end + rest.split(end, 1)[1]
        found[path] = text
    for file, (results, what) in RESULTS.items():
        path = ROOT / "src" / "adafocal" / "recipes" / file
        head, end, code = path.read_text("utf-8").partition('\n"""\n\n')
        head = head.split(f"\n{MEASURED}")[0].rstrip("\n")
        found[path] = f"{head}\n\n{measured(results, what)}{end}{code}"
    return found | {
        SUMMARY: summary(SUMMARY.read_text("utf-8")),
        PRINTED: printed(),
        PAIRED: paired(PAIRED.read_text("utf-8")),
    }


def printed() -> str:
    """Give the helps of the commands, as wide as where there is no terminal, and the catalogues, as JSON."""
    lines = {words: help_lines(words) for words in (*COMMANDS, *WITHIN)}
    listed = {catalogue: entries(catalogue) for catalogue in CATALOGUES}
    return json.dumps({"help": lines, "catalogues": listed}, indent=1, ensure_ascii=False) + "\n"


def help_lines(words: str) -> list[str]:
    """Ask the parser of a command for its help."""
    command, *rest = words.split()
    module = importlib.import_module(f"adafocal.cli.{MODULES.get(command, command)}")
    text = io.StringIO()
    wide = mock.patch.dict(os.environ, COLUMNS="80")
    with wide, contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        module.main([*rest, "--help"])
    return text.getvalue().rstrip("\n").split("\n")


def paired(page: str) -> str:
    """Give the page of paired runs with its tables."""
    script = runpy.run_path(str(ROOT / "benchmarks" / "gpu" / "paired_tables.py"))
    runs = script["read"](sorted((ROOT / "docs" / "results").glob("paired_*.csv")))
    return str(script["filled"](page, script["tables"](runs)))


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Give a table in Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "&#124;") for cell in line) + " |\n" for line in lines)


def losses() -> str:
    """Give the table of losses."""
    rows = [(f"`{loss.name}`", loss.formula, loss.use, loss.paper) for loss in LOSSES.values()]
    return table(("name", "loss of one sample", "when to use it", "paper"), rows)


def measures() -> str:
    """Give the table of measures."""
    rows = []
    for one in MEASURES.values():
        interval = f"`{one.interval}`" if one.interval not in ("", one.name) else ""
        in_stream = {"exact": "", "none": "not defined"}.get(one.in_stream, "nearly")
        rows.append((f"`{one.name}`", one.title or one.label, one.unit, one.better, interval, in_stream))
    return table(("name", "what it is", "unit", "better", "interval", "where rows are too many for memory"), rows)


def summary(text: str) -> str:
    """Give the module of the summary with a field for each measure and each interval, and their descriptions.

    Fields keep the place that they have, and new ones come last: the order of keys in files and of arguments stays.
    """
    numbers = {entry.name: ("float", entry.about) for entry in CATALOGUE.values()}
    intervals = {
        entry.interval: ("tuple[float, float]", entry.about_ends) for entry in CATALOGUE.values() if entry.interval
    }
    known, (head, documented) = numbers | intervals, text.split(SIZES[0])
    between, rest = documented.split(SIZES[1])
    had = [name for name in re.findall(r"^    (\w+): ", rest, re.MULTILINE) if name in known]
    names = [*had, *(name for name in known if name not in had)]
    about = "".join(_attribute(name, known[name][1]) for name in names)
    declared = "".join(f"    {name}: {known[name][0]}\n" for name in names)
    between, rest = between[between.index('    """\n') :], rest[rest.index("\n    def ") :]
    return f"{head}{SIZES[0]}{about}{between}{SIZES[1]}{declared}{rest}"


def _attribute(name: str, about: str) -> str:
    indents = {"initial_indent": 8 * " ", "subsequent_indent": 12 * " "}
    return textwrap.fill(f"{name}: {about}", 120, break_on_hyphens=False, break_long_words=False, **indents) + "\n"


def speeds() -> str:
    """Give the table of speeds beside the older one, and the remarks by number."""
    now, before = (_rows_of(name) for name in ("speed.csv", "speed_before.csv"))
    older = {(row["what"], row["peer"]): row["ratio"] for row in before}
    notes = list(dict.fromkeys(row["note"] for row in now if row["note"]))
    rows = []
    for row in now:
        spread = f"{row['ratio']} [{row['low']}, {row['high']}]".replace(" ", "&nbsp;") if row["ratio"] else ""
        reached = "" if not row["ratio"] else "yes" if float(row["ratio"]) <= float(row["goal"]) else "**no**"
        was = older.get((row["what"], row["peer"]), "")
        note = f"({notes.index(row['note']) + 1})" if row["note"] else ""
        rows.append((row["what"], row["peer"], was, spread, row["goal"], f"{reached} {note}".strip()))
    remarks = "".join(f"{place}. {note[:1].upper()}{note[1:].rstrip('.')}.\n" for place, note in enumerate(notes, 1))
    return table(("what", "over", "before", "now", "goal", "reached"), rows) + "\n" + remarks


def _rows_of(name: str) -> list[dict[str, str]]:
    with (ROOT / "docs" / "results" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def models() -> str:
    """Give the table of models with their settings and sizes."""
    rows = []
    for model in MODELS.values():
        settings = [name for name in inspect.signature(model.cls).parameters if name not in GIVEN]
        rows.append((f"`{model.name}`", model.title, ", ".join(f"`{name}`" for name in settings), _size(model)))
    return table(("name", "what it is", "settings", "parameters, 10 classes of 32 x 32 pixels"), rows)


def _size(model: ModelSpec) -> str:
    if model.cls.__module__.split(".")[-1] in ("text_cnn", "transformer", "timm", "unet3d"):
        return "depends on settings and data"
    with torch.device("meta"):
        network = model.cls(**IMAGES, **model.defaults)
    return f"{sum(parameter.numel() for parameter in network.parameters()):,}"


def recipes() -> str:
    """Give the table of recipes without their short forms; those from one source in one row."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for recipe in RECIPES.values():
        if not recipe.name.endswith("-short"):
            groups[recipe.source, ", ".join(recipe.losses)].append(f"`{recipe.name}`")
    rows = [(", ".join(names), source, losses) for (source, losses), names in groups.items()]
    return table(("recipes", "where their settings come from", "losses with settings of their own"), rows)


def measured(results: str, what: str) -> str:
    """Give what a file of results holds, as lines of a docstring."""
    with (ROOT / "docs" / "results" / results).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    by_loss = defaultdict(list)
    for row in rows:
        by_loss[row["loss"]].append(row)
    seeds = sorted({int(row["seed"]) for row in rows})
    lines = [
        f"{MEASURED}{what}, seeds {seeds[0]} to {seeds[-1]},",
        f"{HARDWARE}; the command is in docs/results.md.",
        "Mean ± standard deviation over seeds.",
        "",
        f"{'loss':<16}{'error %':>15}{'ECE %':>15}{'NLL':>17}{'s / epoch':>11}",
    ]
    for loss, runs in by_loss.items():
        numbers = {name: [float(run[name]) for run in runs] for name in ("error", "ece", "nll", "seconds_per_epoch")}
        cells = [f"{_spread(numbers['error'], 100, 2):>15}", f"{_spread(numbers['ece'], 100, 2):>15}"]
        cells += [f"{_spread(numbers['nll'], 1, 3):>17}", f"{mean(numbers['seconds_per_epoch']):>11.1f}"]
        lines.append(f"{loss:<16}" + "".join(cells))
    return "\n".join(lines)


def _spread(values: Sequence[float], scale: float, digits: int) -> str:
    return f"{scale * mean(values):.{digits}f} ± {scale * stdev(values):.{digits}f}"


if __name__ == "__main__":
    sys.exit(main())
