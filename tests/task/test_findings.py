from __future__ import annotations

import pytest
import torch

from taskct.core.errors import ConfigError, GeometryError, InputError
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


def test_minus_one_for_unknown_is_refused_and_not_learnt() -> None:
    with pytest.raises(InputError, match="a truth of 0, 1 or NaN for unknown, got -1"):
        FindingsBCE()(torch.zeros(1, 2), torch.tensor([[-1.0, 1.0]]))


def test_weights_of_other_findings_and_below_zero_are_refused() -> None:
    with pytest.raises(ConfigError, match="positive_weights above 0"):
        FindingsBCE(positive_weights=[1.0, -1.0])
    with pytest.raises(GeometryError, match="weights of 3 findings, the logits are of 2"):
        FindingsBCE(positive_weights=[1.0, 2.0, 3.0])(torch.zeros(1, 2), torch.zeros(1, 2))
