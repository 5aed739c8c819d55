"""Is a patient like those the dose was learnt from? If not, the module has nothing to say about that patient."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from taskct.core.errors import InputError

LEAST_PATIENTS = 5  # to learn a domain from
_RIDGE = 0.02  # of each feature's variance: the features of a scout nearly depend on one another
_ROOM = 1.5  # of the largest distance seen in training


class Domain(nn.Module):
    """Mahalanobis distance of a patient's descriptors from those of the training patients, with a limit.

        t^2 = (x - mean)^T (cov + ridge)^-1 (x - mean),   outside when t > 1.5 x the largest t of a training patient

    Distances of training patients are taken with the patient left out, so that few patients do not make it look wide.
    Before `learn` no patient is inside. Its numbers are buffers: they are saved with the weights.
    """

    mean: Tensor
    precision: Tensor
    limit: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features, dtype=torch.float64))
        self.register_buffer("precision", torch.eye(features, dtype=torch.float64))
        self.register_buffer("limit", torch.tensor(-1.0, dtype=torch.float64))

    @torch.no_grad()
    def learn(self, descriptors: Tensor) -> None:
        """Take the training patients' descriptors (N, F); InputError for fewer than 5."""
        count = len(descriptors)
        if count < LEAST_PATIENTS:
            raise InputError(f"the domain of a dose module expects {LEAST_PATIENTS} training patients or more, got {count}")
        x = descriptors.double()
        self.mean.copy_(x.mean(0))
        self.precision.copy_(_precision(x))
        own = self.distance(x).square() / (count - 1)  # leverage without its 1 / n
        apart = self.distance(x) / (1 - own - 1 / count).clamp_min(0.1)
        self.limit.copy_(_ROOM * apart.max())

    def distance(self, descriptors: Tensor) -> Tensor:
        """t of each patient: (B, F) -> (B,), float64."""
        off = descriptors.double() - self.mean
        return torch.einsum("bi,ij,bj->b", off, self.precision, off).clamp_min(0).sqrt()

    def outside(self, descriptors: Tensor) -> Tensor:
        """Whether each patient is unlike the training patients, bool (B,); NaN counts as outside."""
        return ~(self.distance(descriptors) <= self.limit)


def _precision(x: Tensor) -> Tensor:
    covariance = torch.cov(x.T)
    scale = covariance.diagonal().clamp_min(1e-12)
    return torch.linalg.inv(covariance + torch.diag(_RIDGE * scale))
