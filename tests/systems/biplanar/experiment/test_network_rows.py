"""The rows that are networks, and what they are trained for."""

from __future__ import annotations

import pytest

from taskct.recon.learned import BIPLANAR, make_model
from taskct.systems.biplanar.experiment.network_rows import OBJECTIVES, ROWS


@pytest.mark.parametrize("name", ROWS)
def test_every_row_names_a_preset_and_an_objective_and_can_be_built(name: str) -> None:
    row = ROWS[name]
    assert row.preset in BIPLANAR and row.objective in OBJECTIVES
    model = make_model(row.config((16, 16, 16), views=2))
    assert model.prior is not None and model.views == 2


def test_the_published_objective_has_the_published_weights_and_a_conditional_discriminator() -> None:
    objective, others = OBJECTIVES["published"](None)
    assert objective.weights == {"image": 10.0, "projections": 10.0, "fool": 0.1}
    (player,) = others
    first = player.model.blocks[0]
    assert first.in_channels == 3 and first.kernel_size == (4, 4, 4)  # the volume and both radiographs
    assert player.descent is not None and player.descent.lr == 2e-4 and player.descent.betas == (0.5, 0.99)


def test_the_adversary_can_be_taken_from_the_published_loss_and_added_to_ours() -> None:
    objective, others = OBJECTIVES["published, no adversary"](None)
    assert objective.weights == {"image": 10.0, "projections": 10.0} and others == []
    objective, others = OBJECTIVES["adversary"](None)
    assert objective.weights == {"image": 1.0, "fool": 0.1} and len(others) == 1
    published, own = (ROWS[row].config((16, 16, 16), views=2) for row in ("psct-small-no-adversary", "unrolled-adversary"))
    assert not published["centred"] and own["centred"] and own["agree"] == "unrolled"
