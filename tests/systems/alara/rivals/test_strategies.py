"""Courses of photons over views and slices."""

from dataclasses import replace

import torch
from dose_subjects import SUBJECTS

from taskct.physics.modulation import ScannerLimits
from taskct.systems.alara.rivals.strategies import AlongScan, ConstantNoise, TubeCurrentModulation, scout_paths


def test_modulation_serves_the_thick_views_and_limits_bound_it() -> None:
    one = SUBJECTS[2]
    current = TubeCurrentModulation(0.5, scout_photons=None)(one)
    paths = one.p[:, 0].amax(-1)
    assert (
        torch.equal(current[0].argmax(), current[1].argmax()) and abs(int(current[0].argmax()) - int(paths[0].argmax())) <= 2
    )
    assert bool((ConstantNoise()(one).std(1) == 0).all())
    held_back = one.driven(current * 1e4, ScannerLimits(largest_step=1.05))
    assert ScannerLimits(largest_step=1.05).breaches(held_back) == []
    assert scout_paths(one).shape == (2, 30)


def test_a_course_along_the_scan_multiplies_the_slices_of_every_view() -> None:
    one, bend = SUBJECTS[2], torch.tensor([0.5, -0.5], requires_grad=True)
    base = TubeCurrentModulation(0.5, scout_photons=None)
    along = AlongScan(base, lambda slices: bend[:slices])(one)
    torch.testing.assert_close(along / base(one), bend.detach().double().exp()[:, None].expand(2, 30), rtol=1e-6, atol=0)
    assert not along.requires_grad


def test_every_strategy_that_looks_at_the_scout_sees_it_smoothed_and_noise_costs_them_little() -> None:
    """The rule of a noisy scout asks for more of whom fewer photons reach; smoothed it asks what the truth would."""
    thick = replace(SUBJECTS[5], p=SUBJECTS[5].p * (8.0 / float(SUBJECTS[5].p.max())))
    for strategy in (TubeCurrentModulation(0.5), TubeCurrentModulation(1.0), ConstantNoise()):
        without = replace(strategy, scout_photons=None, smooth_cols=1)(thick).mean()
        noisy = [replace(strategy, smooth_cols=1, seed=k)(thick).mean() / without for k in range(20)]
        smooth = [
            replace(strategy, seed=k)(thick).mean() / replace(strategy, scout_photons=None)(thick).mean() for k in range(20)
        ]
        assert sum(noisy) / 20 > 1.04 and abs(sum(smooth) / 20 - 1) < 0.5 * (sum(noisy) / 20 - 1)
