from __future__ import annotations

import functools
import random
import warnings

import pytest
import torch

from taskct.core.errors import ConfigError, GeometryError, InputError, OutputExistsError, UnitsError
from taskct.core.units import to_hu
from taskct.core.workers import Workers
from taskct.data.case import Case
from taskct.evaluation import METRICS, PROTOCOLS, Measure, PrepareLodopab, ProjectCase, Protocol, Table, evaluate, psnr, rmse
from taskct.evaluation.rows import SECONDS
from taskct.geometry import ConeBeam, Grid, ParallelBeam
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon import RECONSTRUCTORS
from taskct.simulate import simulate_scan

DOSE = Dose(1e4, electronic_std=2.0)


def values(table: Table) -> list[tuple]:
    """Everything but the times."""
    return sorted((tuple(r) for r in table.rows if r.metric != SECONDS), key=str)


def test_a_value_is_the_metric_of_the_method_on_the_simulated_scan(patient, A, methods):
    case = patient(1)
    table = evaluate(methods, [case], A, DOSE, seed=5, slices=[2])
    p = simulate_scan(case.mu[2:3], A, DOSE, seed=5, case_id=case.case_id, items=[2], on_grid=A.grid.refined(2))
    mu = methods["landweber"](p, A)
    row = table.select("psnr", "landweber", 1.0)[0]
    assert (row.case, row.patient, row.item) == ("patient-1", "patient-1", 2)
    mask = torch.ones(32, 32, dtype=torch.bool)  # the detector sees the whole grid
    assert row.value == pytest.approx(float(psnr(mu, case.mu[2:3], mask=mask)), rel=1e-6)
    hu = to_hu(mu, mu_water_per_mm=0.02)
    liver = table.select("rmse_hu", "landweber", 1.0, region="liver")[0].value
    truth_hu = to_hu(case.mu[2:3], mu_water_per_mm=0.02)
    assert liver == pytest.approx(float(rmse(hu, truth_hu, mask=case.labels[2] == 1)), rel=1e-5)


def test_numbers_depend_neither_on_the_batch_nor_on_the_other_cases(patient, A, methods):
    cases = [patient(1), patient(2)]
    together = evaluate(methods, cases, A, DOSE, batch=3, keep=0)
    alone = evaluate(methods, cases[1:], A, DOSE, batch=1, keep=0)
    expected = [v for v in values(together) if v[1] == "patient-2"]
    for one, other in zip(values(alone), expected, strict=True):
        assert one[:8] == other[:8] and one[8] == pytest.approx(other[8], rel=1e-4, abs=1e-4)  # float32 sums by batch


def test_workers_give_the_same_table_images_and_warnings(patient, A, methods):
    pytest.importorskip("distributed")

    def warning(p, A):
        warnings.warn("coarse", RuntimeWarning, stacklevel=1)
        return methods["landweber"](p, A)

    def needs_noise(p, A):
        if float(p.min()) >= 0:  # noise around empty rays is negative half of the time
            raise InputError("there is no noise to estimate")
        return methods["landweber"](p, A)

    found = []
    for workers in (Workers(1), Workers(2)):
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            cases, asked = [patient(k) for k in range(5)], {**methods, "warning": warning, "needs noise": needs_noise}
            table = evaluate(asked, cases, A, [DOSE, DOSE.at(0.5)], batch=1, workers=workers, keep=3)
        found.append((table, [str(w.message) for w in heard]))
    (one, said), (other, also_said) = found
    plain = lambda table: [str(tuple(r)) for r in table.rows if r.metric != SECONDS]
    assert plain(one) == plain(other) and said == also_said  # to the last digit, in the same order
    assert one.notes == other.notes and list(one.notes["noise-free"]) == ["needs noise"]
    assert len(one.images) == len(other.images) == 3
    for image, its_twin in zip(one.images, other.images, strict=True):
        assert (image.case, image.slice) == (its_twin.case, its_twin.slice)
        assert all(bool((its_twin.recon_hu[key] == hu).all()) for key, hu in image.recon_hu.items())


