"""What of an image the scan cannot have told: maps of what the projector does not see, and of what the data contradict."""

from __future__ import annotations

import torch
from torch import Tensor

from taskct.physics.projector import Projector
from taskct.recon.fbp import fbp
from taskct.recon.reconstructor import Reconstructor


def null_component(mu_hat: Tensor, A: Projector, *, invert: Reconstructor = fbp) -> Tensor:
    """mu_hat - invert(A mu_hat), same shape: detail of the image that its own projections do not carry back.

    A linear reconstruction of mu_hat's own noise-free projections keeps what such a scan can show; what is left over came from
    a prior. With the exact pseudo-inverse (cgls to convergence) it is the null-space component; with fbp it holds the
    fine structure beyond fbp's resolution as well, so look at it beside that of the full-dose image.
    """
    with torch.no_grad():
        return mu_hat - invert(A(mu_hat), A)


def data_conflict(mu_hat: Tensor, p: Tensor, A: Projector, *, invert: Reconstructor = fbp) -> Tensor:
    """invert(A mu_hat - p), same shape as mu_hat: detail of the image that the measured projections speak against.

    Its noise is that of the scan; what stands out of the noise was painted over the data.
    """
    with torch.no_grad():
        return invert(A(mu_hat) - p, A)


def null_share(mu_hat: Tensor, A: Projector, *, invert: Reconstructor = fbp) -> Tensor:
    """Energy of the null component over that of the image, (B,): 0 for an image that its projections determine."""
    part = null_component(mu_hat, A, invert=invert).flatten(1).square().sum(1)
    return part / mu_hat.flatten(1).square().sum(1).clamp_min(torch.finfo(mu_hat.dtype).tiny)
