"""Learning a dose: constraints, domain, exact resume, strategies; LoDoPaB-CT's layout from a config."""

import math
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from places import ROOT
from small_training import how, make_images, make_model, make_projector, make_task, weights_of

from taskct.core.errors import ConfigError, GeometryError, InputError
from taskct.data.images import ImageSet
from taskct.evaluation import Subject
from taskct.evaluation.dose import parse_target
from taskct.physics.modulation import ScannerLimits
from taskct.physics.projector import Projector
from taskct.recon.fbp import fbp
from taskct.simulate.clean_scans import CleanScans
from taskct.systems.alara.learned import (
    Classical,
    DoseGoal,
    DoseModule,
    DoseSpec,
    Hinge,
    MeanQuality,
    NotHeldWarning,
    PriorInfo,
    ShareOfPatients,
    load_dose,
    load_strategy,
    train_dose,
)
from taskct.systems.alara.learned.domain import Domain
from taskct.systems.alara.learned.dose_source import PatientScans
from taskct.systems.alara.learned.dose_training_config import read_dose_plan, run_dose_plan
from taskct.systems.alara.learned.surrogate import Surrogate

SMALL = DoseSpec(lowest_photons=256, fallback_photons=4096, highest_photons=65536, width=4)
QUICK = {"batch": 3, "precision": "float32", "warmup_steps": 0, "checkpoint_every": 1, "validate_every": 3, "progress": False}


def run(folder: Path, *, steps: int = 4, spec: DoseSpec = SMALL, target: str = "rmse_hu<=60", **more):  # type: ignore[no-untyped-def]
    words = {**QUICK, "constraint": MeanQuality(), **more}
    model = words.pop("model", None) or make_model(norm="none")
    goal = DoseGoal(target=target, **{f.name: words.pop(f.name) for f in fields(DoseGoal) if f.name in words})
    images = make_images(12, seed=1)
    checks = make_images(4, seed=2, prefix="check")
    return train_dose(
        spec,
        images,
        reconstruct=model,
        goal=goal,
        A=make_projector(),
        run=folder,
        validation=checks,
        **how(steps=steps, **words),
    )


def subject_of(scans: CleanScans, patient: int = 0) -> Subject:
    numbers = torch.tensor([2 * patient, 2 * patient + 1])
    p = scans.take(numbers, torch.device("cpu")).reshape(2, 1, *scans.A.p_shape)
    return Subject(scans.images[numbers], p, scans.A, (0, 1))


def test_a_dose_falls_while_quality_has_room_and_rises_while_it_lacks(tmp_path: Path) -> None:
    common = {"steps": 25, "model": Classical(fbp), "lr": 3e-3, "image_weight": 0.0, "clip_norm": 0.0, "ema": 0.0}
    easy = run(tmp_path / "easy", target="rmse_hu<=900", **common)
    hard = run(tmp_path / "hard", target="rmse_hu<=1", **common)
    dose = lambda done: [line["dose"] for line in done.run.metrics() if line["kind"] == "validation"][-1]
    assert dose(easy) < 0.8 and dose(hard) > 1.5


def test_a_bound_in_hu_is_held_in_the_hu_of_the_images(tmp_path: Path) -> None:
    water = {"70 keV": (0.01929, 0.0), "other": (0.04, 0.00142)}  # the other unit of HU is twice as large
    found = {}
    for name, (own, air) in water.items():
        made = make_images(12, seed=1)
        images = ImageSet(made.mu, made.patient_ids, made.labels, made.ids, mu_water_per_mm=own, mu_air_per_mm=air)
        with pytest.warns(NotHeldWarning):
            trained = train_dose(
                SMALL, images[:10], reconstruct=Classical(fbp), A=make_projector(), run=tmp_path / name,
                goal=DoseGoal(target="rmse_hu<=1", constraint=MeanQuality(), image_weight=0.0), validation=images[10:],
                **how(**QUICK | {"steps": 1, "validate_every": 1, "lr": 1e-9}),
            )  # fmt: skip
        assert trained.held is not None
        found[name] = trained.held.shortfall + 1
    assert found["70 keV"] == pytest.approx(2 * found["other"], rel=1e-3)


