"""Scores of methods on one slice of a real CT at one dose: error, bias, noise, contrast and observers of inserted lesions."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from taskct.core.seeds import derive_seed
from taskct.core.units import to_hu_unchecked, to_mu
from taskct.geometry import Grid
from taskct.geometry.presets import clinical_fan
from taskct.physics.dose import Dose
from taskct.physics.noise import statistical_weights
from taskct.physics.projector import Projector
from taskct.recon.fbp import fbp
from taskct.recon.reconstructor import Reconstructor
from taskct.recon.tv_min import ConvergenceWarning, tv_min
from taskct.simulate.noisy_scan import add_noise, finer_projection
from taskct.systems.real_ct.judged_ct import (
    DIAMETERS_MM,
    body_of,
    distance_mm,
    lesion_places,
    regions_of,
    with_lesions,
)
from taskct.task.observers.channels import difference_of_gaussians
from taskct.task.observers.hotelling import responses

FBP, HANN, TV, TV_WEIGHTED = "FBP", "FBP, Hann", "TV", "TV, count weights"
TV_ITERATIONS = 80  # of 512 x 512 with count weights: 160 change the error by .02 HU
_PATCH = 31  # pixels of the observer's regions
_FAR_MM = 12.0  # from the edge of a lesion: what lies beyond must not change
Method = Callable[[Tensor, Projector, Dose], Tensor]


class Score(NamedTuple):
    """One number of one method on one slice at one dose."""

    method: str
    metric: str
    region: str
    value: float


@dataclass(frozen=True, eq=False)
class Subject:
    """A slice (Y, X) of a CT in HU with its scanner; what does not depend on method and dose is made once."""

    name: str
    hu: np.ndarray
    pixel_mm: float

    @cached_property
    def scanner(self) -> Projector:
        """The scanner: `clinical_fan`."""
        return Projector(Grid(self.hu.shape, self.pixel_mm), clinical_fan())

    @cached_property
    def places(self) -> list[tuple[int, int, float]]:
        """Where lesions are inserted."""
        return lesion_places(self.hu, self.pixel_mm)

    @cached_property
    def added(self) -> np.ndarray:
        """What the lesions add to the slice, (Y, X) in HU."""
        return with_lesions(self.hu, self.pixel_mm, self.places) - self.hu

    @cached_property
    def body(self) -> np.ndarray:
        """`body_of` the slice."""
        return body_of(self.hu)

    @cached_property
    def regions(self) -> dict[str, np.ndarray]:
        """`regions_of` the slice."""
        return regions_of(self.hu, self.pixel_mm)

    @cached_property
    def distances_mm(self) -> list[np.ndarray]:
        """Distance of every pixel from the middle of each lesion."""
        return [distance_mm(self.hu.shape, self.pixel_mm, y, x) for y, x, _ in self.places]

    @cached_property
    def clean(self) -> Tensor:
        """Line integrals without lesions and with them, (2, 1, V, C), projected on a grid twice as fine."""
        both = np.stack([self.hu, with_lesions(self.hu, self.pixel_mm, self.places)])
        mu = to_mu(torch.from_numpy(both)[:, None]).clamp_min(0)
        return finer_projection(self.scanner, self.scanner.grid.refined(2))(mu)

    def scans(self, dose: Dose, *, draws: int = 2) -> Tensor:
        """Noisy scans (1 + draws, 1, V, C): without lesions, with them and the same noise, without them and other noise."""
        seed = derive_seed(7, self.name, f"{dose.used_photons:g}")
        noisy = partial(add_noise, dose=dose, seed=seed, unit_known=True)
        one, other = self.clean[:1], self.clean[1:]
        return torch.cat([noisy(one, items=[0]), noisy(other, items=[0]), *(noisy(one, items=[k]) for k in range(1, draws))])


def classical_methods(strength: float) -> dict[str, Method]:
    """FBP, FBP with a Hann window, and TV at the given strength."""
    return {
        FBP: lambda p, A, dose: fbp(p, A),
        HANN: lambda p, A, dose: fbp(p, A, window="hann"),
        TV: lambda p, A, dose: tv(p, A, strength=strength),
    }


def weighted_method(strength: float) -> Method:
    """TV with count weights, which knows the dose."""
    return lambda p, A, dose: tv(p, A, strength=strength, dose=dose)


def learned_method(network: Reconstructor) -> Method:
    """A network, which needs no dose."""
    return lambda p, A, dose: network(p, A)


def tv(p: Tensor, A: Projector, *, strength: float, dose: Dose | None = None) -> Tensor:
    """TV to a gap of 1 %, or with count weights, whose gap stays large, for TV_ITERATIONS."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        weights = None if dose is None else statistical_weights(p, dose)
        return tv_min(p, A, strength=strength, weights=weights, iterations=TV_ITERATIONS, progress=False)


def tuned_strength(subject: Subject, dose: Dose, strengths: tuple[float, ...], *, weighted: bool) -> float:
    """The strength with the least error in the body of a slice that is not judged."""
    p = subject.scans(dose)[2:]
    errors = {
        s: _rmse(_hu(tv(p, subject.scanner, strength=s, dose=dose if weighted else None)), subject.hu, subject.body)
        for s in strengths
    }
    return min(errors, key=lambda s: errors[s])


