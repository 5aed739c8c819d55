"""A CT in the viewer: its own values, and the images that an evaluation makes of it."""

from __future__ import annotations

import pytest
import torch
from lopsided_phantom import BEAM, lopsided

from taskct.core.errors import InputError
from taskct.evaluation import DoseLevel, evaluate
from taskct.geometry.presets import clinical_cone
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon import fbp
from taskct.viewer.ct_study import CtStudy, Simulation, beside_one_another
from taskct.viewer.picture_layers import Layers


def test_a_slice_of_a_ct_has_its_own_values(ct_layers: Layers):
    assert torch.equal(ct_layers.study.image(0, 0, 3), lopsided().hu[3])


def test_images_and_scores_are_those_of_an_evaluation_with_the_same_seed(ct_layers: Layers):
    case, study = lopsided(), ct_layers.study
    dose = Dose(1e5, fraction=0.1)
    table = evaluate({"fbp": fbp}, [case], Projector(case.slice_grid, BEAM), dose, slices=[2], keep=1, progress=False)
    theirs = table.images[0].recon_hu["fbp", DoseLevel(0.1, 1e5)]
    assert study.facts.doses[1] == DoseLevel(0.1, 1e5)  # sorted from full dose down
    torch.testing.assert_close(study.image(1, 1, 2), theirs, atol=1e-3, rtol=0)
    score = next(s for s in study.scores(1, 1, 2) if s.label == "RMSE")
    row = next(r for r in table.rows if r.metric == "rmse_hu" and r.dose == DoseLevel(0.1, 1e5) and r.region == "all")
    assert score.value == pytest.approx(row.value, rel=1e-4)


def test_noise_goes_by_the_number_of_the_slice_in_the_ct_not_in_the_part_that_was_opened(ct_layers: Layers):
    doses = tuple(Dose(1e5, fraction=f) for f in (1.0, 0.1, 0.01))
    part = CtStudy(lopsided().take(slice(2, 4)), Simulation(methods={"fbp": fbp}, doses=doses, beam=BEAM), numbers=[2, 3])
    torch.testing.assert_close(part.image(1, 2, 0), ct_layers.study.image(1, 2, 2), atol=1e-3, rtol=0)
    assert part.facts.planes == ("slice 2", "slice 3")


def test_ct_on_the_same_samples_stand_beside_one_another_and_others_do_not():
    one, other = lopsided("one"), lopsided("other")
    groups = beside_one_another([one, lopsided("longer", planes=5), other])
    assert [[case.case_id for case in group] for group in groups] == [["one", "other"], ["longer"]]
    study = CtStudy(one, Simulation(beam=BEAM), beside=[other.with_hu(other.hu + 10)])
    assert study.facts.methods == ("one", "other") and not study.facts.computed
    assert {s.label: round(s.value, 3) for s in study.scores(1, 0, 1)}["RMSE"] == 10


def test_a_beam_of_several_rows_is_refused():
    with pytest.raises(InputError, match="slice by slice"):
        Simulation(methods={"fbp": fbp}, beam=clinical_cone())


def test_an_image_that_is_not_there_is_refused(ct_layers: Layers):
    for place in ((2, 0, 0), (1, 3, 0), (1, -1, 0), (0, 0, 4), (-1, 0, 0)):
        with pytest.raises(InputError, match="has no image"):
            ct_layers.study.image(*place)
