"""The share of the recoverable gap: one reader in gain and gap."""

from __future__ import annotations

import numpy as np
import pytest

from taskct.core.errors import InputError
from taskct.evaluation.reading import share_recovered
from taskct.evaluation.reading.recovery import RETRAINED_OF, retrained_readers
from taskct.evaluation.rows import DoseLevel, Row
from taskct.evaluation.table import Table

DOSE = DoseLevel(0.25, 6e4)
READERS = {"S0": "training", "S1": "unseen", "S2": "unseen", "retrained": "retrained", "retrained S1": "retrained"}
START = {"S0": 0.30, "S1": 0.20, "S2": 0.10}
GAIN = {"S0": 0.10, "S1": 0.04, "S2": 0.20}  # of the method: S2, which nobody retrained, gains most
BOUND = {"retrained": 0.40, "retrained S1": 0.40}


def table(*, noise: float = 0.002, notes: dict[str, str] | None = None) -> Table:
    draws = np.random.default_rng(0)
    rows = []
    for n in range(20):
        own = draws.normal(0, 0.05)
        for method in ("plain", "task"):
            values = {r: START[r] + (GAIN[r] if method == "task" else 0) for r in START} | BOUND
            for reader, mean in values.items():
                value = mean + own + draws.normal(0, noise)
                rows.append(Row(method, f"c{n}", f"p{n}", None, *DOSE, "dice", "tumour", value, reader))
    noted = {"retrained": "S0", "retrained S1": "S1"} if notes is None else notes
    return Table(rows, notes={RETRAINED_OF: noted}, readers=READERS)


def test_gain_and_gap_are_those_of_one_reader_and_an_unseen_one_goes_before_that_of_the_loss() -> None:
    share = share_recovered(table(), "dice", "task", "plain", dose=DOSE, region="tumour")
    assert share.mean == pytest.approx(0.04 / 0.20, abs=0.02) and share.low < share.mean < share.high  # S1 alone, start to 0.4
    of_loss = share_recovered(table(notes={"retrained": "S0"}), "dice", "task", "plain", dose=DOSE, region="tumour")
    assert of_loss.mean == pytest.approx(0.10 / 0.10, abs=0.05)  # the reader of the loss, where no other was retrained
    assert retrained_readers(table()) == {"S1": "retrained S1"}


def test_of_several_readers_gains_and_gaps_are_averaged_over_the_same_ones() -> None:
    both = {"S0": "retrained", "S1": "retrained S1"}
    share = share_recovered(table(), "dice", "task", "plain", dose=DOSE, region="tumour", readers=both)
    assert share.mean == pytest.approx((0.10 + 0.04) / (0.10 + 0.20), abs=0.02)


def test_without_a_gap_there_is_no_share_and_without_a_retrained_reader_none_is_asked() -> None:
    rows = [r._replace(value=r.value - 0.2) if r.reader == "retrained S1" else r for r in table(noise=0.02).rows]
    found = share_recovered(
        Table(rows, notes=table().notes, readers=READERS), "dice", "task", "plain", dose=DOSE, region="tumour"
    )
    assert np.isnan(found.low) and found.method == "no gap"
    with pytest.raises(InputError, match="expects a reader and the same reader retrained"):
        share_recovered(table(notes={}), "dice", "task", "plain", dose=DOSE, region="tumour")
