"""The kinds of lung nodules by name, for data sets, built-in patients and networks alike."""

from __future__ import annotations

SOLID, PART_SOLID, GLASS = "solid nodule", "part-solid nodule", "ground-glass nodule"
NODULE_KINDS = (SOLID, PART_SOLID, GLASS)
