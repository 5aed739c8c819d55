"""Distances between surfaces of bone: as SimpleITK measures them, and as arithmetic says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK
import torch

from taskct.core.errors import GeometryError
from taskct.evaluation.volumes.bone_surfaces import bone_dice, bone_surface_distances, surface, surface_distance

SPACING = (3.0, 1.5, 0.8)


def ball(centre: tuple[float, float, float], radius: float, shape: tuple[int, int, int] = (16, 24, 40)) -> np.ndarray:
    axes = np.meshgrid(*[np.arange(n) * s for n, s in zip(shape, SPACING, strict=True)], indexing="ij")
    return sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)) < radius**2


def test_surface_distances_are_those_of_simple_itk_on_voxels_of_three_sizes() -> None:
    a, b = ball((22, 18, 16), 11), ball((25, 16, 13), 9)

    def image(mask: np.ndarray) -> SimpleITK.Image:
        made = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
        made.SetSpacing(SPACING[::-1])
        return made

    def directed(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        contour = SimpleITK.LabelContour(image(first), fullyConnected=False)
        target = image(surface(second))
        away = SimpleITK.SignedMaurerDistanceMap(target, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
        places = SimpleITK.GetArrayFromImage(contour) > 0
        assert (places == surface(first)).all()
        return np.maximum(SimpleITK.GetArrayFromImage(away)[places], 0)

    there, back = directed(a, b), directed(b, a)
    found = surface_distance(a, b, SPACING)
    assert math.isclose(found.mean_mm, np.concatenate([there, back]).mean(), rel_tol=1e-6)
    assert math.isclose(found.p95_mm, max(np.percentile(there, 95), np.percentile(back, 95)), rel_tol=1e-6)


def test_the_order_of_the_two_masks_does_not_matter() -> None:
    a, b = ball((22, 18, 16), 11), ball((22, 18, 16), 11) | ball((40, 30, 26), 3)
    assert surface_distance(a, b, SPACING) == pytest.approx(surface_distance(b, a, SPACING))
    assert surface_distance(a, b, SPACING).p95_mm > surface_distance(a, a, SPACING).p95_mm


def test_a_plate_moved_by_two_slices_is_two_slices_away_in_millimetres() -> None:
    plate = np.zeros((12, 6, 6), bool)
    plate[3] = True
    moved = np.roll(plate, 2, 0)
    assert surface_distance(plate, moved, SPACING) == (6.0, 6.0)
    assert surface_distance(plate, plate, SPACING) == (0.0, 0.0)


def test_a_volume_without_bone_has_no_distance_and_no_dice_without_bone_in_either() -> None:
    hu = torch.zeros(2, 1, 6, 6, 6)
    truth = hu.clone()
    truth[0, :, 2:4, 2:4, 2:4] = 900.0
    first, second = bone_surface_distances(hu, truth, SPACING)
    assert math.isnan(first.mean_mm) and math.isnan(second.p95_mm)
    dice = bone_dice(hu, truth)
    assert float(dice[0]) == 0 and math.isnan(float(dice[1]))
    with pytest.raises(GeometryError, match="spacing per axis"):
        surface_distance(np.zeros((3, 3, 3), bool), np.zeros((3, 3, 4), bool), SPACING)
