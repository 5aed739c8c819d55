"""From a DICOM pair to an estimate, and to its folder; what lies outside of the known skulls is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import radiograph_files as files
import torch

from taskct import Dose, Grid, Projector, open_case
from taskct.core.errors import ConfigError, GeometryError, OutputExistsError
from taskct.data.dicom.identity import replaced_uid
from taskct.data.images import ImageSet
from taskct.data.radiographs import PoseFile, RadiographPair, ViewPose, read_radiographs
from taskct.evaluation.volumes import psnr3d
from taskct.geometry import bi_planar
from taskct.geometry.beam_config import beam_to_config
from taskct.recon import sirt
from taskct.recon.learned import BiPlanarNet, load_reconstructor, make_model, preset_config
from taskct.recon.learned.trained_for import TrainedFor, watch
from taskct.simulate.radiograph import take_radiographs
from taskct.simulate.radiograph_set import RadiographSet
from taskct.systems.biplanar.experiment.plain_rows import PLAIN
from taskct.systems.biplanar.own_pair import (
    DESCRIPTION,
    PAIR_METHODS,
    Heads,
    PairSettings,
    draw_skulls,
    pair_estimate,
    reconstruct_pair,
    write_estimate,
)
from taskct.training import ImageError, TrainSettings
from taskct.training.train_radiographs import train_on_radiographs

N, SIDE = 16, 192.0
PIXELS = 48
SETTINGS = PairSettings(size=N, side_mm=SIDE, agree=10)
FINE = Grid((2 * N,) * 3, SIDE / (2 * N))
BEAM = bi_planar(cols=PIXELS, rows=PIXELS, pixel_mm=360.0 / PIXELS, source_iso_mm=1000, source_detector_mm=1500)


def drawn(count: int, seed: int) -> torch.Tensor:
    """Heads of random size, density and place: shells of bone with two dense lumps inside, (count, 1, Z, Y, X) on FINE."""
    g = torch.Generator().manual_seed(seed)
    z, y, x = torch.meshgrid(*[torch.from_numpy(a) for a in FINE.axes_mm()], indexing="ij")
    made = []
    for _ in range(count):
        r, c = 1 + 0.14 * torch.randn(3, generator=g).clamp(-1.5, 1.5), 5 * torch.randn(3, generator=g)
        form = (((z - c[0]) / (60 * r[0])) ** 2 + ((y - c[1]) / (70 * r[1])) ** 2 + ((x - c[2]) / (57 * r[2])) ** 2).sqrt()
        mu = 0.0195 * torch.sigmoid((1 - form) * 25) + (0.008 + 0.006 * torch.rand(1, generator=g)) * torch.exp(
            -(((form - 0.93) / 0.06) ** 2)
        )
        for side in (-1, 1):
            away = ((z + 20) ** 2 + (y - 12) ** 2 + (x - side * 26 * r[2]) ** 2).sqrt()
            mu = mu + 0.014 * torch.sigmoid((12 - away) / 2)
        made.append(mu)
    return torch.stack(made)[:, None].float()


FACE_VOLUME = torch.zeros(1, 1, 2 * N, 2 * N, 2 * N)
FACE_VOLUME[..., 8:15, 5:12, 12:20] = 1.0  # below the middle, in front, between the sides


def faced_coarse(known: torch.Tensor) -> torch.Tensor:
    """The dense face on the coarse grid."""
    face = torch.nn.functional.avg_pool3d(FACE_VOLUME, 2)
    return known + 0.012 * face * (known > 0)


@pytest.fixture(scope="module")
def heads() -> Heads:
    fine = drawn(56, seed=0)
    coarse = torch.nn.functional.avg_pool3d(fine, 2)
    return Heads(coarse[:48], coarse[48:], fine[48:], Grid((N,) * 3, SIDE / N), FINE)


@pytest.fixture(scope="module")
def skull() -> torch.Tensor:
    """A head that no population holds, (1, 1, Z, Y, X) on the fine grid."""
    return drawn(1, seed=9)


@pytest.fixture(scope="module")
def films(skull: torch.Tensor) -> torch.Tensor:
    A = Projector(FINE, BEAM)
    return take_radiographs(skull, A, Dose(1e5), seed=0)


@pytest.fixture(scope="module")
def folder(films: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AP.dcm and LAT.dcm as an angiography C-arm would write them."""
    made = tmp_path_factory.mktemp("pair")
    for k, (name, angle) in enumerate((("AP", 180.0), ("LAT", -90.0))):
        files.write_dicom(made / f"{name}.dcm", files.counts_of(films[0, 0, k]), **files.xa(1000, 1500, 360.0 / PIXELS, angle))
    return made


