"""The page in Chromium: what is seen is what the arrays hold, in its place. Its pictures in the documentation are made here.

TASKCT_WRITE_SCREENSHOTS=1 writes docs/figures/viewer_ct.png and viewer_run.png; otherwise nothing is written there.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from lopsided_phantom import BEAM, lopsided
from PIL import Image
from places import ROOT

from taskct.evaluation.evaluation_config import run_plan
from taskct.evaluation.table import Table
from taskct.task.readers import load_reader
from taskct.viewer import open_studies, plan_view
from taskct.viewer.ct_study import CtStudy, Simulation
from taskct.viewer.picture_layers import Layers
from taskct.viewer.run_study import studies_of_table

WRITE = bool(os.environ.get("TASKCT_WRITE_SCREENSHOTS"))
BROWSER = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    words = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    words.append("--host-resolver-rules=MAP evil.example 127.0.0.1")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=BROWSER, args=words)
        yield started
        started.close()


@pytest.fixture
def show(browser: Any) -> Iterator[Callable[..., Any]]:
    """`show(address, width=, scheme=)` -> a page with its first image; errors of its scripts fail the test."""
    pages, wrong = [], []

    def shown(address: str, *, width: int = 1000, height: int = 640, scheme: str = "light") -> Any:
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        pages.append(page)
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.goto(address)
        ready(page)
        return page

    yield shown
    for page in pages:
        page.close()
    assert wrong == []


def until(page: Any, true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, page.inner_text("body")[:1500]
        page.wait_for_timeout(30)


def ready(page: Any, panels: int = 0) -> None:
    """So many panels, or those that there are, all with their image of this moment."""
    whole = page.locator(".panel")
    done = page.locator('.panel[data-ready="true"]')
    until(page, lambda: 0 < whole.count() == done.count() and (not panels or done.count() == panels))


def point(page: Any, panel: int, row: int, column: int) -> str:
    """What the page says of the pixel under the pointer."""
    at = page.evaluate(f"taskctView.placeOf({panel}, {row}, {column})")
    page.mouse.move(at["x"], at["y"])
    until(page, lambda: f"row {row}, column {column}:" in page.inner_text("#readout"))
    return str(page.inner_text("#readout"))


def grey(page: Any, panel: int, row: int, column: int) -> np.ndarray:
    """The colour (3,) on the screen at the centre of a pixel."""
    at = page.evaluate(f"taskctView.placeOf({panel}, {row}, {column})")
    picture = Image.open(io.BytesIO(page.screenshot()))
    return np.asarray(picture.convert("RGB"))[int(at["y"]), int(at["x"])].astype(int)


def test_pixels_have_the_values_of_the_array_in_their_place(show: Callable[..., Any], served_ct: str):
    page, hu = show(served_ct), lopsided().hu[2]
    for row, column in ((0, 0), (0, 47), (31, 0), (7, 9), (7, 38), (22, 33)):
        value = int(hu[row, column])
        assert re.search(rf"ct {str(value).replace('-', '−')} HU", point(page, 0, row, column))
    page.mouse.move(2, 2)
    page.keyboard.press("c")  # without outlines
    until(page, lambda: page.get_attribute('[data-flag="labels"]', "aria-pressed") == "false")
    page.keyboard.press("4")  # bone: -500 to 1300 HU
    until(page, lambda: page.input_value("#width") == "1800")
    for row, column in ((8, 10), (8, 38), (25, 10), (2, 2)):  # the bright block lies high on the left, and nowhere else
        expected = np.clip((float(hu[row, column]) + 500) / 1800 * 255, 0, 255)
        until(page, lambda at=(row, column), shade=expected: np.abs(grey(page, 0, *at) - shade).max() <= 3)


def test_an_outline_runs_round_the_pixels_of_its_label(show: Callable[..., Any], served_ct: str):
    page = show(served_ct)
    page.evaluate("Object.assign(taskctView.state, {zoom: 3, x: 0.68, y: 0.68})")
    page.keyboard.press("4")
    until(page, lambda: "zoom=3" in page.url)
    first, last = (page.evaluate(f"taskctView.placeOf(0, {row}, {column})") for row, column in ((20, 30), (23, 35)))
    wide, high = (last["x"] - first["x"]) / 5, (last["y"] - first["y"]) / 3  # of a pixel on the screen
    left, right, top, bottom = first["x"] - wide / 2, last["x"] + wide / 2, first["y"] - high / 2, last["y"] + high / 2
    x, y = (left + right) / 2, (top + bottom) / 2

    def yellow() -> list[bool]:
        shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
        places = ((left, y), (right, y), (x, top), (x, bottom), (x, y), (left - wide, y), (x, bottom + high))
        around = [shot[int(b) - 2 : int(b) + 3, int(a) - 2 : int(a) + 3] for a, b in places]
        return [bool((np.abs(part - [255, 208, 0]).max(2) < 110).any()) for part in around]

    until(page, lambda: yellow() == [True] * 4 + [False] * 3)


def test_the_dose_slider_changes_image_and_score(show: Callable[..., Any], served_ct: str, ct_layers: Layers):
    page = show(served_ct)
    page.keyboard.press("[")  # a CT has one dose: its first method comes with the slider
    ready(page, 2)
    for dose, label in ((1, "10"), (2, "1")):
        until(page, lambda dose=dose: page.input_value("#dose") == str(dose))
        ready(page, 2)
        value = float(ct_layers.study.image(1, dose, 2)[22, 33])
        assert f"fbp {label} % {round(value * 10) / 10:g} HU".replace("-", "−") in point(page, 0, 22, 33).replace(
            "\u202f", " "
        )
        score = next(s for s in ct_layers.scores(1, dose, 2) if s["label"] == "RMSE")["value"]
        words = f"RMSE {score:.{0 if score >= 100 else 1}f} HU"
        until(page, lambda words=words: page.locator(".panel .score").nth(1).inner_text() == words)
        page.keyboard.press("[")
    assert page.input_value("#score") == "RMSE"


def test_scrolling_jumping_and_a_link_that_holds_the_view(show: Callable[..., Any], served_ct: str):
    page = show(served_ct)
    page.keyboard.press("ArrowUp")
    until(page, lambda: page.inner_text("#plane-name").startswith("slice 3"))
    page.locator(".panel canvas").hover()
    page.mouse.wheel(0, 100)
    page.mouse.wheel(0, 100)
    until(page, lambda: page.inner_text("#plane-name").startswith("slice 1"))
    page.locator("#lesions button").click()
    until(page, lambda: page.inner_text("#plane-name").startswith("slice 2"))
    page.keyboard.press("3")
    page.keyboard.press("d")
    until(page, lambda: "mode=difference" in page.url and "level=-600" in page.url)
    state = page.evaluate("JSON.stringify(taskctView.state)")
    assert page.evaluate("taskctView.state.zoom") == 2.5
    other = show(page.url)
    assert other.evaluate("JSON.stringify(taskctView.state)") == state


def test_a_difference_of_nothing_is_grey_and_a_shift_is_not(show: Callable[..., Any], served: Callable[..., str]):
    case = lopsided("full")
    page = show(served(Layers(CtStudy(case, Simulation(beam=BEAM), beside=[lopsided("low").with_hu(case.hu + 50)]))))
    page.keyboard.press("c")
    page.keyboard.press("d")  # -100 to 100 HU
    ready(page, 2)
    until(page, lambda: np.abs(grey(page, 1, 15, 25) - 191).max() <= 2)
    assert page.inner_text(".panel:nth-child(2) .name") == "low, minus the reference"


def test_the_mouse_sets_the_window_and_moves_the_image(show: Callable[..., Any], served_ct: str):
    page = show(served_ct)
    box = page.locator(".panel canvas").bounding_box()
    x, y = box["x"] + 300, box["y"] + 300
    for button, names in (("right", ("level", "width")), ("left", ("x", "y"))):
        before = page.evaluate("({...taskctView.state})")
        page.mouse.move(x, y)
        page.mouse.down(button=button)
        page.mouse.move(x + 40, y + 30, steps=3)
        page.mouse.up(button=button)
        after = page.evaluate("({...taskctView.state})")
        assert {name for name in before if before[name] != after[name]} == set(names)


def test_three_planes_are_drawn_where_there_is_webgl(show: Callable[..., Any], served_ct: str):
    page = show(served_ct)
    page.keyboard.press("t")
    until(page, lambda: re.match("ready|This browser|three planes cannot", page.inner_text("#three-note")) is not None)
    said = page.inner_text("#three-note")
    assert "cannot" not in said
    if said.startswith("ready"):
        picture = np.asarray(Image.open(io.BytesIO(page.locator("#gl").screenshot())).convert("L"))
        assert (picture > 100).mean() > 0.02


def test_an_unfinished_run_says_so_first(show: Callable[..., Any], served: Callable[..., str], run_folder: Path):
    studies = studies_of_table(Table.read(run_folder), title="run", unfinished="unfinished: 3 steps done")
    page = show(served(*(Layers(study) for study in studies)), width=390)
    ready(page, 3)
    assert page.inner_text("#unfinished") == "unfinished: 3 steps done"
    assert "(unfinished)" in page.inner_text("#study")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_names_doses_and_scores_are_whole_at_both_widths(
    show: Callable[..., Any], served: Callable[..., str], run_folder: Path
):
    (study, *_) = studies_of_table(Table.read(run_folder), title="run")
    address = served(Layers(study))
    for width in (1400, 390):
        page = show(address, width=width, height=700)
        ready(page, 3)
        until(page, lambda page=page: page.locator(".panel .score").nth(1).inner_text() != "")
        cut = page.evaluate(
            """[...document.querySelectorAll('.panel p, #dose-name, #dose-ticks span')].filter(
            e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline'
            || getComputedStyle(e).textOverflow === 'ellipsis' || getComputedStyle(e).whiteSpace === 'nowrap').length"""
        )
        assert cut == 0
        name, canvas, score = (page.locator(f".panel {part}").nth(1).bounding_box() for part in (".name", "canvas", ".score"))
        assert (
            name["y"] + name["height"] <= canvas["y"] + 1 and canvas["y"] + canvas["height"] <= score["y"] + 1
        )  # none is hidden
        dose = page.inner_text("#dose-name").replace("\u202f", " ")
        assert re.fullmatch(r"[\d.]+ %, [\d ]+ photons", dose) and dose in page.locator(".panel .name").nth(
            1
        ).inner_text().replace("\u202f", " ")


def test_the_page_asks_nothing_of_other_places(browser: Any, served_ct: str):
    page, asked = browser.new_page(), []
    page.on("request", lambda request: asked.append(urlsplit(request.url).netloc))
    page.goto(served_ct)
    ready(page)
    page.close()
    assert set(asked) == {urlsplit(served_ct).netloc}


def test_a_name_of_another_site_that_leads_here_is_refused(browser: Any, served_ct: str):
    page, place = browser.new_page(), urlsplit(served_ct)
    answer = page.goto(f"http://evil.example:{place.port}{place.path}")  # as after DNS rebinding: the browser asks 127.0.0.1
    assert answer.status == 403 and page.inner_text("body").strip() == "this viewer answers to 127.0.0.1 and localhost only"
    page.close()


@pytest.mark.skipif(not WRITE, reason="TASKCT_WRITE_SCREENSHOTS=1 draws the pictures of the documentation")
def test_pictures_of_the_documentation(show: Callable[..., Any], served: Callable[..., str], tmp_path: Path):
    methods = {"fbp": {"method": "fbp"}, "hann": {"method": "fbp", "window": "hann"}}
    dose = {"fractions": [1, 0.5, 0.25, 0.1, 0.05]}
    (study,) = open_studies(plan_view(["phantom:abdomen:3"], {"methods": methods, "dose": dose}))
    page = show(served(Layers(study)), width=1400, height=800)
    for _ in range(3):
        page.keyboard.press("[")
    page.locator("#methods input").nth(2).check()
    page.keyboard.press("p")
    ready(page, 3)
    point(page, 0, 118, 84)
    page.wait_for_timeout(8000)  # the scores of the other doses
    picture(page, "viewer_ct.png")

    networks = {
        "FBP, Hann": methods["hann"],
        "abdomen-unet": {"method": "abdomen-unet"},
        "abdomen-lpd-label": {"method": "abdomen-lpd-label"},
    }
    trained = plan_view(
        ["phantom:abdomen:3"], {"methods": networks, "slices": "4:5", "dose": {"fractions": [1, 0.25]}}
    ).scanned
    assert trained is not None
    table = run_plan(trained, tmp_path / "run", progress=False)
    (run,) = studies_of_table(table, title="networks of the package")
    page = show(served(Layers(run, {"abdomen-reader": load_reader("abdomen-reader")})), width=1400, height=800, scheme="dark")
    ready(page, 4)
    page.select_option("#probability", label="tumour")
    page.evaluate("Object.assign(taskctView.state, {zoom: 1.7})")
    page.keyboard.press("2")
    page.keyboard.press("2")
    ready(page, 4)
    page.wait_for_timeout(5000)
    picture(page, "viewer_run.png")


def picture(page: Any, name: str) -> None:
    """A screenshot in the documentation, in at most 256 colours."""
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(256).save(ROOT / "docs/figures" / name, optimize=True)
