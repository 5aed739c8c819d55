"""A user's own pair of radiographs: an estimate, its spread, the prior alone beside it, and what they are worth."""

from taskct.systems.biplanar.own_pair.drawn_heads import Heads, draw_skulls
from taskct.systems.biplanar.own_pair.pair_estimate import PairEstimate, PairSettings, reconstruct_pair
from taskct.systems.biplanar.own_pair.pair_folder import DESCRIPTION, WRITTEN, write_estimate
from taskct.systems.biplanar.own_pair.pair_methods import PAIR_METHODS

__all__ = [
    "DESCRIPTION",
    "PAIR_METHODS",
    "WRITTEN",
    "Heads",
    "PairEstimate",
    "PairSettings",
    "draw_skulls",
    "reconstruct_pair",
    "write_estimate",
]