def test_a_method_that_fails_on_a_worker_is_named_as_it_is_here(patient, A, methods):
    pytest.importorskip("distributed")

    def fails(p, A):
        raise KeyError("nothing")

    with pytest.raises(InputError, match=r"method 'bad' on case patient-0, slice 0, 1, 2 at 1 of .* failed with KeyError"):
        evaluate({"bad": fails}, [patient(0)], A, DOSE, workers=2)


def test_the_same_seed_gives_the_same_table_and_another_seed_another(patient, A, methods):
    first, again, other = (evaluate(methods, [patient(1)], A, DOSE, seed=s, slices=[0], keep=0) for s in (0, 0, 1))
    assert values(first) == values(again) != values(other)


def test_less_dose_gives_more_error(patient, A, methods):
    table = evaluate(methods, [patient(1)], A, [DOSE.at(f) for f in (0.01, 1.0, 0.1)], keep=0)
    errors = [s.interval.mean for s in table.summary("noise_sd_hu", region="liver") if s.method == "landweber"]
    assert [d.fraction for d in table.doses] == [1.0, 0.1, 0.01]
    assert errors[0] < errors[1] < errors[2]


def test_a_finer_grid_takes_the_inverse_crime_away(patient, A):
    exact = {"landweber": functools.partial(_descend, iterations=60)}
    bright = Dose(1e9)
    easy, honest = (evaluate(exact, [patient(1)], A, bright, refine=r, slices=[1], keep=0) for r in (1, 3))
    gain = honest.summary("rmse_hu")[0].interval.mean - easy.summary("rmse_hu")[0].interval.mean
    assert gain > 0
    assert "inverse crime" in easy.settings["simulation"] and "3 times finer" in honest.settings["simulation"]


def _descend(p, A, iterations):
    mu = torch.zeros(len(p), 1, *A.mu_shape)
    for _ in range(iterations):
        mu = mu + 1.5 / A.norm**2 * A.adjoint(p - A(mu))
    return mu


def test_cases_of_different_grids_get_projectors_of_their_own(patient, methods):
    cases = [patient(1, size=32), patient(2, size=40)]
    beam = ParallelBeam(views=12, cols=60, pixel_mm=10.0)
    table = evaluate(methods, cases, lambda case: Projector(case.slice_grid, beam), DOSE, slices=[0])
    assert [g["cases"] for g in table.settings["geometry"]] == [["patient-1"], ["patient-2"]]
    with pytest.raises(GeometryError, match=r"case patient-2 has slices of \(40, 40\).*lambda case"):
        evaluate(methods, cases, Projector(cases[0].slice_grid, beam), DOSE)


def test_a_3d_projector_takes_volumes(patient):
    case = patient(1, size=16, slices=4)
    beam = ConeBeam(views=8, cols=24, rows=8, pixel_mm=16.0, source_iso_mm=400.0, source_detector_mm=600.0)
    A = Projector(case.grid, beam)
    table = evaluate({"steps": functools.partial(_descend, iterations=3)}, [case], A, DOSE, keep=1)
    assert {r.item for r in table.rows} == {None} and table.images[0].truth_hu.shape == (16, 16)
    assert table.select("rmse_hu", "steps", 1.0, region="liver")
    with pytest.raises(InputError, match="3D projector takes whole volumes"):
        evaluate({"steps": functools.partial(_descend, iterations=3)}, [case], A, DOSE, slices=[1])


def test_methods_cannot_disturb_one_another(patient, A, methods):
    def vandal(p, A):
        p.zero_()
        return methods["landweber"](p, A)

    alone = evaluate({"landweber": methods["landweber"]}, [patient(1)], A, DOSE, slices=[0], keep=0)
    after = evaluate({"vandal": vandal, "landweber": methods["landweber"]}, [patient(1)], A, DOSE, slices=[0], keep=0)
    assert values(alone) == [v for v in values(after) if v[0] == "landweber"]


