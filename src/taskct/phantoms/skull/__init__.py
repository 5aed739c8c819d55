"""Built-in growing skulls, from birth to adulthood: computed, labelled, seeded."""

from taskct.phantoms.skull.skull_ranges import KINDS, SkullSettings
from taskct.phantoms.skull.skull_tissues import LABEL_NAMES, Tissue

__all__ = ["KINDS", "LABEL_NAMES", "SkullSettings", "Tissue"]
