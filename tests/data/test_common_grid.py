"""Slices on a grid that all patients share: the same centre, no aliasing, air outside."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from taskct.core.errors import GeometryError
from taskct.data.case import Case
from taskct.data.common_grid import onto_common_grid
from taskct.data.marks import Marks
from taskct.data.slice_recipe import SliceRecipe
from taskct.geometry import Grid


def _case(hu: torch.Tensor, labels: torch.Tensor | None = None, spacing_mm: tuple[float, float] = (1.0, 1.0)) -> Case:
    return Case(hu, (2.0, *spacing_mm), "c", labels=labels)


@pytest.mark.parametrize("axis", [0, 1])
def test_stripes_finer_than_the_new_pixels_are_averaged_along_their_own_axis_alone(axis):
    hu = torch.zeros(1, 30, 30)
    stripes = torch.arange(30) % 3 == 0
    hu[0, stripes if axis == 0 else slice(None), slice(None) if axis == 0 else stripes] = 300.0  # a third of the pixels
    case = _case(hu)
    fine, coarse = 1.0, 3.0
    grid = Grid((8, 20) if axis == 0 else (20, 8), (coarse, fine) if axis == 0 else (fine, coarse))
    mu, _ = onto_common_grid(case, grid, [0])
    assert torch.allclose(mu, case.mu.mean().expand_as(mu), rtol=1e-5)


def test_an_edge_stays_where_it_is_along_the_axis_that_is_not_averaged():
    hu = torch.full((1, 30, 30), -1000.0)
    hu[:, :, 15:] = 0.0
    case = _case(hu)
    mu, _ = onto_common_grid(case, Grid((8, 20), (3.0, 1.0)), [0])
    water = case.mu.max()
    assert torch.allclose(mu[0, 0, :, 10:], water.expand(8, 10)) and float(mu[0, 0, :, :10].max()) < 1e-6


def test_labels_take_the_nearest_and_what_lies_outside_is_air():
    labels = torch.zeros(2, 10, 10, dtype=torch.uint8)
    labels[1, 2:8, 2:8] = 3
    case = _case(torch.zeros(2, 10, 10), labels)
    mu, found = onto_common_grid(case, Grid((16, 16), 1.0), [1])
    assert found is not None and found.dtype == torch.uint8 and mu.shape == (1, 1, 16, 16)
    assert torch.equal(found[0, 3:13, 3:13], labels[1]) and int(found.sum()) == int(labels[1].sum())
    assert float(mu[0, 0, 0].max()) == 0.0 and torch.allclose(mu[0, 0, 3:13, 3:13], case.mu[1])


def test_pixels_larger_than_the_image_are_refused():
    case = _case(torch.zeros(1, 5, 30))
    with pytest.raises(GeometryError, match=r"5\.0 times larger .* choose a smaller pixel_mm"):
        onto_common_grid(case, Grid((4, 4), (5.0, 1.0)), [0])
    onto_common_grid(case, Grid((4, 4), (3.9, 1.0)), [0])


def test_labels_of_large_numbers_stay_what_they_are():
    labels = torch.zeros(1, 10, 10, dtype=torch.int16)
    labels[0, 2:8, 2:8], labels[0, 4, 4] = 300, 1000
    _, found = onto_common_grid(_case(torch.zeros(1, 10, 10), labels), Grid((10, 10), 1.0), [0])
    assert found is not None and torch.equal(found, labels)


def test_slices_do_not_go_onto_a_grid_of_voxels():
    with pytest.raises(GeometryError, match=r"case c are brought onto a grid .* got one of 8 x 8 x 8 voxels"):
        onto_common_grid(_case(torch.zeros(1, 10, 10)), Grid((8, 8, 8), 1.0), [0])


def test_a_slice_shows_the_same_lesions_on_coarser_pixels() -> None:
    # a nodule that lay between the new samples was lost, and its slice learnt and judged as one without nodules
    instances = torch.zeros(1, 64, 64, dtype=torch.int16)
    instances[0, 21, 21], instances[0, 40:42, 41:43], instances[0, 50:54, 50:54], instances[0, 2, 60] = 1, 2, 3, 4
    marks = Marks(instances, dict.fromkeys((1, 2, 3, 4), "nodule"), boxed=frozenset(["nodule"]))
    case = replace(_case(torch.zeros(1, 64, 64)), marks=marks)
    for side, pixel in ((64, 1.0), (32, 2.0), (16, 4.0), (8, 8.0)):
        made = SliceRecipe(shape=(side, side), pixel_mm=pixel).of(case)
        assert made is not None and made.marks is not None
        found = made.marks[0].boxes({"nodule": ["nodule"]})
        assert found is not None and made.marks[0].shown == [1, 2, 3, 4]
        middles = (found.corners[:, :2] + found.corners[:, 2:]) / 2 * pixel
        truth = torch.tensor([[21.5, 21.5], [41.0, 42.0], [52.0, 52.0], [2.5, 60.5]])
        assert float((middles - truth).abs().max()) <= pixel / 2 + 0.5
    small = SliceRecipe(shape=(32, 32), pixel_mm=1.0).of(case)  # the middle alone: what lies outside is not there
    assert small is not None and small.marks is not None and small.marks[0].shown == [1, 2]
