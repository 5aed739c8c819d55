"""The cohort as parts and slices."""

from __future__ import annotations

import hashlib

import pytest
import torch

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


@pytest.mark.parametrize("in_memory", [True, False])
def test_images_equal_the_patient_s_case(in_memory: bool) -> None:
    cohort = Cohort("abdomen", 8, shape=(48, 64), slices_per_patient=3, seed=4)
    images = cohort.images("validation", in_memory=in_memory, progress=False)
    case = cohort.patient(7).case
    assert len(images) == 3 and images.patient_ids == ("abdomen-0007",) * 3 == cohort.patient_ids("validation") * 3
    assert images.spacing_mm == cohort.pixel_mm and images.label_names == case.label_names
    for k, sample in enumerate(images):
        assert sample.id == f"abdomen-0007-s0{k}" and sample.labels is not None and case.labels is not None
        assert torch.equal(sample.mu, case.mu[k]) and torch.equal(sample.labels, case.labels[k])


def test_a_cohort_of_volumes_gives_volumes() -> None:
    cohort = Cohort("abdomen", {"test": 2}, shape=(4, 32, 32), spacing_mm=(5.0, 12.0, 12.0))
    images = cohort.images("test", in_memory=False)
    assert images.shape == (4, 32, 32) and images.ids == ("abdomen-0008", "abdomen-0009")
    assert torch.equal(images[1].mu, cohort.patient(9).case.mu_volume[0])


def test_impossible_cohorts_are_refused_with_advice() -> None:
    with pytest.raises(InputError, match="unknown part of a cohort 'tets'; did you mean 'test'"):
        Cohort("abdomen", 10).numbers("tets")
    with pytest.raises(InputError, match="unknown part of a cohort 'val'"):
        Cohort("abdomen", {"val": 3})
    with pytest.raises(InputError, match="patients as a number >= 1"):
        Cohort("abdomen", 0)
    with pytest.raises(InputError, match="no patient in 'test'"):
        Cohort("abdomen", {"train": 1}).images("test")
    with pytest.raises(ResourceError, match=r"images of .* GiB.*in_memory=False"):
        Cohort("abdomen", 100_000, shape=(512, 512)).images("train")


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


@pytest.mark.parametrize("wanted", [{"patients": 10**12}, {"patients": {"train": 10**9}}, {"slices_per_patient": 10**9}])
def test_a_cohort_of_absurd_size_is_refused_before_it_is_counted(wanted):
    with pytest.raises(InputError, match="Cohort expects"):
        Cohort("abdomen", **{"patients": 3} | wanted)
