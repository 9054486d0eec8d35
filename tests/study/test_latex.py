# SPDX-License-Identifier: Apache-2.0
"""Tables of studies in LaTeX: whatever names data, models and losses have, the file compiles."""

import csv
import shutil
import subprocess

import pytest

from adafocal.results.comparison import ComparedExperiment, ComparedLoss, ComparedRun, Comparison, Spread
from adafocal.study.latex import latex
from adafocal.study.tables import TABLES, as_csv, as_latex, as_markdown, make_table, write_tables

NAMES = (
    r"a_b & 50 % of #3 $x^2$ {\~}", "Focal (γ = 2, α_t = 0.5)", "[bracket] * star", "-dash--",
    "naïve Größe Łódź straße",
    "ΑΒΓΔΩ λμοςφ", "数据 😀", "≤ ≥ ± × → … “quoted” ‘single’",
    "mine.losses:Poly_Loss (epsilon = 0.5)",
    "<b>|bold|</b>",
    "ﬁne ½ ² ³", "Ž ő ż ī ȷ ğ", "tab\tand\nline", "\u202eright to left", "`code` \\input{x} \\\\[2em]", "",
)  # fmt: skip


def spread(mean, std, n):
    return Spread(mean, std, n)


def comparison(titles=("Cross-entropy", "Focal (γ = 2)"), data="digits", n=3):
    def of(title, shift):
        values = {"error": 0.05, "ece": 0.0435, "ece_scaled": 0.0135, "temperature": 2.5}
        metrics = {name: spread(value + shift, 0.004, n) for name, value in values.items()}
        return ComparedLoss(loss=title, title=title, runs=(ComparedRun(0, "."),), metrics=metrics, versus_baseline={})

    losses = tuple(of(title, 0.001 * place) for place, title in enumerate(titles))
    one = ComparedExperiment(name="one", title="", varied={}, dataset=data, model="mlp", settings={}, losses=losses)
    return Comparison(titles[0], (one,))


def test_means_carry_their_spread_over_seeds():
    table = make_table(comparison(), TABLES["ece"])
    row = as_latex(table).splitlines()[5]

    assert as_latex(table).startswith(
        "% Test ECE in percent, before -> after temperature scaling (temperature); mean +- standard deviation over "
        "seeds."
    )
    assert row == (
        r"Digits & MLP & \textbf{4.35} $\pm$ 0.40 $\to$ \textbf{1.35} $\pm$ 0.40 (2.50) & "
        r"4.45 $\pm$ 0.40 $\to$ 1.45 $\pm$ 0.40 (2.50) \\"
    )
    assert "**4.35** ± 0.40 → **1.35** ± 0.40 (2.50)" in as_markdown(table)
    header, numbers = csv.reader(as_csv(table).splitlines())
    assert header[2:5] == ["Cross-entropy: ECE %", "Cross-entropy: ECE % after T", "Cross-entropy: T"]
    assert header[8] == "Cross-entropy: ECE %, standard deviation"
    assert [float(number) for number in numbers[2:4]] == pytest.approx([4.35, 1.35])
    assert float(numbers[8]) == pytest.approx(0.4)


def test_one_seed_has_no_spread():
    assert "pm" not in as_latex(make_table(comparison(n=1), TABLES["ece"]))


def test_what_has_a_meaning_is_escaped_and_what_has_no_letter_is_written_by_its_number():
    assert latex("α_1 & 50 %") == r"$\alpha$\_1 \& 50 \%"
    assert latex("Ωλο") == r"$\Omega$$\lambda$o"
    assert latex("[x]*") == "{[}x{]}{*}"
    assert latex("é ï ł") == r"\'{e} \"{\i} {\l}"
    assert latex("数") == "U+6570"
    assert latex("½") == "U+00BD"


def compiled(folder, text):
    (folder / "main.tex").write_text(
        "\\documentclass{article}\n\\begin{document}\n" + text + "\\end{document}\n", "utf-8"
    )
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape", "main.tex"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=120)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex, as of Debian's texlive-latex-base")
@pytest.mark.parametrize("names", [*((name, "Cross-entropy") for name in NAMES), NAMES])
def test_tables_compile_whatever_the_names_are(tmp_path, names):
    titles = tuple(dict.fromkeys(names))
    held = comparison(titles, data=names[0])
    write_tables(tmp_path / "tables", held)
    text = "".join(f"\\input{{tables/{name}.tex}}\n\n" for name in TABLES)
    done = compiled(tmp_path, text)

    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "main.pdf").stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex, as of Debian's texlive-latex-base")
def test_a_table_that_is_not_escaped_does_not_compile(tmp_path):
    assert compiled(tmp_path, "\\begin{tabular}{l}\na_b \\\\\n\\end{tabular}\n").returncode != 0
