"""Grids and beams: numbers that say where things are. No autograd, no physics."""

from taskct.geometry.beams import Beam, ConeBeam, FanBeam, ParallelBeam, VectorBeam
from taskct.geometry.coverage import CoarseDetectorWarning, TruncationWarning, check_pair, field_of_view_mm, truncation_mm
from taskct.geometry.grid import Grid
from taskct.geometry.poses import Poses
from taskct.geometry.radiographs import RadiographPose, bi_planar, radiograph_beam

__all__ = [
    "Beam",
    "CoarseDetectorWarning",
    "ConeBeam",
    "FanBeam",
    "Grid",
    "ParallelBeam",
    "Poses",
    "RadiographPose",
    "TruncationWarning",
    "VectorBeam",
    "bi_planar",
    "check_pair",
    "field_of_view_mm",
    "radiograph_beam",
    "truncation_mm",
]