def test_a_run_that_was_stopped_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = DoseSpec(lowest_photons=256, fallback_photons=4096, highest_photons=65536, width=4, harmonics=1, per="slice")
    out_of_reach = "rmse_hu<=1"  # so that the multiplier moves in every step
    whole = run(tmp_path / "whole", spec=spec, target=out_of_reach, constraint=MeanQuality(rate=0.5))

    class StopError(Exception):
        pass

    calls: list[int] = []
    commit = MeanQuality.commit

    def stopping(self, parts):  # type: ignore[no-untyped-def]
        if len(calls) == 2:
            raise StopError
        calls.append(1)
        commit(self, parts)

    with monkeypatch.context() as patch, pytest.raises(StopError):
        patch.setattr(MeanQuality, "commit", stopping)
        run(tmp_path / "parts", spec=spec, target=out_of_reach, constraint=MeanQuality(rate=0.5))
    resumed = run(tmp_path / "parts", spec=spec, target=out_of_reach, constraint=MeanQuality(rate=0.5))
    one, two = weights_of(whole.system), weights_of(resumed.system)
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_run_is_resumed_only_with_what_it_was_started_for(tmp_path: Path) -> None:
    quick = {"steps": 1, "model": Classical(fbp), "image_weight": 0.0}
    run(tmp_path / "run", **quick)
    run(tmp_path / "run", **quick)
    for more, said in (
        ({"target": "rmse_hu<=50"}, "held.target"),
        ({"constraint": MeanQuality(rho=2.0)}, "held.constraint.rho"),
        ({"constraint": Hinge()}, "held.constraint.kind"),
        ({"spec": replace(SMALL, harmonics=1)}, "dose_module.harmonics"),
    ):
        with pytest.raises(ConfigError, match=f"was started with {said} = .*, got .*; continue"):
            run(tmp_path / "run", **{**quick, **more})


def test_a_constraint_begins_anew_in_every_training(tmp_path: Path) -> None:
    out_of_reach = {"target": "rmse_hu<=1", "model": Classical(fbp), "image_weight": 0.0}
    one = MeanQuality(rate=0.5)
    first = run(tmp_path / "first", constraint=one, **out_of_reach)
    assert one.multiplier == 0  # the caller's object is his own
    one.multiplier, one.smoothed = 50.0, 3.0
    again = run(tmp_path / "again", constraint=one, **out_of_reach)
    assert all(torch.equal(weights_of(first.system)[k], v) for k, v in weights_of(again.system).items())


def test_a_reader_that_finds_nothing_trains_no_share_of_full_dose(tmp_path: Path) -> None:
    blind = make_task()
    blind.predict = lambda mu: torch.stack([100 + 0 * mu[:, 0], -100 + 0 * mu[:, 0]], 1)  # type: ignore[method-assign]
    with pytest.raises(InputError, match="reaches a quality of 0 at full dose"):
        run(tmp_path / "run", target="liver.dice>=0.95*full", reader=blind, classes={"liver": 1}, model=Classical(fbp))


def test_a_trained_dose_comes_back_from_its_folder_and_advises(tmp_path: Path) -> None:
    done = run(tmp_path / "run", model=Classical(fbp), image_weight=0.0)
    scans = CleanScans(make_images(4, seed=2, prefix="check"), make_projector(), progress=False)
    subject = subject_of(scans)
    strategy = load_strategy(done.run, limits=ScannerLimits(lowest_photons=1000, highest_photons=2000))
    advice = strategy.advise(subject)
    assert advice.photons.shape == (2, 24) and float(advice.photons.max()) <= 2000
    assert weights_of(load_dose(done.run)).keys() == weights_of(done.system).keys()
    assert "distance" in advice.text and (advice.outside or math.isfinite(advice.forecast))


