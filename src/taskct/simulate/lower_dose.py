"""Noise added to a scan, so that it looks as if it had been taken at a lower dose."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from taskct.core.errors import InputError
from taskct.core.threads import keep_to_one_thread_if_forked
from taskct.core.units import LEAST_P
from taskct.physics.dose import Dose
from taskct.physics.noise import Air, log_transform
from taskct.physics.pieces import NormalDraws, pieces_of_views
from taskct.simulate.noisy_scan import check_seed, checked_floor, noise_streams


def lower_dose(
    p: Tensor,
    dose: Dose,
    fraction: float,
    *,
    seed: int | torch.Generator,
    case_id: str = "",
    items: Sequence[int | str] | None = None,
    modulation: Tensor | None = None,
    bowtie: Tensor | None = None,
    floor_photons: float | None = None,
    noise_device: torch.device | str = "cpu",
) -> Tensor:
    """What a scan taken at `dose` would look like at `dose.at(fraction)`: noisy p -> noisier p, same shape, no gradient.

    `fraction` counts from full dose, as in `Dose`, and must not exceed `dose.fraction`: photons that were never
    measured cannot be put back. `modulation`, `bowtie` and `floor_photons` are those the scan was taken with.

    With a = fraction / dose.fraction the counts N = air exp(-p) are thinned, each photon kept with chance a, and the
    read-out noise that thinning takes away is given back:

        N' = Binomial(N, a) + sqrt(1 - a^2) electronic_std Normal(0, 1)

    If N is Poisson(lambda) + Normal(0, s), then N' has the mean a lambda and the variance a lambda + s^2 of a direct scan;
    without read-out noise it is exactly Poisson(a lambda). (Gaussian noise of the same variance, a (1 - a) N + (1 - a^2)
    s^2, is what Yu et al., J. Comput. Assist. Tomogr. 36:477 (2012) add; thinning is also right where counts are few.) Rays
    that the first scan had clipped at its floor stay where the floor put them.

    Raises InputError for a higher dose.
    """
    keep_to_one_thread_if_forked()
    check_seed(seed)
    if isinstance(fraction, bool) or not (isinstance(fraction, int | float) and 0 < fraction < math.inf):
        raise InputError(f"lower_dose expects a fraction of full dose above 0, got {fraction!r}")
    if fraction > dose.fraction:
        raise InputError(
            f"lower_dose expects a fraction up to {dose.fraction:g}, the dose of this scan, got {fraction:g}; "
            "a higher dose cannot be made from a scan, only lower ones; simulate it from the image instead"
        )
    keep = fraction / dose.fraction
    if keep == 1:
        return p.detach().clone()
    target = dose.at(fraction)
    floor = target.floor_photons if floor_photons is None else checked_floor(floor_photons)
    with torch.no_grad():
        air = Air(p, modulation=modulation, bowtie=bowtie)
        low, high = (float(end) for end in torch.aminmax(p))
        if not (low > LEAST_P and high < math.inf):
            raise InputError(f"lower_dose expects finite p above {LEAST_P:g}, got {low:g} to {high:g}; mend or mask NaN first")
        # a stream of its own: the draws that made the scan, or an earlier insertion, must not come back under the same seed
        purpose = f"lower to {float(fraction)!r}"
        whole_in_float32 = dose.used_photons * float(air.whole().max()) * math.exp(-low) < 2**23
        lower = torch.empty(p.shape, dtype=p.dtype, device=p.device)
        for i, stream in enumerate(noise_streams(p, seed, case_id, items, noise_device, purpose=purpose)):
            clean, made = p[i].flatten(0, 1), lower[i].flatten(0, 1)
            pieces = list(pieces_of_views(tuple(clean.shape))) if stream.device.type == "cpu" else [slice(0, len(clean))]
            thinned = torch.empty(clean.shape, dtype=torch.float32 if whole_in_float32 else torch.float64)
            for views in pieces:
                counts = dose.used_photons * air.of(i, views) * torch.exp(-clean[views].double())
                thinned[views] = _thin(counts, keep, stream).cpu()
            given_back = math.sqrt(1 - keep**2) * dose.electronic_std
            draws = NormalDraws(tuple(clean.shape), stream) if given_back else ((views, None, None) for views in pieces)
            for views, z, _ in draws:
                counts = thinned[views].double()
                if z is not None:
                    counts += given_back * z.cpu()
                in_air = target.used_photons * air.of(i, views)
                made[views] = log_transform(counts.to(p.device), in_air, floor_photons=floor).to(p.dtype)
        return lower


def _thin(counts: Tensor, keep: float, stream: torch.Generator) -> Tensor:
    """Binomial thinning of whole photons, where the stream lives."""
    whole = counts.round().to(stream.device)
    return torch.binomial(whole, torch.full_like(whole, keep), generator=stream)
