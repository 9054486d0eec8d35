# SPDX-License-Identifier: Apache-2.0
"""Write the table of files that people have and what `adafocal evaluate` makes of each, in docs/tables.md.

python scripts/table_kinds.py           # writes it
python scripts/table_kinds.py --check   # says whether it is out of date; exits with 1 if it is
"""

import argparse
import bz2
import gzip
import io
import json
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

from adafocal.errors import AdafocalError
from adafocal.evaluation.measure import ALL, measure
from adafocal.tables.columns import Names
from adafocal.tables.scan import find_files, scan

PAGE = Path(__file__).parents[1] / "docs" / "tables.md"
BEGIN, END = "<!-- kinds -->\n", "<!-- /kinds -->\n"
N = 300
RNG = np.random.default_rng(0)
P = np.round(RNG.dirichlet([1.0, 1.0, 1.0], N), 6)
P[:, 2] = np.round(1 - P[:, 0] - P[:, 1], 6)
LABEL = np.array([RNG.choice(3, p=row / row.sum()) for row in np.sqrt(P)])
SCORE = np.round(RNG.beta(1, 1, N), 4)
HAPPENED = (RNG.random(N) < np.sqrt(SCORE)).astype(int)
SITE = np.array(["north", "south"])[np.arange(N) % 2]
CLASSES = ("cat", "dog", "bird")


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        what: In words.
        name: Of the file.
        content: Its bytes or text, or what writes it to a path.
        options: Of the command.
    """

    what: str
    name: str
    content: bytes | str | Callable[[Path], object]
    options: str = ""


def text(columns: dict[str, Any], separator: str = ",", end: str = "\n", form: Callable[[Any], str] = str) -> str:
    """A text table."""
    rows = zip(*(np.asarray(column).tolist() for column in columns.values()), strict=True)
    return "".join(
        separator.join(row) + end for row in [list(columns), *([form(cell) for cell in row] for row in rows)]
    )


def comma(cell: Any) -> str:
    """A number with a decimal comma; whole ones without."""
    return f"{cell:g}".replace(".", ",") if isinstance(cell, float) else str(cell)


def parquet(**columns: Any) -> Callable[[Path], None]:
    """Write columns as Parquet."""
    return lambda path: pq.write_table(pa.table(columns), path)


def lines(rows: list[Any]) -> str:
    """JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def parts(path: Path) -> None:
    """A folder of Hive partitions, as engines write them."""
    for site in ("north", "south"):
        (path / f"site={site}").mkdir(parents=True)
        rows = site == SITE
        table = pa.table({"confidence": SCORE[rows], "correct": HAPPENED[rows] == 1})
        pq.write_table(table, path / f"site={site}" / "part-0.parquet")
    (path / "_SUCCESS").touch()


def stream(path: Path) -> None:
    """An Arrow stream, as the datasets library saves."""
    table = pa.table({"probs": list(P), "label": LABEL})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