def test_a_patient_unlike_the_others_gets_the_fixed_dose(tmp_path: Path) -> None:
    done = run(tmp_path / "run", model=Classical(fbp), image_weight=0.0)
    scans = CleanScans(make_images(4, seed=2, prefix="check"), make_projector(), progress=False)
    usual = subject_of(scans)
    thick = Subject(usual.images, 1.6 * usual.p, usual.A, (0, 1))
    empty = Subject(ImageSet(0 * usual.mu, usual.images.patient_ids), 0 * usual.p, usual.A, (0, 1))
    strategy = load_strategy(done.run)
    assert not strategy.advise(usual).outside
    for odd in (thick, empty):
        advice = strategy.advise(odd)
        assert advice.outside and advice.mean_photons == 4096 and math.isnan(advice.forecast)
        assert "outside what the dose was learnt from" in advice.text


def test_another_beam_or_grid_gets_the_fixed_dose_with_the_reason(tmp_path: Path) -> None:
    done = run(tmp_path / "run", model=Classical(fbp), image_weight=0.0, electronic_std=7.0)
    assert load_dose(done.run).electronic_std == 7.0
    usual = subject_of(CleanScans(make_images(4, seed=2, prefix="check"), make_projector(), progress=False))
    strategy = load_strategy(done.run)
    assert strategy.advise(usual).reason == ""
    A = usual.A
    fewer = Projector(A.grid, replace(A.beam, views=12))
    wider = Projector(replace(A.grid, spacing_mm=tuple(2 * s for s in A.grid.spacing_mm)), A.beam)
    for other, said in ((fewer, "a beam of views = 24, not 12"), (wider, "a grid of")):
        advice = strategy.advise(Subject(usual.images, other(usual.mu), other, (0, 1)))
        assert advice.outside and advice.mean_photons == 4096 and math.isnan(advice.forecast)
        assert said in advice.text and "fixed dose of 4096 photons" in advice.text


def test_the_domain_holds_its_patients_and_nobody_before_it_has_learnt() -> None:
    x = torch.randn(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) @ torch.diag(
        torch.tensor([1.0, 10.0, 0.1], dtype=torch.float64)
    )
    domain = Domain(3)
    assert bool(domain.outside(x).all())
    domain.learn(x)
    assert not bool(domain.outside(x).any())
    assert bool(domain.outside(torch.tensor([[0.0, 0.0, 2.0], [math.nan, 0, 0]])).all())  # 20 SD off; not a number
    with pytest.raises(InputError, match="5 training patients"):
        Domain(3).learn(x[:4])


def test_all_begin_at_the_fallback_within_the_bounds() -> None:
    module = DoseModule(SMALL)
    decision = module(torch.randn(3, 2, 2, 40), slices=2, angles_rad=torch.zeros(5))
    assert torch.allclose(decision.photons, torch.full((3,), 4096.0), rtol=1e-4)
    torch.nn.init.constant_(module.net.head.bias, 100.0)
    assert float(module(torch.randn(3, 2, 2, 40), slices=2, angles_rad=torch.zeros(5)).photons.max()) <= 65536 * 1.001


@pytest.mark.parametrize("kind", ["scout", "preshot", "earlier"])
def test_each_kind_of_prior_information_fits_the_module(kind: str) -> None:
    scans = CleanScans(make_images(4, seed=3), make_projector(), progress=False)
    prior = PriorInfo(kind=kind, photons=2000.0)  # type: ignore[arg-type]
    patients = PatientScans(scans, prior)
    assert patients.slices == 2 and len(patients) == 2
    module = DoseModule(DoseSpec(prior=prior, lowest_photons=256, fallback_photons=4096, highest_photons=65536, width=4))
    assert module(patients.prior, slices=2, angles_rad=torch.zeros(24)).log_photons.shape == (2, 2)
    assert torch.isfinite(prior.describe(patients.prior)).all()


