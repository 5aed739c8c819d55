"""The row of pictures: one key away are the differences, without a script; seen in Chromium where one is installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from taskct.report import write_report
from taskct.report.first_screen import figure_row, with_difference
from taskct.report.pictures import difference_window, half_width_hu, to_grey

BROWSER = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)


def test_a_row_without_differences_has_no_control_and_one_without_figures_is_nothing() -> None:
    assert figure_row([], "about") == ""
    assert figure_row(["<figure></figure>"], "about.", "Window.") == (
        "<div class='row'><figure></figure></div><p class='key'>about. Window.</p>"
    )


def test_the_control_stands_before_the_row_and_the_line_that_it_changes() -> None:
    html = figure_row([with_difference("<img a>", "<img b>")], "about.", "Window.", difference="Differences.", kind="zoomed")
    places = [html.index(part) for part in ("<input type='checkbox'", "<label for='differences'", "<div class='row zoomed'>",
                                            "<div class='plain'><img a>", "<div class='minus'><img b>", "<p class='key'>",
                                            "<span class='plain'>Window.", "<span class='minus'>Differences.")]  # fmt: skip
    assert places == sorted(places)
    assert "accesskey='d'" in html and "Show differences from full dose (key D)" in html


def test_no_difference_is_the_middle_grey_and_the_window_is_symmetric() -> None:
    half_hu = half_width_hu([torch.full((4, 4), -70.0)])
    assert half_hu == 100 and half_width_hu([]) == 100
    values = torch.tensor([[-100.0, 0.0, 100.0]])
    assert to_grey(values, difference_window(half_hu)).tolist() == [[0, 128, 255]]


@pytest.fixture(scope="module")
def seen(table_of: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    if BROWSER is None:
        pytest.skip("no Chromium is installed")
    path: Path = tmp_path_factory.mktemp("first") / "page.html"
    write_report(table_of({"FBP": (20.0, 40.0), "TV": (15.0, 22.0)}), path)
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.goto(path.as_uri())
        yield page
        browser.close()


def _visible(page: Any) -> list[int]:
    """How many images, and how many differences, of the row are seen."""
    return [sum(one.is_visible() for one in page.query_selector_all(f".row .{kind} img")) for kind in ("plain", "minus")]


def test_the_keyboard_swaps_images_and_differences_and_paper_shows_the_images(seen: Any) -> None:
    assert _visible(seen) == [4, 0]
    seen.keyboard.press("Tab")
    seen.keyboard.press("Space")
    assert _visible(seen) == [0, 4] and "Differences from full dose: grey 0 HU" in seen.inner_text(".switched > .key")
    seen.emulate_media(media="print")
    assert _visible(seen) == [4, 0] and not seen.is_visible("#differences")
    assert len({one.bounding_box()["y"] for one in seen.query_selector_all(".row figure")}) == 1  # one row on paper
    seen.emulate_media(media="screen")
    seen.uncheck("#differences")
    keys = seen.context.new_cdp_session(seen)  # playwright's own Alt+D has no text, by which the browser finds access keys
    for kind in ("keyDown", "keyUp"):
        keys.send("Input.dispatchKeyEvent", {"type": kind, "modifiers": 1, "key": "d", "code": "KeyD", "unmodifiedText": "d"})
    assert seen.is_checked("#differences") and _visible(seen) == [0, 4]


def test_the_page_is_no_wider_than_a_telephone_and_its_links_open_what_is_folded(seen: Any) -> None:
    links = seen.query_selector_all("nav a")
    for link in links:
        link.click()
    assert len(seen.query_selector_all("details.fold[open]")) == len(links) > 5
    assert seen.evaluate("document.documentElement.scrollWidth") == 390