def excel(path: Path) -> None:
    """What a spreadsheet begins like."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")


PROBS = {f"prob_{k}": P[:, k] for k in range(3)}
WIDE = PROBS | {"label": LABEL}
NAMED = {f"prob_{name}": P[:, k] for k, name in enumerate(CLASSES)} | {"label": np.array(CLASSES)[LABEL]}
ONE = {"id": np.arange(N), "y_true": HAPPENED, "y_pred_proba": SCORE}
OUTCOMES = {"confidence": SCORE, "correct": HAPPENED == 1, "site": SITE}
BINARY = "--probs y_pred_proba --label y_true"
ROWS = [{"probs": row, "label": int(label)} for row, label in zip(P.tolist(), LABEL, strict=True)]
HEAD = "prob_0,prob_1,label\n"
FEW = HEAD + "0.75,0.25,0\n0.25,0.75,1\n"
THREE = WIDE | {name: np.round(column, 3) for name, column in PROBS.items()}
OFF = HEAD.replace("label", "prob_2,label") + "0.333,0.333,0.333,0\n0.2,0.3,0.4,1\n"

KINDS = [
    Kind("one column per class, class indices", "p.csv", text(WIDE)),
    Kind("class names in columns and labels", "names.csv", text(NAMED)),
    Kind("plain names of classes", "plain.csv", text({name.removeprefix("prob_"): c for name, c in NAMED.items()}),
         "--probs cat,dog,bird"),
    Kind("class names as labels of a column of lists", "lists.parquet", parquet(probs=list(P), label=NAMED["label"])),
    Kind("one probability of a binary classifier", "binary.csv", text(ONE), BINARY),
    Kind("the same as float32, labels true and false", "binary.parquet",
         parquet(y_pred_proba=SCORE.astype(np.float32), y_true=HAPPENED == 1), BINARY),
    Kind("binary, labels yes and no", "yes.csv", text(ONE | {"y_true": np.array(["no", "yes"])[HAPPENED]}), BINARY),
    Kind("binary, labels 1 and 2", "one_two.csv", text(ONE | {"y_true": HAPPENED + 1}), BINARY),
    Kind("the same, its class named", "two.csv", text(ONE | {"y_true": HAPPENED + 1}), f"{BINARY} --positive-class 2"),
    Kind("binary, labels -1 and 1", "minus.csv", text(ONE | {"y_true": 2 * HAPPENED - 1}), BINARY),
    Kind("one logit of a binary classifier", "logit.csv",
         text({"z": np.round(np.log((SCORE + 1e-4) / (1.0001 - SCORE)), 4), "y": HAPPENED}), "--logits z --label y"),
    Kind("confidence and whether it was right", "outcomes.csv", text(OUTCOMES), "--by site"),
    Kind("confidence in percent", "percent.csv", text(OUTCOMES | {"confidence": 100 * SCORE})),
    Kind("confidence with percent signs", "signs.csv", text(OUTCOMES, form=lambda c: f"{c:.0%}" if isinstance(c, float)
                                                            else str(c))),
    Kind("confidence from 0 to 10", "ten.csv", text(OUTCOMES | {"confidence": np.round(10 * SCORE, 1)})),
    Kind("rows with weights", "weights.csv", text(OUTCOMES | {"weight": np.arange(N) % 3 + 1}), "--weight weight"),
    Kind("labels as 1.0", "floats.csv", text(WIDE | {"label": LABEL.astype(float)})),
    Kind("values of three digits", "rounded.csv", text(THREE)),
    Kind("sums that no rounding explains", "off.csv", OFF),
    Kind("the same, normalised", "normal.csv", OFF, "--normalize"),
    Kind("semicolons and decimal commas", "german.csv", text(WIDE, ";", form=comma)),
    Kind("tabs", "p.tsv", text(WIDE, "\t")),
    Kind("bars between values", "pipes.csv", text(WIDE, "|")),
    Kind("`sep=;` in the first line", "hint.csv", "sep=;\n" + text(WIDE, ";")),
    Kind("quoted commas and line breaks", "quotes.csv", text(WIDE | {"note": ['"a, b\nc"'] * N})),
    Kind("thousands separators", "thousands.csv", 'logit_0,logit_1,label\n"1,234.5",2,0\n'),
    Kind("byte order mark", "bom.csv", text(WIDE).encode("utf-8-sig")),
    Kind("UTF-16 with its mark", "utf16.csv", text(WIDE).encode("utf-16")),
    Kind("UTF-16 without", "utf16le.csv", text(WIDE).encode("utf-16-le")),
    Kind("UTF-16, compressed", "utf16.csv.gz", gzip.compress(text(WIDE).encode("utf-16"))),
    Kind("Latin-1", "latin1.csv", (FEW.replace("label", "label,Qualität")).encode("latin-1")),
    Kind("line ends of Windows", "crlf.csv", text(WIDE, end="\r\n")),
    Kind("line ends of old Macs", "cr.csv", text(WIDE, end="\r")),
    Kind("blank lines", "blank.csv", "\n" + text(WIDE, end="\n\n")),
    Kind("empty file", "empty.csv", ""),
    Kind("header only", "header.csv", HEAD),
    Kind("no header", "headless.csv", FEW.removeprefix(HEAD)),
    Kind("a row that is too short", "ragged.csv", FEW + "0.5,0.5\n"),
    Kind("a missing value", "missing.csv", FEW + "0.5,,1\n"),
    Kind("two columns `label`", "twice.csv", "label,prob_0,prob_1,label\n0,0.9,0.1,1\n"),
    Kind("two columns `n`, which nobody needs", "note.csv", "n,n," + text(WIDE, end="\nx,y,").removesuffix("x,y,")),
    Kind("a label that is no class", "bird.csv", "prob_cat,prob_dog,label\n0.5,0.5,cat\n0.2,0.8,bird\n"),
    Kind("index column of pandas", "index.csv", text({"": np.arange(N)} | WIDE)),
    Kind("gzip", "p.csv.gz", gzip.compress(text(WIDE).encode())),
    Kind("bzip2", "p.csv.bz2", bz2.compress(text(WIDE).encode())),
    Kind("zstd", "p.csv.zst", pa.compress(text(WIDE).encode(), "zstd", asbytes=True)),
    Kind("JSON lines with lists", "p.jsonl", lines(ROWS)),
    Kind("JSON lines with NaN", "nan.jsonl", lines([*ROWS[:4], {"probs": [float("nan"), 0.5, 0.5], "label": 0}])),
    Kind("JSON lines, one broken", "broken.jsonl", lines(ROWS[:2]) + '{"probs": [0.5, 0\n'),
    Kind("a JSON array", "array.jsonl", json.dumps(ROWS[:2])),
    Kind("JSON", "p.json", json.dumps(ROWS[:2])),
    Kind("lists in Parquet, float16", "half.parquet", parquet(probs=list(P.astype(np.float16)), label=LABEL)),
    Kind("decimals in Parquet", "decimal.parquet",
         parquet(**{name: pa.array(c).cast(pa.decimal128(8, 6)) for name, c in PROBS.items()}, label=LABEL)),
    Kind("categories in Parquet", "categories.parquet",
         parquet(**PROBS | NAMED | {"label": pa.array(NAMED["label"]).dictionary_encode()}),
         "--probs prob_cat,prob_dog,prob_bird"),
    Kind("a Parquet file by another name", "parquet.csv", parquet(**WIDE)),
    Kind("text by another name", "text.parquet", text(WIDE)),
    Kind("NumPy arrays", "p.npz", lambda path: np.savez(path, probs=P, label=LABEL)),
    Kind("NumPy arrays with names of classes", "names.npz", lambda path: np.savez(path, **NAMED)),
    Kind("Feather", "p.feather", lambda path: feather.write_feather(pa.table(WIDE), path)),
    Kind("Arrow stream, as datasets are saved", "p.arrow", stream),
    Kind("Hive partitions, with `_SUCCESS`", "parts", parts, "--by site"),
    Kind("Excel", "p.xlsx", excel),
    Kind("Excel by another name", "excel.csv", excel),
    Kind("standard input", "-", text(OUTCOMES)),
    Kind("an address in memory", "memory://folder/p.csv", text(WIDE)),
]  # fmt: skip


@contextmanager
def placed(kind: Kind, folder: Path) -> Iterator[str]:
    """Put a file where its name says."""
    content = kind.content.encode() if isinstance(kind.content, str) else kind.content
    if kind.name == "-":
        with mock.patch.object(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content))):  # type: ignore[arg-type]
            yield "-"
    elif kind.name.startswith("memory://"):
        import fsspec

        with fsspec.open(kind.name, "wb") as file:
            file.write(content)
        yield kind.name
    else:
        path = folder / kind.name
        if callable(content):
            content(path)
        else:
            path.write_bytes(content)
        yield str(path)


def happens(kind: Kind, folder: Path) -> str:
    """What the command says of a file of this kind."""
    given: dict[str, Any] = {}
    for flag in kind.options.replace("positive-class", "positive").split("--")[1:]:
        name, _, value = flag.strip().partition(" ")
        given[name] = value or True
    names = Names(**given)
    try:
        with placed(kind, folder) as place:
            measured = measure(scan(find_files([place]), names), positive_class=names.positive)
    except AdafocalError as error:
        return "refused: " + str(error).replace(f"{folder}/", "").replace("|", "\\|")
    whole = measured[ALL]
    groups = f", {len(measured) - 1} groups" if len(measured) > 1 else ""
    divided = f", {whole.rounded} divided by their sum" if whole.rounded else ""
    return f"read: {whole.summary.n} rows, ECE {whole.summary.ece:.6f}{divided}{groups}"


def table() -> str:
    """The table of all kinds, as Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            (kind.what, f"`{kind.name}`{' ' * bool(kind.options)}{kind.options and f'`{kind.options}`'}",
             happens(kind, Path(folder)))
            for kind in KINDS
        ]  # fmt: skip
    lines = ["| kind | file, options | what happens |", "| --- | --- | --- |", *(f"| {' | '.join(r)} |" for r in rows)]
    return "\n".join(lines) + "\n"


def page() -> str:
    """The page with its table as it should be."""
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check, now = parser.parse_args().check, page()
    if now == PAGE.read_text("utf-8"):
        return 0
    if not check:
        PAGE.write_text(now, encoding="utf-8")
    print(f"docs/tables.md {'is out of date: python scripts/table_kinds.py' if check else 'written'}")
    return int(check)


if __name__ == "__main__":
    sys.exit(main())