@pytest.fixture(scope="module")
def pair(folder: Path) -> RadiographPair:
    return read_radiographs(folder / "AP.dcm", folder / "LAT.dcm")


def truth_hu(skull: torch.Tensor) -> torch.Tensor:
    return (torch.nn.functional.avg_pool3d(skull, 2) / 0.01929 - 1) * 1000


def test_an_estimate_is_nearer_to_the_truth_than_the_prior_and_its_spread_says_where_it_errs(
    skull: torch.Tensor, pair: RadiographPair, heads: Heads
) -> None:
    made = reconstruct_pair(pair, settings=SETTINGS, heads=heads)
    truth = truth_hu(skull)
    score = lambda case: float(psnr3d(case.hu[None, None], truth))
    assert score(made.estimate) > score(made.prior) + 1.5
    assert made.numbers["error_held_hu"] < made.numbers["error_prior_held_hu"]
    assert 0.05 < made.numbers["seen"] < 0.7 and 0.5 < made.numbers["explained"] < 1
    blind = reconstruct_pair(pair, method=lambda p, A: heads.known.mean(0, keepdim=True).expand(len(p), 1, N, N, N),
                             settings=replace(SETTINGS, agree=0), heads=heads)  # fmt: skip
    assert abs(blind.numbers["explained"]) < 1e-6 and blind.numbers["seen"] == made.numbers["seen"]
    error = (made.estimate.hu - truth[0, 0]).abs().flatten()
    wide = made.spread.hu.flatten()
    assert float(torch.corrcoef(torch.stack([error, wide]))[0, 1]) > 0.35
    assert made.doubts == () and made.estimate.spacing_mm == (12.0, 12.0, 12.0)
    assert "not for diagnosis" in made.estimate.provenance["what"] and made.estimate.provenance["notes"]


def test_any_reconstructor_serves_as_method_and_films_of_unknown_gain_are_fitted(
    skull: torch.Tensor, pair: RadiographPair, heads: Heads
) -> None:
    plain = reconstruct_pair(
        pair, method=lambda p, A: sirt(p, A, iterations=5, progress=False), name="sirt", settings=SETTINGS, heads=heads
    )
    assert plain.method == "sirt"
    film = replace(pair, p=0.7 * pair.p + 0.4, meaning="film")
    fitted, exact = (reconstruct_pair(one, settings=SETTINGS, heads=heads) for one in (film, pair))
    truth = truth_hu(skull)
    score = lambda made: float(psnr3d(made.estimate.hu[None, None], truth))
    prior = float(psnr3d(exact.prior.hu[None, None], truth))
    assert score(exact) > score(fitted) > prior + 2 and score(exact) > score(plain)
    assert abs(float(fitted.p.mean() / exact.p.mean()) - 1) < 0.15  # gain and offset were taken off


def test_a_network_that_knows_its_grid_gets_it_and_every_row_of_the_experiment_serves(
    pair: RadiographPair, heads: Heads
) -> None:
    net = BiPlanarNet(lift=("smear",), widths=(8, 16), agree="last", prior=(N, N, N)).eval()
    watch(net, TrainedFor("net", {}, (SIDE / N,) * 3, None, (N,) * 3), otherwise="refuse")
    made = reconstruct_pair(pair, method=net, name="net", settings=replace(SETTINGS, size=64, side_mm=None), heads=heads)
    assert made.estimate.hu.shape == (N, N, N) and made.p.shape == (2, N, N) and made.method == "net"
    assert any("size 64 is not used: the network has a grid of its own, 16 voxels" in note for note in made.notes)
    for asked in (SETTINGS, replace(SETTINGS, size=None, side_mm=None)):  # nothing else than it has, or nothing at all
        made = reconstruct_pair(pair, method=net, name="net", settings=asked, heads=heads)
        assert not any("not used" in note for note in made.notes)
    assert set(PLAIN) == set(PAIR_METHODS)
    for name in ("back-projection", "atlas-registered", "sirt"):
        assert reconstruct_pair(pair, method=name, settings=SETTINGS, heads=heads).estimate.hu.isfinite().all()


