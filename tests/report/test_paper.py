# SPDX-License-Identifier: Apache-2.0
"""Figures for papers: sizes, fonts, and what is drawn."""

import re
import struct
import zlib

import pytest

pytest.importorskip("matplotlib")
from adafocal.cli import main
from adafocal.measures import OF_BEST
from adafocal.report import write_figures
from report.folders import write_run, write_study

NAMES = ["reliability", "risk_coverage", "training", "gammas-adafocal", "classes"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("paper") / "run", class_names=["a $ sign", "b", "<c>", "d"])


def page_inches(path):
    """Width and height of the only page of a PDF."""
    [box] = re.findall(rb"/MediaBox \[ ?([\d. ]+)\]", path.read_bytes())
    x0, y0, x1, y1 = map(float, box.split())
    return (x1 - x0) / 72, (y1 - y0) / 72


def content(path):
    """What the streams of a PDF hold."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", path.read_bytes(), re.S)
    return b"\n".join(zlib.decompress(stream) for stream in streams if stream[:1] == b"x")


@pytest.mark.parametrize(("column", "width"), [("single", 3.25), ("double", 6.75)])
def test_a_pdf_is_as_wide_as_its_column_and_not_higher_than_a_page(run, tmp_path, column, width):
    files = write_figures(run, tmp_path, column=column)

    assert [file.name for file in files] == [f"{name}.pdf" for name in NAMES]
    for file in files:
        wide, high = page_inches(file)
        assert wide == pytest.approx(width, abs=0.01)
        assert high < 9


def test_fonts_are_embedded_as_truetype_in_eight_points(run, tmp_path):
    for file in write_figures(run, tmp_path):
        data = file.read_bytes()
        sizes = {float(size) for size in re.findall(rb"/F\d+ ([\d.]+) Tf", content(file))}

        assert b"/FontFile2" in data
        assert b"/Type3" not in data
        assert sizes == {8.0}


def test_the_same_folder_gives_the_same_bytes(run, tmp_path):
    for suffix in ("pdf", "svg"):
        first, second = (write_figures(run, tmp_path / place, file_format=suffix) for place in "ab")

        assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


def test_a_png_has_300_dots_per_inch(run, tmp_path):
    [file] = [path for path in write_figures(run, tmp_path, file_format="png") if path.stem == "risk_coverage"]
    width, height = struct.unpack(">II", file.read_bytes()[16:24])

    assert (width, height) == (975, 690)


def test_texts_of_an_svg_stay_text_and_names_are_taken_as_they_are(run, tmp_path):
    [file] = [path for path in write_figures(run, tmp_path, file_format="svg") if path.stem == "classes"]
    svg = file.read_text(encoding="utf-8")

    assert ">a $ sign</text>" in svg
    assert ">&lt;c&gt;</text>" in svg


def test_a_study_of_several_experiments_has_figures_of_each_and_ranks(tmp_path):
    study = write_study(
        tmp_path / "study",
        losses=("cross_entropy", "adafocal", "focal"),
        experiments=("x", "y", "z"),
        n_classes=21,
        n=100,
    )
    names = {file.stem for file in write_figures(study, tmp_path / "out", file_format="svg", column="double")}

    expected = {f"{place}-{name}" for place in "xyz" for name in NAMES if name != "classes"}
    assert expected <= names
    assert names - expected == {
        f"ranks-{m}" for m in ("error", "ece", "ece_equal_mass", "nll", "ece_scaled", "nll_scaled", *OF_BEST)
    }


def test_the_command_writes_figures_and_the_page_where_asked(run, tmp_path, capsys):
    assert main(["report", str(run), "--figures", str(tmp_path / "f"), "--format", "svg", "--column", "double"]) == 0
    assert capsys.readouterr().out.count("figure ") == 5
    assert not (run / "report.html").exists()

    assert main(["report", str(run), "--figures", str(tmp_path / "f"), "-o", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").exists()


def test_unknown_formats_and_columns_are_refused(rejects, run, tmp_path):
    with rejects(ValueError, "`format` must be one of 'pdf', 'svg', 'png', got 'eps'."):
        write_figures(run, tmp_path, file_format="eps")
    with rejects(ValueError, "`column` must be one of 'single', 'double', got 'triple'."):
        write_figures(run, tmp_path, column="triple")
