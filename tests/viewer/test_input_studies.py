"""Words of the command line as studies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from lopsided_phantom import lopsided

from taskct.core.errors import InputError
from taskct.core.runs import Run
from taskct.data.nifti import write_nifti
from taskct.viewer import open_studies, plan_view

FBP = {"methods": {"fbp": {"method": "fbp"}}}


def test_runs_and_ct_are_told_apart_and_ct_on_the_same_samples_are_one_study(tmp_path: Path, run_folder: Path):
    for name in ("full", "low"):
        write_nifti(lopsided(), tmp_path / f"{name}.nii")
    inputs = [str(tmp_path / "full.nii"), str(run_folder), str(tmp_path / "low.nii")]
    run, ct = open_studies(plan_view(inputs, FBP))
    assert run.facts.methods == ("truth", "fbp", "dim") and run.facts.title == "run, ct"
    assert ct.facts.methods == ("full", "low", "fbp") and ct.facts.computed


def test_slices_keep_their_numbers(tmp_path: Path):
    write_nifti(lopsided(), tmp_path / "ct.nii")
    for words, names in (("2:", ("slice 2", "slice 3")), ("1", ("slice 1",)), ("-1", ("slice 3",))):
        (study,) = open_studies(plan_view([str(tmp_path / "ct.nii")], FBP | {"slices": words}))
        assert study.facts.planes == names
        assert study.image(0, 0, 0)[0, 0] == lopsided().hu[int(names[0][-1]), 0, 0]


def test_a_ct_goes_onto_the_pixels_of_the_networks_among_the_methods():
    plan = plan_view(["phantom:abdomen:3"], {"methods": {"net": {"method": "abdomen-unet"}}, "slices": "4"})
    assert plan.trained is not None and plan.trained.run.endswith("abdomen-unet")
    (study,) = open_studies(plan)
    assert study.facts.shape == (64, 64) and study.image(0, 0, 0).shape == (64, 64)


def test_a_folder_of_runs_shows_each_and_says_when_some_are_missing(tmp_path: Path, run_folder: Path):
    folder = tmp_path / "many"
    for name in ("a", "b", "all-cases"):
        shutil.copytree(run_folder, folder / name)
    (folder / "each.json").write_text("{}")
    studies = open_studies(plan_view([str(folder)], FBP))
    assert [s.facts.title for s in studies] == ["a, ct", "b, ct"]
    assert all(s.facts.unfinished.startswith("unfinished") for s in studies)
    (folder / "summary.csv").write_text("name\n")
    assert all(s.facts.unfinished == "" for s in open_studies(plan_view([str(folder)], FBP)))


def test_labels_go_with_ct_one_by_one(run_folder: Path):
    with pytest.raises(InputError, match="one for each of 1 CT"):
        plan_view([str(run_folder), "phantom:abdomen"], FBP | {"labels": ["a.nii", "b.nii"]})


def test_a_ct_that_is_given_several_times_has_a_name_for_each(tmp_path: Path):
    write_nifti(lopsided(), tmp_path / "liver (a).nii")
    (ct,) = open_studies(plan_view([str(tmp_path / "liver (a).nii")] * 4, FBP))
    assert len(set(ct.facts.methods)) == 5


def test_a_training_says_how_to_see_what_it_makes_of_a_ct(tmp_path: Path):
    for name, config, how in (
        ("reader", {"reader": {"net": "unet"}, "training": {}}, "--reader"),
        ("plain", {"beam": {"kind": "fan"}, "training": {}}, "--methods fbp,net="),
    ):
        Run.create(tmp_path / name, config)
        with pytest.raises(InputError, match=f"is unfinished: let it end; taskct view CT {how}"):
            open_studies(plan_view([str(tmp_path / name)], {}))
