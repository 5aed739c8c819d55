"""check_reconstructor passes what is right, and each of its questions can fail."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from taskct.physics.projector import Projector
from taskct.testing import CheckFailedError, check_reconstructor


def right(p: Tensor, A: Projector) -> Tensor:
    """Ramp-filtered back-projection, as short as it gets."""
    pixel_mm = A.beam.pixel_mm  # type: ignore[union-attr]
    padded = 2 ** math.ceil(math.log2(2 * p.shape[-1]))
    n = torch.cat([torch.arange(padded // 2), torch.arange(-padded // 2, 0)]).to(p.dtype)
    kernel = torch.where(n % 2 == 1, -1 / (math.pi * n * pixel_mm) ** 2, torch.zeros_like(n))  # Kak & Slaney, eq. 3.61
    kernel[0] = 1 / (4 * pixel_mm**2)
    spectrum = torch.fft.rfft(kernel).real * pixel_mm
    q = torch.fft.irfft(torch.fft.rfft(p, padded) * spectrum, padded)[..., : p.shape[-1]]
    return A.voxel_backproject(q.contiguous()) * math.pi / p.shape[2]


def test_a_right_reconstructor_passes_every_question() -> None:
    found = check_reconstructor(right, linear=True, gradient=True)
    found.raise_if_failed()
    assert all(f.verdict == "pass" for f in found.lines)


def edits_its_input(p: Tensor, A: Projector) -> Tensor:
    mu = right(p, A)
    if not p.requires_grad:
        p.zero_()
    return mu


def mixes_the_batch(p: Tensor, A: Projector) -> Tensor:
    return right(p, A) * p.mean() / p[:1].mean()


def uses_global_noise(p: Tensor, A: Projector) -> Tensor:
    return right(p, A) * (1 + 1e-6 * torch.randn(1, dtype=p.dtype))


def wrong_gradient(p: Tensor, A: Projector) -> Tensor:
    mu = right(p, A)
    return mu.detach() + 0.9 * (mu - mu.detach())


def fails(p: Tensor, A: Projector) -> Tensor:
    raise RuntimeError("no weights loaded")


@pytest.mark.parametrize(
    ("broken", "question"),
    [
        (lambda p, A: right(p, A).flip(-1), "the disk is where it was"),
        (lambda p, A: right(p, A).flip(-2), "the disk is where it was"),
        (lambda p, A: right(p, A).transpose(-1, -2), "the disk is where it was"),
        (lambda p, A: right(p, A).roll(1, -1), "the disk is where it was"),
        (lambda p, A: 2 * right(p, A), "mu in = mu out inside the disk"),
        (lambda p, A: right(p, A) + 0.001, "mu is 0 outside the disk"),
        (lambda p, A: right(p, A) * 1000 / 0.02 - 1000, "mu in = mu out inside the disk"),
        (edits_its_input, "p is not edited"),
        (mixes_the_batch, "a batch is treated one by one"),
        (uses_global_noise, "no global random numbers"),
        (uses_global_noise, "same input, same bytes"),
        (wrong_gradient, "gradient with respect to p"),
        (lambda p, A: right(p, A)[0], "shape (B, 1, *mu_shape)"),
        (lambda p, A: right(p, A)[:1], "a batch is treated one by one"),
        (lambda p, A: right(p, A).double(), "dtype and device of p"),
        (lambda p, A: right(p, A) / 0, "finite"),
        (lambda p, A: right(p, A).numpy(), "returns a tensor"),
        (fails, "runs on p and A"),
    ],
)
def test_each_fault_is_caught_by_its_question(broken: Callable[..., Tensor], question: str) -> None:
    found = check_reconstructor(broken)
    assert question in [f.question for f in found.failures], str(found)
    with pytest.raises(CheckFailedError):
        found.raise_if_failed()


def test_a_reconstructor_that_is_not_linear_is_caught_when_linearity_is_promised() -> None:
    clipped = lambda p, A: right(p, A).clamp(0, 0.021)
    assert "linear" in [f.question for f in check_reconstructor(clipped, linear=True).failures]
    assert check_reconstructor(clipped).passed


def test_a_missing_gradient_is_caught_when_it_is_promised_and_said_otherwise() -> None:
    detached = lambda p, A: right(p.detach(), A)
    assert "gradient with respect to p" in [f.question for f in check_reconstructor(detached, gradient=True).failures]
    assert "gradient with respect to p" in [f.question for f in check_reconstructor(detached).lines if f.verdict == "skip"]


def test_the_failure_names_the_part_and_the_reason() -> None:
    with pytest.raises(CheckFailedError, match=r"reconstructor fails fails 1 of 1 checks: .*RuntimeError: no weights loaded"):
        check_reconstructor(fails).raise_if_failed()
