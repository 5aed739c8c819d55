"""Built-in abdominal patients with liver tumours: computed, labelled, seeded."""

from taskct.phantoms.abdomen.abdomen_ranges import CohortSettings
from taskct.phantoms.abdomen.intensities import LABEL_NAMES, Organ

__all__ = ["LABEL_NAMES", "CohortSettings", "Organ"]
