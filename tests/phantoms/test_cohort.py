"""The cohort as parts and slices."""

from __future__ import annotations

import hashlib

import pytest
import torch
from torch.utils.data import DataLoader

from taskct.core.errors import InputError, ResourceError
from taskct.phantoms.cohort import PARTS, Cohort, part_of
from taskct.phantoms.patient import make_patient


def test_no_patient_is_in_two_parts_whatever_the_cohort_sizes() -> None:
    small, large = Cohort("abdomen", 30), Cohort("abdomen", {"train": 70, "validation": 12, "test": 9})
    for part in PARTS:
        for other in PARTS:
            if part != other:
                assert not set(small.numbers(part)) & set(large.numbers(other))
    assert sorted(n for part in PARTS for n in small.numbers(part)) == list(range(30))
    assert [len(large.numbers(part)) for part in PARTS] == [70, 12, 9]
    assert all(part_of(n) == "validation" for n in large.numbers("validation"))


def test_slices_equal_the_patient_s_case() -> None:
    cohort = Cohort("abdomen", 8, shape=(48, 64), slices_per_patient=3, seed=4)
    slices = cohort.slices("validation")
    patient = cohort.patient(7)
    assert len(slices) == 3 and slices.patient_ids == ["abdomen-0007"] * 3
    for k in range(3):
        hu, labels, name = slices[k]
        assert hu.shape == (1, 48, 64) and hu.dtype == torch.float32
        assert labels.shape == (48, 64) and labels.dtype == torch.int64
        assert name == f"abdomen-0007-s0{k}"
        assert torch.equal(hu[0], patient.case.hu[k])
        assert patient.case.labels is not None and torch.equal(labels, patient.case.labels[k].long())


def test_the_cache_gives_copies_and_the_same_values_as_none() -> None:
    cohort = Cohort("abdomen", {"test": 1}, shape=(32, 32), slices_per_patient=2)
    kept, fresh = cohort.slices("test").fill(), cohort.slices("test", cache=False)
    kept[0][0].zero_()  # a user's in-place step must not reach the cache
    assert torch.equal(kept[0][0], fresh[0][0])
    assert torch.equal(kept[-1][0], fresh[1][0])
    assert kept.memory_bytes == 2 * 32 * 32 * 5


def test_slices_feed_a_data_loader() -> None:
    hu, labels, names = next(
        iter(DataLoader(Cohort("abdomen", {"train": 2}, shape=(32, 32), slices_per_patient=2).slices("train"), 4))
    )
    assert hu.shape == (4, 1, 32, 32) and labels.shape == (4, 32, 32) and len(set(names)) == 4


def test_impossible_cohorts_are_refused_with_advice() -> None:
    with pytest.raises(InputError, match="unknown part of a cohort 'tets'; did you mean 'test'"):
        Cohort("abdomen", 10).numbers("tets")
    with pytest.raises(InputError, match="unknown part of a cohort 'val'"):
        Cohort("abdomen", {"val": 3})
    with pytest.raises(InputError, match="patients as a number >= 1"):
        Cohort("abdomen", 0)
    with pytest.raises(InputError, match=r"use cohort\.patient"):
        Cohort("abdomen", 10, shape=(8, 64, 64)).slices("train")
    with pytest.raises(ResourceError, match=r"cache of .* GiB.*cache=False"):
        Cohort("abdomen", 100_000, shape=(512, 512)).slices("train")


def test_a_site_that_does_not_exist_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InputError, match="unknown site 'abdomne'; did you mean 'abdomen'"):
        Cohort("abdomne", 3)
    with pytest.raises(InputError, match="a site first"):
        Cohort({"train": 3})  # type: ignore[arg-type]


def test_the_bytes_of_abdominal_patients_are_those_of_the_first_cohort() -> None:
    digest = hashlib.sha256()
    for number in (1, 12):
        patient = make_patient(3, number, shape=(6, 64, 96), spacing_mm=(7.0, 5.5, 5.5), organs=True)
        assert patient.organs is not None and patient.case.labels is not None
        for part in (patient.case.labels, patient.organs):
            digest.update(part.numpy().tobytes())
    assert digest.hexdigest() == "2190d9c802509d0f35df174834666b4a7e9772e323dc6d66af40d2075fc6aa55"
