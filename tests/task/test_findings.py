from __future__ import annotations

import pytest
import torch

from taskct.core.errors import GeometryError
from taskct.task.findings import FindingsBCE


def test_what_is_unknown_takes_no_part() -> None:
    logits = torch.tensor([[1.0, -2.0], [0.5, 4.0]], requires_grad=True)
    truth = torch.tensor([[1.0, float("nan")], [0.0, float("nan")]])
    value = FindingsBCE()(logits, truth)
    plain = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], truth[:, 0])
    value.backward()
    assert float(value.detach()) == pytest.approx(float(plain)) and logits.grad is not None
    assert logits.grad[:, 1].tolist() == [0.0, 0.0]


def test_nothing_known_is_no_nan() -> None:
    assert float(FindingsBCE()(torch.zeros(1, 2), torch.full((1, 2), float("nan")))) == 0.0


def test_positive_weights_weigh_findings_that_are_present() -> None:
    logits, truth = torch.zeros(2, 1), torch.tensor([[1.0], [0.0]])
    assert float(FindingsBCE(positive_weights=[3.0])(logits, truth)) == pytest.approx(2 * float(FindingsBCE()(logits, truth)))
    with pytest.raises(GeometryError, match="FindingsBCE"):
        FindingsBCE()(torch.zeros(2, 2), truth)
