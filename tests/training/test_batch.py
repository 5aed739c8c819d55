"""What a batch says of several tasks, and who of its images is labelled for which."""

from __future__ import annotations

from collections import namedtuple

import pytest
import torch

from taskct.core.errors import InputError
from taskct.data.samples import LABELS
from taskct.training import Batch

Boxes = namedtuple("Boxes", ["centres", "names"])


def batch_of(**more):  # type: ignore[no-untyped-def]
    mu = torch.arange(3.0).reshape(3, 1, 1, 1).expand(3, 1, 2, 2)
    return Batch(mu=mu, ids=("a", "b", "c"), labels=torch.arange(3).reshape(3, 1, 1).expand(3, 2, 2).to(torch.uint8), **more)


def test_the_rows_of_labelled_images_are_taken_from_tensors_lists_tables_and_tuples() -> None:
    batch = batch_of(targets={"boxes": [[], [1, 2], [3]]}, labelled={"boxes": torch.tensor([True, False, True])})
    assert batch.count("boxes") == 2 and batch.rows("boxes", batch.target("boxes")) == [[], [3]]
    answer = {"heat": torch.arange(3.0), "pair": Boxes(torch.arange(6.0).reshape(3, 2), ["x", "y", "z"])}
    taken = batch.rows("boxes", answer)
    assert taken["heat"].tolist() == [0.0, 2.0] and taken["pair"].names == ["x", "z"]
    assert taken["pair"].centres.tolist() == [[0.0, 1.0], [4.0, 5.0]]


def test_a_task_without_a_target_of_its_own_has_the_label_maps_and_their_mask() -> None:
    batch = batch_of(labelled={LABELS: torch.tensor([False, True, False])}, targets={"grade": torch.tensor([1, 2, 3])})
    assert batch.count("liver") == 1 and batch.rows("liver", batch.target("liver")).unique().tolist() == [1]
    assert batch.target("liver").dtype == torch.int64
    assert batch.count("grade") == 3  # known of all images: labels that are missing are of another task
    assert batch.rows("grade", batch.target("grade")) is batch.targets["grade"]  # nothing is copied where all are labelled


def test_what_a_player_hands_on_carries_no_gradient() -> None:
    weight = torch.ones((), requires_grad=True)
    batch = batch_of().with_image(batch_of().mu * weight).with_answers({"a": {"x": [weight * 1]}, "b": Boxes(weight * 2, "n")})
    handed = batch.detached()
    assert not handed.image.requires_grad and not handed.answers["a"]["x"][0].requires_grad
    assert not handed.answers["b"].centres.requires_grad and handed.answers["b"].names == "n"
    assert batch.image.requires_grad and handed.with_answers({"c": 1}).answers.keys() == {"a", "b", "c"}


def test_a_task_of_images_without_any_labels_is_told_so() -> None:
    with pytest.raises(InputError, match="needs labels"):
        Batch(mu=torch.zeros(1, 1, 2, 2), ids=("a",)).target("liver")
