"""Built-in growing skulls, from birth to adulthood: computed, labelled, seeded."""

from taskct.phantoms.skull.settings import KINDS, SkullSettings
from taskct.phantoms.skull.tissues import LABEL_NAMES, Tissue

__all__ = ["KINDS", "LABEL_NAMES", "SkullSettings", "Tissue"]
