# SPDX-License-Identifier: Apache-2.0
"""What text from files becomes on its way to a path or a terminal."""

import io
import json
import re
import unicodedata
import xml.etree.ElementTree as ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from rich.table import Table

from adafocal import AdafocalError, Predictions
from adafocal._files import LONGEST_NAME, below, child, safe_name
from adafocal._records import as_record
from adafocal._text import listed, printable, shown
from adafocal.cli import main
from adafocal.cli.console import PlainConsole
from adafocal.errors import FileError, InvalidValueError, MissingFileError
from adafocal.report import write_figures, write_page
from adafocal.results.comparison import Comparison
from adafocal.study.tables import TABLES, as_latex, as_markdown, make_table
from report.folders import write_run, write_study

HOSTILE = [
    "x/../../../ESCAPED", "/tmp/ESCAPED", "..", ".", "", " ", "...", ".hidden", "-rf", "~", "~root", "a/b", "a\\b",
    "C:x",
    "..\\ESCAPED", "x" * 300, "é" * 300, "a\0b", "a\nb", "\x1b[2J", "con", "NUL.txt", "com1", "a.", "a ", "$HOME",
    "`id`", "a;b", "a|b", "*", "?", "<b>", "a\u202eb", "\ud800", "%2e%2e%2f", "a\tb", "\u2028", "&_%#{}\\", "\ufffe",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_any_text_becomes_one_part_of_a_path(text, tmp_path):
    name = safe_name(text)
    path = child(tmp_path, text, suffix=".svg")
    path.write_text("")

    assert list(tmp_path.iterdir()) == [path]
    assert path.parent == tmp_path
    assert not set(name) & set('/\\:*?"<>|$`;~ ')
    assert name.isprintable()
    assert name[0] not in ".-"
    assert len(name.encode()) <= LONGEST_NAME + 9


def test_different_texts_become_different_names():
    texts = [*HOSTILE, "a_b", "a b", "a\u0301", "\u00e1", *map(safe_name, HOSTILE)]
    names = [safe_name(text) for text in dict.fromkeys(texts)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "name", ["adafocal", "digits--data.noise=0.3,1+2%20", "cross_entropy-s0", "猫", "a.b-c_d(1)[2]"]
)
def test_harmless_names_stay_as_they_are(name):
    assert safe_name(name) == name


def test_a_link_that_leads_away_is_not_followed(tmp_path, rejects):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "ood").symlink_to(tmp_path)
    place = str(tmp_path / "run" / "ood")
    with rejects(ValueError, f"{place!r} must lie in {str(tmp_path / 'run')!r}, got a link to {str(tmp_path)!r}."):
        child(tmp_path / "run", "ood", "mnist", suffix=".json")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", "..\\x", "a\0"])
def test_what_is_read_by_name_lies_in_its_folder(name, tmp_path):
    with pytest.raises(InvalidValueError, match="must lie in"):
        below(tmp_path, name, what="An image")
    assert below(tmp_path, "./a/b.png", what="An image") == tmp_path / "a/b.png"


def everything(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("loss", ["x/../../../ESCAPED", "..", "", "x" * 300, "a\nb", "/tmp/ESCAPED", "con"])
def test_figures_of_a_run_stay_in_their_folder_whatever_its_loss(loss, tmp_path):
    run = write_run(tmp_path / "deep" / "er" / "run")
    settings = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump(settings | {"loss": loss}))
    before = set(tmp_path.rglob("*"))
    files = write_figures(run, tmp_path / "deep" / "er" / "out", file_format="svg")

    assert {file.parent for file in files} == {tmp_path / "deep" / "er" / "out"}
    assert any("gammas-" in file.name for file in files)
    new = set(tmp_path.rglob("*")) - before
    assert new == {*files, tmp_path / "deep" / "er" / "out"}


def test_figures_of_a_study_stay_in_their_folder_whatever_its_names(tmp_path):
    folder = write_study(
        tmp_path / "study", losses=["cross_entropy", "adafocal", "flsd53"], experiments=["a", "b", "c"]
    )
    path = folder / "comparison.json"
    comparison = json.loads(path.read_text())
    for index, experiment in enumerate(comparison["experiments"]):
        experiment["name"] = experiment["title"] = f"../../../{index}/ESCAPED\x1b[2J"
    if comparison["ranks"]:
        comparison["ranks"] = {f"../../{metric}": ranks for metric, ranks in comparison["ranks"].items()}
    path.write_text(json.dumps(comparison))
    files = write_figures(folder, tmp_path / "out", file_format="svg")

    assert {file.parent for file in files} == {tmp_path / "out"}
    assert len(files) == len(set(files)) > 6
    assert everything(tmp_path / "out") == sorted(file.name for file in files)


SIGNS = "a\x1b[2J\x07\r\u202eb\u2028c\u2066\x9b\ud800\ufffe[red]d[/red]:smile:[/x]"


