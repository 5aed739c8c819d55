"""Built-in chests with nodules, infection, effusion, emphysema and atelectasis: computed, labelled, seeded."""

from taskct.phantoms.chest.chest_ranges import ChestSettings
from taskct.phantoms.chest.chest_tissues import LABEL_NAMES, Tissue

__all__ = ["LABEL_NAMES", "ChestSettings", "Tissue"]