def test_a_network_of_another_geometry_is_named_as_a_doubt(pair: RadiographPair, heads: Heads) -> None:
    net = BiPlanarNet(lift=("smear",), widths=(8, 16), agree="last", prior=(N, N, N)).eval()
    nearer = bi_planar(cols=N, rows=N, pixel_mm=22.5, source_iso_mm=900, source_detector_mm=1500)
    for beam, doubted in ((nearer, True), (pair.resized(N, N).beam, False)):
        watch(net, TrainedFor("net", beam_to_config(beam), (SIDE / N,) * 3, None, (N,) * 3), otherwise="allow")
        doubts = reconstruct_pair(pair, method=net, name="net", settings=SETTINGS, heads=heads).doubts
        assert any("trained at another geometry: view 1: " in doubt for doubt in doubts) == doubted


def test_films_come_onto_the_pixels_of_a_networks_training_and_another_geometry_is_refused_before_skulls_are_drawn(
    pair: RadiographPair, monkeypatch: pytest.MonkeyPatch, heads: Heads
) -> None:
    net = BiPlanarNet(lift=("smear",), widths=(8, 16), agree="last", prior=(N, N, N)).eval()
    trained = lambda beam: TrainedFor("net", beam_to_config(beam), (SIDE / N,) * 3, None, (N,) * 3)
    for pitch, larger in ((20.0, False), (24.0, True)):
        other = bi_planar(cols=N, rows=N, pixel_mm=pitch, source_iso_mm=1000, source_detector_mm=1500)
        watch(net, trained(other), otherwise="refuse")
        made = reconstruct_pair(pair, method=net, name="net", settings=SETTINGS, heads=heads)
        assert not any("geometry" in doubt for doubt in made.doubts)
        assert any("384 x 384 mm, larger than the films of 360 x 360 mm" in note for note in made.notes) == larger
    half = np.array([[1.0], [0.5]])  # the lateral film alone is smaller than the detector of training
    beam = replace(pair.beam, row_step_mm=pair.beam.row_step_mm * half, col_step_mm=pair.beam.col_step_mm * half)
    watch(
        net, trained(bi_planar(cols=N, rows=N, pixel_mm=20.0, source_iso_mm=1000, source_detector_mm=1500)), otherwise="allow"
    )
    notes = reconstruct_pair(replace(pair, beam=beam), method=net, name="net", settings=SETTINGS, heads=heads).notes
    assert any("320 x 320 mm, larger than the films of 180 x 180 mm" in note for note in notes)
    nearer = bi_planar(cols=N, rows=N, pixel_mm=22.5, source_iso_mm=900, source_detector_mm=1500)
    watch(net, trained(nearer), otherwise="refuse")
    monkeypatch.setattr(pair_estimate, "draw_skulls", None)
    with pytest.raises(
        GeometryError, match=r"another scan \(view 1: source 100 mm elsewhere, detector 100 mm elsewhere; view 2"
    ):
        reconstruct_pair(pair, method=net, name="net", settings=SETTINGS)


def test_a_network_that_learnt_from_other_heads_than_it_is_judged_on_is_named_as_a_doubt(
    pair: RadiographPair, heads: Heads
) -> None:
    net = BiPlanarNet(lift=("smear",), widths=(8, 16), agree="last", prior=(N, N, N)).eval()
    small = torch.nn.functional.interpolate(torch.nn.functional.pad(heads.known, (6,) * 6), size=(N, N, N), mode="trilinear")
    for learnt_from, doubted in ((heads.known[:8], False), (heads.held, False), (small, True)):
        net.set_prior(learnt_from.mean(0, keepdim=True))
        doubts = reconstruct_pair(pair, method=net, name="net", settings=SETTINGS, heads=heads).doubts
        assert any("learnt from heads of another age or kind" in doubt for doubt in doubts) == doubted


