from __future__ import annotations

import numpy as np
import pytest
import torch

from taskct.core.errors import GeometryError, InputError
from taskct.evaluation.reading.artefacts import find_checkerboards, spectrum_ratio

SIZE = 64
Y, X = np.mgrid[:SIZE, :SIZE]


def noise(seed: int, *, smooth: bool = False, images: int = 6) -> torch.Tensor:
    """HU noise of 20 HU, white or with a spectrum that falls towards high frequencies, in a round body only."""
    generator = torch.Generator().manual_seed(seed)
    values = 20 * torch.randn(images, 1, SIZE, SIZE, generator=generator)
    if smooth:
        values = 2.5 * torch.nn.functional.avg_pool2d(values, 3, 1, 1)
    return values * torch.from_numpy(np.hypot(Y - 32, X - 32) < 26)


def anatomy() -> torch.Tensor:
    body = np.where(np.hypot(Y - 32, X - 30) < 26, 50.0, -1000.0) + np.where(np.hypot(Y - 25, X - 40) < 7, 30.0, 0.0)
    return torch.from_numpy(body).float().expand(6, 1, SIZE, SIZE)


PATTERNS = {
    "0.5, 0.5": (-1.0) ** (Y + X),
    "0, 0.5": (-1.0) ** X,
    "0.5, 0": (-1.0) ** Y,
    "0.25, 0.25": np.cos(np.pi / 2 * (X + Y)) * 1.4,
    "0.25, -0.25": np.cos(np.pi / 2 * (Y - X)) * 1.4,
}


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("smooth", [False, True])
def test_a_planted_pattern_is_found_at_its_frequency(name, smooth):
    board = torch.from_numpy(PATTERNS[name]).float() * 6  # 6 HU under noise of 20 HU: hardly visible
    report = find_checkerboards(anatomy() + noise(0, smooth=smooth) + board, anatomy(), trials=60)
    assert next(iter(report.found)) == name and f"checkerboard at {name}" in str(report)


def test_a_pattern_in_the_liver_alone_is_found():
    local = torch.from_numpy(PATTERNS["0.5, 0.5"] * (np.hypot(Y - 32, X - 22) < 10)).float() * 15
    assert "0.5, 0.5" in find_checkerboards(anatomy() + noise(0) + local, anatomy(), trials=60).found


def test_noise_is_called_a_checkerboard_as_rarely_as_asked():
    # 24 sets of noise that no calibration saw, asked for 5 %: 0 to 5 alarms have a probability of 99.9 %.
    reports = [
        find_checkerboards(anatomy() + noise(s, smooth=s % 2 == 0), anatomy(), trials=60, false_alarm_rate=0.05, seed=s)
        for s in range(24)
    ]
    assert sum(bool(r.found) for r in reports) <= 5
    assert np.mean([r.false_alarm_rate for r in reports]) == pytest.approx(0.05, abs=0.04)  # as measured, 1440 sets
    assert any("no checkerboard" in str(r) for r in reports)


def test_lost_edges_are_no_checkerboard():
    blurred = torch.nn.functional.avg_pool2d(anatomy(), 3, 1, 1)
    assert not find_checkerboards(blurred + noise(3), anatomy(), trials=60).found


def test_the_spectrum_ratio_shows_lost_texture_and_added_noise():
    inside = (slice(None), slice(None), slice(16, 48), slice(16, 48))  # edges would hide the noise
    level = lambda image: spectrum_ratio(image[inside], noise(1)[inside], spacing_mm=(1.0, 1.0))
    frequency, same = level(noise(1))
    assert np.allclose(same, 1) and frequency[-1] == pytest.approx(0.5, abs=0.02)
    assert level(0.5 * noise(1))[1] == pytest.approx(0.25)
    assert level(noise(1) + noise(2))[1].mean() == pytest.approx(2, rel=0.25)  # 6 images


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("which", [0, 1])
def test_images_with_a_value_that_is_no_number_are_refused(bad, which):
    pair = [noise(0), noise(1)]
    pair[which][0, 0, 3, 3] = bad
    with pytest.raises(InputError, match="finite images"):
        find_checkerboards(*pair)


def test_small_or_unlike_images_are_refused():
    with pytest.raises(GeometryError, match="32 x 32 pixels or more"):
        find_checkerboards(torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16))
