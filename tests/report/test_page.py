# SPDX-License-Identifier: Apache-2.0
import re
import shutil
from html.parser import HTMLParser

import pytest
import yaml

from adafocal.cli import main
from adafocal.report import write_page


@pytest.fixture(scope="module")
def page(study_folder):
    return (study_folder / "report.html").read_text(encoding="utf-8")


class Outline(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.links, self.labels = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        values = dict(attributes)
        self.links += [values[name] for name in ("src", "href", "xlink:href") if values.get(name)]
        if values.get("role") == "img":
            self.labels.append(values["aria-label"])


def outline(page):
    parser = Outline()
    parser.feed(page)
    return parser


def test_the_page_is_one_small_file_without_links_to_elsewhere(page):
    links = outline(page).links

    assert len(page.encode()) < 2_000_000
    assert links
    assert [link for link in links if not link.startswith(("data:", "#"))] == []
    assert re.findall(r"url\((?!#|data:)", page) == []
    assert "@import" not in page
    assert "script" not in outline(page).tags


def test_the_page_shows_results_figures_settings_and_command(page, study_folder):
    tags = outline(page)

    assert tags.tags.count("table") == 2
    assert tags.tags.count("figure") == tags.tags.count("svg") == 6
    for title in ("Cross-entropy", "FLSD-53", "AdaFocal", "Validation ECE over epochs", "gamma per bin over epochs"):
        assert title in page
    assert "train_size: 300" in page
    assert "not distinguishable" in page


def test_every_figure_says_its_numbers_to_a_screen_reader(page):
    labels = outline(page).labels

    assert len(labels) == 6
    assert sum(label.startswith("Reliability diagram of") for label in labels) == 3
    assert all(re.search(r"\d\.\d", label) for label in labels)


def test_the_page_is_made_again_from_files_alone(page, study_folder, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(study_folder, copy)
    (copy / "report.html").unlink()
    for checkpoints in copy.glob("runs/*/*/checkpoints"):
        shutil.rmtree(checkpoints)

    assert main(["report", str(copy)]) == 0
    assert (copy / "report.html").read_text(encoding="utf-8") == page


def test_one_run_has_a_page_too(study_folder, tmp_path):
    path = write_page(study_folder / "runs/digits/adafocal-s0", tmp_path / "one.html")
    tags = outline(path.read_text(encoding="utf-8"))

    assert tags.tags.count("table") == 1
    assert tags.tags.count("svg") == 4


def test_text_from_files_is_escaped(study_folder, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(study_folder / "runs/digits/adafocal-s0", run)
    settings = yaml.safe_load((run / "config.yaml").read_text())
    settings["data"]["name"] = "<script>alert(1)</script>"
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    page = write_page(run).read_text(encoding="utf-8")

    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_folder_that_is_neither_is_refused(rejects, tmp_path):
    with rejects(ValueError, f"`folder` must be a run folder or a study folder, got {str(tmp_path)!r}."):
        write_page(tmp_path)


def test_an_unfinished_run_is_refused(rejects, study_folder, tmp_path):
    shutil.copytree(study_folder / "runs/digits/adafocal-s0", tmp_path / "run")
    (tmp_path / "run/summary.json").unlink()
    sentence = f"`folder` must hold a finished run, got {str(tmp_path / 'run')!r}, whose run is not finished."
    with rejects(ValueError, sentence):
        write_page(tmp_path / "run")