def hidden(text):
    return [sign for sign in text if sign != "\n" and unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


def test_hidden_characters_become_visible():
    assert printable("a\x1b[2J\n\u202e\x9b\ud800") == "a\\x1b[2J\\n\\u202e\\x9b\\ud800"
    assert printable("नमस्ते \u200d 猫 ±") == "नमस्ते \u200d 猫 ±"
    assert hidden(shown(SIGNS)) == hidden(listed([SIGNS])) == hidden(printable(SIGNS)) == []
    assert len(shown("x" * 10**6)) == 100
    assert listed(map(str, range(1000))).endswith("19, … (1,000 in all)")


@pytest.mark.parametrize("error", [AdafocalError, InvalidValueError, FileError, MissingFileError])
def test_sentences_of_errors_steer_no_terminal(error):
    assert hidden(str(error(f"got {SIGNS}."))) == []


def test_a_console_shows_text_as_it_is():
    console = PlainConsole(file=io.StringIO(), force_terminal=True, width=200)
    table = Table(title=SIGNS)
    table.add_column(printable(SIGNS))
    table.add_row(printable(SIGNS))
    console.print(SIGNS)
    console.print(table)
    printed = re.sub(r"\x1b\[[\d;]*m", "", console.file.getvalue())

    assert hidden(printed) == []
    assert printed.count("a\\x1b[2J") == 4
    assert printed.count("[red]d[/red]:smile:[/x]") == 4


def test_no_command_makes_another_console():
    from pathlib import Path

    import adafocal

    folder = Path(adafocal.__file__).parent
    found = [
        (path.name, call)
        for path in folder.rglob("*.py")
        if path.name != "console.py"
        for call in re.findall(r"(?<!Plain)\bConsole\(|^\s*print\(f", path.read_text("utf-8"), re.M)
    ]
    # The command's own words, and the line of a log that names a host.
    assert {name for name, _ in found} <= {"__init__.py", "execute.py"}


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "p.parquet"
    site = pa.array([SIGNS.replace("\ud800", ""), "x"] * 50)
    pq.write_table(pa.table({"probs": [[0.75, 0.25]] * 100, "label": [0, 1] * 50, "site": site}), path)
    return path


def test_names_of_groups_steer_no_terminal(table, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["evaluate", str(table), "--by", "site"]) == 0
    out = capsys.readouterr().out
    assert hidden(out) == []
    assert "a\\x1b[2J" in out
    assert "[red]d[/red]:smile:" in out


@pytest.mark.parametrize(
    "text",
    [
        "prob_0,prob_1,label\n0.5,\x1b[2J\u202e,0\n", "prob_0,\x1b[2J,label\n0.5,0.5,0\n", "\u202e;\x1b[2J\n1;2\n",
        "prob_0,prob_1,label\n0.5,0.5,[/red]\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", [["evaluate"], ["scale", "fit", "-o", "t.json"], ["ood", "--ood", "x.csv", "--id"]])
def test_sentences_on_files_steer_no_terminal(text, command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "p\x1b[2J\u202e[red].csv"
    path.write_text(text, encoding="utf-8")
    (tmp_path / "x.csv").write_text("prob_0,prob_1,label\n0.5,0.5,0\n")
    assert main([*command, str(path)]) == 2
    said = capsys.readouterr().err
    assert hidden(said) == []
    assert said.count("\n") == 1
    assert "p\\x1b[2J" in said


def test_names_of_files_steer_no_terminal(tmp_path, capsys):
    rng = np.random.default_rng(0)
    path = tmp_path / "[/red]\x1b[2J.npz"
    logits = rng.normal(size=(60, 3)).astype(np.float32)
    Predictions(logits=logits, labels=rng.integers(0, 3, 60)).save(path)
    scaling = tmp_path / "[/bold]\x1b[2J.json"
    assert main(["scale", "fit", str(path), "-o", str(scaling)]) == 0
    assert main(["scale", "apply", str(scaling), str(path), "-o", str(tmp_path / "\x1b.npz")]) == 0
    assert main(["ood", "--id", str(path), "--ood", str(tmp_path / "\x1b.npz"), "--n_resamples", "5"]) == 0
    assert main(["evaluate", str(path)]) == 0
    run = write_run(tmp_path / "run\x1b[2J[/red]")
    assert main(["report", str(run)]) == 0
    out = capsys.readouterr().out
    assert hidden(out) == []
    assert "[/red]" in out


def test_a_terminal_without_a_letter_shows_its_escape(tmp_path, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stderr", stream)
    assert main(["evaluate", str(tmp_path / "ü.csv")]) == 2
    stream.flush()
    assert b"\\xfc.csv" in stream.buffer.getvalue()


def test_pages_and_drawings_of_hostile_names_are_well_formed(tmp_path):
    names = ["\x1b[2J\x00", "\ufffe<b>&amp;", "$\\frac$_^", "\ud800\u202e"]
    run = write_run(tmp_path / "run")
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps(summary | {"class_names": names}))
    for file in write_figures(run, tmp_path, file_format="svg"):
        ElementTree.parse(file)
    page = write_page(run).read_text("utf-8")
    for drawing in re.findall(r"<svg.*?</svg>", page, re.S):
        ElementTree.fromstring(drawing.replace("xlink:href", "href"))
    assert hidden(page.replace("\t", "")) == []


def test_tables_of_hostile_names_keep_their_columns(tmp_path):
    folder = write_study(tmp_path / "study", losses=["cross_entropy", "adafocal"], experiments=["a", "b"])
    comparison = json.loads((folder / "comparison.json").read_text())
    for experiment in comparison["experiments"]:
        experiment["dataset"] = experiment["model"] = "a&b_c%d\\e|f\n\n\x1b[2J"
        for entry in experiment["losses"]:
            entry["title"] = "x & \\input{y}\n\n| z"
    made = make_table(as_record(comparison, Comparison, "must fit, got"), TABLES["ece"])
    rows = [line for line in as_latex(made).splitlines() if line.endswith(r"\\")]
    columns = len(made.labels) + len(made.losses)

    assert len(rows) == 3
    for row in rows:
        assert len(re.findall(r"(?<!\\)&", row)) == columns - 1
        assert hidden(row) == []
        assert "\\input" not in row
    lines = as_markdown(made).splitlines()[2:]
    assert len(lines) == 4
    for line in lines:
        assert len(re.findall(r"(?<!\\)\|", line)) == columns + 1
