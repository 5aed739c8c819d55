"""Bi-planar reconstruction of skulls, completely: rows with and without networks, blocks, controls, a second family."""

from taskct.systems.biplanar.experiment.biplanar_presets import PRESETS
from taskct.systems.biplanar.experiment.biplanar_settings import BiPlanar
from taskct.systems.biplanar.experiment.biplanar_steps import biplanar_steps

__all__ = ["PRESETS", "BiPlanar", "biplanar_steps"]
