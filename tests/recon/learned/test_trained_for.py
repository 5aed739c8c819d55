"""A network knows the scans that it was trained for."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from taskct.core.config import to_dict
from taskct.core.errors import ConfigError, FileFormatError, GeometryError, InputError, UnitsError
from taskct.core.runs import Run
from taskct.geometry import FanBeam, Grid, ParallelBeam, bi_planar
from taskct.geometry.beam_config import beam_to_config
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.learned import TrainedFor, common_scan, load_reconstructor, make_model, trained_for

GRID, BEAM = Grid((32, 32), 8.0), ParallelBeam(views=24, cols=48, pixel_mm=8.0)
MODEL = {"kind": "fbp_unet", "widths": [4, 8], "norm": "none"}


def run_of(folder: Path, **more) -> Run:  # type: ignore[no-untyped-def]
    config = {
        "model": MODEL,
        "beam": beam_to_config(BEAM),
        "grid": {k: v for k, v in to_dict(GRID).items() if k in ("shape", "spacing_mm")},
        "dose": {"photons": 1e5, "lowest": 0.1, "highest": 0.5, "electronic_std": 0.0},
        **more,
    }
    run = Run.create(folder, config)
    run.save_tensors("weights.safetensors", make_model(MODEL).state_dict())
    return run


def image(model: torch.nn.Module, beam: ParallelBeam | FanBeam = BEAM, grid: Grid = GRID) -> torch.Tensor:
    A = Projector(grid, beam)
    return model(torch.rand(1, 1, *A.p_shape), A)


def test_the_scan_of_the_training_is_taken_in_silence(tmp_path: Path) -> None:
    model = load_reconstructor(run_of(tmp_path / "run"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for beam in (BEAM, replace(BEAM, cols=60), replace(BEAM, start_deg=30.0), replace(BEAM, pixel_mm=8.000001)):
            assert image(model, beam).shape == (1, 1, 32, 32)
        image(model, grid=Grid((48, 40), 8.1))  # a larger field of view of nearly the same pixels


@pytest.mark.parametrize(
    ("beam", "grid", "words"),
    [
        (replace(BEAM, views=8), GRID, "views 24 in training, now 8"),
        (replace(BEAM, arc_deg=120.0), GRID, "arc_deg 180 in training, now 120"),
        (replace(BEAM, pixel_mm=9.0), GRID, "pixel_mm 8 in training, now 9"),
        (
            FanBeam(views=24, cols=96, pixel_mm=8.0, source_iso_mm=600.0, source_detector_mm=1000.0),
            GRID,
            "kind parallel in training, now fan",
        ),
        (BEAM, Grid((32, 32), 4.0), r"pixels of \(8, 8\) mm in training, now \(4, 4\) mm"),
    ],
)
def test_another_scan_is_refused_with_what_differs_and_taken_when_asked(
    beam: ParallelBeam, grid: Grid, words: str, tmp_path: Path
) -> None:
    run = run_of(tmp_path / "run")
    with pytest.raises(GeometryError, match=rf"run: was trained for another scan \(.*{words}.*otherwise='warn'"):
        image(load_reconstructor(run), beam, grid)
    model = load_reconstructor(run, otherwise="warn")
    with pytest.warns(UserWarning, match=words):
        image(model, beam, grid)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*was trained for another scan")
        image(load_reconstructor(run, model=model, otherwise="allow"), beam, grid)  # the older watch is gone


def test_a_loaded_network_survives_copies_and_pickling_with_what_it_knows(tmp_path: Path) -> None:
    model = load_reconstructor(run_of(tmp_path / "run"))
    image(model)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert trained_for(again) == trained_for(model)
        with pytest.raises(GeometryError, match="views 24 in training, now 8"):
            image(again, replace(BEAM, views=8))


def test_doses_outside_of_the_training_are_known(tmp_path: Path) -> None:
    about = trained_for(load_reconstructor(run_of(tmp_path / "run")))
    assert about is not None and about.photons == (1e4, 5e4)
    assert about.dose_difference(Dose(1e5, fraction=0.2)) == about.dose_difference(Dose(1e4)) == ""
    assert about.dose_difference(Dose(1e5)) == "10000 to 50000 photons per detector pixel in training, now 100000"
    assert about.dose_difference(Dose(1e3)) != ""
    assert replace(about, photons=(1e4, 1e4)).dose_difference(Dose(2e4)).startswith("10000 photons per")
    assert trained_for(make_model(MODEL)) is None and TrainedFor("x").dose_difference(Dose(1.0)) == ""


def test_a_dose_training_knows_the_doses_that_its_module_may_choose(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", dose={}, dose_module={"lowest_photons": 256.0, "highest_photons": 65536.0})
    assert TrainedFor.of_config(str(run.folder), run.config).photons == (256.0, 65536.0)


def test_a_run_that_does_not_say_is_not_judged(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", {"model": MODEL})
    run.save_tensors("weights.safetensors", make_model(MODEL).state_dict())
    assert image(load_reconstructor(run), replace(BEAM, views=8)).shape == (1, 1, 32, 32)


def test_a_run_whose_weights_are_not_finite_is_refused(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")
    tensors = run.load_tensors("weights.safetensors")[0]
    tensors["net.out.bias"][0] = math.nan
    run.save_tensors("weights.safetensors", tensors, overwrite=True)
    with pytest.raises(FileFormatError, match=r"run: 1 of \d+ tensors hold NaN or infinite numbers \(net.out.bias"):
        load_reconstructor(run)


@pytest.mark.parametrize(
    ("table", "value", "kind", "words"),
    [
        ("grid", 5, ConfigError, r"run: its config has grid = 5, expected a table \[grid\]"),
        ("beam", "fan", ConfigError, r"run: its config has beam = 'fan'"),
        ("dose", [1, 2], ConfigError, "run: its config has dose = "),
        ("units", "HU", ConfigError, "run: its config has units = 'HU'"),
        ("grid", {"shape": ["a", 3], "spacing_mm": [8.0, 8.0]}, InputError, r"run: .* grid.shape\[0\]"),
        ("grid", {"shape": [32, 32], "spacing_mm": [math.nan, 8.0]}, InputError, "run: its config does not hold the scan"),
        ("grid", {"spacing_mm": "abc"}, InputError, "run: its config does not hold the scan"),
        ("beam", {"kind": "paralel"}, InputError, "run: .* did you mean 'parallel'"),
        ("dose", {"photons": -5.0, "lowest": 0.1, "highest": 1.0}, ConfigError, "run: .*expected numbers above 0"),
        ("dose", {"photons": 1e4, "lowest": math.nan, "highest": 1.0}, ConfigError, "run: .*expected numbers above 0"),
        ("units", {"mu_water_per_mm": "x"}, ConfigError, "run: .*mu_water_per_mm 'x'"),
        ("units", {"image": "HU", "mu_water_per_mm": 0.02}, UnitsError, "run: its images are in 'HU'"),
        ("model", "fbp_unet", ConfigError, r"run: \[model\] expects a table"),
        ("model", {"widths": [4, 8]}, ConfigError, r"run: \[model\] lacks its kind"),
        ("model", {"kind": "fbp_unet", "widths": [4, -8]}, InputError, "run: UNet expects"),
    ],
)
def test_a_record_of_the_training_that_cannot_be_one_is_refused_by_its_run(
    tmp_path: Path, table: str, value: object, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        load_reconstructor(run_of(tmp_path / "run", **{table: value}))


def test_what_is_known_of_pixels_alone_counts(tmp_path: Path) -> None:
    about = trained_for(load_reconstructor(run_of(tmp_path / "run", grid={"spacing_mm": [8.0, 8.0]})))
    assert about is not None and about.spacing_mm == (8.0, 8.0) and about.shape == () and about.grid is None


def test_views_of_radiographs_that_stand_elsewhere_are_told_one_by_one() -> None:
    cube = Grid((8, 8, 8), 24.0)
    usual = {"cols": 8, "rows": 8, "pixel_mm": 36.0, "source_iso_mm": 1000.0, "source_detector_mm": 1500.0}
    about = TrainedFor("net", beam_to_config(bi_planar(**usual)), cube.spacing_mm)
    words = lambda **changes: about.geometry_differences(Projector(cube, bi_planar(**{**usual, **changes})))
    assert words() == [] and words(angles_deg=(1e-4, 90.0)) == [] and words(cols=16) == []
    (second,) = words(angles_deg=(0.0, 94.0))
    turned = "turned by 4.0 degrees, its columns turned by 4.0 degrees"
    moved = "source 69.8 mm elsewhere, detector 34.9 mm elsewhere"
    assert second == f"view 2: {turned}, {moved}"
    first, _ = words(source_iso_mm=900.0, source_detector_mm=1400.0, pixel_mm=40.0)
    assert "view 1: source 100 mm elsewhere, columns of" in first and "columns of 36 mm in training, now 40 mm" in first
    (more,) = words(angles_deg=(0.0, 60.0, 120.0))
    assert "2 views in training, now 3" in more


def test_the_scan_that_suits_several_networks_does_not_depend_on_their_order(tmp_path: Path) -> None:
    grid = {"shape": [40, 40], "spacing_mm": [8.0, 8.0]}
    dose = {"photons": 2e4, "lowest": 0.05, "highest": 1.0, "electronic_std": 5.0}
    wide = ParallelBeam(views=24, cols=60, pixel_mm=8.0)
    networks = [
        load_reconstructor(run_of(tmp_path / "a")),  # 1e4 to 5e4 photons
        load_reconstructor(run_of(tmp_path / "b", grid=grid, beam=beam_to_config(wide))),
        load_reconstructor(run_of(tmp_path / "c", dose=dose)),
    ]
    for order in itertools.permutations(networks):
        about = common_scan(order)
        assert about is not None and about.shape == (40, 40) and about.beam["cols"] == 60
        assert about.photons == (1e3, 2e4) and about.electronic_std == 5.0
    assert common_scan(networks[:1]) is trained_for(networks[0])
