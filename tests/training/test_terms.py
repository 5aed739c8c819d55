"""Terms judge the images that are labelled for them, and say so where there are none."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_training import make_task
from torch import nn

from taskct.core.errors import ConfigError, InputError
from taskct.data.images import ImageSet
from taskct.task import DiceCE
from taskct.training import (
    AnswerPenalty,
    Batch,
    FeaturePenalty,
    ImageError,
    JointPenalty,
    LabelPenalty,
    MeanOf,
    Objective,
    ShakenPenalty,
    TeacherPenalty,
)

HALF = torch.tensor([True, False, True, False])
NONE = torch.zeros(4, dtype=torch.bool)


@pytest.fixture
def batch(images: ImageSet) -> Batch:
    noise = 0.002 * torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(2))
    noise *= torch.tensor([0.0, 5.0, 1.0, 8.0]).reshape(4, 1, 1, 1)  # so that any two images tell two values
    assert images.labels is not None
    return Batch(mu=images.mu[:4], labels=images.labels[:4], ids=images.ids[:4], mu_hat=images.mu[:4] + noise)


def part(batch: Batch) -> Batch:
    rows = HALF.nonzero().flatten()
    assert batch.labels is not None
    return Batch(
        mu=batch.mu[rows], labels=batch.labels[rows], ids=tuple(batch.ids[i] for i in rows.tolist()), mu_hat=batch.image[rows]
    )


def reader() -> nn.Module:
    torch.manual_seed(1)
    return nn.Conv2d(1, 3, 3, padding=1)


@pytest.mark.parametrize(
    "term",
    [
        lambda: LabelPenalty(make_task()),
        lambda: JointPenalty(reader(), make_task().prepare, DiceCE()),
        lambda: MeanOf(LabelPenalty(make_task()), LabelPenalty(make_task(6))),
        lambda: ShakenPenalty(make_task()),
    ],
)
def test_a_term_with_labels_judges_the_labelled_images_only(term, batch: Batch) -> None:  # type: ignore[no-untyped-def]
    made = term()
    alone = made(part(batch))
    assert torch.allclose(made(replace(batch, labelled={"labels": HALF})), alone, rtol=1e-6)
    assert not torch.allclose(made(batch), alone, rtol=1e-4)
    assert made(replace(batch, labelled={"labels": NONE})) is None


def test_an_answer_is_judged_by_the_target_of_its_task_in_float32(batch: Batch) -> None:
    term = AnswerPenalty(nn.MSELoss(), task="grade")
    answers, truth = torch.tensor([[1.0], [2.0], [3.0], [4.0]]), torch.zeros(4, 1)
    full = replace(batch, answers={"grade": answers.half()}, targets={"grade": truth})
    assert term(full).dtype == torch.float32 and float(term(full)) == pytest.approx(30 / 4)  # type: ignore[union-attr, arg-type]
    assert float(term(replace(full, labelled={"grade": HALF}))) == pytest.approx(10 / 2)  # type: ignore[arg-type]
    assert term(replace(full, labelled={"grade": NONE})) is None
    assert term.count(replace(full, labelled={"grade": HALF})) == 2
    with pytest.raises(ConfigError, match="no network of this training answers task 'grade'; answered: liver"):
        term(replace(full, answers={"liver": answers}))


def test_a_frozen_task_may_have_another_target_than_the_label_maps(batch: Batch) -> None:
    class Count(nn.Module):
        def forward(self, prediction: torch.Tensor, target: list[int]) -> torch.Tensor:
            return prediction.mean() * 0 + float(sum(target))

    term = LabelPenalty(make_task(), penalty=Count(), target="lesions")
    counted = replace(batch, targets={"lesions": [1, 2, 3, 4]}, labelled={"lesions": HALF})
    assert float(term(counted)) == 4.0  # type: ignore[arg-type]


def test_an_objective_leaves_out_what_nobody_labelled(batch: Batch) -> None:
    objective = Objective({"image": (1.0, ImageError()), "label": (0.5, LabelPenalty(make_task()))})
    bare = replace(batch, labelled={"labels": NONE})
    total, parts = objective(bare)
    assert list(parts) == ["image"] and float(total) == float(ImageError()(batch))
    assert objective.measure(bare, final_step=1).keys() == {"image", "total"}
    only = Objective({"label": (0.5, LabelPenalty(make_task()))})
    assert only(bare)[1] == {} and float(only(bare)[0]) == 0 and only.measure(bare, final_step=1) == {}


@pytest.mark.parametrize("term", [LabelPenalty, TeacherPenalty, FeaturePenalty])
def test_a_bare_network_is_no_task_and_the_message_says_how_it_becomes_one(term: type) -> None:
    with pytest.raises(
        InputError, match=rf"{term.__name__} expects a FrozenTask, got Conv2d; wrap .*FrozenTask\(freeze\(net\)"
    ):
        term(reader())