@pytest.mark.parametrize(
    ("method", "error", "message"),
    [
        (lambda p, A: 1 / 0, InputError, r"method 'bad' on case patient-1, slice 2 at 1 of 10000 .* failed with ZeroDiv"),
        (lambda p, A: p, InputError, r"returned \(1, 1, 24, 48\); expected mu in 1/mm of shape \(1, 1, 32, 32\)"),
        (lambda p, A: None, InputError, r"slice 2 .* returned NoneType"),
        (lambda p, A: A.adjoint(p) * float("nan"), InputError, r"returned 1024 NaN or infinite values \(slice 2 first\)"),
        (lambda p, A: A(torch.full((1, 1, 32, 32), -1024.0)), UnitsError, r"method 'bad' on case patient-1, slice 2"),
    ],
)
def test_a_method_that_fails_is_named_with_case_and_slice(patient, A, method, error, message):
    with pytest.raises(error, match=message):
        evaluate({"bad": method}, [patient(1)], A, DOSE, slices=[2])


def test_methods_run_without_autograd_and_may_ask_for_it(patient, A):
    seen = []

    def method(p, A):
        seen.append(torch.is_grad_enabled())
        with torch.enable_grad():
            x = torch.zeros(len(p), 1, *A.mu_shape, requires_grad=True)
            ((A(x) - p) ** 2).sum().backward()
        return -1e-5 * x.grad

    evaluate({"gradient": method}, [patient(1)], A, DOSE, slices=[0])
    assert seen == [False, False]  # at the dose, and without noise


def test_wrong_arguments_are_refused(patient, A, methods):
    case = patient(1)
    for arguments, error, message in [
        (({}, [case], A, DOSE), InputError, "expects methods, cases and doses, got 0, 1 and 1"),
        (({"a": 1}, [case], A, DOSE), InputError, "'a' expects a callable"),
        ((methods, [case, case], A, DOSE), InputError, "'patient-1' occurs 2 times"),
        ((methods, [case], A, [DOSE, DOSE]), InputError, "two doses"),
        ((methods, [case], lambda case: 3, DOSE), InputError, "case -> Projector, got int"),
    ]:
        with pytest.raises(error, match=message):
            evaluate(*arguments)
    with pytest.raises(InputError, match="slices 0 to 2, got 7"):
        evaluate(methods, [case], A, DOSE, slices=[7])
    with pytest.raises(InputError, match="none of case"):
        evaluate(methods, [case], A, DOSE, slices=slice(9, 12))
    with pytest.raises(GeometryError, match="refine"):
        evaluate(methods, [case], A, DOSE, refine=0)
    with pytest.raises(ConfigError, match="did you mean 'rmse_hu'"):
        evaluate(methods, [case], A, DOSE, protocol=Protocol(metrics=("rmse",)))
    with pytest.raises(ConfigError, match="one of field of view, body, none"):
        Protocol(mask="circle")


def test_an_output_that_exists_is_refused_before_the_work(patient, A, tmp_path):
    def never(p, A):
        raise AssertionError("the method ran")

    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="is not a run folder"):
        evaluate({"never": never}, [patient(1)], A, DOSE, out=tmp_path, overwrite=True)


def test_every_metric_is_labelled_with_its_conventions():
    for protocol in PROTOCOLS.values():
        for name, measure in METRICS.items():
            about = measure.describe(protocol)
            assert about["label"] and "{" not in about["definition"]
            if "psnr" in name or "ssim" in name:
                assert "data range" in about["definition"]
    assert "7 x 7" in METRICS["ssim"].describe(PROTOCOLS["lodopab"])["definition"]
    assert "level 40, width 400" in METRICS["psnr_hu"].describe(Protocol())["definition"]
    assert "level 60, width 160" in METRICS["psnr_hu"].describe(Protocol(window_hu=(60, 160)))["definition"]


