"""Grids and beams: numbers that say where things are. No autograd, no physics."""

from taskct.geometry.beams import Beam, ConeBeam, FanBeam, ParallelBeam, VectorBeam
from taskct.geometry.coverage import TruncationWarning, check_pair, field_of_view_mm, truncation_mm
from taskct.geometry.grid import Grid
from taskct.geometry.poses import Poses

__all__ = [
    "Beam",
    "ConeBeam",
    "FanBeam",
    "Grid",
    "ParallelBeam",
    "Poses",
    "TruncationWarning",
    "VectorBeam",
    "check_pair",
    "field_of_view_mm",
    "truncation_mm",
]