def test_the_run_of_a_training_on_radiographs_of_many_geometries_serves_as_method(
    pair: RadiographPair, heads: Heads, tmp_path: Path
) -> None:
    seen = [bi_planar(cols=N, rows=N, pixel_mm=24.0, source_iso_mm=d, source_detector_mm=1500) for d in (900, 1000)]
    images = ImageSet(heads.held_fine, [f"head-{i}" for i in range(len(heads.held_fine))])
    data = RadiographSet(images, [Projector(heads.grid, beam) for beam in seen], factor=2)
    config = preset_config("smear-agree", widths=[4, 8], prior=[N, N, N])
    how = {"objective": {"error": (1.0, ImageError(unit_hu=200))}, "dose": Dose(1e5), "config": {"model": config}}
    settings = TrainSettings(steps=2, batch=2, lr=1e-3)
    train_on_radiographs(make_model(config), data, run=tmp_path / "run", settings=settings, progress=False, **how)
    made = reconstruct_pair(pair, method=load_reconstructor(tmp_path / "run"), name="run", settings=SETTINGS, heads=heads)
    assert made.estimate.hu.shape == (N, N, N) and made.p.shape == (2, N, N)


@pytest.mark.parametrize(
    ("turned", "words"),
    [
        (lambda p: p, ""),
        (lambda p: p.flip(-2), "both pictures upside down"),
        (lambda p: p.flip(2), "the frontal and the lateral picture swapped"),
        (lambda p: torch.cat([p[:, :, :1], p[:, :, 1:].flip(-1)], 2), "the lateral picture mirrored"),
    ],
)
def test_a_pair_that_lies_another_way_is_said_whatever_the_method(
    turned: Callable[[torch.Tensor], torch.Tensor], words: str, pair: RadiographPair, heads: Heads
) -> None:
    faced = lambda mu: mu + 0.012 * FACE_VOLUME * (mu > 0)  # a dense face, so that front and back differ
    fine = faced(heads.held_fine)
    shown = replace(heads, known=faced_coarse(heads.known), held=torch.nn.functional.avg_pool3d(fine, 2), held_fine=fine)
    p = take_radiographs(faced(drawn(1, seed=9)), Projector(FINE, BEAM), Dose(1e5), seed=0)
    for method in ("atlas", "gaussian"):
        doubts = reconstruct_pair(replace(pair, p=turned(p)), method=method, settings=SETTINGS, heads=shown).doubts
        found = [doubt for doubt in doubts if "fits the built-in skulls better with" in doubt]
        assert bool(found) == bool(words) and all(words in doubt for doubt in found)


