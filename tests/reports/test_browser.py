"""The page in a real browser: pictures at three widths, both themes, what its script does; skipped without one."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

import mpreg
from mpreg.reports.html import render_html

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)
WIDTHS = 390, 800, 1280
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no browser is installed")

# What a reader does, in a frame of each width; what came of it becomes the title.
ASK = """
addEventListener("load", () => {
  const frames = [...document.querySelectorAll("iframe")].map((frame) => frame.contentDocument);
  const [narrow, , wide] = frames;
  const found = { sizes: frames.map((page) => [page.documentElement.scrollHeight, page.documentElement.scrollWidth]) };
  const names = (page) => [...page.querySelector("table").tBodies[0].rows].map((row) => row.cells[0].textContent);
  const head = wide.querySelectorAll("thead th")[2];
  found.sorts = [names(wide)];
  for (const time of [1, 2]) {
    head.querySelector("button").click();
    found.sorts.push(names(wide), head.getAttribute("aria-sort"));
  }
  const list = narrow.querySelector("label select");
  list.value = "2";
  list.dispatchEvent(new Event("change"));
  const display = (element) => getComputedStyle(element).display;
  found.listed = [names(narrow), display(list.parentNode), display(wide.querySelector("label"))];
  const picture = (name) => wide.querySelector(`#${name} svg[data-x]`);
  const said = (svg) => svg.parentNode.querySelector(".readout").textContent;
  const dot = picture("front").querySelector("circle");
  const box = dot.getBoundingClientRect();
  const middle = { bubbles: true, clientX: box.x + box.width / 2, clientY: box.y + box.height / 2 };
  dot.dispatchEvent(new PointerEvent("pointermove", middle));
  found.pointed = said(picture("front"));
  const press = (key) => picture("roc").dispatchEvent(new KeyboardEvent("keydown", { key }));
  for (let times = 0; times < 21; times += 1) press("ArrowRight");
  found.keyed = said(picture("roc"));
  press("Escape");
  found.left = said(picture("roc"));
  found.tabs = picture("roc").tabIndex;
  const fold = wide.querySelector("#model-2");
  found.folded = [fold.open];
  wide.querySelector("nav button").click();
  found.folded.push(fold.open);
  const shown = () => [...wide.querySelector("table[data-shown] tbody").rows].filter((row) => !row.hidden).length;
  found.rows = shown();
  wide.querySelector(".more").click();
  found.more = shown();
  document.title = JSON.stringify(found);
});
"""


def browse(*options):
    done = subprocess.run(
        [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *map(str, options)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def comparison():
    rng = np.random.default_rng(0)

    def answers(records, margin):
        labels = np.arange(records) % 14
        logits = rng.normal(size=(records, 14))
        logits[np.arange(records), labels] += margin
        return logits, labels

    margins = {"plain": (4.0, 1.0), "stopped early": (2.0, 1.2), "a game": (1.8, 1.5), "both": (1.6, 1.5)}
    reports = {
        name: mpreg.evaluate_predictions(
            *answers(140, own), *answers(140, other), attacks=["gap", "loss_threshold"], from_logits=True
        )
        for name, (own, other) in margins.items()
    }
    return mpreg.compare(reports)


@pytest.fixture(scope="module")
def page(comparison, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_html(comparison), "utf-8")
    return path


@pytest.fixture(scope="module")
def found(page):
    frames = "".join(
        f'<iframe width="{width}" height="800" src="{page.name}" style="border: 0"></iframe>'
        for width in WIDTHS
    )
    asking = page.with_name("asking.html")
    asking.write_text(f"<body>{frames}<script>{ASK}</script></body>", "utf-8")
    shown = browse("--allow-file-access-from-files", "--window-size=1400,900", "--dump-dom", asking.as_uri())
    return json.loads(re.search("<title>(.*?)</title>", shown)[1].replace("&nbsp;", "\u00a0"))


def test_it_fits_every_width_and_is_no_longer_than_one_scrolls(found):
    for width, (height, needed) in zip(WIDTHS, found["sizes"], strict=True):
        assert needed <= width, f"{width} wide, and {needed} are needed"
        assert height < 12_000
    assert found["sizes"][2][0] < 5_000


def test_tables_are_sorted_by_headings_and_on_a_phone_by_a_list(found, comparison):
    as_it_stands, falling, down, rising, up = found["sorts"]
    by_test = sorted(comparison.reports, key=lambda name: -comparison[name].test_accuracy)
    assert as_it_stands == list(comparison.reports)
    assert (falling, down) == (by_test, "descending") and (rising, up) == (by_test[::-1], "ascending")
    assert found["listed"] == [by_test, "block", "none"]


def test_values_are_read_off_pictures_by_pointing_and_by_keys(found, comparison):
    plain = comparison["plain"]
    said = re.fullmatch(r"plain: test accuracy ([\d.]+)\s%, attack accuracy ([\d.]+)\s%", found["pointed"])
    assert abs(float(said[1]) / 100 - plain.test_accuracy) < 0.01
    assert abs(float(said[2]) / 100 - plain.attack_accuracy) < 0.01
    at, tpr = re.match(
        r"false positive rate ([\d.]+): plain: .*?AUC [\d.]+ ([\d.]+)", found["keyed"]
    ).groups()
    fpr, rates, _ = mpreg.metrics.roc(plain.strongest.member_scores, plain.strongest.nonmember_scores)
    assert abs(float(tpr) - np.interp(float(at), fpr, rates)) < 0.03 and float(at) == 0.5
    assert found["left"] == "" and found["tabs"] == 0


def test_folds_open_and_long_tables_show_all_their_rows_when_asked(found):
    assert found["folded"] == [False, True]
    assert (found["rows"], found["more"]) == (12, 14)


@pytest.mark.parametrize("width", WIDTHS)
def test_pictures_of_the_page(page, width, tmp_path):
    """In light and, at the second width, in dark: of its width, on its ground, and not empty."""
    dark = width == WIDTHS[1]
    picture = tmp_path / f"{width}.png"
    theme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    browse(*theme, f"--window-size={width},2000", f"--screenshot={picture}", page.as_uri())
    with Image.open(picture) as shown:
        pixels = np.asarray(shown.convert("RGB"))
    assert pixels.shape == (2000, width, 3)
    assert pixels[2, 2].tolist() == ([0x13, 0x17, 0x1B] if dark else [0xFF, 0xFF, 0xFF])
    ink = np.abs(pixels.astype(int) - pixels[2, 2]).sum(axis=2) > 300
    assert 0.005 < ink.mean() < 0.5 and ink[1000:].any()
