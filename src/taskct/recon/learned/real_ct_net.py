"""One network for CT of any body part, pixel and dose: it measures the noise of each scan, and works on pixels of one size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError, GeometryError
from taskct.core.precision import autocast
from taskct.core.units import HU_PER_MU, check_mu, to_hu_unchecked, to_mu
from taskct.geometry import Grid
from taskct.nets.bias_free_unet import BiasFreeUNet
from taskct.physics.projector import Projector
from taskct.recon.checks import check_number, check_scan
from taskct.recon.fbp import backproject_filtered, fbp, filter_views
from taskct.recon.learned.cubic_resampling import resample_cubic
from taskct.recon.learned.known_inputs import KnownInputs, warn_of_unknown
from taskct.recon.learned.noise_map import EVERY, noise_from_halves, noise_from_image, on_every_pixel

INNER_MM = 0.75  # about what detectors of body scanners resolve
LEAST_VIEWS = 400  # half of fewer views makes streaks that look like noise
FLIPS = (1, 2, 4, 8)
_HU_RANGE = (-1500.0, 4000.0)  # what goes through the network; the rest, metal, is added back
_UNIT_HU = 100.0


class RealCT(nn.Module):
    """`model(p, A)`: p (B, 1, *A.p_shape) -> mu (B, 1, *A.mu_shape) in 1/mm, by FBP and a network that knows the noise.

    Whatever the pixels of A, the scan is reconstructed on pixels of .75 mm (FBP, ramp), corrected there, and resampled onto
    A's grid. The noise is measured: the images of the even and of the odd views differ by noise alone, and its standard
    deviation goes into the network as a second image. Scans of fewer than 400 views have no such pair; there the noise is
    estimated from the image. So neither dose nor body part has to be told, and the answer scales with its input
    (`BiasFreeUNet`).

    blend     1 is the network, 0 is FBP with a Hann window, numbers between mix the two images
    flips     1, 2, 4 or 8 flips and turns of the image are corrected and averaged: less error, as many times the time
    known     what training held; an image outside of it is reconstructed with an UnknownInputWarning that says why

    2D and 3D grids (slice by slice), parallel, fan and circular cone beams: what `fbp` takes. Gradients flow to the weights,
    and to p when it asks. Raises what `fbp` raises.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int] = (40, 80, 160),
        depth: int = 2,
        blend: float = 1.0,
        flips: int = 1,
        known: Any = None,
    ) -> None:
        super().__init__()
        self.net = BiasFreeUNet(widths=widths, depth=depth)
        self.known = KnownInputs.of(known)
        self.blend, self.flips = blend, flips

    @property
    def blend(self) -> float:
        """The share of the network's image."""
        return self._blend

    @blend.setter
    def blend(self, value: float) -> None:
        self._blend = check_number(value, who="real-ct", name="blend", least=0.0, most=1.0)

    @property
    def flips(self) -> int:
        """How many flips and turns are averaged."""
        return self._flips

    @flips.setter
    def flips(self, value: int) -> None:
        if isinstance(value, bool) or value not in FLIPS:
            raise ConfigError(f"real-ct expects flips of {', '.join(map(str, FLIPS))}, got {value!r}")
        self._flips = value

    def forward(self, p: Tensor, A: Projector) -> Tensor:
        """p -> mu in 1/mm."""
        check_scan(p, A, who="real-ct")
        if self.blend == 0:
            return fbp(p, A, window="hann")
        inner = inner_projector(A)
        found = torch.cat([self._one(p[k : k + 1], inner) for k in range(len(p))])
        mu = to_mu(resample_cubic(found, inner.grid, A.grid))
        return mu if self.blend == 1 else self.blend * mu + (1 - self.blend) * fbp(p, A, window="hann")

    def from_image(self, mu: Tensor, *, pixel_mm: float) -> Tensor:
        """An image without its scan: mu (B, 1, Y, X) in 1/mm -> the same shape, its noise estimated from itself.

        The network knows FBP with a plain ramp; images of smoother kernels are outside of what it learnt, and are warned of.
        """
        check_mu(mu, who="real-ct")
        if mu.ndim != 4:
            raise GeometryError(f"real-ct expects images of shape (B, 1, Y, X), got {tuple(mu.shape)}")
        grid = Grid(tuple(mu.shape[-2:]), pixel_mm)
        inner = inner_grid(grid)
        hu = resample_cubic(to_hu_unchecked(mu), grid, inner)
        with torch.no_grad():
            noise = noise_from_image(hu, INNER_MM)
            warn_of_unknown(self.known, hu, noise, measured=False)
        return to_mu(resample_cubic(self.correct(hu, noise), inner, grid))

    def correct(self, hu: Tensor, noise_hu: Tensor) -> Tensor:
        """The network alone, on pixels of .75 mm: image and noise map in HU, (B, 1, Y, X) each -> image in HU."""
        kind = torch.promote_types(self.net.out.weight.dtype, torch.float32)  # images in float64 are corrected as well
        within = hu.clamp(*_HU_RANGE)
        with autocast(hu.device):
            found = [
                _undo(self.net(*(_do(x.to(kind), k) / _UNIT_HU for x in (within, noise_hu))), k) for k in _turns(self.flips)
            ]
        return torch.stack(found).float().mean(0).to(hu.dtype) * _UNIT_HU + (hu - within)

    def _one(self, p: Tensor, inner: Projector) -> Tensor:
        """One scan -> its image in HU on the inner grid, (1, 1, *inner.mu_shape)."""
        volume = len(inner.mu_shape) == 3
        as_slices = lambda x: x.reshape(-1, 1, *inner.mu_shape[-2:]) if volume else x
        q = filter_views(p, inner)
        hu = as_slices(to_hu_unchecked(backproject_filtered(q, inner)))
        with torch.no_grad():
            views = len(inner.views)
            if views >= LEAST_VIEWS:
                sparse = half_difference(q.detach(), sparse_projector(inner))
                noise = noise_from_halves(sparse.flatten(0, -3)[:, None], EVERY * INNER_MM)
                noise = on_every_pixel(noise, inner.mu_shape[-2:])
            else:
                noise = noise_from_image(hu.detach(), INNER_MM)
            warn_of_unknown(self.known, hu.detach(), noise, measured=views >= LEAST_VIEWS, views=views)
        return self.correct(hu, noise).reshape(1, 1, *inner.mu_shape)


