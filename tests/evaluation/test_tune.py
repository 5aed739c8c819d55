from __future__ import annotations

import warnings

import pytest
import torch

from taskct.core.errors import InputError
from taskct.evaluation import TuningWarning, tune
from taskct.evaluation.protocol import Protocol
from taskct.physics.dose import Dose


def shifted(p, A, *, gain):
    """Attenuation 0.02 * gain everywhere: the error grows with the distance of log(gain) from log(best)."""
    return torch.full((len(p), 1, *A.mu_shape), 0.02 * gain)


def test_the_best_value_is_found_between_the_candidates(patient, A):
    case = patient(1, slices=1)
    target = float(case.mu.mean()) / 0.02  # a constant image is best at the mean
    best, table = tune(shifted, "gain", [0.1, 0.3, 1.0, 3.0], [case], A, Dose(1e5), refinements=5)
    assert best == pytest.approx(target, rel=0.05)  # five halvings of a factor 3.3 in the logarithm: 1.9 % either side
    note = table.notes["tuning"]["gain"]
    assert note["best"] == best and note["at_edge"] == "no" and len(note["tried"]) == len(note["scores"]) > 4
    assert note["method"] == "shifted" and note["cases"] == ["patient-1"]


def test_a_best_value_at_the_edge_is_said(patient, A):
    with pytest.warns(TuningWarning, match=r"best gain is the smallest value tried, 2; .* widen"):
        best, table = tune(shifted, "gain", [2.0, 4.0], [patient(1, slices=1)], A, Dose(1e5))
    assert best == 2.0 and table.notes["tuning"]["gain"]["at_edge"] == "smallest"


def test_a_metric_is_maximised_or_brought_to_zero_as_it_wants(patient, A):
    case = patient(1, slices=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for metric in ("psnr", "bias_hu", "rmse_hu"):
            best, _ = tune(shifted, "gain", [0.1, 0.5, 3.0], [case], A, Dose(1e5), metric=metric, refinements=0)
            assert best == 0.5


def test_a_metric_beside_others_and_wrong_candidates(patient, A):
    case = patient(1, slices=1)
    protocol = Protocol(metrics=("psnr", "rmse_hu"), mask="none")
    _, table = tune(shifted, "gain", [0.2, 0.5, 2.0], [case], A, Dose(1e5), protocol=protocol)
    assert table.metrics == ["psnr", "rmse_hu"] and table.settings["protocol"]["mask"] == "none"
    with pytest.raises(InputError, match="two positive values of gain"):
        tune(shifted, "gain", [0.0, 1.0], [case], A, Dose(1e5))
