from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from taskct.core.errors import ConfigError, FileFormatError, InputError
from taskct.data.open import open_case, open_cases
from taskct.data.sets.lodopab import MU_MAX_PER_MM, LodopabFiles, write_lodopab
from taskct.geometry.presets import lodopab
from taskct.phantoms.exact.ellipses import disk


def _slices(count: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    grid, beam = lodopab()
    made = []
    for k in range(count):
        body = disk(20.0, centre_mm=(-40.0, 60.0 - 10 * k))
        made.append((body.line_integrals(beam)[0], body.rasterise(grid, supersample=1)[0]))
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("lodopab")
    write_lodopab(path, "test", _slices(3), per_file=2, patient_ids=[7, 7, 9])
    return path


def test_slices_come_back_with_their_units_and_orientation(folder):
    files = LodopabFiles(folder, "test")
    assert len(files) == 3 and files.patient_ids == ("7", "7", "9")
    for (p, mu), (p_true, mu_true) in zip(files, _slices(3), strict=True):
        assert p.shape == (1, 1000, 513) and mu.shape == (1, 362, 362)
        assert torch.allclose(mu, mu_true, rtol=1e-6) and torch.allclose(p, p_true, rtol=1e-6, atol=1e-7)
    assert torch.equal(files[-1][1], files[2][1])


def test_the_stored_arrays_are_those_of_the_public_set(folder):
    with h5py.File(folder / "ground_truth_test_000.hdf5") as f:
        stored = f["data"][0]
    assert stored.shape == (362, 362) and stored.dtype == np.float32
    assert stored.max() == pytest.approx(0.02 / 0.08135858, rel=1e-6)
    x_first, y_second = np.argwhere(stored > 0).mean(0) - 180.5
    assert x_first * 260 / 362 == pytest.approx(60, abs=0.5) and y_second * 260 / 362 == pytest.approx(-40, abs=0.5)
    assert pytest.approx(0.08135858, rel=1e-9) == MU_MAX_PER_MM


def test_the_sinogram_belongs_to_the_image_in_our_geometry(folder):
    _, beam = lodopab()
    p, mu = LodopabFiles(folder, "test")[0]
    grid, _ = lodopab()
    y, x = np.meshgrid(*grid.axes_mm(), indexing="ij")
    inside = mu[0].numpy() > 0
    for view in (0, 250, 700):
        angle = beam.angles_rad[view]
        u = (np.arange(513) - 256) * beam.pixel_mm
        centre = float((p[0, view].numpy() * u).sum() / p[0, view].sum())
        assert centre == pytest.approx(float((x[inside] * np.cos(angle) + y[inside] * np.sin(angle)).mean()), abs=0.2)


def test_the_images_open_as_cases_of_one_slice(folder):
    cases = open_cases(folder)
    assert len(cases) == 3 and cases[0].hu.shape == (1, 362, 362)
    assert torch.allclose(cases[1].mu[0], _slices(2)[1][1], atol=1e-8)
    assert len(open_cases(folder / "ground_truth_test_000.hdf5")) == 2
    assert open_case(folder / "ground_truth_test_001.hdf5").case_id == "ground_truth_test_001-000"
    with pytest.raises(InputError, match="holds many slices"):
        open_case(folder / "ground_truth_test_000.hdf5")


def test_an_index_beyond_the_end_ends_a_loop(folder):
    with pytest.raises(IndexError, match="0 to 2"):
        LodopabFiles(folder, "test")[3]


def test_the_challenge_part_has_observations_only(tmp_path):
    write_lodopab(tmp_path, "challenge", _slices(1))
    (tmp_path / "ground_truth_challenge_000.hdf5").unlink()
    files = LodopabFiles(tmp_path, "challenge")
    assert files.observation(0).shape == (1, 1000, 513) and files.patient_ids is None


def test_what_is_not_lodopab_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'train'"):
        LodopabFiles(tmp_path, "trian")
    with pytest.raises(InputError, match="holds no observation_train"):
        LodopabFiles(tmp_path, "train")
    with h5py.File(tmp_path / "observation_train_000.hdf5", "w") as f:
        f["data"] = np.zeros((2, 10, 10), dtype=np.float32)
    with pytest.raises(FileFormatError, match=r"1000, 513.*\(2, 10, 10\)"):
        LodopabFiles(tmp_path, "train")


def test_observations_without_their_images_are_refused(tmp_path):
    write_lodopab(tmp_path, "train", _slices(1))
    (tmp_path / "ground_truth_train_000.hdf5").unlink()
    with pytest.raises(InputError, match="must come in pairs"):
        LodopabFiles(tmp_path, "train")


def test_a_patient_table_that_is_too_short_is_refused(tmp_path):
    write_lodopab(tmp_path, "train", _slices(2), patient_ids=[1])
    with pytest.raises(FileFormatError, match="one number for each of 2"):
        LodopabFiles(tmp_path, "train")


def test_a_patient_table_gives_no_slice_to_another_patient_where_a_file_is_missing(tmp_path):
    write_lodopab(tmp_path, "train", _slices(4), per_file=1, patient_ids=[1, 2, 3, 4])
    (tmp_path / "observation_train_003.hdf5").unlink()
    (tmp_path / "ground_truth_train_003.hdf5").unlink()
    assert LodopabFiles(tmp_path, "train").patient_ids == ("1", "2", "3")  # the last ones may not be unpacked yet
    for kind in ("observation", "ground_truth"):
        (tmp_path / f"{kind}_train_001.hdf5").unlink()
    with pytest.raises(FileFormatError, match=r"before or in observation_train_002\.hdf5 .* given to other patients"):
        LodopabFiles(tmp_path, "train")
    (tmp_path / "patient_ids_rand_train.csv").unlink()
    assert LodopabFiles(tmp_path, "train").patient_ids is None


@pytest.mark.parametrize(
    ("kind", "times", "words"),
    [
        ("ground_truth", MU_MAX_PER_MM, "a slice of at most 0.0"),  # in 1/mm
        ("ground_truth", 1000 * MU_MAX_PER_MM, "values from 0 to "),  # in 1/m
        ("ground_truth", -1, "values from -0.2"),
        ("observation", 1000 * MU_MAX_PER_MM, "line integrals divided by 81.36, .* values from "),  # p itself
    ],
)
def test_numbers_of_another_scale_are_refused(tmp_path, kind, times, words):
    write_lodopab(tmp_path, "train", _slices(1))
    with h5py.File(tmp_path / f"{kind}_train_000.hdf5", "r+") as file:
        file["data"][...] = file["data"][...] * times
    files = LodopabFiles(tmp_path, "train")
    with pytest.raises(FileFormatError, match=words):
        files[0]
    if kind == "ground_truth":
        with pytest.raises(FileFormatError, match=words):
            files.images().to_memory()
        with pytest.raises(FileFormatError, match=words):
            open_cases(tmp_path / "ground_truth_train_000.hdf5")


def test_a_folder_that_is_not_there_is_called_by_what_it_should_be(tmp_path):
    with pytest.raises(InputError, match=r"LoDoPaB-CT folder"):
        LodopabFiles(tmp_path / "nowhere", "train")
