"""A user's chest CT: crops lie where the lungs are, what is seen goes back to its place, files and page say what they are."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import torch
from chest_runs import TINY, chest_with_ball, network
from torch import Tensor
from torch.nn import functional

from taskct.core.errors import InputError, UnsupportedDataError
from taskct.core.runs import Run
from taskct.data import chest_cavity
from taskct.data.case import Case
from taskct.data.dicom.derived_series import write_series
from taskct.data.lungs import find_lungs
from taskct.data.marked_set import open_marked
from taskct.data.nifti import write_nifti, write_nifti_labels
from taskct.data.open import open_case
from taskct.systems.chest import own_ct
from taskct.systems.chest.chest_classes import SLICE_MM
from taskct.systems.chest.chest_net import ChestNetConfig, ChestReader, load_reader
from taskct.systems.chest.chest_settings import ChestExperiment
from taskct.systems.chest.own_crops import CROP, OwnCrops
from taskct.systems.chest.own_ct import read_chest, read_own_chest
from taskct.systems.chest.own_lesions import OwnAnswers, OwnLesion, merged, on_one_place, read_crops_of_ct
from taskct.systems.chest.own_page import _extent_mm, doubts, headline, own_page, shown_in, shown_lesions, slices_that_matter
from taskct.task import FoundBoxes

AT_MM, RADIUS_MM = (10.0, 12.0, -62.0), 9.0  # of a nodule in the right lung, (z, y, x)


@pytest.fixture(scope="module")
def chest() -> Case:
    """A built-in chest about a bright ball in its right lung."""
    return chest_with_ball(AT_MM, RADIUS_MM)


@dataclass(frozen=True)
class BrightReader:
    """Stands for a network: what is bright in the middle slice is a nodule, in area, box and finding."""

    config: ChestNetConfig = TINY

    def answers(self, mu: Tensor) -> dict[str, Any]:
        bright = (mu[:, self.config.neighbours] > 0.026).float()  # 1/mm; 350 HU
        areas = functional.one_hot(bright.long(), 5).permute(0, 3, 1, 2).float()
        return {
            "classify": torch.stack([bright.flatten(1).amax(1) * 8 - 4, *[torch.full((len(mu),), -6.0)] * 2], 1),
            "segment": areas,
            "detect": {"bright": bright},
        }

    def boxes(self, answer: dict[str, Tensor], *, threshold: float) -> list[FoundBoxes]:
        found = []
        for one in answer["bright"]:
            at = one.nonzero().float()
            corners = torch.cat([at.amin(0), at.amax(0) + 1])[None] if len(at) else torch.zeros(0, 4)
            found.append(FoundBoxes(corners, torch.zeros(len(corners), dtype=torch.int64), torch.full((len(corners),), 0.8)))
        return found


@pytest.fixture
def bright(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    about = own_ct.open_chest_network(network(tmp_path / "net"))[1]
    monkeypatch.setattr(own_ct, "open_chest_network", lambda _: (BrightReader(), about))


@pytest.mark.usefixtures("bright")
def test_what_is_seen_comes_back_at_its_place_in_the_patient(chest: Case) -> None:
    found = read_chest(chest)
    truth = chest.hu > 500
    said = found.labels == 1  # type: ignore[operator]
    assert 2 * float((said & truth).sum()) / float(said.sum() + truth.sum()) > 0.75  # pixels of 4 mm, a ball of 9
    (lesion,) = found.lesions
    place = own_ct.world_mm(chest, lesion.middle_mm)[::-1]
    assert np.abs(place - AT_MM).max() < 3 and lesion.side == "right lung"
    assert abs(lesion.diameter_mm - 2 * RADIUS_MM) < 5 and abs(lesion.high_mm[0] - lesion.low_mm[0] - 2 * RADIUS_MM) < 6
    assert found.findings[0].name == "nodule" and found.findings[0].score > 0.9
    assert found.findings[0].side == "right lung" and found.findings[1].score < 0.1


@pytest.mark.usefixtures("bright")
@pytest.mark.parametrize("axes", [(1, 2), (0, 1)])
def test_boxes_and_heights_of_a_turned_ct_lie_where_the_lesion_is(chest: Case, axes: tuple[int, int], tmp_path: Path) -> None:
    # two opposite corners were turned: at 30 degrees, boxes had half their height; heights were those of a corner of the slice
    turn, (a, b) = np.eye(4), axes
    turn[[a, a, b, b], [a, b, a, b]] = np.sqrt(0.75), -0.5, 0.5, np.sqrt(0.75)
    turned = replace(chest, affine_mm=turn @ chest.affine_mm)
    found = read_chest(turned)
    own_ct.write_own_chest(found, tmp_path, seg_of=None)
    (row,) = csv.DictReader((tmp_path / "lesions.csv").open())
    low, high = ([float(row[f"{axis}_{end}_mm"]) for axis in "zyx"] for end in ("min", "max"))
    centre = turn[:3, :3] @ AT_MM
    assert np.abs(np.add(low, high) / 2 - centre).max() < 3.5
    (one,) = found.lesions
    sides = np.abs(turn[:3, :3]) @ np.subtract(one.high_mm, one.low_mm)
    assert np.allclose(np.subtract(high, low), sides, atol=0.02)
    nodule = next(csv.DictReader((tmp_path / "findings.csv").open()))
    box = next(iter(found.lungs.boxes.values()))
    middle = [found.findings[0].z_mm / 6, (box[1] + box[4] - 1) / 2, (box[2] + box[5] - 1) / 2, 1]
    assert float(nodule["z_mm"]) == pytest.approx((turned.affine_mm @ middle)[0], abs=0.06)  # type: ignore[operator]


@pytest.mark.usefixtures("bright")
def test_what_is_marked_outside_of_the_ribs_is_left_out_and_said(chest: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chest_cavity, "BONE_HU", 2000.0)  # what the stand-in network marks is as dense as bone
    z, y, x = (torch.arange(n) for n in chest.hu.shape)
    skin = int((chest.hu[:, :, x[len(x) // 4]] > -400).nonzero()[:, 1].min())  # the front of the right breast
    ball = (z[:, None, None] - len(z) // 2) ** 2 + (y[:, None] - skin - 4) ** 2 + (x - len(x) // 4) ** 2 < 3**2
    found = read_chest(replace(chest, hu=torch.where(ball, torch.tensor(900.0), chest.hu)))
    alone = read_chest(chest)
    assert len(found.lesions) == len(alone.lesions) == 1 and not alone.left_out
    assert torch.equal(found.labels > 0, alone.labels > 0)  # type: ignore[operator]
    assert re.fullmatch(
        r"1 box and areas of \d+\.\d ml that the network marked outside of the ribs were left out", found.left_out
    )
    assert doubts(found)[-1] == f"{found.left_out}."


@pytest.mark.usefixtures("bright")
def test_heads_that_contradict_each_other_are_named_and_the_headline_is_no_probability(chest: Case) -> None:
    found = read_chest(chest)
    assert not any("contradict" in words for words in doubts(found)) and headline(found).startswith(
        "The network suspects: nodule"
    )
    answers = replace(found.answers, labels=(4 * (found.labels == 1)).short())  # type: ignore[operator]
    other = replace(found, answers=answers)
    (words,) = [words for words in doubts(other) if "contradict" in words]
    assert re.search(r"one outlines \d\.\d ml of effusion, the other gives effusion a score of 0\.00", words)
    none = replace(found, answers=replace(found.answers, findings=found.findings[1:]))
    assert headline(none).startswith("The network suspects nothing that it knows.") and "%" not in headline(found)


def test_boxes_on_one_place_are_one_lesion_of_each_kind() -> None:
    box = lambda kind, score, low, high, x: OwnLesion(kind, score, "right lung", (low, 10.0, x), (high, 20.0, x + 10.0))
    first, above = box("nodule", 0.7, 0.0, 6.0, 30.0), box("nodule", 0.4, 6.0, 12.0, 33.0)
    beside, far = box("nodule", 0.5, 0.0, 6.0, 39.5), box("nodule", 0.3, 15.0, 20.0, 30.0)
    other = box("infection", 0.6, 2.0, 4.0, 31.0)
    kept = merged([first, other, beside, above, far], step_mm=2.0)
    assert kept == [replace(first, high_mm=(12.0, *first.high_mm[1:])), other, beside, far]
    assert on_one_place(first, other) and not on_one_place(first, beside) and not on_one_place(above, far)


@pytest.mark.usefixtures("bright")
def test_the_page_gives_a_place_one_number_whatever_its_kinds(chest: Case) -> None:
    found = read_chest(chest)
    (one,) = found.lesions
    both = replace(found, answers=replace(found.answers, lesions=(one, replace(one, kind="infection", score=0.35))))
    page = own_page(both, masks="none")
    assert "The score of a box, 0 to 1" in page and "is another one than the score of a finding" in page
    assert "nodule, or infection (0.35)" in page and [len(others) for _, others in shown_lesions(both)] == [1]


@pytest.mark.usefixtures("bright")
def test_a_picture_shows_the_box_of_its_lesion_on_the_pixels_of_the_lesion(chest: Case) -> None:
    # boxes lay half a pixel beside the picture, and a flat box between two slices was on neither
    found = read_chest(chest)
    (one,) = found.lesions
    flat = replace(one, low_mm=(33.0, *one.low_mm[1:]), high_mm=(35.0, *one.high_mm[1:]))  # slices lie at 30 and 36 mm
    found = replace(found, answers=replace(found.answers, lesions=(flat,)))
    assert [number for number in range(16) if shown_in(found, flat, number)] == [6] == slices_that_matter(found)[:1]
    left, right, low, high = _extent_mm(found, slice(10, 20), slice(0, 30))
    assert (left, right, low, high) == (-2.5, 147.5, 97.5, 47.5)  # pixels of 5 mm: the middle of the first one is 0


@pytest.mark.usefixtures("bright")
def test_files_are_read_again_as_what_they_say(chest: Case, tmp_path: Path) -> None:
    write_series(chest, tmp_path / "series")
    found = read_own_chest(tmp_path / "series", tmp_path / "out")
    again = open_case(tmp_path / "series", labels=tmp_path / "out" / "areas.dcm")
    assert torch.equal(again.labels > 0, found.labels > 0)  # type: ignore[operator]
    assert list(again.label_names.values()) == ["nodule"]
    (segment,) = pydicom.dcmread(tmp_path / "out" / "areas.dcm").SegmentSequence  # it was coded as an organ
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Nodule"
    write_nifti(open_case(tmp_path / "series"), tmp_path / "ct" / "chest.nii.gz")
    table = list(csv.DictReader((tmp_path / "out" / "lesions.csv").open()))
    (tmp_path / "ct" / "boxes.csv").write_text(
        (tmp_path / "out" / "lesions.csv").read_text().replace(table[0]["case"], "chest")
    )
    (read,) = open_marked(tmp_path / "ct", boxes=tmp_path / "ct" / "boxes.csv", kinds=["nodule", "infection"]).cases()
    corners = read.marks.boxes({"nodule": ["nodule"]}).corners[0]  # type: ignore[union-attr]
    where = (found.labels == 1).nonzero().float()  # type: ignore[operator]
    assert float((corners[:3] - where.amin(0)).abs().max()) <= 1.5
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Never tested on patients".lower() in page.lower() and "computed phantoms, no patients" in page
    assert "areas.dcm: DICOM SEG" in page and "data:image/svg" in page and "<script" not in page


@pytest.mark.usefixtures("bright")
def test_votes_of_readers_stand_beside_the_prediction(chest: Case, tmp_path: Path) -> None:
    truth = (chest.hu > 500).short()
    write_nifti(chest, tmp_path / "ct.nii.gz")
    write_nifti_labels(replace(chest, labels=3 * truth), tmp_path / "votes.nii.gz")
    found = read_own_chest(tmp_path / "ct.nii.gz", tmp_path / "out", votes=tmp_path / "votes.nii.gz")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Beside the readers" in page and 'alt="votes of readers"' in page and "what the network says" in page
    from taskct.systems.chest.own_page import beside_readers

    rows = beside_readers(found)
    assert [row["readers"] for row in rows] == [1, 2, 3] and rows[2]["dice"] > 0.75 and rows[0]["hu"] == 900


@pytest.mark.usefixtures("bright")
def test_votes_may_be_none_at_all_and_are_counts_of_readers(chest: Case, tmp_path: Path) -> None:
    write_nifti(chest, tmp_path / "ct.nii.gz")
    truth = (chest.hu > 500).short()
    for factor in (0, 255):
        write_nifti_labels(replace(chest, labels=factor * truth), tmp_path / f"{factor}.nii.gz")
    read_own_chest(tmp_path / "ct.nii.gz", tmp_path / "out", votes=tmp_path / "0.nii.gz")
    assert "No reader marked anything." in (tmp_path / "out" / "report.html").read_text()
    with pytest.raises(InputError, match=r"255.nii.gz: expected how many readers marked each sample, 0 to 16, got 255"):
        read_own_chest(tmp_path / "ct.nii.gz", tmp_path / "other", votes=tmp_path / "255.nii.gz")


def test_a_network_without_some_heads_leaves_their_parts_out(chest: Case, tmp_path: Path) -> None:
    found = read_chest(chest, network=network(tmp_path / "net", tasks=("classify",)))
    assert found.labels is None and not found.lesions and len(found.findings) == 3
    found = read_chest(chest, network=network(tmp_path / "other", tasks=("segment",)))
    assert not found.findings and found.labels is not None


def test_a_phantom_of_water_and_another_network_are_refused(tmp_path: Path) -> None:
    water = torch.full((6, 40, 40), 20.0).index_fill(1, torch.arange(4), -1000.0)
    with pytest.raises(UnsupportedDataError, match="not a CT of the chest"):
        read_chest(Case(water, (5.0, 4.0, 4.0), "water"), network=network(tmp_path / "net"))
    other = Run.create(tmp_path / "other", {"reader": {"net": "unet_thin"}})
    with pytest.raises(InputError, match=r"not a chest network: its config has no \[chest\] table"):
        read_chest(Case(water, (5.0, 4.0, 4.0)), network=other.folder)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("pixel_mm = 2.0", "pixel_m = 2.0", "unknown setting 'pixel_m'"),
        ("pixel_mm = 2.0", "pixel_mm = 0.0", "expects pixel_mm and cell_mm above 0"),
        ("cell_mm = 4.0", "cell_mm = inf", "expects pixel_mm and cell_mm above 0"),
        ("fold = 2", "fold = 0", "fold >= 1"),
        ("slice_mm = 4.65", "slice_mm = 0.0", "slice_mm above 0"),
        ("slice_mm = 4.65", "slice_mm = nan", "slice_mm above 0"),
        ("tasks = [", 'tasks = ["classify", ', "each task once"),
    ],
)
def test_a_config_that_builds_no_network_is_named_with_its_place(tmp_path: Path, old: str, new: str, words: str) -> None:
    place = network(tmp_path / "net") / "config.toml"
    place.write_text(place.read_text().replace(old, new))
    with pytest.raises(InputError, match=f"net: .*{words}"):
        own_ct.open_chest_network(tmp_path / "net")


def test_a_network_that_answers_nan_is_refused_and_sees_not_nothing(chest: Case, tmp_path: Path) -> None:
    reader = load_reader(network(tmp_path / "net"))
    with torch.no_grad():
        next(iter(reader.net.heads["classify"].parameters())).fill_(torch.nan)
    crops = OwnCrops.of(chest, find_lungs(chest), pixel_mm=2.0)
    with pytest.raises(InputError, match="the chest network answers NaN"):
        read_crops_of_ct(reader, crops)


def test_seg_is_refused_for_what_is_no_dicom(chest: Case, tmp_path: Path) -> None:
    write_nifti(chest, tmp_path / "ct.nii.gz")
    with pytest.raises(InputError, match="not a DICOM series, so no SEG can refer to it"):
        read_own_chest(tmp_path / "ct.nii.gz", tmp_path / "out", network=network(tmp_path / "net"), masks="seg")
    assert not (tmp_path / "out").exists()


def test_crops_have_the_pixels_and_the_slices_of_training(chest: Case) -> None:
    crops = OwnCrops.of(chest, find_lungs(chest), pixel_mm=2.0)
    right, left = crops.windows
    assert right.shape[0] >= CROP[0] and all(n % 8 == 0 for n in (*right.shape, *left.shape))
    assert crops.apart * crops.step_mm == pytest.approx(SLICE_MM)
    stack = crops.stack(right, [0, 5], 1)
    assert tuple(stack.shape) == (2, 3, *right.shape)
    assert torch.equal(stack[0, 2], crops.stack(right, [crops.apart], 1)[0, 1])  # the neighbour above is that slice
    air = crops.stack(left, [3], 0)
    assert 0.0 <= float(air.min()) < 0.006 and float(air.max()) > 0.018  # lung and soft tissue in 1/mm


@pytest.mark.parametrize("slice_mm", [4.65, 9.3, 18.6])
def test_a_network_sees_slices_at_the_distance_of_its_own_training(
    chest: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slice_mm: float
) -> None:
    made: list[OwnCrops] = []

    def kept(reader: ChestReader, crops: OwnCrops) -> OwnAnswers:
        made.append(crops)
        return read_crops_of_ct(reader, crops)

    monkeypatch.setattr(own_ct, "read_crops_of_ct", kept)
    place = network(tmp_path / "net", slice_mm=slice_mm)
    read_chest(chest, network=place)
    assert made[0].apart * made[0].step_mm == pytest.approx(slice_mm)
    config = place / "config.toml"  # of a network that was trained before its distance was kept
    config.write_text("".join(line for line in config.read_text().splitlines(keepends=True) if "slice_mm" not in line))
    assert own_ct.open_chest_network(place)[0].config.slice_mm == SLICE_MM


def test_a_training_keeps_the_distance_of_its_slices(tiny_run: Path, tiny_settings: ChestExperiment) -> None:
    assert load_reader(tiny_run / "first-0").config.slice_mm == pytest.approx(tiny_settings.slice_mm)


@pytest.mark.real_data
def test_a_real_chest_is_read_beside_its_readers(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "chest_lidc0314_nodule"
    case = open_case(folder / "ct.nii.gz", labels=folder / "nodule_votes_0to4.nii.gz").take(slice(40, 60, 5))
    found = read_chest(case, network=network(tmp_path / "net"), votes=case.labels)
    own_ct.write_own_chest(found, tmp_path, seg_of=None)
    page = (tmp_path / "report.html").read_text()
    assert found.votes is not None and int(found.votes.max()) == 4
    assert "the lungs reach the lowest slice" in page and 'alt="votes of readers"' in page and "what the network says" in page


def test_reader_type_is_that_of_the_chest_system(tmp_path: Path) -> None:
    reader, about = own_ct.open_chest_network(network(tmp_path / "net"))
    assert isinstance(reader, ChestReader) and about.name == "net"
