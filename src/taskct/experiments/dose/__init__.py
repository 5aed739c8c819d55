"""How little dose is enough, patient by patient: learned doses beside fixed ones, tube-current modulation and an oracle."""

from taskct.experiments.dose.plan import dose_steps
from taskct.experiments.dose.settings import DoseExperiment

__all__ = ["DoseExperiment", "dose_steps"]
