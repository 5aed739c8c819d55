"""Methods that invent or erase lesions: the audit must name each, and leave an honest method alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from taskct.core.errors import InputError, UnitsError
from taskct.data.case import Case
from taskct.evaluation.reading import Audit, LesionPair, audit_lesions, data_conflict, null_component, null_share
from taskct.geometry import Grid, ParallelBeam
from taskct.phantoms.lesions import insert_lesion, remove_lesion
from taskct.phantoms.patient import Patient, make_patient
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.fbp import fbp
from taskct.recon.learned import TrainedFor, fbp_unet
from taskct.recon.learned.trained_for import watch
from taskct.simulate.noisy_scan import finer_projection
from taskct.task import DiceCE, FrozenTask, HuWindow

SIZE, PIXEL_MM = 48, 6.0
GRID = Grid((SIZE, SIZE), PIXEL_MM)
Y, X = np.mgrid[:SIZE, :SIZE]
SPOT = torch.from_numpy(np.hypot(Y - 20, X - 26) < 4.5)


@pytest.fixture(scope="module", name="A")
def projector() -> Projector:
    return Projector(GRID, ParallelBeam(views=90, cols=72, pixel_mm=PIXEL_MM))


class Threshold(nn.Module):
    """Marks as class 2 what is darker than the liver inside the body."""

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.avg_pool2d(x, 3, 1, 1)[:, 0]
        return torch.stack([-((x - c) ** 2) for c in (-1.0, 0.5, -0.25)], 1)


def _frozen() -> FrozenTask:
    return FrozenTask(Threshold().eval(), HuWindow(60, 400, leak=0.99), DiceCE(), "threshold")


def pair(number: int, kind: str = "inserted") -> LesionPair:
    """A body with and without a dark lesion of -300 HU (far from subtle: the audit is under test, not the reader)."""
    rng = np.random.default_rng(number)
    body = np.hypot(Y - 24, X - 24) < 19 + rng.uniform(-1, 1)
    hu = torch.from_numpy(np.where(body, 60 + 5 * rng.normal(size=body.shape), -1000.0)).float()[None]
    labels = torch.from_numpy(body.astype(np.uint8))[None]
    without = Case(hu, (5.0, PIXEL_MM, PIXEL_MM), case_id=f"p{number}", labels=labels)
    marked = labels.clone()
    marked[0][SPOT] = 2
    with_lesion = replace(without, hu=torch.where(SPOT[None], hu - 300, hu), labels=marked)
    return LesionPair(without, with_lesion, kind)


def honest(p: Tensor, A: Projector) -> Tensor:
    return fbp(p, A, window="hann")


def inventing(p: Tensor, A: Projector) -> Tensor:
    return honest(p, A) - 0.006 * SPOT  # paints a lesion into every patient


def erasing(p: Tensor, A: Projector) -> Tensor:
    mu = honest(p, A)
    inside = (mu > 0.01) & (mu < 0.0185) & torch.from_numpy(np.hypot(Y - 24, X - 24) < 15)
    return torch.where(inside, 0.0204, mu)  # fills what is dark


@pytest.fixture(scope="module")
def audit(A: Projector) -> Audit:
    pairs = [pair(k, "inserted" if k % 2 else "removed") for k in range(6)]
    methods = {"honest": honest, "inventing": inventing, "erasing": erasing}
    return audit_lesions(pairs, methods, A, Dose(3e5), [_frozen()])


def test_the_answer_follows_an_honest_method(audit):
    response = audit.response("honest")
    assert response.follows.mean == 1 and response.matrix == ((1, 0), (0, 1))
    assert response.invented.mean == response.lost.mean == 0 and response.found.n_patients == 6
    assert audit.response("full dose").follows.mean == 1


def test_a_painted_lesion_is_called_invented(audit):
    response = audit.response("inventing")
    assert response.false.mean == response.invented.mean == 1 and response.follows.mean == 0 and response.lost.mean == 0


def test_an_erased_lesion_is_called_lost(audit):
    response = audit.response("erasing", kind="removed")
    assert response.lost.mean == 1 and response.found.mean == 0 and response.invented.mean == 0
    assert response.found.n_patients == 3


def test_audits_join_and_print(audit):
    both = audit + audit
    assert both.response("honest").found.n_values == 12 and both.response("honest").found.n_patients == 6
    assert both.methods == ["full dose", "honest", "inventing", "erasing"]
    assert "| inventing | threshold |" in audit.table_text()


def test_both_states_get_the_same_noise(A):
    seen = []

    def remember(p: Tensor, A: Projector) -> Tensor:
        seen.append(p)
        return honest(p, A)

    one = pair(0)
    audit_lesions([one], {"m": remember}, A, Dose(3e5), [_frozen()])
    finer = finer_projection(A, A.grid.refined(2))  # as scans are simulated
    clean = [finer(case.mu) for case in (one.with_lesion, one.without)]
    noise = [p - c for p, c in zip(seen, clean, strict=True)]
    away = (clean[0] - clean[1]).abs() < 1e-6  # rays that miss the lesion
    assert float((noise[0] - noise[1])[away].abs().max()) < 1e-5 and away.any() and not away.all()


def test_lesions_of_the_built_in_cohort_make_pairs():
    volumes = (make_patient(0, n, shape=(8, 64, 64), spacing_mm=(4.0, 6.0, 6.0)) for n in range(20))
    patient = next(p for p in volumes if _clear(p) is not None)
    place = _clear(patient)
    assert place is not None
    removed = LesionPair.removed(patient.case, lambda case: remove_lesion(case, centre_mm=place, seed=0))
    assert removed.kind == "removed" and removed.slices
    put = lambda case: insert_lesion(case, centre_mm=place, radius_mm=8.0, contrast_hu=-40.0, seed=0)
    inserted = LesionPair.inserted(removed.without, put)
    assert inserted.kind == "inserted" and inserted.slices and inserted.without is removed.without


def _clear(patient: Patient) -> tuple[float, float, float] | None:
    """Centre of a lesion of 8 mm or more that a slice cuts well inside the liver, if there is one."""
    labels, affine = patient.case.labels, patient.case.affine_mm
    for one in patient.lesions:
        z, y, x = np.linalg.solve(affine, [*one.centre_mm, 1.0])[:3]
        k, i, j = round(z), round(y), round(x)
        if one.radius_mm > 8 and k in one.slices and bool((labels[k, i - 4 : i + 5, j - 4 : j + 5] > 0).all()):
            return tuple(affine[:3, :3].diagonal() * (k, i, j) + affine[:3, 3])
    return None


def test_pairs_that_do_not_differ_and_unknown_kinds_are_refused():
    one = pair(0)
    with pytest.raises(InputError, match="case p0: its two versions have the same lesions"):
        LesionPair(one.without, one.without)
    with pytest.raises(InputError, match="unknown kind of lesion pair 'added'"):
        LesionPair(one.without, one.with_lesion, "added")
    with pytest.raises(InputError, match="two labelled versions of one case"):
        LesionPair(pair(1).without, one.with_lesion)


def test_what_the_scan_cannot_show_stands_in_the_null_component(A):
    # A checkerboard at Nyquist averages out along every ray; a smooth disk does not.
    inside = torch.from_numpy(np.hypot(Y - 24, X - 24) < 12)
    smooth = torch.nn.functional.avg_pool2d(0.02 * inside.float()[None, None], 5, 1, 2)
    board = 0.004 * inside * torch.from_numpy((-1.0) ** (Y + X)).float()
    invisible = null_component(smooth + board, A) - null_component(smooth, A)
    visible = null_component(1.2 * smooth, A) - null_component(smooth, A)
    assert float(invisible.norm() / board.norm()) > 0.7
    assert float(visible.norm() / (0.2 * smooth).norm()) < 0.15
    assert float(null_share(smooth + board, A)) > 5 * float(null_share(smooth, A))


def test_detail_against_the_data_stands_in_the_conflict_map(A):
    one = pair(0)
    p = A(one.without.mu)
    quiet, loud = (data_conflict(mu, p, A)[0, 0] for mu in (one.without.mu, one.with_lesion.mu))
    assert float(loud[SPOT].mean()) < -0.004  # of the -0.0058 that were painted
    assert float(quiet.abs().max()) < 1e-5


def test_pairs_that_a_reader_would_misread_are_refused(A):
    one, other = (replace(case, mu_water_per_mm=0.02) for case in (pair(0).without, pair(0).with_lesion))
    with pytest.raises(UnitsError, match=r"task 'threshold': takes 0.01929/mm for water, which is 0.02/mm"):
        audit_lesions([LesionPair(one, other)], {"honest": honest}, A, Dose(3e5), [_frozen()])


def test_a_network_of_other_units_is_refused(A):
    net = fbp_unet(widths=(4, 8)).eval()
    watch(net, TrainedFor("runs/net", mu_water_per_mm=0.02), otherwise="refuse")
    with pytest.raises(UnitsError, match="runs/net: was trained in other units than those of case"):
        audit_lesions([pair(0)], {"net": net}, A, Dose(3e5), [_frozen()])