def half_difference(q: Tensor, A: Projector) -> Tensor:
    """(image of even views - image of odd views) / 2 in HU, from filtered views: FBP is a sum over them, so signs suffice."""
    signs = torch.ones(q.shape[2], dtype=q.dtype, device=q.device)
    signs[1::2] = -1
    return backproject_filtered(q * signs.view(1, 1, -1, *[1] * (q.ndim - 3)), A) * HU_PER_MU


_SPARSE: WeakKeyDictionary[Projector, Projector] = WeakKeyDictionary()
_INNER: WeakKeyDictionary[Projector, Projector] = WeakKeyDictionary()


def inner_grid(grid: Grid) -> Grid:
    """The region of a grid on pixels of .75 mm in (y, x), centred alike; at most a pixel larger."""
    at = range(len(grid.shape) - 2, len(grid.shape))
    if all(abs(grid.spacing_mm[k] - INNER_MM) < 1e-6 for k in at):
        return grid
    shape, spacing, origin = list(grid.shape), list(grid.spacing_mm), list(grid.origin_mm)
    for k in at:
        shape[k] = max(1, math.ceil(grid.size_mm[k] / INNER_MM - 1e-6))
        spacing[k] = INNER_MM
        origin[k] = grid.centre_mm[k] - (shape[k] - 1) / 2 * INNER_MM
    return Grid(shape, spacing, origin)


def inner_projector(A: Projector) -> Projector:
    """The scanner of A with the inner grid; kept as long as A is."""
    grid = inner_grid(A.grid)
    if grid is A.grid:
        return A
    if A not in _INNER:
        _INNER[A] = A.on_grid(grid)
    return _INNER[A]


def sparse_projector(inner: Projector) -> Projector:
    """The scanner with every second pixel of the inner grid: FBP gives them the same values; kept as long as `inner` is."""
    if inner not in _SPARSE:
        g = inner.grid
        shape = [*g.shape[:-2], *(-(-n // EVERY) for n in g.shape[-2:])]
        spacing = [*g.spacing_mm[:-2], *(EVERY * s for s in g.spacing_mm[-2:])]
        _SPARSE[inner] = inner.on_grid(Grid(shape, spacing, g.origin_mm))
    return _SPARSE[inner]


def _turns(flips: int) -> tuple[int, ...]:
    """Which of the eight flips and turns of a square: bit 0 flips x, bit 1 flips y, bit 2 swaps the axes."""
    return {1: (0,), 2: (0, 7), 4: (0, 3, 5, 6), 8: tuple(range(8))}[flips]


def _do(x: Tensor, turn: int) -> Tensor:
    axes = [axis for axis, bit in ((-1, 1), (-2, 2)) if turn & bit]
    x = x.flip(axes) if axes else x
    return x.transpose(-1, -2) if turn & 4 else x


def _undo(x: Tensor, turn: int) -> Tensor:
    x = x.transpose(-1, -2) if turn & 4 else x
    axes = [axis for axis, bit in ((-1, 1), (-2, 2)) if turn & bit]
    return x.flip(axes) if axes else x
