"""Linear readers in closed form: they find what is linear and choose their ridge by leave-one-out errors."""

from __future__ import annotations

import pytest
import torch

from taskct.core.errors import InputError
from taskct.evaluation.volumes.linear_reader import LinearReader, film_features


def test_the_error_that_chooses_the_ridge_is_that_of_leaving_each_example_out() -> None:
    """One strength at a time is fitted without each example; the strength of least error is the one that fit takes."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(14, 20, generator=g, dtype=torch.float64)
    y = x[:, 0] - 2 * x[:, 1] + 0.5 * torch.randn(14, generator=g, dtype=torch.float64)
    strengths = (1e-3, 1e-1, 1.0, 10.0, 1e3)
    chosen = LinearReader.fit(x, y, strengths=strengths).strength
    mean, scale = x.mean(0), x.std(0)
    z = (x - mean) / scale
    unit = float(torch.linalg.eigvalsh(z @ z.T).mean())

    def left_out(strength: float) -> float:
        total = 0.0
        for i in range(14):
            keep = [k for k in range(14) if k != i]
            a = torch.cat([z[keep], torch.ones(13, 1)], 1)
            ridge = strength * unit * torch.eye(21, dtype=torch.float64)
            ridge[-1, -1] = 0  # the offset is free
            w = torch.linalg.solve(a.T @ a + ridge, a.T @ y[keep])
            total += float((torch.cat([z[i], torch.ones(1)]) @ w - y[i]) ** 2)
        return total

    assert chosen == min(strengths, key=left_out)


def test_a_linear_relation_is_read_from_other_examples_and_constant_features_do_no_harm() -> None:
    g = torch.Generator().manual_seed(1)
    x = torch.cat([torch.randn(60, 5, generator=g), torch.full((60, 1), 7.0)], 1)
    y = torch.stack([3 * x[:, 0] + 1, x[:, 1] - x[:, 2]], 1)
    read = LinearReader.fit(x[:40], y[:40])
    assert torch.allclose(read(x[40:]), y[40:].double(), atol=0.01)
    assert LinearReader.fit(x[:40], y[:40, 0])(x[40:]).shape == (20,)


def test_radiographs_are_averaged_to_features_that_keep_their_mean() -> None:
    p = torch.rand(2, 1, 2, 64, 48)
    features = film_features(p, size=8)
    assert features.shape == (2, 2 * 64)
    assert torch.allclose(features.reshape(2, 2, -1).mean(-1), p[:, 0].mean((-1, -2)), atol=1e-6)
    assert film_features(p[..., :6, :6]).shape == (2, 72)


def test_examples_that_say_nothing_are_refused() -> None:
    x = torch.rand(5, 3)
    with pytest.raises(InputError, match="N >= 3"):
        LinearReader.fit(x[:2], torch.rand(2))
    with pytest.raises(InputError, match="targets that differ"):
        LinearReader.fit(x, torch.ones(5))
    with pytest.raises(InputError, match="features that differ"):
        LinearReader.fit(torch.ones(5, 3), torch.rand(5))
    with pytest.raises(InputError, match="NaN"):
        LinearReader.fit(x, torch.tensor([1.0, 2.0, float("nan"), 1.0, 0.0]))
