"""What each block is worth: pairs of rows that differ in one block, as paired differences over the test skulls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from taskct.evaluation.rows import ALL, DoseLevel
from taskct.evaluation.table import Table
from taskct.systems.biplanar.experiment.network_rows import ROWS
from taskct.systems.biplanar.pages.biplanar_story import BlockGain

PAIR_METRICS = ("psnr3d", "bone_dice")


class Pair(NamedTuple):
    """Two rows of ROWS: what `with_it` has and `without` has not is `block`."""

    block: str
    with_it: str
    without: str


PAIRS = (
    Pair("all of the published network, with its loss, against agreement that is unrolled", "psct-small", "unrolled"),
    Pair("all of the published network, with our loss, against agreement that is unrolled", "psct-small-mse", "unrolled"),
    Pair("the published loss in place of the image error", "psct-small", "psct-small-mse"),
    Pair("the adversary of the published loss", "psct-small", "psct-small-no-adversary"),
    Pair("an adversary beside the image error", "unrolled-adversary", "unrolled"),
    Pair("agreement unrolled in place of none", "unrolled", "smear"),
    Pair("agreement unrolled in place of last", "unrolled", "smear-agree"),
    Pair("agreement last, after smears", "smear-agree", "smear"),
    Pair("agreement last, after repeats", "repeat-agree", "repeat"),
    Pair("true geometry in place of the released one", "smear", "released-geometry"),
    Pair("smears (true geometry) in place of repeats (none)", "smear", "repeat"),
    Pair("rays of every level beside smears", "rays", "smear"),
    Pair("rays taken from the small PSCT-Net", "psct-small-mse", "psct-small-no-rays"),
    Pair("attention beside repeats", "attention", "repeat"),
    Pair("attention without positions, as published", "attention-published", "repeat"),
    Pair("positions of the attention", "attention", "attention-published"),
    Pair("attention taken from the small PSCT-Net", "psct-small-mse", "psct-small-no-attention"),
    Pair("state space in the core", "state-space", "smear"),
    Pair("state space in the unrolled network", "unrolled-state-space", "unrolled"),
    Pair("state space taken from the small PSCT-Net", "psct-small-mse", "psct-small-no-core"),
    Pair("fused decoder, after repeats", "x2ct", "repeat"),
    Pair("fused decoder and repeats beside smears", "fused", "smear"),
    Pair("fused decoder taken from the small PSCT-Net", "psct-small-mse", "psct-small-plain-decoder"),
    Pair("cone projections in the loss", "unrolled-projections", "unrolled"),
    Pair("the bone reader in the loss", "unrolled-reader", "unrolled"),
    Pair("films of 8 bits in place of line integrals", "psct-small-8-bit", "psct-small"),
)


def block_gains(table: Table, dose: DoseLevel, metrics: Sequence[str] = PAIR_METRICS) -> list[BlockGain]:
    """The pairs of which both rows were scored."""
    there = {r.method for r in table.rows if r.metric == "psnr3d" and r.dose == dose and r.region == ALL}
    found = []
    for block, with_it, without in PAIRS:
        ours, theirs = ROWS[with_it].label, ROWS[without].label
        if {ours, theirs} <= there:
            differences = {m: table.paired(m, ours, theirs, dose=dose) for m in metrics}
            found.append(BlockGain(block, ours, theirs, differences))
    return found
