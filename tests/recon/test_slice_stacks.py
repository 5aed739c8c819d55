"""A method that looks at neighbouring slices sees the same ones wherever its images are made."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from lopsided_phantom import BEAM, lopsided
from torch import Tensor, nn

from taskct.core.config import from_dict
from taskct.core.errors import ConfigError, InputError, UnitsError
from taskct.core.runs import Run
from taskct.data.images import ImageSet
from taskct.data.nifti import write_nifti
from taskct.data.reconstructed_scan import SLICES_AT_ONCE, reconstruct_scan
from taskct.evaluation import evaluate
from taskct.evaluation.dose.example import show_slice
from taskct.evaluation.dose.target import parse_target
from taskct.evaluation.evaluation_config import EvaluationPlan, run_plan, scan_of_training
from taskct.evaluation.project_case import ProjectCase
from taskct.evaluation.reading import LesionPair, audit_lesions
from taskct.evaluation.rows import DoseLevel
from taskct.geometry.beam_config import beam_to_config
from taskct.nets import UNet
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon import fbp
from taskct.recon.learned import FBPNet, TrainedFor, load_reconstructor, make_model, trained_for
from taskct.recon.learned.trained_for import watch
from taskct.recon.slice_stacks import reconstruct_slices, stack_neighbours
from taskct.simulate import scan_case
from taskct.simulate.clean_scans import CleanScans
from taskct.simulate.noisy_scan import add_noise
from taskct.systems.adaptive.experiment.scoring import reconstruct_all
from taskct.systems.alara.learned import DoseSystem
from taskct.task import DiceCE, FrozenTask, HuWindow
from taskct.viewer import open_studies, plan_view
from taskct.viewer.ct_study import CtStudy, Simulation


class Next:
    """The FBP of the slice behind the one that is asked for: what goes wrong with its neighbours is seen at once."""

    neighbours = 1

    def __call__(self, p: Tensor, A: Projector) -> Tensor:
        return fbp((stack_neighbours(p, 1) if p.shape[1] == 1 else p)[:, 2:3], A)


def behind(count: int) -> list[int]:
    return [min(k + 1, count - 1) for k in range(count)]


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 20])
def test_parts_of_a_volume_are_what_the_whole_volume_is(at_once: int) -> None:
    case = lopsided(planes=7)
    A = Projector(case.slice_grid, BEAM)
    p = ProjectCase()(case, range(7), A).p
    torch.manual_seed(0)
    for model in (Next(), FBPNet(UNet(3, 1, widths=(4, 8)), neighbours=1).eval()):
        with torch.no_grad():
            whole = model(p, A)
            parts = torch.cat(list(reconstruct_slices(model, p, A, at_once=at_once)))
        torch.testing.assert_close(parts, whole, atol=1e-7, rtol=1e-5)


def test_a_long_scan_and_an_evaluation_show_the_slices_beside() -> None:
    count = SLICES_AT_ONCE + 3
    case = lopsided(planes=count)
    scan = scan_case(case, BEAM, Dose(1e5), seed=1)
    torch.testing.assert_close(
        reconstruct_scan(scan, Next()).hu, reconstruct_scan(scan, fbp).hu[behind(count)], atol=1e-2, rtol=0
    )
    A, dose = Projector(case.slice_grid, BEAM), Dose(1e5)
    table = evaluate({"next": Next(), "fbp": fbp}, [case], A, dose, slices=range(count), keep=count, progress=False)
    level = DoseLevel(1.0, 1e5)
    shown = [image.recon_hu["next", level] for image in table.images]
    plain = [image.recon_hu["fbp", level] for image in table.images]
    for k, after in enumerate(behind(count)):
        torch.testing.assert_close(shown[k], plain[after], atol=1e-2, rtol=0)


@pytest.mark.parametrize(("batch", "workers"), [(1, 2), (2, 1), (8, 1)])
def test_an_evaluation_of_slices_that_lie_apart_shows_those_beside(batch: int, workers: int) -> None:
    case = lopsided(planes=7)
    A = Projector(case.slice_grid, BEAM)
    table = evaluate(
        {"next": Next(), "fbp": fbp},
        [case],
        A,
        Dose(1e5),
        slices=[0, 3, 6],
        keep=9,
        batch=batch,
        workers=workers,
        progress=False,
    )
    plain = evaluate({"fbp": fbp}, [case], A, Dose(1e5), slices=[0, 1, 3, 4, 6], keep=9, progress=False)
    level = DoseLevel(1.0, 1e5)
    full = {image.slice: image.recon_hu["fbp", level] for image in plain.images}
    for image in table.images:
        torch.testing.assert_close(image.recon_hu["next", level], full[min(image.slice + 1, 6)], atol=1e-2, rtol=0)
        torch.testing.assert_close(image.recon_hu["fbp", level], full[image.slice], atol=1e-2, rtol=0)


@pytest.mark.parametrize("slices", [[0, 2, 4], [1, 2]])
def test_a_patient_of_slices_that_lie_apart_is_refused(slices: list[int]) -> None:
    case = lopsided(planes=6)
    subject = ProjectCase()(case, slices, Projector(case.slice_grid, BEAM))
    with pytest.raises(
        InputError, match=r"looks at 1 slice on each side, and got the slices .*; choose 3 or more that follow"
    ):
        subject.reconstruct(Next(), subject.p)


def test_the_viewer_and_the_shown_slice_of_a_dose_search_are_those_of_the_volume() -> None:
    case, doses = lopsided(planes=5), (Dose(1e5),)
    study = CtStudy(case, Simulation(methods={"next": Next(), "fbp": fbp}, doses=doses, beam=BEAM))
    names = study.facts.methods
    for plane, after in enumerate(behind(5)):
        ours, plain = (study.image(names.index(name), 0, k) for name, k in (("next", plane), ("fbp", after)))
        torch.testing.assert_close(ours, plain, atol=1e-2, rtol=0)
    subject = ProjectCase()(case, range(5), Projector(case.slice_grid, BEAM))
    target = [parse_target("rmse_hu<=50")]
    found = show_slice(Next(), [subject], target, photons=1e4, full_photons=1e5, seed=0)
    again = subject.reconstruct(fbp, subject.scan(1e4, seed=0))
    torch.testing.assert_close(found.found_hu, subject.hu(again)[3, 0], atol=1e-2, rtol=0)  # the slice behind the middle one


def test_an_audit_shows_the_slices_beside() -> None:
    without = lopsided(planes=4)
    assert without.labels is not None
    labels = without.labels.clone()
    labels[labels == 2] = 1
    pair = LesionPair(replace(without, labels=labels), without)
    seen: list[Tensor] = []

    class Kept(Next):
        def __call__(self, p: Tensor, A: Projector) -> Tensor:
            seen.append(super().__call__(p, A))
            return seen[-1]

    def plain(p: Tensor, A: Projector) -> Tensor:
        assert p.shape[1] == 1
        return fbp(p, A)

    A = Projector(without.slice_grid, BEAM)
    reader = FrozenTask(nn.Conv2d(1, 3, 1).requires_grad_(False).eval(), HuWindow(60, 400), DiceCE(), "any")
    audit_lesions([pair], {"next": Kept(), "fbp": plain}, A, Dose(1e5), [reader])
    (number,) = pair.slices[:1]
    subject = ProjectCase()(without, range(4), A)
    p = add_noise(subject.p, Dose(1e5), seed=0, case_id=without.case_id, items=range(4))
    torch.testing.assert_close(seen[0][0], fbp(p, A)[number + 1], atol=1e-6, rtol=1e-4)


def test_scores_and_retrained_readers_see_the_slices_of_the_same_patient() -> None:
    A = Projector(lopsided().slice_grid, BEAM)
    mu = torch.cat([0.02 * (1 + k) * (lopsided().hu[:1] > -500).float()[None] for k in range(5)])
    images = ImageSet(mu, ("a", "a", "a", "b", "b"), ids=tuple("12345"))
    scans = CleanScans(images, A, refine=1, progress=False)
    ours = torch.cat(list(reconstruct_all(Next(), scans, Dose(1e6), A, seed=3, batch=2)))
    plain = torch.cat(list(reconstruct_all(fbp, scans, Dose(1e6), A, seed=3, batch=2)))
    torch.testing.assert_close(ours, plain[[1, 2, 2, 4, 4]], atol=1e-6, rtol=1e-4)


def test_a_dose_is_not_learnt_through_a_network_that_needs_other_slices() -> None:
    class Sees(nn.Module):
        neighbours = 1

    with pytest.raises(ConfigError, match="treats each slice alone"):
        DoseSystem(nn.Identity(), Sees())  # type: ignore[arg-type]


class Scaled(FBPNet):
    """A network of three slices with a setting of its own."""

    def forward(self, p: Tensor, A: Projector, gain: float = 1.0) -> Tensor:
        return gain * super().forward(p, A)


def test_a_network_with_a_setting_is_shown_the_slices_beside_and_keeps_its_record() -> None:
    case = lopsided(planes=7)
    torch.manual_seed(0)
    net = Scaled(UNet(3, 1, widths=(4, 8)), neighbours=1).eval()
    methods = {"net": net, "partial": partial(net, gain=1.0)}
    table = evaluate(methods, [case], Projector(case.slice_grid, BEAM), Dose(1e5), batch=3, keep=0, progress=False)
    found = {name: [r.value for r in table.rows if r.method == name and r.metric == "rmse_hu"] for name in methods}
    assert found["net"] == pytest.approx(found["partial"], rel=1e-5)
    watch(net, TrainedFor("runs/net", mu_water_per_mm=0.02), otherwise="refuse")
    scan = scan_case(case, BEAM, Dose(1e5), seed=1)
    for method in methods.values():
        assert trained_for(method) is not None
        with pytest.raises(UnitsError, match=r"water of 0.02/mm in training, now 0.01929/mm"):
            reconstruct_scan(scan, method)
    watch(net, TrainedFor("runs/net"), otherwise="refuse")
    facts = reconstruct_scan(scan, methods["partial"]).provenance["reconstruction"]
    assert facts == {"network": "runs/net", "method": "Scaled", "gain": 1.0}


@pytest.mark.parametrize("words", ["1:4", "0:5:2", "2"])
def test_the_viewer_shows_chosen_slices_as_an_evaluation_of_them_does(words: str, tmp_path: Path) -> None:
    case, config = lopsided(planes=5), {"kind": "fbp_unet", "widths": [4, 8], "neighbours": 1}
    write_nifti(case, tmp_path / "ct.nii")
    torch.manual_seed(0)
    model = make_model(config)
    nn.init.normal_(model.net.out.weight)  # type: ignore[union-attr, arg-type]
    grid = {"shape": [32, 48], "spacing_mm": [2.0, 1.5]}
    run = Run.create(tmp_path / "net", {"model": config, "beam": beam_to_config(BEAM), "grid": grid, "training": {}})
    run.save_tensors("weights.safetensors", model.state_dict())
    asked = {"methods": {"net": {"method": str(run.folder)}}, "slices": words, "dose": {"fractions": [1.0]}}
    (study,) = open_studies(plan_view([str(tmp_path / "ct.nii")], asked))
    table = run_plan(
        from_dict(EvaluationPlan, {"inputs": [str(tmp_path / "ct.nii")], **asked, **scan_of_training(trained(run))}),
        tmp_path / "table",
        progress=False,
    )
    assert table.images
    for image in table.images:
        shown = study.image(1, 0, study.facts.planes.index(f"slice {image.slice}"))
        torch.testing.assert_close(shown, next(iter(image.recon_hu.values())), atol=1e-2, rtol=0)


def trained(run: Run) -> TrainedFor:
    about = trained_for(load_reconstructor(run))
    assert about is not None
    return about
