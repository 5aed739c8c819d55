"""No patient in two parts, by name or by pixels."""

from __future__ import annotations

import pytest
import torch
from image_sets import COHORT

from taskct.core.errors import InputError
from taskct.data.images import ImageSet
from taskct.data.leaks import refuse_leaks


def some(seed: int, *patients: str) -> ImageSet:
    mu = torch.rand((len(patients), 1, 8, 8), generator=torch.Generator().manual_seed(seed)) * 0.02
    return ImageSet(mu, patients, ids=[f"{p}-{k}" for k, p in enumerate(patients)])


def test_a_patient_in_two_parts_is_refused_by_name() -> None:
    refuse_leaks(some(0, "a", "b"), some(1, "c"), ["d"])
    with pytest.raises(InputError, match="'b' in train and validation"):
        refuse_leaks(some(0, "a", "b"), some(1, "b"))
    for held_out in (["a"], some(1, "a")):
        with pytest.raises(InputError, match="'a' in train and test"):
            refuse_leaks(some(0, "a", "b"), None, held_out)


def test_one_patient_under_two_names_is_refused_by_the_pixels() -> None:
    with pytest.raises(InputError, match="'x-0' in test has the same pixels as 'a-0' in train"):
        refuse_leaks(some(0, "a", "b"), some(1, "c"), some(0, "x"))
    refuse_leaks(some(0, "a", "b"), some(1, "c"), some(0, "x"), pixels=False)


def test_a_slice_of_a_test_volume_that_was_learnt_from_is_refused() -> None:
    volume = torch.rand((1, 1, 4, 8, 8), generator=torch.Generator().manual_seed(0)) * 0.02
    slices = ImageSet(volume[0].transpose(0, 1)[2:3].contiguous(), ["a"])
    with pytest.raises(InputError, match="'image-0' in test has the same pixels"):
        refuse_leaks(slices, None, ImageSet(volume, ["b"]))


def test_slices_of_air_say_nothing_of_whose_they_are() -> None:
    air = torch.zeros((1, 1, 8, 8))
    refuse_leaks(ImageSet(air, ["a"]), ImageSet(air, ["b"]))


def test_a_set_that_would_have_to_be_read_is_compared_by_name_only() -> None:
    painted, kept = COHORT.images("train", in_memory=False), COHORT.images("train", progress=False)
    other = ImageSet(kept.mu, [f"other-{p}" for p in kept.patient_ids])
    refuse_leaks(painted, other)
    with pytest.raises(InputError, match="same pixels"):
        refuse_leaks(kept, other)