def test_a_measure_of_the_users_own_joins_the_table(patient, A, methods):
    own = Measure("Peak", "HU", "zero", "largest HU in {mask}", lambda i, c, mask: i.hu.amax((1, 2, 3)))
    table = evaluate(methods, [patient(1)], A, DOSE, measures={"peak_hu": own}, slices=[0])
    assert table.metrics[-1] == "peak_hu" and table.label("peak_hu")["unit"] == "HU"
    with pytest.raises(ConfigError, match="name of a built-in"):
        evaluate(methods, [patient(1)], A, DOSE, measures={"psnr": own})


def test_kept_images_are_the_labelled_slices_of_different_cases(patient, A, methods):
    cases = [patient(1), patient(2)]
    cases[0].labels[0] = 0
    table = evaluate(methods, cases, A, [DOSE, DOSE.at(0.1)], keep=2)
    assert [e.case for e in table.images] == ["patient-1", "patient-2"]
    assert all(len(e.recon_hu) == 4 and e.labels is not None for e in table.images)
    named = evaluate(methods, cases, A, DOSE, keep=[("patient-2", 0)])
    assert [(e.case, e.slice) for e in named.images] == [("patient-2", 0)]


def test_the_lodopab_recipe_prepares_cases_in_its_own_units():
    from taskct.data.case import Case
    from taskct.geometry.presets import lodopab

    hu = torch.full((1, 512, 512), -1000.0)
    hu[0, 100:400, 120:380] = 40.0
    case = Case(hu, (1.0, 0.7, 0.7), case_id="chest", labels=(hu > 0).byte())
    grid, beam = lodopab()
    subject = PrepareLodopab()(case, [0], Projector(grid, beam))
    assert subject.mu.shape == (1, 1, 362, 362) and subject.labels.shape == (1, 362, 362)
    inside = subject.truth_hu[:, 0][subject.labels > 0]
    # de-quantised: HU + [0, 1); one float32 step of mu is 1e-4 HU
    assert float(inside.min()) >= 39.999 and float(inside.max()) <= 41.001


def test_a_method_that_answers_in_hu_and_a_projector_of_another_spacing_are_refused():
    case = Case(torch.zeros(1, 16, 16), (1.0, 1.0, 1.0), case_id="water")
    beam = ParallelBeam(views=4, cols=24, pixel_mm=1.0)
    with pytest.raises(UnitsError, match=r"method 'hu' .* look like HU"):
        evaluate({"hu": lambda p, A: torch.full((1, 1, 16, 16), 40.0)}, [case], Projector(case.slice_grid, beam), Dose(1e5))
    wide = Projector(Grid((16, 16), 8.0), ParallelBeam(views=4, cols=200, pixel_mm=1.0))
    with pytest.raises(GeometryError, match="case water has samples 1 x 1 mm apart, the projector 8 x 8 mm"):
        evaluate({"none": lambda p, A: torch.zeros(1, 1, 16, 16)}, [case], wide, Dose(1e5))


def test_a_network_is_told_when_it_is_judged_at_a_dose_it_was_not_trained_for(patient, A):
    from taskct.recon.learned import TrainedFor, fbp_unet
    from taskct.recon.learned.trained_for import watch

    model = fbp_unet(widths=(4, 8), norm="none").eval()
    watch(model, TrainedFor("run", photons=(1e4, 1e5)), otherwise="refuse")
    words = r"method 'net' is judged .*10000 to 100000 photons per detector pixel in training, now 1000, and 1 more"
    with pytest.warns(UserWarning, match=words):
        evaluate({"net": model}, [patient(1)], A, [Dose(1e3), Dose(3e4), Dose(1e7)], slices=[0])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*not trained for")
        evaluate({"net": model}, [patient(1)], A, Dose(5e4), slices=[0])


