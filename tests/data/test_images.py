"""What every image set promises, whichever way its images are kept."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from image_sets import COHORT, KINDS, in_memory
from torch.utils.data import ConcatDataset, DataLoader

from taskct.core.errors import GeometryError, InputError, UnitsError
from taskct.data.case import Case
from taskct.data.images import ImageSet
from taskct.data.samples import ImageBatch, Sample


@pytest.fixture(params=KINDS)
def images(request: pytest.FixtureRequest, tmp_path: Path) -> ImageSet:
    return KINDS[request.param](tmp_path)


def same(one: Sample, other: Sample) -> bool:
    known = [(one.labels, other.labels)] if one.labels is not None else [(one.mu, other.mu)]
    return (
        torch.equal(one.mu, other.mu)
        and all(b is not None and torch.equal(a, b) for a, b in known)
        and (one.labels is None) == (other.labels is None)
        and (one.patient_id, one.id) == (other.patient_id, other.id)
        and repr(one.targets) == repr(other.targets)
    )


def test_samples_batches_and_names_agree(images: ImageSet) -> None:
    samples = list(images)
    assert len(samples) == len(images) > 1
    assert [s.id for s in samples] == list(images.ids) and [s.patient_id for s in samples] == list(images.patient_ids)
    order = [len(images) - 1, 0, 1]
    batch = images.take(torch.tensor(order))
    assert batch.mu.shape == (3, 1, *images.shape) and batch.mu.dtype == torch.float32 and len(batch) == 3
    for k, number in enumerate(order):
        assert torch.equal(batch.mu[k], samples[number].mu) and batch.ids[k] == samples[number].id
        known = bool(batch.labelled["labels"][k])
        assert known == (samples[number].labels is not None)
        assert batch.labels is not None or not known
        assert batch.labels is None or torch.equal(
            batch.labels[k], samples[number].labels if known else torch.zeros_like(batch.labels[k])
        )
    together = [image for part in images.batches(2) for image in part.mu]
    assert torch.equal(torch.stack(together), torch.stack([s.mu for s in samples]))


def test_what_is_given_may_be_written_to_without_changing_the_set(images: ImageSet) -> None:
    before = images[0].mu.clone()
    images[0].mu.zero_()
    images.take([0]).mu.zero_()
    assert torch.equal(images[0].mu, before)


def test_a_set_in_memory_and_one_that_is_streamed_have_the_same_fingerprint(images: ImageSet) -> None:
    copy = images.to_memory()
    assert copy.in_memory and copy.fingerprint == images.fingerprint
    assert copy.label_values() == images.label_values() and copy.target_names == images.target_names
    assert all(same(a, b) for a, b in zip(copy, images, strict=True))
    assert images[1:].fingerprint != images.fingerprint


def equal(one: ImageBatch, other: ImageBatch) -> bool:
    maps = (one.labels, other.labels)
    return (
        one.ids == other.ids
        and torch.equal(one.mu, other.mu)
        and (maps == (None, None) or (maps[0] is not None and maps[1] is not None and torch.equal(maps[0], maps[1])))
        and repr(one.targets) == repr(other.targets)
        and repr(one.labelled["labels"]) == repr(other.labelled["labels"])
    )


def test_forked_workers_of_a_loader_give_the_same_batches_in_the_same_order(images: ImageSet) -> None:
    here = list(images.batches(2))  # files are open, caches are filled
    there = list(images.loader(2, workers=2, multiprocessing_context="fork"))
    assert all(equal(a, b) for a, b in zip(here, there, strict=True))
    assert all(equal(a, b) for a, b in zip(here, images.batches(2), strict=True))  # and here it is as good as before


def test_a_spawned_worker_gives_the_same_samples_of_every_kind_of_set(tmp_path: Path) -> None:
    sets = [make(tmp_path / name) for name, make in KINDS.items()]
    here = [ImageBatch.of([sample]) for images in sets for sample in images]
    loader = DataLoader(ConcatDataset(sets), 1, num_workers=1, multiprocessing_context="spawn", collate_fn=ImageBatch.of)
    assert all(equal(a, b) for a, b in zip(here, loader, strict=True))


def test_a_set_survives_pickle(images: ImageSet) -> None:
    images.take([0])
    other = pickle.loads(pickle.dumps(images))
    assert all(same(a, b) for a, b in zip(images, other, strict=True))
    assert other.spacing_mm == images.spacing_mm and other.label_names == images.label_names
    assert other.fingerprint == images.fingerprint


def test_a_subset_keeps_names_and_facts(images: ImageSet) -> None:
    part = images[[1, 0]]
    assert part.ids == (images.ids[1], images.ids[0]) and part.label_names == images.label_names
    assert same(part[0], images[1]) and same(part[1], images[0])
    assert same(part[1:][0], images[0])
    assert part.slice_hashes() == [images.slice_hashes()[1], images.slice_hashes()[0]]


def test_a_split_shares_no_patient_and_loses_no_image(images: ImageSet) -> None:
    train, validation, test = images.split(fractions=(0.5, 0.5, 0.0), seed=1)
    assert train is not None and validation is not None and test is None
    assert not set(train.patient_ids) & set(validation.patient_ids)
    assert sorted(train.ids + validation.ids) == sorted(images.ids)
    again = images.split(fractions=(0.5, 0.5, 0.0), seed=1)
    assert again[0] is not None and again[0].ids == train.ids


def test_neighbours_are_slices_of_the_same_scan(images: ImageSet) -> None:
    beside = images.beside(range(len(images)), 2)
    assert beside.shape == (len(images), 5) and beside[:, 2].tolist() == list(range(len(images)))
    for row in beside.tolist():
        assert {images.case_ids[i] for i in row} == {images.case_ids[row[2]]} and row == sorted(row)
    batch = images.take([1, 0, 1], neighbours=1)
    assert batch.stack is not None and batch.stack.shape == (3, 3, *images.shape)
    for row, stack, mu in zip(images.beside([1, 0, 1], 1).tolist(), batch.stack, batch.mu, strict=True):
        assert all(torch.equal(stack[c], images[i].mu[0]) for c, i in enumerate(row)) and torch.equal(stack[1:2], mu)
    alone = images.take([1, 0, 1])
    assert equal(batch, alone) and torch.equal(batch.mu, alone.mu)


def test_numbers_that_no_image_has_are_refused(images: ImageSet) -> None:
    for ask in (lambda: images[len(images)], lambda: images.take([-1]), lambda: images[[len(images)]]):
        with pytest.raises(IndexError, match=f"{len(images)} images has none of number"):
            ask()
    with pytest.raises(InputError, match="at least one image"):
        images[:0]
    with pytest.raises(InputError, match="no patient 'nobody'"):
        images.of_patients(["nobody"])


def test_what_is_not_known_is_said_per_image_and_differs_from_nothing() -> None:
    images = in_memory(Path())
    batch = images.take(range(7))
    assert batch.labelled["labels"].tolist() == [True, True, True, True, False, True, True]
    assert batch.targets["age"].tolist() == [61, 61, 61, 62, 62, 0, 0]
    assert batch.labelled["age"].tolist() == [True] * 5 + [False] * 2
    assert [None if b is None else len(b) for b in batch.targets["boxes"]] == [0, 1, 2, 3, 4, None, None]
    assert batch.labelled["boxes"].tolist() == [True] * 5 + [False] * 2
    assert images[4].labels is None and images[5].targets["age"] is None
    assert images.label_values() == (0, 1)


def test_users_loaders_collate_samples_of_complete_sets_themselves() -> None:
    mu, labels, patients, ids, _ = next(iter(DataLoader(COHORT.images("train", progress=False), 4)))
    assert mu.shape == (4, 1, 24, 32) and labels.shape == (4, 24, 32) and len(set(ids)) == 4 and patients[0] == patients[1]
    batch = next(iter(DataLoader(in_memory(Path()), 4, collate_fn=ImageBatch.of)))
    assert batch.ids == ("s0", "s1", "s2", "s3")


def test_cases_become_their_slices_named_by_scan_and_number() -> None:
    case = Case(torch.zeros(4, 8, 8), (5.0, 1.0, 1.0), "scan", labels=torch.ones(4, 8, 8).int(), patient_id="p")
    other = Case(torch.zeros(2, 8, 8), (3.0, 1.0, 1.0), "bare", patient_id="q")
    images = ImageSet.from_cases([case], slices=slice(1, None, 2))
    assert (
        images.ids == ("scan-s001", "scan-s003") and images.patient_ids == ("p", "p") and images.case_ids == ("scan", "scan")
    )
    with pytest.raises(InputError, match="bare: has no labels, other cases do"):
        ImageSet.from_cases([case, other])
    both = ImageSet.from_cases([case, other], partly_labelled=True)
    assert both.take([3, 4]).labelled["labels"].tolist() == [True, False]
    named = [Case(case.hu, case.spacing_mm, n, labels=case.labels, label_names={1: n}) for n in ("liver", "lung")]
    with pytest.raises(InputError, match="labels mean the same"):
        ImageSet.from_cases(named)


BAD: dict[str, tuple[Callable[[torch.Tensor], ImageSet], type[Exception], str]] = {
    "other grid": (
        lambda mu: ImageSet(mu, "ab", torch.zeros(2, 4, 4).int()),
        GeometryError,
        r"labels on the grid of its images",
    ),
    "maps of two shapes": (
        lambda mu: ImageSet(mu, "ab", [torch.zeros(8, 8).int(), torch.zeros(4, 4).int()]),
        GeometryError,
        "a label map of .* or None",
    ),
    "HU": (lambda mu: ImageSet(mu - 1000, "ab"), UnitsError, "image-0: .*look like HU"),
    "NaN": (lambda mu: ImageSet(mu * float("nan"), "ab"), UnitsError, "image-0: .*NaN"),
    "names": (lambda mu: ImageSet(mu, "a"), InputError, "patient_ids for each of the 2 images, got 1"),
    "scans": (lambda mu: ImageSet(mu, "ab", case_ids="a"), InputError, "case_ids for each of the 2 images, got 1"),
    "targets": (lambda mu: ImageSet(mu, "ab", targets={"age": [1]}), InputError, "target 'age' for each of the 2"),
    "fractions": (lambda mu: ImageSet(mu, "ab", torch.zeros(2, 8, 8)), InputError, "whole numbers"),
    "spacing": (lambda mu: ImageSet(mu, "ab", spacing_mm=(1.0,)), GeometryError, "one spacing per axis"),
    "none": (lambda mu: ImageSet(mu[:0], ()), InputError, "at least one image"),
    "shape": (lambda mu: ImageSet(mu[:, 0], "ab"), GeometryError, r"float32 \(N, 1, Y, X\)"),
}


@pytest.mark.parametrize("bad", BAD)
def test_images_that_do_not_fit_together_are_refused(bad: str) -> None:
    make, error, message = BAD[bad]
    with pytest.raises(error, match=message):
        make(torch.full((2, 1, 8, 8), 0.02))


def test_all_images_at_once_are_only_to_be_had_of_a_set_in_memory() -> None:
    with pytest.raises(InputError, match=r"streamed.*take\(numbers\)"):
        COHORT.images("train", in_memory=False).mu  # noqa: B018