def judge_slice(subject: Subject, dose: Dose, methods: Mapping[str, Method]) -> Iterator[tuple[list[Score], np.ndarray]]:
    """For each method its scores, and its image in HU without lesions."""
    p = subject.scans(dose)
    for name, method in methods.items():
        images, seconds = [], []
        for k in range(3):
            began = time.process_time()
            with torch.no_grad():
                images.append(_hu(method(p[k : k + 1], subject.scanner, dose)))
            seconds.append(time.process_time() - began)
        yield [*scores_of(name, subject, *images), Score(name, "cpu_s", "", min(seconds))], images[0]


def judge_once(subject: Subject, dose: Dose, name: str, method: Method) -> tuple[list[Score], np.ndarray]:
    """Error and bias of a method from one scan, for those that take long, and its image in HU."""
    began = time.process_time()
    with torch.no_grad():
        image = _hu(method(subject.scans(dose)[:1], subject.scanner, dose))
    seconds = time.process_time() - began
    return [*_errors(name, subject, image, image), Score(name, "cpu_s", "", seconds)], image


def observe_slice(subject: Subject, dose: Dose, methods: Mapping[str, Method], *, draws: int) -> Iterator[list[Score]]:
    """For each method contrast and observers of lesions, their noise from `draws` scans in place of two."""
    p = subject.scans(dose, draws=draws)
    for name, method in methods.items():
        with torch.no_grad():
            found = np.stack([_hu(method(p[k : k + 1], subject.scanner, dose)) for k in range(len(p))])
        alone = np.delete(found, 1, axis=0)
        noise = (alone - alone.mean(0)) * np.sqrt(draws / (draws - 1))
        yield _lesion_scores(name, subject, found[1] - found[0], noise)


def scores_of(name: str, subject: Subject, image: np.ndarray, lesions: np.ndarray, again: np.ndarray) -> list[Score]:
    """Scores from three images in HU: without lesions, with them and the same noise, without them and other noise."""
    noise = (image - again) / np.sqrt(2)
    found = _errors(name, subject, image, again)
    for region, mask in subject.regions.items():
        found.append(Score(name, "noise_hu", region, float(noise[mask].std())))
    return found + _lesion_scores(name, subject, lesions - image, noise[None])


def _errors(name: str, subject: Subject, image: np.ndarray, again: np.ndarray) -> list[Score]:
    """Error of an image in the body; bias of regions, mean of two images."""
    hu, body = subject.hu, subject.body
    found = [Score(name, "rmse_hu", "body", _rmse(image, hu, body)), Score(name, "psnr_db", "body", _psnr(image, hu, body))]
    for region, mask in subject.regions.items():
        found.append(Score(name, "bias_hu", region, float(((image + again) / 2 - hu)[mask].mean())))
    return found


def _lesion_scores(name: str, subject: Subject, change: np.ndarray, noise: np.ndarray) -> list[Score]:
    """Share of the contrast, signal-to-noise ratio of disc less ring, Hotelling's d' in channels; what changes elsewhere.

    `change` (Y, X) is what the lesions do to the image, `noise` (K, Y, X) some images of noise alone.
    """
    away, truth = subject.distances_mm, subject.added
    if not away:
        return []
    far = np.min([d - diameter / 2 for d, (_, _, diameter) in zip(away, subject.places, strict=True)], axis=0) > _FAR_MM
    far &= subject.body
    found = [
        Score(name, "change_far_hu", "rms", float(np.sqrt((change[far] ** 2).mean()))),
        Score(name, "change_far_hu", "99.9 %", float(np.quantile(np.abs(change[far]), 0.999))),
    ]
    half = _PATCH // 2
    channels = difference_of_gaussians(_PATCH, pixel_mm=subject.pixel_mm)
    cut = lambda x, y, c: np.pad(x, half)[y : y + _PATCH, c : c + _PATCH]
    of_noise = responses(torch.from_numpy(np.stack([cut(n, y, x) for n in noise for y, x, _ in subject.places])), channels)
    for size in DIAMETERS_MM:
        discs = [d < size / 2 for d in away]
        rings = [(d > size / 2 + 2) & (d < size / 2 + 5) for d in away]
        own = [k for k, (_, _, diameter) in enumerate(subject.places) if diameter == size]
        if not own:
            continue
        share = float(np.mean([change[discs[k]].mean() / truth[discs[k]].mean() for k in own]))
        spread = float(np.std([n[d].mean() - n[r].mean() for n in noise for d, r in zip(discs, rings, strict=True)]))
        region = f"{size:g} mm"
        contrast = float(np.mean([change[discs[k]].mean() - change[rings[k]].mean() for k in own]))
        found += [Score(name, "contrast_share", region, share), Score(name, "snr", region, abs(contrast) / spread)]
        if len(of_noise) > len(channels) + 4:
            signal = responses(torch.from_numpy(np.stack([cut(change, *subject.places[k][:2]) for k in own])), channels).mean(
                0
            )
            square = signal @ torch.linalg.solve(of_noise.T @ of_noise / len(of_noise), signal)
            found.append(Score(name, "hotelling", region, float(square.clamp_min(0).sqrt())))
    return found


def _hu(mu: Tensor) -> np.ndarray:
    return np.asarray(to_hu_unchecked(mu)[0, 0].numpy())


def _rmse(image: np.ndarray, hu: np.ndarray, mask: np.ndarray) -> float:
    return float(np.sqrt(((image - hu)[mask] ** 2).mean()))


def _psnr(image: np.ndarray, hu: np.ndarray, mask: np.ndarray) -> float:
    """For a range of 2000 HU."""
    return float(20 * np.log10(2000 / _rmse(image, hu, mask)))
