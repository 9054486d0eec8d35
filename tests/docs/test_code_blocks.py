# SPDX-License-Identifier: Apache-2.0
"""Every code block of the documentation runs, page by page and in order; every command line is one that exists.

What a page takes as given, such as a trained model or a file, is made by ``tests/docs/given/PAGE.py``.
"""

import doctest
import re
import shlex
from pathlib import Path

import jsonargparse
import pytest

from adafocal import cli

ROOT = Path(__file__).parents[2]
GIVEN = Path(__file__).parent / "given"
SHARED = {"notebooks": "comparing"}  # pages that take what another does
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"^(?P<run><!-- run -->\n)?(?P<output><!-- output -->\n)?```(?P<language>[\w{}-]*)[^\n]*\n(?P<code>.*?)^```",
    re.M | re.S,
)
# Commands that train or predict: their options are parsed, and they run only in blocks after the comment `run`.
LONG = ("train", "study", "predict", "report")
# A block whose first line starts so is not run: it needs what no test machine has. How many each page may have.
EXEMPT = "# not run in tests: "
EXEMPTIONS = {"docs/fine_tuning.md": 1, "docs/stated_confidences.md": 1}
SILENT = ("", "text", "yaml", "toml", "{toctree}")
WIDEST = 88  # characters that fit the site's column
# What a block prints may stand in a block of text after the comment `output`; there `...` is anything, as in doctest.
ANYTHING = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Parsed(BaseException):
    """The options were accepted; the command has not started."""


def name(page):
    return page.relative_to(ROOT).as_posix()


def blocks(page):
    return list(BLOCK.finditer(page.read_text(encoding="utf-8")))


def command_lines(block):
    """Give the commands of a shell block, without prompts, output, comments and what only a shell does."""
    lines = re.sub(r"\\\n\s*", " ", block["code"]).splitlines()
    if block["language"] == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    split = [shlex.split(line, comments=True) for line in lines]
    return [words for words in split if words]


def check_command(words, *, run, monkeypatch, capsys):
    while re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    program, *arguments = words
    if program == "adafocal":
        quick = arguments[0] not in LONG and "--run" not in arguments
        check_adafocal(arguments, run=run or quick, monkeypatch=monkeypatch, capsys=capsys)
    elif program == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert all(f"\n{target}:" in makefile for target in arguments if "=" not in target)
    elif program == "pip":
        project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        named = re.findall(r"\[([\w,]+)\]", " ".join(arguments))
        missing = [extra for extras in named for extra in extras.split(",") if f"\n{extra} = [" not in project]
        assert missing == []
    elif "adafocal.cli" in arguments:
        check_adafocal(
            arguments[arguments.index("adafocal.cli") + 1 :], run=run, monkeypatch=monkeypatch, capsys=capsys
        )
    else:
        assert program in ("python", "torchrun", "accelerate", "sh", "bash"), f"how is {program} to be checked?"
        paths = [word for word in arguments if re.match(r"(benchmarks|docs|examples|scripts|src|tests)/", word)]
        assert paths
        assert [path for path in paths if not (ROOT / path).exists()] == []


def check_adafocal(arguments, *, run, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        if not run:
            patch.setattr(jsonargparse.ArgumentParser, "parse_args", only(jsonargparse.ArgumentParser.parse_args))
        try:
            status = cli.main(arguments)
        except (Parsed, SystemExit) as end:
            status = getattr(end, "code", 0)
    assert status == 0, capsys.readouterr().err


def only(parse):
    def parse_and_stop(parser, *arguments, **options):
        parse(parser, *arguments, **options)
        raise Parsed

    return parse_and_stop


def run_python(page, block, namespace):
    line = page.read_text(encoding="utf-8").count("\n", 0, block.start("code"))
    if block["language"] == "pycon":
        test = doctest.DocTestParser().get_doctest(block["code"], namespace, name(page), str(page), line)
        result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, clear_globs=False)
        assert result.attempted > 0
        assert result.failed == 0
        namespace.update(test.globs)
    else:
        exec(compile("\n" * line + block["code"], str(page), "exec"), namespace)


def test_the_pages_and_their_blocks_are_found():
    assert len(PAGES) >= 21
    counted = [block["language"] for page in PAGES for block in blocks(page)]
    assert counted.count("python") + counted.count("pycon") >= 30
    assert counted.count("bash") + counted.count("console") >= 14
    assert {path.stem for path in GIVEN.glob("*.py")} <= {page.stem for page in PAGES}


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=name)
@pytest.mark.usefixtures("unchecked_shapes")
def test_the_blocks_of_the_page_run(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)  # of the terminal of who runs the tests: pages show what a pipe gets
    namespace = {"__name__": "page"}
    given = GIVEN / f"{SHARED.get(page.stem, page.stem)}.py"
    if given.exists():
        exec(compile(given.read_text(encoding="utf-8"), str(given), "exec"), namespace)
    printed = ""
    for block in blocks(page):
        if block["output"] is not None:
            check_output(block["code"], printed)
        elif block["language"] in ("python", "pycon"):
            if not block["code"].startswith(EXEMPT):
                run_python(page, block, namespace)
        elif block["language"] in ("bash", "console", "sh"):
            for words in command_lines(block):
                check_command(words, run=block["run"] is not None, monkeypatch=monkeypatch, capsys=capsys)
        else:
            assert block["language"] in SILENT, f"how is a block of {block['language']} to be checked?"
        printed = capsys.readouterr().out


def check_output(expected, printed):
    assert doctest.OutputChecker().check_output(expected, printed, ANYTHING), f"printed instead:\n{printed}"


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=name)
def test_blocks_fit_the_column(page):
    lines = [line for block in blocks(page) for line in block["code"].splitlines()]

    assert [line for line in lines if len(line) > WIDEST] == []


def test_few_blocks_are_exempt_and_each_says_why():
    found = {name(page): sum(block["code"].startswith(EXEMPT) for block in blocks(page)) for page in PAGES}

    assert {page: count for page, count in found.items() if count} == EXEMPTIONS


def test_a_block_that_fails_is_noticed(tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text("text\n\n```python\nassert False\n```\n\n```bash\nadafocal evaluate --bims 3 x.csv\n```\n")
    python, bash = blocks(page)
    with pytest.raises(AssertionError, match="printed instead"):
        check_output("error 0.1 ...", "error 0.2 of 5")
    check_output("error 0.1 ...", "error  0.1 of 5")

    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    with pytest.raises(AssertionError):
        run_python(page, python, {})
    with pytest.raises(AssertionError, match="bims"):
        check_command(command_lines(bash)[0], run=False, monkeypatch=monkeypatch, capsys=capsys)
