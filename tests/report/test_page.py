# SPDX-License-Identifier: Apache-2.0
import base64
import hashlib
import itertools
import re
import shutil
from collections import Counter
from html.parser import HTMLParser

import pytest
import yaml

from adafocal.cli import main
from adafocal.report import write_page
from report.folders import png, write_run, write_study

HOSTILE = [
    "<script>alert(1)</script>",
    "\"quotes' & <b>bold",
    "\u202egnp.exe\u2066",
    "x" * 5000,
    r"$\frac{1}{$",
    "line\nbreak\x00\x07",
]


class Outline(HTMLParser):
    """Tags with their attributes, and the text of the page outside of style and script."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.texts, self.inside = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.inside.append(tag)

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        if not {"style", "script"} & set(self.inside):
            self.texts.append(data)

    def count(self, tag):
        return sum(name == tag for name, _ in self.elements)

    def all(self, name):
        return [attributes[name] for _, attributes in self.elements if attributes.get(name) is not None]

    @property
    def images(self):
        return [attributes["aria-label"] for _, attributes in self.elements if attributes.get("role") == "img"]

    @property
    def text(self):
        return " ".join(self.texts)


@pytest.fixture(scope="module")
def trained(study_folder):
    return (study_folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study with everything that a page can show."""
    folder = write_study(
        tmp_path_factory.mktemp("made") / "study",
        losses=("cross_entropy", "adafocal", "focal"),
        experiments=("first", "second", "third"),
        titles=("First data", "Second data", "Third data"),
        ood=("noise",),
        failures=[{"experiment": "first", "loss": "mmce", "seed": 1, "reason": "out of memory"}],
    )
    return write_page(folder).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A run whose every text comes from somebody who means no good."""
    folder = write_run(
        tmp_path_factory.mktemp("hostile") / "run",
        loss=HOSTILE[0],
        n_classes=len(HOSTILE),
        class_names=HOSTILE,
        data=HOSTILE[1],
        examples=[{"text": text, "image": '" onerror="alert(1)'} for text in HOSTILE],
        ood=(HOSTILE[0], "\u202e"),
    )
    return write_page(folder).read_text(encoding="utf-8")


def pages(request):
    return request.getfixturevalue(request.param)


page = pytest.fixture(pages, params=["trained", "made", "hostile"])


def test_the_page_says_which_settings_of_the_data_are_not_neutral(trained, made):
    assert "Trained on digits with data settings train_size 300, " in Outline(trained).text
    assert "noise 0.4; all others neutral." in Outline(trained).text
    assert Outline(made).text.count("Trained on made with neutral data settings.") == 3


def test_the_page_is_one_small_file_without_links_to_elsewhere(page):
    outline = Outline(page)
    links = [link for name in ("src", "href", "xlink:href") for link in outline.all(name)]

    assert len(page.encode()) < 2_000_000
    assert len(links) > 10
    assert [link for link in links if not link.startswith(("data:", "#"))] == []
    assert re.findall(r"url\((?!#|data:)", page) == []
    assert "@import" not in page


def test_the_only_script_is_ours_and_the_policy_names_it(page):
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    [policy] = [a["content"] for _, a in Outline(page).elements if a.get("http-equiv") == "Content-Security-Policy"]

    assert Outline(page).count("script") == 1
    assert policy.startswith("default-src 'none'; ")
    assert f"script-src 'sha256-{digest}'" in policy


def test_no_element_has_a_handler_and_identifiers_are_unique(page):
    outline = Outline(page)
    repeated = {name: n for name, n in Counter(outline.all("id")).items() if n > 1}

    assert [name for _, attributes in outline.elements for name in attributes if name.startswith("on")] == []
    # Two drawings may define the same mark under the same name, which is made from what it looks like.
    assert {name for name in repeated if not re.fullmatch(r"[mp][0-9a-f]{10}", name)} == set()


def test_links_within_the_page_lead_somewhere(page):
    outline = Outline(page)
    targets = {link[1:] for link in outline.all("href") if link.startswith("#")}

    assert {"content", "section-provenance"} <= targets
    assert targets <= set(outline.all("id"))


def test_headings_descend_step_by_step(page):
    levels = [int(tag[1]) for tag, _ in Outline(page).elements if re.fullmatch(r"h\d", tag)]

    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_tables_have_headers_with_scope_and_a_name(page):
    outline = Outline(page)
    scopes = Counter(attributes.get("scope") for tag, attributes in outline.elements if tag == "th")
    regions = [a for _, a in outline.elements if a.get("role") == "region"]

    assert set(scopes) == {"col", "row"}
    assert len(regions) == outline.count("table") >= 2
    assert all(region["aria-label"] and region["tabindex"] == "0" for region in regions)


def test_every_figure_says_its_numbers_to_a_screen_reader(page):
    outline = Outline(page)

    assert len(outline.images) == outline.count("figure") >= 6
    assert all(re.search(r"\d\.\d|\d", label) for label in outline.images)
    assert all(label for tag, a in outline.elements if tag == "img" for label in [a["alt"]])
    assert all(a["aria-hidden"] == "true" for tag, a in outline.elements if tag == "svg")


def test_a_trained_study_shows_results_figures_examples_settings_and_command(trained):
    outline = Outline(trained)

    assert outline.count("table") == 3
    # A diagram per loss, the classes, risk and coverage, three curves, the gammas of AdaFocal.
    assert outline.count("figure") == outline.count("svg") == 3 + 1 + 1 + 3 + 1
    for title in ("Cross-entropy", "FLSD-53", "AdaFocal", "Validation ECE over epochs", "gamma per bin over epochs"):
        assert title in outline.text
    assert "train_size: 300" in outline.text
    assert "not distinguishable" in outline.text
    # The eight surest mistakes of the first seed of each loss.
    assert outline.count("img") == 24
    assert re.search(r"\d\d\.\d % sure of \d , is \d", " ".join(outline.text.split()))


def test_several_experiments_have_a_section_each_and_average_ranks(made):
    outline = Outline(made)

    assert [a["id"] for tag, a in outline.elements if tag == "h2"][:4] == [
        "section-ranks", "experiment-0", "experiment-1", "experiment-2",
    ]  # fmt: skip
    assert sum(label.startswith("Average ranks, best first") for label in outline.images) >= 4
    assert "out of memory" in outline.text
    assert outline.text.count("Samples from elsewhere") == 3


def test_the_page_is_made_again_from_files_alone(trained, study_folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(study_folder, copy)
    (copy / "report.html").unlink()
    for checkpoints in copy.glob("runs/*/*/checkpoints"):
        shutil.rmtree(checkpoints)

    assert main(["report", str(copy)]) == 0
    assert (copy / "report.html").read_text(encoding="utf-8") == trained


def test_a_run_shows_calibration_before_and_after_temperature(tmp_path):
    outline = Outline(write_page(write_run(tmp_path / "run")).read_text(encoding="utf-8"))
    titles = [label.partition(":")[0] for label in outline.images if label.startswith("Reliability")]

    assert titles == [
        "Reliability diagram of AdaFocal", "Reliability diagram of AdaFocal after temperature scaling, T = 1.25",
    ]  # fmt: skip


@pytest.mark.parametrize(("n_classes", "small_multiples"), [(20, 1), (21, 0)])
def test_up_to_twenty_classes_have_a_diagram_each_and_all_have_a_row(tmp_path, n_classes, small_multiples):
    page = write_page(write_run(tmp_path / "run", n_classes=n_classes)).read_text(encoding="utf-8")
    table = page[page.index('<table id="classes"') :].partition("</table>")[0]

    assert sum("small reliability diagram of each class" in label for label in Outline(page).images) == small_multiples
    assert table.count("<tr>") == 1 + n_classes
    assert 'class="sortable"' in table


def test_numbers_in_sortable_cells_are_those_that_are_shown(tmp_path):
    page = write_page(write_run(tmp_path / "run", n_classes=30)).read_text(encoding="utf-8")
    table = page[page.index('<table id="classes"') :].partition("</table>")[0]
    cells = re.findall(r'<td data-sort="([^"]*)">([^<]*)</td>', table)

    assert len(cells) == 4 * 30
    for value, text in cells[2::4]:
        assert float(text.replace("−", "-")) == pytest.approx(100 * float(value), abs=0.005001)


def test_pictures_and_texts_of_examples_are_shown_as_far_as_they_are_there(tmp_path):
    image = png()
    folder = write_run(tmp_path / "run", examples=[{"image": image}, {"text": "a few words"}, {}])
    outline = Outline(write_page(folder).read_text(encoding="utf-8"))

    assert [a["src"] for tag, a in outline.elements if tag == "img"] == [f"data:image/png;base64,{image}"]
    assert "a few words" in outline.text
    assert outline.text.count("sure of") == 3


def test_examples_of_classes_that_the_run_has_not_are_refused(rejects, tmp_path):
    folder = write_run(tmp_path / "run", examples=[{"predicted": 4}])
    with rejects(ValueError, "`examples.json` must name classes of the run, 0 to 3, got 4 and 0."):
        write_page(folder)


def test_hostile_texts_are_shown_and_do_nothing(hostile):
    outline = Outline(hostile)

    assert outline.count("script") == 1
    assert outline.count("b") == 0
    assert outline.count("img") == 0  # what is not base64 is no picture
    assert HOSTILE[0] in outline.text
    assert any(HOSTILE[0] in label for label in outline.images)
    assert HOSTILE[1] in " ".join(outline.images)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x07]", hostile)
    assert "x" * 300 not in outline.text.replace("x" * 299 + "…", "")
    assert r"$\frac{1}{$" in outline.text


def test_hostile_settings_are_escaped(tmp_path):
    run = write_run(tmp_path / "run")
    settings = yaml.safe_load((run / "config.yaml").read_text())
    settings["</pre><script>alert(2)</script>"] = 1
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    page = write_page(run).read_text(encoding="utf-8")

    assert "<script>alert" not in page
    assert "&lt;/pre&gt;&lt;script&gt;alert(2)" in page


@pytest.mark.slow
def test_a_large_study_stays_small(tmp_path):
    losses = [f"loss {place}" for place in range(9)] + ["adafocal"]
    names = [f"a rather long name for a class, the one of number {c}" for c in range(120)]
    pictures = [{"image": png(64, seed)} for seed in range(24)]
    folder = write_study(
        tmp_path / "large", losses=losses, seeds=range(10), n=200, n_classes=120, epochs=200, class_names=names,
        examples=pictures, ood=("noise",),
    )  # fmt: skip
    size = write_page(folder).stat().st_size

    assert len(list(folder.glob("runs/*/*"))) == 100
    assert size < 2_000_000


def test_a_folder_that_is_neither_is_refused(rejects, tmp_path):
    with rejects(ValueError, f"`folder` must be a run folder or a study folder, got {str(tmp_path)!r}."):
        write_page(tmp_path)


def test_an_unfinished_run_is_refused(rejects, tmp_path):
    write_run(tmp_path / "run")
    (tmp_path / "run/summary.json").unlink()
    sentence = f"`folder` must hold a finished run, got {str(tmp_path / 'run')!r}, whose run is not finished."
    with rejects(ValueError, sentence):
        write_page(tmp_path / "run")
