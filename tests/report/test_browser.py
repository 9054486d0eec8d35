# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser: figures are drawn, nothing leaves the page, nothing overflows."""

import json
import shutil
import subprocess
import time
import urllib.request

import pytest
import websocket

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

    def open(self, path, *, width=1280, dark=False):
        self.events.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call("Page.navigate", url=path.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(json.loads(self.socket.recv()))
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def run(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

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


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 380], ids=["laptop", "phone"])
def test_figures_are_drawn_and_no_request_leaves_the_page(tab, study_folder, width, dark):
    page = study_folder / "report.html"
    tab.open(page, width=width, dark=dark)
    sizes = tab.run("[...document.querySelectorAll('figure svg')].map(s => s.getBoundingClientRect().toJSON())")
    marks = tab.run(
        "[...document.querySelectorAll('figure svg')].map(s => s.querySelectorAll('path, use, image').length)"
    )

    assert tab.requests() == [page.as_uri()]
    assert tab.complaints() == []
    assert len(sizes) == 6
    assert all(size["width"] > 200 and size["height"] > 120 for size in sizes)
    assert all(count > 10 for count in marks)
    assert tab.run("document.documentElement.scrollWidth <= window.innerWidth")


def test_ink_has_contrast_with_the_paper_in_both_schemes(tab, study_folder):
    for dark in (False, True):
        tab.open(study_folder / "report.html", dark=dark)
        ink, paper = tab.run("(s => [s.color, s.backgroundColor])(getComputedStyle(document.body))")
        axis = tab.run("getComputedStyle(document.querySelector('figure svg text')).fill")

        assert contrast(ink, paper) > 7
        assert contrast(axis, paper) > 7


def test_series_colours_reach_the_drawing(tab, study_folder):
    tab.open(study_folder / "report.html")
    strokes = "[...document.querySelectorAll('figure svg path')].map(p => getComputedStyle(p).stroke)"

    assert "rgb(194, 65, 12)" in tab.run(strokes)  # --series-0
    assert not any(stroke.startswith("rgb(1, 2,") for stroke in tab.run(strokes))


def contrast(first, second):
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    channels = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