def test_a_network_trained_in_other_units_is_refused_by_name(patient, A):
    from taskct.recon.learned import TrainedFor, fbp_unet
    from taskct.recon.learned.trained_for import watch

    model = fbp_unet(widths=(4, 8), norm="none").eval()
    watch(model, TrainedFor("runs/net", mu_water_per_mm=0.0193), otherwise="refuse")
    words = r"runs/net: .* other units than those of case patient-1 for method 'net' \(water of 0.0193/mm .* now 0.02/mm\)"
    with pytest.raises(UnitsError, match=words):
        evaluate({"net": model}, [patient(1)], A, DOSE, slices=[0])
    watch(model, TrainedFor("runs/net", mu_water_per_mm=0.0193), otherwise="warn")
    with pytest.warns(UserWarning, match="other units"):
        evaluate({"net": model}, [patient(1)], A, DOSE, slices=[0])
    watch(model, TrainedFor("runs/net", mu_water_per_mm=0.02), otherwise="refuse")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*other units")
        evaluate({"net": model}, [patient(1)], A, DOSE, slices=[0])


def test_seconds_are_a_time_and_not_a_date(patient, A, methods):
    table = evaluate(methods, [patient(1)], A, Dose(1e5), slices=[0], refine=1, progress=False)
    taken = [r.value for r in table.rows if r.metric == SECONDS]
    assert taken and all(0 < seconds < 600 for seconds in taken)


def lobed(number: int, slices: int, spacing_mm: float, size: int) -> Case:
    """A body that differs from slice to slice, on pixels of its own."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    hu = torch.stack([torch.where(x**2 + (y * (1 + 0.1 * k)) ** 2 < 0.6, 40.0 + 50 * k, -1000.0) for k in range(slices)])
    labels = (hu > 0).to(torch.uint8)
    return Case(hu, (3.0, spacing_mm, spacing_mm), case_id=f"c{number}", labels=labels, label_names={1: "body"})


class NeedsNoise:
    """FBP that refuses one of the scans without noise."""

    def __init__(self, refused: torch.Tensor) -> None:
        self.refused = refused

    def __call__(self, p: torch.Tensor, A: Projector) -> torch.Tensor:
        if any(torch.equal(one, self.refused) for one in p if one.shape == self.refused.shape):
            raise InputError("expects noise")
        return RECONSTRUCTORS["fbp"](p, A)


@pytest.mark.parametrize("draw", range(3))
def test_no_number_depends_on_batch_or_on_the_order_of_cases_slices_methods_and_doses(draw: int) -> None:
    """All reconstructions, on cases of different grids, one of which fails on one slice without noise."""
    cases = [lobed(0, 4, 4.0, 24), lobed(1, 3, 3.0, 32), lobed(2, 5, 6.0, 20)]
    A = lambda case: Projector(case.slice_grid, ParallelBeam(views=24, cols=48, pixel_mm=3.5))
    methods = {name: function for name, function in RECONSTRUCTORS.items() if name not in ("fdk", "tv_min")}
    methods["tv_min"] = functools.partial(RECONSTRUCTORS["tv_min"], tolerance=0.1)
    methods["sirt until it rests"] = functools.partial(RECONSTRUCTORS["sirt"], iterations=40, tolerance=0.03)
    methods["needs noise"] = NeedsNoise(ProjectCase()(cases[0], [1], A(cases[0])).p[0])
    doses, numbers = [DOSE, DOSE.at(0.25)], [0, 1, 2]
    expected = evaluate(methods, cases, A, doses, slices=numbers, batch=1, keep=0)
    assert "slice 1 at no noise" in expected.notes["noise-free"]["needs noise"]
    rng = random.Random(draw)
    shuffled = lambda values: rng.sample(values, len(values))
    found = evaluate(
        dict(shuffled(list(methods.items()))),
        shuffled(cases),
        A,
        shuffled(doses),
        slices=shuffled(numbers),
        batch=rng.choice([2, 3]),
        keep=rng.choice([0, 4]),
    )
    for one, other in zip(values(found), values(expected), strict=True):
        assert one[:8] == other[:8] and one[8] == pytest.approx(other[8], rel=1e-5, abs=1e-5, nan_ok=True)
