from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from taskct.core.errors import ConfigError, InputError, OutputExistsError
from taskct.evaluation import WINDOWS, Example, Table
from taskct.report import write_report
from taskct.report.pictures import Encoder, Region, choose_window, choose_zoom, to_grey
from taskct.report.report_page import MAX_PAGE_BYTES

ERRORS = {"FBP": (20.0, 40.0), "TV": (15.0, 22.0)}
VOID = {"meta", "img", "br", "col", "link", "input", "hr"}
SHAPES = {"rect", "line"}


class Checker(HTMLParser):
    """Collects tags, text and addresses, and refuses tags that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.addresses += [v for k, v in attrs if k in ("src", "href", "action", "data")]
        assert not any(k.startswith("on") for k, _ in attrs)
        if tag not in VOID | SHAPES:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in SHAPES:
            assert self.open.pop() == tag


def page_of(table, tmp_path, **arguments) -> str:
    path = tmp_path / "report.html"
    write_report(table, path, overwrite=True, **arguments)
    assert path.stat().st_size < MAX_PAGE_BYTES
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def plain_page(table_of, tmp_path_factory) -> str:
    return page_of(table_of(ERRORS), tmp_path_factory.mktemp("report"), title="Dose study")


def test_the_page_is_one_file_without_scripts_or_addresses(plain_page):
    checked = Checker(plain_page)
    assert "script" not in checked.tags and "link" not in checked.tags and "iframe" not in checked.tags
    assert all(a.startswith(("data:", "#")) for a in checked.addresses)


def first_screen_of(html: str) -> str:
    return html[html.index("<body>") : html.index("<details")]


def test_the_page_begins_with_sentence_pictures_and_table_and_folds_the_rest(plain_page):
    first = first_screen_of(plain_page)
    places = [first.index(part) for part in ("class='answer'", "class='row zoomed'", "first-table", "<nav>")]
    assert places == sorted(places) and first.count("class='answer'") == 1 and "unfinished" not in first
    row = first[places[1] : places[2]]
    assert re.findall(r"<figcaption>([^<]*)", row) == ["full dose", "FBP", "TV"]
    assert re.findall(r'alt="([^"]*)"', row)[2:6] == [
        f"FBP at 10\u202f% dose{more}: case-0, slice 0"
        for more in ("", " minus full dose", ", zoomed", " minus full dose, zoomed")
    ]
    anchors = re.findall(r'<a href="#([a-z]+)"', first)
    assert "words" in anchors and all(f'<div id="{anchor}"' in plain_page for anchor in anchors)
    assert plain_page.count("<details class='fold'>") == len(anchors)


def test_of_many_methods_the_first_screen_shows_the_baseline_and_the_best(table_of, tmp_path):
    names = {f"M{k}": (20.0 + k, 40.0 - k) for k in range(10)}
    first = first_screen_of(page_of(table_of(names), tmp_path))
    assert re.findall(r"<figcaption>([^<]*)", first) == ["full dose", "M0", "M6", "M7", "M8", "M9"]
    rows = re.findall(r"<th scope='row'>(\w+)", first)
    assert len(rows) == 8 and rows[0] == "M0" and rows[-1] == "M9" and "8 of 10 methods; all stand below." in first


def test_an_unfinished_evaluation_says_first_what_it_lacks(table_of, tmp_path):
    table = table_of(ERRORS, notes={"not evaluated": ["case-bad"]})
    rows = [r for r in table.rows if (r.method, r.dose_fraction) != ("TV", 0.1)]
    html = page_of(Table(rows, table.settings, [*table.cases, {"case_id": "case-99"}], table.notes), tmp_path)
    said = "Unfinished: 3 parts of this evaluation are not done yet (case-bad, case-99, TV at 10\u202f% dose)"
    assert html.index(said) < html.index("class='answer'")


def test_the_page_holds_every_part(plain_page):
    html = plain_page
    for part in ("Dose study", "Methods and doses", "Dose curves", "Images", "Profiles", "Cases", "Protocol", "Provenance"):
        assert part in html
    assert "Difference: reconstruction minus truth, ±" in html
    assert "data range per image" in html and "samples in the field of view" in html
    assert "Expanded percentile interval" in html and "100, 10 % of 1×10⁵ photons" in html


def test_user_text_cannot_become_markup(table_of, tmp_path):
    evil = '<script>alert("1")</script>&"\'$x^2$'
    table = table_of({evil: (20.0, 40.0), "TV": (15.0, 22.0)}, notes={evil: {evil: evil}, "tuning": {evil: 1.0}})
    rows = [r._replace(case=evil, patient=evil, region=evil if r.metric == "bias_hu" else "all") for r in table.rows]
    cases = [{"case_id": evil, "patient_id": evil, "shape": [1], "slices": [0], "provenance": {evil: evil}}]
    image = table.images[0]
    images = [Example(evil, 0, image.spacing_mm, image.truth_hu, image.recon_hu, image.labels, None, {1: evil})]
    settings = table.settings | {"slices": evil, "simulation": evil, "methods": {evil: evil}}
    settings["metrics"] = {k: v | {"label": evil, "definition": evil} for k, v in table.settings["metrics"].items()}
    made = Table(rows, settings, cases, table.notes, {evil: evil, "versions": {"taskct": evil}}, images)
    html = page_of(made, tmp_path, title=evil)
    checked = Checker(html)
    assert "script" not in checked.tags and "<script" not in html and "alert(&quot;1&quot;)" in html


def test_the_embedded_csv_is_the_table(table_of, plain_page):
    packed = re.search(r"data:text/csv;charset=utf-8;base64,([A-Za-z0-9+/=]+)", plain_page).group(1)
    assert base64.b64decode(packed).decode() == table_of(ERRORS).csv_text()


def test_the_same_table_gives_the_same_page(table_of, plain_page, tmp_path):
    assert page_of(table_of(ERRORS), tmp_path, title="Dose study") == plain_page


def test_noisy_images_are_compressed_into_the_budget_and_the_page_says_so(table_of, plain_page, tmp_path, monkeypatch):
    assert "Lossless images." in plain_page
    monkeypatch.setattr("taskct.report.report_page._IMAGE_BYTES", 25_000)
    assert "compressed as JPEG" in page_of(table_of(ERRORS), tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: Table([r for r in t.rows if r.dose_fraction == 1.0], t.settings),
        lambda t: Table(t.rows),
        lambda t: Table([r._replace(item=None) for r in t.rows if r.case == "case-0" and r.item == 0]),
        lambda t: Table([r._replace(value=float("nan")) for r in t.rows]),
        lambda t: Table([r for r in t.rows if r.metric == "bias_hu"]),
        lambda t: Table([r for r in t.rows if r.method == "FBP"], t.settings | {"geometry": [{"beam": 1}]}),
        lambda t: Table([r._replace(photons=1e5 if r.dose_fraction == 1 else 1e4, dose_fraction=1.0) for r in t.rows]),
        lambda t: Table(t.rows, images=[Example("a", 0, (1, 2), torch.full((20, 30), -1000.0))]),
    ],
)
def test_odd_tables_still_make_a_page(table_of, tmp_path, change):
    Checker(page_of(change(table_of(ERRORS)), tmp_path))


def test_a_run_folder_can_be_reported_by_its_path(table_of, tmp_path):
    table_of({"FBP": (20.0, 40.0)}, images=0).save(tmp_path / "run")
    assert "patient-7" in page_of(str(tmp_path / "run"), tmp_path)


def test_refusals_say_what_to_do(table_of, tmp_path):
    table = table_of(ERRORS)
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(OutputExistsError, match="overwrite"):
        write_report(table, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text() == "mine"
    with pytest.raises(InputError, match="table with rows"):
        write_report(Table([]), tmp_path / "new.html")
    with pytest.raises(ConfigError, match="did you mean 'liver'"):
        write_report(table, tmp_path / "new.html", window="livre")
    with pytest.raises(InputError, match="zoom expects"):
        write_report(table, tmp_path / "new.html", zoom=(60, 60, 20))
    with pytest.raises(InputError, match="no such file"):
        write_report(tmp_path / "nothing", tmp_path / "new.html")
    assert not (tmp_path / "new.html").exists()


def test_a_window_maps_its_ends_to_black_and_white():
    hu = torch.tensor([[-5000.0, -160.0, 40.0, 240.0, 5000.0]])
    assert to_grey(hu, WINDOWS["soft tissue"]).tolist() == [[0, 0, 128, 255, 255]]


def test_windows_and_zoom_follow_what_the_slice_shows(table_of):
    table = table_of(ERRORS)
    example = table.images[0]
    assert choose_window(table, example) is WINDOWS["soft tissue"]
    trunk = torch.full((64, 64), -1000.0)
    trunk[8:56, 8:56] = 40.0
    chest, covered = trunk.clone(), trunk.clone()
    chest[16:48, 14:28] = chest[16:48, 36:50] = -850.0
    covered[:5], covered[59:] = -900.0, -850.0  # a blanket and a mattress, of which the patient has no part
    assert choose_window(table, Example("c", 0, (1.0, 1.0), chest)) is WINDOWS["lung"]
    assert choose_window(table, Example("c", 0, (1.0, 1.0), covered)) is WINDOWS["soft tissue"]
    zoom = choose_zoom(example, WINDOWS["soft tissue"])
    marked = zoom.of(example.labels)
    assert int(marked.sum()) == int(example.labels.sum())  # the lesion is inside
    unlabelled = Example("c", 0, (1.0, 1.0), example.truth_hu)
    assert zoom.of(unlabelled.truth_hu).shape == choose_zoom(unlabelled, WINDOWS["soft tissue"]).of(example.truth_hu).shape


def test_the_encoder_keeps_images_bit_exact_while_they_fit():
    from io import BytesIO

    from PIL import Image

    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    encoder = Encoder(10_000)
    html = encoder.replace(f'<img src="{encoder.add(grey)}">')
    packed = re.search(r"base64,([^\"]+)", html).group(1)
    assert np.array_equal(np.asarray(Image.open(BytesIO(base64.b64decode(packed)))), grey)
    assert Region(1, 3, 2, 6).shape == (2, 4)


def test_the_uid_of_the_original_series_is_never_in_the_page(table_of, tmp_path):
    table = table_of(ERRORS)
    origin = {"format": "DICOM", "series_uid": "1.2.840.99", "StudyInstanceUID": "1.2.840.98", "notes": "[]"}
    table.cases[:] = [c | {"provenance": origin} for c in table.cases]
    html = page_of(table, tmp_path)
    assert "1.2.840" not in html and "format: DICOM" in html and "notes: []" not in html


def test_the_page_has_the_error_without_noise_beside_the_share_of_noise(table_of, tmp_path):
    html = page_of(table_of(ERRORS, noise_free={name: 10.0 for name in ERRORS}), tmp_path)
    assert (
        "without noise, and the share of noise in the squared error at each dose" in html
        and "<th scope='col'>without noise" in html
    )
    assert "without noise, and the share" not in page_of(table_of(ERRORS), tmp_path)


def test_every_wide_table_scrolls_by_itself(plain_page):
    """On a narrow screen a table without a scrolling parent is cut off at the edge."""
    for kind in re.findall(r"(<div class='(?:scroll|wide)'>)?<table class='numbers", plain_page):
        assert kind


def test_every_picture_has_words_in_its_place(plain_page):
    pictures = re.findall(r'<img[^>]* alt=(["\'])(.*?)\1', plain_page)
    assert pictures and len(pictures) == plain_page.count("<img") and all(words for _, words in pictures)
