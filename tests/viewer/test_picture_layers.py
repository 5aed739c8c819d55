"""What can be drawn of a study: images, labels, readers' marks and probabilities, scores."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from lopsided_phantom import BEAM, lopsided
from torch import nn

from taskct.core.errors import InputError
from taskct.recon import fbp
from taskct.task import FrozenTask, HuWindow
from taskct.task.frozen import freeze
from taskct.viewer.ct_study import CtStudy, Simulation
from taskct.viewer.picture_layers import Layers


class BrightIsLiver(nn.Module):
    """Says tumour with probability .8 where the image is above 250 HU, else liver with .6."""

    def forward(self, mu: torch.Tensor) -> torch.Tensor:
        bright = (mu > 0.01929 * 1.25).float()
        shares = torch.cat([0.1 + 0 * bright, 0.1 + 0.7 * bright, 0.8 - 0.7 * bright], dim=1)  # background, tumour, liver
        return shares.log()


@pytest.fixture
def read() -> Layers:
    reader = FrozenTask(
        freeze(BrightIsLiver()), nn.Identity(), lambda a, b: a.mean(), "bright", classes=("background", "tumour", "liver")
    )
    return Layers(CtStudy(lopsided(), Simulation(beam=BEAM)), {"bright": reader})


def _plane(layers: Layers, *what: object, **more: object) -> np.ndarray:
    dtype, shape, data = layers.plane(*what, **more)  # type: ignore[arg-type]
    return np.frombuffer(data, dtype).reshape(shape)


def test_images_come_with_the_values_of_the_ct(read: Layers):
    assert np.array_equal(_plane(read, "hu", 0, 0, 3), lopsided().hu[3].numpy())


def test_a_readers_marks_lie_where_it_saw_them_under_the_numbers_of_the_labels(read: Layers):
    labels, marks = _plane(read, "labels", 0, 0, 2), _plane(read, "marks", 0, 0, 2, reader="bright")
    assert read.classes == ("liver", "tumour")
    assert labels[20, 30] == 2 and labels[5, 30] == 1 and labels[0, 0] == 0
    bright = lopsided().hu[2].numpy() > 250
    assert bright[7, 9] and np.array_equal(marks, np.where(bright, 2, 1))


def test_probabilities_are_those_of_the_class_that_was_asked_for(read: Layers):
    tumour = _plane(read, "probability", 0, 0, 1, reader="bright", of_class=1)
    liver = _plane(read, "probability", 0, 0, 1, reader="bright", of_class=0)
    assert tumour[7, 9] == round(0.8 * 255) and tumour[25, 30] == round(0.1 * 255)
    assert liver[7, 9] == round(0.1 * 255) and liver[25, 30] == round(0.8 * 255)


def test_scores_have_the_dice_of_each_class_that_the_plane_holds(read: Layers):
    scores = {s["label"]: s["value"] for s in read.scores(0, 0, 1, reader="bright")}
    labels, marks = _plane(read, "labels", 0, 0, 1), _plane(read, "marks", 0, 0, 1, reader="bright")
    both = ((labels == 1) & (marks == 1)).sum()
    assert scores == {"Dice, liver": pytest.approx(2 * both / ((labels == 1).sum() + (marks == 1).sum()))}
    assert read.describe()["readers"] == [{"name": "bright", "probability": True, "classes": [0, 1]}]
    assert "Dice, tumour" in {s["label"] for s in read.scores(0, 0, 2, reader="bright")}


def test_a_reader_gets_no_dice_of_classes_that_it_does_not_know(read: Layers):
    case = lopsided()
    more = replace(case, labels=case.labels.clamp_max(1) + 4, label_names={4: "spleen", 5: "liver"})
    layers = Layers(CtStudy(more, Simulation(beam=BEAM)), {"bright": read._readers["bright"]})
    assert layers.classes == ("spleen", "liver", "tumour")
    assert [s["label"] for s in layers.scores(0, 0, 1, reader="bright")] == ["Dice, liver"]


def test_what_a_study_does_not_have_is_refused_in_words(read: Layers):
    for what, words in (
        (("paint", 0, 0, 0), "unknown kind of plane"),
        (("hu", 5, 0, 0), "has no image"),
        (("marks", 0, 0, 0), "no reader has no marks"),
    ):
        with pytest.raises(InputError, match=words):
            read.plane(*what)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="class 9 is none"):
        read.plane("probability", 0, 0, 0, reader="bright", of_class=9)
    nameless = FrozenTask(freeze(BrightIsLiver()), nn.Identity(), lambda a, b: a.mean(), "nameless")
    with pytest.raises(InputError, match="does not name its classes"):
        Layers(read.study, {"nameless": nameless})


def test_an_image_is_computed_once(monkeypatch: pytest.MonkeyPatch):
    from taskct.physics.dose import Dose

    calls: list[int] = []
    study = CtStudy(
        lopsided(),
        Simulation(methods={"fbp": lambda p, A: calls.append(1) or fbp(p, A)}, doses=(Dose(1e5),), beam=BEAM),
    )
    layers = Layers(study)
    for _ in range(3):
        layers.plane("hu", 1, 0, 2)
        layers.plane("noise", 1, 0, 2)
        layers.scores(1, 0, 2)
    assert len(calls) == 1


def test_labels_without_a_name_are_outlined_beside_those_that_have_one() -> None:
    case = replace(lopsided(), label_names={1: "liver"})
    layers = Layers(CtStudy(case, Simulation(beam=BEAM)))
    assert layers.classes == ("liver", "label 2")
    assert np.array_equal(layers.labels_of(2).numpy() == 2, case.labels[2].numpy() == 2)


def test_scores_without_bounds_are_left_out_of_the_page_as_json_has_no_word_for_them() -> None:
    twins = Layers(CtStudy(lopsided(), Simulation(beam=BEAM), beside=[lopsided("twin")]))
    found = {one["label"]: one["value"] for one in twins.scores(1, 0, 1)}
    assert found["RMSE"] == 0
    json.dumps(twins.scores(1, 0, 1), allow_nan=False)


class BrightInWindow(nn.Module):
    """The same of what a window shows from 0 to 400 HU: tumour above 280 HU."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = (x > 0.7).float()
        return torch.cat([0.1 + 0 * bright, 0.1 + 0.7 * bright, 0.8 - 0.7 * bright], dim=1).log()


def test_a_reader_sees_the_hu_of_the_page_whatever_water_is_in_the_ct():
    classes = ("background", "tumour", "liver")
    reader = FrozenTask(freeze(BrightInWindow()), HuWindow(200, 400), lambda a, b: a.mean(), "r", classes=classes)
    study = lambda water: CtStudy(replace(lopsided(), mu_water_per_mm=water), Simulation(beam=BEAM))
    said = [_plane(Layers(study(water), {"r": reader}), "marks", 0, 0, 1, reader="r") for water in (0.01929, 0.02)]
    bright = lopsided().hu[1].numpy() > 280
    assert bright.any() and all(np.array_equal(marks, np.where(bright, 2, 1)) for marks in said)