def test_the_hinge_pulls_only_those_below_and_multipliers_follow_what_is_missing() -> None:
    gaps = torch.tensor([-2.0, 1.0], requires_grad=True)
    Hinge(weight=3.0).penalty(gaps).backward()
    assert gaps.grad is not None and gaps.grad.tolist() == [-1.5, 0.0]
    mean = MeanQuality(rho=1.0, rate=0.5)
    assert float(mean.penalty(torch.tensor([-1.0, 3.0]))) == 0  # patients may exchange quality
    for _ in range(3):
        mean.commit({"gap": -1.0, "share": 0.0, "shortfall": 1.0})
    assert mean.multiplier == pytest.approx(1.5)
    for _ in range(40):
        mean.commit({"gap": 1.0, "share": 1.0, "shortfall": 0.0})
    assert mean.multiplier == 0
    share = ShareOfPatients(0.9)
    assert share.excess({"gap": -5.0, "share": 0.95, "shortfall": 1.0}) < 0  # the promise is about patients
    again = ShareOfPatients(0.9)
    share.commit({"gap": 0, "share": 0.5, "shortfall": 1})
    again.recall(share.memory())
    assert again.memory() == share.memory()
    with pytest.raises(ConfigError, match="0 < share < 1"):
        ShareOfPatients(1.0)


@pytest.mark.parametrize(
    "text", ["psnr[image range]>=30", "psnr[fixed range]>=30", "noise_sd_hu[liver]<=20", "liver.dice>=0.9"]
)
def test_every_quality_has_a_gradient_to_the_image(text: str) -> None:
    images = make_images(4, seed=1)
    assert images.labels is not None
    surrogate = Surrogate(parse_target(text), make_projector(), reader=make_task(), class_index=1, region_class=1)
    image = (images.mu + 0.001 * torch.randn(images.mu.shape)).requires_grad_(True)
    found = surrogate(image, images.mu, images.labels.long(), 2)
    assert found.shape == (2,)
    (gradient,) = torch.autograd.grad(found.sum(), image)
    assert torch.isfinite(gradient).all() and gradient.abs().sum() > 0


