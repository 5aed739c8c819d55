"""Stores of images: made once, resumed, checked against what they were made from."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import own_process
import pytest
import torch

from taskct.core.errors import BusyError, ConfigError, FileFormatError, InputError, OutputExistsError
from taskct.core.write_locks import one_writer
from taskct.data import prepared_store as prepare
from taskct.data.case import Case
from taskct.data.dicom.derived_series import write_series
from taskct.data.image_store import StoreMismatchError, open_store
from taskct.data.images import ImageSet
from taskct.data.nifti import write_nifti
from taskct.data.open import iter_cases
from taskct.data.prepared_store import prepare_store
from taskct.data.sets.label_files import SkippedCaseWarning
from taskct.data.slice_recipe import SliceRecipe, images_of_cases

RECIPE = SliceRecipe(shape=(16, 16), pixel_mm=2.0)


def make_case(number: int, *, slices: int = 4, labelled: bool = True) -> Case:
    draw = torch.Generator().manual_seed(number)
    hu = (torch.rand((slices, 24, 20), generator=draw) * 400 - 200).round()
    labels = torch.zeros((slices, 24, 20), dtype=torch.uint8)
    labels[1:3, 6:16, 6:14] = 1
    return Case(hu, (3.0, 1.5, 1.5), f"case-{number}", labels=labels if labelled else None, label_names={1: "liver"})


def write_folder(folder: Path, count: int = 4) -> Path:
    """NIfTI files with label maps beside them."""
    for number in range(count):
        case = make_case(number)
        write_nifti(case, folder / f"case-{number}.nii.gz")
        assert case.labels is not None
        write_nifti(replace(case, hu=case.labels.float(), labels=None), folder / f"case-{number}_seg.nii.gz")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "ct")


def in_memory(folder: Path, recipe: SliceRecipe) -> ImageSet:
    return images_of_cases(iter_cases(folder), recipe, source=str(folder))


def alike(one: ImageSet, other: ImageSet) -> bool:
    a, b = one.take(range(len(one))), other.take(range(len(other)))
    labels = (a.labels is None) == (b.labels is None) and (a.labels is None or torch.equal(a.labels, b.labels))  # type: ignore[arg-type]
    return one.ids == other.ids and one.patient_ids == other.patient_ids and torch.equal(a.mu, b.mu) and labels


@pytest.mark.parametrize(
    "recipe",
    [
        SliceRecipe(),
        RECIPE,
        replace(RECIPE, labelled_only=True),
        replace(RECIPE, slices=2, labelled_only=True, labels=((2, 1),)),
    ],
)
def test_a_store_streams_what_the_folder_gives_in_memory(folder: Path, tmp_path: Path, recipe: SliceRecipe) -> None:
    stored, kept = prepare_store(folder, tmp_path / "store", recipe, progress=False), in_memory(folder, recipe)
    assert not stored.in_memory and alike(stored, kept)
    assert stored.spacing_mm == kept.spacing_mm and stored.label_values() == kept.label_values() == (0, 1)
    assert stored.fingerprint == kept.fingerprint == open_store(tmp_path / "store", verify=True).fingerprint


def test_dicom_series_and_volumes_make_one_store(tmp_path: Path) -> None:
    write_series(make_case(7, labelled=False), tmp_path / "ct" / "series")
    write_nifti(make_case(8, labelled=False), tmp_path / "ct" / "other.nii.gz")
    images = prepare_store(tmp_path / "ct", tmp_path / "store", RECIPE, progress=False)
    assert alike(images, in_memory(tmp_path / "ct", RECIPE)) and len(set(images.patient_ids)) == 2 and not images.has_labels


def test_a_store_that_is_complete_is_not_made_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare_store(folder, tmp_path / "store", RECIPE, progress=False)
    before = {f: f.stat().st_mtime_ns for f in (tmp_path / "store").rglob("*") if f.is_file()}
    monkeypatch.setattr(prepare, "open_place", lambda *a, **k: pytest.fail("a case was read again"))
    assert alike(prepare_store(folder, tmp_path / "store", RECIPE, progress=False), first)
    assert before == {f: f.stat().st_mtime_ns for f in (tmp_path / "store").rglob("*") if f.is_file()}


def test_a_preparation_that_was_killed_resumes_with_what_it_had(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    job = (
        "import time\nfrom taskct.data import image_store_case\nfrom taskct.data import prepared_store as prepare\n"
        "from taskct.data.slice_recipe import SliceRecipe\n"
        "write = prepare.write_case\n"
        "def slow(folder, case, *more):\n    made = write(folder, case, *more)\n    time.sleep(0.3)\n    return made\n"
        "prepare.write_case = slow\n"
        f"prepare.prepare_store({str(folder)!r}, {str(store)!r}, SliceRecipe(shape=(16, 16), pixel_mm=2.0), progress=False)\n"
    )
    child = own_process.begin(job)
    for _ in range(600):
        if len(list(store.glob("cases/[!.]*.h5"))) >= 2 or not child.process.is_alive():
            break
        time.sleep(0.05)
    child.kill()
    done = len(list(store.glob("cases/[!.]*.h5")))
    assert 2 <= done < 4
    with pytest.raises(InputError, match="not complete, its preparation was stopped; run it again to resume"):
        open_store(store)
    read, open_place = [], prepare.open_place
    monkeypatch.setattr(prepare, "open_place", lambda place, **k: read.append(place) or open_place(place, **k))
    images = prepare_store(folder, store, RECIPE, progress=False)
    assert len(read) == 4 - done and alike(images, in_memory(folder, RECIPE))
    assert not list(store.rglob(".part-*"))


def test_a_source_that_has_changed_is_named_and_made_anew_only_when_asked(folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    prepare_store(folder, store, RECIPE, progress=False)
    write_nifti(make_case(9), folder / "case-2.nii.gz", overwrite=True)
    with pytest.raises(StoreMismatchError, match=r"case-2\.nii\.gz .*has changed since the store was made"):
        prepare_store(folder, store, RECIPE, progress=False)
    assert alike(prepare_store(folder, store, RECIPE, refresh=True, progress=False), in_memory(folder, RECIPE))
    for name in ("case-1.nii.gz", "case-1_seg.nii.gz"):
        (folder / name).unlink()
    with pytest.raises(StoreMismatchError, match=r"case-1\.nii\.gz .*is no longer in"):
        prepare_store(folder, store, RECIPE, progress=False)
    left = prepare_store(folder, store, RECIPE, refresh=True, progress=False)
    assert alike(left, in_memory(folder, RECIPE)) and len(list(store.glob("cases/*.h5"))) == 3


def test_labels_that_have_changed_count_as_another_source(folder: Path, tmp_path: Path) -> None:
    prepare_store(folder, tmp_path / "store", RECIPE, progress=False)
    case = make_case(0)
    write_nifti(replace(case, hu=torch.ones_like(case.hu), labels=None), folder / "case-0_seg.nii.gz", overwrite=True)
    with pytest.raises(StoreMismatchError, match=r"case-0\.nii\.gz"):
        prepare_store(folder, tmp_path / "store", RECIPE, progress=False)


def test_another_recipe_is_refused_by_the_name_of_what_differs(folder: Path, tmp_path: Path) -> None:
    prepare_store(folder, tmp_path / "store", RECIPE, progress=False)
    with pytest.raises(ConfigError, match=r"made with pixel_mm = 2\.0, now 3\.0"):
        prepare_store(folder, tmp_path / "store", replace(RECIPE, pixel_mm=3.0), progress=False)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    with pytest.raises(OutputExistsError):
        prepare_store(folder, tmp_path / "full", RECIPE, progress=False)


def test_a_case_that_cannot_be_read_is_named_and_the_others_are_kept(folder: Path, tmp_path: Path) -> None:
    (folder / "case-1.nii.gz").write_bytes(b"\x1f\x8b" + b"\0" * 50)
    with pytest.raises(FileFormatError, match=r"1 of 4 cases cannot be read, the others are prepared.*case-1"):
        prepare_store(folder, tmp_path / "store", RECIPE, progress=False)
    with pytest.raises(InputError, match="not complete"):
        open_store(tmp_path / "store")
    with pytest.warns(SkippedCaseWarning, match="left out: .*case-1"):
        images = prepare_store(folder, tmp_path / "store", RECIPE, skip_bad=True, progress=False)
    assert len(set(images.case_ids)) == 3 and "case-1" in json.loads((tmp_path / "store/store.json").read_text())["skipped"][0]


def test_cases_in_memory_with_and_without_labels_and_further_targets(tmp_path: Path) -> None:
    def targets(case: Case, numbers: list[int]) -> dict[str, list[object]]:
        boxes = [None if case.labels is None else torch.full((n, 4), float(n)) for n in numbers]
        return {"boxes": boxes, "age": [50 + n for n in numbers]}

    cases = [make_case(0), make_case(1, labelled=False)]
    images = prepare_store(cases, tmp_path / "store", RECIPE, targets=targets, progress=False)
    batch = images.take([0, 3, 4])
    assert batch.labelled["labels"].tolist() == [True, True, False]
    assert batch.targets["age"].tolist() == [50, 53, 50]
    assert [None if b is None else tuple(b.shape) for b in batch.targets["boxes"]] == [(0, 4), (3, 4), None]
    assert torch.equal(batch.targets["boxes"][1], torch.full((3, 4), 3.0))
    assert batch.labelled["boxes"].tolist() == [True, True, False]
    assert alike(prepare_store(cases, tmp_path / "store", RECIPE, targets=targets, progress=False), images)


def test_cases_that_do_not_fit_together_are_refused_by_name(tmp_path: Path) -> None:
    one, other = make_case(0), make_case(1)
    with pytest.raises(InputError, match=r"case case-1 has images of .*case-0 of"):
        prepare_store([one, replace(other, hu=other.hu[:, :20], labels=None)], tmp_path / "a", progress=False)
    with pytest.raises(InputError, match="label 1 is 'lung' in case case-1 and 'liver' in case-0"):
        prepare_store([one, replace(other, label_names={1: "lung"})], tmp_path / "b", RECIPE, progress=False)
    with pytest.raises(InputError, match="are both called 'case-0'"):
        prepare_store([one, replace(one, hu=other.hu)], tmp_path / "c", RECIPE, progress=False)
    with pytest.raises(InputError, match="holds no labelled CT"):
        prepare_store([make_case(0, labelled=False)], tmp_path / "d", replace(RECIPE, labelled_only=True), progress=False)


def test_two_processes_do_not_prepare_one_store(folder: Path, tmp_path: Path) -> None:
    job = (
        f"import sys\nfrom taskct.core.write_locks import one_writer\nwith one_writer({str(tmp_path / 'store')!r}):\n"
        "    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    child = subprocess.Popen([sys.executable, "-c", job], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "held\n"
    with pytest.raises(BusyError, match="is being written by process"):
        prepare_store(folder, tmp_path / "store", RECIPE, progress=False)
    child.communicate("")
    with one_writer(tmp_path / "store"):
        pass
    assert len(prepare_store(folder, tmp_path / "store", RECIPE, progress=False)) == 16


def test_a_store_that_is_damaged_is_named(folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    images = prepare_store(folder, store, RECIPE, progress=False)
    file = sorted(store.glob("cases/*.h5"))[0]
    raw = bytearray(file.read_bytes())
    at = raw.find(images.take([0]).mu.numpy().tobytes()[:64])
    assert at > 0
    raw[at : at + 4] = np.float32(0.5).tobytes()
    file.write_bytes(raw)
    open_store(store)
    with pytest.raises(FileFormatError, match=r"pixels of case-0-s000 are not those that were written"):
        open_store(store, verify=True)
    file.write_bytes(raw[:-10])
    with pytest.raises(FileFormatError, match=r"\.h5: has \d+ bytes, expected"):
        open_store(store)
    assert alike(
        prepare_store(folder, store, RECIPE, progress=False), in_memory(folder, RECIPE)
    )  # damaged files are made anew
    file.unlink()
    with pytest.raises(FileFormatError, match="is missing"):
        open_store(store)
    with pytest.raises(InputError, match="expected a store of images"):
        open_store(folder)


def test_a_store_keeps_the_attenuation_of_water_that_its_images_were_made_with(folder: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, mu_water_per_mm=0.0206)
    prepare_store(folder, tmp_path / "store", recipe, progress=False)
    stored, kept = open_store(tmp_path / "store"), in_memory(folder, recipe)
    assert stored.mu_water_per_mm == kept.mu_water_per_mm == 0.0206
    assert stored.label_names == kept.label_names and stored.spacing_mm == kept.spacing_mm


def test_one_ct_in_two_formats_or_copied_is_no_two_cases_of_a_store(tmp_path: Path) -> None:
    write_nifti(make_case(0), tmp_path / "ct" / "case.nii.gz")
    write_series(make_case(0), tmp_path / "ct" / "dicom" / "series")
    with pytest.raises(InputError, match=r"dicom/series .* and .*have the same images, one CT twice|one folder"):
        prepare_store(tmp_path / "ct", tmp_path / "store", progress=False)
    with pytest.raises(InputError, match="copy and case-0 have the same images, one CT twice; move one"):
        prepare_store([make_case(0), replace(make_case(0), case_id="copy")], tmp_path / "other", RECIPE, progress=False)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [((0, 1), "uint8"), ((0, 255), "uint8"), ((0, 256), "int16"), ((-1, 3), "int16"), ((0, 2**15), "int32")],
)
def test_labels_are_stored_in_the_smallest_type_that_holds_them(tmp_path: Path, values: tuple[int, int], dtype: str) -> None:
    case = make_case(0, labelled=False)
    labels = torch.full(case.hu.shape, values[0], dtype=torch.int32)
    labels[1, 3:9, 3:9] = values[1]
    store = tmp_path / "store"
    images = prepare_store([replace(case, labels=labels)], store, SliceRecipe(), progress=False)
    assert json.loads((store / "store.json").read_text())["label_dtype"] == dtype
    assert set(images.label_values()) == set(values)


def test_images_know_their_cases_and_the_water_of_their_recipe() -> None:
    cases = [replace(make_case(n), patient_id=f"patient-{n // 2}") for n in range(4)]
    images = images_of_cases(cases, replace(RECIPE, mu_water_per_mm=0.021), source="memory")
    assert images.mu_water_per_mm == 0.021 and images.spacing_mm == (2.0, 2.0) and dict(images.label_names) == {1: "liver"}
    assert list(dict.fromkeys(images.case_ids)) == [f"case-{n}" for n in range(4)]
    assert list(dict.fromkeys(images.patient_ids)) == ["patient-0", "patient-1"]
    assert all(name.startswith(case) for name, case in zip(images.ids, images.case_ids, strict=True))


def test_marks_that_a_store_cannot_keep_are_said_to_be_left_out(tmp_path: Path) -> None:
    import torch

    from taskct.data.case import Case
    from taskct.data.marks import Marks
    from taskct.data.sets.label_files import SkippedCaseWarning

    case = Case(torch.zeros(2, 16, 16), (1.0, 1.0, 1.0), "p1", marks=Marks.nothing_known((2, 16, 16)))
    with pytest.warns(SkippedCaseWarning, match="a store keeps no marks; those of 1 case were left out"):
        prepare_store([case], tmp_path / "store", SliceRecipe())
