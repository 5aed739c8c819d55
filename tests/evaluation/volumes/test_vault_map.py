"""Shape of the vault, measured on hollow ellipsoids whose answers are known."""

from __future__ import annotations

import math

import pytest
import torch

from taskct.core.errors import InputError
from taskct.evaluation.volumes.vault_map import result_vault_map, vault_map

SPACING = (3.0, 3.0, 3.0)
N = 64


def skull(width: float, length: float, *, skew: float = 0.0, hole_mm: float = 0.0, turn_deg: float = 0.0) -> torch.Tensor:
    """Half axes in mm; 6 mm of bone, 4 mm of skin; `skew` moves one side forward; `hole_mm` is the hole's radius."""
    line = (torch.arange(N) - (N - 1) / 2) * 3.0
    z, y, x = torch.meshgrid(line, line, line, indexing="ij")
    turn = math.radians(turn_deg)
    y, x = y * math.cos(turn) - x * math.sin(turn), y * math.sin(turn) + x * math.cos(turn)
    y = y + skew * x
    height = width
    form = ((z / height) ** 2 + (y / length) ** 2 + (x / width) ** 2).sqrt()
    distance = (z**2 + y**2 + x**2).sqrt() * (1 - 1 / form.clamp_min(1e-6))
    hu = torch.full((N, N, N), -1000.0)
    hu = torch.where(distance < 4, 40.0, hu)
    bone = (distance < 0) & (distance > -6)
    if hole_mm:
        place = torch.tensor([math.sin(math.radians(65)), -math.cos(math.radians(65)), 0.0])
        off = (torch.stack([z, y, x], -1) / (z**2 + y**2 + x**2).sqrt()[..., None] * place).sum(-1)
        bone &= ~(torch.arccos(off.clamp(-1, 1)) * width < hole_mm)
    hu[bone] = 900.0
    return hu


@pytest.mark.parametrize(("width", "length"), [(60, 72), (62, 66), (50, 78)])
def test_the_cranial_index_of_an_ellipsoid_is_that_of_its_axes_even_when_it_is_turned(width: float, length: float) -> None:
    for turn in (0.0, 12.0):
        found = vault_map(skull(width, length, turn_deg=turn), SPACING).cranial_index
        assert abs(found - 100 * width / length) < 2.5  # both axes reach to the next voxel of 3 mm


def test_asymmetry_has_the_sign_and_the_size_of_the_skew() -> None:
    even = vault_map(skull(60, 72), SPACING).asymmetry
    left = vault_map(skull(60, 72, skew=0.12), SPACING).asymmetry
    right = vault_map(skull(60, 72, skew=-0.12), SPACING).asymmetry
    assert abs(even) < 0.5
    assert left > 3 and abs(left + right) < 0.5  # the left side of this skull stands ahead


def test_the_area_of_a_hole_where_the_fontanelle_is_is_measured_and_a_closed_vault_has_none() -> None:
    assert vault_map(skull(62, 66), SPACING).fontanelle_mm2 == 0.0
    found = vault_map(skull(62, 66, hole_mm=16), SPACING).fontanelle_mm2
    assert abs(found - math.pi * 16**2) < 0.25 * math.pi * 16**2


def test_an_image_without_a_head_is_refused_and_one_without_bone_has_no_shape() -> None:
    with pytest.raises(InputError, match="without anything above -300"):
        vault_map(torch.full((16, 16, 16), -1000.0), SPACING)
    soft, air = skull(60, 70).clamp(max=40), torch.full((16, 16, 16), -1000.0)
    for made in (vault_map(soft, SPACING), result_vault_map(air, SPACING)):  # a method may make nothing at all
        assert math.isnan(made.cranial_index) and math.isnan(made.asymmetry) and math.isnan(made.fontanelle_mm2)
        assert bool(torch.isfinite(made.features).all())
    assert result_vault_map(skull(60, 70), SPACING).cranial_index == vault_map(skull(60, 70), SPACING).cranial_index
