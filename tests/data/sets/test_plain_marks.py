"""Your own CT: masks with kinds that you name, tables of boxes and balls, negatives, and everything that does not fit."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from chest_sets import SHAPE, tiny_chest

from taskct.core.errors import DataError, InputError, TaskctError
from taskct.data.marked_set import open_marked
from taskct.data.nifti import write_nifti, write_nifti_labels

BOX_HEAD = "case,kind,x_min_mm,y_min_mm,z_min_mm,x_max_mm,y_max_mm,z_max_mm\n"
BALL_HEAD = "case,kind,x_mm,y_mm,z_mm,diameter_mm\n"
BOX = "-72,-32,-191.25,-60,-20,-183.75"  # pixels 10..12 of x, 15..17 of y, slices 4..6, their edges
NODULES = {"nodule": ["nodule"]}


def make_folder(root: Path, *, masks: bool = False) -> Path:
    for number in range(3):
        case = tiny_chest(number)
        write_nifti(case, root / "ct" / f"p{number}.nii.gz")
        if masks and number < 2:
            labels = torch.zeros(SHAPE, dtype=torch.int16)
            labels[3, 10:12, 10:12], labels[:, 40:, :5] = 1, 7
            write_nifti_labels(replace(case, labels=labels), root / "ct" / "masks" / f"p{number}.nii.gz")
    return root / "ct"


def table(root: Path, text: str) -> Path:
    (root / "boxes.csv").write_text(text)
    return root / "boxes.csv"


def test_boxes_in_mm_come_back_in_samples_and_unlisted_ct_are_unknown(tmp_path: Path) -> None:
    boxes = table(tmp_path, BOX_HEAD + f"p0,nodule,{BOX}\np1,,0,0,0,0,0,0\n")
    found = open_marked(make_folder(tmp_path), boxes=boxes, kinds=["nodule"])
    first, read, other = found.cases()
    assert first.marks is not None and read.marks is not None
    got = first.marks.boxes(NODULES)
    assert got is not None and got.corners.tolist() == [[4, 15, 10, 7, 18, 13]]
    assert read.marks.presence(NODULES).tolist() == [0.0] and other.marks is None
    assert found.left_out == (f"{tmp_path / 'ct'}: nothing is known of 1 of 3 CT (no mask, no row): p2",)


def test_unlisted_ct_are_negatives_when_you_say_so(tmp_path: Path) -> None:
    boxes = table(tmp_path, BOX_HEAD + f"p0,nodule,{BOX}\n")
    cases = list(open_marked(make_folder(tmp_path), boxes=boxes, kinds=["nodule"], unlisted="absent").cases())
    assert [c.marks.presence(NODULES).tolist() for c in cases] == [[1.0], [0.0], [0.0]]  # type: ignore[union-attr]


def test_ras_boxes_are_turned_and_ras_taken_for_lps_is_refused(tmp_path: Path) -> None:
    ras = ",".join(str(v) for v in (72, 32, -191.25, 60, 20, -183.75))
    boxes = table(tmp_path, BOX_HEAD + f"p0,nodule,{ras}\n")
    folder = make_folder(tmp_path)
    case = next(open_marked(folder, boxes=boxes, kinds=["nodule"], space="RAS").cases())
    assert case.marks.boxes(NODULES).corners.tolist() == [[4, 15, 10, 7, 18, 13]]  # type: ignore[union-attr]
    far = table(tmp_path, BOX_HEAD + f"p0,nodule,{ras.replace('72', '290').replace('60', '280')}\n")
    with pytest.raises(DataError, match=r"1 of 3 cases.*row 2: a box from .* reaches out of the CT .*LPS or RAS"):
        list(open_marked(folder, boxes=far, kinds=["nodule"]).cases())
    case = next(open_marked(folder, boxes=far, kinds=["nodule"], outside="skip").cases())
    assert any("left out" in n for n in case.provenance["notes"])


def test_balls_have_their_diameter(tmp_path: Path) -> None:
    boxes = table(tmp_path, BALL_HEAD + "p2.nii.gz,cyst,-66,-26,-187.5,1\n")
    *_, case = open_marked(make_folder(tmp_path), boxes=boxes, kinds=["cyst"]).cases()
    assert case.marks.boxes({"cyst": ["cyst"]}).corners.tolist() == [[5, 16, 11, 6, 17, 12]]  # type: ignore[union-attr]


def test_masks_have_the_kinds_that_you_name_and_no_others(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, masks=True)
    found = open_marked(folder, masks={1: "nodule"}, other_labels=[7])
    cases = list(found.cases())
    assert [c.marks is not None for c in cases] == [True, True, False]
    assert cases[0].marks.masked == {"nodule"} and len(cases[0].marks.kinds) == 1  # type: ignore[union-attr]
    with pytest.raises(DataError, match=r"2 of 3 cases.*its labels hold 7, of which no kind is named"):
        list(open_marked(folder, masks={1: "nodule"}).cases())


def test_masks_and_boxes_go_together_unless_they_speak_of_one_kind(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, masks=True)
    boxes = table(tmp_path, BOX_HEAD + f"p0,cyst,{BOX}\n")
    case = next(open_marked(folder, masks={1: "nodule", 7: "rib"}, boxes=boxes, kinds=["cyst"]).cases())
    marks = case.marks
    assert marks is not None and marks.masked == {"nodule", "rib"} and marks.boxed == {"nodule", "rib", "cyst"}
    assert marks.presence({"cyst": ["cyst"], "nodule": ["nodule"]}).tolist() == [1.0, 1.0]
    assert int((marks.instances == marks.numbers(["nodule"])[0]).sum()) == 4
    with pytest.raises(DataError, match="'cyst' comes from its label map and from the table"):
        list(open_marked(folder, masks={1: "cyst", 7: "rib"}, boxes=boxes, kinds=["cyst"]).cases())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOX_HEAD + f"p0,nodul,{BOX}\n", "unknown kind 'nodul'; did you mean 'nodule'"),
        (BOX_HEAD + f"p9,nodule,{BOX}\n", "1 row speaks of a CT that is not here, the first of 'p9'"),
        (BOX_HEAD + "p0,nodule,1,2,3,1,2,4\n", "row 2: an empty box or ball"),
        ("case,kind,x\np0,nodule,1\n", "expected the columns case, kind, x_min_mm"),
        (BOX_HEAD + "p0,nodule,a,2,3,1,2,4\n", "row 2: expected a finite number as x_min_mm"),
        ("", "an empty table"),
    ],
)
def test_rows_that_do_not_fit_are_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(TaskctError, match=words):
        next(open_marked(make_folder(tmp_path), boxes=table(tmp_path, text), kinds=["nodule"]).cases())


def test_the_layout_of_mosmed_pairs_masks_by_name(tmp_path: Path) -> None:
    for part, number in (("CT-0", 1), ("CT-1", 255)):
        write_nifti(tiny_chest(number), tmp_path / "studies" / part / f"study_{number:04d}.nii.gz")
    labels = torch.zeros(SHAPE, dtype=torch.int16)
    labels[2, 20:23, 14:18] = 1
    write_nifti_labels(replace(tiny_chest(255), labels=labels), tmp_path / "masks" / "study_0255_mask.nii.gz")
    found = open_marked(tmp_path, masks={1: "infection"})
    assert [c.marks is not None for c in found.cases()] == [False, True]
    assert "nothing is known of 1 of 2 CT" in found.left_out[0]


def test_a_name_that_stands_for_two_ct_is_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    for number in range(2):
        (folder / f"patient{number}").mkdir()
        (folder / f"p{number}.nii.gz").rename(folder / f"patient{number}" / "ct.nii.gz")
    (folder / "p2.nii.gz").unlink()
    boxes = table(tmp_path, BOX_HEAD + f"ct,nodule,{BOX}\n")
    with pytest.raises(InputError, match=r"row 2: 'ct' stands for 2 CT, .*patient0.ct.nii.gz and .*patient1.ct.nii.gz"):
        open_marked(folder, boxes=boxes, kinds=["nodule"])


def test_a_ct_without_lesions_by_one_row_and_with_one_by_another_is_refused(tmp_path: Path) -> None:
    boxes = table(tmp_path, BOX_HEAD + f"p0,nodule,{BOX}\np0,,0,0,0,0,0,0\n")
    with pytest.raises(InputError, match="row 3: says by an empty kind that 'p0' has no lesion"):
        open_marked(make_folder(tmp_path), boxes=boxes, kinds=["nodule"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"kinds": "nodule"}, "write kinds=\\['nodule'\\]"),
        ({"kinds": ["nodule", " "]}, "a kind of lesion expects a name"),
        ({"kinds": ["nodule"], "outside": "ignore"}, "unknown outside 'ignore'; one of refuse, skip"),
        ({"kinds": ["nodule"], "masks": {0: "nodule"}}, "0 is the background"),
        ({"kinds": ["nodule"], "masks": {"1": "cyst"}}, "label numbers from 1, each with its kind, got '1'"),
        ({"kinds": ["nodule"], "masks": {1: ""}}, "a kind of lesion expects a name"),
    ],
)
def test_words_that_cannot_be_meant_are_refused_before_any_ct_is_read(
    tmp_path: Path, words: dict[str, object], message: str
) -> None:
    boxes = table(tmp_path, BOX_HEAD + f"p0,nodule,{BOX}\n")
    with pytest.raises(InputError, match=message):
        open_marked(make_folder(tmp_path), boxes=boxes, **words)  # type: ignore[arg-type]


def test_a_table_of_boxes_and_balls_at_once_is_refused(tmp_path: Path) -> None:
    head = BOX_HEAD.strip() + ",x_mm,y_mm,z_mm,diameter_mm\n"
    with pytest.raises(InputError, match="columns of boxes and those of balls"):
        open_marked(make_folder(tmp_path), boxes=table(tmp_path, head + f"p0,nodule,{BOX},0,0,0,5\n"), kinds=["nodule"])


def test_a_box_that_masks_cover_whole_is_said(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, masks=True)  # its nodule: slice 3, pixels 10 and 11 of y and x
    case = tiny_chest(0)
    assert case.affine_mm is not None
    ends = [(case.affine_mm @ [3, n, n, 1.0])[:3][::-1] for n in (9.6, 10.4)]
    low, high = ([f(a, b) for a, b in zip(*ends, strict=True)] for f in (min, max))
    row = ",".join(f"{v:.3f}" for v in (*low[:2], low[2] - 1, *high[:2], high[2] + 1))
    boxes = table(tmp_path, BOX_HEAD + f"p0,infection,{row}\n")
    found = open_marked(folder, masks={1: "nodule"}, other_labels=[7], boxes=boxes, kinds=["infection"])
    case = next(found.cases())
    assert case.marks is not None and set(case.marks.kinds.values()) == {"nodule"}
    assert any("1 box, the first of kind infection, is covered whole" in n for n in case.provenance["notes"])


def test_a_row_marks_its_own_ct_among_several_of_one_file_name(tmp_path: Path) -> None:
    for number in range(2):
        case = tiny_chest(number)
        heart = torch.zeros(SHAPE, dtype=torch.int16)
        heart[0, :3, :3] = 1
        write_nifti(case, tmp_path / "ct" / f"s{number}" / "ct.nii.gz")
        write_nifti_labels(replace(case, labels=heart), tmp_path / "ct" / f"s{number}" / "segmentations" / "heart.nii.gz")
    boxes = table(tmp_path, BOX_HEAD + f"s0,nodule,{BOX}\n")
    found = open_marked(tmp_path / "ct", boxes=boxes, kinds=["nodule"])
    assert found.left_out == (f"{tmp_path / 'ct'}: nothing is known of 1 of 2 CT (no mask, no row): s1",)
    first, other = found.cases()
    assert first.marks is not None and other.marks is None and (first.case_id, other.case_id) == ("s0", "s1")


def test_a_mask_of_a_ct_without_lesions_is_a_negative_and_said(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, masks=True)
    case = replace(tiny_chest(1), labels=torch.zeros(SHAPE, dtype=torch.int16))
    write_nifti_labels(case, folder / "masks" / "p1.nii.gz", overwrite=True)
    first, empty, _ = open_marked(folder, masks={1: "nodule"}, other_labels=[7]).cases()
    assert first.marks.presence(NODULES).tolist() == [1.0]  # type: ignore[union-attr]
    assert empty.marks.presence(NODULES).tolist() == [0.0]  # type: ignore[union-attr]
    assert "its label map labels no voxel: what it marks was taken as absent" in empty.provenance["notes"]


@pytest.mark.parametrize(("middle", "presence"), [(-72.0, 1.0), (-118.0, float("nan")), (118.0, float("nan")), (-400.0, 0.0)])
@pytest.mark.parametrize("shape", ["box", "ball"])
def test_a_lesion_that_was_left_out_and_reaches_into_the_ct_makes_no_negative(
    tmp_path: Path, shape: str, middle: float, presence: float
) -> None:
    ball = f"p0,nodule,{middle},-26,-187.5,24\n"
    box = f"p0,nodule,{middle - 12},-38,-191.25,{middle + 12},-14,-183.75\n"  # the CT reaches from -112 to 112 mm
    boxes = table(tmp_path, BOX_HEAD + box if shape == "box" else BALL_HEAD + ball)
    case = next(open_marked(make_folder(tmp_path), boxes=boxes, kinds=["nodule"], outside="skip").cases())
    notes = " ".join(case.provenance["notes"])
    assert case.marks.presence(NODULES).tolist() == pytest.approx([presence], nan_ok=True)  # type: ignore[union-attr]
    assert ("left out" in notes) == (presence != 1) and ("reaches into the CT" in notes) == math.isnan(presence)
