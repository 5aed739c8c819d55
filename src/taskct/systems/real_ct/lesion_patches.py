"""Batches of patches at random doses, some of them twice: without lesions and, with the same noise, with lesions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from taskct.core.seeds import derive_seed
from taskct.core.units import to_mu
from taskct.recon.learned.noise_map import EVERY, WIDTH_MM, noise_from_halves, on_every_pixel
from taskct.recon.learned.real_ct_net import INNER_MM
from taskct.systems.real_ct.real_ct_settings import RealCTExperiment
from taskct.systems.real_ct.training_slices import DRAWN_AT
from taskct.training.batch import Batch

_REACH = EVERY * math.ceil(2.2 * WIDTH_MM / INNER_MM / EVERY)  # pixels round a patch that its noise map needs
_SYSTEM_BLUR_MM = 0.46  # of the scan: standard deviation of the Gaussian that FBP makes of a point
_MOST_LESIONS = 5
_SIZES_MM, _MOST_HU, _LEAST_HU = (3.0, 15.0), 60.0, 8.0
_SOFT_HU, _EVEN_HU = (-60.0, 180.0), 45.0  # lesions lie in soft tissue, away from edges
_TURN = 0.35  # radians by which two draws of noise are rotated into each other, besides their order
_BETWEEN = 24_000.0  # photons below which the noisier draws serve


class LesionPatches:
    """`batch(step)`: the step alone decides what is drawn. Images in HU are in `targets`, the truth also as mu.

    targets: "fbp_hu", "noise_hu", "truth_hu", each (B, 1, P, P). The last `pairs` images are those before them once more with
    lesions; "added_hu" (pairs, 1, P, P) is what was added to the truth, "lesion" (pairs, P, P) numbers each lesion's pixels
    from 1 (0: none).
    """

    def __init__(self, slices: Sequence[np.ndarray], checks: Sequence[np.ndarray], settings: RealCTExperiment) -> None:
        self.slices = [np.asarray(one) for one in slices]
        self.checks, self.settings = [np.asarray(one) for one in checks], settings

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        s = self.settings
        rng = np.random.default_rng(derive_seed(s.seed, "patches", step) % 2**63)
        return self._made(rng, [self.slices[rng.integers(len(self.slices))] for _ in range(s.batch - s.pairs)], step)

    def validation(self) -> Iterable[Batch]:
        """Patches of other patients, the same at every call."""
        s = self.settings
        rng = np.random.default_rng(derive_seed(s.seed, "validation patches") % 2**63)
        for start in range(0, len(self.checks), s.batch - s.pairs):
            chosen = self.checks[start : start + s.batch - s.pairs]
            if len(chosen) >= s.pairs:
                yield self._made(rng, chosen, 0)

    def whole(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Image and noise map in HU of some whole slices at random doses: for the guard."""
        rng = np.random.default_rng(derive_seed(self.settings.seed, "whole slices", number) % 2**63)
        for k in rng.integers(len(self.slices), size=20):
            pair = _at_dose(self.slices[k].astype(np.float32), rng, self.settings.photons)
            image, difference = (torch.from_numpy(x)[None, None] for x in pair)
            noise = noise_from_halves(difference[..., ::EVERY, ::EVERY], EVERY * INNER_MM)
            yield image, on_every_pixel(noise, tuple(image.shape[-2:]))

    def _made(self, rng: np.random.Generator, slices: Sequence[np.ndarray], step: int) -> Batch:
        s, size, wide = self.settings, self.settings.patch, self.settings.patch + 2 * _REACH
        images = np.empty((len(slices), 2, size, size), np.float32)
        differences = np.empty((len(slices), 1, wide, wide), np.float32)
        added, lesion = np.zeros((s.pairs, size, size), np.float32), np.zeros((s.pairs, size, size), np.int64)
        paired = len(slices) - s.pairs
        for k, one in enumerate(slices):
            cut = _cut(one, rng, wide)
            if rng.random() < 0.5:
                cut = cut[:, :, ::-1]
            cut = np.rot90(cut, int(rng.integers(4)), (1, 2))
            image, differences[k, 0] = _at_dose(cut, rng, s.photons)
            inside = slice(_REACH, _REACH + size)
            images[k] = cut[0, inside, inside], image[inside, inside]
            if rng.random() < 0.3:
                images[k] += rng.uniform(-30, 30)
            if k >= paired:
                added[k - paired], lesion[k - paired] = _lesions(images[k, 0], rng)
        sparse = torch.from_numpy(differences[..., ::EVERY, ::EVERY].copy())
        noise = on_every_pixel(noise_from_halves(sparse, EVERY * INNER_MM), (wide, wide))
        noise = noise[..., _REACH : _REACH + size, _REACH : _REACH + size]
        truth, fbp = torch.from_numpy(images[:, :1]), torch.from_numpy(images[:, 1:])
        new = torch.from_numpy(added)[:, None]
        truth = torch.cat([truth, truth[paired:] + new])
        fbp = torch.cat([fbp, fbp[paired:] + _blurred(new)])
        noise = torch.cat([noise, noise[paired:]])
        targets = {"fbp_hu": fbp, "noise_hu": noise, "truth_hu": truth, "added_hu": new, "lesion": torch.from_numpy(lesion)}
        return Batch(mu=to_mu(truth), ids=tuple(str(k) for k in range(len(truth))), step=step, targets=targets)