def test_what_lies_outside_of_the_known_skulls_is_said(pair: RadiographPair, heads: Heads) -> None:
    dense = reconstruct_pair(replace(pair, p=1.8 * pair.p), settings=SETTINGS, heads=heads)
    assert any("mean line integral" in doubt for doubt in dense.doubts)
    far = replace(pair, p=torch.nn.functional.avg_pool2d(pair.p[0], 3, stride=1, padding=1)[None])
    far.p[..., : PIXELS // 2, :] = 0
    assert any("shadows" in doubt for doubt in reconstruct_pair(far, settings=SETTINGS, heads=heads).doubts)
    crossed = replace(pair, p=pair.p.flip(-2) + 0.5 * pair.p.flip(-1))
    doubts = reconstruct_pair(crossed, settings=SETTINGS, heads=heads).doubts
    assert any("before agreement the re-projections differ" in doubt for doubt in doubts)


def test_a_volume_that_cuts_the_head_off_is_said(pair: RadiographPair, heads: Heads) -> None:
    assert not any("reach out" in doubt for doubt in reconstruct_pair(pair, settings=SETTINGS, heads=heads).doubts)
    middle = lambda mu, size, rest: torch.nn.functional.interpolate(
        mu[..., rest:-rest, rest:-rest, rest:-rest], size=(size,) * 3
    )
    known, held, fine = (
        middle(mu, n, r) for mu, n, r in ((heads.known, N, 3), (heads.held, N, 3), (heads.held_fine, 2 * N, 6))
    )
    cut = Heads(known, held, fine, Grid((N,) * 3, 120 / N), Grid((2 * N,) * 3, 60 / N))
    doubts = reconstruct_pair(pair, settings=replace(SETTINGS, side_mm=120.0), heads=cut).doubts
    assert any("100 % of the built-in skulls reach out of the volume of 120 mm" in doubt for doubt in doubts)


def test_poses_that_are_a_little_wrong_can_be_refined(skull: torch.Tensor, heads: Heads) -> None:
    turn, shift = [[0.0, 0.0, 0.0], [5.0, 0.0, 0.0]], [[0.0, 0.0, 0.0], [8.0, 0.0, 0.0]]
    moved = Projector(FINE, BEAM).moved(turn_deg=turn, shift_mm=shift)
    wrong = RadiographPair(take_radiographs(skull, moved, Dose(1e5), seed=0), BEAM, "line integral", ())
    as_told = reconstruct_pair(wrong, settings=SETTINGS, heads=heads)
    refined = reconstruct_pair(wrong, settings=replace(SETTINGS, refine_poses=2), heads=heads)
    assert refined.numbers["residual"] < as_told.numbers["residual"]
    assert any("lateral: its pose was refined by" in note for note in refined.notes)
    lateral = refined.estimate.provenance["poses"]["lateral"]
    assert f"{np.linalg.norm(lateral['refined_turn_deg']):.2f} degrees" in " ".join(refined.notes)
    assert np.linalg.norm(lateral["refined_shift_mm"]) > 0.5 and "poses" in as_told.estimate.provenance


@pytest.mark.parametrize(("gain", "offset"), [(0.3, 0.0), (40.0, -7.0)])
def test_poses_of_films_are_refined_whatever_their_gain_and_offset(
    pair: RadiographPair, heads: Heads, gain: float, offset: float
) -> None:
    found = []
    for film in (pair.p, gain * pair.p + offset):
        made = reconstruct_pair(replace(pair, p=film, meaning="film"), settings=replace(SETTINGS, refine_poses=2), heads=heads)
        found.append(made.estimate.provenance["poses"]["frontal"])
        assert np.linalg.norm(found[-1]["refined_shift_mm"]) < 5  # the poses told are right
    assert np.allclose(found[0]["refined_turn_deg"], found[1]["refined_turn_deg"], atol=0.02)
    assert np.allclose(found[0]["refined_shift_mm"], found[1]["refined_shift_mm"], atol=0.05)


def test_a_pair_off_the_grids_origin_is_reconstructed_about_its_isocentre(pair: RadiographPair, heads: Heads) -> None:
    way = np.array([40.0, -25.0, 10.0])
    beam = replace(BEAM, source_mm=np.asarray(BEAM.source_mm) + way, detector_mm=np.asarray(BEAM.detector_mm) + way)
    there = reconstruct_pair(replace(pair, beam=beam, iso_mm=(40.0, -25.0, 10.0)), settings=SETTINGS, heads=heads)
    here = reconstruct_pair(replace(pair, beam=BEAM), settings=SETTINGS, heads=heads)
    assert torch.allclose(there.estimate.hu, here.estimate.hu, atol=5.0)
    for name in ("error_held_hu", "misfit_held_mean", "seen", "spread_factor"):
        assert there.numbers[name] == pytest.approx(here.numbers[name], rel=0.02)
    assert np.allclose(there.estimate.affine_mm[:3, 3] - here.estimate.affine_mm[:3, 3], way)


def test_views_that_see_too_little_and_senseless_settings_are_refused(pair: RadiographPair, heads: Heads) -> None:
    narrow = bi_planar(cols=PIXELS, rows=PIXELS, pixel_mm=1.0, source_iso_mm=1000, source_detector_mm=1500)
    with pytest.raises(GeometryError, match="too little for a head"):
        reconstruct_pair(replace(pair, beam=narrow), settings=SETTINGS, heads=heads)
    with pytest.raises(ConfigError, match="did you mean 'gaussian'"):
        reconstruct_pair(pair, method="gausian", settings=SETTINGS, heads=heads)
    with pytest.raises(ConfigError, match="even number of voxels"):
        PairSettings(size=33)


def test_the_folder_holds_volumes_page_and_numbers_and_says_what_they_are(
    pair: RadiographPair, heads: Heads, tmp_path: Path
) -> None:
    made = reconstruct_pair(pair, method="nearest", settings=SETTINGS, heads=heads)
    write_estimate(made, tmp_path / "out")
    for name in ("estimate", "spread", "prior"):
        case = open_case(tmp_path / "out" / f"{name}.nii.gz")
        assert torch.allclose(case.hu, getattr(made, name).hu, atol=1e-3)
        first = pydicom.dcmread(next((tmp_path / "out" / f"{name}_dicom").iterdir()))
        assert DESCRIPTION in first.SeriesDescription and DESCRIPTION in first.DerivationDescription
        assert list(first.ImageType)[:2] == ["DERIVED", "SECONDARY"] and "MRN" not in str(first)
    text = (tmp_path / "out" / "page.html").read_text()
    assert "not for diagnosis" in text and "prior alone" in text and "re-projection" in text and "<script" not in text
    facts = json.loads((tmp_path / "out" / "estimate.json").read_text())
    assert facts["what"] == DESCRIPTION and facts["method"] == "nearest" and facts["notes"]
    with pytest.raises(OutputExistsError):
        write_estimate(made, tmp_path / "out")


def test_derived_series_refer_to_both_films_by_replaced_uids_and_stay_in_their_study(
    folder: Path, pair: RadiographPair, heads: Heads, tmp_path: Path
) -> None:
    write_estimate(reconstruct_pair(pair, method="atlas", settings=SETTINGS, heads=heads), tmp_path / "out")
    films = [pydicom.dcmread(folder / f"{name}.dcm") for name in ("AP", "LAT")]
    hidden = lambda uid: replaced_uid(str(uid), deidentify=True)
    series = [sorted((tmp_path / "out" / f"{name}_dicom").iterdir()) for name in ("estimate", "spread", "prior")]
    for made in (pydicom.dcmread(one) for files_of in series for one in (files_of[0], files_of[-1])):
        assert [s.ReferencedSOPInstanceUID for s in made.SourceImageSequence] == [hidden(f.SOPInstanceUID) for f in films]
        assert {s.ReferencedSOPClassUID for s in made.SourceImageSequence} == {films[0].SOPClassUID}
        assert [s.SeriesInstanceUID for s in made.ReferencedSeriesSequence] == [hidden(f.SeriesInstanceUID) for f in films]
        assert made.StudyInstanceUID == hidden(films[0].StudyInstanceUID)
        assert str(films[0].SOPInstanceUID) not in str(made)
    frames = {pydicom.dcmread(files_of[0]).FrameOfReferenceUID for files_of in series}
    assert len(frames) == 1


def test_a_pose_file_may_give_what_the_headers_lack(folder: Path) -> None:
    told = PoseFile(lateral=ViewPose(iso_mm=(3.0, 0.0, 0.0)))
    pair = read_radiographs(folder / "AP.dcm", folder / "LAT.dcm", poses=told)
    assert pair.iso_mm == (1.5, 0.0, 0.0)
    assert pair.about["lateral"]["iso_mm"] == [3.0, 0.0, 0.0] and pair.about["lateral"]["flip_columns"] is False


def test_heads_of_another_grid_are_refused_and_drawn_ones_are_kept(pair: RadiographPair, heads: Heads) -> None:
    with pytest.raises(GeometryError, match="heads lie on a grid"):
        reconstruct_pair(pair, settings=replace(SETTINGS, size=20), heads=heads)
    one, again = (draw_skulls(Grid((16,) * 3, 12.0), known=1, held=1, settings=SETTINGS.family, progress=False) for _ in "ab")
    assert one is again and one.known.shape == one.held.shape == (1, 1, 16, 16, 16)
    assert torch.allclose(torch.nn.functional.avg_pool3d(one.held_fine, 2), one.held)


def test_an_age_that_the_built_in_skulls_do_not_have_is_said(pair: RadiographPair, heads: Heads) -> None:
    says = lambda months: [
        doubt
        for doubt in reconstruct_pair(replace(pair, age_months=months), settings=SETTINGS, heads=heads).doubts
        if "the headers say an age" in doubt
    ]
    low, high = SETTINGS.age_months
    assert len(says((480.0, 492.0))) == 1 and not says((low, high)) and not says(None)
