# SPDX-License-Identifier: Apache-2.0
"""Pages in a real browser: figures are drawn, tables sort, nothing leaves the page, nothing overflows."""

import json
import shutil
import subprocess
import time
import urllib.request

import pytest
import websocket

from adafocal.evaluation.compare import compare
from adafocal.evaluation.measure import measure
from adafocal.ood import compare_scores
from adafocal.report import write_page
from adafocal.report.comparison_page import write_comparison_page
from adafocal.report.evaluation_page import write_evaluation
from adafocal.report.ood_page import write_ood_page
from adafocal.tables.scan import Names, scan
from report.folders import png, predictions, write_run, write_study

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]
SWITCHES = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
    "--remote-allow-origins=*",
]  # fmt: skip


class Tab:
    """One browser tab over the DevTools protocol, with a record of requests and console messages."""

    def __init__(self, address):
        self.socket = websocket.create_connection(address, timeout=30)
        self.number, self.events = 0, []
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def open(self, path, *, width=1280, dark=False, media="screen", frames=True):
        self.events.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", media=media, features=scheme)
        self.call("Page.navigate", url=path.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(json.loads(self.socket.recv()))
        if frames:  # there are none without script
            self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def run(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def press(self, key):
        for kind in ("rawKeyDown", "char", "keyUp"):
            text = {"Enter": "\r", " ": " "}.get(key, "")
            if kind == "char" and not text:
                continue
            code = {"Enter": 13, " ": 32, "Tab": 9}[key]
            self.call("Input.dispatchKeyEvent", type=kind, key=key, text=text, windowsVirtualKeyCode=code)

    def requests(self):
        sent = [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith("data:")]

    def complaints(self):
        return [e for e in self.events if e["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")]


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    profile = tmp_path_factory.mktemp("profile")
    browser = subprocess.Popen(
        [CHROMIUM, *SWITCHES, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not (profile / "DevToolsActivePort").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        port = (profile / "DevToolsActivePort").read_text().splitlines()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=30) as answer:
            pages = [entry for entry in json.load(answer) if entry["type"] == "page"]
        tab = Tab(pages[0]["webSocketDebuggerUrl"])
        yield tab
        tab.socket.close()
    finally:
        browser.kill()
        browser.wait()


NAMES = ["<img src=x onerror=alert(1)>", "\u202ereversed", "a name of many words that goes on", "x" * 400, "é", "_"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Pages of every kind, from random numbers."""
    folder = tmp_path_factory.mktemp("pages")
    texts = [{"text": f"{name} " * 20} for name in NAMES]
    run = write_run(folder / "run", n_classes=6, class_names=NAMES, examples=texts, ood=("noise", NAMES[0]))
    study = write_study(
        folder / "study",
        losses=("cross_entropy", "flsd53", "adafocal"),
        experiments=("one", "two", "three"),
        titles=("First data, first network", NAMES[0], "x" * 200),
        n_classes=30,
        examples=[{"image": png(32, seed)} for seed in range(8)],
    )
    made = {"run": write_page(run), "study": write_page(study), "evaluation": folder / "evaluation.html"}
    predictions(500, 4).save(folder / "one.parquet")
    write_evaluation(
        made["evaluation"],
        measure(scan([folder / "one.parquet"], Names())),
        files=["<b>one.parquet"],
    )
    rows = compare_scores(predictions(200, 3), {NAMES[0]: predictions(100, 3, seed=5)}, n_resamples=10)
    made["ood"] = folder / "ood.html"
    write_ood_page(rows, made["ood"], id_name=NAMES[1], level=0.95, command="adafocal ood")
    made["comparison"] = folder / "comparison.html"
    found = compare({name: predictions(200, 3, sharpness=1 + place) for place, name in enumerate(NAMES)})
    write_comparison_page(made["comparison"], found, files={name: [name] for name in NAMES}, command="x" * 300)
    return made


@pytest.fixture
def page(request, made):
    return made[request.param]


every_page = pytest.mark.parametrize("page", ["run", "study", "evaluation", "ood", "comparison"], indirect=True)


@every_page
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (380, True)], ids=["laptop light", "phone dark"])
def test_figures_are_drawn_and_no_request_leaves_the_page(tab, page, width, dark):
    tab.open(page, width=width, dark=dark)
    sizes = tab.run("[...document.querySelectorAll('figure svg')].map(s => s.getBoundingClientRect().toJSON())")
    marks = tab.run(
        "[...document.querySelectorAll('figure svg')].map(s => s.querySelectorAll('path, use, image').length)"
    )

    assert tab.requests() == [page.as_uri()]
    assert tab.complaints() == []
    assert len(sizes) >= 1
    assert all(size["width"] > 200 and size["height"] > 80 for size in sizes)
    assert all(count > 10 for count in marks)
    assert tab.run("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_trained_study_is_drawn(tab, study_folder):
    page = study_folder / "report.html"
    tab.open(page)
    images = tab.run("[...document.images].map(i => [i.complete, i.naturalWidth])")

    assert tab.requests() == [page.as_uri()]
    assert tab.complaints() == []
    assert images == [[True, 8]] * 24  # digits of 8 x 8 pixels


@pytest.mark.parametrize("page", ["run", "study"], indirect=True)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_ink_has_contrast_with_what_is_behind_it(tab, page, dark):
    tab.open(page, dark=dark)
    ink, paper = tab.run("(s => [s.color, s.backgroundColor])(getComputedStyle(document.body))")
    panel = tab.run("getComputedStyle(document.querySelector('figure')).backgroundColor")
    drawn = tab.run(
        "[...new Set([...document.querySelectorAll('figure svg text')].map(t => getComputedStyle(t).fill))]"
    )

    assert contrast(ink, paper) > 7
    assert drawn
    assert all(contrast(fill, panel) > 7 for fill in drawn)


def test_letters_are_large_enough_on_a_laptop(tab, made):
    tab.open(made["run"])
    heights = tab.run(
        "[...document.querySelectorAll('figure:not(.wide) svg text')].map(t => parseFloat(getComputedStyle(t).fontSize)"
        " * t.ownerSVGElement.getScreenCTM().a)"
    )

    assert len(heights) > 50
    assert min(heights) > 10.5


def test_series_colours_reach_the_drawing(tab, made):
    strokes = "[...document.querySelectorAll('figure svg path')].map(p => getComputedStyle(p).stroke)"
    tab.open(made["study"])
    assert "rgb(194, 65, 12)" in tab.run(strokes)  # --series-0
    tab.open(made["study"], dark=True)
    assert "rgb(251, 146, 60)" in tab.run(strokes)
    assert "rgb(194, 65, 12)" not in tab.run(strokes)


COLUMN = "[...document.querySelector('#classes').tBodies[0].rows].map(r => r.cells[{}].textContent.replace('−', '-'))"
BUTTON = "document.querySelector('#classes').tHead.rows[0].cells[{}].querySelector('button')"
STATE = "[...document.querySelector('#classes').tHead.rows[0].cells].map(c => c.getAttribute('aria-sort'))"


def test_a_click_sorts_by_numbers_and_a_third_one_restores_the_order(tab, made):
    tab.open(made["run"])
    tab.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    given = tab.run(COLUMN.format(3))
    numbers = sorted(map(float, given))

    tab.run(BUTTON.format(3) + ".click()")
    assert [float(text) for text in tab.run(COLUMN.format(3))] == numbers
    assert tab.run(STATE) == [None, None, None, "ascending", None]
    tab.run(BUTTON.format(3) + ".click()")
    assert [float(text) for text in tab.run(COLUMN.format(3))] == numbers[::-1]
    assert tab.run(STATE)[3] == "descending"
    tab.run(BUTTON.format(3) + ".click()")
    assert tab.run(COLUMN.format(3)) == given
    assert given != sorted(given, key=float)
    assert tab.run(STATE) == [None] * 5


def test_the_keyboard_sorts_too(tab, made):
    tab.open(made["run"])
    tab.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    tab.run(BUTTON.format(0) + ".focus()")
    tab.press("Tab")
    assert tab.run("document.activeElement.parentElement.cellIndex") == 1
    tab.press("Enter")
    assert tab.run(STATE)[1] == "ascending"
    tab.press(" ")
    samples = [int(text) for text in tab.run(COLUMN.format(1))]
    assert samples == sorted(samples, reverse=True)
    assert tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_what_has_no_value_comes_last_in_both_directions(tab, made):
    tab.open(made["run"])
    tab.run(
        "(c => { c.textContent = '–'; delete c.dataset.sort })(document.querySelector('#classes').rows[1].cells[2])"
    )
    for _ in range(2):
        tab.run(BUTTON.format(2) + ".click()")
        assert tab.run(COLUMN.format(2))[-1] == "–"


def test_explanations_unfold_by_keyboard(tab, made):
    tab.open(made["run"])
    shown = "document.querySelector('details.explain p').checkVisibility()"
    assert not tab.run(shown)
    tab.run("document.querySelector('details.explain summary').focus()")
    tab.press("Enter")
    assert tab.run(shown)


def test_the_first_stop_of_the_keyboard_skips_to_the_content(tab, made):
    tab.open(made["study"])
    tab.press("Tab")
    assert tab.run("document.activeElement.className") == "skip"
    assert tab.run("document.activeElement.getBoundingClientRect().left") == 0
    tab.press("Enter")
    assert tab.run("document.activeElement.id") == "content"


@pytest.mark.parametrize("page", ["run", "study"], indirect=True)
def test_printed_pages_are_dark_on_light_and_show_whole_tables(tab, page):
    tab.open(page, width=760, dark=True, media="print")
    ink, paper = tab.run("(s => [s.color, s.getPropertyValue('--paper')])(getComputedStyle(document.body))")

    assert (ink, paper) == ("rgb(0, 0, 0)", "#fff")
    assert tab.run("[...document.querySelectorAll('.scroll')].every(s => s.scrollHeight <= s.clientHeight + 1)")
    assert not tab.run("document.querySelector('nav').checkVisibility()")
    assert tab.run("document.querySelector('#classes, #classes-0').checkVisibility({ contentVisibilityAuto: true })")
    assert tab.run("document.documentElement.scrollWidth <= window.innerWidth")


def test_without_script_tables_can_be_read(tab, made):
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(made["run"], frames=False)
        assert tab.run("document.querySelectorAll('thead button').length") == 0
        assert tab.run("document.querySelector('#classes thead th').textContent") == "Class"
    finally:
        tab.call("Emulation.setScriptExecutionDisabled", value=False)


def contrast(first, second):
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    channels = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
