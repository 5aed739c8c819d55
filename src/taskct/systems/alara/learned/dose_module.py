"""The dose module: what is known of a patient before the scan -> the photons that the patient needs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError, GeometryError
from taskct.nets.resnet import ResNet
from taskct.physics.modulation import harmonic_modulation, harmonic_waves, paths_from_scout
from taskct.systems.alara.learned.domain import Domain
from taskct.systems.alara.learned.prior import PATH_SCALE, PriorInfo

FEATURES_PER_CHANNEL = 5
RULE_EXPONENT = 0.5  # the square-root rule
_LEAN = 3.0  # three numbers learn faster than a network's weights
_BEND = 10.0  # and those of the profile, which begin at nothing, faster still
_FARTHEST = 1.0  # of the correction to a rule's level: a factor of e either way
_STEEPEST = 1.0  # of the log modulation's coefficients: a factor of e^2 between highest and lowest current


@dataclass(frozen=True, kw_only=True)
class DoseSpec:
    """A dose module's build.

    lowest_photons, highest_photons   bounds of n0 = e^d; d is bounded by a sigmoid between their logarithms
    fallback_photons                  the fixed dose: where training begins, and what a patient outside the domain gets
    harmonics                         0: one current for all views; K: a modulation with K even harmonics
    per                               "patient": one level for all slices; "slice": each slice from its own rows of the scout
    rule                              "fixed": training begins with the fixed dose for all; "modulation": with the square-root
                                      rule I = A^0.5 of the scout (`tube_current`) about it, by slice and view. Its exponents
                                      within a slice, between slices and between patients are learnt, the network corrects the
                                      rest
    profile                           with the rule: so many cosines over a slice's place in the scan, learnt for all patients.
                                      The range is planned on the organ; a task may need more in its middle than at its ends
    width, norm                       of the ResNet-18; group normalisation, as batches of patients are small
    """

    prior: PriorInfo = field(default_factory=PriorInfo)
    lowest_photons: float = 2.0**8
    highest_photons: float = 2.0**16
    fallback_photons: float = 4096.0
    harmonics: int = 0
    per: Literal["patient", "slice"] = "patient"
    rule: Literal["fixed", "modulation"] = "fixed"
    profile: int = 0
    width: int = 64
    norm: str = "group"

    def __post_init__(self) -> None:
        if not 0 < self.lowest_photons < self.fallback_photons < self.highest_photons:
            raise ConfigError(
                "a dose module expects lowest_photons < fallback_photons < highest_photons, got "
                f"{self.lowest_photons:g}, {self.fallback_photons:g}, {self.highest_photons:g}"
            )
        if self.harmonics < 0 or (self.per == "slice" and self.prior.kind != "scout"):
            raise ConfigError(
                f"a dose module expects harmonics >= 0, and per = 'slice' with a scout, got {self.harmonics} and "
                f"{self.prior.kind!r}"
            )
        if self.rule == "modulation" and not (self.harmonics and self.per == "slice"):
            raise ConfigError(
                f"a dose module with rule = 'modulation' expects per = 'slice' and harmonics >= 1, got {self.per!r} and "
                f"{self.harmonics}"
            )
        if self.profile < 0 or (self.profile and self.rule != "modulation"):
            raise ConfigError(
                f"a dose module expects profile >= 0, above 0 with rule = 'modulation', got {self.profile} and {self.rule!r}"
            )


@dataclass(frozen=True, eq=False)
class Decision:
    """What the module chose for a batch of B patients with S slices.

    `log_photons` (B, S), ln of the mean photons over views; `modulation` (B S, V) with mean 1, or None; `forecast` (B,), the
    distance of the quality to its bound that is expected, in the bound's unit of training.
    """

    log_photons: Tensor
    modulation: Tensor | None
    forecast: Tensor

    def log_air(self, views: int) -> Tensor:
        """ln of the photons of each image and view, (B S, V), or (B S,) without modulation."""
        level = self.log_photons.flatten()
        return level if self.modulation is None else level[:, None] + self.modulation.log()

    @property
    def photons(self) -> Tensor:
        """Mean photons per pixel of each patient, (B,)."""
        return self.log_photons.exp().mean(1)


class DoseModule(nn.Module):
    """ResNet-18 from prior information (B, channels, rows, columns) to a `Decision` (Tao and Lin, arXiv 2504.06777: n0 = e^d).

    d is bounded between the logarithms of the spec's photons and starts at its fallback for everybody. The forecast is a
    linear function of the same features and of d, and does not move them. `domain` knows who is outside.
    """

    usual_path: Tensor

    def __init__(self, spec: DoseSpec | None = None) -> None:
        super().__init__()
        self.spec = spec or DoseSpec()
        channels = self.spec.prior.channels
        self.net = ResNet(channels, 1 + 2 * self.spec.harmonics, width=self.spec.width, norm=self.spec.norm)
        self.expect = nn.Linear(self.net.head.in_features + 1, 1)
        self.domain = Domain(FEATURES_PER_CHANNEL * channels)
        low, high, start = (
            math.log(v) for v in (self.spec.lowest_photons, self.spec.highest_photons, self.spec.fallback_photons)
        )
        self.low, self.high = low, high
        share = (start - low) / (high - low)
        nn.init.zeros_(self.net.head.weight)
        nn.init.zeros_(self.net.head.bias)
        nn.init.zeros_(self.expect.weight)
        nn.init.zeros_(self.expect.bias)
        self.start = math.log(share / (1 - share))
        if self.spec.rule == "modulation":  # within a slice, between slices, between patients
            self.leaning = nn.Parameter(torch.zeros(3))
            self.register_buffer("usual_path", torch.tensor(6.0))
        if self.spec.profile:
            self.bend = nn.Parameter(torch.zeros(self.spec.profile))

    @property
    def exponents(self) -> Tensor:
        """Of the rule: within a slice, between slices, between patients."""
        return RULE_EXPONENT + _LEAN * self.leaning

    def profile(self, slices: int) -> Tensor:
        """ln of the share that each of S slices gets by its place in the scan, (S,), mean 0; zeros without a profile."""
        if not self.spec.profile:
            return torch.zeros(slices)
        place = (torch.arange(slices, device=self.bend.device) + 0.5) / slices
        order = torch.arange(1, self.spec.profile + 1, device=self.bend.device)
        return _BEND * self.bend @ torch.cos(math.pi * order[:, None] * place)

    @torch.no_grad()
    def learn(self, prior: Tensor, angles_rad: Tensor) -> None:
        """Take from the training patients (N, C, rows, columns) who is inside the domain, and what a rule gives on average."""
        self.domain.learn(self.spec.prior.describe(prior))
        if self.spec.rule == "modulation":  # so that the rule spends the fixed dose on them
            paths = _paths(prior.float(), angles_rad)
            self.usual_path.copy_(torch.logsumexp((RULE_EXPONENT * paths).flatten(), 0) - math.log(paths.numel()))
            self.usual_path.div_(RULE_EXPONENT)

    def forward(self, prior: Tensor, *, slices: int, angles_rad: Tensor) -> Decision:
        """Prior information of B patients -> what they get; `slices` S of each, `angles_rad` (V,) of the views."""
        with torch.autocast(prior.device.type, enabled=False):  # d in bf16 would be rounded to 3 % of the dose
            x = prior.float()
            count = len(x)
            if self.spec.per == "slice":
                if x.shape[2] != slices:
                    raise GeometryError(f"a level per slice expects a scout with a row per slice, {slices}, got {x.shape[2]}")
                x = x.transpose(1, 2).flatten(0, 1)[:, :, None]  # (B S, C, 1, columns)
            features = self.net.features(x)
            raw = self.net.head(features)
            if self.spec.rule == "modulation":
                course = self._ruled(prior.float(), raw, angles_rad)  # (B S, V)
                d = torch.logsumexp(course, 1) - math.log(course.shape[1])
            else:
                d = self.low + (self.high - self.low) * torch.sigmoid(raw[:, 0] + self.start)
            seen = torch.cat([features, (d[:, None] - self.low) / (self.high - self.low)], 1).detach()
            forecast = self.expect(seen)[:, 0].reshape(count, -1).mean(1)
            levels = d.reshape(count, -1).expand(count, slices)
            modulation = None
            if self.spec.rule == "modulation":
                modulation = torch.exp(course - d[:, None])
            elif self.spec.harmonics:
                waves = _STEEPEST * torch.tanh(raw[:, 1:])
                modulation = harmonic_modulation(waves, angles_rad.to(waves.device))
                if self.spec.per == "patient":
                    modulation = modulation.repeat_interleave(slices, 0)
            return Decision(levels, modulation, forecast)

    def _ruled(self, prior: Tensor, raw: Tensor, angles_rad: Tensor) -> Tensor:
        """ln of the photons of every slice and view, (B S, V): the rule with its exponents, and the network's correction."""
        paths = _paths(prior, angles_rad)  # (B, S, V)
        slices = paths.mean(2, keepdim=True)
        patients = slices.mean(1, keepdim=True)
        within, between, across = self.exponents
        rule = within * (paths - slices) + between * (slices - patients) + across * (patients - self.usual_path)
        if self.spec.profile:
            rule = rule + self.profile(paths.shape[1])[:, None]
        waves = _STEEPEST * torch.tanh(raw[:, 1:]) @ harmonic_waves(self.spec.harmonics, angles_rad).to(raw)
        level = math.log(self.spec.fallback_photons) + _FARTHEST * torch.tanh(raw[:, :1])
        return (level + rule.flatten(0, 1) + waves).clamp(self.low, self.high)


def _paths(prior: Tensor, angles_rad: Tensor) -> Tensor:
    """Longest path of every view from scouts (B, 2, S, columns): (B, S, V)."""
    front, side = (PATH_SCALE * prior[:, k].amax(-1).flatten() for k in (0, 1))
    return paths_from_scout(front, side, angles_rad.to(prior.device)).reshape(len(prior), -1, len(angles_rad))
