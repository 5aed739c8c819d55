"""The fast noise of training follows the model of the exact simulation."""

from __future__ import annotations

import pytest
import torch

from taskct.core.errors import InputError
from taskct.physics.dose import Dose
from taskct.simulate import add_noise
from taskct.training.doses import DoseRange, as_dose_range, noisy_scans


@pytest.mark.parametrize(("line_integral", "electronic_std"), [(1.0, 0.0), (5.0, 0.0), (9.0, 0.0), (7.0, 10.0)])
def test_mean_and_spread_are_those_of_the_exact_simulation(line_integral: float, electronic_std: float) -> None:
    p = torch.full((1, 1, 200, 250), line_integral)
    dose = Dose(4096.0, electronic_std=electronic_std)
    fast = noisy_scans(p, torch.tensor([4096.0]), [torch.Generator().manual_seed(1)], electronic_std=electronic_std)
    exact = add_noise(p, dose, seed=2)
    # 50,000 draws each: a mean is good to sd / 224 (times sqrt 2), a spread to 0.3 % (times sqrt 2), wider where it is skewed
    assert float(fast.mean() - exact.mean()) == pytest.approx(0, abs=5 * 1.5 * float(exact.std()) / 224)
    assert float(fast.std() / exact.std()) == pytest.approx(1, abs=0.03)


def test_each_image_has_its_own_stream_and_its_own_dose() -> None:
    p = torch.ones(2, 1, 30, 40)
    streams = lambda: [torch.Generator().manual_seed(k) for k in (5, 6)]
    both = noisy_scans(p, torch.tensor([100.0, 1e6]), streams())
    alone = noisy_scans(p[1:], torch.tensor([1e6]), streams()[1:])
    assert torch.equal(both[1:], alone)
    assert float(both[0].std()) > 50 * float(both[1].std())


def test_a_single_dose_is_a_range_of_one() -> None:
    found = as_dose_range(Dose(1e4, fraction=0.3, electronic_std=2.0))
    assert found.draw_photons(3, torch.Generator()).tolist() == pytest.approx([3000.0] * 3)
    assert found.middle.used_photons == pytest.approx(3000.0) and found.middle.electronic_std == 2.0
    with pytest.raises(InputError, match=r"0 < lowest <= highest, got 0.5 and 0.1"):
        DoseRange(Dose(1e4), lowest=0.5, highest=0.1)
