"""The chest cavity holds every lesion of the lungs, however much fluid, and neither breast nor table."""

from __future__ import annotations

import pytest
import torch

from taskct.data.chest_cavity import chest_cavity
from taskct.data.lungs import find_lungs
from taskct.phantoms.chest import ChestSettings
from taskct.phantoms.patient import make_patient


@pytest.mark.parametrize("number", [0, 4])  # 4 has fluid behind both lungs
def test_all_lesions_of_a_chest_lie_in_its_cavity_and_the_skin_does_not(number: int) -> None:
    sick = ChestSettings(effusion_share=1.0, infection_share=1.0, nodule_share=1.0)
    case = make_patient(3, number, site="chest", shape=(93, 176, 224), spacing_mm=(2.0, 2.0, 2.0), settings=sick).case
    lungs = find_lungs(case)
    cavity = chest_cavity(case, lungs)
    assert case.marks is not None
    marked = case.marks.instances.reshape(case.hu.shape) > 0
    assert bool(marked.any()) and float(cavity[marked].float().mean()) > 0.999
    assert bool(cavity[lungs.mask > 0].all())
    body = case.hu > -400
    first = torch.where(body.any(1), body.float().argmax(1), 0)  # the front of the body in each column
    z, x = body.any(1).nonzero(as_tuple=True)
    assert not bool(cavity[z, first[z, x], x].any())
    assert 0.5 < float((cavity & body).sum()) / float(body.sum()) < 0.9 or float(cavity.float().mean()) < 0.5
