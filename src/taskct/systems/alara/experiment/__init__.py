"""How little dose is enough, patient by patient: learned doses beside fixed ones, tube-current modulation and an oracle."""

from taskct.systems.alara.experiment.alara_settings import DoseExperiment
from taskct.systems.alara.experiment.alara_steps import dose_steps

__all__ = ["DoseExperiment", "dose_steps"]
