"""Lesions: their records, and putting them into or taking them out of a CT."""

from taskct.phantoms.lesions.insertion import insert_lesion, remove_lesion
from taskct.phantoms.lesions.record import Lesion

__all__ = ["Lesion", "insert_lesion", "remove_lesion"]
