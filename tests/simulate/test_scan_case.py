"""scan_case: a case under 2D and 3D beams, with its true spacing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from taskct.core.errors import InputError
from taskct.data.case import Case
from taskct.geometry import ConeBeam, FanBeam, ParallelBeam, VectorBeam
from taskct.physics.bowtie import cylinder_bowtie
from taskct.physics.dose import Dose
from taskct.simulate import scan_case

FAN = FanBeam(views=8, cols=40, pixel_mm=12.0, source_iso_mm=500, source_detector_mm=1000)


def _case() -> Case:
    """Four slices of 20 x 24 samples of 9 x 6 mm: a block of water in air, denser from slice to slice."""
    hu = torch.full((4, 20, 24), -1000.0)
    for z in range(4):
        hu[z, 5:15, 6:18] = 20.0 * z
    return Case(hu, (5.0, 9.0, 6.0), case_id="block", provenance={"source": "made up"})


def test_a_ray_through_the_block_measures_its_true_length_times_mu() -> None:
    beam = ParallelBeam(views=2, cols=32, pixel_mm=6.0, arc_deg=180.0)
    scan = scan_case(_case(), beam, None, refine=1)
    mu = _case().mu[:, 0, 10, 12]
    assert scan.dose is None and scan.p.shape == (4, 1, 2, 32)
    assert torch.allclose(scan.p[:, 0, 0, 16], mu * 90.0, rtol=1e-5)  # along y: 10 samples of 9 mm
    assert torch.allclose(scan.p[:, 0, 1, 16], mu * 72.0, rtol=1e-5)  # along x: 12 samples of 6 mm


def test_a_scan_carries_what_a_reconstruction_needs() -> None:
    case = _case()
    modulation = torch.tensor([0.5, 1.5] * 4)
    scan = scan_case(case, FAN, Dose(1e5), slices=slice(1, 4, 2), modulation=modulation, bowtie=cylinder_bowtie(180.0))
    assert scan.slices == (1, 3) and scan.spacing_mm == (10.0, 9.0, 6.0) and scan.grid == case.slice_grid
    assert (scan.case_id, scan.patient_id, scan.mu_water_per_mm) == ("block", "block", case.mu_water_per_mm)
    assert case.affine_mm is not None and np.allclose(scan.affine_mm[:3, 3], case.affine_mm[:3, 3] + [5.0, 0, 0])
    assert scan.provenance["case"] == {"source": "made up"} and scan.provenance["simulation"]["seed"] == 0
    assert scan.modulation is not None and scan.bowtie is not None and scan.bowtie.shape == (40,)


def test_a_slice_gets_the_same_noise_alone_and_among_others() -> None:
    every = scan_case(_case(), FAN, Dose(1e4), seed=3)
    for slices in (2, slice(2, 3), -2):
        assert torch.equal(scan_case(_case(), FAN, Dose(1e4), seed=3, slices=slices).p, every.p[2:3])
    assert not torch.equal(scan_case(_case(), FAN, Dose(1e4), seed=4).p, every.p)


def test_refining_moves_the_projections_by_discretisation_only_and_one_switches_it_off() -> None:
    coarse, fine = (scan_case(_case(), FAN, None, refine=r).p for r in (1, 2))
    assert 1e-4 < (coarse - fine).abs().mean().item() < 0.05 * coarse.mean().item()


def test_a_cone_scans_the_volume() -> None:
    beam = ConeBeam(views=3, cols=24, rows=6, pixel_mm=20.0, source_iso_mm=500, source_detector_mm=1000)
    scan = scan_case(_case(), beam, Dose(1e6), refine=1)
    assert scan.p.shape == (1, 1, 3, 6, 24) and scan.grid == _case().grid and scan.slices == (0, 1, 2, 3)


def test_beams_of_one_row_in_the_plane_are_planar() -> None:
    def free(rise_mm: float, rows: int = 1) -> VectorBeam:
        vectors = {"detector_mm": [[rise_mm, 500, 0]], "col_step_mm": [[0, 0, 1]], "row_step_mm": [[1, 0, 0]]}
        return VectorBeam(rows=rows, cols=8, **{n: np.array(v, float) for n, v in vectors.items()}, source_mm=[[0, -500, 0]])  # type: ignore[arg-type]

    assert FAN.planar and free(0.0).planar
    assert not free(10.0).planar and not free(0.0, rows=2).planar
    assert not ConeBeam(views=1, cols=4, rows=1, pixel_mm=1.0, source_iso_mm=50, source_detector_mm=100).planar


def test_impossible_requests_are_refused() -> None:
    for refine in (0, 1.5, True):
        with pytest.raises(InputError, match="refine expects a whole number from 1"):
            scan_case(_case(), FAN, Dose(1e4), refine=refine)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="case block has slices 0 to 3"):
        scan_case(_case(), FAN, Dose(1e4), slices=9)
    with pytest.raises(InputError, match="seed expects"):
        scan_case(_case(), FAN, Dose(1e4), seed="x")  # type: ignore[arg-type]
