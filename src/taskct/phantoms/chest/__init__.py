"""Built-in chests with nodules, infection, effusion, emphysema and atelectasis: computed, labelled, seeded."""

from taskct.phantoms.chest.chest_ranges import ChestSettings
from taskct.phantoms.chest.chest_tissues import LABEL_NAMES, Tissue
from taskct.phantoms.chest.nodule_insertion import insert_nodule

__all__ = ["LABEL_NAMES", "ChestSettings", "Tissue", "insert_nodule"]