def _cut(one: np.ndarray, rng: np.random.Generator, wide: int) -> np.ndarray:
    """A square of `wide` pixels from anywhere in a slice; beyond its border the last pixels are repeated."""
    at = []
    for n in one.shape[1:]:
        low, high = -_REACH, max(-_REACH, n - wide + _REACH)
        at.append(np.arange(wide) + int(rng.integers(low, high + 1)))
    rows, cols = (a.clip(0, n - 1) for a, n in zip(at, one.shape[1:], strict=True))
    return one[:, rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1][:, rows - rows[0]][:, :, cols - cols[0]].astype(np.float32)


def _at_dose(cut: np.ndarray, rng: np.random.Generator, photons: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """FBP and half the difference of its half-scans at a random dose, from the channels of a slice."""
    _, clean, halves, high_1, high_2, low_1, low_2 = cut
    wanted = math.exp(rng.uniform(math.log(photons[0]), math.log(photons[1])))
    drawn, n1, n2 = (DRAWN_AT[1], low_1, low_2) if wanted < _BETWEEN else (DRAWN_AT[0], high_1, high_2)
    if rng.random() < 0.5:
        n1, n2 = n2, n1
    scale, turn = math.sqrt(drawn / wanted), rng.uniform(-_TURN, _TURN)
    c, s = scale * math.cos(turn), scale * math.sin(turn)
    return clean + c * n1 + s * n2, halves + c * n2 - s * n1


def _lesions(truth: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """What some discs add to a patch, in HU, and the number of the disc at each of their pixels."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(truth, 2.0)
    rough = np.sqrt(gaussian_filter((truth - smooth) ** 2, 3.0))
    soft = (smooth > _SOFT_HU[0]) & (smooth < _SOFT_HU[1]) & (rough < _EVEN_HU)
    places = np.argwhere(soft)
    added, lesion = np.zeros_like(truth), np.zeros(truth.shape, np.int64)
    if not len(places):
        return added, lesion
    yy, xx = np.mgrid[: truth.shape[0], : truth.shape[1]].astype(np.float32)
    number = 0
    for _ in range(3 * _MOST_LESIONS):
        y, x = places[rng.integers(len(places))]
        radius = math.exp(rng.uniform(math.log(_SIZES_MM[0]), math.log(_SIZES_MM[1]))) / 2 / INNER_MM
        contrast = rng.choice([-1, -1, 1]) * math.exp(rng.uniform(math.log(_LEAST_HU), math.log(_MOST_HU)))
        turn, flat, edge = rng.uniform(0, math.pi), rng.uniform(0.75, 1.0), rng.uniform(0.7, 2.0)
        c, s = math.cos(turn), math.sin(turn)
        u, v = (c * (yy - y) + s * (xx - x)) / flat, (c * (xx - x) - s * (yy - y)) * flat
        profile = np.clip((radius - np.hypot(u, v)) / edge + 0.5, 0, 1).astype(np.float32)
        near = np.hypot(yy - y, xx - x) < 1.35 * radius + 3
        if lesion[near].any() or (profile * soft).sum() < 0.7 * profile.sum() or profile.sum() < 2:
            continue
        number += 1
        added += np.float32(contrast) * profile
        lesion[near] = number
        if number == _MOST_LESIONS:
            break
    return added, lesion


def _blurred(added: Tensor) -> Tensor:
    """What FBP makes of the added lesions."""
    sigma = _SYSTEM_BLUR_MM / INNER_MM
    at = torch.arange(-3, 4, dtype=added.dtype)
    bell = torch.exp(-0.5 * (at / sigma) ** 2)
    bell = bell / bell.sum()
    blurred = torch.nn.functional.conv2d(added, bell.view(1, 1, -1, 1), padding=(3, 0))
    return torch.nn.functional.conv2d(blurred, bell.view(1, 1, 1, -1), padding=(0, 3))
