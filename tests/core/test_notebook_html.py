"""What a notebook displays of the nouns of taskct: short, escaped, and true."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

import taskct
from taskct.core.notebook_html import fact_card, small_picture

GRID = taskct.Grid((64, 64), 5.6)
FAN = taskct.FanBeam(views=30, cols=110, pixel_mm=7, source_iso_mm=595, source_detector_mm=1085.6)


@pytest.fixture(scope="module")
def nouns() -> dict[str, tuple[object, str, str]]:
    """Name -> (the noun, what its short text holds, what its HTML holds)."""
    case = taskct.phantom_case("abdomen", shape=(2, 64, 64), spacing_mm=(5.0, 5.6, 5.6))
    p = torch.zeros(2, 1, 30, 110)
    model = taskct.open_model("abdomen-unet")
    assert model.card is not None
    return {
        "case": (case, "Case('abdomen-0', 2 x 64 x 64 of 5 x 5.6 x 5.6 mm, labels: liver,", "<th scope"),
        "scan": (taskct.Scan(p, FAN, GRID, taskct.Dose(1e5)), "p (2, 1, 30, 110), FanBeam", "(slices, 1, view, column)"),
        "grid": (GRID, "Grid(shape=(64, 64)", "-179.2 to 179.2"),
        "fan": (FAN, "FanBeam(views=30", "source_detector_mm</th><td>1085.6"),
        "vectors": (
            taskct.bi_planar(rows=8, cols=8, pixel_mm=1.0, source_iso_mm=50, source_detector_mm=100),
            "VectorBeam(2 views, 8 x 8 pixels, a source for each)",
            "<td>2",
        ),
        "projector": (taskct.Projector(GRID, FAN), "Projector((64, 64) <-> (30, 110)", "(B, 1, 30, 110)"),
        "dose": (taskct.Dose(1e5, 0.25), "Dose(photons=100000.0, fraction=0.25", "photons used</th><td>25000"),
        "network": (model, "SavedModel('abdomen-unet': FBP + U-Net", "learnt from built-in patients only"),
        "card": (model.card, "Card(reconstruction: 'FBP + U-Net", "learnt from built-in patients only"),
    }


NAMES = ("case", "scan", "grid", "fan", "vectors", "projector", "dose", "network", "card")


@pytest.mark.parametrize("name", NAMES)
def test_a_noun_says_what_it_is_in_one_short_line_and_in_a_notebook_as_a_card(
    name: str, nouns: dict[str, tuple[object, str, str]]
) -> None:
    assert set(nouns) == set(NAMES)
    noun, words, html = nouns[name]
    assert words in repr(noun) and len(repr(noun)) < 300 and "\n" not in repr(noun)
    shown = noun._repr_html_()  # type: ignore[attr-defined]
    assert html in shown and shown.startswith('<div class="taskct"') and len(shown) < 60_000


def test_text_of_files_cannot_become_html_in_a_notebook() -> None:
    hostile = taskct.Case(torch.zeros(1, 4, 4), (1.0, 1.0, 1.0), case_id="<script>x</script>", patient_id="<b>")
    assert "<script>" not in hostile._repr_html_() and "&lt;script&gt;" in hostile._repr_html_()
    assert "<i>" not in fact_card("<i>", {"<i>": "<i>"}, picture="data:", alt="<i>")


def test_the_small_picture_shows_the_window_and_is_never_larger_than_its_side() -> None:
    values = np.linspace(0, 1, 400 * 300).reshape(400, 300)
    picture = Image.open(io.BytesIO(base64.b64decode(small_picture(values, 0.25, 0.75).split(",")[1])))
    assert max(picture.size) <= 160
    grey = np.asarray(picture)
    assert grey[0, 0] == 0 and grey[-1, -1] == 255 and abs(int(grey[len(grey) // 2, 0]) - 128) <= 2
