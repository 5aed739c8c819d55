"""Tasks that point at lesions: a map with a peak at the centre of each (Zhou et al., arXiv 1904.07850)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from taskct.core.errors import ConfigError, GeometryError
from taskct.core.precision import at_least_float32
from taskct.core.tensors import refuse_nan


class CentreFocal(nn.Module):
    """Focal loss of a map of lesion centres: logits (B, 1, ...), label maps (B, ...) -> scalar.

    The wanted map y is 1 at the centre of each connected piece of `label` and falls as a Gaussian of `sigma_pixels`. With
    p the sigmoid of the logits and N lesions in the batch (1 at least; eq. 1 of the paper):

        - 1/N sum  (1 - p)^alpha log p             where y = 1
                   (1 - y)^beta p^alpha log(1 - p)  elsewhere
    """

    def __init__(self, *, label: int = 2, sigma_pixels: float = 2.0, alpha: float = 2.0, beta: float = 4.0) -> None:
        super().__init__()
        if label < 1 or not sigma_pixels > 0 or alpha < 0 or beta < 0:
            raise ConfigError(
                f"CentreFocal expects label >= 1, sigma_pixels > 0, alpha and beta >= 0, got {label!r}, {sigma_pixels!r}, "
                f"{alpha!r}, {beta!r}"
            )
        self.label, self.sigma_pixels, self.alpha, self.beta = label, sigma_pixels, alpha, beta

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Scalar penalty."""
        if logits.shape != (len(labels), 1, *labels.shape[1:]):
            raise GeometryError(
                f"CentreFocal expects a map on the grid of the labels {(len(labels), 1, *labels.shape[1:])}, got "
                f"{tuple(logits.shape)}"
            )
        logits = at_least_float32(logits)
        wanted = centre_map(labels, self.label, sigma_pixels=self.sigma_pixels).to(logits)
        positive = wanted == 1
        log_p, log_not_p = functional.logsigmoid(logits), functional.logsigmoid(-logits)
        p = log_p.exp()
        found = ((1 - p) ** self.alpha * log_p)[positive].sum()
        quiet = ((1 - wanted) ** self.beta * p**self.alpha * log_not_p)[~positive].sum()
        return -(found + quiet) / positive.sum().clamp_min(1)


class Peak(NamedTuple):
    """What a detector points at: a sample of the image's grid, and how sure it is, 0 to 1."""

    at: tuple[int, ...]
    score: float


def centre_map(labels: Tensor, label: int, *, sigma_pixels: float) -> Tensor:
    """Label maps (B, ...) -> (B, 1, ...) with 1 at the centre of each connected piece of `label`, Gaussians round them."""
    from scipy.ndimage import center_of_mass
    from scipy.ndimage import label as pieces_of

    maps = np.zeros((len(labels), *labels.shape[1:]), np.float32)
    axes = np.meshgrid(*(np.arange(n) for n in labels.shape[1:]), indexing="ij")
    for one, found in zip(labels.cpu().numpy() == label, maps, strict=True):
        pieces, count = pieces_of(one, structure=np.ones((3,) * one.ndim))
        for centre in center_of_mass(one, pieces, range(1, count + 1)):
            at = [round(float(c)) for c in centre]
            square = sum((a - c) ** 2 for a, c in zip(axes, at, strict=True))
            np.maximum(found, np.exp(-square / (2 * sigma_pixels**2)), out=found)
    return torch.from_numpy(maps)[:, None].to(labels.device)


def find_peaks(logits: Tensor, *, threshold: float = 0.3, most: int = 50) -> list[list[Peak]]:
    """Where a detector points: logits (B, 1, ...) -> for each image its peaks, the surest first.

    A peak is a sample that no neighbour exceeds and whose score is `threshold` or more. Raises InputError for NaN.
    """
    if logits.shape[1] != 1 or logits.ndim not in (4, 5):
        raise GeometryError(f"find_peaks expects (B, 1, Y, X) or (B, 1, Z, Y, X), got {tuple(logits.shape)}")
    refuse_nan(logits, who="find_peaks: the network")
    score = logits.detach().sigmoid()
    pool = functional.max_pool2d if score.ndim == 4 else functional.max_pool3d
    peaks = (score == pool(score, 3, stride=1, padding=1)) & (score >= threshold)
    found = []
    for one, where in zip(score[:, 0], peaks[:, 0], strict=True):
        places = where.nonzero().tolist()
        ranked = sorted((Peak(tuple(at), float(one[tuple(at)])) for at in places), key=lambda peak: -peak.score)
        found.append(ranked[:most])
    return found


def hits(peaks: list[Peak], labels: np.ndarray, label: int, *, reach_pixels: float = 2.0) -> tuple[int, int, int]:
    """(lesions found, lesions, peaks beside every lesion) of one image: a peak finds the piece it lies in or nearly in."""
    from scipy.ndimage import distance_transform_edt
    from scipy.ndimage import label as pieces_of

    pieces, count = pieces_of(labels == label, structure=np.ones((3,) * labels.ndim))
    if count == 0:
        return 0, 0, len(peaks)
    away, nearest = distance_transform_edt(pieces == 0, return_indices=True)
    met = [int(pieces[tuple(nearest[(slice(None), *p.at)])]) if away[p.at] <= reach_pixels else 0 for p in peaks]
    return len(set(met) - {0}), count, met.count(0)
