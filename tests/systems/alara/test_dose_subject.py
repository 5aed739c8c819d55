"""The setting of a dose search: chosen slices, grids of trained chains, and what a run must have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from taskct.core.errors import InputError
from taskct.core.runs import Run
from taskct.data.case import Case
from taskct.geometry import Grid, ParallelBeam
from taskct.geometry.beam_config import beam_to_config
from taskct.physics.projector import Projector
from taskct.recon.fbp import fbp
from taskct.recon.learned import make_model
from taskct.systems.alara.dose_subject import DoseChain, chain_of, setting_of

BEAM = ParallelBeam(views=24, cols=52, pixel_mm=8.0)
MODEL = {"kind": "fbp_unet", "widths": [4, 8]}


def case(name: str = "a", **provenance: object) -> Case:
    made = Case(torch.zeros(9, 32, 32), (5.0, 10.0, 10.0), case_id=name)
    return replace(made, provenance={**made.provenance, **provenance})


def test_slices_are_chosen_evenly_and_photons_replace_those_of_the_chain() -> None:
    found = setting_of(DoseChain(fbp, BEAM), cases=[case()], slices=slice(1, 9), every=3)
    assert found.slices == {"a": [1, 5, 8]} and found.dose.photons == 1e5
    assert found.projector(found.cases[0]).mu_shape == (32, 32)
    assert setting_of(DoseChain(fbp, BEAM, 2e5), cases=[case()]).dose.photons == 2e5
    assert setting_of(DoseChain(fbp, BEAM, 2e5), cases=[case()], photons=3e5, electronic_std=2).dose.electronic_std == 2


def test_ctdi_is_taken_from_headers_that_agree() -> None:
    chain = DoseChain(fbp, BEAM)
    agree = [case("a", ctdi_vol_mgy=5.0), case("b", ctdi_vol_mgy=5.0)]
    assert setting_of(chain, cases=agree).ctdi_vol_mgy == 5
    assert setting_of(chain, cases=[*agree, case("c", ctdi_vol_mgy=6.0)]).ctdi_vol_mgy is None
    assert setting_of(chain, cases=[case()]).ctdi_vol_mgy is None


def test_a_trained_chain_brings_its_beam_its_dose_and_its_grid(tmp_path: Path) -> None:
    grid = {"shape": [48, 48], "spacing_mm": [8.0, 8.0]}
    dose = {"photons": 5e4, "lowest": 0.1, "highest": 0.5, "electronic_std": 7.0}
    config = {"model": MODEL, "beam": beam_to_config(BEAM), "grid": grid, "dose": dose}
    run = Run.create(tmp_path / "run", config)
    run.save_tensors("weights.safetensors", make_model(MODEL).state_dict())
    chain = chain_of(run)
    assert chain.beam == BEAM and chain.full_photons == 2.5e4 and chain.grid == Grid((48, 48), (8.0, 8.0))
    found = setting_of(chain, cases=[case()], slices=[2, 3])
    assert found.cases[0].hu.shape == (2, 48, 48) and found.slices is None
    assert found.dose.electronic_std == 7 and setting_of(chain, cases=[case()], electronic_std=0).dose.electronic_std == 0
    built_in = setting_of(chain, patients=2)
    assert len(built_in.cases) == 2 and built_in.cases[0].hu.shape == (2, 48, 48)


def test_a_run_that_is_not_one_of_a_reconstruction_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run: not the run of a reconstruction: its config has no \[beam\]"):
        chain_of(Run.create(tmp_path / "run", {"reader": {}}))


class OfThreeSlices(torch.nn.Module):
    """A network that looks at one slice on each side."""

    neighbours = 1

    def forward(self, p: torch.Tensor, A: Projector) -> torch.Tensor:
        return fbp(p[:, p.shape[1] // 2][:, None], A)


def test_a_network_of_neighbouring_slices_is_not_shown_slices_that_lie_apart() -> None:
    for chain in (DoseChain(OfThreeSlices(), BEAM, 1e5, Grid((48, 48), 8.0)), DoseChain(fbp, BEAM)):
        assert len(setting_of(chain, cases=[case()], slices=slice(1, 5)).cases) == 1
    chain = DoseChain(OfThreeSlices(), BEAM, 1e5, Grid((48, 48), 8.0))
    with pytest.raises(InputError, match="looks at 1 slice on each side, and got the slices 0, 4, 8"):
        setting_of(chain, cases=[case()], every=3)
    with pytest.raises(InputError, match="those of the built-in patients lie far apart; give --ct"):
        setting_of(chain, patients=1)
