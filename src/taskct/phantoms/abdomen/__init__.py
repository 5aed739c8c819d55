"""Built-in abdominal patients with liver tumours: computed, labelled, seeded."""

from taskct.phantoms.abdomen.intensities import LABEL_NAMES, Organ
from taskct.phantoms.abdomen.settings import CohortSettings

__all__ = ["LABEL_NAMES", "CohortSettings", "Organ"]
