"""The experiment on folders of LiTS and MSD Task03: one command, a split by volume, and what is refused."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from liver_sets import liver_case, without_liver, write_lits, write_msd

from taskct.core.errors import ConfigError, InputError
from taskct.data.open import case_places
from taskct.data.sets.label_files import SkippedCaseWarning
from taskct.systems.adaptive.experiment import TaskAdaptive
from taskct.systems.adaptive.experiment.experiment_scans import save_images, words_of_volumes
from taskct.systems.adaptive.experiment.real_patients import real_parts, split_places
from taskct.systems.catalogue import reproduce

TINY: dict[str, Any] = {
    "size": 32, "views": 20, "photons": [65536.0], "slices": 2, "widths": [8, 16], "readers": ["unet_small", "unet_thin"],
    "models": ["unet", "lpd"], "losses": ["plain", "label-0.5", "feature", "joint"],
    "other_losses": ["label-0.5"], "bounds": ["plain"], "bound_readers": [],
    "batch": 2, "reader_steps": 6, "base_steps": 6, "base_patience": 0, "task_steps": 3, "retrain_steps": 3,
    "tv_strengths": [1.0], "field_mm": 320.0, "data_split": [0.375, 0.25, 0.125, 0.25],
}  # fmt: skip


def tiny(folder: Path, **more: Any) -> TaskAdaptive:
    return TaskAdaptive(
        **{**TINY, "data": str(folder), "photons": (65536.0,), "data_split": (0.375, 0.25, 0.125, 0.25), **more}
    )


def test_one_command_scores_a_split_of_lits_by_slice_and_volume_in_the_published_form(tmp_path: Path) -> None:
    folder = write_lits(tmp_path / "LiTS", {n: liver_case(n) for n in range(8)})
    page = reproduce("task-adaptive", tmp_path / "out", data=folder, changes=TINY, workers=1, say=lambda text: None)
    with open(tmp_path / "out" / "report" / "published_form.csv", newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    ours = [r for r in rows if not r["note"]]
    assert {r["method"] for r in ours} >= {
        "full dose", "FBP", "TV, tuned", "FBP + U-Net, image loss", "FBP + U-Net, label loss .5", "FBP + U-Net, feature loss",
        "FBP + U-Net, joint", "FBP + U-Net, sequential", "Learned Primal-Dual, image loss", "Learned Primal-Dual, sequential",
        "Learned Primal-Dual, label loss .5",
    }  # fmt: skip
    assert {(r["unit"], r["class"]) for r in ours} == {
        (u, c) for u in ("slice", "volume") for c in ("liver", "tumour", "mean")
    }
    assert {r["reader"] for r in ours} == {"training", "unseen", "retrained", "own"}
    value = {(r["method"], r["reader"], r["unit"], r["class"]): float(r["dice"]) for r in ours}
    one = ("FBP", "unseen", "volume")
    assert value[(*one, "mean")] == pytest.approx((value[(*one, "liver")] + value[(*one, "tumour")]) / 2, abs=1e-5)
    assert {r["volumes"] for r in ours} == {"2"}
    published = {r["method"]: (r["dice"], r["note"]) for r in rows if r["note"]}
    assert published["published: full dose"] == ("0.874", "published on another split: not comparable")
    assert len(published) == 4
    html = page.read_text(encoding="utf-8")
    assert "on another split and not comparable" in html and f"volumes of {folder.resolve()}" in html
    assert "test 2, of which 2 show a tumour" in html
    counts = json.loads((tmp_path / "out" / "images" / "volumes.json").read_text(encoding="utf-8"))
    assert counts == {"readers": [3, 3], "train": [2, 2], "validation": [1, 1], "test": [2, 2]}


def test_the_same_command_takes_msd_as_downloaded(tmp_path: Path) -> None:
    root = write_msd(tmp_path, {n: liver_case(n) for n in range(8)})
    fewer = {**TINY, "models": ["unet"], "losses": ["plain", "label-0.5"], "bounds": []}
    page = reproduce("task-adaptive", tmp_path / "out", data=root, changes=fewer, workers=1, say=lambda text: None)
    html = page.read_text(encoding="utf-8")
    assert "In the form of the published table" in html and "marks elsewhere are not counted" in html
    assert html.index("all pixels of its test slices together") > 0 and "95 % intervals" in html


def test_msd_is_read_alike_and_test_volumes_are_read_whole(tmp_path: Path) -> None:
    root = write_msd(tmp_path, {n: liver_case(n) for n in range(8)})
    parts = real_parts(tiny(root))
    owners = {part: set(images.patient_ids) for part, images in parts.items()}
    assert sum(map(len, owners.values())) == len(set().union(*owners.values())) == 8
    assert "liver_999" not in set().union(*owners.values())  # its labels are kept secret
    each = {part: len(images) / len(owners[part]) for part, images in parts.items()}
    assert each["readers"] == each["train"] == each["validation"] == 2 and each["test"] == 4  # all slices that show liver
    assert parts["test"].label_values() == (0, 1, 2) and parts["test"].shape == (32, 32)
    again = real_parts(tiny(root))
    assert {p: i.patient_ids for p, i in again.items()} == {p: i.patient_ids for p, i in parts.items()}
    assert set(real_parts(tiny(root, seed=3))["test"].patient_ids) != owners["test"]


def test_a_volume_that_is_in_two_parts_under_two_names_is_refused_by_its_content(tmp_path: Path) -> None:
    cases = {n: liver_case(n) for n in range(8)}
    folder = write_lits(tmp_path / "first", cases)
    split = split_places(case_places(folder), tiny(folder))
    number = lambda part: int(split[part][0].case_id.removeprefix("volume-"))
    copied = write_lits(tmp_path / "copied", {**cases, number("test"): cases[number("train")]})
    with pytest.raises(InputError, match=r"has the same pixels as .* one patient goes by two names"):
        real_parts(tiny(copied))


def test_a_copy_is_refused_whatever_its_header_or_orientation_and_in_one_part_too(tmp_path: Path) -> None:
    cases = {n: liver_case(n) for n in range(8)}
    plain = write_lits(tmp_path / "plain", cases)
    split = split_places(case_places(plain), tiny(plain))
    number = lambda part, k=0: int(split[part][k].case_id.removeprefix("volume-"))
    learnt, judged = cases[number("train")], number("test")
    assert learnt.labels is not None
    mirrored = replace(learnt, hu=learnt.hu.flip(-1), labels=learnt.labels.flip(-1))
    copies = {
        "spacing": {judged: replace(learnt, spacing_mm=(5.0, 8.02, 8.02), affine_mm=None)},
        "mirrored": {judged: mirrored},
        "one part": {judged: cases[number("test", 1)]},
    }
    for name, copy in copies.items():
        with pytest.raises(InputError, match="counted twice; leave one of them out"):
            real_parts(tiny(write_lits(tmp_path / name, {**cases, **copy})))


def test_volumes_without_labels_are_left_out_and_the_page_says_so_with_the_volumes_of_each_part(tmp_path: Path) -> None:
    folder = write_lits(tmp_path / "LiTS", {n: liver_case(n) for n in range(9)})
    (folder / "Training Batch 1" / "segmentation-3.nii").unlink()
    settings = tiny(folder)
    with pytest.warns(SkippedCaseWarning, match=r"has volume-N without segmentation-N: .*volume-3\.nii"):
        save_images(tmp_path / "images", settings=settings)
    words = words_of_volumes(tmp_path / "images")
    assert words["volumes"].startswith("readers 3, of which 3 show a tumour; train 2, of which 2")
    assert "1 of 9 volumes have no labels and were left out: volume-3" in words["remarks on the volumes"]


def test_labels_without_tumour_or_liver_and_folders_without_labels_are_refused(tmp_path: Path) -> None:
    healthy = write_lits(tmp_path / "healthy", {n: liver_case(n, tumour=False) for n in range(8)})
    with pytest.raises(InputError, match="no volume of the part 'readers' has a label of tumour"):
        real_parts(tiny(healthy))
    empty = write_lits(tmp_path / "empty", {n: without_liver(liver_case(n)) for n in range(8)})
    with pytest.raises(InputError, match="hold neither liver nor tumour"):
        real_parts(tiny(empty))
    few = write_lits(tmp_path / "few", {n: liver_case(n) for n in range(2)})
    with pytest.raises(InputError, match=r"2 patients .* for 3 parts"):
        real_parts(tiny(few))
    bare = tmp_path / "bare"
    for f in (tmp_path / "few").rglob("volume-*.nii"):
        (bare / f.name).parent.mkdir(exist_ok=True)
        (bare / f.name).write_bytes(f.read_bytes())
    with pytest.raises(InputError, match="holds no CT with labels of liver and tumour"):
        real_parts(tiny(bare))


@pytest.mark.parametrize(("was", "coded"), [(2, 3), (1, 255), (0, 3)])
def test_a_number_that_nobody_named_is_refused_as_it_may_be_the_tumour(tmp_path: Path, was: int, coded: int) -> None:
    cases = {n: liver_case(n) for n in range(8)}
    labels = cases[2].labels
    assert labels is not None
    cases[2] = replace(cases[2], labels=torch.where(labels == was, coded, labels).to(torch.int16), label_names={})
    for folder in (write_lits(tmp_path / "LiTS", cases), write_msd(tmp_path, cases)):
        with pytest.raises(InputError, match=f"labels .*2.nii.* hold {coded}, and only 1 liver, 2 .*as background"):
            real_parts(tiny(folder))


def test_a_named_label_that_is_neither_liver_nor_tumour_counts_as_background_and_the_page_says_so(tmp_path: Path) -> None:
    cases = {n: liver_case(n) for n in range(8)}
    assert cases[2].labels is not None
    cut = torch.where(cases[2].labels == 2, 3, cases[2].labels).to(torch.int16)
    cases[2] = replace(cases[2], labels=cut, label_names={})
    folder = write_msd(tmp_path, cases)
    about = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    about["labels"]["3"] = "metastasis"
    (folder / "dataset.json").write_text(json.dumps(about), encoding="utf-8")
    heard: list[str] = []
    real_parts(tiny(folder), heard=heard.append)
    assert [h for h in heard if "background" in h] == ["label 3, metastasis, counts as background, wherever it lies"]


@pytest.mark.parametrize("offset", [1024.0, -1024.0])
def test_a_volume_whose_liver_has_the_hu_of_none_is_refused(tmp_path: Path, offset: float) -> None:
    cases = {n: liver_case(n) for n in range(8)}
    cases[3] = replace(cases[3], hu=cases[3].hu + offset)
    folder = write_lits(tmp_path / "LiTS", cases)
    with pytest.raises(InputError, match=r"volume-3.nii: what its labels .* call liver and tumour has -?\d+ HU \(median\)"):
        real_parts(tiny(folder))


def test_one_test_volume_is_scored_without_the_control_that_needs_others(tmp_path: Path) -> None:
    folder = write_lits(tmp_path / "LiTS", {n: liver_case(n) for n in range(5)})
    few = {**TINY, "models": ["unet"], "losses": ["plain"], "bounds": [], "data_split": [0.4, 0.2, 0.2, 0.2]}
    html = reproduce("task-adaptive", tmp_path / "out", data=folder, changes=few, workers=1, say=lambda text: None)
    assert "test 1, of which 1 show a tumour" in html.read_text(encoding="utf-8")
    more = {**few, "losses": ["plain", "shuffled-labels"]}
    with pytest.raises(InputError, match=r"takes the labels of other patients, .* learn from 1; give two"):
        reproduce("task-adaptive", tmp_path / "other", data=folder, changes=more, workers=1, say=lambda text: None)
    assert not (tmp_path / "other" / "reader-unet_small").exists()


def test_a_network_of_neighbouring_slices_learns_from_volumes_that_are_read_whole(tmp_path: Path) -> None:
    folder = write_lits(tmp_path / "LiTS", {n: liver_case(n) for n in range(8)})
    with pytest.raises(ConfigError, match=r"'unet-3-slices' sees the slices beside each, and 2 slices .* slices=0"):
        tiny(folder, models=("unet", "unet-3-slices"))
    parts = real_parts(tiny(folder, models=("unet", "unet-3-slices"), slices=0))
    numbers = [int(name.rpartition("-s")[2]) for name in parts["train"].ids if name.startswith(parts["train"].patient_ids[0])]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) and len(numbers) > 2


def test_data_goes_with_experiments_that_know_some_and_not_with_patients_of_bounds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="takes no data; those that do: task-adaptive, dose"):
        reproduce("chest", tmp_path / "out", data=tmp_path)
    with pytest.raises(InputError, match="no such file or folder"):
        reproduce("task-adaptive", tmp_path / "out", data=tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="bound_patients are drawn from the built-in cohort"):
        tiny(tmp_path, bound_patients=3)
    for split in ((0.5, 0.5, 0.0, 0.0), (0.25, 0.25, 0.25, float("nan"))):
        with pytest.raises(ConfigError, match="four shares above 0"):
            tiny(tmp_path, data_split=split)
