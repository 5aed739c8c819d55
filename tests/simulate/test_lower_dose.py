"""lower_dose: a scan with inserted noise is, in mean and variance, a scan at the lower dose."""

from __future__ import annotations

import math

import pytest
import torch

from taskct.core.errors import InputError
from taskct.physics.dose import Dose
from taskct.simulate import add_noise, lower_dose

RAYS = 200_000


@pytest.mark.parametrize("electronic_std", [0.0, 10.0])
@pytest.mark.parametrize("p_true", [1.0, 3.0, 4.5])
def test_inserting_to_a_quarter_gives_the_mean_and_variance_of_a_direct_quarter_scan(
    p_true: float, electronic_std: float
) -> None:
    dose = Dose(2e4, electronic_std=electronic_std)
    p = torch.full((1, 1, 1, RAYS), p_true, dtype=torch.float64)
    full = add_noise(p, dose, seed=0)
    inserted = lower_dose(full, dose, 0.25, seed=0)  # the same seed on purpose: its draws must be others
    direct = add_noise(p, dose.at(0.25), seed=1)
    spread = direct.std().item()
    # two means of n rays differ by spread * sqrt(2 / n) = 0.003 spread, two variances by sqrt(4 / n) = 0.45 %; five of each
    assert inserted.mean().item() == pytest.approx(direct.mean().item(), abs=0.016 * spread)
    assert inserted.var().item() == pytest.approx(direct.var().item(), rel=0.023)


@pytest.mark.parametrize("electronic_std", [0.0, 10.0])
def test_inserted_counts_follow_the_model_in_counts(electronic_std: float) -> None:
    dose = Dose(2e4, 0.8, electronic_std)
    p = torch.full((1, 1, 1, RAYS), 4.0, dtype=torch.float64)  # 293 counts, floor far away
    full = add_noise(p, dose, seed=0)
    counts = 4000 * torch.exp(-lower_dose(full, dose, 0.2, seed=9))
    mean, variance = 4000 * math.exp(-4), 4000 * math.exp(-4) + electronic_std**2
    assert counts.mean().item() == pytest.approx(mean, abs=5 * math.sqrt(variance / RAYS))
    assert counts.var().item() == pytest.approx(variance, rel=5 * math.sqrt(2.2 / RAYS))


def test_without_readout_noise_starved_rays_are_exactly_poisson() -> None:
    dose = Dose(4096)
    p = torch.full((1, 1, 1, RAYS), 7.0, dtype=torch.float32)  # float32: whole counts must survive the logarithm
    inserted = lower_dose(add_noise(p, dose, seed=0), dose, 0.5, seed=3)
    counts = (2048 * torch.exp(-inserted.double())).round()
    rate = 2048 * math.exp(-7)
    for n in range(5):
        share = (counts == n).double().mean().item()
        wanted = math.exp(-rate) * rate**n / math.factorial(n)
        assert share == pytest.approx(wanted, abs=5 * math.sqrt(wanted * (1 - wanted) / RAYS))


def test_readout_noise_below_one_photon_is_not_lost_by_thinning_whole_photons() -> None:
    dose = Dose(6, electronic_std=0.3)
    p = torch.zeros((1, 1, 1, 2 * RAYS), dtype=torch.float64)
    inserted = lower_dose(add_noise(p, dose, seed=0), dose, 0.9, seed=1)
    counts = 5.4 * torch.exp(-inserted)
    # 400 000 rays: the variance errs by 0.23 %, three of them; the read-out noise is 1.6 % of it
    assert counts.var().item() == pytest.approx(5.4 + 0.09, rel=0.007)


def test_lowering_twice_equals_lowering_once_in_spread() -> None:
    dose = Dose(1e4, electronic_std=5)
    p = torch.full((1, 1, 1, RAYS), 2.0, dtype=torch.float64)
    full = add_noise(p, dose, seed=0)
    twice = lower_dose(lower_dose(full, dose, 0.5, seed=0), dose.at(0.5), 0.25, seed=0)
    once = lower_dose(full, dose, 0.25, seed=0)
    assert twice.var().item() == pytest.approx(once.var().item(), rel=0.023)  # two sample variances, as above


def test_bowtie_and_modulation_of_the_scan_are_taken_into_account() -> None:
    dose = Dose(2e4)
    p = torch.full((400, 1, 4, 50), 2.0, dtype=torch.float64)
    shape = {"modulation": torch.tensor([0.5, 1.5, 0.8, 1.2]), "bowtie": torch.linspace(0.3, 1.0, 50)}
    inserted = lower_dose(add_noise(p, dose, seed=0, **shape), dose, 0.25, seed=1, **shape)
    direct = add_noise(p, dose.at(0.25), seed=2, **shape)
    # a variance from 400 scans carries 7 %, a ratio 10 %; over 200 rays 0.7 %
    assert (inserted.var(0) / direct.var(0)).mean().item() == pytest.approx(1.0, abs=0.04)


def test_the_same_seed_gives_the_same_insertion_and_the_same_dose_a_copy() -> None:
    dose = Dose(1e4)
    p = add_noise(torch.full((2, 1, 3, 40), 2.0), dose, seed=0)
    assert torch.equal(lower_dose(p, dose, 0.3, seed=1), lower_dose(p, dose, 0.3, seed=1))
    assert torch.equal(lower_dose(p, dose, 0.3, seed=1)[1:], lower_dose(p[1:], dose, 0.3, seed=1, items=[1]))
    same = lower_dose(p, dose, 1.0, seed=1)
    assert torch.equal(same, p) and same is not p


def test_a_higher_dose_and_impossible_fractions_are_refused_with_the_reason() -> None:
    p = torch.full((1, 1, 3, 4), 2.0)
    with pytest.raises(InputError, match=r"up to 0.5, the dose of this scan, got 0.75; a higher dose cannot be made"):
        lower_dose(p, Dose(1e4, 0.5), 0.75, seed=0)
    with pytest.raises(InputError, match=r"up to 1, the dose of this scan, got 1.2"):
        lower_dose(p, Dose(1e4), 1.2, seed=0)
    for fraction in (0, -0.1, float("nan"), "half"):
        with pytest.raises(InputError, match="fraction of full dose above 0"):
            lower_dose(p, Dose(1e4), fraction, seed=0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="expects finite p"):
        lower_dose(torch.full((1, 1, 3, 4), float("nan")), Dose(1e4), 0.5, seed=0)
    with pytest.raises(InputError, match="seed expects"):
        lower_dose(p, Dose(1e4), 0.5, seed=None)  # type: ignore[arg-type]