def test_several_processes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[train_dose.__module__], "world", lambda: 2)
    with pytest.raises(ConfigError, match="trained in one process, got 2; start it without torchrun"):
        run(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_trained_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not trained for ssim"):
        run(tmp_path / "a", target="ssim[image range]>=0.9")
    with pytest.raises(InputError, match="needs its reader"):
        run(tmp_path / "b", target="liver.dice>=0.9")
    with pytest.raises(ConfigError, match="lowest_photons < fallback"):
        DoseSpec(lowest_photons=10, fallback_photons=5, highest_photons=100)


@pytest.mark.parametrize("convention", ["image range", "fixed range"])
def test_the_lodopab_configs_train_on_files_of_its_layout(tmp_path: Path, convention: str) -> None:
    from taskct.data.sets.lodopab import write_lodopab

    generator = torch.Generator().manual_seed(0)
    for part, count in (("train", 5), ("validation", 2)):
        axis = torch.linspace(-1, 1, 362)
        slices = []
        for _ in range(count):
            radius = 0.5 + 0.3 * float(torch.rand(1, generator=generator))
            body = ((axis[:, None] ** 2 + axis**2) < radius**2).float()[None]
            slices.append((torch.zeros(1, 1000, 513), 0.02 * body))
        write_lodopab(tmp_path / "data", part, slices)
    config = ROOT / "configs" / f"dose_lodopab_{convention.replace(' ', '_')}.toml"
    small = {
        "data": {"lodopab": str(tmp_path / "data")},
        "beam": {"views": 16},  # of 1000: the layout is what is tested here
        "model": {"widths": [4, 8]},
        "dose_module": {"width": 4},
        "training": {"steps": 1, "batch": 2, "precision": "float32"},
        "refine": 1,
    }
    plan = read_dose_plan(config, small)
    assert plan.held.target == f"psnr[{convention}]>=38.57"
    done = run_dose_plan(plan, tmp_path / "run", progress=False)
    assert done.trained.steps == 1 and load_dose(done.run).dose.spec.lowest_photons == 256


def test_a_module_with_a_rule_begins_as_that_rule_and_learns_to_leave_it(tmp_path: Path) -> None:
    from taskct.simulate.scout import SMOOTH_COLS, view_angles_rad
    from taskct.systems.alara.rivals.strategies import TubeCurrentModulation

    assert SMALL.prior.smooth_cols == SMOOTH_COLS  # as the rule sees it, unless somebody says otherwise
    spec = replace(SMALL, harmonics=1, per="slice", rule="modulation", highest_photons=2.0**22)
    scans = CleanScans(make_images(12, seed=1), make_projector(), progress=False)
    patients = PatientScans(scans, spec.prior)
    module = DoseModule(spec)
    angles = view_angles_rad(scans.A)
    module.learn(patients.prior, angles)
    course = module(patients.prior, slices=2, angles_rad=angles).log_air(24).exp().reshape(len(patients), 2, 24)
    assert float(course.mean()) == pytest.approx(4096, rel=1e-3)  # float32
    for k in range(len(patients)):
        rule = TubeCurrentModulation(0.5)(subject_of(scans, k)).float()
        assert torch.allclose(
            course[k] / course[0].mean(), rule / TubeCurrentModulation(0.5)(subject_of(scans)).float().mean(), rtol=1e-3
        )
    done = run(tmp_path / "run", spec=spec, model=Classical(fbp), image_weight=0.0, lr=1e-2, ema=0.0, keep="last")
    assert not torch.allclose(done.system.dose.exponents, torch.full((3,), 0.5), atol=1e-3)
    again = load_dose(done.run).dose
    assert torch.equal(again.usual_path, done.system.dose.usual_path)
    with pytest.raises(ConfigError, match="rule = 'modulation' expects per = 'slice'"):
        replace(SMALL, rule="modulation")
    text = (tmp_path / "run" / "config.toml").read_text(encoding="utf-8")
    (tmp_path / "run" / "config.toml").write_text(text.replace(f"smooth_cols = {SMOOTH_COLS}\n", ""), encoding="utf-8")
    assert load_dose(tmp_path / "run").dose.spec.prior.smooth_cols == 1  # a training from before scouts were smoothed


def test_a_profile_begins_at_nothing_and_gives_more_where_more_is_gained() -> None:
    """For sum_s w_s / n_s at a given mean dose the least is at n ~ sqrt(w): the cosines find it."""
    plain = replace(SMALL, harmonics=1, per="slice", rule="modulation", highest_photons=2.0**22)
    spec = replace(plain, profile=3)
    torch.manual_seed(0)
    module, angles = DoseModule(spec), torch.linspace(0, math.pi, 9)[:-1]
    prior = torch.rand(4, 2, 6, 24)
    module.learn(prior.repeat(3, 1, 1, 1), angles)
    assert torch.equal(module.profile(6), torch.zeros(6))
    worth = torch.tensor([0.1, 0.4, 1.0, 1.2, 0.8, 0.2])
    adam = torch.optim.Adam([module.bend], lr=3e-3)
    for _ in range(200):
        n = module.profile(6).exp()
        adam.zero_grad()
        ((worth / n).mean() * n.mean()).log().backward()
        adam.step()
    bent = module.profile(6).detach()
    assert float(bent.mean()) == pytest.approx(0, abs=1e-6)
    assert torch.corrcoef(torch.stack([bent, worth.log()]))[0, 1] > 0.95
    levels = module(prior, slices=6, angles_rad=angles).log_photons.detach()
    with torch.no_grad():
        module.bend.zero_()
    assert torch.allclose(levels - module(prior, slices=6, angles_rad=angles).log_photons, bent.expand(4, 6), atol=1e-4)
    with pytest.raises(ConfigError, match="above 0 with rule = 'modulation'"):
        replace(SMALL, profile=2)


def test_the_reconstruction_of_a_learned_dose_refuses_another_scan(tmp_path: Path) -> None:
    done = run(tmp_path / "run", steps=1)
    system = load_dose(done.run, model=make_model(norm="none"))
    own = make_projector()
    other = Projector(own.grid, replace(own.beam, views=12))
    assert system.reconstruct(torch.rand(1, 1, *own.p_shape), own).shape == (1, 1, 32, 32)
    with pytest.raises(GeometryError, match="views 24 in training, now 12"):
        system.reconstruct(torch.rand(1, 1, *other.p_shape), other)
    allowed = load_dose(done.run, model=make_model(norm="none"), otherwise="allow")
    assert allowed.reconstruct(torch.rand(1, 1, *other.p_shape), other).shape == (1, 1, 32, 32)
